"""How late renewals began, measured from outside.  Pure.

By schedule: a renewal's due moment is the `next_refresh_at` that the socket showed first after the previous renewal;
its beginning is the arrival of its first call at the service.  Late is what lies between, less the seconds in which no
daemon ran.  Repeated calls after a failure are not beginnings.  A renewal that came earlier, because a reader had
reported a refusal or an operator wished it, is 0 late.

On demand there is no due moment but a reader's wish: late is what lies between a reader's first question that the lease
in hand could not meet, by the reader's own clock and before the question leaves, and the arrival of the first call at
the service that makes a lease; less the seconds in which no daemon ran.  What has to be had first, a code where the
stock is empty, is no such call, so waiting for it is late.  Neither is a call whose lease never reached that reader,
because the answer was lost or the lease withdrawn.  A wish that was met by a lease already on its way is 0
late; one that nobody met in the end is late up to the end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from freshd.cli.demo.evidence import Arrival, Interval, Sample, Wish
from freshd.cli.demo.lapses import overlap

RESTING = "live"
GRANTED = "granted"
MAKES_LEASE = frozenset({"broker_auth", "authority"})
"""The operations of Futu's stand-in whose answer is a lease."""
NO_RENEWAL = frozenset({"auth.connect"})
"""Calls that an account's books hold and that renew nothing."""


def lateness(arrivals: Sequence[Arrival], samples: Sequence[Sample], downs: Sequence[Interval]) -> list[float]:
    """Seconds late, for every renewal whose due moment was seen."""
    found = []
    for before, after in itertools.pairwise(call for call in arrivals if call.operation not in NO_RENEWAL):
        if before.outcome != GRANTED:
            continue
        due_at = _due(samples, before.at, after.at)
        if due_at is not None:
            late = after.at - due_at
            found.append(max(0.0, late - overlap((due_at, after.at), downs)))
    return found


def waits(arrivals: Sequence[Arrival], wishes: Sequence[Wish], downs: Sequence[Interval], ended: float) -> list[float]:
    """Seconds late, for every wish of a reader; `ended`: of the run."""
    made = sorted((call for call in arrivals if call.operation in MAKES_LEASE), key=lambda call: call.at)
    found = []
    for wish in wishes:
        until = ended if wish.met_at is None else wish.met_at
        calls = [call for call in made if wish.since <= call.at <= until]
        begun = _begun(calls, is_met=wish.met_at is not None)
        if begun is None:
            begun = ended if wish.met_at is None else wish.since
        found.append(max(0.0, begun - wish.since - overlap((wish.since, begun), downs)))
    return found


def _begun(calls: Sequence[Arrival], *, is_met: bool) -> float | None:
    """When what met a wish began: of the calls, the first after those that were granted and met nothing."""
    granted = [number for number, call in enumerate(calls) if call.outcome == GRANTED]
    in_vain = granted[:-1] if is_met else granted
    first = in_vain[-1] + 1 if in_vain else 0
    return calls[first].at if first < len(calls) else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank, so always one of the values; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _due(samples: Sequence[Sample], after: float, before: float) -> float | None:
    shown = (one.due_at for one in samples if after < one.at < before and one.phase == RESTING)
    return next((due_at for due_at in shown if due_at is not None), None)
