"""check, doctor, vault, run, sandbox: what needs a configuration or a process of its own."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freshd.cli import machine
from freshd.cli.verbs import cli
from freshd.core.model import Moment
from freshd.vault import KeyFile
from freshd.vault.glance import glance, proves
from freshd.vault.keyring import COMFORTABLE_ACCOUNTS
from tests.api.world import World
from tests.cli.conftest import Engine, Freshd
from tests.contract.vault_bed import Bed, enrolled, intent_on

GOOD = """
state_dir = "{folder}/state"
[socket]
path = "{folder}/s.sock"
[vault]
placement = "sealed"
custodian = "key-file"
key_file = "{folder}/key"
[accounts.calendar]
kind = "oauth2"
client_id = "me"
issuer = "https://service.example"
readers = {{ users = [{uid}] }}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "freshd.toml"
    path.write_text(GOOD.format(folder=tmp_path, uid=os.geteuid()))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_a_good_configuration_is_ok(config: Path) -> None:
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, f"ok: {config}, 1 account\n")
    assert json.loads(run("check", "--json").stdout)["ok"] is True


@pytest.mark.parametrize(
    ("placement", "over", "warns"), [("keyring", 1, True), ("keyring", 0, False), ("sealed", 1, False)]
)
def test_more_accounts_than_an_os_keyring_holds_well_are_warned_of(
    config: Path, placement: str, over: int, warns: bool
) -> None:
    head, account = GOOD.format(folder=config.parent, uid=os.geteuid()).split("[accounts.calendar]")
    head = head.replace('"sealed"', f'"{placement}"').replace('"key-file"', '"keyring"').split("key_file")[0]
    names = [f"a{number}" for number in range(COMFORTABLE_ACCOUNTS + over)]
    config.write_text(head + "".join(f'[accounts.{name}]\ngrant = "{name}"{account}' for name in names))
    result = run("check")
    assert (result.exit_code, "sealed" in result.stdout) == (0, warns), result.stdout
    assert len(json.loads(run("check", "--json").stdout)["warnings"]) == warns


def test_all_problems_are_told_at_once_with_their_lines(config: Path) -> None:
    config.write_text(config.read_text() + 'nonsense = 1\n[accounts.b]\nkind = "canary-value"\n')
    result = run("check")
    assert result.exit_code == 78
    assert len(result.stdout.splitlines()) >= 2
    assert all(line.startswith(f"{config}:") for line in result.stdout.splitlines())
    assert "remedy:" in result.stderr
    assert "canary-value" not in result.output
    document = json.loads(run("check", "--json").stdout)
    assert document["ok"] is False
    assert document["problems"] == result.stdout.splitlines()


