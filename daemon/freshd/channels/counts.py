"""What a channel counts, so that it knows how long to wait and what to tell."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """What went wrong since a connection last held for long.

    refusals   leases refused, one after the other
    settled    further tries of the lease in hand that were used up
    again      that a login was to be tried at once, and was
    explained  losses that a newer lease healed
    down_at    boot-time second since which there is no connection
    away       seconds without one, when the last one began
    told       alerts of which somebody knows
    """

    losses: int = 0
    refusals: int = 0
    settled: int = 0
    again: bool = False
    explained: int = 0
    down_at: float = 0.0
    away: float = 0.0
    told: set[str] = field(default_factory=set)
