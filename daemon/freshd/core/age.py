"""How much time has passed, told from moments that may lie in another boot or before a wrong clock (design 7).

Rules
-----
* Within one boot only the boot clock counts: steps of the wall clock change nothing.
* Across boots the wall clock counts, but never less than the time since this boot, and never trusted below the
  high-water mark, the highest wall time the journal ever saw.
* `at_least` is a lower bound that no clock can inflate: for paces and waits.  `at_most_known` is the honest estimate,
  for lives.
"""

from __future__ import annotations

from dataclasses import dataclass

from freshd.core.model import Moment


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds since a moment; `proven` is False where another boot and a suspicious clock lie in between."""

    seconds: float
    proven: bool


def at_least(since: Moment, now: Moment) -> float:
    """Seconds that have passed for certain: after another boot, only those since the boot."""
    if since.boot_id == now.boot_id:
        return max(0.0, now.boot - since.boot)
    return max(0.0, now.boot)


def age(since: Moment, now: Moment, high_water: float = 0.0) -> Age:
    """Seconds that have passed as far as can be told.  `high_water` is wall time in seconds."""
    if since.boot_id == now.boot_id:
        return Age(max(0.0, now.boot - since.boot), proven=True)
    floor = max(0.0, now.boot, high_water - since.wall)
    if now.wall < high_water or now.wall < since.wall:
        return Age(floor, proven=False)
    return Age(max(floor, now.wall - since.wall), proven=True)


def left(since: Moment, valid_for: float, now: Moment, high_water: float = 0.0) -> float:
    """Seconds of life left, zero or negative when over."""
    return valid_for - age(since, now, high_water).seconds
