"""GeniusAuth in the test's own process, on a clock that the test moves, and a client that signs in its own way."""

import base64
import dataclasses
import hashlib
import json
import urllib.parse
from typing import Any

from freshd.sandbox.counters import Account
from freshd.sandbox.geniusauth.levers import Mint
from freshd.sandbox.geniusauth.service import GeniusAuth

START = 1_800_000_000.0
APP, SECRET = "sandboxapp", "sandbox-secret"
LOGIN = "/api/v1/public/login/verify"
REFRESH = "/api/v1/app/token/refresh/"
VERIFY = "/api/v1/app/token/access/verify"
WHOAMI = "/api/v1/app/token/access/user/info"
KEYPAIR = "/api/v1/app/keypair/server"
USERS = "/api/v1/app/user/info"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WEEK_S = 604_800


def signature(fields: dict[str, Any], secret: str) -> str:
    """The client's own way to sign; the words of JSON happen to be those that are signed."""
    pairs = [("appSecret", secret), *fields.items()]
    shown = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in pairs]
    text = "&".join("=".join(pair) for pair in sorted(shown))
    return hashlib.sha256(text.encode()).hexdigest()


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@dataclasses.dataclass(frozen=True)
class Said:
    status: int
    headers: dict[str, str]
    answer: dict[str, Any]

    @property
    def code(self) -> tuple[int, int]:
        """HTTP status and code."""
        return self.status, self.answer["code"]

    @property
    def data(self) -> dict[str, Any]:
        assert self.code == (200, 0), self.answer
        data: dict[str, Any] = self.answer["data"]
        return data


class Bed:
    """The service and one application."""

    def __init__(self) -> None:
        self.at = START
        self.genius = GeniusAuth()
        self.state = self.genius.state
        self.levers = self.genius.levers

    def set(self, **over: Any) -> None:
        self.state.constants.change({f"GENIUS_SIM_{name}": value for name, value in over.items()})

    def signed(self, app: str = APP, secret: str = SECRET, /, **fields: Any) -> dict[str, Any]:
        whole = {"appCode": app, "timeStamp": int(self.at), **fields}
        return {**whole, "signature": signature(whole, secret)}

    def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        lost_by: str | None = None,
    ) -> Said:
        told = self.genius.handle(method, path, query, headers or {}, body, self.at, lost_by=lost_by)
        return Said(*told)

    def json(self, method: str, path: str, fields: dict[str, Any], *, lost_by: str | None = None) -> Said:
        return self.send(method, path, body=json.dumps(fields).encode(), headers=JSON, lost_by=lost_by)

    def form(self, method: str, path: str, fields: dict[str, Any]) -> Said:
        return self.send(method, path, body=urllib.parse.urlencode(fields).encode(), headers=FORM)

    def query(self, method: str, path: str, fields: dict[str, Any]) -> Said:
        return self.send(method, path, query=urllib.parse.urlencode(fields))

    def login(self, token: str, *, lost_by: str | None = None, **more: Any) -> Said:
        fields = self.signed(token=token, grantType="refresh_token", **more)
        return self.json("POST", LOGIN, fields, lost_by=lost_by)

    def refresh(self, token: str) -> Said:
        return self.json("POST", REFRESH, self.signed(token=token))

    def payload(self, token: str, payload: str, **more: Any) -> Said:
        return self.json("PATCH", REFRESH, self.signed(token=token, payload=payload, **more))

    def revoke(self, token: str) -> Said:
        return self.query("DELETE", REFRESH, self.signed(token=token))

    def verify(self, token: str) -> Said:
        return self.json("POST", VERIFY, self.signed(token=token))

    def mint(self, label: str = "a", **wish: Any) -> tuple[str, str]:
        """A pair: refresh token, access token."""
        refresh, access = self.levers.mint(Mint(label=label, **wish), label, self.at + self.state.offset_s)
        return refresh.text, access.text

    def login_token(self, label: str = "a", **wish: Any) -> str:
        return self.levers.mint_login(Mint(label=label, **wish), label, self.at).text

    def page(self, label: str = "a") -> Account:
        return self.state.records.ledger.books.account(label)
