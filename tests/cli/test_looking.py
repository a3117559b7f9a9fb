"""status, explain, watch: from memory, for people and for programs."""

import json

import pytest

from freshd.cli import output, status
from freshd.core.model import fingerprint
from tests.api.world import World
from tests.cli.conftest import Engine, Freshd


async def test_status_is_one_line_per_account_where_nobody_looks(freshd: Freshd) -> None:
    result = await freshd("status")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["calendar", "mail", "secret"]
    assert "phase=live" in result.stdout
    assert "usable=no" in result.stdout.splitlines()[1]


async def test_status_shows_what_the_caller_may_see(world: World, freshd: Freshd) -> None:
    world.allow("mail")
    assert [line.split()[0] for line in (await freshd("status")).stdout.splitlines()] == ["mail"]


async def test_status_as_json_has_every_account_of_every_page(world: World, freshd: Freshd) -> None:
    world.tokens.names = [f"a{number:04}" for number in range(2300)]
    document = json.loads((await freshd("status", "--json")).stdout)
    assert document["locked"] is False
    assert [found["account"] for found in document["accounts"]] == world.tokens.names


async def test_status_draws_a_table_for_a_person(
    world: World, engine: Engine, freshd: Freshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "is_terminal", lambda: True)
    monkeypatch.setattr(status, "TABLE_ROWS", 2)
    engine.looks["calendar"] = {"reason": "[red]odd[/red]", "remedy": "look"}
    text = (await freshd("status")).stdout
    assert "account" in text.splitlines()[0]
    assert "[red]odd[/red]" in text
    assert "… and 1 more" in text
    assert "secret" in (await freshd("status", "--all")).stdout


async def test_a_locked_vault_is_said_beside_the_accounts(world: World, freshd: Freshd) -> None:
    world.tokens.is_locked = True
    result = await freshd("status")
    assert "LOCKED" in result.stderr
    assert "calendar" in result.stdout


async def test_one_account_is_told_whole_and_without_its_token(freshd: Freshd) -> None:
    result = await freshd("status", "calendar")
    assert result.stdout.startswith("account ")
    assert fingerprint("token-1") in result.stdout
    assert "token-1" not in result.output
    assert json.loads((await freshd("status", "calendar", "--json")).stdout)["refreshes"] == 3


async def test_flags_stand_beside_the_phase(engine: Engine, freshd: Freshd) -> None:
    engine.looks["mail"] = {"phase": "parked", "paused": True, "settled": False}
    assert "phase=parked+paused+unsettled" in (await freshd("status")).stdout


async def test_explain_says_state_meaning_attempts_and_remedy(engine: Engine, freshd: Freshd) -> None:
    engine.looks["mail"] = {"phase": "parked", "reason": "invalid_grant", "remedy": "freshd enrol mail"}
    lines = [
        {"at": 1.8e9 + number, "rung": "refresh", "outcome": f"o{number}", "generation": 1} for number in range(20)
    ]
    engine.script["history"] = [{"account": "mail", "lines": lines}]
    text = (await freshd("explain", "mail", "--lines", "3")).stdout
    assert "parked: invalid_grant" in text
    assert "Nothing is tried until" in text
    assert "o19" in text
    assert "o16" not in text
    assert text.splitlines()[-1].split(maxsplit=1) == ["remedy", "freshd enrol mail"]


async def test_explain_as_json_is_health_and_history(engine: Engine, freshd: Freshd) -> None:
    engine.script["history"] = [{"account": "mail", "lines": [{"at": 1.0, "rung": "r", "outcome": "ok"}]}]
    document = json.loads((await freshd("explain", "mail", "--json")).stdout)
    assert (document["account"], document["history"][0]["outcome"]) == ("mail", "ok")


async def test_looking_spends_nothing(engine: Engine, freshd: Freshd) -> None:
    for words in (["status"], ["status", "mail"], ["explain", "mail"], ["watch", "--once"], ["doctor", "mail"]):
        await freshd(*words)
    assert {verb for verb, _, _ in engine.operations} == {"history", "examine"}
    assert engine.demands.empty()


async def test_watch_shows_the_present_state_first(freshd: Freshd) -> None:
    result = await freshd("watch", "--once")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["calendar", "mail", "secret"]


async def test_watch_as_json_tells_frames_apart(freshd: Freshd) -> None:
    lines = [json.loads(line) for line in (await freshd("watch", "mail", "--once", "--json")).stdout.splitlines()]
    assert [line["change"] for line in lines] == ["daemon", "account", "synced"]
    assert lines[1]["kind"] == "oauth2"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (8, "8s"), (60, "1m"), (125, "2m 5s"), (3600, "1h"), (3605, "1h 5s"), (100000, "1d 3h"), (-5, "0s")],
)
def test_a_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert output.span(seconds) == text


def test_a_moment_that_no_calendar_has_is_a_number() -> None:
    assert output.utc(1e30) == "1e+30"
