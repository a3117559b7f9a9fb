"""CloudBase in the test's own process, on a clock that the test moves, and a client that signs tickets itself."""

import base64
import json
import random
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from freshd.sandbox.cloudbase.client import SECRET_ID, SECRET_KEY
from freshd.sandbox.cloudbase.direct import Direct
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.order import Order
from freshd.sandbox.cloudbase.user import Profile
from freshd.sandbox.counters import Account
from freshd.sandbox.direct import Said
from freshd.sandbox.fault_queue import FaultQueue

START = 1_800_000_000.0
ENV = "sandbox-env"
DEVICE = "00112233445566778899aabbccddeeff"
V1 = "/auth/v1"
TOKEN = f"{V1}/token"


def basic(name: str = SECRET_ID, secret: str = SECRET_KEY) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def piece(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=="))
    return claims


class Bed:
    """The service, its faults, and the calls a client makes. There is one user: label ``a``, name ``ann``."""

    def __init__(self) -> None:
        self.environment = Environment()
        self.faults = FaultQueue(random.Random(1))
        self.direct = Direct(self.environment, self.faults)
        self.now = START
        self.levers = Levers(self.environment, lambda: self.now)
        self.environment.users.register(Profile(label="a", username="ann", password="right", email="ann@mail.example"))
        self._key: dict[str, str] = {}

    def call(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] = b"",
        headers: dict[str, str] | None = None,
        /,
        **query: str,
    ) -> Said | None:
        return self.direct.handle(method, path, query, headers or {}, body, self.now)

    def post(
        self, path: str, body: bytes | dict[str, Any], headers: dict[str, str] | None = None, **query: str
    ) -> Said:
        said = self.call("POST", path, body, headers, **query)
        assert said is not None
        return said

    def refresh(self, token: str, headers: dict[str, str] | None = None, **more: Any) -> Said:
        asked = {"grant_type": "refresh_token", "client_id": ENV, "client_secret": "", "refresh_token": token, **more}
        return self.post(TOKEN, asked, headers)

    def signin(self, password: str = "right", name: str = "ann", **query: str) -> Said:
        return self.post(f"{V1}/signin", {"username": name, "password": password}, None, **query)

    def anonymously(self, device_id: str = DEVICE) -> Said:
        return self.post(f"{V1}/signin/anonymously", {}, {"x-device-id": device_id} if device_id else {})

    def custom(self, ticket: str, **more: Any) -> Said:
        return self.post(f"{V1}/signin/custom", {"provider_id": "custom", "ticket": ticket, **more})

    def provider_token(self, subject: str = "up-1", provider_id: str = "upstream") -> str:
        code = self.environment.providers.code(provider_id, subject)
        said = self.post(f"{V1}/provider/token", {"provider_id": provider_id, "provider_code": code})
        token: str = said.json["provider_token"]
        return token

    def with_provider(self, token: str, **more: Any) -> Said:
        return self.post(f"{V1}/signin/with/provider", {"provider_token": token, **more}, {"x-device-id": DEVICE})

    def verification_token(self, address: str = "ann@mail.example") -> str:
        sent = self.post(f"{V1}/verification", {"email": address, "target": "ANY"}).json
        code = self.environment.verifications.mailbox(address)[-1]
        asked = {"verification_id": sent["verification_id"], "verification_code": code}
        token: str = self.post(f"{V1}/verification/verify", asked).json["verification_token"]
        return token

    def by_code(self, token: str, **more: Any) -> Said:
        return self.post(f"{V1}/signin", {"verification_token": token, **more})

    def credentials(self, path: str = TOKEN, headers: dict[str, str] | None = None) -> Said:
        return self.post(path, {"grant_type": "client_credentials"}, basic() if headers is None else headers)

    def introspect(self, token: str) -> dict[str, Any]:
        said = self.call("GET", f"{TOKEN}/introspect", b"", bearer(token))
        assert said is not None
        assert said.status == 200
        return said.json

    def me(self, token: str) -> Said:
        said = self.call("GET", f"{V1}/user/me", b"", bearer(token))
        assert said is not None
        return said

    def picture(self) -> tuple[str, str]:
        """Ask for a picture; its token, and what can be read on it."""
        token = self.post(f"{V1}/captcha/data", {"state": "POST:/v1/signin", "redirect_uri": ""}).json["token"]
        return token, str(self.environment.captchas.open(self.now)[-1]["answer"])

    def captcha(self) -> str:
        """Read a picture; the captcha token."""
        picture, answer = self.picture()
        token: str = self.post(f"{V1}/captcha/data/verify", {"token": picture, "key": answer}).json["captcha_token"]
        return token

    def key(self) -> dict[str, str]:
        self._key = self._key or self.levers.make_key(bits=1024)
        return self._key

    def ticket(self, key: dict[str, str] | None = None, header: dict[str, Any] | None = None, **over: Any) -> str:
        """A ticket as a client makes it; ``over`` changes claims, None leaves one out."""
        key = key or self.key()
        now_ms = int(self.now * 1000)
        claims = {
            "alg": "RS256",
            "env": key["env_id"],
            "iat": now_ms,
            "exp": now_ms + 600_000,
            "uid": "custom-1",
            "refresh": 3_600_000,
            "expire": now_ms + 7 * 86_400_000,
            **over,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        signed = f"{piece(header or {'alg': 'RS256', 'typ': 'JWT'})}.{piece(kept)}"
        private = serialization.load_pem_private_key(key["private_key"].encode(), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{key['private_key_id']}/@@/{signed}.{piece(signature)}"

    def mint(self, label: str = "a", **more: Any) -> dict[str, Any]:
        return self.levers.mint(label, **more)

    def token(self, label: str = "a") -> str:
        return str(self.mint(label)["refresh_token"])

    def set(self, label: str | None = None, **constants: Any) -> None:
        over = {f"CLOUDBASE_SIM_{name}": value for name, value in constants.items()}
        self.environment.constants.change(over, label=label)

    def order(self, error: str, **more: Any) -> None:
        self.environment.orders.add(Order(error=error, **more))

    def profile(self, **fields: Any) -> None:
        self.environment.users.register(Profile(**{"label": "a", "username": "ann", "password": "right", **fields}))

    def page(self, label: str = "a") -> Account:
        return self.environment.ledger.books.account(label)


def refused(said: Said) -> tuple[int, str]:
    return said.status, said.json["error"]


def outcome(said: Said) -> str:
    return str(said.json.get("error", "ok"))
