"""Opens a connection, with TLS where wanted, without a thread and without holding up the loop.

aiomqtt connects on a thread of the loop's own pool, which name look-ups of everybody need too: a few brokers that
take connections and stay silent would stop them all (I11).  So the socket is opened here, and handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

SHARE_MOST_SECONDS: Final = 5.0
"""One address of several may take so long before the next is tried."""


async def opened(host: str, port: int, trust: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """A connected, non-blocking socket.  Raises TimeoutError, OSError, ssl.SSLError."""
    async with asyncio.timeout(deadline):
        sock = await _connected(host, port, deadline)
        try:
            return sock if trust is None else await _secured(sock, trust, host)
        except BaseException:
            sock.close()
            raise


async def _connected(host: str, port: int, deadline: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    share = min(SHARE_MOST_SECONDS, deadline / len(found))
    last: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)  # noqa: FBT003 - takes no name
            async with asyncio.timeout(share):
                await loop.sock_connect(sock, address)
        except OSError as error:  # TimeoutError is one
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise last


async def _secured(sock: socket.socket, trust: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    wrapped = trust.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(wrapped, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(wrapped, loop.add_writer, loop.remove_writer)
            else:
                return wrapped
    except BaseException:
        wrapped.close()
        raise


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _ready(sock: socket.socket, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    number = sock.fileno()
    add(number, _settle, future)
    try:
        await future
    finally:
        remove(number)
