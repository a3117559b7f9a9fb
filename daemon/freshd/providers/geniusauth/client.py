"""What is sent to the service, byte for byte.  Nothing here decides when.

Rules
-----
* As the service's program has it ("code"): POST and PATCH carry JSON, GET and DELETE the query, all fields are signed.
  As its page has it ("wiki"): forms, unsigned.
* The address of a renewal ends with a slash: without it the router redirects, and a signed body with a secret is not
  sent twice, least of all elsewhere.  No redirect is followed.
* The application's secret is resolved for each call and kept no longer than it.
* `send` is one call.  `ask`, for calls that spend nothing, is one or two: where the service finds the time stamp wrong
  the call is signed once more by the clock that the refusal told.
* An address that ends a grant holds the refresh token; no reason, no error and no log line holds an address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from freshd.core.model import Secret
from freshd.core.outcome import Performed, Reply
from freshd.errors import NotPossible
from freshd.providers.deps import Deps
from freshd.providers.form import Foreign, object_of
from freshd.providers.geniusauth.case import FINE, LOGIN, PATCH, PAYLOAD, REFRESH, code_of
from freshd.providers.geniusauth.moment import ServiceTime
from freshd.providers.geniusauth.options import Options
from freshd.providers.geniusauth.refusal import CLOCK
from freshd.providers.geniusauth.signature import Fields, Value, rendered, signed
from freshd.providers.http import Call
from freshd.providers.oauth2.refusal import CODE

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the service."""

    method: str
    path: str


EXCHANGE: Final = Endpoint("POST", "/api/v1/public/login/verify")
RENEW: Final = Endpoint("POST", "/api/v1/app/token/refresh/")
CHANGE: Final = Endpoint("PATCH", "/api/v1/app/token/refresh/")
END: Final = Endpoint("DELETE", "/api/v1/app/token/refresh/")
VERIFY: Final = Endpoint("POST", "/api/v1/app/token/access/verify")
WHO: Final = Endpoint("POST", "/api/v1/app/token/access/user/info")
SERVER_KEY: Final = Endpoint("GET", "/api/v1/app/keypair/server")
OF_RUNG: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {REFRESH: RENEW, PATCH: CHANGE, LOGIN: EXCHANGE, PAYLOAD: CHANGE}
)


class Client:
    """One account's application."""

    def __init__(self, options: Options, deps: Deps) -> None:
        self._options = options
        self._deps = deps
        self.time = ServiceTime(deps.clock)

    async def secret(self) -> Secret | None:
        """What calls are signed with; None where they are not.  Raises FreshdError."""
        reference = self._options.app_secret
        return None if reference is None or not self._options.is_signed else await self._deps.resolve(reference)

    def call(self, endpoint: Endpoint, fields: Fields, secret: Secret | None) -> Call:
        """The request, signed for this moment."""
        options, told = self._options, dict(fields)
        if secret is not None:
            told = signed(told, options.app_code, secret.reveal(), self.time.stamp())
        url = options.at(endpoint.path)
        if endpoint.method == "GET" or (endpoint.method == "DELETE" and not self._ends_in_body):
            return Call(endpoint.method, f"{url}?{_form(told)}" if told else url, route=options.route)
        kind, body = (JSON, json.dumps(told)) if options.is_signed else (FORM, _form(told))
        return Call(endpoint.method, url, {"Content-Type": kind}, body.encode(), options.route)

    async def send(self, call: Call) -> Performed:
        """Make one call, and look at the service's clock."""
        performed = await self._deps.http.call(call)
        if isinstance(performed, Reply) and code_of(answer_in(performed)) is not None:
            self.time.learn(performed)
        return performed

    async def ask(self, endpoint: Endpoint, fields: Fields) -> Performed:
        """Make a call that spends nothing.  Raises FreshdError where its secret cannot be had."""
        secret = await self.secret()
        performed = await self.send(self.call(endpoint, fields, secret))
        if secret is None or not isinstance(performed, Reply) or code_of(answer_in(performed)) != CLOCK:
            return performed
        return await self.send(self.call(endpoint, fields, secret))

    async def prove(self) -> bool:
        """Whether a signed call works just now; False where that cannot be told.

        Raises NotPossible where the service cannot be reached, or refuses application, secret or clock.
        """
        if not self._options.is_signed:
            return False
        performed = await self.ask(SERVER_KEY, {})
        if not isinstance(performed, Reply):
            raise NotPossible(f"the service cannot be reached: {performed.reason}", "check the network, then try again")
        code = code_of(answer_in(performed)) or ""
        if code in REFUSING:
            cause, remedy = REFUSING[code]
            raise NotPossible(f"the service says {code}: {cause}", remedy)
        return is_fine(performed)

    @property
    def _ends_in_body(self) -> bool:
        return self._options.delete_in_body or not self._options.is_signed


REFUSING: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "3": ("there is no such application", "correct app_code or base_url, then reload"),
        "6": ("the signature does not fit", "correct app_secret, then reload"),
        CLOCK: ("the clock is off, and the service does not say by how much", "timedatectl set-ntp true"),
    }
)
"""What the harmless signed call tells of the application: why, and what to do."""


def answer_in(performed: Performed) -> Mapping[str, Any]:
    """The object in a reply; empty where there is none."""
    found = object_of(performed) if isinstance(performed, Reply) else Foreign()
    return {} if isinstance(found, Foreign) else found


def data_in(performed: Performed) -> Mapping[str, Any]:
    """What a reply carries beside its code."""
    found = answer_in(performed).get("data")
    return found if isinstance(found, dict) else {}


def is_fine(performed: Performed) -> bool:
    """Whether the service did what was asked."""
    is_ok = isinstance(performed, Reply) and performed.status in range(200, 300)
    return is_ok and code_of(answer_in(performed)) == FINE


def why_not(performed: Performed) -> str:
    """What a call came to that did not bring what was wanted, in a few words with nothing foreign but a code."""
    if not isinstance(performed, Reply):
        return performed.reason
    found = object_of(performed)
    if isinstance(found, Foreign):
        return f"{found} (status {performed.status})"
    code = code_of(found) or ""
    said = code if CODE.fullmatch(code) and code != FINE else "nothing of use"
    return f"the service said {said} (status {performed.status})"


def _form(fields: Mapping[str, Value]) -> str:
    return urlencode([(name, rendered(value)) for name, value in fields.items()])
