"""How flights end, and how accounts come to be.  Handlers of `core.lifecycle`; see its rules.

An ending belongs to one attempt.  An enrolment that fails leaves the lineage in force untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from freshd.core import ladder
from freshd.core.age import age, left
from freshd.core.arrange import finish, park, publish, unusable
from freshd.core.contract import Reuse
from freshd.core.effects import Effect, Fly, Tell, Withdraw
from freshd.core.events import Event, Fields
from freshd.core.happenings import (
    Booted,
    Broke,
    Committed,
    Doubted,
    Enrolling,
    Happening,
    Held,
    Outdated,
    Refusal,
    SaveFailed,
    Unable,
    Unsent,
)
from freshd.core.model import Earlier, Intent, Moment, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.state import REFUSED_IN_A_ROW, Doubt, Parked, Phase, Plan, State, Want, doubt_of

Outcome = tuple[State, list[Effect]]
BUG_WAIT_SECONDS: Final = 300.0
UNKNOWN_CODE_WAIT_SECONDS: Final = 300.0
"""An unknown refusal stops this round: nothing for this long, and then no faster than the back-off."""
UNAVAILABLE_WAIT_SECONDS: Final = 900.0
SETTLES_DOUBT: Final = frozenset({Remedy.CLIMB, Remedy.RESET, Remedy.PERSON})
"""Refusals that judge the secret itself.  Any other (slow down, bad client) says nothing of what came of it before."""
UNABLE_WAIT_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Our own store, keyring or vault could not: nothing was sent, so trying again soon costs nothing."""


