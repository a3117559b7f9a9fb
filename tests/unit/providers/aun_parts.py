"""What the tests of the AUN provider share: a record, frames, and what reading makes of them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Reply
from freshd.core.profile import Margins
from freshd.providers.aun.life import Chain
from freshd.providers.aun.options import Options, Schema
from freshd.providers.aun.read import read
from tests.unit.providers.aun_pki import AID, DAY, NOW, Pki, key, pem_of
from tests.unit.providers.judged import change, grant

CONTRACT = Contract(omitted=Omitted.DEAD, lease_life=3600)
MARGINS = Margins(0.45, 600, 0.1)
KEYS: dict[str, Any] = {"aid": AID, "roots": "/roots.pem"}
SENT = Moment(NOW, 5000.0, "boot")
EARLIER = Moment(NOW - 3300, 1700.0, "boot")
LOGGED_IN = Moment(NOW - DAY, 1000.0, "earlier")
PKI = Pki()
OWN, NEXT, OTHER = (key(name, is_small=True) for name in ("own", "next", "other"))
CERTIFICATE = PKI.agent(OWN)
OLD_CERTIFICATE = PKI.agent(OWN, begins=NOW - 400 * DAY)
"""Past half of its life."""
OVER_CERTIFICATE = PKI.agent(OWN, begins=NOW - 740 * DAY)
"""Over since ten days."""
LONG_OVER = PKI.agent(OWN, begins=NOW - 830 * DAY)
NEW_CERTIFICATE = PKI.agent(OWN, begins=NOW - 60)
MATERIAL = {
    "gateways": "wss://gw1.example.test/aun wss://gw2.example.test/aun",
    "issuers": PKI.chain,
    "revoked": "",
    "nonce": "f00dfeed00112233",
    "request_id": "req-1",
}


def options(**keys: Any) -> Options:
    parsed = Schema().parse("a", {**KEYS, **keys})
    assert not parsed.problems, parsed.problems
    made: dict[str, Any] = dict(parsed.options)
    return Options(**made)


TERMS = options().terms(CONTRACT, MARGINS)
LEASE = Lease("a", 3, Secret("at-0001"), EARLIER, 3600.0, {"aid": AID})


def record(certificate: str = CERTIFICATE, lease: Lease | None = LEASE, **secrets: str | None) -> Record:
    """An account that was logged in; None leaves a secret out."""
    held: dict[str, str | None] = {
        "private_key": pem_of(OWN), "certificate": certificate, "refresh_token": "rt-00000001",
        "chain": Chain(LOGGED_IN, 10).text, "current_certificate": "0", **secrets,
    }  # fmt: skip
    kept = {name: Secret(value) for name, value in held.items() if value is not None}
    grant = Grant("line", options().binding, kept, EARLIER, LOGGED_IN, absolute_for=700 * DAY)
    return Record("a", 3, grant, lease)


RECORD = record()


def intent(rung: str, sent: Moment = SENT, candidate: str | None = None, **material: str) -> Intent:
    sealed = {name: Secret(value) for name, value in {**MATERIAL, **material}.items()}
    return Intent("flight", "a", rung, "line", 3, sent, sealed, candidate=candidate)


def frame(**members: Any) -> Reply:
    return Reply(200, (), json.dumps({"jsonrpc": "2.0", "id": "x", **members}).encode())


def result(**members: Any) -> Reply:
    return frame(result=members)


def tokens(number: int = 2, **members: Any) -> Reply:
    """The answer to a refresh, or to a login."""
    usual = {"success": True, "access_token": f"at-{number:04}", "refresh_token": f"rt-{number:08}", "expires_in": 3600}
    return result(**{name: value for name, value in {**usual, **members}.items() if value is not None})


def error(code: object, message: str = "", **data: Any) -> Reply:
    return frame(error={"code": code, "message": message, "data": data})


def page(pem: str, status: int = 200) -> Reply:
    """An answer to a plain request for a certificate."""
    return Reply(status, (), pem.encode())


def jwt(claims: Mapping[str, Any]) -> str:
    parts = [{"alg": "ES384", "typ": "JWT"}, claims, {}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)


def judge(answer: Reply, rung: str = "refresh", known: Record = RECORD, **about: Any) -> Judged:
    return read(rung, known, intent(rung, **about), answer, TERMS)


def secrets(judged: Judged) -> dict[str, str]:
    """What is held after an answer was committed."""
    made = change(judged)
    return {name: value.reveal() for name, value in grant(judged).secrets.items() if name not in made.drop}


def after(known: Record, judged: Judged) -> Record:
    """The record once an answer was committed."""
    made, kept = change(judged), {name: Secret(value) for name, value in secrets(judged).items()}
    return Record("a", known.generation + 1, replace(grant(judged), secrets=kept), made.lease or known.lease)
