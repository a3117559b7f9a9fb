"""AUN's stand-in on a clock that stands still, and what a client of it keeps; with and without sockets."""

import base64
import dataclasses
import json
from types import TracebackType
from typing import Any, Self

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.answer import Farewell, Told
from freshd.sandbox.aun.connect import Peer
from freshd.sandbox.aun.levers import AunLevers, Minting
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.counters import Account
from freshd.sandbox.grants import Ledger
from freshd.sandbox.server import Running
from tests.sandbox.conftest import START

AID = "alice01.sandbox.test"
HOUR, DAY = 3600.0, 86400.0


def signed(key: ec.EllipticCurvePrivateKey, text: str) -> str:
    """A client's signature, made without the stand-in's own code."""
    return base64.b64encode(key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()


def public(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def read_pem(pem: object) -> x509.Certificate:
    return x509.load_pem_x509_certificate(str(pem).encode())


def claims_of(token: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))


def connect_params(nonce: str, token: str, **over: Any) -> dict[str, Any]:
    return {
        "nonce": nonce,
        "auth": {"method": "kite_token", "token": token},
        "protocol": {"min": "1.0", "max": "1.0"},
        "device": {"id": "dev-1", "type": "sdk"},
        "client": {"slot_id": "default"},
        "delivery_mode": {"mode": "fanout", "routing": "", "affinity_ttl_ms": 0},
        **over,
    }


@dataclasses.dataclass
class Client:
    """What a client keeps; ``farewells`` are the ends of its connections."""

    key: ec.EllipticCurvePrivateKey
    cert: str
    access: str
    refresh: str
    farewells: list[Farewell] = dataclasses.field(default_factory=list)


class Bed:
    """The service and one identity, logged in."""

    def __init__(self, **over: Any) -> None:
        self.at = START
        self.aun = Aun(Ledger(), self.at)
        self.levers = AunLevers(self.aun)
        if over:
            self.set(**over)
        self.me = self.mint(AID)

    def mint(self, aid: str, **wish: Any) -> Client:
        kept: dict[str, Any] = self.levers.mint(Minting(aid=aid, **wish), self.at)
        key = serialization.load_pem_private_key(kept["private_key"].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Client(key, kept["cert"], kept["access_token"], kept["refresh_token"])

    def set(self, aid: str | None = None, **over: Any) -> None:
        self.aun.state.constants.change({f"AUN_SIM_{name}": value for name, value in over.items()}, aid=aid)

    def pass_(self, seconds: float) -> None:
        self.at += seconds

    def call(self, method: str, *, lost_by: str | None = None, peer: Peer | None = None, **params: Any) -> Told:
        return self.aun.handle(method, params, self.at, lost_by=lost_by, peer=peer)

    def begin(self, *, aid: str = AID, **over: Any) -> dict[str, Any]:
        told = self.call("auth.aid_login1", **{"aid": aid, "cert": self.me.cert, "client_nonce": "cn", **over})
        assert told.result is not None, told
        return told.result

    def second(self, begun: dict[str, Any], *, lost_by: str | None = None, **over: Any) -> Told:
        said = {"aid": AID, "request_id": begun["request_id"], "nonce": begun["nonce"], "client_time": "1764000000"}
        said |= {"signature": signed(self.me.key, f"{begun['nonce']}:1764000000"), **over}
        return self.call("auth.aid_login2", lost_by=lost_by, **said)

    def login(self, *, lost_by: str | None = None) -> Told:
        told = self.second(self.begin(), lost_by=lost_by)
        if told.result is not None and lost_by is None:
            self.me.access = str(told.result.get("access_token", ""))
            self.me.refresh = str(told.result.get("refresh_token", ""))
        return told

    def refresh(self, *, lost_by: str | None = None, **over: Any) -> Told:
        told = self.call("auth.refresh_token", lost_by=lost_by, **{"refresh_token": self.me.refresh, **over})
        if told.result is not None and told.result.get("success") and lost_by is None:
            self.me.access, self.me.refresh = (str(told.result[n]) for n in ("access_token", "refresh_token"))
        return told

    def renew(self, *, timed: bool = False, **over: Any) -> Told:
        begun = self.begin()
        text = begun["nonce"] + (":1764000000" if timed else "")
        said = {"aid": AID, "request_id": begun["request_id"], "nonce": begun["nonce"]}
        said |= {"client_time": "1764000000", "signature": signed(self.me.key, text), **over}
        return self.call("auth.renew_cert", **said)

    def rekey(self, key: ec.EllipticCurvePrivateKey, **over: Any) -> Told:
        begun, spki = self.begin(), public(key)
        said = {"aid": AID, "request_id": begun["request_id"], "nonce": begun["nonce"], "new_public_key": spki}
        return self.call("auth.rekey", **said, signature=signed(self.me.key, begun["nonce"] + spki), **over)

    def open(self, client: Client | None = None) -> Peer:
        return self.aun.open((client or self.me).farewells.append)

    def connect(self, peer: Peer | None = None, who: Client | None = None, **over: Any) -> Told:
        who = who or self.me
        peer = peer or self.open(who)
        return self.call("auth.connect", peer=peer, **{**connect_params(peer.nonce, who.access), **over})

    @property
    def page(self) -> Account:
        return self.aun.state.books.ledger.books.account(AID)

    @property
    def codes(self) -> list[int]:
        return [one.code for one in self.me.farewells]


def code_of(told: Told) -> object:
    return told.error["code"] if told.error is not None else None


class Socket:
    """One connection to a running gateway."""

    def __init__(self, running: Running, path: str = "/aun") -> None:
        self.url = running.base_url + path
        self.challenge: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        try:
            self.socket = await self._session.ws_connect(self.url)
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.close()
        await self._session.close()

    async def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = await self.socket.receive_json()
        return heard

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        await self.send(method, **params)
        return await self.hear()

    async def send(self, method: str, **params: Any) -> None:
        await self.socket.send_json({"jsonrpc": "2.0", "id": f"pre-{method}", "method": method, "params": params})

    async def connect(self, token: str, **over: Any) -> dict[str, Any]:
        nonce = (await self.hear())["params"]["nonce"]
        return await self.ask("auth.connect", **connect_params(nonce, token, **over))

    async def end(self) -> int | None:
        """The close code; 1006 where there was no closing frame."""
        while not self.socket.closed:
            await self.socket.receive()
        return self.socket.close_code
