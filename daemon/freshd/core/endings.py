"""How flights end.  Handlers of `core.lifecycle`; see its rules.

An ending belongs to one attempt.  An enrolment that fails leaves the lineage in force untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from freshd.core import ladder
from freshd.core.arrange import park, publish, unusable
from freshd.core.beginnings import grant_gone, recovered
from freshd.core.effects import Compare, Effect, Tell
from freshd.core.events import Event, Fields
from freshd.core.happenings import (
    Broke,
    Committed,
    Doubted,
    Happening,
    Held,
    Outdated,
    Refusal,
    SaveFailed,
    Unable,
    Unsent,
)
from freshd.core.lag import renewed
from freshd.core.life import aged
from freshd.core.model import Moment, Standing
from freshd.core.outcome import UNTRIED, Remedy
from freshd.core.refusals import rejected, told_of
from freshd.core.state import REFUSED_IN_A_ROW, Doubt, Enrolled, Parked, Phase, Plan, State, Want
from freshd.core.ways import is_quiet

Outcome = tuple[State, list[Effect]]
BUG_WAIT_SECONDS: Final = 300.0
UNABLE_WAIT_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Our own store, keyring or vault could not: nothing was sent, so trying again soon costs nothing."""


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


def save_failed(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """Answered and not durable: nothing is published, writing is tried again, and it is shouted."""
    if not isinstance(event, SaveFailed) or event.attempt != state.attempt:
        return late(plan, state, event, now)
    if state.phase is Phase.UNSAVED:
        return state, []
    advice = event.remedy or "make room in, or repair, the state directory: freshd doctor"
    told = Event("save.failed", state.standing.account, {"cause": event.cause}, advice)
    return replace(state, phase=Phase.UNSAVED), [Tell(told)]


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
    is_leased = standing.lease is not None and standing.lease != state.lease
    fills = not is_leased and _filled(plan, state, standing)
    barren = 0 if is_leased or fills else state.barren + 1
    told += _answer_told(state, event, is_barren=barren > 0)
    if healed or (is_stopped and state.suspect is None):
        told.append(Tell(Event("lease.healed", account, {"rung": state.rung})))
    if state.shared is not None:
        told.append(Compare(state.shared, over=True))
    outcome = "wrong-identity" if standing.withheld else "no-token" if barren else "ok"
    result = Enrolled(state.attempt, "wrong-identity" if standing.withheld else "ok")
    enrolled = result if state.enrolling else state.enrolled
    fresh = replace(
        aged(plan, state, standing, now, 0.0), phase=Phase.DOUBTFUL if doubt else Phase.LIVE, next_rung=None,
        doubt=doubt, parked=None, want=state.want if fills else Want.NOTHING, barren=barren, failures=0,
        suspect=None if is_new else state.suspect, fresh=state.fresh if fills else is_new,
        refused=state.refused if is_new or fills else 0, enrolling=False, resets=0, climbs=state.climbs if fills else 0,
        unhelped=0, ask_from=0.0, shared=None, tried=UNTRIED,
        enrolled=enrolled,
        not_before=now.boot + (2.0 ** min(barren, 9) if barren else 0.0), barred=None, last_outcome=outcome,
        refreshes=state.refreshes + 1, heals=state.heals + healed,
    )  # fmt: skip
    fresh, more = renewed(state, fresh, now)
    told += more
    if standing.withheld:
        parked, more = park(fresh, unusable(plan, standing) or Parked("wrong-identity", Remedy.PERSON, ""), now)
        return parked, [*told, Tell(Event("identity.wrong", account, {"why": standing.withheld})), *more]
    return fresh, [*publish(fresh), *told, *grant_gone(plan, fresh, now)]


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


def _filled(plan: Plan, state: State, standing: Standing) -> bool:
    """Whether the answer was to fill the stock, and did; whoever waits for a lease waits for the next rung."""
    rung = ladder.find(plan.ladder, state.rung or "")
    return rung is not None and bool(rung.stocks) and rung.stocks <= standing.held


def _leaves_doubt(plan: Plan, state: State) -> bool:
    """A lease that cost nothing says nothing of the secret in doubt (I5)."""
    rung = ladder.find(plan.ladder, state.rung or "")
    return state.doubt is not None and not state.enrolling and rung is not None and not rung.spends


def _stranger_enrolled(state: State, why: str) -> Outcome:
    """Somebody else enrolled: the vault set the answer aside and left the lineage in force alone, and so do we."""
    account = state.standing.account
    told = Event("enrolment.failed", account, {"code": "wrong-identity"}, f"freshd enrol {account}")
    code = "wrong-identity"
    after = replace(state, enrolling=False, last_outcome=code, enrolled=Enrolled(state.attempt, code))
    return after, [Tell(Event("identity.wrong", account, {"why": why})), Tell(told)]


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
    account, failures = state.standing.account, state.failures + 1
    if event.was_sent:
        lost = Event("refresh.lost", account, {"why": event.reason, "rung": state.rung})
        return replace(state, failures=failures, last_outcome="lost"), [Tell(lost)]
    told = Tell(Event("refresh.not-sent", account, {"reason": event.reason, "in_a_row": failures}))
    return replace(state, failures=failures, last_outcome="not-sent"), [told]


def _held(_plan: Plan, state: State, event: Held, now: Moment) -> Outcome:
    until = now.boot + event.wait
    if state.barred not in (None, state.rung) and state.not_before > now.boot:
        return replace(state, not_before=min(state.not_before, until), barred=None), []  # else they free each other
    return replace(state, not_before=until, barred=state.rung), []


def _outdated(plan: Plan, state: State, event: Outdated, now: Moment) -> Outcome:
    standing = _with_verdicts(replace(event.standing, settled=state.standing.settled), state.standing)
    phase = Phase.LIVE if standing.generation else Phase.VACANT
    is_same = (standing.lineage, standing.obtained) == (state.standing.lineage, state.standing.obtained)
    doubt = state.doubt if is_same else None
    phase = phase if doubt is None else Phase.DOUBTFUL
    fresh = replace(aged(plan, state, standing, now, 0.0), phase=phase, doubt=doubt, next_rung=None)
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
    return replace(state, failures=failures, not_before=now.boot + wait, barred=None, last_outcome=event.type), [*told]


def _broke(_plan: Plan, state: State, event: Broke, now: Moment) -> Outcome:
    advice = f"freshd explain {state.standing.account}; please report it"
    outcome = f"bug:{event.kind}"
    told = [Tell(Event("bug", state.standing.account, {"kind": event.kind}, advice))]
    wait = now.boot + BUG_WAIT_SECONDS
    after = replace(state, failures=state.failures + 1, not_before=wait, barred=None, last_outcome=outcome)
    return after, [*told] if state.last_outcome != outcome else []


_ENDINGS: Final[Mapping[type, Callable[[Plan, State, Any, Moment], Outcome]]] = {
    Committed: _committed,
    Refusal: rejected,
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
    standing = told_of(after, event.standing if isinstance(event, Refusal) else None)
    excuse = _excuse(account=state.standing.account, event=event)
    rejected = event.rejected if isinstance(event, Refusal) else None
    result = Enrolled(state.attempt, code, rejected is not None and bool(rejected.keep), excuse)
    after = replace(after, standing=standing, last_outcome=code, enrolled=result)
    if isinstance(event, Held) or (rejected is not None and (rejected.remedy is Remedy.WAIT or rejected.keep)):
        return after, []
    fields: Fields = {"code": code, "why": None if excuse is None else excuse[0]}
    told = Event("enrolment.failed", state.standing.account, fields, f"freshd enrol {state.standing.account}")
    return after, [*read, Tell(told)]


def _excuse(account: str, event: Happening) -> tuple[str, str] | None:
    """What a person is told of an enrolment that no answer decided."""
    if isinstance(event, Unable):
        return event.cause, event.remedy
    if isinstance(event, Doubted):
        cause = f"no answer that can be used ({event.why}); what was handed over may be used up, and its fruit unknown"
        return cause, f"begin again: freshd enrol {account}"
    return None


def _replayed(plan: Plan, state: State, event: Happening) -> list[Effect]:
    """A replay counts once something came of it: one that never left is none."""
    doubt = state.doubt
    if is_quiet(plan, state.rung or ""):
        return []
    if doubt is None or not doubt.told or state.phase is not Phase.DOUBTFUL or doubt.rung != state.rung:
        return []
    if state.enrolling or not isinstance(event, Committed | Refusal | Doubted):
        return []
    fields: Fields = {"replays": doubt.replays + 1, "why": doubt.why}
    return [Tell(Event("doubt.replayed", state.standing.account, fields))]


def _cleared(plan: Plan, state: State) -> list[Effect]:
    account = state.standing.account
    told: list[Effect] = []
    if state.doubt is not None and state.doubt.told and not is_quiet(plan, state.doubt.rung):
        told.append(Tell(Event("doubt.resolved", account, {"spent": False})))
    return [*told, *recovered(state)]
