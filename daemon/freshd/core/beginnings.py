"""How accounts come to be, and to be no more: boot, enrolment, a relative's gift, erasure.  See `core.lifecycle`.

What the vault tells becomes the state; a valid lease is served at once (I9).  What a relative's answer brought ends
whatever this account was waiting for, and every doubt about what it replaced.
"""

from __future__ import annotations

from dataclasses import replace

from freshd.core.arrange import finish, publish, unusable
from freshd.core.effects import Effect, Fly, Tell, Withdraw
from freshd.core.events import Event
from freshd.core.happenings import Booted, Enrolling, Happening, Relieved
from freshd.core.life import aged
from freshd.core.model import Earlier, Intent, Moment, Standing
from freshd.core.state import Doubt, Phase, Plan, State, doubt_of
from freshd.core.ways import is_quiet, top

Outcome = tuple[State, list[Effect]]


def booted(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """What the vault knows becomes the state; a valid lease is served at once (I9)."""
    if not isinstance(event, Booted):
        return state, []
    standing, intent = event.standing, event.standing.intent
    doubt = None if intent is None or intent.lineage != standing.lineage else _doubt_left(intent)
    phase = Phase.LIVE if standing.generation else Phase.VACANT
    phase = phase if doubt is None else Phase.DOUBTFUL
    fresh = replace(
        aged(plan, state, standing, now, event.high_water), booted=True, phase=phase, resting=phase, doubt=doubt,
        not_before=0.0, enrolling=False, next_rung=None, asked=False, paused=state.paused or standing.paused,
    )  # fmt: skip
    if unusable(plan, standing) is not None:
        return fresh, publish(fresh)
    told = recovered(state)
    fresh = fresh if fresh.parked is None else replace(fresh, parked=None)
    flying, more = finish(fresh)
    if more:
        return flying, [*publish(flying), *told, *more]
    return fresh, [*publish(fresh), *told, *grant_gone(plan, fresh, now)]


def relieved(plan: Plan, state: State, event: Happening, now: Moment) -> Outcome:
    """A relative's answer brought something new; what was waited for, doubted or parked for lack of it is over.

    A flight that is in the air meanwhile has not begun: it waits for the family's lock, and will find itself outdated.
    """
    if not isinstance(event, Relieved) or not state.booted:
        return state, []
    standing = event.standing
    if event.adds:
        known = state.standing
        kept = replace(standing, held_back=known.held_back, withheld=standing.withheld or known.withheld)
        fresh = aged(plan, state, kept, now, 0.0)
        return fresh, publish(fresh)
    doubt = state.doubt if standing.intent is not None else None
    rest, is_flying = Phase.DOUBTFUL if doubt else Phase.LIVE, state.phase in (Phase.SPENDING, Phase.UNSAVED)
    fresh = replace(
        aged(plan, state, standing, now, 0.0), phase=state.phase if is_flying else rest, resting=rest, next_rung=None,
        asked=False, unhelped=0, ask_from=0.0, doubt=doubt, not_before=min(state.not_before, now.boot), resets=0,
    )  # fmt: skip
    told: list[Effect] = [Tell(Event("relative.helped", plan.account, {"generation": standing.generation}))]
    if doubt is None and state.doubt is not None and state.doubt.told and not is_quiet(plan, state.doubt.rung):
        told.append(Tell(Event("doubt.resolved", plan.account, {"spent": True})))
    if unusable(plan, standing) is None:
        told += recovered(state)
        fresh = replace(fresh, parked=None)
    return fresh, [*publish(fresh), *told]


def enrolling(_plan: Plan, state: State, event: Happening, _now: Moment) -> Outcome:
    """Exchange what a person obtained, whatever state the old lineage is in; a pause does not stop a person."""
    if not isinstance(event, Enrolling) or state.retired or not state.booted:
        return state, []
    attempt, earlier = state.attempt + 1, () if state.doubt is None else state.doubt.stack
    flying = replace(state, phase=Phase.SPENDING, resting=state.phase, attempt=attempt, rung=event.rung, enrolling=True)
    return flying, [Fly(attempt, event.rung, earlier=earlier, candidate=event.candidate, material=event.material)]


def forgotten(_plan: Plan, state: State, _event: Happening, _now: Moment) -> Outcome:
    """Erased by an operator: nothing is known any more; flights in the air become late."""
    empty = State(
        Phase.VACANT, Standing(state.standing.account), attempt=state.attempt + 1, booted=state.booted,
        paused=state.paused, retired=state.retired, not_before=state.not_before, kin_held=state.kin_held,
        helpless=state.helpless,
    )  # fmt: skip
    return empty, [Withdraw(), Tell(Event("account.forgotten", state.standing.account))]


# -- what others ask too --------------------------------------------------------------------------------------------


def recovered(state: State) -> list[Effect]:
    """Say that it is parked no more, where it was."""
    if state.parked is None:
        return []
    return [Tell(Event("account.recovered", state.standing.account, {"was": state.parked.code}))]


def grant_gone(plan: Plan, state: State, now: Moment) -> list[Effect]:
    """Say that no way is left which freshd could take by itself; an account never enrolled is not told of."""
    if state.standing.generation == 0 or top(plan, state) is not None:
        return []
    left_now = None if state.until is None else round(state.until - now.boot)
    return [Tell(Event("grant.gone", plan.account, {"usable_for": left_now}, f"freshd enrol {plan.account}"))]


def _doubt_left(intent: Intent) -> Doubt | None:
    """The doubt that an unfinished attempt leaves on the lineage in force; an enrolment what it was made over."""
    own = Earlier(intent.rung, intent.doubted or intent.sent, intent.replays)
    stack = intent.earlier if intent.candidate is not None else (*intent.earlier, own)
    return doubt_of(stack, "stopped between intent and answer")
