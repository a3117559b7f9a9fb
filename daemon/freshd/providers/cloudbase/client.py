"""What is sent to CloudBase, byte for byte, and what harmless calls say.  Nothing here decides when.

Rules
-----
* Bodies are JSON.  The client goes along in the query of every call that carries no token of a user.
* A request has an id of its own; the device is always the one that the session began with.
* A captcha's token goes into the query or the header, as the step says; addresses are never shown or logged.
* Secrets of the configuration are resolved for each call and kept no longer than it.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from freshd import __version__
from freshd.core.model import Record, Secret
from freshd.core.outcome import Performed, Reply
from freshd.errors import FreshdError
from freshd.providers.cloudbase.case import DEVICE_ID, held
from freshd.providers.cloudbase.envelope import Said, opened
from freshd.providers.cloudbase.flow import HEADER
from freshd.providers.cloudbase.options import Options
from freshd.providers.cloudbase.service import INTROSPECT, REVOKE
from freshd.providers.deps import Deps
from freshd.providers.http import Call
from freshd.providers.oauth2.refusal import CODE

JSON: Final = "application/json"
AGENT: Final = f"freshd/{__version__}"
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Captcha:
    """A captcha's token on its way; way: "query" or "header"."""

    token: str = field(repr=False)
    way: str


class Client:
    """One account's calls."""

    def __init__(self, options: Options, deps: Deps) -> None:
        self.options = options
        self.deps = deps
        self._drawn = secrets.token_hex(16)

    def device(self, record: Record, *, is_new: bool = False) -> str:
        """The device that a session is bound to; of a new session the configured one, if there is one."""
        kept = held(record, DEVICE_ID)
        if kept is not None and not (is_new and self.options.device_id):
            return kept.reveal()
        return self.options.device_id or self._drawn

    async def basic(self) -> Mapping[str, str]:
        """The client's own proof.  Raises FreshdError."""
        return {"Authorization": basic(self.options.client, await self.secret())}

    async def secret(self) -> str:
        """The client's secret, which is empty as a rule.  Raises FreshdError."""
        reference = self.options.client_secret
        return "" if reference is None else (await self.deps.resolve(reference)).reveal()

    def post(
        self, path: str, body: Body, device: str, *, headers: Mapping[str, str] | None = None,
        captcha: Captcha | None = None, request_id: str | None = None,
    ) -> Call:  # fmt: skip
        """A call without a user's token."""
        in_query = captcha is not None and captcha.way != HEADER
        query = {"client_id": self.options.client, **({"captcha_token": captcha.token} if captcha and in_query else {})}
        more = {"x-captcha-token": captcha.token} if captcha and not in_query else {}
        head = {**self._head(device, request_id), "Content-Type": JSON, **(headers or {}), **more}
        content = json.dumps(dict(body), separators=(",", ":")).encode()
        return Call("POST", f"{self.options.base}{path}?{urlencode(query)}", head, content, self.options.route)

    def introspection(self, token: Secret, device: str) -> Call:
        """Whether an access token works: harmless, and renews nothing."""
        head = {**self._head(device), "Authorization": f"Bearer {token.reveal()}"}
        return Call("GET", f"{self.options.base}{INTROSPECT}", head, route=self.options.route)

    def farewell(self, token: Secret, device: str) -> Call:
        """The end of a session, in both forms at once: the token as bearer, and in the body."""
        head = {**self._head(device), "Content-Type": JSON, "Authorization": f"Bearer {token.reveal()}"}
        body = json.dumps({"token": token.reveal()}, separators=(",", ":")).encode()
        return Call("POST", f"{self.options.base}{REVOKE}", head, body, self.options.route)

    async def free(self, call: Call) -> Said | FreshdError:
        """Make a call that spends nothing; an error where the service did not do it."""
        performed = await self.deps.http.call(call)
        said = opened(performed) if isinstance(performed, Reply) else None
        if said is None or said.foreign is not None or said.code is not None:
            return NotDone(why_not(performed), said)
        return said

    def _head(self, device: str, request_id: str | None = None) -> dict[str, str]:
        return {
            "User-Agent": AGENT,
            "Accept-Language": "en-US",
            "x-device-id": device,
            "x-request-id": request_id or new_id(),
        }


class NotDone(FreshdError):
    """The service did not do what was asked.  code: its own, None where it said nothing in its own form."""

    exit_code = 65
    type = "not-done"

    def __init__(self, why: str, said: Said | None) -> None:
        super().__init__(why, "try again later")
        self.code = None if said is None else said.code


def new_id() -> str:
    """The id of a request, or of a device."""
    return secrets.token_hex(16)


def basic(user: str, word: str) -> str:
    """HTTP Basic of a pair as it is."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def why_not(performed: Performed) -> str:
    """What a call came to that did not bring what was wanted, in a few words without anything foreign but a code."""
    if not isinstance(performed, Reply):
        return performed.reason
    said = opened(performed)
    if said.foreign is not None:
        return f"{said.foreign} (status {performed.status})"
    known = said.code is not None and CODE.fullmatch(said.code) is not None
    return f"the service said {said.code if known else 'nothing of use'} (status {performed.status})"


def is_alive(performed: Performed) -> bool | None:
    """What an introspection says of the token: nothing but an empty object means that it is dead."""
    if not isinstance(performed, Reply) or not performed.complete:
        return None
    said = opened(performed)
    if said.foreign is not None or performed.status not in range(200, 300):
        return False if said.code is not None and said.code.lower() in DEAD else None
    if said.code is not None:
        return False if said.code.lower() in DEAD else None
    if not said.members:
        return False
    return True if said.members.get("sub") or said.members.get("client_id") else None


DEAD: Final = frozenset({"unauthenticated", "access_token_expired", "check_login_failed"})
"""What the service says of an access token that does not work any more."""
