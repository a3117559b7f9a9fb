"""Who plays: ten accounts of an OAuth 2.0 service, two each of Feishu, GeniusAuth and CloudBase, an agent of AUN, a
login at Futu with its two brokers, and where there is an MQTT broker one whose token is the password there.

Lives are those of a run of 40 s; a shorter run shortens them somewhat, a longer one does not lengthen them.  Renewal is
due when 70 % of a life are left (freshd's own default is a third): with tokens of seconds storm and restart are long.

Futu's leases are made on demand: nobody renews them until a reader asks for more life than the one in hand has left,
which its readers do once less than ASKS_AT of a life remain.  Their lives are whole seconds, as the service tells them,
and so are those of GeniusAuth and AUN.
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
LIVES_LEAST: Final = 0.7
"""Lives are never shorter than this share of the usual ones: they must outlast a restart, which takes its time."""
OAUTH2, FEISHU, FEISHU_APP, FUTU, BROKER = "oauth2", "feishu", "feishu-app", "futu", "futu-broker"
GENIUS, AUN, CLOUD = "geniusauth", "aun", "cloudbase"
CUSTOM, ANONYMOUS = "custom", "anonymous"
"""Ways to sign in at CloudBase."""
GENIUS_MARGIN: Final = 0.75
"""GeniusAuth's refusals are tried again after 5 s, whatever the life: its tokens must outlive that, and the storm."""
METER: Final = "meter"
"""Whose token is the password at the MQTT broker.  It lives longer than others, in short runs too: a login there counts
as good only once it has held for some seconds."""
AUN_ISSUER: Final = "sandbox.test"
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
    method     how it signs in at CloudBase, empty for all others
    """

    name: str
    contract: str
    life_s: float
    about: str
    is_lost: bool = False
    own_word: bool = False
    kind: str = OAUTH2
    broker_id: int = 0
    method: str = ""

    @property
    def is_on_demand(self) -> bool:
        """Whether a lease is made when a reader asks for one, and not by schedule."""
        return self.kind in (FUTU, BROKER)

    @property
    def asks_for_s(self) -> float:
        """Seconds of life that its readers ask for: 0 takes whatever there is."""
        return round(self.life_s * ASKS_AT, 3) if self.is_on_demand else 0.0

    @property
    def margin(self) -> float:
        """Share of a life at whose remainder renewal is due."""
        if self.is_on_demand:
            return ASKS_AT
        return GENIUS_MARGIN if self.kind == GENIUS else MARGIN

    @property
    def renews_every(self) -> float:
        """Seconds between two renewals, without jitter."""
        return self.life_s * (1 - self.margin)

    @property
    def signs_in(self) -> bool:
        """Whether freshd can always log in anew without a person, so that no lost answer costs the account."""
        return self.kind in (AUN, CLOUD)

    @property
    def label(self) -> str:
        """What the service's books call it: tokens of an app are booked under the app."""
        return self.app_id if self.kind == FEISHU_APP else self.name

    @property
    def app_id(self) -> str:
        """The app behind it, at Feishu or GeniusAuth."""
        return f"cli_{self.name}"

    @property
    def aid(self) -> str:
        """The agent's name at AUN."""
        return f"{self.name}.{AUN_ISSUER}"

    @property
    def has_secret(self) -> bool:
        """Whether a secret from a file proves who freshd is: a client's, or the key that tickets are made with."""
        return self.contract == "issue" or self.kind in (FEISHU, GENIUS) or self.method == CUSTOM

    @property
    def is_whole(self) -> bool:
        """Whether its service counts lives in whole seconds."""
        return self.is_on_demand or self.kind in (GENIUS, AUN)


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
    Role("front-desk", "reusable", 20.0, "is told 31, and so is kiosk: not its login is dead", kind=GENIUS),
    Role("kiosk", "reusable", 20.0, "like front-desk; its tokens get revoked before", kind=GENIUS),
    Role("agent", "strict", 14.0, "holds a login at a gateway, which ends it (4001); logs in with a key", kind=AUN),
    Role("cloud-bot", "strict", 14.0, "a stranger ends its session; signs in by ticket", kind=CLOUD, method=CUSTOM),
    Role("cloud-guest", "strict", 13.0, "nobody in particular; its tokens get revoked", kind=CLOUD, method=ANONYMOUS),
    Role(METER, "reusable", 30.0, "its token is the password at an MQTT broker, where freshd is logged in"),
)


def cast(duration: float, *, has_broker: bool = True) -> tuple[Role, ...]:
    """The roles of a run that long; `has_broker`: this machine has an MQTT broker."""
    scale = scale_of(duration)
    return tuple(replace(one, life_s=_life(one, scale)) for one in ROLES if has_broker or one.name != METER)


def scale_of(duration: float) -> float:
    """How much shorter than in the usual run faults are."""
    return min(1.0, max(duration, SHORTEST_S) / USUAL_S)


def lives_of(scale: float) -> float:
    """How much shorter lives are, and with them the storm, which must strike somebody."""
    return max(scale, LIVES_LEAST)


def _life(role: Role, scale: float) -> float:
    shorter = 1.0 if role.name == METER else lives_of(scale)
    return round(role.life_s * shorter, 0 if role.is_whole else 2)
