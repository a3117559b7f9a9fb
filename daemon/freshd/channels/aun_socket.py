"""How an AUN gateway is reached: its health, and a WebSocket that yields text frames and then says how it was closed.

Rules
-----
* No redirect is followed, no cookie kept, no environment asked for a proxy, nothing compressed.
* What a library raises ends as `Closed` or as a reason in our own words; only cancellation passes through.
* A connection is closed before the next one is opened, also when cancelled; the other side is given `FAREWELL_SECONDS`.
* Nothing secret is in an address or a header.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from freshd.channels.aun_codes import ABNORMAL

HEALTH_SECONDS: Final = 5.0
FAREWELL_SECONDS: Final = 2.0
FRAME_LIMIT_BYTES: Final = 1_048_576
QUIET: Final = {"User-Agent": "freshd"}
KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))
"""The kernel notices a peer that is gone where the gateway wants no pings."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over.  `code`: of the close frame; `fault`: what the gateway did that no gateway does."""

    code: int = ABNORMAL
    fault: str | None = None


class Socket(Protocol):
    """A WebSocket that is open."""

    async def receive(self) -> str | Closed | None:
        """The next text frame; `Closed` at the end, again and again; None for a frame that is no text."""

    async def send(self, text: str) -> None:
        """Send a text frame.  That the connection is over is told by `receive`."""


class Unreachable(Exception):
    """A gateway cannot be used; its text is a reason in our own words."""


class Gateway(Protocol):
    """One gateway that may be visited."""

    @property
    def host(self) -> str:
        """Host, and port where it is stated."""

    async def check(self) -> None:
        """Ask for its health.  Raises Unreachable."""

    def open(self, deadline: float) -> contextlib.AbstractAsyncContextManager[Socket]:
        """A connection, open within `deadline` seconds and closed at the end.  Raises Unreachable."""


class RemoteGateway:
    """A gateway behind an address.  `trust`: the authorities to trust, None for plain ws://."""

    def __init__(self, url: str, trust: ssl.SSLContext | None) -> None:
        self._url = url
        self._trust = trust

    @property
    def host(self) -> str:
        """Host, and port where it is stated."""
        return urlsplit(self._url).netloc.lower()

    async def check(self) -> None:
        """Ask for its health.  Raises Unreachable."""
        try:
            async with (
                asyncio.timeout(HEALTH_SECONDS),
                self._session() as session,
                session.get(health_url(self._url), headers=QUIET, ssl=self._ssl) as response,
            ):
                status = response.status
        except Exception as error:  # noqa: BLE001 - whatever the library raises, this gateway cannot be used
            raise Unreachable(_reason(error)) from None
        if status != HTTPStatus.OK:
            raise Unreachable(f"it answers {status} when asked for its health")

    @contextlib.asynccontextmanager
    async def open(self, deadline: float) -> AsyncIterator[Socket]:
        """A connection, open within `deadline` seconds and closed at the end.  Raises Unreachable."""
        async with self._session() as session:
            found = await self._connect(session, deadline)
            try:
                yield OpenSocket(found)
            finally:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(FAREWELL_SECONDS):  # aiohttp's own counts anew with every frame
                        await found.close()

    async def _connect(self, session: aiohttp.ClientSession, deadline: float) -> aiohttp.ClientWebSocketResponse:
        never = aiohttp.ClientWSTimeout(ws_receive=None, ws_close=None)
        try:
            async with asyncio.timeout(deadline):
                found = await session.ws_connect(
                    self._url, headers=QUIET, ssl=self._ssl, timeout=never,
                    autoclose=False,  # a close frame is handed over at once: no cancellation can come in between
                    max_msg_size=FRAME_LIMIT_BYTES + 1,  # aiohttp takes what is smaller
                )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever the library raises, this gateway cannot be used
            raise Unreachable(_reason(error)) from None
        _watch(found.get_extra_info("socket"))
        return found

    @property
    def _ssl(self) -> ssl.SSLContext | bool:
        return True if self._trust is None else self._trust

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            trust_env=False,
            middlewares=(_stay,),
        )


class OpenSocket:
    """`Socket` on aiohttp's."""

    def __init__(self, inner: aiohttp.ClientWebSocketResponse) -> None:
        self._inner = inner

    async def receive(self) -> str | Closed | None:
        """The next text frame; `Closed` at the end; None for a frame that is no text."""
        try:
            message = await self._inner.receive()
        except Exception:  # noqa: BLE001 - whatever the library raises, the connection is of no more use
            return Closed()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return Closed(message.data) if isinstance(message.data, int) and message.data else Closed(1005)
        if message.type is aiohttp.WSMsgType.ERROR:
            return Closed(fault=_fault(message.data))
        if message.type in {aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED}:
            return Closed()
        return None

    async def send(self, text: str) -> None:
        """Send a text frame."""
        with contextlib.suppress(Exception):
            await self._inner.send_str(text)


def health_url(url: str) -> str:
    """Where a gateway is asked for its health."""
    parts = urlsplit(url)
    return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, "/health", "", ""))


def trust_of(ca_file: str | None) -> ssl.SSLContext:
    """The authorities to trust: those of the system, or only those in a file.  Raises OSError or ssl.SSLError."""
    return ssl.create_default_context(cafile=ca_file)


async def _stay(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A redirect is an answer like any other that is no 200 and no upgrade (an aiohttp client middleware)."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise Unreachable("it sends us elsewhere, which a gateway must not")
    return response


def _watch(inner: object) -> None:
    """Have the kernel watch the connection."""
    if not hasattr(inner, "setsockopt"):
        return
    with contextlib.suppress(OSError):
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE:
            if hasattr(socket, name):
                inner.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _fault(error: object) -> str | None:
    """What was wrong with a frame; None where the connection just broke."""
    if not isinstance(error, aiohttp.WebSocketError):
        return None
    if error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        return f"the gateway sent a frame of more than {FRAME_LIMIT_BYTES} bytes"
    return "the gateway sent a frame that breaks the rules of WebSockets"


REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "its name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (ssl.SSLError, "TLS failed"),
    (aiohttp.WSServerHandshakeError, "it does not open a WebSocket"),
    (aiohttp.ServerDisconnectedError, "it closed the connection"),
    (TimeoutError, "it does not answer in time"),
)
"""The first that fits is told."""


def _reason(error: Exception) -> str:
    if isinstance(error, Unreachable):
        return str(error)
    told = next((words for kind, words in REASONS if isinstance(error, kind)), None)
    if told is not None:
        return told
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else "it cannot be connected to"
    return f"it cannot be used ({type(error).__name__})"
