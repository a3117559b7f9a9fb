"""What a run leaves behind to be judged: plain records, no rules.  Moments are wall-clock seconds of this machine.

Whoever judges sees these records and nothing else: readers write down what they met, the service what arrived, the
daemon its own log.  No part of freshd is asked whether all went well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Interval = tuple[float, float]


class Met(Enum):
    """What a reader met.

    LEASE    the socket handed out a lease that it had not seen before
    NONE     the daemon had no lease, and the reader holds none that lives
    DOWN     nobody answered on the socket, and the reader holds none that lives
    GOOD     the service took the newest lease
    REFUSED  the service refused the newest lease
    UNSURE   the service did not answer; proves nothing
    """

    LEASE = "lease"
    NONE = "none"
    DOWN = "down"
    GOOD = "good"
    REFUSED = "refused"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Reading:
    """One line of a reader's diary.  `token`: fingerprint of the lease; `ends_at`: its end, for LEASE."""

    reader: str
    at: float
    met: Met
    token: str = ""
    ends_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call of the token endpoint, as the service booked it."""

    at: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at an account over the socket.  `at`: just before it was asked for; `due_at`: its next renewal."""

    at: float
    phase: str
    due_at: float | None


@dataclass(frozen=True, slots=True)
class AccountEvidence:
    """Everything recorded about one account.

    renews_every  seconds between two renewals where nothing goes wrong
    counters      the service's own, for this account
    lost          answers that the service committed and that never left it
    final         the account as the daemon showed it at the end
    """

    name: str
    renews_every: float
    expected_parked: bool = False
    reads: int = 0
    readings: Sequence[Reading] = ()
    arrivals: Sequence[Arrival] = ()
    samples: Sequence[Sample] = ()
    counters: Mapping[str, Any] = field(default_factory=dict)
    lost: int = 0
    final: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A whole run.

    downs     when no daemon answered: from the kill until the socket answered again, or to the end
    kills     SIGKILLs that ended a daemon; comebacks: times it answered again afterwards
    storms    from the first to the last moment of each
    revoked   fingerprint → when the service was told to refuse that token
    events    the daemon's log, one mapping per line
    deaths    ends of the daemon that nobody had asked for
    troubles  what kept the demo itself from doing what it had planned
    """

    began: float
    ended: float
    accounts: Sequence[AccountEvidence] = ()
    downs: Sequence[Interval] = ()
    kills: int = 0
    comebacks: int = 0
    storms: Sequence[Interval] = ()
    revoked: Mapping[str, float] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    deaths: int = 0
    troubles: Sequence[str] = ()
