"""Readers are left without a lease: said once it has lasted, and once it is over.

A single failure is no news: the next try mends it.  But an account whose lease has ended, and whose renewal goes on
failing without anything that parks it (a service that is down, answers that get lost), must not stay silent.  Parked,
paused and retired accounts have been told of otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core.effects import Effect, Tell
from freshd.core.events import Event, Fields
from freshd.core.model import Moment
from freshd.core.state import Phase, Plan, State
from freshd.core.ways import is_on_demand, wants_lease

OVERDUE_SECONDS: Final = 120.0
"""How long a shortage lasts before it is told: beyond a restart and a few tries."""


def announce_shortage(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    """Mark when a shortage began, and tell of it when it has lasted, or is over."""
    if not _is_short(plan, state, now):
        over = [Tell(Event("renewal.recovered", plan.account))] if state.overdue and state.phase is Phase.LIVE else []
        is_overdue = state.overdue and state.phase in (Phase.SPENDING, Phase.UNSAVED)
        if state.short_since is None and is_overdue == state.overdue:
            return state, [*over]
        return replace(state, short_since=None, overdue=is_overdue), [*over]
    since = now.boot if state.short_since is None else state.short_since
    state = replace(state, short_since=since)
    if state.overdue or now.boot < since + OVERDUE_SECONDS:
        return state, []
    fields: Fields = {"for": round(now.boot - since), "last": state.last_outcome}
    return replace(state, overdue=True), [
        Tell(Event("renewal.overdue", plan.account, fields, f"freshd explain {plan.account}"))
    ]


def next_shortage(state: State) -> float | None:
    """Boot-time second at which a shortage will have lasted; None where there is none, or it was told."""
    if state.short_since is None or state.overdue or state.phase is Phase.PARKED:
        return None
    return state.short_since + OVERDUE_SECONDS


def _is_short(plan: Plan, state: State, now: Moment) -> bool:
    """Whether a reader who came now would go away with nothing."""
    if not state.booted or state.paused or state.retired or state.phase in (Phase.PARKED, Phase.VACANT):
        return False
    if state.until is not None and state.until > now.boot:
        return False
    if state.shared is not None and now.boot < state.shared_until:
        return False  # told once for all accounts of the service
    return wants_lease(state) if is_on_demand(plan) else True
