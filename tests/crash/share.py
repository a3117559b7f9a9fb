"""The share of kills that must fall into the window between an answer and its escrow, beside those that did.  Pure.

Rules
-----
* The windows are measured in the same run: each trial of `near` has its exchange once more before the one that is
  killed, and nobody kills that.  Nothing is learnt from an exchange that was cut short: short windows end more often.
* A kill counts where it came, in microseconds since point 3 (`near`) or since the refresh was asked for (`around`), and
  not where it was meant to come.  Its probability is the share of the measured exchanges of its service and placement
  that had an answer on the way into the escrow at that moment; the sum of these is the prediction.
* The interval holds 95 of 100 repetitions: measured exchanges drawn anew, and each kill's luck.
* A kill finds what was written before it, synced or not: the window has a part that only a power cut strikes.  Kills in
  that part are counted beside those that lost the answer.
* Without a measured exchange there is no prediction, and the kills are left out: enrolments come once in an account's
  life, and what spends nothing has no escrow.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Line = Mapping[str, Any]
Cell = tuple[str, str]
Span = tuple[float, float]
REPETITIONS: Final = 400
KINDS: Final = ("near", "around")


@dataclass(frozen=True, slots=True)
class Share:
    """Kills that could have struck a window, those that did, and how many had to; `low` to `high` 95 times in 100.

    struck   the answer was lost
    written  the escrow was written and its fsync had not returned: lost with the power, and not with the process
    """

    kills: int
    struck: int
    written: int
    expected: float
    low: int
    high: int

    @property
    def is_far(self) -> bool:
        """Whether more or fewer were struck than chance explains."""
        return not self.low <= self.struck + self.written <= self.high


def is_struck(line: Line) -> bool:
    """Whether the answer was, or may have been, in our socket and was not durable; as `fates` has it."""
    if line["unsaved"] != 1 or line["escrow"]:
        return False
    may_have_arrived = line["arrived_us"] is not None and line["arrives_us"] <= 0
    return bool(may_have_arrived or line["last_point"] == "4")


def is_written(line: Line) -> bool:
    """Whether the kill came when the escrow was on its way to the disk, and found it in the file."""
    return bool(line["unsaved"] == 1 and line["escrow"] and line.get("last_mark", line["last_point"]) == "4")


def shares(lines: Iterable[Line], kind: str) -> Mapping[Cell, Share]:
    """Of each service and placement, and of all under ("all", "")."""
    ours = [line for line in lines if line["who"] == "freshd"]
    measured = _measured(ours, kind)
    killed: dict[Cell, list[Line]] = {}
    for line in ours:
        if line["kind"] == kind and _cell(line) in measured and _moment(line) is not None:
            killed.setdefault(_cell(line), []).append(line)
    found, draws = {}, [0] * REPETITIONS
    for cell, lot in sorted(killed.items()):
        counts, expected = _repeated([_moment(line) or 0.0 for line in lot], measured[cell], " ".join((kind, *cell)))
        found[cell] = _share(lot, expected, counts)
        draws = [one + more for one, more in zip(draws, counts, strict=True)]
    if not found:
        return {}
    everything = [line for lot in killed.values() for line in lot]
    return {**found, ("all", ""): _share(everything, sum(one.expected for one in found.values()), draws)}


def _cell(line: Line) -> Cell:
    return line["service"], line["placement"]


def _moment(line: Line) -> float | None:
    """When the kill came; None for a line that does not say, and for a kill before point 3."""
    struck = line.get("struck_us")
    moment: float | None = struck and struck[line["kind"] == "near"]
    return moment


def _measured(lines: Iterable[Line], kind: str) -> dict[Cell, list[Sequence[Span]]]:
    """The windows of each exchange that nobody killed."""
    found: dict[Cell, list[Sequence[Span]]] = {}
    for line in lines:
        passage = line.get("rehearsed_us")
        if passage is None or passage["intent"] is None:
            continue
        origin = passage["intent"] if kind == "near" else 0
        spans = [(began - origin, ended - origin) for began, ended in passage["windows"]]
        found.setdefault(_cell(line), []).append(spans)
    return found


def _repeated(moments: Sequence[float], measured: Sequence[Sequence[Span]], seed: str) -> tuple[list[int], float]:
    """Counts of as many repetitions, and the mean that they come from."""
    dice = random.Random(seed)
    struck = [[any(began <= at < ended for began, ended in spans) for spans in measured] for at in moments]
    counts = []
    for _ in range(REPETITIONS):
        again = dice.choices(range(len(measured)), k=len(measured))
        counts.append(sum(row[dice.choice(again)] for row in struck))
    return counts, sum(sum(row) / len(measured) for row in struck)


def _share(lines: Sequence[Line], expected: float, counts: Sequence[int]) -> Share:
    ordered = sorted(counts)
    low, high = ordered[round(0.025 * len(ordered))], ordered[round(0.975 * len(ordered)) - 1]
    return Share(len(lines), sum(map(is_struck, lines)), sum(map(is_written, lines)), expected, low, high)
