"""An issuer with one gateway or more, in memory: it proves itself, checks what is signed, rotates what is spent."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from freshd.core.model import Moment, Secret
from freshd.core.outcome import NotSent, Performed, Reply
from freshd.core.settings import SecretRef
from freshd.ports import Clock
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.certificate import Certificate, certificate_of
from freshd.providers.aun.frames import Greeting
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.http import Call, Http
from tests.unit.providers.aun_parts import CONTRACT, MARGINS, options
from tests.unit.providers.aun_pki import DAY, Key, Pki, key, public, signed

URLS = ("wss://gw1.example.test/aun", "wss://gw2.example.test/aun")
Twist = Callable[[dict[str, Any]], Any]


class Refused(Exception):
    """What the issuer answers instead."""

    def __init__(self, code: object, **data: Any) -> None:
        self.error = {"code": code, "message": "no", "data": data}


@dataclass
class Issuer:
    """`script`: answers that take the place of the next ones, by method; `twist`: changes the answer of a method."""

    now: Callable[[], float]
    pki: Pki = field(default_factory=Pki)
    expires_in: Any = 3600
    certificate: str | None = None
    life: float = 730 * DAY
    refreshable: bool = True
    offers: bool = True
    script: dict[str, list[Performed | Refused]] = field(default_factory=dict)
    twist: dict[str, Twist] = field(default_factory=dict)
    pages: dict[str, Performed] = field(default_factory=dict)
    latency: float = 0.1
    down: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    spent_uses: int = 0
    revoked: set[str] = field(default_factory=set)
    _tokens: dict[str, bool] = field(default_factory=dict)
    _nonces: dict[str, str] = field(default_factory=dict)
    _made: int = 0

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.calls)

    def token(self) -> str:
        """A refresh token that works, as if somebody had logged in."""
        self._made += 1
        self._tokens[f"rt-{self._made:08}"] = True
        return f"rt-{self._made:08}"

    def issue(self, one: object, begins: float | None = None) -> str:
        return self.pki.issuer.issue(
            "alice01.example.test",
            cast("ec.EllipticCurvePublicKey", one),
            begins=begins or self.now() - 60,
            life=self.life,
        )

    # -- plain requests ----------------------------------------------------------------------------------------------

    async def call(self, call: Call) -> Performed:
        path = urlsplit(call.url).path
        self.looks.append(path)
        if path in self.pages:
            return self.pages[path]
        match path.split("/")[1:]:
            case [".well-known", _]:
                entries = [{"url": url, "priority": at} for at, url in enumerate(URLS, 1)]
                return _page(json.dumps({"gateways": list(reversed(entries))}))
            case ["pki", "chain"]:
                return _page(self.pki.chain)
            case ["pki", "cert", _]:
                return _page("", 404) if self.certificate is None else _page(self.certificate)
            case ["health"]:
                return _page("")
        return _page("", 404)

    # -- calls at a gateway ------------------------------------------------------------------------------------------

    async def speak(self, url: str, method: str, params: Mapping[str, Any]) -> Performed:
        if url in self.down:
            return NotSent("connection refused")
        await asyncio.sleep(self.latency)
        self.calls.append(method)
        waiting = self.script.get(method)
        if waiting:
            said = waiting.pop(0)
            return _frame(error=said.error) if isinstance(said, Refused) else said
        try:
            serve: Callable[[Mapping[str, Any]], Any] = getattr(self, f"_{method.partition('.')[2]}")
            answer = serve(params)
        except Refused as refused:
            return _frame(error=refused.error)
        twist = self.twist.get(method)
        return _frame(result=answer if twist is None else twist(answer))

    async def greet(self, url: str) -> Greeting | NotSent:
        return NotSent("connection refused") if url in self.down else Greeting(self.now())

    def _aid_login1(self, params: Mapping[str, Any]) -> dict[str, Any]:
        given = certificate_of(params["cert"])
        if given is None or f"{given.serial:x}" in self.revoked:
            raise Refused(-32050)
        if not given.is_in_time(self.now(), 90 * DAY):
            raise Refused(-32002)
        self._made += 1
        self._nonces[f"req-{self._made}"] = f"nonce-{self._made}"
        return {
            "request_id": f"req-{self._made}", "nonce": f"nonce-{self._made}", "server_time": self.now(),
            "client_nonce_signature": signed(self.pki.auth.key, params["client_nonce"].encode()),
            "auth_cert": self.pki.auth.pem, "auth_curve": "P-384",
        }  # fmt: skip

    def _aid_login2(self, params: Mapping[str, Any]) -> dict[str, Any]:
        own = self._signed_for(params, f"{params['nonce']}:{params['client_time']}")
        if self.now() > own.ends:
            raise Refused(-32002)
        more = {}
        if self.now() > own.half and self.offers:
            self.certificate = more["new_cert"] = self.issue(own.key)
        return {"status": "ok", **self._pair(), **more}

    def _renew_cert(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self.certificate = self.issue(self._signed_for(params, params["nonce"]).key)
        return {"status": "renewed", "cert": self.certificate, "ca_cert": self.pki.issuer.pem}

    def _rekey(self, params: Mapping[str, Any]) -> dict[str, Any]:
        own = self._signed_for(params, params["nonce"] + params["new_public_key"])
        self.revoked.add(f"{own.serial:x}")
        self.certificate = self.issue(public(params["new_public_key"]))
        return {"status": "rekeyed", "cert": self.certificate}

    def _create_aid(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if self.certificate is not None:
            raise Refused(4090)
        self.certificate = self.issue(public(params["public_key"]))
        return {"aid": params["aid"], "cert": self.certificate, "ca_cert": self.pki.issuer.pem, "curve": "P-256"}

    def _refresh_token(self, params: Mapping[str, Any]) -> dict[str, Any]:
        given = params["refresh_token"]
        if not self._tokens.get(given):
            self.spent_uses += given in self._tokens
            return {"success": False, "error": "invalid_or_expired_refresh_token", "relogin_required": True}
        self._tokens[given] = False
        return {"success": True, **self._pair()}

    def _signed_for(self, params: Mapping[str, Any], message: str) -> Certificate:
        own = certificate_of(self.certificate)
        if own is None or self._nonces.pop(params["request_id"], None) != params["nonce"]:
            raise Refused(-32002)
        try:
            cast("ec.EllipticCurvePublicKey", own.key).verify(
                base64.b64decode(params["signature"]), message.encode(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            raise Refused(-32003) from None
        return own

    def _pair(self) -> dict[str, Any]:
        token = self.token()
        more = {"refresh_token": token} if self.refreshable else {}
        return {"access_token": f"at-{self._made:08}", "expires_in": self.expires_in, **more}


def agent(issuer: Issuer, clock: Clock, folder: Path, **keys: Any) -> Aun:
    """A provider that speaks to this issuer and to nobody else."""
    roots = folder / "roots.pem"
    roots.write_text(issuer.pki.root.pem)
    http = cast("Http", issuer)
    made = options(roots=str(roots), **keys)
    provider = Aun("a", made, made.terms(CONTRACT, MARGINS), Deps(http, _nothing, clock, Discovery(http, clock)))
    provider._transport.call = issuer.speak  # type: ignore[method-assign]
    provider._transport.greet = issuer.greet  # type: ignore[method-assign]
    return provider


@dataclass
class StillClock:
    """Stands still until a test moves it."""

    wall: float
    passed: float = 0.0

    def now(self) -> Moment:
        return Moment(self.wall + self.passed, 5000.0 + self.passed, "boot")

    def boot(self) -> float:
        return self.now().boot


def small(name: str) -> Key:
    return key(name, is_small=True)


async def _nothing(_reference: SecretRef) -> Secret:
    raise NotImplementedError


def _page(text: str, status: int = 200) -> Reply:
    return Reply(status, (), text.encode())


def _frame(**members: Any) -> Reply:
    return Reply(200, (), json.dumps({"jsonrpc": "2.0", "id": "x", **members}).encode())
