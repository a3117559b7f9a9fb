"""What can come of a call to a service, in the few words the engine knows.

`perform` (a provider's I/O) yields NotSent, Lost or Reply.  `read` (a provider's pure half) turns a Reply into
Answered, Rejected or Unreadable.  Nothing else reaches lifecycle, whatever a service or a library does.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from freshd.core.model import EMPTY, Change, Secret

HEARD_SECONDS: Final = 60.0
"""How long a refusal that others may share waits for theirs."""
TRIES_MOST: Final = 12
"""Further tries in all since the last answer: refusals that take turns are believed, too."""


class Remedy(enum.Enum):
    """What a refusal calls for (design 1)."""

    WAIT = "wait"
    CLIMB = "climb"
    RESET = "reset"
    REREAD = "re-read"
    PERSON = "person"
    CONFIG = "config"
    UNAVAILABLE = "unavailable"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left this machine that could spend (DNS, connect, TLS): free to retry."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Sent, and not one byte came back: the service may or may not have acted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply exactly as received (I3).  `complete` is False where the connection ended early or a limit cut it."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    complete: bool = True

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@dataclass(frozen=True, slots=True)
class Answered:
    """The service did what was asked.  An exchange may yield secrets and no lease."""

    changes: tuple[Change, ...]
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service itself, in its own form, said no: nothing was spent beyond what `remedy` implies.

    code         the service's own code, as text, for people
    retry_after  seconds the service asked for
    drop         names of secrets to be forgotten; with RESET the lease goes too, for it was made of them
    dead         names of secrets that this refusal proves dead: kept, never presented again.  None: with CLIMB those
                 that the rung needs, else none
    keep         secrets that the refusal brought and the next step of a person needs; stored beside the others.  Not
                 together with RESET
    again        seconds to wait before each further try that it is worth before the remedy applies; empty: at once
    host         the service that says so, where several accounts that meet it within a minute share one cause
    known        False where the code is in no table of ours: keep everything, stop this round, alert
    """

    code: str
    remedy: Remedy
    retry_after: float | None = None
    drop: frozenset[str] = frozenset()
    known: bool = True
    detail: str = ""
    dead: frozenset[str] | None = None
    keep: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)
    again: tuple[float, ...] = ()
    host: str | None = None

    @property
    def waits(self) -> tuple[float, ...]:
        """Seconds before each further try.  What others may share is asked once more, for they are heard by then."""
        return self.again or ((HEARD_SECONDS,) if self.host is not None else ())


@dataclass(frozen=True, slots=True)
class Tried:
    """Further tries that a refusal was given before it is believed.

    code    of that refusal; times: how often; whole: all of them since the last answer, whatever the code
    shared  the service that refuses several accounts at once just now; None: none does
    """

    code: str = ""
    times: int = 0
    whole: int = 0
    shared: str | None = None

    def believes(self, rejected: Rejected) -> bool:
        """Whether the remedy of this refusal applies now; until then it says nothing of what was presented (I5, I7)."""
        if rejected.host is not None and rejected.host == self.shared:
            return False
        times = self.times if self.code == rejected.code else 0
        return times >= len(rejected.waits) or (bool(rejected.waits) and self.whole >= TRIES_MOST)

    def once_more(self, rejected: Rejected) -> Tried:
        """The same with one more try."""
        times = self.times if self.code == rejected.code else 0
        return replace(self, code=rejected.code, times=times + 1, whole=self.whole + 1)


UNTRIED: Final = Tried()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Not the service's own word (HTML, gateway, truncated, foreign 5xx): acts as Lost, its escrow is kept.

    `gateway` says that a complete reply with an HTTP error status came from something in between.
    """

    reason: str
    gateway: bool = False
    retry_after: float | None = None


Performed = NotSent | Lost | Reply
Judged = Answered | Rejected | Unreadable
Shown = Sequence[tuple[str, str]]
