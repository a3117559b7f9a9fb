"""Asking a person: authorization code with PKCE (RFC 6749 4.1, 7636, 8252, 9207) and device flow (RFC 8628).

Rules
-----
* What is generated here goes into the material, which the intent seals before the code is spent.
* What came back in the redirect is laid over it under the names the service gives: `code`, `state`, `iss`, `error`.
  What we expect stands there under names of its own too (`expected_state`, `expected_iss`), out of its reach.
* A code whose redirect does not fit is never sent.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from freshd.core.model import Secret
from freshd.core.outcome import Reply
from freshd.errors import FreshdError
from freshd.ports import Asked
from freshd.providers.form import Foreign, number, object_of, text
from freshd.providers.http import url_problem
from freshd.providers.oauth2.case import AUTHORIZE, DEVICE
from freshd.providers.oauth2.client import Client, Field
from freshd.providers.oauth2.options import Options
from freshd.providers.oauth2.refusal import CODE, REMEDIES, SLOWER_BY_SECONDS

VERIFIER_BYTES: Final = 48
"""64 characters of base64url; RFC 7636 wants 43 to 128."""
CODE_SECONDS: Final = 600.0
"""How long a person may take in the browser before the state is forgotten."""
DEVICE_SECONDS: Final = 1800.0
"""How long a device code counts if the service does not say."""
INTERVALS: Final = (1.0, 300.0)


async def ask_for_code(client: Client, redirect_uri: str | None) -> Asked:
    """Where a person grants access in a browser.  Nothing is sent but, perhaps, a look at the metadata."""
    options = client.options
    back = options.redirect_uri or redirect_uri
    if back is None:
        raise FreshdError("there is no address for the redirect", 'write redirect_uri = "http://127.0.0.1:PORT/"')
    material = {name: secrets.token_urlsafe(VERIFIER_BYTES) for name in ("code_verifier", "expected_state")}
    if "openid" in options.scope.split():
        material["nonce"] = secrets.token_urlsafe(VERIFIER_BYTES)
    if options.issuer is not None:
        material["expected_iss"] = options.issuer
        if (await client.metadata()).names_issuer:
            material["needs_iss"] = "yes"
    endpoint = await client.endpoint("authorization_endpoint")
    query = urlencode(
        [*_authorization(options, back, material), *wishes(options), *options.authorize_parameters.items()]
    )
    url = f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"
    kept = {**material, "state": material["expected_state"], "redirect_uri": back}
    return Asked(url, sealed(kept), expires_in=CODE_SECONDS, rung=AUTHORIZE)


async def ask_for_device(client: Client) -> Asked:
    """A code for the person to type in.  Raises FreshdError."""
    post = await client.post("device_authorization_endpoint")
    call = client.call(post, [*wishes(client.options), *client.options.authorize_parameters.items()])
    performed = await client.http.call(call)
    if not isinstance(performed, Reply):
        raise FreshdError(f"the device cannot be announced: {performed.reason}", "try again later")
    return device_of(performed)


def device_of(reply: Reply) -> Asked:
    """The device authorization in a reply (RFC 8628 section 3.2).  Pure; raises FreshdError."""
    found = object_of(reply)
    answer: Mapping[str, Any] = {} if isinstance(found, Foreign) else found
    device_code, user_code = text(answer.get("device_code")), text(answer.get("user_code"))
    url = text(answer.get("verification_uri_complete")) or text(
        answer.get("verification_uri") or answer.get("verification_url")
    )
    if reply.status != 200 or device_code is None or user_code is None or url is None or url_problem(url) is not None:
        raise FreshdError(
            f"the service does not start a device flow: {_said(answer, reply)}",
            "enrol in a browser instead: leave out --device",
        )
    interval = _within(number(answer.get("interval")), *INTERVALS, SLOWER_BY_SECONDS)
    life = _within(number(answer.get("expires_in")), 1.0, 86_400.0, DEVICE_SECONDS)
    material = sealed({"device_code": device_code, "interval": f"{interval:g}"})
    return Asked(url, material, user_code, interval, life, DEVICE)


def redirect_problem(material: Mapping[str, Secret]) -> str | None:
    """Why the code in hand must not be sent: the redirect was an error, or not the answer to our request."""
    if "error" in material:
        code = material["error"].reveal()
        return f"the service said {code if CODE.fullmatch(code) else 'no'}"
    if "code" not in material:
        return "the redirect holds no code"
    if "expected_state" not in material or material.get("state") != material["expected_state"]:
        return "the redirect does not belong to this enrolment (state)"
    issuer = material.get("iss")
    if (issuer is None and "needs_iss" in material) or (issuer is not None and not _is_issuer(issuer, material)):
        return "the redirect comes from another service (iss)"
    return None


def code_fields(material: Mapping[str, Secret]) -> list[Field]:
    """What spends an authorization code."""
    names = ("code", "redirect_uri", "code_verifier")
    return [
        ("grant_type", "authorization_code"),
        *((name, material[name].reveal()) for name in names if name in material),
    ]


def device_fields(material: Mapping[str, Secret]) -> list[Field]:
    """What asks whether the person has answered."""
    grant_type = "urn:ietf:params:oauth:grant-type:device_code"
    return [("grant_type", grant_type), ("device_code", material["device_code"].reveal())]


def wishes(options: Options, *, scope: bool = True) -> list[Field]:
    """What the token is wanted for (RFC 6749 section 3.3, RFC 8707, and `audience` as some have it)."""
    wanted = [("scope", options.scope)] if scope and options.scope else []
    wanted += [("resource", resource) for resource in options.resource]
    return [*wanted, *([] if options.audience is None else [("audience", options.audience)])]


def challenge_of(verifier: str) -> str:
    """What announces a verifier, by method S256 (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _authorization(options: Options, redirect_uri: str, material: Mapping[str, str]) -> list[Field]:
    fields = [
        ("response_type", "code"),
        ("client_id", options.client_id),
        ("redirect_uri", redirect_uri),
        ("state", material["expected_state"]),
        ("code_challenge", challenge_of(material["code_verifier"])),
        ("code_challenge_method", "S256"),
    ]
    return [*fields, *((name, material[name]) for name in ("nonce",) if name in material)]


def _is_issuer(issuer: Secret, material: Mapping[str, Secret]) -> bool:
    expected = material.get("expected_iss")
    return expected is None or issuer.reveal().rstrip("/") == expected.reveal().rstrip("/")


def sealed(material: Mapping[str, str]) -> Mapping[str, Secret]:
    """What was generated, as material of an intent."""
    return MappingProxyType({name: Secret(value) for name, value in material.items()})


def _within(value: float | None, least: float, most: float, otherwise: float) -> float:
    return otherwise if value is None or not least <= value <= most else value


def _said(answer: Mapping[str, Any], reply: Reply) -> str:
    code = answer.get("error")
    known = isinstance(code, str) and code.lower() in REMEDIES
    return f"{str(code).lower()} (status {reply.status})" if known else f"status {reply.status}"
