"""The life of an account: `step(plan, state, event, now) -> (state, effects)`, pure and total.

Rules
-----
1. Every phase takes every event: `TABLE` says which handler; a test walks all cells.
2. A handler says what has become true; it never starts anything.  `arrange` alone decides what is done next, from the
   state, so that no path can forget a flag, a pace or a doubt.
3. One flight at a time; its number is in the state, an ending with another number is late and changes nothing (I1).
4. A lease, once published, is only replaced by a newer one; no failure withdraws it (I9).
5. In doubt nothing spends but what `core.doubt` allows (I5); a doubt ends only with a new grant or with a refusal of
   the very secret it is about, whatever is tried in between.
6. Nothing here forgets a secret; RESET and `forget` name what goes, and exchange and keeper do it (I7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from freshd.core import beginnings, endings, hearsay, kin, lag
from freshd.core.arrange import arrange
from freshd.core.effects import Effect
from freshd.core.happenings import (
    Accepted,
    Booted,
    Broke,
    Committed,
    Demanded,
    Doubted,
    Due,
    Enrolling,
    Forced,
    Forgotten,
    Happening,
    Held,
    HostBack,
    KinChanged,
    Needed,
    Outdated,
    Paused,
    Probed,
    Reconfigured,
    Refusal,
    Refused,
    Relieved,
    Resumed,
    Retired,
    SaveFailed,
    Settled,
    Shared,
    Unable,
    Unsent,
)
from freshd.core.model import Moment, Standing
from freshd.core.state import Phase, Plan, State

Handler = Callable[[Plan, State, Happening, Moment], tuple[State, list[Effect]]]
P = Phase
IN_AIR: Final = frozenset({P.SPENDING, P.UNSAVED})


def step(plan: Plan, state: State, event: Happening, now: Moment) -> tuple[State, list[Effect]]:
    """The state after an event, and what to do about it, in order.  Total: never raises for any state and event."""
    after, told = TABLE[state.phase, type(event)](plan, state, event, now)
    final, more = arrange(plan, after, now)
    return final, [*told, *more]


def vacant(account: str) -> State:
    """An account nobody knows anything of yet."""
    return State(Phase.VACANT, Standing(account))


def _row(flying: Handler, parked: Handler | None, resting: Handler) -> dict[Phase, Handler]:
    at_rest = dict.fromkeys((P.VACANT, P.LIVE, P.DOUBTFUL, P.CLIMBING), resting)
    return {**at_rest, P.SPENDING: flying, P.UNSAVED: flying, P.PARKED: parked or resting}


def _everywhere(handler: Handler) -> dict[Phase, Handler]:
    return dict.fromkeys(Phase, handler)


_ENDING_ROW = _row(endings.ended, endings.late, endings.late)

ROWS: Final[Mapping[type, Mapping[Phase, Handler]]] = {
    Booted: _row(hearsay.nothing, beginnings.booted, beginnings.booted),
    Due: _row(hearsay.nothing, hearsay.due_while_parked, hearsay.nothing) | {P.UNSAVED: hearsay.save_again},
    Demanded: _everywhere(hearsay.demanded),
    Forced: _row(hearsay.nothing, hearsay.forced_while_parked, hearsay.forced) | {P.DOUBTFUL: hearsay.nothing},
    Refused: _row(hearsay.refused_quietly, hearsay.refused_quietly, hearsay.refused)
    | {P.DOUBTFUL: hearsay.refused_in_doubt},
    Accepted: _everywhere(hearsay.accepted),
    Probed: _everywhere(hearsay.nothing) | {P.DOUBTFUL: hearsay.probed},
    Enrolling: _row(hearsay.nothing, beginnings.enrolling, beginnings.enrolling),
    **dict.fromkeys((Committed, Refusal, Doubted, Unsent, Held, Outdated, Unable, Broke), _ENDING_ROW),
    SaveFailed: _row(endings.save_failed, endings.late, endings.late),
    Relieved: _everywhere(beginnings.relieved),
    KinChanged: _everywhere(kin.kin_changed),
    Needed: _everywhere(kin.needed),
    Paused: _everywhere(hearsay.paused),
    Resumed: _everywhere(hearsay.resumed),
    Retired: _everywhere(hearsay.retired),
    HostBack: _row(hearsay.nothing, hearsay.host_back, hearsay.host_back),
    Shared: _everywhere(hearsay.shared),
    Reconfigured: _row(hearsay.returned, hearsay.reconfigured_while_parked, hearsay.returned),
    Settled: _everywhere(lag.settled),
    Forgotten: _everywhere(beginnings.forgotten),
}

TABLE: Final[Mapping[tuple[Phase, type], Handler]] = MappingProxyType(
    {(phase, event): handler for event, row in ROWS.items() for phase, handler in row.items()}
)


def is_in_air(state: State) -> bool:
    """Whether a flight of this account is under way."""
    return state.phase in IN_AIR
