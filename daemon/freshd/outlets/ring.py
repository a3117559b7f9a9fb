"""What waits for a connection: events in order, a bounded number of them.

Rules
-----
* Numbers (`seq`) go up by one with each event that is put in; none is used twice.
* Where there is no room the oldest makes some, and is counted in the gap.  The one that is being sent is not touched,
  and needs no room.
* What was taken leaves with `done`; `back` puts it in front again, so it may be sent twice and is never skipped.  What
  can never be sent is given up with `drop`, and counted in the gap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from freshd.core.events import Event


@dataclass(frozen=True, slots=True)
class Entry:
    """One event that waits.  `at`: wall-clock second at which it was told."""

    seq: int
    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Gap:
    """How many were dropped that nobody was told of yet, with the lowest and the highest of their numbers."""

    dropped: int
    first: int
    last: int


class Ring:
    """Pure: no clock, no task."""

    def __init__(self, room: int) -> None:
        self._room = max(1, room)
        self._waiting: deque[Entry] = deque()
        self._held: Entry | None = None
        self._seq = 0
        self.gap: Gap | None = None
        self.dropped = 0

    def __len__(self) -> int:
        """How many wait, the one that is being sent included."""
        return len(self._waiting) + (self._held is not None)

    def put(self, event: Event, at: float) -> None:
        """Put an event in."""
        self._seq += 1
        self._waiting.append(Entry(self._seq, at, event))
        self._make_room()

    def take(self) -> Entry | None:
        """The oldest, to be sent now; None where nothing waits."""
        if self._held is None and self._waiting:
            self._held = self._waiting.popleft()
        return self._held

    def done(self) -> None:
        """What was taken has arrived, or will never be wanted."""
        self._held = None

    def back(self) -> None:
        """Nobody knows whether what was taken has arrived."""
        held, self._held = self._held, None
        if held is not None:
            self._waiting.appendleft(held)
            self._make_room()

    def drop(self) -> None:
        """What was taken is given up."""
        held, self._held = self._held, None
        if held is not None:
            self._lose(held.seq)

    def resize(self, room: int) -> None:
        """Hold so many from now on."""
        self._room = max(1, room)
        self._make_room()

    def clear(self) -> None:
        """Forget everything; the numbers go on."""
        self._waiting.clear()
        self._held = self.gap = None

    def told(self, gap: Gap) -> None:
        """Somebody was told of `gap`; what was dropped since then is another."""
        now = self.gap
        more = 0 if now is None else now.dropped - gap.dropped
        self.gap = Gap(more, gap.last + 1, now.last) if now is not None and more > 0 else None

    def _make_room(self) -> None:
        while len(self._waiting) > self._room:
            self._lose(self._waiting.popleft().seq)

    def _lose(self, seq: int) -> None:
        self.dropped += 1
        gap = self.gap or Gap(0, seq, seq)
        self.gap = Gap(gap.dropped + 1, min(gap.first, seq), max(gap.last, seq))
