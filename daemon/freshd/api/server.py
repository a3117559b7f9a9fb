"""The socket's server: listens, admits, answers, stops in order.

Rules
-----
* `start` is called with the state lock held (see listen).  It works on asyncio's own loop and on uvloop.
* `stop_intake` lets what is under way end and starts nothing new; `aclose` ends the rest.
* `tell` makes the server an Outlet: watchers learn of every event's account.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from freshd.api.answers import Answers, World
from freshd.api.audit import Audit
from freshd.api.connection import Connection
from freshd.api.crowd import Crowd, Limits
from freshd.api.listen import BACKLOG, Mark, Place, bind
from freshd.api.peer import Peer, identify
from freshd.api.watch import Watchers
from freshd.core.access import Policy
from freshd.core.events import Event
from freshd.ports import Clock
from freshd.tokens import Tokens

RESERVED_DESCRIPTORS: Final = 128
DESCRIPTORS_PER_CONNECTION: Final = 2
"""The socket and the pidfd of its peer."""


class Api:
    """The whole of freshd's local socket.

    policy    the rules in force; asked for every request, so a reload binds open connections at once
    on_audit  takes hand-outs and denials; never waits
    """

    def __init__(
        self,
        tokens: Tokens,
        policy: Callable[[], Policy],
        clock: Clock,
        *,
        on_audit: Callable[[Event], None] = lambda _event: None,
        limits: Limits | None = None,
        identify: Callable[[socket.socket], Peer | None] = identify,
    ) -> None:
        self._watchers = Watchers(tokens)
        self._answers = Answers(World(tokens, policy, clock, identify), Audit(on_audit), self._watchers)
        self._policy = policy
        self._tidied_under: Policy | None = None
        self._crowd = Crowd(fitting(limits or Limits()), self._on_sweep)
        self._servers: list[asyncio.AbstractServer] = []
        self._marks: list[Mark] = []

    async def start(self, place: Place | None = None, adopted: Sequence[socket.socket] = ()) -> None:
        """Serve on systemd's sockets if there are any (listen.inherited), else at the place.  SocketUnusable."""
        listeners = list(adopted)
        if not listeners and place is not None:
            listeners = [bind(place)]
            self._marks = [Mark(place.path)]
        loop = asyncio.get_running_loop()
        for listener in listeners:
            server = await loop.create_unix_server(self._connect, sock=listener, backlog=BACKLOG, **_keep_path(loop))
            self._servers.append(server)

    def tell(self, event: Event) -> None:
        """Take one event for the watchers."""
        self._watchers.tell(event)

    def stop_intake(self) -> None:
        """Accept nobody any more; idle connections and streams end now, busy ones with their answer."""
        self._answers.is_stopping = True
        for server in self._servers:
            server.close()
        for mark in self._marks:
            mark.remove()
        self._servers, self._marks = [], []
        for member in self._crowd.members():
            member.stop()

    async def aclose(self) -> None:
        """End every connection, tell the audit's counts."""
        self.stop_intake()
        for member in self._crowd.members():
            member.abort()
        self._crowd.close()
        self._answers.close()
        await asyncio.sleep(0)

    def _connect(self) -> Connection:
        return Connection(self._answers, self._crowd)

    def _on_sweep(self) -> None:
        counts, policy = self._answers.counts, self._policy()
        counts.evicted, counts.crowded = self._crowd.evicted, self._crowd.refused
        counts.connections = len(self._crowd)
        if policy is not self._tidied_under:
            self._tidied_under = policy
            self._answers.tidy()


def fitting(limits: Limits) -> Limits:
    """The limits, with no more connections than this process may have descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    room = max(16, (soft - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION)
    return replace(limits, connections=min(limits.connections, room), per_uid=min(limits.per_uid, room))


def _keep_path(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """From Python 3.13 on asyncio would remove the path of every socket it served, systemd's too."""
    is_own = type(loop).__module__.startswith("asyncio")
    return {"cleanup_socket": False} if sys.version_info >= (3, 13) and is_own else {}
