"""What is sent to the platform, byte for byte.  Nothing here decides when.

Rules
-----
* Token endpoints get JSON with the app's id and secret in the body, and never HTTP Basic beside it: two proofs at once
  are refused.  The device announcement is a form with HTTP Basic, the farewell a form with the secret inside.
* A refresh sends no scope: one that is named narrows the token, and without offline_access ends the grant.
* Secrets of the configuration are resolved for each call and kept no longer than it.
* An app token is free, and the platform gives the same one to everybody who asks early; so it is not kept.  A refusal
  of it is remembered for a minute: whoever waits for it must not hammer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlencode

from freshd.core.model import Secret
from freshd.core.outcome import Performed, Reply
from freshd.errors import FreshdError
from freshd.providers.deps import Deps
from freshd.providers.feishu.case import FINE, code_of
from freshd.providers.feishu.service import APP_PATHS, USER_PATH, Service
from freshd.providers.form import Foreign, bearer, object_of
from freshd.providers.http import Call, Http
from freshd.providers.oauth2.client import Field, basic
from freshd.providers.oauth2.refusal import CODE

JSON: Final = "application/json; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
REFUSED_SECONDS: Final = 60.0


class Client:
    """One account's app."""

    def __init__(self, service: Service, deps: Deps) -> None:
        self.service = service
        self._deps = deps
        self._refusal: tuple[float, FreshdError] | None = None

    @property
    def http(self) -> Http:
        """Makes the calls."""
        return self._deps.http

    async def proof(self) -> tuple[Field, ...]:
        """What proves the app in a body (OAuth).  Raises FreshdError."""
        secret = await self._deps.resolve(self.service.app_secret)
        return (("client_id", self.service.app_id), ("client_secret", secret.reveal()))

    def json_call(self, url: str, fields: Iterable[Field], token: str | None = None) -> Call:
        """A request in JSON, under a bearer token or none."""
        body = json.dumps(dict(fields)).encode()
        return Call("POST", url, {"Content-Type": JSON, **_bearing(token)}, body, self.service.route)

    async def device_call(self, url: str, scope: str) -> Call:
        """The announcement of a device: a form under HTTP Basic.  Raises FreshdError."""
        (_, app), (_, secret) = await self.proof()
        form = urlencode([("client_id", app), ("scope", scope)]).encode()
        return Call("POST", url, {"Content-Type": FORM, "Authorization": basic(app, secret)}, form, self.service.route)

    async def farewell_call(self, url: str, name: str, token: Secret) -> Call:
        """The end of one token: a form.  Raises FreshdError."""
        form = urlencode([*await self.proof(), ("token", token.reveal()), ("token_type_hint", name)]).encode()
        return Call("POST", url, {"Content-Type": FORM}, form, self.service.route)

    def user_call(self, token: Secret) -> Call:
        """Who the user is: harmless, and renews nothing."""
        return Call("GET", self.service.at_open(USER_PATH), _bearing(token.reveal()), route=self.service.route)

    async def app_call(self, kind: str) -> Call:
        """A token of the app itself, older form; `kind`: "tenant" or "app".  Free.  Raises FreshdError."""
        secret = await self._deps.resolve(self.service.app_secret)
        fields = (("app_id", self.service.app_id), ("app_secret", secret.reveal()))
        return self.json_call(self.service.at_open(APP_PATHS[kind]), fields)

    async def app_token(self) -> str:
        """An app token for the older endpoints.  Raises FreshdError."""
        now = self._deps.clock.boot()
        if self._refusal is not None and now < self._refusal[0]:
            raise self._refusal[1]
        performed = await self.http.call(await self.app_call("app"))
        token = app_token_in(performed, "app_access_token")
        if token is None:
            refusal = FreshdError(
                f"there is no app token to renew with: {why_not(performed)}",
                "check app_id, app_secret and brand of the account",
            )
            self._refusal = (now + REFUSED_SECONDS, refusal)
            raise refusal
        self._refusal = None
        return token


def app_token_in(performed: Performed, name: str) -> str | None:
    """The token of the app that a call brought; None where it brought none."""
    found = object_of(performed) if isinstance(performed, Reply) else Foreign()
    if not isinstance(performed, Reply) or isinstance(found, Foreign) or code_of(found) not in (None, FINE):
        return None
    return bearer(found.get(name)) if performed.status in range(200, 300) else None


def why_not(performed: Performed) -> str:
    """What a call came to that did not bring what was wanted, in a few words without anything foreign but a code."""
    if not isinstance(performed, Reply):
        return performed.reason
    found = object_of(performed)
    if isinstance(found, Foreign):
        return f"{found} (status {performed.status})"
    code = code_of(found)
    word = found.get("error")
    said = next((one for one in (code, word) if isinstance(one, str) and CODE.fullmatch(one)), "nothing of use")
    return f"the service said {said} (status {performed.status})"


def _bearing(token: str | None) -> Mapping[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
