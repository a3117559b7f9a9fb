"""A family of one platform and two brokers, its records, and replies; shared by the tests of the Futu providers."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from freshd.core.contract import Contract
from freshd.core.model import Binding, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Reply
from freshd.providers.futu.case import BrokerTerms, Terms
from tests.unit.providers.judged import answered, grant_in, lease_in

SENT = Moment(1_790_000_000.0, 50.0, "boot")
EARLIER = Moment(1_789_000_000.0, 1.0, "earlier")
DAY = 86_400.0
KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OLD_KEY = base64.b64encode(b"x" * 32).decode()
SIG = base64.b64encode(b"sig-1").decode()
BINDING = Binding("futu", "https://auth.futunn.com", "ann@example.org")
HK = BrokerTerms("hk", 1001, Binding("futu-broker", "https://authority.futuhk.com", "main/1001"))
US = BrokerTerms("us", 1007, Binding("futu-broker", "https://authority.us.moomoo.com", "main/1007"))
CONTRACT = Contract(lease_life=DAY, idle_life=30 * DAY)
TERMS = Terms(BINDING, CONTRACT, (HK, US))
LOGIN: Mapping[str, Any] = {
    "uid": 90000001,
    "client_sig": SIG,
    "client_key": "a2V5LTE=",
    "tgtgt_new": "TG-0002",
    "rand_key_new": KEY,
    "device_sig_new": "DS-0002",
    "web_sig_new": "WS-0002",
    "svr_time": 1_790_000_000,
    "cltsig_invalidtime": 172_800,
    "auth_code_list": [
        {"broker_id": 1001, "auth_code": "AC-1001-1", "invalid_time": 1_792_592_000},
        {"broker_id": 1007, "auth_code": "AC-1007-1", "invalid_time": 1_792_592_000},
    ],
}
HELD: Mapping[str, str] = {
    "tgtgt": "TG-0001",
    "rand_key": OLD_KEY,
    "device_id": "0f1e2d3c4b5a6978",
    "device_sig": "DS-0001",
    "web_sig": "WS-0001",
    "uid": "90000001",
}


def sealed(**plain: str) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in plain.items()}


def platform(more: Mapping[str, str] = HELD, *, without: tuple[str, ...] = (), **named: str) -> Record:
    """The platform's record; `more` and `named` are laid over what it holds."""
    held = {**HELD, **more, **named}
    secrets = sealed(**{name: one for name, one in held.items() if name not in without})
    grant = Grant("line", BINDING, secrets, EARLIER, EARLIER)
    return Record("main", 3, grant)


def broker(**secrets: str) -> Record:
    grant = Grant("hk-line", HK.binding, sealed(**secrets), EARLIER, EARLIER, valid_for=30 * DAY)
    return Record("hk", 7, grant, kin={"main": platform()})


def intent(rung: str, record: Record, *, candidate: str | None = None, **material: str) -> Intent:
    return Intent(
        "flight", record.account, rung, record.lineage, record.generation, SENT, sealed(**material), candidate=candidate
    )


def reply(body: object, status: int = 200, *, complete: bool = True, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), content, complete)


def done(result: Mapping[str, Any], **over: Any) -> Reply:
    """A success; an item of `over` that is None leaves the field out."""
    fields = {name: value for name, value in {**result, **over}.items() if value is not None}
    return reply({"result": fields})


def error(code: object, status: int = 200, **extra: Any) -> Reply:
    said = {"error_code": code, "error_msg": "canary words for people", **extra}
    return reply({"result": None, "error": said}, status)


def first(judged: Judged) -> Change:
    return answered(judged).changes[0]


def grant(judged: Judged) -> Grant:
    return grant_in(first(judged))


def lease(judged: Judged) -> Lease:
    return lease_in(first(judged))


def plain(secrets: Mapping[str, Secret]) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in secrets.items()}
