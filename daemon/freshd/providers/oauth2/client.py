"""The client of an account: where its service's endpoints are, and how it proves who it is (RFC 6749 section 2.3).

Rules
-----
* Secrets of the configuration are resolved for each call and kept no longer than it.
* An endpoint written in the configuration wins over what the metadata says.
* Nothing here spends.  What is sent, and when, is decided by who asks for a `Post`.
"""

from __future__ import annotations

import base64
import json
import secrets
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from freshd.core.model import Secret
from freshd.core.settings import SecretRef
from freshd.errors import FreshdError
from freshd.providers.deps import Deps
from freshd.providers.discovery import Metadata
from freshd.providers.http import Call
from freshd.providers.oauth2.options import Options

Field = tuple[str, str]
ASSERTION_SECONDS: Final = 60
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY_TYPES: Final[Mapping[str, type[RSAKey | ECKey | OKPKey]]] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
MISSING_NAMES: Final[Mapping[str, str]] = {"probe_url": "userinfo_endpoint"}
"""Our key → the metadata's name, where they differ."""


@dataclass(frozen=True, slots=True)
class Post:
    """A form that lacks only what is spent: where it goes and what proves the client."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    fields: tuple[Field, ...] = field(repr=False)


class Client:
    """One account's client."""

    def __init__(self, options: Options, deps: Deps) -> None:
        self.options = options
        self.http = deps.http
        self._deps = deps

    async def endpoint(self, name: str) -> str:
        """The address of an endpoint, by its key in the configuration.  Raises FreshdError."""
        url = await self.find_endpoint(name)
        if url is None:
            raise FreshdError(f"the service names no {name}", f'write {name} = "https://…" in the account')
        return url

    async def find_endpoint(self, name: str) -> str | None:
        """The same, None where there is none.  Raises FreshdError where the metadata cannot be had."""
        written: str | None = getattr(self.options, name)
        if written is not None or self.options.issuer is None:
            return written
        return (await self.metadata()).endpoints.get(MISSING_NAMES.get(name, name))

    async def metadata(self) -> Metadata:
        """What the issuer says of itself; nothing where no issuer is configured."""
        if self.options.issuer is None:
            return Metadata({})
        return await self._deps.discovery.find(self.options.issuer, self.options.route)

    async def post(self, name: str) -> Post:
        """A form for an endpoint, with the client's proof.  Raises FreshdError."""
        url = await self.endpoint(name)
        client_id = self.options.client_id
        match self.options.auth:
            case "client_secret_basic":
                secret = await self._resolved(self.options.client_secret)
                return Post(url, {"Authorization": basic(client_id, secret.reveal())}, ())
            case "client_secret_post":
                secret = await self._resolved(self.options.client_secret)
                return Post(url, {}, (("client_id", client_id), ("client_secret", secret.reveal())))
            case "private_key_jwt":
                key = await self._resolved(self.options.client_key)
                return Post(url, {}, (("client_id", client_id), *self._assertion(key, await self._audience())))
        return Post(url, {}, (("client_id", client_id),))

    def call(self, post: Post, fields: Iterable[Field]) -> Call:
        """The whole request."""
        body = urlencode([*fields, *post.fields]).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **post.headers}
        return Call("POST", post.url, headers, body, self.options.route)

    async def _resolved(self, reference: SecretRef | None) -> Secret:
        if reference is None:
            raise FreshdError("the account has no client secret or key", "write client_secret or client_key")
        return await self._deps.resolve(reference)

    async def _audience(self) -> str:
        return self.options.assertion_audience or await self.endpoint("token_endpoint")

    def _assertion(self, key: Secret, audience: str) -> tuple[Field, ...]:
        """RFC 7523 section 2.2."""
        now = int(self._deps.clock.now().wall)
        claims: dict[str, Any] = {
            "iss": self.options.client_id,
            "sub": self.options.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        signed = sign(claims, key.reveal(), self.options.client_key_algorithm, self.options.client_key_id)
        return (("client_assertion_type", ASSERTION_TYPE), ("client_assertion", signed))


def basic(client_id: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: each half is form-encoded before they are joined."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def sign(claims: Mapping[str, Any], key: str, algorithm: str, key_id: str | None) -> str:
    """A JWT under a private key, PEM or JWK.  Raises FreshdError without a word of the key."""
    header = {"alg": algorithm, "typ": "JWT", **({} if key_id is None else {"kid": key_id})}
    kind = KEY_TYPES[algorithm[:2]]
    try:
        imported = kind.import_key(json.loads(key) if key.lstrip().startswith("{") else key)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is an old name (RFC 9864) that services still use
            return jwt.encode(header, dict(claims), imported, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, KeyError):
        cause = f"client_key is no private key for {algorithm}"
        raise FreshdError(cause, "give a private key in PEM or as JWK, or correct client_key_algorithm") from None
