"""What others tell: alarms, readers, consumers, operators.  Handlers of `core.lifecycle`; see its rules.

Nothing here starts a flight; it only changes what is wanted.  A consumer's word alone never spends while in doubt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core import policy
from freshd.core.arrange import LOST_TWICE, unpark
from freshd.core.contract import Contract
from freshd.core.effects import Effect, Probe, SaveAgain, Tell
from freshd.core.events import Event
from freshd.core.happenings import Accepted, Demanded, Happening, Probed, Refused, Shared
from freshd.core.model import Moment
from freshd.core.outcome import Remedy
from freshd.core.state import REFUSED_IN_A_ROW, Phase, Plan, State, Want
from freshd.core.ways import top

Outcome = tuple[State, list[Effect]]
RETRYABLE_BY_FORCE: Final = frozenset({Remedy.CONFIG, Remedy.UNAVAILABLE, Remedy.BUG, Remedy.WAIT, Remedy.REREAD})


def nothing(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """The event changes nothing here; `arrange` still looks at what is due."""
    return state, []


def save_again(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """The alarm of an answer that is not durable yet."""
    return state, [SaveAgain()]


def due_while_parked(_plan: Plan, state: State, _event: Happening, now: Moment) -> Outcome:
    """Parked until a date: when it has come, try again from where it stood; a doubt gets the replay it waited for."""
    if state.parked is None or state.parked.until is None or state.parked.until > now.boot:
        return state, []
    if state.doubt is not None and state.parked.code == LOST_TWICE:
        state = replace(state, doubt=replace(state.doubt, allowed=state.doubt.risky + 1))
    return unpark(state), []


def host_back(_plan: Plan, state: State, _event: Happening, now: Moment) -> Outcome:
    """The service answers others again: what was waiting for it may try, and a doubt parked with a date as well."""
    state = replace(state, not_before=min(state.not_before, now.boot))
    if state.phase is not Phase.PARKED or state.parked is None or state.doubt is None:
        return state, []
    if state.parked.code != LOST_TWICE:
        return state, []
    return unpark(replace(state, doubt=replace(state.doubt, allowed=state.doubt.risky + 1))), []


def shared(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """Several accounts of one service are refused at once: none of them is believed dead for that."""
    if not isinstance(event, Shared):
        return state, []
    return replace(state, shared=event.host, shared_until=event.until), []


def demanded(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """A reader needs more life than there is; what no lease of this account can promise is not even tried (I6)."""
    if not isinstance(event, Demanded) or state.want >= Want.DEMAND:
        return state, []
    left = 0.0 if state.until is None else state.until - now.boot
    most = event.min_ttl if state.lease is None else policy.longest_ttl(state.lease.valid_for, plan.contract)
    if state.lease is not None and left >= min(event.min_ttl, most):
        return state, []
    return replace(state, want=Want.DEMAND), []


def forced(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """An operator wants a renewal now; the pace still holds (I6)."""
    return replace(state, want=Want.FORCE), []


def forced_while_parked(plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """What might have passed by itself is tried again, or what asking again cannot harm; else a person is needed."""
    if state.parked is None:
        return state, []
    first = top(plan, state)
    is_harmless = first is not None and first.is_free and state.doubt is None
    if state.parked.remedy not in RETRYABLE_BY_FORCE and not is_harmless:
        return state, []
    return replace(unpark(state), want=Want.FORCE), []


def refused(plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """One heal per fingerprint; the suspect lease stays served meanwhile.

    After two fresh leases refused in a row healing stops, and only healing: renewal by schedule goes on, so that no
    consumer's word can take an account away from all others.
    """
    if not isinstance(event, Refused) or not _is_about_us(state, event):
        return state, []
    in_a_row = state.refused + 1 if _counts(plan, state) else 0
    account = state.standing.account
    told = [Tell(Event("lease.refused", account, {"fingerprint": event.fingerprint}))]
    marked = replace(state, suspect=event.fingerprint, refused=in_a_row, refused_by=_by(state, event))
    if in_a_row < REFUSED_IN_A_ROW:
        return replace(marked, want=max(state.want, Want.HEAL)), [*told]
    if in_a_row == REFUSED_IN_A_ROW:
        advice = f"freshd explain {account}; if the service is right: freshd enrol {account}"
        told.append(Tell(Event("heal.stopped", account, {"refused_in_a_row": in_a_row}, advice)))
    return marked, [*told]


def refused_quietly(plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """In the air or parked: remember it, the next lease answers; a fresh lease that was refused counts."""
    if not isinstance(event, Refused) or not _is_about_us(state, event):
        return state, []
    told = Tell(Event("lease.refused", state.standing.account, {"fingerprint": event.fingerprint}))
    in_a_row = state.refused + 1 if _counts(plan, state) else 0
    return replace(state, suspect=event.fingerprint, refused=in_a_row, refused_by=_by(state, event)), [told]


def refused_in_doubt(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """In doubt a refusal never spends: try the lease on a harmless call."""
    if not isinstance(event, Refused) or not _is_about_us(state, event) or state.lease is None:
        return state, []
    told = Tell(Event("lease.refused", state.standing.account, {"fingerprint": event.fingerprint}))
    return replace(state, suspect=event.fingerprint), [told, Probe(state.lease, state.attempt)]


def accepted(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """A service took the lease: a refusal of it from now on is news, and the first of its row.

    Not where somebody else says that the lease is refused: what one service takes, another may refuse for good.
    """
    if not isinstance(event, Accepted) or state.lease is None or state.lease.fingerprint != event.fingerprint:
        return state, []
    if (state.refused or state.fresh) and state.refused_by != event.by:
        return state, []
    is_stopped = state.refused >= REFUSED_IN_A_ROW
    told = [Tell(Event("lease.healed", state.standing.account, {"rung": None}))] if is_stopped else []
    return replace(state, suspect=None, fresh=False, refused=0), [*told]


def probed(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """Dead before its time: the spend happened.  Alive where a rotation would have killed it: it did not.

    What was found before a later flight left says nothing of what that one did.
    """
    if not isinstance(event, Probed) or state.doubt is None or event.alive is None or event.attempt != state.attempt:
        return state, []
    if state.lease is None or state.lease.fingerprint != event.fingerprint:
        return state, []
    if not event.alive and (state.until is None or state.until <= now.boot):
        return state, []
    if event.alive:
        spent = False if _dies_at_once(plan.contract) else None
        return replace(state, suspect=None, doubt=replace(state.doubt, spent=spent)), []
    return replace(state, doubt=replace(state.doubt, spent=True)), []


def paused(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """An operator's pause: leases go on being served, nothing is renewed."""
    told = [] if state.paused else [Tell(Event("account.paused", state.standing.account))]
    return replace(state, paused=True), [*told]


