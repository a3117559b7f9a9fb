"""What a victim wrote down before it died, and the window it tells of.

All moments are `time.monotonic_ns()`, the one clock that server, daemon and harness share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.fates import Commit

LAST_POINT: Final = "8"
ESCROWED: Final = "escrow-durable"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One mark passed."""

    at_ns: int
    mark: str


@dataclass(frozen=True, slots=True)
class Window:
    """From the service's write to the durable escrow, in microseconds.

    from_write  since the server had handed its whole answer to the kernel
    from_begin  since it began to: nothing can have been in our socket earlier
    from_reply  since the answer was whole in our memory (point 4): our own share
    """

    from_write: float
    from_begin: float
    from_reply: float


def read(path: Path) -> tuple[Stamp, ...]:
    """All stamps of a file, none where it is missing."""
    if not path.exists():
        return ()
    lines = (line.split(" ", 1) for line in path.read_text().splitlines())
    return tuple(Stamp(int(at), mark) for at, mark in lines)


def last_point(stamps: Sequence[Stamp]) -> str | None:
    """The newest point of an exchange that was passed."""
    return next((stamp.mark for stamp in reversed(stamps) if stamp.mark.isdigit()), None)


def is_in_air(stamps: Sequence[Stamp], killed_ns: int) -> bool:
    """Whether the victim died inside an exchange: one had begun, and point 8 was not behind it, at most just there."""
    last = last_point(stamps)
    if last == LAST_POINT:
        return stamps[-1].at_ns == killed_ns
    return last is not None


def windows(stamps: Sequence[Stamp], commits: Sequence[Commit]) -> tuple[Window, ...]:
    """One for each answer that became durable: paired with the newest answer written before."""
    found = []
    for number, stamp in enumerate(stamps):
        if stamp.mark != ESCROWED:
            continue
        reply = next((one for one in reversed(stamps[:number]) if one.mark == "4"), None)
        answer = max(
            (one for one in commits if one.arrived_ns is not None and one.arrives_ns <= stamp.at_ns),
            key=lambda one: one.arrives_ns,
            default=None,
        )
        if reply is None or answer is None or answer.arrived_ns is None:
            continue
        moments = (answer.arrived_ns, answer.arrives_ns, reply.at_ns)
        found.append(Window(*((stamp.at_ns - moment) / 1000 for moment in moments)))
    return tuple(found)
