"""operate: a service's own calls."""

import json
from pathlib import Path

import pytest

from freshd.cli.picture import shown
from freshd.errors import NotPossible
from tests.cli.conftest import Engine, Freshd

FACTS = {"account": "calendar", "operation": "whoami", "facts": {"user": 8, "groups": ["ops", "door"]}}


async def test_the_facts_are_printed_one_a_line(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [FACTS]
    result = await freshd("operate", "calendar", "whoami", "door=7")
    assert result.stdout.splitlines() == ["user: 8", "groups: ops, door"]
    assert engine.operations == [("operate", "calendar", {"operation": "whoami", "given": {"door": "7"}})]
    assert json.loads((await freshd("operate", "calendar", "whoami", "--json")).stdout) == FACTS


async def test_a_step_says_what_is_stored_now(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [{"account": "calendar", "operation": "rekey", "generation": 4, "facts": {}}]
    assert (await freshd("operate", "calendar", "rekey")).stdout.strip() == (
        "done: rekey of calendar; generation 4, written and read back"
    )


async def test_a_secret_comes_from_standard_input_and_is_not_shown(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [FACTS]
    result = await freshd("operate", "calendar", "verify", "token=-", stdin="very-secret\n")
    assert engine.operations[0][2]["given"] == {"token": "very-secret"}
    assert "very-secret" not in result.output


@pytest.mark.parametrize("given", [["door"], ["=7"], ["a=1", "a=2"]])
async def test_what_is_no_name_and_value_is_refused(given: list[str], engine: Engine, freshd: Freshd) -> None:
    result = await freshd("operate", "calendar", "whoami", *given)
    assert result.exit_code == 64
    assert "NAME=VALUE" in result.stderr
    assert engine.operations == []


async def test_what_there_is_is_listed_by_the_daemon(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [NotPossible("accounts of kind x offer no such call", "they offer: whoami: who it is")]
    result = await freshd("operate", "calendar", "erase")
    assert result.exit_code == 65
    assert "they offer: whoami" in result.stderr


# -- a picture to look at ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "ending"), [(b"GIF89a", ".gif"), (b"\x89PNG\r\n", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"<svg", ".img")]
)
def test_a_picture_is_a_file_of_the_person_alone_until_it_is_answered(
    begin: bytes, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with shown(begin + b"rest", may_open=False):
        path = Path(capsys.readouterr().out.strip())
        assert path.suffix == ending
        assert path.read_bytes() == begin + b"rest"
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.parent.exists()


def test_without_a_picture_nothing_is_written_and_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(None, may_open=True):
        assert capsys.readouterr() == ("", "")
