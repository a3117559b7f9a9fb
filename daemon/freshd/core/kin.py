"""Accounts of one family that need each other: what they hear of each other.  Handlers of `core.lifecycle`.

Rules
-----
* An account knows of its relatives the names of what they hold and whether they can help, never a secret.
* Who needs whom stands in the ladder: a rung's `needs` name "ACCOUNT/NAME", a rung's `asks` names an account.
* Asking sends nothing.  The relative renews by its own ladder, pace and doubt, once for all that asked (I1, I6).
* Whoever asked waits until its own record brings something new, or until the relative cannot help.
* A renewal that brought us nothing is no reason for another one: what else is open now is tried, and the relative is
  asked again after a wait that doubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.arrange import RELATIVE, unpark
from freshd.core.beginnings import recovered
from freshd.core.effects import Effect
from freshd.core.happenings import Happening, KinChanged
from freshd.core.model import Moment
from freshd.core.state import Phase, Plan, State, Want
from freshd.core.ways import why_helpless

Outcome = tuple[State, list[Effect]]
UNHELPED_SECONDS: Final = 900.0
UNHELPED_CAP_SECONDS: Final = 21_600.0
"""A quarter of a day: whatever one member lacks, the others keep most of the logins that a day has."""


def relatives(plan: Plan) -> frozenset[str]:
    """The accounts that this one's ladder names."""
    needed = {name.partition("/")[0] for rung in plan.ladder for name in rung.needs if "/" in name}
    return frozenset(needed | {rung.asks for rung in plan.ladder if rung.asks is not None})


def word_of(plan: Plan, state: State, *, renewed: bool) -> KinChanged:
    """What an account's relatives are told of it."""
    return KinChanged(plan.account, state.standing.held, why_helpless(plan, state), renewed)


def kin_changed(_plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """A relative stands otherwise: it may help now, or not any more; whoever waited for it looks again."""
    if not isinstance(event, KinChanged):
        return state, []
    own = {name for name in state.kin_held if not name.startswith(f"{event.account}/")}
    held = frozenset(own | {f"{event.account}/{name}" for name in event.held})
    heard = replace(state, kin_held=held, helpless=_helpless(state.helpless, event))
    if state.asked and event.helpless is not None:
        heard = replace(heard, asked=False)
    elif state.asked and event.renewed:
        heard = _unhelped(heard, now)
    if heard.parked is None or heard.phase is not Phase.PARKED or event.helpless is not None:
        return heard, []
    if not heard.parked.code.startswith(RELATIVE):
        return heard, []
    return replace(unpark(heard), parked=None), recovered(heard)


def parted(state: State) -> State:
    """What relatives told that are none any more is forgotten: nobody answers what was asked of them."""
    return replace(state, asked=False, helpless=MappingProxyType({}), kin_held=frozenset())


def _unhelped(state: State, now: Moment) -> State:
    """The relative has renewed, and nothing of it was for us."""
    wait = min(UNHELPED_SECONDS * 2.0**state.unhelped, UNHELPED_CAP_SECONDS)
    waiting = replace(state, asked=False, unhelped=min(state.unhelped + 1, 16), ask_from=now.boot + wait)
    return replace(unpark(waiting), next_rung=None) if state.phase is Phase.CLIMBING else waiting


def needed(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """A relative cannot go on without us: as if a lease of ours had been refused."""
    return replace(state, want=max(state.want, Want.HEAL)), []


def _helpless(known: Mapping[str, str], event: KinChanged) -> Mapping[str, str]:
    others = {name: why for name, why in known.items() if name != event.account}
    return MappingProxyType(others if event.helpless is None else {**others, event.account: event.helpless})
