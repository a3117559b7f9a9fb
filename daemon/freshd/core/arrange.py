"""What is to be done next: the one place that launches flights and sets alarms.

Rules
-----
* Nothing is launched while a flight is in the air, while paused or retired, before `not_before`, before the vault has
  told how the account stands, or with a grant that belongs elsewhere.
* Whatever is not due now becomes one alarm; a state with nothing to wait for has none.
* An answer in escrow is finished before its secret is looked at again, for that one is spent (I5).
* Launching bumps the attempt number: the ending of any earlier one is late from here on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from freshd.core import doubt as doubts
from freshd.core import ladder
from freshd.core.effects import Ask, Effect, Finish, Fly, Publish, Tell, Wake
from freshd.core.events import Event, Fields
from freshd.core.lag import announce_lag, next_lag
from freshd.core.life import announce_ends, next_announcement
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Remedy
from freshd.core.shortage import announce_shortage, next_shortage
from freshd.core.state import Doubt, Parked, Phase, Plan, State, Want
from freshd.core.ways import Job, is_quiet, is_stocked, next_job, reuse_of, stock, tried_of

STUCK_SECONDS: Final = 900.0
"""How long an account rests whose stock could not be renewed for want of a relative, before it tries again."""
SAVE_AGAIN_SECONDS: Final = 1.0
"""How often an answer that is not durable yet is written again."""
ELSEWHERE: Final = "bound-elsewhere"
"""Parked: the configuration names another service, client or subject than the grant (design 6)."""
RELATIVE: Final = "relative"
"""Parked: the relative that this account needs cannot help; what follows the colon is why."""
LOST_TWICE: Final = "answer-lost-twice"
"""Parked with a date: the secret is presented once more then (see `core.doubt`)."""


def arrange(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    """Launch what is due, else set the alarm for what comes next."""
    state, told = announce_ends(plan, state, now)
    state, more = announce_shortage(plan, state, now)
    told += more
    state, more = announce_lag(state, now)
    told += more
    if state.phase is Phase.UNSAVED:
        return state, [*told, Wake(now.boot + SAVE_AGAIN_SECONDS)]
    if state.phase is Phase.SPENDING or not state.booted:
        return state, [*told, Wake(None)]
    state, more = _bar(plan, state, now)
    told += more
    if state.retired or state.phase is Phase.SPENDING:
        return state, [*told, Wake(None)]
    if state.paused:
        return state, [*told, Wake(_earliest(None, state, now))]
    if state.phase is Phase.DOUBTFUL:
        state, more = _move_in_doubt(plan, state, now)
        told += more
    if state.phase is Phase.PARKED:
        return state, [*told, Wake(_earliest(None if state.parked is None else state.parked.until, state, now))]
    job = next_job(plan, state, now)
    if job is None or job.at > now.boot:
        return state, [*told, Wake(_earliest(None if job is None else job.at, state, now))]
    rung = ladder.find(plan.ladder, job.rung)
    if rung is not None and rung.asks is not None:
        return _ask(plan, state, rung.asks, now, told)
    return _launch(state, job, told, now)


def _ask(plan: Plan, state: State, relative: str, now: Moment, told: list[Effect]) -> tuple[State, list[Effect]]:
    """Let a relative renew, or park where it cannot: nothing of ours helps then."""
    if relative in state.helpless:
        state, more = stuck(plan, state, now)
        return state, [
            *told,
            *more,
            Wake(_earliest(None if state.phase is Phase.PARKED else state.not_before, state, now)),
        ]
    waiting = replace(state, asked=True, rung=state.next_rung or state.rung)
    event = Event("relative.asked", plan.account, {"relative": relative})
    return waiting, [*told, Tell(event), Wake(None), Ask(relative)]


def stuck(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    """The relative that could help cannot.  With something in stock still, readers are served from that meanwhile."""
    relative, why = next(iter(state.helpless.items()))
    filler = stock(plan)
    if filler is not None and is_stocked(plan, state) and state.doubt is None:
        rest = now.boot + STUCK_SECONDS
        return replace(state, phase=Phase.LIVE, next_rung=None, not_before=rest, barred=filler.name), []
    advice = f"first {relative}: freshd explain {relative}"
    return park(state, Parked(f"{RELATIVE}:{why}", Remedy.PERSON, advice), now)


def park(state: State, parked: Parked, now: Moment) -> tuple[State, list[Effect]]:
    """Nothing more by ourselves: keep every secret, serve the lease to its end, say so once."""
    told: list[Effect] = []
    if state.parked is None or state.parked.code != parked.code:
        fields: Fields = {
            "code": parked.code, "needs": parked.remedy.value, "retried": parked.until is not None,
            "detail": parked.detail or None, "usable_for": _usable_for(state, now),
        }  # fmt: skip
        told.append(Tell(Event("account.parked", state.standing.account, fields, parked.advice)))
    # with a date it goes on by itself: what a relative, or a refused lease, wanted is wanted then still
    want = state.want if parked.until is not None and state.want is Want.HEAL else Want.NOTHING
    return replace(state, phase=Phase.PARKED, parked=parked, want=want, next_rung=None, enrolling=False), told


def _usable_for(state: State, now: Moment) -> float | None:
    """Seconds that readers are still served; None where nothing is served."""
    return None if state.until is None or state.until <= now.boot else round(state.until - now.boot)


def unusable(plan: Plan, standing: Standing) -> Parked | None:
    """Why what the vault holds must not be used at all; None where it may.

    An account with a relative to ask is never at the end of its own ladder.
    """
    if standing.broken is not None:
        advice = f"freshd enrol {plan.account}; what cannot be read is kept in quarantine"
        return Parked("record-unreadable", Remedy.PERSON, advice)
    if standing.withheld:
        relative = next((rung.asks for rung in plan.ladder if rung.asks is not None), None)
        advice = f"freshd enrol {plan.account}" if relative is None else f"freshd refresh {relative}"
        return Parked("wrong-identity", Remedy.PERSON, advice)
    if standing.held_back:
        advice = (
            f"is this the newest copy of the vault? freshd confirm {plan.account}; else freshd enrol {plan.account}"
        )
        return Parked("journal-rolled-back", Remedy.PERSON, advice)
    if standing.dead and ladder.top(plan.ladder, standing.held) is None:
        return Parked(next(iter(standing.dead.values())), Remedy.PERSON, f"freshd enrol {plan.account}")
    if standing.binding is not None and not standing.binding.fits(plan.binding):
        advice = f"was the change meant? freshd confirm {plan.account}; else restore the configuration"
        return Parked(ELSEWHERE, Remedy.PERSON, advice)
    return None


def publish(state: State) -> list[Effect]:
    """Show readers the lease, where there is one; beside a withheld answer only what was there before it (I9)."""
    lease, standing = state.lease, state.standing
    if lease is None or state.until is None or (standing.withheld and lease.generation >= standing.generation):
        return []
    return [Publish(lease, state.until)]


def finish(state: State) -> tuple[State, list[Effect]]:
    """Finish what the vault found in escrow, once; changes nothing where it found nothing."""
    intent = state.standing.intent
    if intent is None or not state.standing.escrowed:
        return state, []
    flying = replace(
        state, phase=Phase.SPENDING, resting=state.phase, attempt=state.attempt + 1, rung=intent.rung,
        enrolling=intent.candidate is not None, standing=replace(state.standing, escrowed=False),
    )  # fmt: skip
    return flying, [Finish(flying.attempt)]


def _launch(state: State, job: Job, told: list[Effect], now: Moment) -> tuple[State, list[Effect]]:
    attempt, doubt = state.attempt + 1, state.doubt
    flying = replace(state, phase=Phase.SPENDING, resting=state.phase, attempt=attempt, rung=job.rung)
    fly = Fly(attempt, job.rung, earlier=() if doubt is None else doubt.stack)
    if job.advice is not None and doubt is not None:
        fly = Fly(attempt, job.rung, doubt.replays + 1, doubt.sent, job.advice.before, doubt.earlier)
        flying = replace(flying, doubt=replace(doubt, harmless=job.advice.harmless))
    return flying, [*told, Wake(None), replace(fly, tried=tried_of(state, now))]


def _bar(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    """Park what must not be used, whatever phase it is in, and let go of it when it may be; say that there is doubt."""
    told: list[Effect] = []
    reason = unusable(plan, state.standing)
    if reason is not None and not _is_known_better(state, reason):
        state, told = park(state, reason, now)
    elif reason is not None:
        return state, []
    elif state.phase is Phase.PARKED and state.parked is not None and state.parked.code == ELSEWHERE:
        state, told = finish(unpark(state))
    if state.phase is Phase.DOUBTFUL and state.doubt is not None and not state.doubt.told:
        state, told = _announce_doubt(plan, state, state.doubt, now)
    return state, told


def _is_known_better(state: State, reason: Parked) -> bool:
    """Whether it is parked for a person already: what came after a dead secret says more than that it is dead."""
    is_person = state.phase is Phase.PARKED and state.parked is not None and state.parked.remedy is Remedy.PERSON
    return is_person and reason.code in state.standing.dead.values()


def unpark(state: State) -> State:
    """Back to where it stood before it was parked."""
    if state.doubt is not None:
        return replace(state, phase=Phase.DOUBTFUL)
    return replace(state, phase=Phase.LIVE if state.standing.generation else Phase.VACANT, refused=0)


def _move_in_doubt(plan: Plan, state: State, now: Moment) -> tuple[State, list[Effect]]:
    if state.doubt is None:
        return replace(state, phase=Phase.LIVE), []
    advice = doubts.advise(plan, state, state.doubt, now)
    account = state.standing.account
    if max(advice.at, state.not_before) > now.boot:
        return state, []
    if advice.move is doubts.Move.CLIMB:
        told = Tell(Event("climb.started", account, {"rung": advice.rung, "why": "doubt"}))
        return replace(state, phase=Phase.CLIMBING, next_rung=advice.rung), [told]
    if advice.move is doubts.Move.PARK:
        return park(state, _parked_in_doubt(plan, state.doubt, now, account), now)
    return state, []


def _announce_doubt(plan: Plan, state: State, doubt: Doubt, now: Moment) -> tuple[State, list[Effect]]:
    announced = replace(state, doubt=replace(doubt, told=True))
    if is_quiet(plan, doubt.rung):
        return announced, [Tell(Event("refresh.lost", state.standing.account, {"why": doubt.why, "rung": doubt.rung}))]
    left_now = None if state.until is None else round(state.until - now.boot, 3)
    fields: Fields = {
        "why": doubt.why,
        "usable_for": left_now,
        "replays": doubt.replays,
        "contract": reuse_of(plan, doubt.rung).value,
    }
    return announced, [Tell(Event("doubt.opened", state.standing.account, fields))]


def _parked_in_doubt(plan: Plan, doubt: Doubt, now: Moment, account: str) -> Parked:
    advice = f"freshd enrol {account}"
    if doubt.spent or not doubts.may_try_later(plan, doubt):
        return Parked("answer-lost", Remedy.PERSON, advice)
    return Parked(LOST_TWICE, Remedy.PERSON, advice, doubts.slow_at(doubt, now))


def _earliest(at: float | None, state: State, now: Moment) -> float | None:
    """The next moment at which there is something to do or to say."""
    moments = (at, next_announcement(state, now), next_shortage(state), next_lag(state))
    return min((moment for moment in moments if moment is not None), default=None)
