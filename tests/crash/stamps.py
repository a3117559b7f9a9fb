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
INTENDED: Final = "3"
ESCROWED: Final = "escrow-durable"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One mark passed."""

    at_ns: int
    mark: str


@dataclass(frozen=True, slots=True)
class Window:
    """From the service's write to the durable escrow: when the service began to write and had written, when the answer
    was whole in our memory (point 4), and when it was durable.
    """

    began_ns: int
    written_ns: int
    replied_ns: int
    escrowed_ns: int

    @property
    def from_write(self) -> float:
        """Microseconds since the server had handed its whole answer to the kernel."""
        return (self.escrowed_ns - self.written_ns) / 1000

    @property
    def from_begin(self) -> float:
        """Since it began to: nothing can have been in our socket earlier."""
        return (self.escrowed_ns - self.began_ns) / 1000

    @property
    def from_reply(self) -> float:
        """Since point 4: our own share."""
        return (self.escrowed_ns - self.replied_ns) / 1000


@dataclass(frozen=True, slots=True)
class Passage:
    """What one deed led to, in microseconds since it was asked for.

    intent   the first point 3; None where there was none
    windows  spans in which an answer was, or may have been, in our socket and was not durable yet
    """

    intent: float | None
    windows: tuple[tuple[float, float], ...]


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


def since(stamps: Sequence[Stamp], asked_ns: int, mark: str) -> int | None:
    """The moment at which a mark was first passed after something had been asked for."""
    return next((stamp.at_ns for stamp in stamps if stamp.mark == mark and stamp.at_ns >= asked_ns), None)


def passage(stamps: Sequence[Stamp], found: Sequence[Window], asked_ns: int, until_ns: int) -> Passage:
    """What came of a deed before the next one was asked for."""
    intent = since(stamps, asked_ns, INTENDED)
    spans = [
        (one.began_ns, one.escrowed_ns) for one in found if asked_ns <= one.began_ns and one.escrowed_ns < until_ns
    ]
    return Passage(
        None if intent is None or intent >= until_ns else (intent - asked_ns) / 1000,
        tuple(((began - asked_ns) / 1000, (ended - asked_ns) / 1000) for began, ended in spans),
    )


def windows(stamps: Sequence[Stamp], commits: Sequence[Commit]) -> tuple[Window, ...]:
    """One for each answer that became durable: paired with the newest answer since its intent."""
    found = []
    for number, stamp in enumerate(stamps):
        if stamp.mark != ESCROWED:
            continue
        reply = next((one for one in reversed(stamps[:number]) if one.mark == "4"), None)
        intent = max((one.at_ns for one in stamps[:number] if one.mark == INTENDED), default=0)
        answer = max(
            (one for one in commits if one.arrived_ns is not None and intent <= one.arrives_ns <= stamp.at_ns),
            key=lambda one: one.arrives_ns,
            default=None,
        )
        if reply is None or answer is None or answer.arrived_ns is None:
            continue
        found.append(Window(answer.arrives_ns, answer.arrived_ns, reply.at_ns, stamp.at_ns))
    return tuple(found)
