"""The service itself said no: what its refusal calls for.  Handlers of `core.lifecycle`; see its rules.

One table per provider has made a remedy of the code; here every remedy is one thing to do.  No refusal forgets anything
but what it names (I7), and none settles a doubt but one that judges the very secret that is in doubt (I5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core.arrange import park, stuck
from freshd.core.effects import Compare, Effect, Tell, Withdraw
from freshd.core.events import Event
from freshd.core.happenings import Refusal
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.pace import RETRY_AFTER_CAP
from freshd.core.state import Parked, Phase, Plan, State, Want, doubt_of
from freshd.core.ways import barred_until, below, tried_of

Outcome = tuple[State, list[Effect]]
UNKNOWN_CODE_WAIT_SECONDS: Final = 300.0
"""An unknown refusal stops this round: nothing for this long, and then no faster than the back-off."""
UNAVAILABLE_WAIT_SECONDS: Final = 900.0
SETTLES_DOUBT: Final = frozenset({Remedy.CLIMB, Remedy.RESET, Remedy.PERSON})
"""Refusals that judge the secret itself.  Any other (slow down, bad client) says nothing of what came of it before."""
CLIMBS_MOST: Final = 3
"""Refused rungs without a lease in between, after which the whole ladder rests: it would go round in circles."""
REREAD_WAIT_SECONDS: Final = 0.5
SHARED_WAIT_SECONDS: Final = 600.0
"""How often a service is asked again that refuses several accounts at once."""


def rejected(plan: Plan, state: State, event: Refusal, now: Moment) -> Outcome:
    """What a refusal changes, and what is tried next."""
    refusal: Rejected = event.rejected
    account = state.standing.account
    is_new = state.last_outcome != refusal.code
    had_lease = state.lease is not None
    tried = event.tried or tried_of(state, now)
    state = replace(
        state, standing=told_of(state, event.standing), last_outcome=refusal.code, failures=state.failures + 1
    )
    settled = state.doubt
    is_believed = tried.believes(refusal)
    judges = refusal.remedy in SETTLES_DOUBT and is_believed
    if settled is not None and settled.rung == state.rung and judges:
        rest = doubt_of(settled.earlier, settled.why)
        state = replace(state, phase=Phase.LIVE if rest is None else Phase.DOUBTFUL, doubt=rest)
    was_doubtful = settled is not None and settled.told and state.doubt is None
    fields = {"code": refusal.code, "rung": state.rung, "needs": refusal.remedy.value, "detail": refusal.detail}
    told: list[Effect] = [Tell(Event("refresh.rejected", account, fields))]
    if was_doubtful:
        told.append(Tell(Event("doubt.resolved", account, {"spent": refusal.remedy is Remedy.CLIMB})))
    if not refusal.known:
        advice = f"freshd explain {account}"
        told += [Tell(Event("code.unknown", account, {"code": refusal.code}, advice))] if is_new else []
        state = replace(state, not_before=now.boot + UNKNOWN_CODE_WAIT_SECONDS, barred=state.rung)
    if refusal.host is not None:
        told.append(Compare(refusal.host))
        if refusal.host == tried.shared:
            return replace(state, not_before=now.boot + SHARED_WAIT_SECONDS, barred=state.rung), told
    if not is_believed:
        tried = tried.once_more(refusal)
        wait = refusal.waits[tried.times - 1]
        return replace(state, tried=tried, not_before=now.boot + wait, barred=state.rung), told
    if had_lease and refusal.remedy is Remedy.RESET:
        state = replace(state, want=max(state.want, Want.HEAL))
    after, more = _apply_remedy(plan, state, refusal, now)
    if had_lease and state.lease is None:
        more = [Withdraw(), Tell(Event("lease.withdrawn", account, {"code": refusal.code})), *more]
    return after, [*told, *more]


def _apply_remedy(plan: Plan, state: State, refusal: Rejected, now: Moment) -> Outcome:
    account = state.standing.account
    match refusal.remedy:
        case Remedy.WAIT:
            wait = now.boot + min(refusal.retry_after or 0.0, RETRY_AFTER_CAP)
            return replace(state, not_before=max(barred_until(state, state.rung or ""), wait), barred=state.rung), []
        case Remedy.CLIMB:
            return _climb(plan, state, refusal, now)
        case Remedy.RESET:
            return _reset(state, refusal, now)
        case Remedy.REREAD:
            return replace(state, not_before=now.boot + REREAD_WAIT_SECONDS, barred=None), []
        case Remedy.PERSON:
            return park(
                state, Parked(refusal.code, Remedy.PERSON, f"freshd enrol {account}", None, refusal.detail), now
            )
        case Remedy.CONFIG:
            advice = f"mend it, in the configuration or at the service, then reload, or: freshd refresh {account}"
            return park(state, Parked(refusal.code, Remedy.CONFIG, advice, None, refusal.detail), now)
        case Remedy.UNAVAILABLE:
            return _unavailable(state, refusal, now)
        case Remedy.BUG:
            advice = f"freshd explain {account}; please report it"
            return park(state, Parked(refusal.code, Remedy.BUG, advice, None, refusal.detail), now)


def _climb(plan: Plan, state: State, refusal: Rejected, now: Moment) -> Outcome:
    """Take the next way down; whoever climbed again and again without a lease in between waits for a while."""
    account = state.standing.account
    lower = below(plan, state, state.rung or "")
    if lower is None and state.helpless:
        return stuck(plan, state, now)
    if lower is None:
        return park(state, Parked(refusal.code, Remedy.PERSON, f"freshd enrol {account}", None, refusal.detail), now)
    if not refusal.known:
        state = replace(state, barred=lower.name)
    if state.climbs >= CLIMBS_MOST:
        return _unavailable(replace(state, climbs=0), refusal, now)
    told = Tell(Event("climb.started", account, {"rung": lower.name, "why": refusal.code}))
    return replace(state, phase=Phase.CLIMBING, next_rung=lower.name, climbs=state.climbs + 1), [told]


def _reset(state: State, refusal: Rejected, now: Moment) -> Outcome:
    """What the lease was made of is forgotten: the same rung once more, and if that is refused too, later.

    Whoever had a lease is made a new one at once.
    """
    state = replace(state, until=None, suspect=None)
    if state.resets:
        return _unavailable(state, refusal, now)
    told = Tell(Event("climb.started", state.standing.account, {"rung": state.rung, "why": refusal.code}))
    return replace(state, phase=Phase.CLIMBING, next_rung=state.rung, resets=1), [told]


def _unavailable(state: State, refusal: Rejected, now: Moment) -> Outcome:
    advice = f"freshd explain {state.standing.account}"
    until = now.boot + UNAVAILABLE_WAIT_SECONDS
    return park(state, Parked(refusal.code, Remedy.UNAVAILABLE, advice, until, refusal.detail), now)


def told_of(state: State, told: Standing | None) -> Standing:
    """How it stands after an attempt without a new grant; that the journal may be an old copy none can tell (I5)."""
    return state.standing if told is None else replace(told, held_back=state.standing.held_back)