def booted(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """What the vault knows becomes the state; a valid lease is served at once (I9)."""
    if not isinstance(event, Booted):
        return state, []
    standing, intent = event.standing, event.standing.intent
    doubt = None if intent is None or intent.lineage != standing.lineage else _doubt_left(intent)
    phase = Phase.LIVE if standing.generation else Phase.VACANT
    phase = phase if doubt is None else Phase.DOUBTFUL
    fresh = replace(
        _aged(plan, state, standing, now, event.high_water), booted=True, phase=phase, resting=phase, doubt=doubt,
        not_before=0.0, enrolling=False, next_rung=None, paused=state.paused or standing.paused,
    )  # fmt: skip
    if unusable(plan, standing) is not None:
        return fresh, publish(fresh)
    told = _recovered(state)
    fresh = replace(fresh, parked=None)
    flying, more = finish(fresh)
    if more:
        return flying, [*publish(flying), *told, *more]
    return fresh, [*publish(fresh), *told, *_grant_gone(plan, fresh, now)]


def ended(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """Any ending: late ones are told and change nothing."""
    if getattr(event, "attempt", None) != state.attempt:
        return late(plan, state, event, now)
    resting = replace(state, phase=state.resting)
    saved = [Tell(Event("save.recovered", state.standing.account))] if state.phase is Phase.UNSAVED else []
    if state.enrolling and not isinstance(event, Committed):
        after, told = _enrolment_failed(plan, replace(resting, enrolling=False), event, now)
    else:
        after, told = _ENDINGS[type(event)](plan, resting, event, now)
    return after, [*saved, *_replayed(plan, resting, event), *told]


def late(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """An ending nobody waits for any more."""
    return state, [Tell(Event("flight.late", state.standing.account, {"ending": type(event).__name__}))]


def enrolling(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """Exchange what a person obtained, whatever state the old lineage is in; a pause does not stop a person."""
    if not isinstance(event, Enrolling) or state.retired or not state.booted:
        return state, []
    attempt, earlier = state.attempt + 1, () if state.doubt is None else state.doubt.stack
    flying = replace(state, phase=Phase.SPENDING, resting=state.phase, attempt=attempt, rung=event.rung, enrolling=True)
    return flying, [Fly(attempt, event.rung, earlier=earlier, candidate=event.candidate, material=event.material)]


def save_failed(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """Answered and not durable: nothing is published, writing is tried again, and it is shouted."""
    if not isinstance(event, SaveFailed) or event.attempt != state.attempt:
        return late(plan, state, event, now)
    if state.phase is Phase.UNSAVED:
        return state, []
    advice = "make room in, or repair, the state directory: freshd doctor"
    told = Event("save.failed", state.standing.account, {"cause": event.cause}, advice)
    return replace(state, phase=Phase.UNSAVED), [Tell(told)]


def forgotten(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """Erased by an operator: nothing is known any more; flights in the air become late."""
    empty = State(
        Phase.VACANT, Standing(state.standing.account), attempt=state.attempt + 1, booted=state.booted,
        paused=state.paused, retired=state.retired, not_before=state.not_before,
    )  # fmt: skip
    return empty, [Withdraw(), Tell(Event("account.forgotten", state.standing.account))]


# -- one function per ending ----------------------------------------------------------------------------------------


def _committed(plan: Plan, state: State, event: Committed, now: Moment) -> Outcome:
    account, standing = state.standing.account, event.standing
    if state.enrolling and standing.withheld and standing.generation == state.standing.generation:
        return _stranger_enrolled(state, standing.withheld)
    is_new = state.suspect is not None and standing.lease is not None and standing.lease.fingerprint != state.suspect
    is_stopped = state.refused >= REFUSED_IN_A_ROW
    healed = is_new and not is_stopped
    doubt = state.doubt if _leaves_doubt(plan, state) else None
    told: list[Effect] = _cleared(plan, replace(state, doubt=None if doubt else state.doubt))
    if state.enrolling:
        told.append(Tell(Event("account.enrolled", account, {"rung": state.rung})))
    barren = state.barren + 1 if standing.lease is None or standing.lease == state.lease else 0
    told += _answer_told(state, event, is_barren=barren > 0)
    if healed or (is_stopped and state.suspect is None):
        told.append(Tell(Event("lease.healed", account, {"rung": state.rung})))
    outcome = "wrong-identity" if standing.withheld else "no-token" if barren else "ok"
    fresh = replace(
        _aged(plan, state, standing, now, 0.0), phase=Phase.DOUBTFUL if doubt else Phase.LIVE, next_rung=None,
        doubt=doubt, parked=None, want=Want.NOTHING, suspect=None if is_new else state.suspect, fresh=is_new,
        refused=state.refused if is_new else 0, barren=barren, failures=0, enrolling=False,
        not_before=now.boot + (2.0 ** min(barren, 9) if barren else 0.0), last_outcome=outcome,
        refreshes=state.refreshes + 1, heals=state.heals + healed,
    )  # fmt: skip
    if standing.withheld:
        advice = f"enrol with the right identity: freshd enrol {account}"
        parked, more = park(fresh, Parked("wrong-identity", Remedy.PERSON, advice))
        return parked, [*told, Tell(Event("identity.wrong", account, {"why": standing.withheld})), *more]
    return fresh, [*publish(fresh), *told, *_grant_gone(plan, fresh, now)]


def _answer_told(state: State, event: Committed, *, is_barren: bool) -> list[Effect]:
    """What came of an answer, and what of it could not be used; of one for somebody else `identity.wrong` tells."""
    account, standing = state.standing.account, event.standing
    if standing.withheld:
        return []
    fields: Fields = {"rung": state.rung, "generation": standing.generation}
    odd = "; ".join(f"{name}: {what}" for name, what in sorted(event.notes.items()) if what != "omitted")
    if is_barren:
        return [Tell(Event("refresh.without-token", account, {**fields, "odd": odd or None}))]
    told: list[Effect] = [Tell(Event("refresh.succeeded", account, fields))]
    return [*told, Tell(Event("answer.odd", account, {"odd": odd}))] if odd else told


def _leaves_doubt(plan: Plan, state: State) -> bool:
    """A lease that cost nothing says nothing of the secret in doubt (I5)."""
    rung = ladder.find(plan.ladder, state.rung or "")
    return state.doubt is not None and not state.enrolling and rung is not None and not rung.spends


def _stranger_enrolled(state: State, why: str) -> Outcome:
    """Somebody else enrolled: the vault set the answer aside and left the lineage in force alone, and so do we."""
    account = state.standing.account
    told = Event("enrolment.failed", account, {"code": "wrong-identity"}, f"freshd enrol {account}")
    after = replace(state, enrolling=False, last_outcome="wrong-identity")
    return after, [Tell(Event("identity.wrong", account, {"why": why})), Tell(told)]


def _rejected(plan: Plan, state: State, event: Refusal, now: Moment) -> Outcome:
    rejected: Rejected = event.rejected
    account = state.standing.account
    is_new = state.last_outcome != rejected.code
    state = replace(
        state, standing=_told_of(state, event.standing), last_outcome=rejected.code, failures=state.failures + 1
    )
    settled = state.doubt
    if settled is not None and settled.rung == state.rung and rejected.remedy in SETTLES_DOUBT:
        state = replace(state, phase=Phase.LIVE, doubt=doubt_of(settled.earlier, settled.why))
    was_doubtful = settled is not None and settled.told and state.doubt is None
    fields = {"code": rejected.code, "rung": state.rung, "needs": rejected.remedy.value, "detail": rejected.detail}
    told: list[Effect] = [Tell(Event("refresh.rejected", account, fields))]
    if was_doubtful:
        told.append(Tell(Event("doubt.resolved", account, {"spent": rejected.remedy is Remedy.CLIMB})))
    if not rejected.known:
        advice = f"freshd explain {account}"
        told += [Tell(Event("code.unknown", account, {"code": rejected.code}, advice))] if is_new else []
        state = replace(state, not_before=now.boot + UNKNOWN_CODE_WAIT_SECONDS)
    after, more = _apply_remedy(plan, state, rejected, now)
    return after, [*told, *more]


def _apply_remedy(plan: Plan, state: State, rejected: Rejected, now: Moment) -> Outcome:
    account = state.standing.account
    match rejected.remedy:
        case Remedy.WAIT:
            wait = now.boot + (rejected.retry_after or 0.0)
            return replace(state, not_before=max(state.not_before, wait)), []
        case Remedy.CLIMB | Remedy.RESET:
            return _climb(plan, state, rejected)
        case Remedy.REREAD:
            return replace(state, not_before=now.boot + UNABLE_WAIT_SECONDS[0]), []
        case Remedy.PERSON:
            return park(state, Parked(rejected.code, Remedy.PERSON, f"freshd enrol {account}"))
        case Remedy.CONFIG:
            advice = f"correct the account's configuration, then reload: freshd explain {account}"
            return park(state, Parked(rejected.code, Remedy.CONFIG, advice))
        case Remedy.UNAVAILABLE:
            advice = f"freshd explain {account}"
            return park(state, Parked(rejected.code, rejected.remedy, advice, now.boot + UNAVAILABLE_WAIT_SECONDS))
        case Remedy.BUG:
            return park(state, Parked(rejected.code, Remedy.BUG, f"freshd explain {account}; please report it"))


def _climb(plan: Plan, state: State, rejected: Rejected) -> Outcome:
    account = state.standing.account
    lower = ladder.below(plan.ladder, state.rung or "", state.standing.held)
    if lower is None:
        return park(state, Parked(rejected.code, Remedy.PERSON, f"freshd enrol {account}"))
    told = Tell(Event("climb.started", account, {"rung": lower.name, "why": rejected.code}))
    return replace(state, phase=Phase.CLIMBING, next_rung=lower.name), [told]


def _doubted(_plan: Plan, state: State, event: Doubted, now: Moment) -> Outcome:
    rung = state.rung or ""
    known = state.doubt
    if known is not None and known.rung == rung:
        doubt = known.lost_again(event.why, event.replays, now)
    else:
        doubt = Doubt(rung, event.sent, event.why, event.replays, risky=event.replays, last=now.boot)
        if known is not None:
            doubt = replace(doubt, earlier=known.stack, told=known.told)
    return replace(
        state, phase=Phase.DOUBTFUL, next_rung=None, doubt=doubt, failures=state.failures + 1, last_outcome="lost"
    ), []


def _unsent(_plan: Plan, state: State, event: Unsent, _now: Moment) -> Outcome:
    failures = state.failures + 1
    told = Tell(Event("refresh.not-sent", state.standing.account, {"reason": event.reason, "in_a_row": failures}))
    return replace(state, failures=failures, last_outcome="not-sent"), [told]


def _held(_plan: Plan, state: State, event: Held, now: Moment) -> Outcome:
    return replace(state, not_before=now.boot + event.wait), []


def _outdated(plan: Plan, state: State, event: Outdated, now: Moment) -> Outcome:
    standing = _with_verdicts(replace(event.standing, settled=state.standing.settled), state.standing)
    phase = Phase.LIVE if standing.generation else Phase.VACANT
    is_same = (standing.lineage, standing.obtained) == (state.standing.lineage, state.standing.obtained)
    doubt = state.doubt if is_same else None
    phase = phase if doubt is None else Phase.DOUBTFUL
    fresh = replace(_aged(plan, state, standing, now, 0.0), phase=phase, doubt=doubt, next_rung=None)
    resolved = [] if doubt is not None else _cleared(plan, replace(state, parked=None))
    return fresh, [*publish(fresh), Tell(Event("record.newer", state.standing.account)), *resolved]


def _with_verdicts(standing: Standing, known: Standing) -> Standing:
    """What was read, and what had been found of the very same grant, which a bare record does not tell (I5)."""
    if (standing.lineage, standing.generation) != (known.lineage, known.generation):
        return standing
    return replace(
        standing, held=standing.held - known.dead.keys(), dead=known.dead, withheld=known.withheld,
        held_back=known.held_back,
    )  # fmt: skip


def _unable(_plan: Plan, state: State, event: Unable, now: Moment) -> Outcome:
    failures = state.failures + 1
    wait = UNABLE_WAIT_SECONDS[min(failures, len(UNABLE_WAIT_SECONDS)) - 1]
    fields = {"type": event.type, "cause": event.cause}
    is_new = state.last_outcome != event.type
    told = [Tell(Event("refresh.unable", state.standing.account, fields, event.remedy))] if is_new else []
    return replace(state, failures=failures, not_before=now.boot + wait, last_outcome=event.type), [*told]


def _broke(_plan: Plan, state: State, event: Broke, now: Moment) -> Outcome:
    advice = f"freshd explain {state.standing.account}; please report it"
    outcome = f"bug:{event.kind}"
    told = [Tell(Event("bug", state.standing.account, {"kind": event.kind}, advice))]
    after = replace(state, failures=state.failures + 1, not_before=now.boot + BUG_WAIT_SECONDS, last_outcome=outcome)
    return after, [*told] if state.last_outcome != outcome else []


_ENDINGS: Final[Mapping[type, Callable[[Plan, State, Any, Moment], Outcome]]] = {
    Committed: _committed,
    Refusal: _rejected,
    Doubted: _doubted,
    Unsent: _unsent,
    Held: _held,
    Outdated: _outdated,
    Unable: _unable,
    Broke: _broke,
}


def _enrolment_failed(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    code = event.rejected.code if isinstance(event, Refusal) else type(event).__name__.lower()
    after, read = _outdated(plan, state, event, now) if isinstance(event, Outdated) else (state, [])
    standing = _told_of(after, event.standing if isinstance(event, Refusal) else None)
    after = replace(after, standing=standing, last_outcome=code)
    if isinstance(event, Held) or (isinstance(event, Refusal) and event.rejected.remedy is Remedy.WAIT):
        return after, []
    told = Event("enrolment.failed", state.standing.account, {"code": code}, f"freshd enrol {state.standing.account}")
    return after, [*read, Tell(told)]


def _told_of(state: State, told: Standing | None) -> Standing:
    """How it stands after an attempt without a new grant; that the journal may be an old copy none can tell (I5)."""
    return state.standing if told is None else replace(told, held_back=state.standing.held_back)


def _replayed(plan: Plan, state: State, event: Happening) -> list[Effect]:
    """A replay counts once something came of it: one that never left is none."""
    doubt = state.doubt
    if plan.contract.reuse is Reuse.REUSABLE:
        return []
    if doubt is None or not doubt.told or state.phase is not Phase.DOUBTFUL or doubt.rung != state.rung:
        return []
    if state.enrolling or not isinstance(event, Committed | Refusal | Doubted):
        return []
    fields: Fields = {"replays": doubt.replays + 1, "why": doubt.why}
    return [Tell(Event("doubt.replayed", state.standing.account, fields))]


def _recovered(state: State) -> list[Effect]:
    if state.parked is None:
        return []
    return [Tell(Event("account.recovered", state.standing.account, {"was": state.parked.code}))]


def _cleared(plan: Plan, state: State) -> list[Effect]:
    account = state.standing.account
    told: list[Effect] = []
    if state.doubt is not None and state.doubt.told and plan.contract.reuse is not Reuse.REUSABLE:
        told.append(Tell(Event("doubt.resolved", account, {"spent": False})))
    return [*told, *_recovered(state)]


def _aged(plan: Plan, state: State, standing: Standing, now: Moment, high_water: float) -> State:
    until = grant_until = grant_life = None
    unproven = False
    if standing.lease is not None:
        until = now.boot + left(standing.lease.sent, standing.lease.valid_for, now, high_water)
        unproven = not age(standing.lease.sent, now, high_water).proven
    ends = []
    for since, life in (
        (standing.obtained, standing.valid_for or plan.contract.idle_life),
        (standing.enrolled, standing.absolute_for or plan.contract.absolute_life),
    ):
        if since is not None and life is not None:
            ends.append((now.boot + left(since, life, now, high_water), life))
    if ends:
        grant_until, grant_life = min(ends)
    return replace(
        state, standing=standing, until=until, unproven=unproven, grant_until=grant_until, grant_life=grant_life
    )


def _doubt_left(intent: Intent) -> Doubt | None:
    """The doubt that an unfinished attempt leaves on the lineage in force; an enrolment what it was made over."""
    own = Earlier(intent.rung, intent.doubted or intent.sent, intent.replays)
    stack = intent.earlier if intent.candidate is not None else (*intent.earlier, own)
    return doubt_of(stack, "stopped between intent and answer")


def _grant_gone(plan: Plan, state: State, now: Moment) -> list[Effect]:
    """Say that no way is left which freshd could take by itself; an account never enrolled is not told of."""
    if state.standing.generation == 0 or ladder.top(plan.ladder, state.standing.held) is not None:
        return []
    left_now = None if state.until is None else round(state.until - now.boot)
    return [Tell(Event("grant.gone", plan.account, {"usable_for": left_now}, f"freshd enrol {plan.account}"))]
