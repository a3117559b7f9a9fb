"""doctor ACCOUNT and doctor --env: causes with their remedies, and what cannot be told without the daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from freshd.cli.verbs import cli
from freshd.core.finding import CAUSES
from freshd.errors import NotPossible
from freshd.providers.feishu import explain as feishu
from freshd.providers.oauth2 import explain as oauth2
from freshd.vault import KeyFile
from freshd.vault.glance import past
from tests.api.world import World
from tests.cli.conftest import Engine, Freshd
from tests.contract.vault_bed import Bed, enrolled, intent_on, line


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))


def told(*findings: tuple[int, str, str, str]) -> dict[str, object]:
    names = ("level", "text", "remedy", "cause")
    return {"account": "mail", "findings": [dict(zip(names, one, strict=True)) for one in findings]}


async def test_a_dead_grant_is_shown_with_cause_and_remedy(engine: Engine, freshd: Freshd) -> None:
    engine.script["examine"] = [told((2, "used by another program: …", "freshd enrol mail", "used-twice"))]
    result = await freshd("doctor", "mail")
    assert result.exit_code == 2
    assert "BAD   grant: used by another program" in result.stdout
    assert "cause:  used-twice" in result.stdout
    assert "remedy: freshd enrol mail" in result.stdout
    document = json.loads((await freshd("doctor", "mail", "--json")).stdout)
    assert [one["cause"] for one in document["findings"] if "cause" in one] == ["used-twice"]


async def test_text_of_the_daemon_cannot_steer_a_terminal(engine: Engine, freshd: Freshd) -> None:
    engine.script["examine"] = [told((9, "\x1b[31mred", "", ""))]
    result = await freshd("doctor", "mail")
    assert "\x1b" not in result.stdout
    assert result.exit_code == 2


async def test_who_may_not_operate_is_told_so(world: World, freshd: Freshd) -> None:
    world.allow("mail")
    result = await freshd("doctor", "mail")
    assert "warn  grant: not examined" in result.stdout


async def test_an_examination_that_is_refused_is_no_crash(engine: Engine, freshd: Freshd) -> None:
    engine.script["examine"] = [NotPossible("not now", "later")]
    assert "not examined: not now" in (await freshd("doctor", "mail")).stdout


@pytest.mark.parametrize("words", [["mail", "--env", "x"], ["--brand", "lark"], ["mail", "--app-id-key", "A"]])
def test_options_of_a_file_go_with_a_file(words: list[str]) -> None:
    assert CliRunner().invoke(cli, ["doctor", *words]).exit_code == 64


def test_a_file_without_an_app_is_examined_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("REFRESH_TOKEN=ur-canary\nACCESS_TOKEN=u-canary\n")
    path.chmod(0o600)
    result = CliRunner().invoke(cli, ["doctor", "--env", str(path)])
    assert result.exit_code == 1
    assert "without the app's id and secret no service can be asked" in result.stdout
    assert "canary" not in result.output


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--env", str(tmp_path / "absent")])
    assert result.exit_code == 2
    assert "cannot be read" in result.stdout


def test_two_lines_that_might_be_meant_are_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A_REFRESH_TOKEN=1\nB_REFRESH_TOKEN=2\n")
    path.chmod(0o600)
    result = CliRunner().invoke(cli, ["doctor", "--env", str(path)])
    assert "A_REFRESH_TOKEN, B_REFRESH_TOKEN" in result.stdout
    assert "--refresh-token-key NAME" in result.stdout


async def test_the_past_of_an_account_is_read_without_the_key(bed: Bed) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    await vault.close(intent, frozenset(), {}, line("20064"), {})
    await bed.aclose()
    seen = past(bed.folder, "a")
    assert seen is not None
    assert (seen.is_known, [one.outcome for one in seen.lines]) == (True, ["ok", "20064"])
    stranger = past(bed.folder, "b")
    assert stranger is not None
    assert (stranger.is_known, stranger.lines) == (False, ())
    assert past(bed.folder / "elsewhere", "a") is None


def test_every_cause_that_a_provider_names_is_one_of_ours() -> None:
    words = {cause for _, _, cause in oauth2.CAUSES.values()}
    words |= {cause for _, _, cause in feishu.CODES.values()}
    words |= {cause for _, _, cause in feishu.FAMILIES}
    assert words - {""} <= CAUSES
