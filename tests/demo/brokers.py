"""A run at Futu in which all went as it should, for the judge's tests: its login, two brokers, what was held."""

import dataclasses
from typing import Any

from freshd.cli.demo.evidence import AccountEvidence, Arrival, FutuEvidence, Held, Turn, Wish

BEGAN, ENDED = 1000.0, 1040.0
EXPIRED, TOLD, CUT = 1002.0, 1002.1, 1011.0


def calls(*lines: tuple[float, str, str]) -> list[Arrival]:
    return [Arrival(at, outcome, operation) for at, operation, outcome in lines]


def platform(**changes: Any) -> AccountEvidence:
    made = calls((999.0, "authority", "granted"), (1015.0, "authority", "granted"), (1031.0, "authority", "granted"))
    wishes = [Wish(998.9, 999.1), Wish(1014.9, 1015.1), Wish(1030.9, 1031.1)]
    whole = AccountEvidence(
        "futu", 16.0, kind="futu", arrivals=made, wishes=wishes, final={"phase": "live"}, counters={"errors": {}}
    )
    return dataclasses.replace(whole, **changes)


def expiring(**changes: Any) -> AccountEvidence:
    """The broker whose code expired in stock, and whose connection was cut."""
    made = calls(
        (999.2, "broker_auth", "granted"), (999.4, "repull", "granted"), (1009.0, "broker_auth", "990003"),
        (1009.1, "repull", "granted"), (1009.3, "broker_auth", "granted"), (1010.2, "repull", "granted"),
        (1020.0, "broker_auth", "granted"), (1021.0, "repull", "granted"),
    )  # fmt: skip
    whole = AccountEvidence(
        "hk", 10.0, kind="futu-broker", arrivals=made, wishes=[Wish(1008.9, 1009.4)], final={"phase": "live"},
        counters={"errors": {"990003": 1}},
    )  # fmt: skip
    return dataclasses.replace(whole, **changes)


def refused(**changes: Any) -> AccountEvidence:
    """The broker that was told 20029."""
    made = calls(
        (999.2, "broker_auth", "granted"), (999.4, "repull", "granted"), (1011.2, "broker_auth", "granted"),
        (1011.4, "repull", "20029"), (1012.5, "repull", "granted"), (1012.7, "broker_auth", "granted"),
        (1013.7, "repull", "granted"),
    )  # fmt: skip
    whole = AccountEvidence(
        "us", 10.0, kind="futu-broker", arrivals=made, wishes=[Wish(1011.5, 1012.8)], final={"phase": "live"},
        counters={"errors": {"20029": 1}},
    )  # fmt: skip
    return dataclasses.replace(whole, **changes)


def held(*lines: tuple[float, Turn] | tuple[float, Turn, str]) -> list[Held]:
    return [Held(*line) for line in lines]


def futu(**changes: Any) -> FutuEvidence:
    mended = held(
        (999.5, Turn.IN, "a"), (1011.0, Turn.OUT), (1011.01, Turn.REFUSED, "a"), (1011.02, Turn.REPORTED, "a"),
        (1011.3, Turn.IN, "b"),
    )  # fmt: skip
    tally = {"authority_calls": 3, "authority_too_soon": 0, "sms_sent": 0}
    diaries = {"hk": mended, "us": held((999.5, Turn.IN, "c"))}
    return dataclasses.replace(FutuEvidence(tally, {"hk": EXPIRED}, {"us": TOLD}, {"hk": CUT}, diaries), **changes)


EVENTS = [
    {"event": "lease.withdrawn", "account": "us"},
    {"event": "lease.healed", "account": "hk"},
    *({"event": "refresh.succeeded", "account": name, "rung": "broker-auth"} for name in ("hk", "us") for _ in "123"),
    *({"event": "refresh.succeeded", "account": name, "rung": "repull"} for name in ("hk", "us") for _ in "1234"),
    *({"event": "refresh.succeeded", "account": "futu", "rung": "refresh"} for _ in "123"),
]
