"""refresh, pause, resume, confirm, forget, revoke, refused."""

import json

import pytest

from freshd.core.model import fingerprint
from tests.api.world import World
from tests.cli.conftest import Engine, Freshd


@pytest.mark.parametrize("verb", ["refresh", "pause", "resume"])
async def test_a_verb_is_done_and_said(verb: str, engine: Engine, freshd: Freshd) -> None:
    result = await freshd(verb, "calendar")
    assert result.exit_code == 0
    assert "calendar" in result.stdout
    assert engine.operations == [(verb, "calendar", {})]
    assert json.loads((await freshd(verb, "calendar", "--json")).stdout)["account"] == "calendar"


@pytest.mark.parametrize("verb", ["forget", "revoke", "confirm"])
async def test_what_cannot_be_taken_back_is_asked_for(verb: str, engine: Engine, freshd: Freshd) -> None:
    unasked = await freshd(verb, "calendar", stdin="")
    assert unasked.exit_code == 1
    assert "calendar" in unasked.stderr.splitlines()[0]
    assert "--yes" in unasked.stderr
    assert engine.operations == []
    assert (await freshd(verb, "calendar", "--yes")).exit_code == 0
    assert engine.operations == [(verb, "calendar", {})]


@pytest.mark.parametrize(("said", "done"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
async def test_a_person_may_still_say_no(
    said: str, done: int, engine: Engine, freshd: Freshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    result = await freshd("forget", "calendar", stdin=said)
    assert "Erased will be" in result.stderr
    assert len(engine.operations) == done
    assert result.exit_code == (0 if done else 1)


async def test_forget_says_what_will_be_lost(engine: Engine, freshd: Freshd) -> None:
    engine.looks["calendar"] = {"generation": 7}
    result = await freshd("forget", "calendar", "--yes")
    assert "generation 7" in result.stderr
    assert "history" in result.stderr


async def test_a_refused_token_is_named_by_its_fingerprint(world: World, freshd: Freshd) -> None:
    result = await freshd("refused", "calendar", "--fingerprint", "abc", "--status", "401", "--code", "invalid_token")
    assert world.tokens.refusals == [("calendar", "abc", 401, "invalid_token")]
    assert result.stdout.startswith("healing: ")


async def test_a_refused_token_on_standard_input_never_leaves_the_process(world: World, freshd: Freshd) -> None:
    result = await freshd("refused", "calendar", "--status", "401", stdin="token-1\n")
    assert world.tokens.refusals == [("calendar", fingerprint("token-1"), 401, None)]
    assert "token-1" not in result.output


async def test_nothing_on_standard_input_is_wrong_usage(freshd: Freshd) -> None:
    assert (await freshd("refused", "calendar", stdin="")).exit_code == 64


async def test_a_refusal_as_json_names_the_newest_lease(freshd: Freshd) -> None:
    answer = json.loads((await freshd("refused", "calendar", "--fingerprint", "abc", "--json")).stdout)
    assert (answer["outcome"], answer["fingerprint"]) == ("healing", fingerprint("token-1"))
