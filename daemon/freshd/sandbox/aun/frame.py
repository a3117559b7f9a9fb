"""Writing one WebSocket message to the raw socket, so that it can be lost, cut short or reset, with a report on it.

Rules: server's frames only, unmasked and never compressed (RFC 6455 section 5.2). It never decides what is said.
Nothing here raises for a peer that has gone.
"""

import asyncio
import struct
import time

from freshd.sandbox.tokens import Delivery
from freshd.sandbox.wire import Manner, peer_open, pieces, reset, write

_TEXT = 0x81  # the last frame of a text message


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
    delivery = Delivery(peer_open_before=peer_open(transport), write_started_ns=time.monotonic_ns())
    if transport is None or transport.is_closing():
        delivery.write_failed, delivery.reason = True, "peer_gone"
        return delivery
    if manner is Manner.WHOLE:
        await write(transport, frame(payload), delivery)
        delivery.complete = not delivery.write_failed
    elif manner is Manner.CUT:
        await write(transport, frame(payload[:cut_at], len(payload)), delivery)
    elif manner is Manner.STREAM:
        await _stream(transport, payload, size, delivery)
    delivery.write_done_ns = time.monotonic_ns()
    delivery.peer_open_after = peer_open(transport)
    if delivery.complete and delivery.peer_open_before is False:
        delivery.complete, delivery.reason = False, "peer_gone"
    if manner is Manner.RESET:
        reset(transport)
    elif manner is not Manner.WHOLE:
        transport.close()
    return delivery


async def _stream(transport: asyncio.Transport, payload: bytes, size: int, delivery: Delivery) -> None:
    await write(transport, frame(b"", size), delivery)
    for piece in pieces(payload, size):
        if delivery.write_failed:
            break
        await write(transport, piece, delivery)
