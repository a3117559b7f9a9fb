"""How an account stands, in an operator's words.  Computed when asked, from memory, without a secret (I8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from freshd.core.life import grant_end
from freshd.core.model import Moment, Standing
from freshd.core.state import Phase, Plan, State
from freshd.core.ways import NEVER_ENROLLED, NOTHING_LEFT, next_job, stock, top, why_helpless
from freshd.ports import Clock
from freshd.tokens import Health

UNPROVEN = "this kind of account has never met the real service; tell us what you see"
_RENEWABLE = {
    Phase.LIVE: "yes", Phase.SPENDING: "yes", Phase.CLIMBING: "yes", Phase.UNSAVED: "unknown",
    Phase.DOUBTFUL: "unknown", Phase.PARKED: "no", Phase.VACANT: "no",
}  # fmt: skip


def of(kind: str, plan: Plan, state: State, clock: Clock) -> Health:
    """The health of a configured account."""
    now = clock.now()
    job = None if state.paused or state.retired else next_job(plan, state, now)
    reason, remedy = _reason(plan, state)
    lease = state.lease
    return Health(
        account=plan.account, kind=kind, phase=state.phase.value, generation=state.standing.generation,
        usable_until=_wall(state.until, now), renewable=_renewable(plan, state), reason=reason, remedy=remedy,
        deadline=_wall(grant_end(state), now), next_refresh_at=_wall(None if job is None else job.at, now),
        last_outcome=state.last_outcome, fingerprint=None if lease is None else lease.fingerprint,
        paused=state.paused, retired=state.retired, settled=state.standing.settled,
        doubtful_since=None if state.doubt is None else state.doubt.sent.wall, refreshes=state.refreshes,
        heals=state.heals, more=MappingProxyType(_more(plan, state)),
    )  # fmt: skip


def _more(plan: Plan, state: State) -> dict[str, object]:
    """The ladder, and what is in stock where the account keeps one."""
    told: dict[str, object] = {"rungs": [rung.name for rung in plan.ladder]}
    if grant_end(state) is not None:
        told["deadline_is_final"] = grant_end(state) == state.final_until
    if state.lease is not None and state.lease.fields:
        told["lease"] = dict(state.lease.fields)
    if state.parked is not None and state.parked.detail:
        told["detail"] = state.parked.detail
    filler = stock(plan)
    if filler is not None:
        told["stock"] = {name: name in state.standing.held for name in sorted(filler.stocks)}
    return told


def with_channels(view: Health, channels: Mapping[str, object]) -> Health:
    """The same with the logins that freshd holds with its lease."""
    return replace(view, more=MappingProxyType({**view.more, "channels": channels})) if channels else view


def while_locked(view: Health) -> Health:
    """The same while the vault's key is missing: what the journal knows of the account is not known yet."""
    remedy = "unlock the keyring, or provide the vault's key: freshd doctor"
    return replace(view, phase="locked", renewable="unknown", reason="the vault is locked", remedy=remedy)


def of_unmet(view: Health) -> Health:
    """The same of an account whose kind was never tried on the real service."""
    return replace(view, more=MappingProxyType({**view.more, "unproven": UNPROVEN}))


def of_retired(standing: Standing) -> Health:
    """The health of an account that is only in the vault."""
    lease = standing.lease
    return Health(
        account=standing.account, kind="" if standing.binding is None else standing.binding.kind, phase="retired",
        generation=standing.generation, usable_until=None, renewable="no", reason="not in the configuration",
        remedy=f"freshd forget {standing.account}, or configure it again", deadline=None, next_refresh_at=None,
        last_outcome=None, fingerprint=None if lease is None else lease.fingerprint, paused=False, retired=True,
        settled=standing.settled, doubtful_since=None, refreshes=0, heals=0,
    )  # fmt: skip


def is_hopeless(plan: Plan, state: State) -> bool:
    """Whether no waiting brings a lease: paused, retired, parked, or nothing is left that freshd could renew with."""
    return why_helpless(plan, state) is not None


def _renewable(plan: Plan, state: State) -> str:
    if state.retired:
        return "no"
    if state.phase is Phase.VACANT and top(plan, state) is not None:
        return "yes"
    if state.phase is Phase.LIVE and top(plan, state) is None:
        return "no"
    return _RENEWABLE[state.phase]


def _reason(plan: Plan, state: State) -> tuple[str | None, str | None]:
    account = plan.account
    if state.parked is not None and state.phase is Phase.PARKED:
        return state.parked.code, state.parked.advice
    if state.retired:
        return "not in the configuration", f"freshd forget {account}, or configure it again"
    if state.paused:
        return "paused", f"freshd resume {account}"
    if state.asked or (state.helpless and _renewable(plan, state) == "no"):
        return _waiting(plan, state)
    if state.doubt is not None:
        return f"in doubt: {state.doubt.why}", f"nothing to do yet; if it parks: freshd enrol {account}"
    return _shortage(plan, state)


def _shortage(plan: Plan, state: State) -> tuple[str | None, str | None]:
    account = plan.account
    if state.phase is Phase.VACANT and _renewable(plan, state) == "no":
        return NEVER_ENROLLED, f"freshd enrol {account}"
    if state.phase is Phase.LIVE and _renewable(plan, state) == "no":
        return why_helpless(plan, state) or NOTHING_LEFT, f"freshd enrol {account}"
    if state.phase is Phase.UNSAVED:
        return "answered, and not durable yet", "make room in, or repair, the state directory: freshd doctor"
    return _last_failure(account, state)


def _waiting(plan: Plan, state: State) -> tuple[str, str]:
    """Whom the account waits for."""
    for relative, why in state.helpless.items():
        return f"needs {relative}, which cannot renew: {why}", f"freshd explain {relative}"
    asked = ", ".join(sorted({rung.asks for rung in plan.ladder if rung.asks is not None}))
    return f"waits for {asked} to renew", f"freshd explain {asked}"


def _last_failure(account: str, state: State) -> tuple[str | None, str | None]:
    if state.phase not in (Phase.LIVE, Phase.VACANT, Phase.CLIMBING) or not (state.failures or state.barren):
        return None, None
    return f"the last attempt ended with: {state.last_outcome}", f"tried again by itself; freshd explain {account}"


def _wall(at: float | None, now: Moment) -> float | None:
    return None if at is None else round(now.wall + (at - now.boot), 3)
