"""How fast a service may be called, across success, failure, crash, restart and reload (I6).

The ledger has one row per key (host; host and app; account and rung).  A row is charged in the same commit as the
intent, before the call; what came of the call adjusts it afterwards.  A crash in between leaves the charge standing.

Rules
-----
* Between two charges of a row lies at least its spacing: the interval, or the back-off after failures if longer.
* Retry-After is obeyed in full, up to `RETRY_AFTER_CAP`.
* After another boot a wait restarts at its length: only seconds since the boot are certain to have passed.
* A daily budget counts elapsed seconds that are certain, summed over boots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from freshd.core.age import at_least
from freshd.core.model import Moment

DAY_SECONDS: Final = 86_400.0
RETRY_AFTER_CAP: Final = 86_400.0
"""No service may silence an account for longer than a day by one header."""
UNSENT_CAP_SECONDS: Final = 30.0
"""Back-off while nothing can be sent at all: knocking at a closed door costs the service nothing."""
MAX_DOUBLINGS: Final = 16
"""2**16 seconds is beyond every cap; keeps the arithmetic finite."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of one key.  interval, backoff_cap: seconds; daily: charges in 24 h, None without limit."""

    interval: float = 1.0
    backoff_cap: float = 300.0
    daily: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the ledger.

    last      when it was last charged
    failures  consecutive failures since
    unsent    the last of them was one in which nothing left this machine
    silence   seconds of Retry-After, counted from `told`
    day_used  charges in the running day; day_passed: certain seconds of that day up to `last`
    """

    last: Moment | None = None
    failures: int = 0
    silence: float = 0.0
    told: Moment | None = None
    day_used: int = 0
    day_passed: float = 0.0
    unsent: bool = False


def spacing(row: Row, pace: Pace) -> float:
    """Seconds that must lie between the last charge and the next."""
    if row.failures <= 0:
        return pace.interval
    doubled = max(pace.interval, 0.001) * 2.0 ** min(row.failures, MAX_DOUBLINGS)
    cap = min(pace.backoff_cap, UNSENT_CAP_SECONDS) if row.unsent else pace.backoff_cap
    return max(pace.interval, min(doubled, cap))


def wait(row: Row, pace: Pace, now: Moment) -> float:
    """Seconds until this row may be charged; 0 when it may be now."""
    waits = [0.0]
    if row.last is not None:
        waits.append(spacing(row, pace) - at_least(row.last, now))
    if row.told is not None:
        waits.append(row.silence - at_least(row.told, now))
    if pace.daily is not None and row.day_used >= pace.daily:
        waits.append(DAY_SECONDS - _day_passed(row, now))
    return max(waits)


def charge(row: Row, now: Moment) -> Row:
    """The row after one call was let through."""
    passed = _day_passed(row, now)
    if row.last is None or passed >= DAY_SECONDS:
        return replace(row, last=now, day_used=1, day_passed=0.0)
    return replace(row, last=now, day_used=row.day_used + 1, day_passed=passed)


def succeeded(row: Row) -> Row:
    """The row after the service answered."""
    return replace(row, failures=0, unsent=False, silence=0.0, told=None)


def failed(row: Row, now: Moment, retry_after: float | None = None, *, unsent: bool = False) -> Row:
    """The row after the service failed, with the seconds it asked for, if any."""
    worse = replace(row, failures=row.failures + 1, unsent=unsent)
    if retry_after is None:
        return worse
    return replace(worse, silence=min(max(0.0, retry_after), RETRY_AFTER_CAP), told=now)


def _day_passed(row: Row, now: Moment) -> float:
    return row.day_passed + (0.0 if row.last is None else at_least(row.last, now))
