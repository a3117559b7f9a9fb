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
class Wish:
    """A reader asked for more life than there was.  `since`: before it first asked; `met_at`: when it got it, or None.

    Only where leases are made on demand.
    """

    since: float
    met_at: float | None = None


class Turn(Enum):
    """What became of a trading connection: logged in, broken, refused a login; the refusal was reported."""

    IN = "in"
    OUT = "out"
    REFUSED = "refused"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Held:
    """One line of a trader's diary.  `token`: fingerprint of the lease that it tried."""

    at: float
    turn: Turn
    token: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call of the token endpoint, as the service booked it.  `operation`: the grant type, or what stands for it."""

    at: float
    outcome: str
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at an account over the socket.  `at`: just before it was asked for; `due_at`: its next renewal."""

    at: float
    phase: str
    due_at: float | None


@dataclass(frozen=True, slots=True)
class AccountEvidence:
    """Everything recorded about one account.

    kind          of account, as the configuration says it
    renews_every  seconds between two renewals where nothing goes wrong
    wishes        where leases are made on demand: what the readers had to ask for
    counters      the service's own, for this account
    lost          answers that the service committed and that never left it
    final         the account as the daemon showed it at the end
    """

    name: str
    renews_every: float
    kind: str = "oauth2"
    expected_parked: bool = False
    reads: int = 0
    readings: Sequence[Reading] = ()
    arrivals: Sequence[Arrival] = ()
    samples: Sequence[Sample] = ()
    wishes: Sequence[Wish] = ()
    counters: Mapping[str, Any] = field(default_factory=dict)
    lost: int = 0
    final: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FutuEvidence:
    """What only a login at Futu and its brokers leave behind.

    tally        the service's own count: logins, those inside the window, text messages
    expired      account → when its code in stock was ended
    told_no_cid  account → since when its next repull is told 20029
    cut          account → when its trading connections were cut and its signature was voided
    held         account → the diary of the program that holds its trading connection
    """

    tally: Mapping[str, Any] = field(default_factory=dict)
    expired: Mapping[str, float] = field(default_factory=dict)
    told_no_cid: Mapping[str, float] = field(default_factory=dict)
    cut: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, Sequence[Held]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AunEvidence:
    """What only an agent leaves behind.

    tally     account → the gateway's own count: sessions, how they ended
    sessions  account → sessions at the end of the run
    """

    tally: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sessions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MqttEvidence:
    """What only a login at the MQTT broker leaves behind.

    account  whose token is the password there
    changes  when it got another password; logins: when it was let in, by the broker's own log
    events   that the subscriber heard; lost: numbers between them that never came
    """

    account: str
    changes: Sequence[float] = ()
    logins: Sequence[float] = ()
    events: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """A whole run.

    downs     when no daemon answered: from the kill until the socket answered again, or to the end
    kills     SIGKILLs that ended a daemon; comebacks: times it answered again afterwards
    storms    from the first to the last moment of each
    revoked   fingerprint → when the OAuth 2.0 service was told to refuse that token
    voided    the same of other services' tokens and of brokers' signatures
    struck    what was done to an account beside → account → when, each time: `store` (told that its login is dead),
              `session` (its gateway login was ended), `stranger` (somebody else signed in)
    mqtt      None where this machine has no broker
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
    voided: Mapping[str, float] = field(default_factory=dict)
    struck: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    futu: FutuEvidence = field(default_factory=FutuEvidence)
    aun: AunEvidence = field(default_factory=AunEvidence)
    mqtt: MqttEvidence | None = None
    events: Sequence[Mapping[str, Any]] = ()
    deaths: int = 0
    troubles: Sequence[str] = ()