def resumed(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """The end of a pause."""
    told = [Tell(Event("account.resumed", state.standing.account))] if state.paused else []
    return replace(state, paused=False), [*told]


def retired(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """Gone from the configuration: the record stays until `forget` (I7)."""
    told = [] if state.retired else [Tell(Event("account.retired", state.standing.account))]
    return replace(state, retired=True, want=Want.NOTHING), [*told]


def returned(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """Configured again, or otherwise."""
    return replace(state, retired=False), []


def reconfigured_while_parked(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """A configuration change is what some parked accounts were waiting for."""
    state = replace(state, retired=False)
    if state.parked is not None and state.parked.remedy in RETRYABLE_BY_FORCE:
        return unpark(state), []
    return state, []


def _by(state: State, event: Refused) -> str:
    """Who refuses; a reader, once one of the row was a reader's."""
    return event.by if not state.refused or state.refused_by == event.by else ""


def _is_about_us(state: State, event: Refused) -> bool:
    if not event.dead or state.lease is None or state.suspect == event.fingerprint:
        return False
    return state.lease.fingerprint == event.fingerprint


def _counts(plan: Plan, state: State) -> bool:
    """Whether a refusal of this lease speaks against healing: it is fresh, and not one that works once anyway."""
    first = top(plan, state)
    return state.fresh and not (first is not None and first.is_consumed)


def _dies_at_once(contract: Contract) -> bool:
    return contract.old_lease_life == 0
