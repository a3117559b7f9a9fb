"""One HTTP call: NotSent, Lost or Reply, and exactly the right one of the three (design 4).

Rules
-----
* NotSent only while aiohttp has not been told to write the request on an established connection.  From that moment on,
  whatever happens, the request counts as sent.
* Lost only where not one byte came back.  Otherwise the reply is kept as far as it came (`cut.salvage`).
* Every call has a connection of its own.  A pooled one that the server closed meanwhile would be ambiguous, and a
  handshake per lease is nothing against what a doubtful grant costs; so harmless calls are not pooled either.
* No redirect is followed, no cookie kept, no environment asked for a proxy, nothing decompressed, nothing repeated.
* At most `BODY_LIMIT_BYTES` of a body are read; then the connection is closed.
* A reason is put together from our own words: no URL query, header, body or exception text gets into it (I10).
* `call` does not raise, except when cancelled.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.connector import Connection

from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.providers.cut import BODY_LIMIT_BYTES, TOO_LARGE, cut, salvage

DEADLINE_SECONDS: Final = 30.0
RAW_LIMIT_BYTES: Final = 4 * BODY_LIMIT_BYTES
"""How much is remembered of what came over the wire: a body, its chunk framing, and the largest head aiohttp takes."""
QUIET: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "freshd"}


@dataclass(frozen=True, slots=True)
class Route:
    """How a service is reached.  ca_file: trust only the authorities in it; proxy: URL of a proxy for all calls."""

    ca_file: str | None = None
    proxy: str | None = None
    deadline: float = DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class Call:
    """One request.  Headers and body may hold secrets and are never shown."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)
    route: Route = field(default_factory=Route)


class Http:
    """All calls of all providers.  Made without I/O; the session begins with the first call."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._trusts: dict[str | None, tuple[float, ssl.SSLContext]] = {}

    async def call(self, call: Call) -> Performed:
        """Make one call within its deadline."""
        refusal = url_problem(call.url)
        if refusal is not None:
            return NotSent(f"the address {refusal}")
        wire = Wire()
        try:
            async with asyncio.timeout(call.route.deadline):
                return await self._converse(call, wire)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the wire knows what happened
            return wire.ended(_reason(error, call.route.deadline))

    async def aclose(self) -> None:
        """Close all connections.  A later call opens a new session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _converse(self, call: Call, wire: Wire) -> Reply:
        request = self._open().request(
            call.method,
            call.url,
            data=call.body,
            headers={**QUIET, **call.headers},
            allow_redirects=False,
            ssl=self._trust(call.route.ca_file),
            proxy=call.route.proxy if call.url.startswith("https:") else None,  # else it would read along
            middlewares=(wire.attach,),
        )
        async with request as response:
            body = await _read(response)
            headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
            if len(body) > BODY_LIMIT_BYTES:
                response.close()
                return cut(response.status, headers, body, TOO_LARGE)
            if wire.was_reset:
                return cut(response.status, headers, body, "connection reset")
            return Reply(response.status, headers, body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                trust_env=False,
                auto_decompress=False,
                request_class=_Request,
            )
        return self._session

    def _trust(self, ca_file: str | None) -> ssl.SSLContext:
        """The authorities to trust, read again when the file has changed.  Raises OSError or ssl.SSLError."""
        changed = 0.0 if ca_file is None else os.stat(ca_file).st_mtime  # noqa: PTH116 - a path is text here
        known = self._trusts.get(ca_file)
        if known is None or known[0] != changed:
            known = (changed, ssl.create_default_context(cafile=ca_file))
            self._trusts[ca_file] = known
        return known[1]


class _Request(aiohttp.ClientRequest):
    """aiohttp's request, which tells its wire the moment before the first byte may leave."""

    wire: Wire | None = None

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if self.wire is not None:
            self.wire.tap(conn)
        return await super().send(conn)


class Wire(asyncio.Protocol):
    """Stands between socket and aiohttp for one call: whether sending began, and every byte that came back."""

    def __init__(self) -> None:
        self.has_begun = False
        self.was_reset = False
        self._raw = bytearray()
        self._inner: asyncio.Protocol | None = None

    async def attach(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Put this wire on a request (an aiohttp client middleware)."""
        if self.has_begun:  # aiohttp repeats a GET whose connection broke; we repeat nothing
            raise aiohttp.ServerDisconnectedError
        if isinstance(request, _Request):
            request.wire = self
        return await handler(request)

    def tap(self, connection: Connection) -> None:
        """The connection is there and nothing was written yet: from now on the request counts as sent."""
        self.has_begun = True
        transport, protocol = connection.transport, connection.protocol
        if transport is not None and protocol is not None:
            self._inner = protocol
            transport.set_protocol(self)

    def ended(self, why: str) -> Performed:
        """What came of a call that ended without a whole reply."""
        if not self.has_begun:
            return NotSent(why)
        return salvage(bytes(self._raw), why) if self._raw else Lost(why)

    def data_received(self, data: bytes) -> None:
        self._raw += data[: RAW_LIMIT_BYTES - len(self._raw)]
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_reset = exc is not None
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()


def url_problem(url: str) -> str | None:
    """What is wrong with an address, as the end of a sentence; None if a secret may be sent there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is malformed"
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        return "is malformed"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "holds a user name, a password or a fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return None
    return "must begin with https:// (plain http is only for this machine itself)"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine, whoever asks."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port of a valid address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_place(parts)}"


def host(url: str) -> str:
    """Host, and port where it is stated, of a valid address."""
    return _place(urlsplit(url))


def _place(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2].lower()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, or one chunk more than the limit of it."""
    body = bytearray()
    while len(body) <= BODY_LIMIT_BYTES and (chunk := await response.content.readany()):
        body += chunk
    return bytes(body)


REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, "the certificate is not trusted"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (ssl.SSLError, "TLS failed"),
    (aiohttp.ClientHttpProxyError, "the proxy does not let the call through"),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached"),
    (aiohttp.ServerDisconnectedError, "the connection was closed"),
    (aiohttp.ClientPayloadError, "the connection was closed"),
)
"""The first that fits is told."""


def _reason(error: Exception, deadline: float) -> str:
    told = next((words for kind, words in REASONS if isinstance(error, kind)), None)
    if told is not None:
        return told
    if isinstance(error, TimeoutError):
        return f"no answer within {deadline:g} s"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else "cannot connect"
    return f"the call failed ({type(error).__name__})"
