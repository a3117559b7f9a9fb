"""What the tests of the GeniusAuth provider share: tokens, a record, replies, a provider that sends nothing."""

import base64
import json
import urllib.parse
from typing import Any

from freshd.core.contract import Contract, Omitted, Reuse
from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Rejected, Reply
from freshd.providers.geniusauth.case import Terms
from freshd.providers.geniusauth.options import Options, Schema
from freshd.providers.geniusauth.provider import GeniusAuth
from freshd.providers.geniusauth.read import read
from freshd.providers.http import Call
from tests.unit.providers import judged as judgement
from tests.unit.providers.feishu_parts import SECRET, deps
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

APP = "demoapp1"
KEYS: dict[str, Any] = {"app_code": APP, "app_secret": SECRET}
DAY = 86_400.0
LIFE = 30 * DAY
BINDING = Binding("geniusauth", "https://v.ncuos.com", APP)
CONTRACT = Contract(reuse=Reuse.REUSABLE, omitted=Omitted.KEEP, lease_life=300, absolute_life=LIFE)
TERMS = Terms(BINDING, CONTRACT, place="v.ncuos.com")
WIKI = Terms(BINDING, CONTRACT, place="v.ncuos.com", is_signed=False)


def jwt(kind: str = "Refresh", *, ends: float = SENT.wall + LIFE, life: float = LIFE, **claims: Any) -> str:
    """A token as the service makes them; the signature is nobody's business here."""
    told = {
        "type": kind, "uid": 8, "oid": 1, "id": 7001, "appCode": APP, "iat": int(ends - life), "exp": int(ends),
        **claims,
    }  # fmt: skip
    parts = ({"alg": "EdDSA"}, {name: value for name, value in told.items() if value is not None})
    return ".".join([*(_part(part) for part in parts), "c2ln"])


def _part(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


REFRESH = jwt()
ACCESS = jwt("Access", ends=SENT.wall + 300, life=300)
WITH_PAYLOAD = jwt(payload="tenant-a")
ENROLLED = Moment(SENT.wall - 10 * DAY, SENT.boot - 10 * DAY, "boot")


def record(token: str = REFRESH, *, subject: str | None = "8", lease: Lease | None = None, **secrets: str) -> Record:
    held = {"refresh_token": token, **secrets}
    binding = Binding(BINDING.kind, BINDING.origin, APP, subject)
    sealed = {name: Secret(value) for name, value in held.items()}
    return Record("a", 3, Grant("line", binding, sealed, ENROLLED, ENROLLED, absolute_for=40 * DAY), lease)


LEASE = Lease("a", 3, Secret(ACCESS), SENT, 300.0, {"token_type": "Bearer"})
RECORD = record(lease=LEASE)


def options(**keys: Any) -> Options:
    parsed = Schema().parse("a", {**KEYS, **keys})
    assert not parsed.problems, parsed.problems
    values: dict[str, Any] = dict(parsed.options)
    return Options(**values)


def provider(http: FakeHttp | None = None, clock: Clock | None = None, **keys: Any) -> GeniusAuth:
    return GeniusAuth("a", options(**keys), CONTRACT, deps(http or FakeHttp(), clock))


def intent(rung: str = "refresh", **material: str) -> Intent:
    is_new = rung in ("login", "payload")
    sealed = {name: Secret(value) for name, value in material.items()}
    return Intent("flight", "a", rung, "line", 3, SENT, sealed, candidate="candidate" if is_new else None)


def ok(status: int = 200, **data: Any) -> Reply:
    return reply({"code": 0, "data": data}, status)


def no(code: int, status: int, **headers: str) -> Reply:
    return reply({"code": code, "msg": "c4nary"}, status, headers)


def judge(answer: Reply, rung: str = "refresh", terms: Terms = TERMS, of: Record = RECORD, **material: str) -> Judged:
    return read(rung, of, intent(rung, **material), answer, terms)


def rejected(judged: object) -> Rejected:
    """It says nothing of what the service wrote."""
    assert "c4nary" not in repr(judged)
    return judgement.rejected(judged)


def body(call: Call) -> dict[str, Any]:
    assert call.body is not None
    found: dict[str, Any] = json.loads(call.body)
    return found


def form(call: Call) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl((call.body or b"").decode(), strict_parsing=True))


def query(call: Call) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(call.url).query))
