"""A keyring that lags behind: the account waits, the word about it rises, and what went past it is told as such."""

from __future__ import annotations

from freshd.core.catalogue import CATALOGUE
from freshd.core.contract import Contract, Reuse
from freshd.core.effects import Effect, Tell
from freshd.core.events import Severity
from freshd.core.happenings import Due, Settled
from freshd.core.lag import LEAST_SECONDS
from freshd.core.model import Moment
from tests.unit.core.lives import LADDERS, Life, plan_of, standing_of

NOW = Moment(1_700_000_000.0, 1000.0, "boot-0")
LIFE_SECONDS = 3600.0


def lagging() -> tuple[Life, list[int]]:
    """An account whose keyring could not take its newest grant, and the seconds told so far."""
    life = Life(plan_of(LADDERS[0], Contract(Reuse.STRICT)), standing_of(1, NOW, LIFE_SECONDS))
    return life, seconds_of(life.step(Settled(settled=False)))


def renew(life: Life) -> None:
    while life.air is None:
        life.wait_for_alarm()
    life.commit()


def seconds_of(effects: list[Effect]) -> list[int]:
    events = [effect.event for effect in effects if isinstance(effect, Tell)]
    return [int(event.fields["usable_for"] or 0) for event in events if event.name == "keyring.unsettled"]


def test_it_is_said_at_once_and_each_time_half_of_the_rest_is_gone() -> None:
    life, told = lagging()
    while life.air is None:
        told += seconds_of(life.wait_for_alarm())
    assert told == [3600, 1800, 900, 450, 225, 112]
    assert told[-1] > LEAST_SECONDS


def test_saying_it_again_needs_time_to_pass() -> None:
    life, _ = lagging()
    assert seconds_of(life.step(Settled(settled=False))) == []
    assert seconds_of(life.step(Due())) == []


def test_nothing_is_renewed_before_readers_would_go_without() -> None:
    life, _ = lagging()
    while life.air is None:
        life.wait_for_alarm()
    assert NOW.boot + LIFE_SECONDS - LEAST_SECONDS <= life.now.boot < NOW.boot + LIFE_SECONDS


def test_what_is_renewed_on_the_journal_alone_is_told_louder_and_counted() -> None:
    life, _ = lagging()
    for _ in range(2):
        renew(life)
    assert life.told.count("keyring.bypassed") == 2
    assert life.state.alone == 2
    assert CATALOGUE["keyring.bypassed"].severity is Severity.ALERT < CATALOGUE["keyring.unsettled"].severity
    life.step(Settled(settled=True))
    assert life.told[-1] == "keyring.settled"
    assert not life.state.lagging


def test_the_word_is_repeated_for_the_next_lease_too() -> None:
    life, _ = lagging()
    renew(life)
    told: list[int] = []
    while life.air is None:
        told += seconds_of(life.wait_for_alarm())
    assert told == [1800, 900, 450, 225, 112]


def test_a_keyring_that_keeps_up_is_not_talked_of() -> None:
    life = Life(plan_of(LADDERS[0], Contract(Reuse.STRICT)), standing_of(1, NOW, LIFE_SECONDS))
    while life.air is None:
        life.wait_for_alarm()
    life.commit()
    life.step(Settled(settled=True))
    assert [name for name in life.told if name.startswith("keyring")] == []


def test_an_account_without_a_lease_is_told_of_once() -> None:
    life = Life(plan_of())
    for _ in range(3):
        life.step(Settled(settled=False))
    assert life.told.count("keyring.unsettled") == 1
    life.step(Settled(settled=True))
    assert life.told.count("keyring.settled") == 1


def test_both_alerts_end_when_the_keyring_has_caught_up() -> None:
    assert set(CATALOGUE["keyring.settled"].clears) == {"keyring.unsettled", "keyring.bypassed"}
