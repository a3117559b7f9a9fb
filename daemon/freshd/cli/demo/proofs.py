"""How a program finds out whether its token works: one harmless call, another one at each service.

| kind | the call |
|---|---|
| oauth2 | `GET /userinfo` |
| feishu | `GET /open-apis/authen/v1/user_info`; what counts is the code in the answer |
| feishu-app | `GET /userinfo` of the sandbox: Feishu has no call that every app may make |
| geniusauth, aun, cloudbase | the same: calls of their own would fill the books in which renewals are looked up |
| futu, futu-broker | a login at the trading connection's stand-in |
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from freshd.cli.demo.cast import AUN, BROKER, FEISHU, FEISHU_APP, FUTU, GENIUS, Role
from freshd.cli.demo.evidence import Met
from freshd.cli.demo.service import Service
from freshd.cli.demo.trade import OK, Trade
from freshd.client import Token

SERVICE_SECONDS: Final = 5.0
USER_INFO: Final = "/open-apis/authen/v1/user_info"
REFUSED: Final = {FEISHU_APP: "99991663", GENIUS: "31", AUN: "4001"}
"""What any call of these services says to a token that is not valid."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of one try: GOOD, REFUSED with the words of the service, or UNSURE."""

    met: Met
    status: int | None = None
    code: str | None = None


class Till(Protocol):
    """Where a token is tried.  One thread each."""

    def try_out(self, token: Token) -> Proof:
        """Use it once."""

    def close(self) -> None:
        """Let go of the connection."""


def till_of(role: Role, service: Service) -> Till:
    """Where the account's tokens are tried."""
    if role.kind in (FUTU, BROKER):
        return Login(service.trade_url)
    if role.kind == FEISHU:
        return Call(service.base_url, USER_INFO, None)
    return Call(service.base_url, "/userinfo", REFUSED.get(role.kind, ""))


class Call:
    """A GET with the token as bearer.  code: what a refusal is reported with; None: the one in the answer."""

    def __init__(self, base_url: str, path: str, code: str | None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=SERVICE_SECONDS)
        self._path = path
        self._code = code

    def try_out(self, token: Token) -> Proof:
        try:
            self._connection.request("GET", self._path, headers={"Authorization": f"Bearer {token.value}"})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Proof(Met.UNSURE)
        code = _code(body) if self._code is None else self._code
        if response.status == 200 and (self._code is not None or code == "0"):
            return Proof(Met.GOOD)
        return Proof(Met.REFUSED, response.status, code or None)

    def close(self) -> None:
        self._connection.close()


class Login:
    """A login on a connection of its own, which is kept; a signature counts at login only."""

    def __init__(self, url: str) -> None:
        self._trade = Trade(url)

    def try_out(self, token: Token) -> Proof:
        try:
            answer = self._trade.log_in(token)
        except OSError:
            return Proof(Met.UNSURE)
        return Proof(Met.GOOD) if answer == OK else Proof(Met.REFUSED, None, str(answer))

    def close(self) -> None:
        self._trade.close()


def _code(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("code", "")) if isinstance(found, dict) else ""
