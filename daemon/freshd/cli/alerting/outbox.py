"""Messages on their way to the command: in order, patiently, and never so many that they fill the machine.

Rules
-----
* Messages about one trouble keep their order: "cleared" never overtakes what it clears.
* One that could not be told waits longer each time; the others go on meanwhile.
* Of more than `MOST` the oldest is dropped, and how many were is counted.
* Pure: `now` is boot time in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from freshd.core.alerts import Message

MOST: Final = 1000
PAUSES_SECONDS: Final = (5.0, 30.0, 120.0, 600.0)


@dataclass(slots=True)
class Pending:
    """One message that was not told yet.  `not_before`: boot time."""

    message: Message
    tries: int = 0
    not_before: float = 0.0


class Outbox:
    """What is still to be told, oldest first."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._pending = [Pending(message) for message in messages]
        self.dropped = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that is still to be told."""
        return tuple(pending.message for pending in self._pending)

    def add(self, messages: Iterable[Message]) -> None:
        """Put further messages at the end."""
        self._pending += [Pending(message) for message in messages]
        excess = max(0, len(self._pending) - MOST)
        del self._pending[:excess]
        self.dropped += excess

    def due(self, now: float) -> Pending | None:
        """The first that may be told now."""
        return next((pending for pending in self._heads() if pending.not_before <= now), None)

    def wait(self, now: float) -> float | None:
        """Seconds until one may be told; None where there is none."""
        return min((max(0.0, pending.not_before - now) for pending in self._heads()), default=None)

    def told(self, pending: Pending) -> None:
        """It was told."""
        self._pending = [other for other in self._pending if other is not pending]

    def failed(self, pending: Pending, now: float) -> float:
        """It could not be told; the seconds until it is tried again."""
        pause = PAUSES_SECONDS[min(pending.tries, len(PAUSES_SECONDS) - 1)]
        pending.tries += 1
        pending.not_before = now + pause
        return pause

    def _heads(self) -> Iterable[Pending]:
        seen = set()
        for pending in self._pending:
            if pending.message.alert.key not in seen:
                yield pending
            seen.add(pending.message.alert.key)
