"""aiomqtt's client on a socket of ours, without a broker: what a connection leaves behind that ends at once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from freshd.channels.mqtt_client import Client, Login

LOGIN = Login("5", "me", None, None, 60, True, 0.1, None)
TURNS = 3


async def test_a_connection_that_ends_while_more_is_to_be_written_leaves_nothing_planned() -> None:
    trouble: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: trouble.append(context))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    client = Client(("localhost", 1), ours, LOGIN)
    entering = loop.create_task(client.log_in())
    await asyncio.sleep(0)
    client._client._call_socket_register_write()  # what the library does where the kernel takes no more
    client._client._sock_close()  # and where it reads in the same turn that the other side is gone
    theirs.close()
    assert await entering is not None
    await client.close()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert trouble == []
