"""What may be done while nobody knows whether a secret was spent (I5)."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from freshd.core import doubt as doubts
from freshd.core.contract import Contract, Kills, Reuse
from freshd.core.doubt import Move
from freshd.core.ladder import Rung
from freshd.core.model import Earlier, Moment
from freshd.core.state import Doubt, Phase, State, doubt_of
from tests.unit.core.lives import LADDERS, plan_of, standing_of

SENT = Moment(1e9, 1000.0, "boot-0")
CONTRACTS = st.builds(
    Contract,
    st.sampled_from(Reuse),
    st.floats(0.0, 300.0),
    st.sampled_from(Kills),
    st.sampled_from([None, 0.0, 30.0]),
)
DOUBTS = st.builds(
    Doubt,
    st.sampled_from(["refresh", "login", "gone"]),
    st.builds(Moment, st.just(1e9), st.floats(0.0, 2000.0), st.sampled_from(["boot-0", "boot-1"])),
    st.just("lost"),
    st.integers(0, 6),
    risky=st.integers(0, 6),
    allowed=st.integers(0, 7),
    spent=st.sampled_from([None, True, False]),
)
LADDER = st.sampled_from(LADDERS)
NOW = st.builds(Moment, st.just(1e9), st.floats(1000.0, 9000.0), st.just("boot-0"))
UNTIL = st.one_of(st.none(), st.floats(0.0, 9000.0))


def state_of(until: float | None, doubt: Doubt) -> State:
    standing = standing_of(1, SENT) if until is not None else dataclasses.replace(standing_of(1, SENT), lease=None)
    return State(Phase.DOUBTFUL, standing, until=until, doubt=doubt, booted=True)


@given(CONTRACTS, LADDER, DOUBTS, NOW, UNTIL)
def test_I5_a_replay_is_harmless_or_the_one_that_is_allowed_as_late_as_possible(
    contract: Contract, rungs: tuple[Rung, ...], doubt: Doubt, now: Moment, until: float | None
) -> None:
    plan = plan_of(rungs, contract)
    advice = doubts.advise(plan, state_of(until, doubt), doubt, now)
    if advice.move is not Move.REPLAY:
        return
    assert advice.rung == doubt.rung
    if contract.reuse is Reuse.REUSABLE or doubt.spent is False:
        return
    if advice.before is not None:
        assert contract.reuse is Reuse.GRACE
        assert doubt.sent.boot_id == now.boot_id
        assert doubt.sent.boot <= now.boot < advice.before < doubt.sent.boot + contract.grace
        return
    assert doubt.spent is None
    assert contract.kills is not Kills.MORE
    assert doubt.risky < doubt.allowed
    if until is not None and until > now.boot:
        assert advice.at >= min(until, max(now.boot, until - 60.0)) - 1e-6


@given(CONTRACTS, LADDER, DOUBTS, NOW, UNTIL)
def test_nothing_is_advised_for_the_past_and_every_wait_ends(
    contract: Contract, rungs: tuple[Rung, ...], doubt: Doubt, now: Moment, until: float | None
) -> None:
    plan = plan_of(rungs, contract)
    state = state_of(until, doubt)
    for _ in range(3):
        advice = doubts.advise(plan, state, doubt, now)
        if advice.at <= now.boot:
            break
        now = dataclasses.replace(now, boot=advice.at)
    else:
        raise AssertionError("it waits for ever")
    assert advice.move is not Move.HOLD


@given(CONTRACTS, LADDER, DOUBTS, NOW, UNTIL)
def test_a_secret_proven_spent_is_never_presented_outside_grace(
    contract: Contract, rungs: tuple[Rung, ...], doubt: Doubt, now: Moment, until: float | None
) -> None:
    spent = dataclasses.replace(doubt, spent=True)
    advice = doubts.advise(plan_of(rungs, contract), state_of(until, spent), spent, now)
    if contract.reuse is Reuse.STRICT:
        assert advice.move is not Move.REPLAY


def test_waits_between_later_replays_grow_and_never_end() -> None:
    waits = [doubts.slow_wait(Doubt("refresh", SENT, "lost", risky, risky)) for risky in range(9)]
    assert waits == sorted(waits)
    assert min(waits) >= 60.0


def test_I5_a_replay_that_was_counted_before_a_restart_is_the_one_that_was_allowed() -> None:
    plan = plan_of(contract=Contract(Reuse.STRICT))
    for replays, move in ((0, Move.REPLAY), (1, Move.PARK)):
        doubt = doubt_of((Earlier("refresh", SENT, replays),), "stopped")
        assert doubt is not None
        assert doubts.advise(plan, state_of(0.0, doubt), doubt, SENT).move is move


def test_I5_a_grace_period_is_over_after_another_boot() -> None:
    """Boot-time seconds of two boots may well look as if they followed each other."""
    plan = plan_of(contract=Contract(Reuse.GRACE, grace=30.0))
    soon = dataclasses.replace(SENT, boot=SENT.boot + 1.0)
    assert doubts.is_in_grace(plan, Doubt("refresh", SENT, "lost"), soon)
    assert not doubts.is_in_grace(plan, Doubt("refresh", SENT, "lost"), dataclasses.replace(soon, boot_id="boot-1"))


def test_a_grace_period_whose_start_lies_in_the_future_is_over() -> None:
    """Moments of this boot cannot; a journal copied from elsewhere can."""
    plan = plan_of(contract=Contract(Reuse.GRACE, grace=30.0))
    later = dataclasses.replace(SENT, boot=SENT.boot + 1e6)
    assert not doubts.is_in_grace(plan, Doubt("refresh", later, "lost"), SENT)


def test_I5_the_last_part_of_a_grace_period_is_left_unused() -> None:
    """A replay is to arrive inside it."""
    plan = plan_of(contract=Contract(Reuse.GRACE, grace=30.0))
    doubt = Doubt("refresh", SENT, "lost")
    assert doubts.advise(plan, state_of(None, doubt), doubt, SENT).before == SENT.boot + 27.0
    assert not doubts.is_in_grace(plan, doubt, dataclasses.replace(SENT, boot=SENT.boot + 28.0))


def test_I5_what_counts_as_spent_in_doubt_is_not_presented_inside_a_grace_period_either() -> None:
    rung = Rung("auth", frozenset({"refresh_token"}), is_final=True)
    plan = plan_of((rung,), Contract(Reuse.GRACE, grace=30.0))
    doubt = Doubt("auth", SENT, "lost")
    assert doubts.advise(plan, state_of(None, doubt), doubt, SENT).move is Move.PARK
