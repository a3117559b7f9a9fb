"""Which ways to renew are open to an account just now, and when each is due.  Pure questions about plan and state.

Rules
-----
* A rung that asks a relative is open only while that relative can help.
* A rung that fills the stock is due when something of it is missing, or when what rests there nears its end; a lease
  is not its business.
* A relative whose renewal brought nothing is asked again ever more rarely.
* What lies in stock is used whatever is known of the call that fills it, as long as that call can be made again; what
  takes nothing from it has its own turn.
* A rung taken on demand is due when somebody wants a lease.  A grant that nears its own end is renewed all the same,
  for what comes after that end is a person's work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from freshd.core import doubt as doubts
from freshd.core import ladder, policy
from freshd.core.contract import Reuse
from freshd.core.ladder import Rung
from freshd.core.model import Moment
from freshd.core.outcome import Tried
from freshd.core.state import Phase, Plan, State, Want

NEVER_ENROLLED: Final = "never enrolled"
NOTHING_LEFT: Final = "nothing left to renew with"


@dataclass(frozen=True, slots=True)
class Job:
    """A rung to take from a boot-time second on.  In doubt: what `core.doubt` says of the replay."""

    at: float
    rung: str
    advice: doubts.Advice | None = None


def next_job(plan: Plan, state: State, now: Moment) -> Job | None:
    """What would be done next and when; None when only somebody else can bring it about.  Also for `status`."""
    job = _next(plan, state, now)
    rung = None if job is None else ladder.find(plan.ladder, job.rung)
    return job if job is None or rung is None or rung.asks is None else replace(job, at=max(job.at, state.ask_from))


def _next(plan: Plan, state: State, now: Moment) -> Job | None:
    ready = _ready(plan, state)
    if ready is not None:
        return Job(max(now.boot, barred_until(state, ready.name)), ready.name)
    if state.phase is Phase.DOUBTFUL and state.doubt is not None:
        advice = doubts.advise(plan, state, state.doubt, now)
        rung = advice.rung or state.doubt.rung
        return Job(max(advice.at, barred_until(state, rung)), rung, advice)
    if state.phase not in (Phase.LIVE, Phase.VACANT, Phase.CLIMBING):
        return None
    if state.asked:
        return None
    if state.phase is Phase.CLIMBING and state.next_rung is not None:
        return Job(barred_until(state, state.next_rung), state.next_rung)
    return _by_schedule(plan, state, now)


def _by_schedule(plan: Plan, state: State, now: Moment) -> Job | None:
    first, at = top(plan, state), _lease_due(plan, state, now)
    jobs = [] if first is None or at is None else [Job(max(at, barred_until(state, first.name)), first.name)]
    filler, at = _filler(plan, state), _stock_due(plan, state, now)
    if filler is not None and at is not None:
        jobs.append(Job(max(at, barred_until(state, filler.name)), filler.name))
    return min(jobs, key=lambda job: job.at, default=None)


def barred_until(state: State, rung: str) -> float:
    """Boot-time second before which that rung is not taken; 0 where nothing stands against it."""
    return state.not_before if state.barred in (None, rung) else 0.0


def top(plan: Plan, state: State) -> Rung | None:
    """The cheapest way that is open."""
    return ladder.top(open_ways(plan, state), state.held)


def below(plan: Plan, state: State, rung: str) -> Rung | None:
    """The next open way under that rung."""
    return ladder.below(open_ways(plan, state), rung, state.held)


def open_ways(plan: Plan, state: State) -> ladder.Ladder:
    """The ladder without the rungs whose relative cannot help."""
    if not state.helpless:
        return plan.ladder
    return tuple(rung for rung in plan.ladder if rung.asks is None or rung.asks not in state.helpless)


def stock(plan: Plan) -> Rung | None:
    """The rung that fills the account's stock; None for an account that keeps none."""
    return next((rung for rung in plan.ladder if rung.stocks), None)


def is_stocked(plan: Plan, state: State) -> bool:
    """Whether nothing is missing in the stock; true for an account that keeps none."""
    rung = stock(plan)
    return rung is None or rung.stocks <= state.standing.held


def reuse_of(plan: Plan, rung: str) -> Reuse:
    """What presenting that rung's secrets again does."""
    found = ladder.find(plan.ladder, rung)
    return plan.contract.reuse if found is None or found.reuse is None else found.reuse


