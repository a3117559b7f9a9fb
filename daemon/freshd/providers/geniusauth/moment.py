"""What time it is at the service, for the time stamps of signed calls.

Rules
-----
* The service takes a stamp that is at most five minutes old and ten seconds ahead, so this machine's clock must not
  decide alone: the Date of every answer of the service is compared with it.
* Only a difference of more than `OFFSET_SECONDS` counts; Date has whole seconds, and an answer takes its time.
* A stamp never lies ahead of what the service itself said, so nothing is signed for later.
* What was learnt is carried on by the boot clock: a step of the wall clock afterwards changes nothing.
"""

from __future__ import annotations

from typing import Final

from freshd.core.outcome import Reply
from freshd.ports import Clock
from freshd.providers.form import date

OFFSET_SECONDS: Final = 2.0


class ServiceTime:
    """The time at one service.  Before its first answer: this machine's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[float, float] | None = None
        """Wall time of the service, and the boot-time second at which it was told."""

    def learn(self, reply: Reply) -> None:
        """Compare with an answer that is the service's own and has just come."""
        theirs = date(reply.header("Date"))
        if theirs is not None:
            self._seen = (theirs, self._clock.boot())

    @property
    def offset(self) -> float:
        """Seconds by which the service's clock is ahead of ours; 0 where that is not known or does not matter."""
        if self._seen is None:
            return 0.0
        theirs, at = self._seen
        now = self._clock.now()
        ahead = theirs + (now.boot - at) - now.wall
        return ahead if abs(ahead) > OFFSET_SECONDS else 0.0

    def stamp(self) -> int:
        """Seconds since 1970 to sign with."""
        return int(self._clock.now().wall + self.offset)
