"""What to do while nobody knows whether a secret was spent (design 5).

In order: what cannot harm is done at once (a reusable secret, an unspent one, a replay inside the grace period, a lower
rung that spends nothing); else the token in hand is used to its end, then the secret is presented once more, counted
durably before it leaves; then only a person, or a slow date, can help.

Departure from the design, which parks for good after one replay whose answer was lost too: such an account is parked
*with a date* and asked again on a slow pace.  A second lost answer says nothing of the secret that the first did not,
the token in hand is over by then, and a reuse that kills no more than the lineage can take nothing from us that is not
already lost; while parking for good would make an outage of some minutes cost one person's visit per account.  Where
reuse kills more than the lineage the secret is never presented again.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from freshd.core import ladder, policy
from freshd.core.contract import Kills, Reuse
from freshd.core.model import Moment
from freshd.core.state import Doubt, Plan, State, Want

GRACE_GUARD: Final = 0.1
"""Share of the grace period left unused: the replay must arrive inside it, not merely leave inside it."""
SLOW_REPLAY_SECONDS: Final = (60.0, 120.0, 300.0)
"""Waits before the second and later replays; the last one repeats.  After an outage every second of it is a gap for
readers, and the service is not asked more often than it would be by the back-off of an account without a doubt."""


class Move(enum.Enum):
    """The next thing to do in doubt."""

    REPLAY = "replay"
    CLIMB = "climb"
    PARK = "park"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Advice:
    """What, from which boot-time second on, on which rung, until when it may leave, and whether it can do harm."""

    move: Move
    at: float
    rung: str | None = None
    before: float | None = None
    harmless: bool = False


def advise(plan: Plan, state: State, doubt: Doubt, now: Moment) -> Advice:
    """The next move of a doubtful account."""
    rung = ladder.find(plan.ladder, doubt.rung)
    if rung is None:
        top = ladder.top(plan.ladder, state.held)
        return Advice(Move.PARK, now.boot) if top is None else Advice(Move.CLIMB, due_at(plan, state, now), top.name)
    is_spent = doubt.spent is True or rung.is_final
    reuse = plan.contract.reuse if rung.reuse is None else rung.reuse
    if (doubt.spent is False and not rung.is_final) or reuse is Reuse.REUSABLE:
        return Advice(Move.REPLAY, now.boot, doubt.rung, harmless=True)
    if not rung.is_final and is_in_grace(plan, doubt, now):
        return Advice(Move.REPLAY, now.boot, doubt.rung, _grace_ends(plan, doubt), harmless=True)
    lower = ladder.below(plan.ladder, doubt.rung, state.held)
    if lower is not None and (lower.is_free or is_spent):
        can_wait = lower.is_free and not lower.stocks
        return Advice(Move.CLIMB, due_at(plan, state, now) if can_wait else now.boot, lower.name)
    if is_spent:
        return Advice(Move.PARK, now.boot)
    held_until = now.boot if state.until is None else state.until
    if plan.contract.kills is Kills.MORE or doubt.risky >= doubt.allowed:
        if held_until > now.boot:
            return Advice(Move.HOLD, held_until)
        return Advice(Move.PARK, now.boot) if lower is None else Advice(Move.CLIMB, now.boot, lower.name)
    return Advice(Move.REPLAY, _last_call(plan, state, now), doubt.rung)


def is_in_grace(plan: Plan, doubt: Doubt, now: Moment) -> bool:
    """Whether the service still takes the spent secret, counted from when it was sent; over after another boot."""
    if plan.contract.reuse is not Reuse.GRACE or doubt.sent.boot_id != now.boot_id:
        return False
    return doubt.sent.boot <= now.boot < _grace_ends(plan, doubt)


def due_at(plan: Plan, state: State, now: Moment) -> float:
    """Boot-time second at which a new lease is due, whatever way it comes."""
    if state.want is not Want.NOTHING or state.lease is None or state.until is None or state.unproven:
        return now.boot
    if state.lagging:
        return policy.replay_at(state.until, state.lease.valid_for, plan.margins)
    return policy.refresh_at(
        state.until, state.lease.valid_for, plan.margins, plan.contract, plan.draw, state.grant_until
    )


def slow_wait(doubt: Doubt) -> float:
    """Seconds between a replay that was lost too and the next one."""
    return SLOW_REPLAY_SECONDS[min(max(doubt.risky, 1), len(SLOW_REPLAY_SECONDS)) - 1]


def slow_at(doubt: Doubt, now: Moment) -> float:
    """Boot-time second at which a secret whose replay was lost too is presented again; after a restart from now on."""
    return max(now.boot, (now.boot if doubt.last is None else doubt.last) + slow_wait(doubt))


def may_try_later(plan: Plan, doubt: Doubt) -> bool:
    """Whether a parked doubt gets a date."""
    return doubt.spent is None and plan.contract.kills is not Kills.MORE


def _grace_ends(plan: Plan, doubt: Doubt) -> float:
    return doubt.sent.boot + plan.contract.grace * (1 - GRACE_GUARD)


def _last_call(plan: Plan, state: State, now: Moment) -> float:
    lease = state.lease
    if state.until is None or lease is None or state.until <= now.boot:
        return now.boot
    return max(now.boot, policy.replay_at(state.until, lease.valid_for, plan.margins))
