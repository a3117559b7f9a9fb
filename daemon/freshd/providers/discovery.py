"""What a server says of itself: authorization server metadata (RFC 8414), or OpenID Connect's older form of it.

Rules
-----
* Looking up is free and harmless, yet bounded: an answer is kept for `FRESH_SECONDS`, a failure for `FAILED_SECONDS`.
* A lookup that fails after one that did not leaves the older answer in force: endpoints hardly ever move, and an outage
  of a metadata server must not become one of its accounts.
* The metadata must name the issuer that was asked for, and every endpoint must be an address to which a secret may go.
* One lookup per issuer at a time; who comes second waits for the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from freshd.core.outcome import Reply
from freshd.errors import FreshdError
from freshd.ports import Clock
from freshd.providers.form import Foreign, object_of, text
from freshd.providers.http import Call, Http, Route, url_problem

FRESH_SECONDS: Final = 3600.0
FAILED_SECONDS: Final = 5.0
OAUTH_PATH: Final = "/.well-known/oauth-authorization-server"
OPENID_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was said.  endpoints: by metadata name; names_issuer: redirects carry `iss` (RFC 9207)."""

    endpoints: Mapping[str, str]
    names_issuer: bool = False


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: Metadata | None = None
    until: float = 0.0
    failure: str | None = None


class Discovery:
    """The metadata of all issuers."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._entries: dict[tuple[str, Route], _Entry] = {}

    async def find(self, issuer: str, route: Route) -> Metadata:
        """The metadata of an issuer.  Raises FreshdError where there is none."""
        entry = self._entries.setdefault((issuer, route), _Entry())
        async with entry.lock:
            if self._clock.boot() >= entry.until:
                await self._look_up(issuer, route, entry)
        if entry.known is None:
            cause = f"the metadata of {urlsplit(issuer).hostname} cannot be used: {entry.failure}"
            raise FreshdError(cause, "check issuer in the configuration, or write token_endpoint and the others there")
        return entry.known

    async def _look_up(self, issuer: str, route: Route, entry: _Entry) -> None:
        for url in addresses(issuer):
            performed = await self._http.call(Call("GET", url, route=route))
            if not isinstance(performed, Reply):
                entry.failure = performed.reason
                break
            found = metadata_of(performed, issuer)
            if isinstance(found, Metadata):
                entry.known, entry.failure, entry.until = found, None, self._clock.boot() + FRESH_SECONDS
                return
            entry.failure = found
        entry.until = self._clock.boot() + FAILED_SECONDS


def addresses(issuer: str) -> tuple[str, ...]:
    """Where metadata may lie, in the order of RFC 8414 section 5: the path of the issuer goes last, or first."""
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return tuple(dict.fromkeys((root + OAUTH_PATH + path, root + path + OPENID_PATH, root + OPENID_PATH + path)))


def metadata_of(reply: Reply, issuer: str) -> Metadata | str:
    """The metadata in a reply, or why there is none.  Pure."""
    found = object_of(reply)
    if reply.status != 200 or isinstance(found, Foreign):
        return f"status {reply.status}" if reply.status != 200 else str(found)
    named = text(found.get("issuer")) or ""
    if named.rstrip("/") != issuer.rstrip("/"):
        return "it speaks of another issuer"
    endpoints = {name: url for name, url in found.items() if name.endswith("_endpoint") and _may_be_used(url)}
    return Metadata(endpoints, found.get("authorization_response_iss_parameter_supported") is True)


def _may_be_used(url: Any) -> bool:  # noqa: ANN401 - a member of foreign JSON
    return isinstance(url, str) and url_problem(url) is None
