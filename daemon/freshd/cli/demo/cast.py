"""Who plays: ten accounts of an OAuth 2.0 service, two of Feishu, and a login at Futu with its two brokers.

Lives are those of a run of 40 s; a shorter run shortens them, a longer one does not lengthen them.  Renewal is due when
70 % of a life are left (freshd's own default is a third): with tokens of seconds the storm and the restart are long.

Futu's leases are made on demand: nobody renews them until a reader asks for more life than the one in hand has left,
which its readers do once less than ASKS_AT of a life remain.  Their lives are whole seconds, as the service tells them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

MARGIN: Final = 0.7
ASKS_AT: Final = 0.45
"""Below half of a life, the most that a reader may ask for; above it lie storm, pace and restart."""
CLIENT: Final = "freshd"
USUAL_S: Final = 40.0
SHORTEST_S: Final = 20.0
OAUTH2, FEISHU, FEISHU_APP, FUTU, BROKER = "oauth2", "feishu", "feishu-app", "futu", "futu-broker"
LOGIN_WINDOW_S: Final = 8.0
"""A second login at Futu sooner than this is taken for abuse.  Really a minute, where a signature lives for a day."""
REPULL_WINDOW_S: Final = 1.0
"""The same for codes of one broker."""


@dataclass(frozen=True, slots=True)
class Role:
    """One account.  contract: strict, grace, reusable, issue (from a client's secret), ticket (of the platform), code
    (of a broker); `is_lost`: it will be parked.

    own_word   in the storm the service answers 503 in its own form (RFC 6749 section 5.2) instead of a gateway's page
    broker_id  Futu's number of the broker, 0 for all others
    """

    name: str
    contract: str
    life_s: float
    about: str
    is_lost: bool = False
    own_word: bool = False
    kind: str = OAUTH2
    broker_id: int = 0

    @property
    def is_on_demand(self) -> bool:
        """Whether a lease is made when a reader asks for one, and not by schedule."""
        return self.kind in (FUTU, BROKER)

    @property
    def asks_for_s(self) -> float:
        """Seconds of life that its readers ask for: 0 takes whatever there is."""
        return round(self.life_s * ASKS_AT, 3) if self.is_on_demand else 0.0

    @property
    def renews_every(self) -> float:
        """Seconds between two renewals, without jitter."""
        return self.life_s * (1 - (ASKS_AT if self.is_on_demand else MARGIN))

    @property
    def label(self) -> str:
        """What the service's books call it: tokens of an app are booked under the app."""
        return self.app_id if self.kind == FEISHU_APP else self.name

    @property
    def app_id(self) -> str:
        """The Feishu app behind it."""
        return f"cli_{self.name}"

    @property
    def has_secret(self) -> bool:
        """Whether freshd proves with a client's secret who it is."""
        return self.contract == "issue" or self.kind == FEISHU


ROLES: Final = (
    Role("calendar", "strict", 14.0, "its refresh token works once"),
    Role("mail", "strict", 13.0, "works once; its tokens get revoked", own_word=True),
    Role("files", "strict", 15.0, "works once; its tokens get revoked after the restart"),
    Role("chat", "grace", 12.0, "a spent token works a while longer; loses an answer"),
    Role("crm", "grace", 13.0, "like chat; is renewing when the daemon is killed"),
    Role("photos", "reusable", 12.0, "works many times; loses an answer"),
    Role("backup", "reusable", 14.0, "works many times; its tokens get revoked", own_word=True),
    Role("deploy-bot", "issue", 12.0, "client credentials; loses an answer"),
    Role("metrics-bot", "issue", 13.0, "client credentials; its tokens get revoked", own_word=True),
    Role("bank", "strict", 12.0, "works once, and its answer gets lost for good", is_lost=True),
    Role("feishu-user", "strict", 14.0, "a second use ends it (20064); gets revoked", own_word=True, kind=FEISHU),
    Role("feishu-app", "issue", 13.0, "tenant tokens, the same one to all who ask early", kind=FEISHU_APP),
    Role("futu", "ticket", 30.0, "one login for both brokers, never two in a row", kind=FUTU),
    Role("futu-hk", "code", 18.0, "a code expires; its connection is cut", kind=BROKER, broker_id=1001),
    Role("futu-us", "code", 18.0, "is told 20029 when it asks for a code", kind=BROKER, broker_id=1007),
)


def cast(duration: float) -> tuple[Role, ...]:
    """The roles of a run that long."""
    scale = scale_of(duration)
    return tuple(replace(one, life_s=round(one.life_s * scale, 0 if one.is_on_demand else 2)) for one in ROLES)


def scale_of(duration: float) -> float:
    """How much shorter than in the usual run lives and faults are."""
    return min(1.0, max(duration, SHORTEST_S) / USUAL_S)
