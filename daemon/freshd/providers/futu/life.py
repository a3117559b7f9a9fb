"""How long what the platform or a broker gave will live, whatever it claims.  Pure and total.

* A code's `invalid_time` above `INSTANT_ABOVE` is a moment, else a length; which of the two the service means is not
  known.  A moment is measured by the service's own clock, so that ours may be wrong: `svr_time` of the answer, else the
  reply's Date, else the time of sending.
* A signature's `cltsig_invalidtime` is a length.  Absent, zero or beyond belief it takes the contract's value.
* Nothing lives longer than `LONGEST_SECONDS` by its own word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from freshd.core.contract import Contract
from freshd.core.model import Intent
from freshd.core.outcome import Reply
from freshd.providers.form import date

INSTANT_ABOVE: Final = 1_000_000_000
LONGEST_SECONDS: Final = 366 * 86_400.0
CODE_SECONDS: Final = 30 * 86_400.0
"""The usual life of a code: what one gets whose own word is beyond belief."""
OFFSET_SECONDS: Final = 30.0
"""From here on a wrong clock is worth telling."""
LARGEST: Final = 2**64 - 1


def whole(value: object) -> int | None:
    """An unsigned 64-bit number, also where it was sent as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LARGEST else None


def code_life(value: object, now: float) -> float | None:
    """Seconds of life of a code, `now` being the service's time; None for zero, the past, and what is no number."""
    stated = whole(value)
    if not stated:
        return None
    left = stated - now if stated > INSTANT_ABOVE else float(stated)
    if left <= 0:
        return None
    return left if left <= LONGEST_SECONDS else CODE_SECONDS


def signature_life(value: object, contract: Contract) -> tuple[float, str | None]:
    """Seconds of life of a signature, and what is odd about the life that was stated."""
    stated = whole(value)
    if value is None or stated == 0:
        return contract.lease_life, None
    if stated is None or stated > LONGEST_SECONDS:
        return contract.lease_life, "unbelievable"
    return float(stated), None


def service_time(result: Mapping[str, Any], reply: Reply, intent: Intent) -> float:
    """What the service's clock showed, in seconds since 1970; ours where it does not say."""
    stated = whole(result.get("svr_time"))
    if stated is not None and stated > INSTANT_ABOVE and stated - intent.sent.wall < LONGEST_SECONDS:
        return float(stated)
    dated = date(reply.header("Date"))
    return intent.sent.wall if dated is None else dated


def clock_off(service: float, intent: Intent) -> str | None:
    """How far this machine's clock is from the service's, where that is worth telling."""
    off = service - intent.sent.wall
    if abs(off) <= OFFSET_SECONDS:
        return None
    return f"this machine is {abs(off):.0f} s {'behind' if off > 0 else 'ahead'}"
