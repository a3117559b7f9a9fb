"""A secret that the service itself declared dead is never presented again, whatever happens (I5)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from freshd.core.effects import Effect, Fly, Publish
from freshd.core.happenings import (
    Booted,
    Demanded,
    Due,
    Enrolling,
    Forced,
    Happening,
    Outdated,
    Probed,
    Reconfigured,
    Refusal,
    Refused,
    Resumed,
    Settled,
)
from freshd.core.ladder import Ladder
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.state import Parked, Phase
from tests.unit.core.lives import ISSUE, LADDERS, LOGIN, PERSON, REFRESH, Life, plan_of, standing_of

START = Moment(1_700_000_000.0, 1000.0, "boot-0")
CODE = "invalid_grant"


def dead(*names: str) -> Standing:
    """A journal's word: these were declared dead."""
    standing = standing_of(3, START)
    return dataclasses.replace(standing, held=standing.held - set(names), dead=dict.fromkeys(names, CODE))


@pytest.mark.parametrize("ladder", [(REFRESH, PERSON), LADDERS[0]])
def test_I5_an_account_whose_secret_was_declared_dead_is_parked_at_once_with_that_code(ladder: Ladder) -> None:
    life = Life(plan_of(ladder), dead("refresh_token"))
    assert life.state.phase is Phase.PARKED
    parked = life.state.parked
    assert parked is not None
    assert (parked.code, parked.remedy, parked.until) == (CODE, Remedy.PERSON, None)
    assert life.told == ["account.parked"]
    assert life.shown == life.journal.lease


@pytest.mark.parametrize(
    "event",
    [
        Due(), Demanded(60.0), Forced(), Reconfigured(), Resumed(), Settled(settled=True), Settled(settled=False),
        Refused(standing_of(3, START).lease.fingerprint, dead=True),  # type: ignore[union-attr]
        Probed(standing_of(3, START).lease.fingerprint, alive=True),  # type: ignore[union-attr]
    ],
)  # fmt: skip
def test_I5_nothing_that_anybody_tells_presents_a_dead_secret(event: Happening) -> None:
    life = Life(plan_of((REFRESH, PERSON)), dead("refresh_token"))
    for _ in range(3):
        assert not [effect for effect in life.step(event) if isinstance(effect, Fly)]
        life.pass_time(40_000.0)
    assert life.state.phase is Phase.PARKED


@pytest.mark.parametrize("lower", [ISSUE, LOGIN])
def test_the_next_way_down_is_taken_at_the_next_start_too(lower: object) -> None:
    life = Life(plan_of((REFRESH, lower, PERSON)), dead("refresh_token"))  # type: ignore[arg-type]
    assert life.state.phase is Phase.LIVE
    effects = life.step(Forced())
    assert [effect.rung for effect in effects if isinstance(effect, Fly)] == [lower.name]  # type: ignore[attr-defined]


def test_a_lease_is_served_to_its_end_though_its_grant_is_dead() -> None:
    life = Life(plan_of((REFRESH, PERSON)), dead("refresh_token"))
    effects = life.step(Booted(dead("refresh_token"), 0.0))
    assert [effect.lease for effect in effects if isinstance(effect, Publish)] == [life.journal.lease]


def test_the_refusal_that_declares_it_dead_parks_with_the_same_words_as_the_next_start() -> None:
    life = Life(plan_of((REFRESH, PERSON)), standing_of(3, START))
    life.step(Forced())
    refusal = Refusal(life.state.attempt, Rejected(CODE, Remedy.CLIMB), dead("refresh_token", "key"))
    life.step(refusal)
    running: Parked | None = life.state.parked
    after = Life(plan_of((REFRESH, PERSON)), dead("refresh_token", "key"))
    assert running == after.state.parked
    assert life.told.count("account.parked") == 1


def test_a_new_grant_ends_it() -> None:
    life = Life(plan_of((REFRESH, PERSON)), dead("refresh_token"))
    life.step(Booted(standing_of(4, START, lineage="two"), 0.0))
    assert life.state.phase is Phase.LIVE
    assert life.state.parked is None
    assert life.told.count("account.recovered") == 1


FOUND = [{"dead": {"refresh_token": CODE}}, {"withheld": "another subject"}, {"held_back": "an old copy"}]


def read_anew(found: dict[str, Any], generation: int) -> tuple[Life, list[Effect]]:
    """An enrolment finds the record not as it was; what it reads is bare of all that was found of the grant."""
    bare = standing_of(3, START)
    found_of = dataclasses.replace(bare, held=bare.held - found.get("dead", {}).keys(), **found)
    life = Life(plan_of((REFRESH, PERSON)), found_of)
    life.step(Enrolling(PERSON.name, "two"))
    return life, life.step(Outdated(life.state.attempt, dataclasses.replace(bare, generation=generation)))


@pytest.mark.parametrize("found", FOUND)
def test_I5_to_read_the_same_grant_again_acquits_it_of_nothing(found: dict[str, Any]) -> None:
    life, effects = read_anew(found, 3)
    assert {name: getattr(life.state.standing, name) for name in found} == found
    assert life.state.phase is Phase.PARKED
    assert "withheld" not in found or not [effect for effect in effects if isinstance(effect, Publish)]
    life.pass_time(40_000.0)
    assert not [effect for effect in life.step(Forced()) if isinstance(effect, Fly)]


@pytest.mark.parametrize("found", FOUND)
def test_of_a_newer_grant_nothing_was_found_yet(found: dict[str, Any]) -> None:
    life, _ = read_anew(found, 4)
    assert life.state.standing == dataclasses.replace(standing_of(3, START), generation=4)
    assert life.state.phase in (Phase.LIVE, Phase.SPENDING)
