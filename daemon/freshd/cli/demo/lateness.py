"""How late renewals began, measured from outside.  Pure.

A renewal's due moment is the `next_refresh_at` that the socket showed first after the previous renewal; its beginning
is the arrival of its first call at the service.  Late is what lies between, less the seconds in which no daemon ran.
Repeated calls after a failure are not beginnings.  A renewal that came earlier, because a reader had reported a refusal
or an operator wished it, is 0 late.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from freshd.cli.demo.evidence import Arrival, Interval, Sample
from freshd.cli.demo.lapses import overlap

RESTING = "live"


def lateness(arrivals: Sequence[Arrival], samples: Sequence[Sample], downs: Sequence[Interval]) -> list[float]:
    """Seconds late, for every renewal whose due moment was seen."""
    found = []
    for before, after in itertools.pairwise(arrivals):
        if before.outcome != "granted":
            continue
        due_at = _due(samples, before.at, after.at)
        if due_at is not None:
            late = after.at - due_at
            found.append(max(0.0, late - overlap((due_at, after.at), downs)))
    return found


def percentile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank, so always one of the values; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _due(samples: Sequence[Sample], after: float, before: float) -> float | None:
    shown = (one.due_at for one in samples if after < one.at < before and one.phase == RESTING)
    return next((due_at for due_at in shown if due_at is not None), None)
