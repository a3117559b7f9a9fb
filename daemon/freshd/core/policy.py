"""When to renew: pure arithmetic on boot-clock seconds (design 7).

Rules
-----
* A margin is a share of the life, capped; jitter only makes earlier, so nobody is ever late because of it.
* A service that returns the same token to early callers is asked no earlier than its reissue point.
* A grant that dies unused is refreshed before it dies, however long its lease lives.
* A date that needs a person is announced early, in steps that shrink towards the date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from freshd.core.contract import Contract
from freshd.core.settings import Margins

REPLAY_LEAD_SECONDS: Final = 60.0
"""A held replay leaves this much of a long token's life for its own round trip and persistence."""
HOUR: Final = 3600.0
DAY: Final = 86_400.0
WARN_BEFORE_SECONDS: Final[Sequence[float]] = (30 * DAY, 14 * DAY, 7 * DAY, 3 * DAY, DAY, 6 * HOUR, HOUR)
"""Lead times of the announcements before a grant's own end."""


def lead(valid_for: float, margins: Margins) -> float:
    """Seconds before the end of a life at which renewal is due, without jitter."""
    return min(margins.cap, margins.fraction * max(0.0, valid_for))


def refresh_at(
    until: float, valid_for: float, margins: Margins, contract: Contract, draw: float, grant_until: float | None = None
) -> float:
    """Boot-time second at which a lease is renewed.

    until        boot-time second at which the lease ends; valid_for its whole life
    draw         0 ≤ draw < 1, this account's share of the jitter
    grant_until  boot-time second at which the grant dies if unused; one that the lease has outlived proves to be wrong
    """
    margin = lead(valid_for, margins)
    at = until - margin - margins.jitter * draw * margin
    if contract.reissue_left is not None:
        at = max(at, until - contract.reissue_left)
    obtained = until - valid_for
    if grant_until is not None and grant_until > obtained:
        at = min(at, grant_until - lead(grant_until - obtained, margins))
    return at


def grant_lead(valid_for: float, margins: Margins) -> float:
    """Seconds before the end of a grant at which it is renewed for its own sake.

    Not capped as the lead of a lease is: what comes after a grant's end is a person's work, so there must be days left
    for all that can go wrong.
    """
    return margins.fraction * max(0.0, valid_for)


def replay_at(until: float, valid_for: float, margins: Margins) -> float:
    """As late as the token in hand allows, leaving room for one round trip (design 5)."""
    return until - min(REPLAY_LEAD_SECONDS, lead(valid_for, margins) / 2)


def longest_ttl(valid_for: float, contract: Contract) -> float:
    """The greatest `min_ttl` a reader may ask for: half a life, or the service's reissue point (design 8)."""
    half = valid_for / 2
    return half if contract.reissue_left is None else min(half, contract.reissue_left)


def next_warning(left: float, whole: float) -> float | None:
    """Seconds from now until the next announcement of an end that is `left` seconds away; None when none is to come.

    Only lead times under half of the whole life count: a grant of a week is not announced a month ahead.
    """
    waits = [left - before for before in WARN_BEFORE_SECONDS if before <= whole / 2 and left > before]
    return min(waits, default=None)


def warning_step(left: float, whole: float) -> float | None:
    """The lead time, seconds, whose announcement is in force; None before the first."""
    return min((before for before in WARN_BEFORE_SECONDS if before <= whole / 2 and left <= before), default=None)
