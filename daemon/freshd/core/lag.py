"""The OS keyring does not hold the newest grant: said at once, said again as the lease runs out, louder without it.

While it lags, an account renews only where readers would go without (`doubt.due_at`); what it renews then rests in the
journal alone.  The word is repeated each time half of the time is gone that was left the last time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core.effects import Effect, Tell
from freshd.core.events import Event
from freshd.core.happenings import Happening, Settled
from freshd.core.model import Moment
from freshd.core.state import Plan, State

AGAIN_AT: Final = 0.5
LEAST_SECONDS: Final = 60.0
"""Below this nothing is repeated: the renewal comes next, and is told."""


def settled(_plan: Plan, state: State, event: Happening, _now: Moment) -> tuple[State, list[Effect]]:
    """The keyring caught up, or fell behind."""
    if not isinstance(event, Settled):
        return state, []
    after = replace(state, standing=replace(state.standing, settled=event.settled), lagging=not event.settled)
    if after.lagging:
        return after, []  # `announce_lag` tells it
    told = Event("keyring.settled", state.standing.account, {"renewed_meanwhile": state.alone})
    return replace(after, lag_told=None, alone=0), [Tell(told)] if state.lagging else []


def renewed(before: State, after: State, now: Moment) -> tuple[State, list[Effect]]:
    """A new grant was committed while the keyring lagged: the journal alone has it."""
    if not before.lagging or after.standing.generation == before.standing.generation:
        return after, []
    alone = before.alone + 1
    told = Event("keyring.bypassed", after.standing.account, {"in_a_row": alone})
    return replace(after, alone=alone, lag_told=_left(after, now)), [Tell(told)]


def announce_lag(state: State, now: Moment) -> tuple[State, list[Effect]]:
    """Say that it lags, and again as the time shrinks."""
    again = next_lag(state)
    if not state.lagging or (state.lag_told is not None and (again is None or now.boot < again)):
        return state, []
    left = _left(state, now)
    told = Event("keyring.unsettled", state.standing.account, {"usable_for": round(left)})
    return replace(state, lag_told=left), [Tell(told)]


def next_lag(state: State) -> float | None:
    """Boot-time second at which it is said again; None where it is not."""
    if not state.lagging or state.lag_told is None or state.until is None:
        return None
    left = state.lag_told * AGAIN_AT
    return state.until - left if left > LEAST_SECONDS else None


def _left(state: State, now: Moment) -> float:
    """Seconds that the lease in hand is good for."""
    return 0.0 if state.until is None else max(0.0, state.until - now.boot)
