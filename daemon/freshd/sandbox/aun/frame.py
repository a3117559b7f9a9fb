"""Writing one WebSocket message to the raw socket, so that it can be lost, cut short or reset, with a report on it.

Rules: server's frames only, unmasked and never compressed (RFC 6455 section 5.2). It never decides what is said.
Nothing here raises for a peer that has gone.
"""

import asyncio
import contextlib
import socket
import struct
import time

from freshd.sandbox.tokens import Delivery
from freshd.sandbox.wire import Manner

_TEXT = 0x81  # the last frame of a text message
_TCP_ESTABLISHED = 1  # tcpi_state in Linux's struct tcp_info
_FLUSH_POLL_S = 0.001
_FLUSH_LIMIT_S = 30.0
_CHUNK = 65536


def frame(payload: bytes, announced: int | None = None) -> bytes:
    """Return a text frame; ``announced`` is the length it claims, None the true one."""
    length = len(payload) if announced is None else announced
    if length < 126:
        head = struct.pack("!BB", _TEXT, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", _TEXT, 126, length)
    else:
        head = struct.pack("!BBQ", _TEXT, 127, length)
    return head + payload


async def speak(
    transport: asyncio.Transport | None,
    payload: bytes,
    *,
    manner: Manner = Manner.WHOLE,
    cut_at: int = 0,
    size: int = 0,
) -> Delivery:
    """Send a message in that manner and report how far it got.

    ``cut_at`` (CUT only) is how many bytes of it leave under the full length; ``size`` (STREAM only) the length to
    which it is repeated. Every manner but WHOLE ends the connection, without a closing frame.
    """
    delivery = Delivery(peer_open_before=_peer_open(transport), write_started_ns=time.monotonic_ns())
    if transport is None or transport.is_closing():
        delivery.write_failed, delivery.reason = True, "peer_gone"
        return delivery
    if manner is Manner.WHOLE:
        await _write(transport, frame(payload), delivery)
        delivery.complete = not delivery.write_failed
    elif manner is Manner.CUT:
        await _write(transport, frame(payload[:cut_at], len(payload)), delivery)
    elif manner is Manner.STREAM:
        await _stream(transport, payload, size, delivery)
    delivery.write_done_ns = time.monotonic_ns()
    delivery.peer_open_after = _peer_open(transport)
    if delivery.complete and delivery.peer_open_before is False:
        delivery.complete, delivery.reason = False, "peer_gone"
    if manner is Manner.RESET:
        _reset(transport)
    elif manner is not Manner.WHOLE:
        transport.close()
    return delivery


async def _write(transport: asyncio.Transport, data: bytes, delivery: Delivery) -> None:
    """Hand ``data`` to the kernel whole, or mark the delivery as failed."""
    transport.write(data)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _FLUSH_LIMIT_S
    while transport.get_write_buffer_size() and not transport.is_closing() and loop.time() < give_up_at:  # noqa: ASYNC110 - there is no public signal for "drained to zero"
        await asyncio.sleep(_FLUSH_POLL_S)
    left = transport.get_write_buffer_size()
    delivery.bytes_written += len(data) - left
    if left or transport.is_closing():
        delivery.write_failed, delivery.reason = True, "write_failed"


async def _stream(transport: asyncio.Transport, payload: bytes, size: int, delivery: Delivery) -> None:
    block = (payload * (_CHUNK // max(1, len(payload)) + 1))[:_CHUNK]
    await _write(transport, frame(b"", size), delivery)
    left = size
    while left and not delivery.write_failed:
        piece = block[:left]
        await _write(transport, piece, delivery)
        left -= len(piece)


def _reset(transport: asyncio.Transport) -> None:
    """Close with RST: no lingering, nothing flushed."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _peer_open(transport: asyncio.Transport | None) -> bool | None:
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
