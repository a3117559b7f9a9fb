"""A run at GeniusAuth, AUN and CloudBase in which all went as it should, for the judge's tests."""

import dataclasses
from typing import Any

from freshd.cli.demo.evidence import AccountEvidence, AunEvidence, Met, Reading
from tests.demo.brokers import calls

REFRESH, CONNECT = "auth.refresh_token", "auth.connect"
LOGIN1, LOGIN2 = "auth.aid_login1", "auth.aid_login2"
PUSHED_OUT, ENDED_ONCE, ENDED_AGAIN, STORE = 1010.0, 1011.0, 1035.0, 1024.0


def had(reader: str, token: str) -> list[Reading]:
    """A reader that was given a token which was then refused."""
    return [Reading(reader, 1011.0, Met.LEASE, token, 1030.0), Reading(reader, 1012.0, Met.REFUSED, token)]


def desk(**changes: Any) -> AccountEvidence:
    told = calls((1023.0, "refresh", "granted"), (1025.0, "refresh", "refused"), (1030.1, "refresh", "granted"))
    whole = AccountEvidence("desk", 5.0, kind="geniusauth", arrivals=told, counters={"errors": {"31": 1}})
    return dataclasses.replace(whole, **changes)


def kiosk(**changes: Any) -> AccountEvidence:
    return dataclasses.replace(desk(name="kiosk", readings=had("kiosk/0", "k")), **changes)


def agent(**changes: Any) -> AccountEvidence:
    made = calls(
        (999.0, REFRESH, "granted"), (999.1, CONNECT, "ok"), (1004.0, REFRESH, "granted"), (1008.0, LOGIN1, "ok"),
        (1008.1, LOGIN2, "granted"), (1011.1, CONNECT, "4001"), (1011.3, REFRESH, "granted"), (1011.5, CONNECT, "ok"),
        (1035.1, REFRESH, "-32001"), (1035.2, LOGIN1, "ok"), (1035.3, LOGIN2, "granted"), (1035.5, CONNECT, "ok"),
    )  # fmt: skip
    return dataclasses.replace(AccountEvidence("agent", 4.2, kind="aun", arrivals=made), **changes)


def bot(**changes: Any) -> AccountEvidence:
    made = calls(
        (999.0, "custom", "granted"), (1005.0, "refresh_token", "granted"), (1012.0, "refresh_token", "invalid_grant"),
        (1012.2, "custom", "granted"), (1016.0, "refresh_token", "granted"),
    )  # fmt: skip
    return dataclasses.replace(AccountEvidence("bot", 4.2, kind="cloudbase", arrivals=made), **changes)


def guest(**changes: Any) -> AccountEvidence:
    made = calls((999.0, "anonymously", "granted"), (1003.0, "refresh_token", "granted"))
    whole = AccountEvidence("guest", 4.0, kind="cloudbase", arrivals=made, readings=had("guest/0", "g"))
    return dataclasses.replace(whole, **changes)


def at_gateway(ended: int = 2, sessions: int = 1) -> AunEvidence:
    return AunEvidence({"agent": {"ended": {"4001": ended}}}, {"agent": sessions})


STRUCK = {
    "store": {"desk": [STORE], "kiosk": [STORE]},
    "session": {"agent": [ENDED_ONCE, ENDED_AGAIN]},
    "stranger": {"bot": [PUSHED_OUT]},
}
VOIDED = {"k": 1011.9, "g": 1011.9}
EVENTS: list[dict[str, Any]] = [
    *({"event": "lease.healed", "account": name} for name in ("kiosk", "guest")),
    {"event": "service.refusing", "host": "geniusauth v.example"},
    {"event": "service.accepting", "host": "geniusauth v.example"},
]
