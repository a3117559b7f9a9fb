"""OAuth clients and how they prove who they are at the token endpoint (RFC 6749 section 2.3). Pure."""

import base64
import binascii
import dataclasses
import hmac
import urllib.parse
from collections.abc import Iterable, Mapping

ALL_GRANTS = (
    "refresh_token",
    "client_credentials",
    "authorization_code",
    "urn:ietf:params:oauth:grant-type:device_code",
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered client. ``secret`` None makes it public.

    ``auth_methods`` empty: ``none`` for a public client, basic and post for another.
    ``redirect_uris`` empty: any loopback address (RFC 8252 section 7.3).
    """

    client_id: str
    secret: str | None = dataclasses.field(default=None, repr=False)
    auth_methods: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ALL_GRANTS

    @property
    def methods(self) -> tuple[str, ...]:
        """The authentication methods that are accepted from it."""
        return self.auth_methods or (
            ("none",) if self.secret is None else ("client_secret_basic", "client_secret_post")
        )

    def may_return_to(self, uri: str) -> bool:
        """Whether an authorisation may be sent to ``uri``; a loopback address matches with any port."""
        if not self.redirect_uris:
            return urllib.parse.urlsplit(uri).hostname in _LOOPBACK
        return any(uri == known or _without_port(uri) == _without_port(known) for known in self.redirect_uris)


class Unauthenticated(Exception):
    """The client did not prove who it is; the text may be shown to it."""


class Clients:
    """All registered clients."""

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        """Register ``clients``."""
        self._known = {client.client_id: client for client in clients}

    def register(self, client: Client) -> None:
        """Add a client or replace the one of the same id."""
        self._known[client.client_id] = client

    def find(self, client_id: str) -> Client | None:
        """Return the client of this id."""
        return self._known.get(client_id)

    def authenticate(self, authorization: str | None, form: Mapping[str, str]) -> Client:
        """Return the client that a request comes from; raises Unauthenticated."""
        if authorization is not None:
            method, client_id, secret = "client_secret_basic", *basic_credentials(authorization)
            if "client_secret" in form or form.get("client_id", client_id) != client_id:
                message = "more than one way of authentication"
                raise Unauthenticated(message)
        else:
            client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
            method = "client_secret_post" if "client_secret" in form else "none"
        client = self._known.get(client_id)
        expected = (client.secret if client is not None else None) or ""
        matches = hmac.compare_digest(expected.encode(), secret.encode())
        if client is None or method not in client.methods or not matches:
            message = "unknown client, wrong secret, or a method it may not use"
            raise Unauthenticated(message)
        return client


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Return id and secret, each form-decoded as RFC 6749 section 2.3.1 says."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        message = "malformed Authorization header"
        raise Unauthenticated(message)
    return urllib.parse.unquote_plus(client_id), urllib.parse.unquote_plus(secret)


def basic_id(authorization: str | None) -> str | None:
    """Return the client id a Basic header claims, unproven; None if there is none."""
    try:
        return basic_credentials(authorization)[0] if authorization is not None else None
    except Unauthenticated:
        return None


def _without_port(uri: str) -> tuple[str, str | None, str, str]:
    parts = urllib.parse.urlsplit(uri)
    port_free = parts.hostname if parts.hostname in _LOOPBACK else parts.netloc
    return parts.scheme, port_free, parts.path, parts.query
