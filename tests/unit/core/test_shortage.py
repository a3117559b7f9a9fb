"""Readers left without a lease: told when it lasts, told when it is over, and never of what was told otherwise."""

from __future__ import annotations

from freshd.core.contract import Contract, Reuse
from freshd.core.happenings import Due, Paused, Unsent
from freshd.core.model import Moment
from freshd.core.outcome import Remedy
from freshd.core.shortage import OVERDUE_SECONDS
from tests.unit.core.lives import LADDERS, Life, plan_of, standing_of

NOW = Moment(1_700_000_000.0, 1000.0, "boot-0")


def failing(contract: Contract | None = None) -> Life:
    """An account whose service cannot be reached since its lease ended."""
    life = Life(plan_of(LADDERS[0], contract or Contract(Reuse.REUSABLE)), standing_of(1, NOW, 600.0))
    life.pass_time(600.0)
    life.step(Due())
    life.fail(Unsent(life.state.attempt, "connection refused"))
    return life


def try_for(life: Life, seconds: float) -> None:
    ends = life.now.boot + seconds
    while life.now.boot < ends:
        if life.air is not None:
            life.fail(Unsent(life.state.attempt, "connection refused"))
        life.pass_time(10.0)
        life.step(Due())


def test_one_failure_is_no_news() -> None:
    life = failing()
    try_for(life, OVERDUE_SECONDS - 30.0)
    assert "renewal.overdue" not in life.told


def test_a_shortage_that_lasts_is_told_once_and_so_is_its_end() -> None:
    life = failing()
    try_for(life, 10 * OVERDUE_SECONDS)
    assert life.told.count("renewal.overdue") == 1
    if life.air is None:
        life.step(Due())
    life.commit()
    assert life.told.count("renewal.recovered") == 1


def test_a_parked_account_has_been_told_of() -> None:
    life = failing()
    life.step(Due())
    life.reject(Remedy.PERSON)
    life.pass_time(10 * OVERDUE_SECONDS)
    life.step(Due())
    assert "renewal.overdue" not in life.told


def test_a_paused_account_is_not_short() -> None:
    life = failing()
    life.step(Paused())
    life.pass_time(10 * OVERDUE_SECONDS)
    life.step(Due())
    assert "renewal.overdue" not in life.told


def test_a_lease_that_lives_is_no_shortage_whatever_fails() -> None:
    life = Life(plan_of(LADDERS[0], Contract(Reuse.REUSABLE)), standing_of(1, NOW, 36_000.0))
    try_for(life, 10 * OVERDUE_SECONDS)
    assert "renewal.overdue" not in life.told
