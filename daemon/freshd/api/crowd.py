"""All connections: how many there may be, who makes room, and which have used up their time (I11).

Rules
-----
* At most `per_uid` connections of one user and `connections` in all.  Where there is no room, the idle connection
  that was used longest ago makes way: of the same user, or of the user who holds most.  Busy ones are never cut, nor
  those whose request has arrived and was not looked at yet; if all are busy the newcomer is refused.
* One timer looks after all deadlines: no request pays for a timer of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """All bounds of the socket.  Sizes in bytes, times in seconds.

    idle       a connection without a request
    slow       from the first byte of a request to its last
    stalled    a reader that takes nothing of what is written to it
    heartbeat  between signs of life on a quiet stream
    unread     requests received and not yet served, per connection
    unsent     answers not yet taken by the reader, per connection
    burst      requests served in a row before others have their turn
    """

    connections: int = 1024
    per_uid: int = 256
    watchers_per_uid: int = 64
    idle: float = 300.0
    slow: float = 10.0
    stalled: float = 10.0
    heartbeat: float = 15.0
    unread: int = 32768
    unsent: int = 65536
    burst: int = 16


class Member(Protocol):
    """What the crowd must know of a connection."""

    @property
    def uid(self) -> int:
        """The user it belongs to."""

    @property
    def is_watching(self) -> bool:
        """Whether it is a stream."""

    def last_use(self) -> int | None:
        """When it was used last, as a number of `Crowd.uses`; None while it is busy."""

    def has_unread(self) -> bool:
        """Whether something has arrived that was not looked at yet."""

    def leave(self) -> None:
        """Close: somebody else needs the room."""

    def mind(self, now: float) -> None:
        """Check the connection's deadlines."""

    def stop(self) -> None:
        """The daemon is stopping: end now if idle, else with the answer."""

    def abort(self) -> None:
        """End now, whatever is under way."""


class Crowd:
    """The members, by user."""

    def __init__(self, limits: Limits, on_sweep: Callable[[], None]) -> None:
        self.limits = limits
        self._on_sweep = on_sweep
        self._by_uid: dict[int, set[Member]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.uses = itertools.count()
        self.evicted = 0
        self.refused = 0

    def __len__(self) -> int:
        return sum(map(len, self._by_uid.values()))

    def admit(self, member: Member) -> bool:
        """Let a connection in, making room if need be; False: refused."""
        mine = self._by_uid.get(member.uid, set())
        if len(mine) >= self.limits.per_uid and not self._make_room(mine):
            self.refused += 1
            return False
        if len(self) >= self.limits.connections and not self._make_room(max(self._by_uid.values(), key=len)):
            self.refused += 1
            return False
        self._by_uid.setdefault(member.uid, set()).add(member)
        self._schedule()
        return True

    def remove(self, member: Member) -> None:
        """Forget a connection; one that was forgotten already is no mistake."""
        mine = self._by_uid.get(member.uid)
        if mine is not None:
            mine.discard(member)
            if not mine:
                del self._by_uid[member.uid]

    def members(self) -> tuple[Member, ...]:
        """All connections, at this moment."""
        return tuple(member for mine in self._by_uid.values() for member in mine)

    def has_room_to_watch(self, uid: int) -> bool:
        """Whether the user may open one more stream."""
        return sum(member.is_watching for member in self._by_uid.get(uid, ())) < self.limits.watchers_per_uid

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self, among: set[Member]) -> bool:
        idle = [(use, member) for member in among if (use := member.last_use()) is not None]
        idle.sort(key=lambda pair: pair[0])
        oldest = next((member for _, member in idle if not member.has_unread()), None)
        if oldest is None:
            return False
        self.evicted += 1
        self.remove(oldest)
        oldest.leave()
        return True

    def _schedule(self) -> None:
        if self._timer is None:
            limits = self.limits
            period = min(1.0, limits.idle / 4, limits.slow / 4, limits.stalled / 4, limits.heartbeat / 4)
            self._timer = asyncio.get_running_loop().call_later(period, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for member in self.members():
            member.mind(now)
        self._on_sweep()
        if self._by_uid:
            self._schedule()
