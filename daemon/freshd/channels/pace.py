"""How long a channel waits before it tries again.  Pure: the dice are an argument.

A connection that held for `STEADY_SECONDS` says that its lease is good.  Only one that held for `LASTING_SECONDS` ends
every count, so that a service which lets us in and throws us out again is not stormed (I6).  A password that changed
explains a loss: `EXPLAINED_MOST` losses in a row that a newer lease has healed count for nothing.
"""

from __future__ import annotations

from typing import Final

STEADY_SECONDS: Final = 4.0
"""How long a connection must have held before its lease counts as good."""
LASTING_SECONDS: Final = 60.0
"""How long a connection must have held before what went wrong earlier is forgotten."""
EXPLAINED_MOST: Final = 60
"""So many losses a newer lease may heal at once, between two connections that lasted: ten minutes of a password that
changes every ten seconds."""
WAIT_MOST_SECONDS: Final = 3600.0
"""The most that counts of a wait which the other side asks for."""
BUG_SECONDS: Final = 300.0
"""Before a channel goes on that met something it does not understand."""
FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 60.0
SETTLE: Final = (0.3, 1.0, 3.0)
"""Tries of a lease that is new: a service that is told of a new password may learn of it a moment after us."""
NEW_SECONDS: Final = 30.0
"""A lease older than this has been heard of by everybody."""
REFUSALS_MOST: Final = 3
"""Leases refused one after the other before it is an alert, and tried slowly."""
SLOW_SECONDS: Final = 600.0
LOSSES_MOST: Final = 7
"""After so many in a row, connections that do not last are none: two minutes have passed, and somebody is told."""
DOWN_SECONDS: Final = 120.0
"""Without a connection for longer than this, somebody is told."""


def asked(wait: float) -> float:
    """What counts of the seconds that the other side asks for."""
    return min(max(0.0, wait), WAIT_MOST_SECONDS)


def after_loss(failures: int, draw: float) -> float:
    """Seconds before the next try, after so many failures in a row (1 or more): 1 to 60, less up to half by chance."""
    longest = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return float(longest * (1.0 - draw / 2.0))


def after_refusal(refusals: int, draw: float) -> float:
    """Seconds before another lease is tried, after so many were refused in a row (1 or more)."""
    if refusals >= REFUSALS_MOST:
        return SLOW_SECONDS * (1.0 - draw / 2.0)
    return 0.0 if refusals == 1 else after_loss(refusals, draw)