def is_quiet(plan: Plan, rung: str) -> bool:
    """Whether a lost answer on that rung needs nobody: its secrets work many times, or are written off and replaced."""
    found = ladder.find(plan.ladder, rung)
    return reuse_of(plan, rung) is Reuse.REUSABLE or (found is not None and found.is_final)


def why_helpless(plan: Plan, state: State) -> str | None:
    """Why no waiting brings a renewal, in a word or a code; None where one may come by itself."""
    if state.retired or state.paused:
        return "not in the configuration" if state.retired else "paused"
    if state.phase is Phase.PARKED and (state.parked is None or state.parked.until is None):
        return "parked" if state.parked is None else state.parked.code
    if not state.booted or state.phase not in (Phase.VACANT, Phase.LIVE) or top(plan, state) is not None:
        return None
    return NEVER_ENROLLED if state.standing.generation == 0 else _barred_by(plan, state) or NOTHING_LEFT


def _barred_by(plan: Plan, state: State) -> str | None:
    """What stands in the way of the first rung that could be taken but for that; None where nothing does."""
    held = state.held
    barred = (rung for rung in plan.ladder if rung.unless & held and rung.needs <= held and not rung.person)
    marks = next((sorted(rung.unless & held) for rung in barred), [])
    return marks[0].replace("_", "-") if marks else None


def tried_of(state: State, now: Moment) -> Tried:
    """What a refusal that comes now is measured by.  Any other outcome in between begins the tries of a code anew."""
    is_shared = state.shared is not None and now.boot < state.shared_until
    shared = state.shared if is_shared else None
    times = state.tried.times if state.tried.code == state.last_outcome else 0
    return replace(state.tried, times=times, shared=shared)


def is_on_demand(plan: Plan) -> bool:
    """Whether leases are made when somebody needs one, not by the end of the last."""
    makers = [rung for rung in plan.ladder if not (rung.person or rung.stocks or rung.asks)]
    return any(rung.on_demand for rung in makers)


def wants_lease(state: State) -> bool:
    """Whether somebody waits for a lease that is not there, or not good enough."""
    return state.want is not Want.NOTHING


def _ready(plan: Plan, state: State) -> Rung | None:
    """What makes the lease that somebody waits for out of the stock, whatever is under way to fill that up."""
    filler, first = stock(plan), top(plan, state)
    if state.phase not in (Phase.LIVE, Phase.VACANT, Phase.CLIMBING, Phase.DOUBTFUL):
        return None
    if filler is None or first is None or not wants_lease(state) or not _leaves_stock_alone(plan, state, filler):
        return None
    is_above, takes = plan.ladder.index(first) < plan.ladder.index(filler), bool(first.needs & filler.stocks)
    return first if is_above and takes and is_stocked(plan, state) else None


def _leaves_stock_alone(plan: Plan, state: State, filler: Rung) -> bool:
    """Whether nothing in doubt is in stock: there is no doubt, or one about filling it up that harms nobody."""
    if state.doubt is None:
        return True
    return state.doubt.rung == filler.name and not state.doubt.earlier and reuse_of(plan, filler.name) is Reuse.REUSABLE


def _filler(plan: Plan, state: State) -> Rung | None:
    """What fills the stock just now: its own rung, or an open one below."""
    own = stock(plan)
    if own is None:
        return None
    index = plan.ladder.index(own)
    return ladder.top(tuple(rung for rung in open_ways(plan, state) if rung in plan.ladder[index:]), state.held)


def _lease_due(plan: Plan, state: State, now: Moment) -> float | None:
    """When the next lease is due; None where none is until somebody wants one."""
    if not is_on_demand(plan):
        return doubts.due_at(plan, state, now)
    if wants_lease(state):
        return now.boot
    return None if stock(plan) is not None else _grant_due(plan, state)


def _stock_due(plan: Plan, state: State, now: Moment) -> float | None:
    return _grant_due(plan, state) if is_stocked(plan, state) else now.boot


def _grant_due(plan: Plan, state: State) -> float | None:
    if state.grant_until is None or state.grant_life is None:
        return None
    return state.grant_until - policy.grant_lead(state.grant_life, plan.margins)
