"""How long what an account holds will live, on this boot's clock, and the early word about every end (design 7).

A grant has two ends.  One comes if it is not used: renewing puts it off, and it is announced only where renewing should
have happened by then.  The other comes whatever is renewed, and is announced from a month ahead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core import policy
from freshd.core.age import age, left
from freshd.core.effects import Effect, Tell
from freshd.core.events import Event, Fields
from freshd.core.model import Moment, Standing
from freshd.core.state import Phase, Plan, State
from freshd.core.ways import top

UNUSED: Final = "unused"
FINAL: Final = "final"


def aged(plan: Plan, state: State, standing: Standing, now: Moment, high_water: float) -> State:
    """The state with what the vault holds now, and the boot-time seconds at which each part of it ends."""
    until = None
    unproven = False
    if standing.lease is not None:
        until = now.boot + left(standing.lease.sent, standing.lease.valid_for, now, high_water)
        unproven = not age(standing.lease.sent, now, high_water).proven
    unused = _end(standing.obtained, standing.valid_for or plan.contract.idle_life, now, high_water)
    final = _end(standing.enrolled, standing.absolute_for or plan.contract.absolute_life, now, high_water)
    is_same = standing.lineage == state.standing.lineage
    return replace(
        state, standing=standing, until=until, unproven=unproven,
        grant_until=unused[0], grant_life=unused[1], final_until=final[0], final_life=final[1],
        warned=state.warned if is_same else None, final_warned=state.final_warned if is_same else None,
    )  # fmt: skip


def grant_end(state: State) -> float | None:
    """Boot-time second at which the grant ends, one way or the other."""
    return min((end for end in (state.grant_until, state.final_until) if end is not None), default=None)


def announce_ends(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    """Say early, in shrinking steps, that the grant ends."""
    final, told = _announced(plan, state.final_until, state.final_life, state.final_warned, now, FINAL)
    unused: float | None = None
    if _is_overdue(plan, state, now):
        unused, more = _announced(plan, state.grant_until, state.grant_life, state.warned, now, UNUSED)
        told = [*told, *more]
    if (final, unused) == (state.final_warned, state.warned):
        return state, told  # as nearly always: this is asked at every step of every account
    return replace(state, final_warned=final, warned=unused), told


def next_announcement(state: State, now: Moment) -> float | None:
    """Boot-time second of the next step of either end; None when none is to come."""
    waits = [
        policy.next_warning(until - now.boot, life)
        for until, life in ((state.grant_until, state.grant_life), (state.final_until, state.final_life))
        if until is not None and life is not None
    ]
    return min((now.boot + wait for wait in waits if wait is not None), default=None)


def _is_overdue(plan: Plan, state: State, now: Moment) -> bool:
    """Whether the grant should have been renewed by now, or cannot be: only then its unused end is worth a word."""
    if state.grant_until is None or state.grant_life is None or not state.standing.held:
        return False
    lead = policy.grant_lead(state.grant_life, plan.margins)
    if state.phase is Phase.PARKED or state.paused or state.retired:
        return True
    return top(plan, state) is None or state.grant_until - now.boot < lead / 2


def _announced(
    plan: Plan, until: float | None, life: float | None, warned: float | None, now: Moment, which: str
) -> tuple[float | None, list[Effect]]:
    if until is None or life is None:
        return None, []
    step = policy.warning_step(until - now.boot, life)
    if step is None or (warned is not None and warned <= step):
        return step, []
    fields: Fields = {"seconds_left": round(until - now.boot), "which": which}
    return step, [Tell(Event("grant.ending", plan.account, fields, f"freshd enrol {plan.account}"))]


def _end(since: Moment | None, life: float | None, now: Moment, high_water: float) -> tuple[float | None, float | None]:
    if since is None or life is None:
        return None, None
    return now.boot + left(since, life, now, high_water), life
