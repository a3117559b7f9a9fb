"""Writing one HTTP answer to the raw socket, so that it can be lost, cut short or reset, and knowing how far it got.

Rules: only this file and those built on its ``write``, ``reset`` and ``peer_open`` touch transports. They never decide
what is said, only whether and how the bytes leave, and never raise for a peer that has gone.
A ``Spoken`` must be returned to the web server afterwards: it stands for an answer that is already on the wire.
"""

import asyncio
import contextlib
import dataclasses
import email.utils
import enum
import http
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from freshd.sandbox.tokens import Delivery

_TCP_ESTABLISHED = 1  # tcpi_state in Linux's struct tcp_info
_FLUSH_POLL_S = 0.001  # only for answers larger than the socket buffer; there is no public "drained to zero" signal
_FLUSH_LIMIT_S = 30.0  # how long a peer may refuse to read before the answer counts as not delivered
_CHUNK = 65536


class Manner(enum.StrEnum):
    """How the bytes of an answer leave."""

    WHOLE = "whole"
    CUT = "cut"
    SILENT = "silent"
    RESET = "reset"
    STREAM = "stream"


@dataclasses.dataclass(slots=True, kw_only=True)
class Reply:
    """One answer before it is written. ``size`` (STREAM only) is the length to which ``body`` is repeated."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    size: int = 0


def json_reply(answer: Mapping[str, object], status: int = 200, **headers: str) -> Reply:
    """Return ``answer`` as RFC 6749 section 5.1 wants it: JSON, never cached. NaN is written as ``NaN``."""
    fixed = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=json.dumps(answer).encode(), headers={**fixed, **named})


class Spoken(web.StreamResponse):
    """An answer that has left already (or never will); the web server must add nothing to it."""

    def __init__(self, *, keep_alive: bool) -> None:
        """``keep_alive`` False makes the server close the connection."""
        super().__init__()
        self._stays = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


async def speak(
    request: web.Request, reply: Reply, *, date: float, manner: Manner = Manner.WHOLE, cut_at: int = 0
) -> tuple[Spoken, Delivery]:
    """Write ``reply`` (``date`` is the Date header, wall seconds) and report how far it got.

    ``cut_at`` (CUT only) is how many bytes of the body leave before the connection closes; the announced length stays
    that of the whole body. Never raises for a peer that has gone.
    """
    transport = request.transport
    delivery = Delivery(peer_open_before=peer_open(transport), write_started_ns=time.monotonic_ns())
    if transport is None or transport.is_closing():
        delivery.write_failed, delivery.reason = True, "peer_gone"
        return Spoken(keep_alive=False), delivery
    keep_alive = manner is Manner.WHOLE and bool(request.keep_alive)
    if manner is Manner.STREAM:
        await _stream(request, reply, date, delivery)
    elif manner in (Manner.WHOLE, Manner.CUT):
        body = reply.body[:cut_at] if manner is Manner.CUT else reply.body
        await write(transport, _head(reply, date, len(reply.body), keep_alive=keep_alive) + body, delivery)
        delivery.complete = manner is Manner.WHOLE and not delivery.write_failed
    elif manner is Manner.RESET:
        reset(transport)
    delivery.write_done_ns = time.monotonic_ns()
    delivery.peer_open_after = peer_open(request.transport)
    if delivery.complete and delivery.peer_open_before is False:
        delivery.complete, delivery.reason = False, "peer_gone"
    if not keep_alive:
        transport.close()
    return Spoken(keep_alive=keep_alive), delivery


def _head(reply: Reply, date: float, length: int, *, keep_alive: bool) -> bytes:
    headers = {"Date": email.utils.formatdate(date, usegmt=True), "Content-Length": str(length), **reply.headers}
    if not keep_alive:
        headers["Connection"] = "close"
    try:
        phrase = http.HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def write(transport: asyncio.Transport, data: bytes, delivery: Delivery) -> None:
    """Hand ``data`` to the kernel whole, or mark the delivery as failed.

    The peer has 30 seconds to make room for what the socket cannot hold.
    """
    transport.write(data)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _FLUSH_LIMIT_S
    while transport.get_write_buffer_size() and not transport.is_closing() and loop.time() < give_up_at:  # noqa: ASYNC110 - see _FLUSH_POLL_S
        await asyncio.sleep(_FLUSH_POLL_S)
    left = transport.get_write_buffer_size()
    delivery.bytes_written += len(data) - left
    if left or transport.is_closing():
        delivery.write_failed, delivery.reason = True, "write_failed"


async def _stream(request: web.Request, reply: Reply, date: float, delivery: Delivery) -> None:
    """Repeat the body up to ``reply.size`` bytes, at the peer's speed, until it closes."""
    writer = request.writer
    try:
        await writer.write(_head(reply, date, reply.size, keep_alive=False))
        for piece in pieces(reply.body, reply.size):
            await asyncio.wait_for(writer.write(piece), _FLUSH_LIMIT_S)
            delivery.bytes_written += len(piece)
    except (ConnectionError, TimeoutError):
        delivery.write_failed, delivery.reason = True, "write_failed"


def pieces(payload: bytes, size: int) -> Iterator[bytes]:
    """Return ``payload`` repeated up to ``size`` bytes, in pieces of 64 KiB."""
    block = (payload * (_CHUNK // max(1, len(payload)) + 1))[:_CHUNK]
    for start in range(0, size, _CHUNK):
        yield block[: size - start]


def reset(transport: asyncio.Transport) -> None:
    """Close with RST: no lingering, nothing flushed."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def peer_open(transport: asyncio.Transport | None) -> bool | None:
    """Whether the peer still holds its end of the connection; None where the system cannot tell."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return False
    if not hasattr(socket, "TCP_INFO"):
        return None
    try:
        state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0]
    except OSError:
        return False
    return state == _TCP_ESTABLISHED