def test_the_verb_may_name_another_file(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("x = 1\n")
    for words in (["check", "--config", str(other)], ["--config", str(other), "check"]):
        assert str(other) in run(*words).stdout
    assert run("--config", str(other), "check", "--config", str(config)).exit_code == 0


def test_run_with_a_bad_configuration_says_every_problem(tmp_path: Path) -> None:
    (tmp_path / "freshd.toml").write_text("a = 1\nb = 2\n")
    result = run("run")
    assert result.exit_code == 78
    assert result.stderr.count(": ") >= 3
    assert "freshd check" in result.stderr


def test_doctor_finds_everything_well_but_the_missing_daemon(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    result = run("doctor", "--json")
    document = json.loads(result.stdout)
    bad = [found for found in document["findings"] if found["level"] != "ok"]
    assert [found["place"] for found in bad] == ["socket"]
    assert "start it" in bad[0]["remedy"]
    assert result.exit_code == 2


async def test_doctor_beside_a_daemon_is_content(config: Path, tmp_path: Path, world: World, freshd: Freshd) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    result = await freshd("doctor")
    assert result.exit_code == 0, result.output
    for place in ("config", "state", "clock", "vault", "custody", "you", "socket", "daemon", "accounts"):
        assert f"ok    {place}: " in result.stdout
    assert f"process {os.getpid()} of user" in result.stdout


async def test_doctor_tells_a_locked_vault_and_blames_no_account_for_it(
    config: Path, tmp_path: Path, engine: Engine, freshd: Freshd
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    engine.is_locked = True
    engine.looks["mail"] = {"phase": "vacant", "renewable": "no", "reason": "never enrolled"}
    result = await freshd("doctor")
    assert result.exit_code == 2
    assert "LOCKED" in result.stdout
    assert "mail" not in result.stdout


async def test_doctor_names_accounts_that_need_somebody(
    config: Path, tmp_path: Path, engine: Engine, freshd: Freshd
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    new = {"phase": "vacant", "renewable": "no", "reason": "never enrolled", "remedy": "freshd enrol calendar"}
    engine.looks["calendar"] = {**new, "generation": 0}
    engine.looks["secret"] = {"paused": True, "reason": "paused", "remedy": "freshd resume secret"}
    fresh = await freshd("doctor")
    assert fresh.exit_code == 1
    assert "warn  account: calendar is vacant" in fresh.stdout
    assert "secret" not in fresh.stdout
    engine.looks["mail"] = {
        "phase": "parked", "generation": 3, "renewable": "no", "reason": "invalid_grant", "remedy": "freshd enrol mail",
    }  # fmt: skip
    parked = await freshd("doctor")
    assert parked.exit_code == 2
    assert "BAD   account: mail is parked: invalid_grant\n      remedy: freshd enrol mail" in parked.stdout


def test_one_broken_thing_hides_no_other(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("kind =", "kin ="))
    (tmp_path / "s.sock").write_text("")
    result = run("--socket", str(tmp_path / "s.sock"), "doctor")
    assert "BAD   config: " in result.stdout
    assert "is no socket" in result.stdout
    assert "ok    you: " in result.stdout


@pytest.mark.parametrize(("mode", "level"), [(0o700, "ok"), (0o750, "warn"), (0o770, "bad")])
def test_a_state_directory_that_others_may_enter_is_told(mode: int, level: str, config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    findings = json.loads(run("doctor", "--json").stdout)["findings"]
    assert level in {found["level"] for found in findings if found["place"] == "state"}


def test_little_room_is_told(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    monkeypatch.setattr(machine, "LITTLE_ROOM", 1 << 62)
    assert "warn  state: " in run("doctor").stdout
    monkeypatch.setattr(machine, "NO_ROOM", 1 << 62)
    assert "BAD   state: " in run("doctor").stdout


async def test_an_account_is_examined_with_its_record_and_harmless_reasons(
    config: Path, engine: Engine, freshd: Freshd
) -> None:
    engine.looks["calendar"] = {"paused": True, "reason": "paused"}
    lines = [{"at": 1.0, "rung": "refresh", "outcome": outcome, "generation": 1} for outcome in ("lost", "ok")]
    engine.script["history"] = [{"account": "calendar", "lines": lines}]
    result = await freshd("doctor", "calendar")
    assert result.exit_code == 0, result.output
    assert "2 attempts kept, 1 came to nothing; the last: refresh, ok" in result.stdout
    assert "harmless: an operator paused it" in result.stdout
    assert "you may read its tokens" in result.stdout


async def test_readers_without_a_token_are_trouble(config: Path, engine: Engine, freshd: Freshd) -> None:
    engine.looks["calendar"] = {"usable_until": 1.0, "phase": "parked", "renewable": "no", "reason": "dead"}
    result = await freshd("doctor", "calendar")
    assert result.exit_code == 2
    assert "readers get none" in result.stdout


async def test_a_journal_is_shown_in_numbers_beside_its_daemon_and_without_one(config: Path, tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await vault.intend(await intent_on(vault, "a", "flight"), {})
    seen = glance(bed.folder)
    assert seen is not None
    assert (seen.records, seen.sealed, seen.in_keyring, seen.open_calls, seen.escrowed) == (1, 1, 0, 1, 0)
    assert await proves(bed.custodian, seen) is True
    beside = await asyncio.to_thread(run, "vault", "status")
    await bed.aclose()
    afterwards = json.loads((await asyncio.to_thread(run, "vault", "status", "--json")).stdout)
    assert "records   1; grants in the journal 1" in beside.stdout, beside.output
    assert (afterwards["vault"], afterwards["commits"] >= seen.commits) == (seen.vault, True)
    assert "check" not in afterwards
    path = tmp_path / "key"
    path.write_text("11" * 32)
    assert await proves(bed.custodian, seen) is False
    path.unlink()
    assert await proves(bed.custodian, seen) is None


async def test_doctor_tells_a_wrong_key_and_a_clock_behind_the_journal(config: Path, tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), now=Moment(4e9, 5e3, "boot"))
    await enrolled(bed, await bed.open(), "a")
    await bed.aclose()
    (tmp_path / "key").write_text("11" * 32)
    text = (await asyncio.to_thread(run, "doctor")).stdout
    assert "behind the journal's" in text
    assert "is not the one of this vault" in text


def test_no_journal_is_said(config: Path) -> None:
    result = run("vault", "status")
    assert result.exit_code == 74
    assert "freshd run" in result.stderr


async def test_the_sandbox_says_where_it_is_and_ends_when_told() -> None:
    program = "import sys; from freshd.cli.entry import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "sandbox", "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    assert told["base_url"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
