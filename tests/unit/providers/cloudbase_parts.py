"""What the tests of the CloudBase provider share: a record, replies, keys, and an Http that sends nothing."""

import base64
import json
from dataclasses import replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from freshd.core.contract import Contract
from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Rejected, Reply
from freshd.core.settings import SecretRef, Way
from freshd.errors import FreshdError
from freshd.ports import Provider
from freshd.providers.cloudbase.case import AUTOMATIC, REFRESH, Terms
from freshd.providers.cloudbase.options import Options, Schema
from freshd.providers.cloudbase.read import read
from freshd.providers.cloudbase.rules import ISSUING
from freshd.providers.cloudbase.server import Server
from freshd.providers.cloudbase.user import User
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.http import Http
from tests.unit.providers.judged import committed
from tests.unit.providers.parts import SENT, Clock, FakeHttp

ENV = "demo-env-1"
BASE = "https://demo-env-1.ap-shanghai.tcb-api.tencentcloudapi.com"
EARLIER = Moment(1_799_990_000.0, 40_000.0, "boot")
BINDING = Binding("cloudbase", BASE, f"{ENV}/bot-0001", "1900000000000000001")
CONTRACT = Contract(lease_life=7200, idle_life=2_592_000)
TERMS = Terms(replace(BINDING, subject=None), CONTRACT, method="custom", has_signin=True, service="cloudbase v.example")
DEVICE = "0123456789abcdef0123456789abcdef"
SECRETS = {"refresh_token": Secret("m.FAKE-r1"), "device_id": Secret(DEVICE), "api_version": Secret("v1")}
OLD = Grant("line", BINDING, SECRETS, EARLIER, EARLIER, valid_for=2_592_000.0)
FIELDS = {"token_type": "Bearer", "login": "custom", "scope": "user sso", "sub": "1900000000000000001"}
LEASE = Lease("a", 3, Secret("eyJ.fake.A1"), EARLIER, 7200.0, FIELDS)
RECORD = Record("a", 3, OLD, LEASE)
GOOD: dict[str, Any] = {
    "token_type": "Bearer",
    "access_token": "eyJ.fake.A2",
    "refresh_token": "m.FAKE-r2",
    "expires_in": 7200,
    "scope": "user sso",
    "sub": "1900000000000000001",
}
"""The documented answer."""
HIDDEN: dict[str, str] = {
    "key": "",
    "ticket": "",
    "password": "Fake-pass-1",
    "upstream": "up-FAKE-1",
    "secret_id": "AKIDfakefake",
    "secret_key": "fakefakefake",
    "api_key": "eyJ.fake.KEY",
}


def ref(name: str) -> SecretRef:
    return SecretRef(Way.FILE, (f"/{name}",))


WAYS: dict[str, dict[str, Any]] = {
    "custom": {"uid": "bot-0001", "key_file": ref("key")},
    "password": {"username": "bot-0001", "password": ref("password")},
    "anonymous": {},
    "provider": {"provider_id": "corp", "provider_id_token": ref("upstream")},
    "client-credentials": {"secret_id": ref("secret_id"), "secret_key": ref("secret_key")},
    "api-key": {"api_key": ref("api_key")},
    "import": {},
    "sms": {"phone_number": "+86 13800000000"},
    "email": {"email": "ops@corp.example"},
    "wechat": {},
    "qr": {},
}


def at(moment: Moment, seconds: float) -> Moment:
    return replace(moment, wall=moment.wall + seconds, boot=moment.boot + seconds)


@cache
def private_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def key_file(bits: int = 2048, **over: Any) -> str:
    pem = private_key(bits).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return json.dumps({"private_key_id": "key-1", "private_key": pem, "env_id": ENV, **over})


def jwt(**claims: Any) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2ln"])


class Vaultless:
    """Secrets of the configuration, as a test wants them."""

    def __init__(self, **over: str) -> None:
        self.values = {**HIDDEN, "key": key_file(), **over}

    async def __call__(self, reference: SecretRef) -> Secret:
        name = reference.where[0].removeprefix("/")
        if name not in self.values:
            raise FreshdError("no such secret", "write one")
        return Secret(self.values[name])


def options(method: str, **keys: Any) -> Options:
    parsed = Schema().parse("a", {"env": ENV, "method": method, **WAYS[method], **keys})
    assert not parsed.problems, parsed.problems
    found: dict[str, Any] = dict(parsed.options)
    return Options(**found)


def made(
    method: str = "custom", http: Http | None = None, clock: Clock | None = None, hidden: Vaultless | None = None,
    **keys: Any,
) -> Provider:  # fmt: skip
    http, clock = http or FakeHttp(), clock or Clock()
    deps = Deps(http, hidden or Vaultless(), clock, Discovery(http, clock))
    kind = Server if method in ISSUING else User
    return kind("a", options(method, **keys), CONTRACT, deps)


def intent(rung: str = REFRESH, replays: int = 0, sent: Moment = SENT, **material: str) -> Intent:
    is_ours = rung in (REFRESH, *AUTOMATIC)
    sealed = {name: Secret(value) for name, value in material.items()}
    candidate = None if is_ours else "candidate"
    return Intent("flight", "a", rung, "line", 3, sent, sealed, replays=replays, candidate=candidate)


def judge(
    answer: Reply, rung: str = REFRESH, terms: Terms = TERMS, record: Record = RECORD, replays: int = 0,
    sent: Moment = SENT, **material: str,
) -> Judged:  # fmt: skip
    return read(rung, record, intent(rung, replays, sent, **material), answer, terms)


def with_secrets(record: Record = RECORD, **secrets: str) -> Record:
    assert record.grant is not None
    more = {name: Secret(value) for name, value in secrets.items()}
    return replace(record, grant=replace(record.grant, secrets={**record.grant.secrets, **more}))


def without_secret(name: str, record: Record = RECORD) -> Record:
    assert record.grant is not None
    kept = {key: value for key, value in record.grant.secrets.items() if key != name}
    return replace(record, grant=replace(record.grant, secrets=kept))


def after(record: Record, judged: Judged) -> Record:
    """The record once an answer was committed, or once what a refusal brought was kept."""
    if isinstance(judged, Rejected):
        grant = record.grant or Grant("flight", BINDING, {}, SENT, SENT)
        secrets = {name: one for name, one in {**grant.secrets, **judged.keep}.items() if name not in judged.drop}
        return replace(record, generation=record.generation + 1, grant=replace(grant, secrets=secrets))
    return committed(record, judged)


async def exchange(provider: Provider, rung: str, record: Record, **material: Secret) -> Judged:
    """One exchange without its durability."""
    prepared = await provider.prepare(rung, record)
    meant = replace(intent(rung), material={**prepared, **material}, generation=record.generation)
    performed = await provider.perform(rung, record, meant)
    assert isinstance(performed, Reply), performed
    return provider.read(rung, record, meant, performed)
