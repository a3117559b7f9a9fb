"""One pre-auth call at a gateway: a WebSocket of its own, the challenge, one request, its answer.

Rules
-----
* NotSent until the request is about to be written: a gateway that cannot be reached, does not speak WebSocket, says
  something else before the challenge, or never sends one.  From the writing on, whatever happens, the call counts as
  sent: Lost without an answer, else Reply with the bytes of the frame.
* The answer is the first frame that bears the request's id.  Up to `MOST_FRAMES` others are passed over.
* An answer larger than any honest one is cut; a frame beyond the limit of the protocol never arrives, and is Lost.
* Each call has an id of its own, a connection of its own, and ends without waiting for the other side's farewell.
* No redirect is followed, no cookie kept, no environment asked for a proxy, nothing compressed, nothing repeated.
* A reason is put together from our own words: nothing a gateway says gets into it but the number of a close code (I10).
* Nothing here raises, except when cancelled.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.providers.aun.frames import (
    FRAME_LIMIT_BYTES,
    SEND_LIMIT_BYTES,
    Greeting,
    greeting_of,
    is_answer,
    is_foreign,
    request,
)
from freshd.providers.cut import BODY_LIMIT_BYTES, TOO_LARGE, cut
from freshd.providers.http import REASONS, url_problem

CONNECT_SECONDS: Final = 6.0
"""For connecting and the challenge; three gateways of a list fit into the time that a rung has."""
FAREWELL_SECONDS: Final = 0.001
"""A close frame is sent; its answer is not waited for, because the escrow of what came must not wait."""
MOST_FRAMES: Final = 16
OK: Final = 200
AGENT: Final = {"User-Agent": "freshd"}


class _NoGateway(Exception):
    """The connection is no use; its text is a reason in our own words."""


class Transport:
    """How one account calls gateways.  ca_file: trust only the authorities in it; deadline: seconds for an answer."""

    def __init__(self, ca_file: str | None, deadline: float, connect: float = CONNECT_SECONDS) -> None:
        self._ca_file = ca_file
        self._deadline = deadline
        self._connect = connect
        self._trust: tuple[float, ssl.SSLContext] | None = None

    async def call(self, url: str, method: str, params: Mapping[str, Any]) -> Performed:
        """Make one call."""
        wrong = gateway_problem(url)
        request_id = f"freshd-{secrets.token_hex(8)}"
        line = request(request_id, method, params)
        if wrong is not None or len(line) > SEND_LIMIT_BYTES:
            return NotSent("the request is too large" if wrong is None else f"the gateway's address {wrong}")
        has_begun = False
        try:
            async with self._greeted(url) as (socket, _):
                has_begun = True
                async with asyncio.timeout(self._deadline):
                    await socket.send_str(line)
                    return await _answer(socket, request_id)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, it is known what had been sent
            wait = self._deadline if has_begun else self._connect
            return (Lost if has_begun else NotSent)(_reason(error, wait))

    async def greet(self, url: str) -> Greeting | NotSent:
        """Connect and listen to the challenge, which commits nobody to anything."""
        wrong = gateway_problem(url)
        if wrong is not None:
            return NotSent(f"the gateway's address {wrong}")
        try:
            async with self._greeted(url) as (_, heard):
                greeting = heard
        except Exception as error:  # noqa: BLE001 - as above
            return NotSent(_reason(error, self._connect))
        return greeting

    @asynccontextmanager
    async def _greeted(self, url: str) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Greeting]]:
        """A connection whose challenge has been heard.  Raises what a connection can raise, and _NoGateway."""
        async with _session() as session:
            async with asyncio.timeout(self._connect):
                trust = self._trusted() if url.startswith("wss:") else True
                socket = await session.ws_connect(
                    url, ssl=trust, proxy=None, compress=0, max_msg_size=FRAME_LIMIT_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=FAREWELL_SECONDS), headers=AGENT,
                )  # fmt: skip
                greeting = await _challenge(socket)
            yield socket, greeting
            await socket.close()

    def _trusted(self) -> ssl.SSLContext:
        """The authorities to trust, read again when the file has changed.  Raises OSError or ssl.SSLError."""
        changed = 0.0 if self._ca_file is None else os.stat(self._ca_file).st_mtime  # noqa: PTH116 - a path is text
        if self._trust is None or self._trust[0] != changed:
            self._trust = changed, ssl.create_default_context(cafile=self._ca_file)
        return self._trust[1]


def gateway_problem(url: str) -> str | None:
    """What is wrong with a gateway's address, as the end of a sentence; None if a secret may be sent there."""
    if not url.startswith(("wss://", "ws://")):
        return "must begin with wss:// (plain ws is only for this machine itself)"
    wrong = url_problem("http" + url.removeprefix("ws"))
    return None if wrong is None else wrong.replace("http", "ws")


def side_of(url: str) -> str:
    """Where a gateway answers plain requests: the same place by http, without path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme.replace('ws', 'http', 1)}://{parts.netloc}"


async def _challenge(socket: aiohttp.ClientWebSocketResponse) -> Greeting:
    """The first frame.  Raises _NoGateway where it is no challenge."""
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        greeting = greeting_of(message.data)
        if greeting is not None:
            return greeting
    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        raise _NoGateway("it says something else before the challenge")
    raise _NoGateway(f"{_closed(socket)} before the challenge")


async def _answer(socket: aiohttp.ClientWebSocketResponse, request_id: str) -> Reply | Lost:
    for _ in range(MOST_FRAMES):
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            if is_answer(message.data, request_id) or is_foreign(message.data):
                return _reply(message.data.encode())
        elif message.type is not aiohttp.WSMsgType.BINARY:
            return Lost(f"{_closed(socket)} without an answer")
    return Lost("many frames came, and none was the answer")


def _reply(frame: bytes) -> Reply:
    return Reply(OK, (), frame) if len(frame) <= BODY_LIMIT_BYTES else cut(OK, (), frame, TOO_LARGE)


def _closed(socket: aiohttp.ClientWebSocketResponse) -> str:
    code = socket.close_code
    if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        return "it sent a frame that is too large"
    return "it closed the connection" if code is None else f"it closed the connection ({int(code)})"


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trust_env=False,
        middlewares=(_Once().handle,),
    )


class _Once:
    """Lets one request of a session through, and no redirect (an aiohttp client middleware)."""

    def __init__(self) -> None:
        self._is_used = False

    async def handle(
        self, asked: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:  # fmt: skip
        if self._is_used:  # aiohttp repeats a GET whose connection broke; we repeat nothing
            raise aiohttp.ServerDisconnectedError
        self._is_used = True
        response = await handler(asked)
        if response.status in range(300, 400):
            response.close()
            raise _NoGateway("it redirects, which is not followed")
        return response


def _reason(error: Exception, wait: float) -> str:
    if isinstance(error, _NoGateway):
        return f"this is no gateway: {error}"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"this is no gateway: it does not open a WebSocket (status {error.status})"
    if isinstance(error, TimeoutError):
        return f"no answer, or no challenge, within {wait:g} s"
    told = next((words for kind, words in REASONS if isinstance(error, kind)), None)
    if told is not None:
        return told
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return f"the call failed ({type(error).__name__})"
