"""When a reader stood there without a token that works.  Pure.

Rules
-----
* A lapse begins with the last proof that the reader's newest lease worked (or with that lease's end, if that came
  first known) and lasts until the next proof: every doubt counts against freshd, so a lapse is at most two polls too
  long and never too short.
* A lease that ended before its successor was in the reader's hand is a lapse, even if nobody tried it meanwhile: no
  polling interval hides anything.
* Taken off: seconds in which no daemon ran, as far as they lie beyond the life of the lease in hand.
* Set apart as healing: a lapse in which nothing was refused but tokens that the service itself had revoked, if it
  lasted at most HEALING_SECONDS.  Nobody can know of a revocation before the first refusal.  A longer one is a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from freshd.cli.demo.evidence import Interval, Met, Reading

HEALING_SECONDS = 1.0
"""A poll until somebody notices, the account's own pace (0.2 s), one exchange with three fsyncs, a poll to fetch: a
quarter of a second on a quiet machine.  Four times that on a busy one."""


@dataclass(slots=True)
class Lapses:
    """Seconds, and the longest stretch in which the reader proved nothing at all."""

    gap_s: float = 0.0
    down_s: float = 0.0
    healing_s: float = 0.0
    unwatched_s: float = 0.0


@dataclass(slots=True)
class _Open:
    """A lapse that has not ended yet.  `down_s`: of it without a daemon, up to `counted`."""

    since: float
    counted: float = 0.0
    down_s: float = 0.0
    refused: set[str] = field(default_factory=set)
    empty_handed: bool = False


def lapses(
    readings: Iterable[Reading], span: Interval, downs: Sequence[Interval], revoked: Mapping[str, float]
) -> Lapses:
    """What one reader went through between the two moments of `span`."""
    diary = _Diary(span[0], downs, revoked)
    for reading in sorted(readings, key=lambda one: one.at):
        if reading.at <= span[1]:
            diary.take(reading)
    diary.close(span[1])
    return diary.total


class _Diary:
    """Reads one diary from front to back."""

    def __init__(self, began: float, downs: Sequence[Interval], revoked: Mapping[str, float]) -> None:
        self.total = Lapses()
        self._began = began
        self._downs = downs
        self._revoked = revoked
        self._proved = began
        self._looked = began
        self._ends_at: float | None = None
        self._open: _Open | None = None

    def take(self, reading: Reading) -> None:
        at = max(reading.at, self._began)
        if reading.met is not Met.UNSURE:
            self.total.unwatched_s = max(self.total.unwatched_s, at - self._looked)
            self._looked = at
        match reading.met:
            case Met.LEASE:
                self._new_lease(at, reading.ends_at)
            case Met.GOOD:
                self._end(at)
                self._proved = at
            case Met.REFUSED:
                self._begin(reading).refused.add(reading.token)
            case Met.NONE | Met.DOWN:
                self._begin(reading).empty_handed = True

    def close(self, ended: float) -> None:
        """The end of the run."""
        self.total.unwatched_s = max(self.total.unwatched_s, ended - self._looked)
        if self._open is None and self._ends_at is not None and self._ends_at < ended:
            self._open = _Open(max(self._ends_at, self._proved), empty_handed=True)
        self._end(ended)

    def _new_lease(self, at: float, ends_at: float) -> None:
        if self._open is None and self._ends_at is not None and max(self._ends_at, self._began) < at:
            self._open = _Open(max(self._ends_at, self._began), empty_handed=True)
            self._end(at)
        if self._open is not None:
            self._count_down(self._open, at)
        self._ends_at = ends_at

    def _begin(self, reading: Reading) -> _Open:
        if self._open is None:
            known = self._revoked.get(reading.token, 0.0) if reading.met is Met.REFUSED else self._ends_at or 0.0
            self._open = _Open(max(self._proved, min(known, reading.at)))
        return self._open

    def _end(self, at: float) -> None:
        lapse, self._open = self._open, None
        if lapse is None or at <= lapse.since:
            return
        self._count_down(lapse, at)
        length, down = at - lapse.since, lapse.down_s
        healing = not lapse.empty_handed and lapse.refused <= self._revoked.keys() and length <= HEALING_SECONDS
        self.total.down_s += down
        if healing:
            self.total.healing_s += length - down
        else:
            self.total.gap_s += length - down

    def _count_down(self, lapse: _Open, until: float) -> None:
        """Seconds of a lapse without a daemon, beyond the life of the lease that was in hand up to `until`."""
        start = max(lapse.since, lapse.counted, self._ends_at or 0.0)
        lapse.down_s += overlap((start, until), self._downs)
        lapse.counted = until


def overlap(span: Interval, others: Iterable[Interval]) -> float:
    """Seconds of `span` that lie in any of `others`, which do not overlap each other."""
    return sum(max(0.0, min(span[1], end) - max(span[0], start)) for start, end in others)
