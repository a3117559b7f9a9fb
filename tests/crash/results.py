"""Results as JSON lines: one trial, one line, written as soon as it is known; and the table made of them.

A line holds no path, no secret and nothing of the machine but its clock; moments are microseconds after the kill.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.crash.fates import FORBIDDEN, Fate
from tests.crash.trial import Result

Line = Mapping[str, Any]
WINDOWS: Final = ("from_write", "from_begin", "from_reply")


class Results:
    """A file that lines are added to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[Line]:
        """Everything in it."""
        return [] if not self._path.exists() else [json.loads(line) for line in self._path.read_text().splitlines()]

    def done(self) -> set[tuple[Any, ...]]:
        """The trials that need not be done again."""
        return {key_of(line) for line in self.lines()}

    def add(self, line: Line) -> None:
        """Write one line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def key_of(line: Line) -> tuple[Any, ...]:
    """What makes a trial this one."""
    return tuple(line[name] for name in ("who", "seed", "series", "service", "placement", "number"))


def line_of(result: Result, series: str, seed: int) -> dict[str, Any]:
    """A trial of freshd as a line."""
    spec, evidence = result.spec, result.evidence
    answer = evidence.commits[-1] if evidence.unsaved else None
    return {
        "who": "freshd", "seed": seed, "series": series, "service": spec.service, "placement": spec.placement,
        "number": spec.number, "at": now(), "kind": spec.kind, "mark": spec.mark, "passage": spec.passage,
        "instant_ms": round(spec.instant * 1000, 3), "before_ms": round(spec.before * 1000, 3),
        "after_ms": round(spec.after * 1000, 3), "settled_first": spec.settled, "fate": result.fate.name,
        "in_air": evidence.in_air, "last_point": evidence.last_point, "unsaved": evidence.unsaved,
        "intent": evidence.kept.intent, "escrow": evidence.kept.escrow, "lives": evidence.lives, "ended": result.ended,
        "generations": evidence.kept.generation - evidence.before_generation,
        "commits": len(evidence.commits) - evidence.before_commits,
        "arrives_us": None if answer is None else (answer.arrives_ns - evidence.killed_ns) // 1000,
        "arrived_us": _after(None if answer is None else answer.arrived_ns, evidence.killed_ns),
        "windows": [[round(getattr(one, name)) for name in WINDOWS] for one in result.windows],
        "killed_on": answer.operation if answer else None, "restored": evidence.restored, "agrees": evidence.agrees,
        "spent_uses": result.spent_uses, "doubtful_replays": result.doubtful_replays, "breaches": result.breaches,
        "seconds": round(result.seconds, 2),
    }  # fmt: skip


def now() -> str:
    """The date and time of a line."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _after(moment: int | None, killed: int) -> int | None:
    return None if moment is None else (moment - killed) // 1000


# -- the table ------------------------------------------------------------------------------------------------------

COLUMNS: Final = (
    (Fate.RECOVERED, "recovered"), (Fate.IDLE, "idle"), (Fate.NEVER_COMMITTED, "never committed"),
    (Fate.NEVER_ARRIVED, "never arrived"), (Fate.OURS, "ours"), (Fate.HEALED, "healed"),
    (Fate.LOST_AFTER_ESCROW, "after escrow"), (Fate.LOST_UNSENT, "uncommitted, lost"), (Fate.NOT_HEALED, "not healed"),
    (Fate.ODD, "odd"),
)  # fmt: skip
COUNTED: Final = {"spent_uses": "spent", "doubtful_replays": "replays", "breaches": "breaches"}
"""What a line counts, and the head of its column.  Older lines know no breaches."""
LEGEND: Final = """\
recovered          the kill struck an exchange; the account lives
idle               the kill struck between exchanges; the account lives
never committed    the service never committed the request; the account lives
never arrived      LOST: committed, and the answer never reached our socket
ours               LOST: the answer had reached our socket and was not yet escrowed
healed             the answer was lost; the account came to another by itself, or its enrolment was begun again
after escrow       LOST though escrowed: must be 0; so must be the three columns after it
breaches           a secret given up presented, a sign-in that was not needed, a call too soon: must be 0"""


def table(lines: Sequence[Line]) -> str:
    """All lines counted, a row for each series."""
    groups = _grouped(lines)
    heads = ["who, service, placement, series", "kills", *(head for _, head in COLUMNS), "lost", *COUNTED.values()]
    rows = [heads, *(_row(key, found) for key, found in groups.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    text = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([*text, "", LEGEND, "", *_windows(lines), *_dates(lines)])


def markdown(lines: Sequence[Line]) -> str:
    """The same for the folder's README."""
    heads = ["server, placement, series", "kills", *(head for _, head in COLUMNS), *COUNTED.values()]
    rows = [heads, ["---"] * len(heads)]
    for key, found in _grouped(lines).items():
        _, kills, *counts = _row(key, found)
        name = ", ".join(key[1:] if key[0] == "freshd" else (f"**{key[0]}**", *key[1:]))
        rows.append([name, kills, *counts[: len(COLUMNS)], *counts[len(COLUMNS) + 1 :]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _grouped(lines: Iterable[Line]) -> dict[tuple[str, ...], list[Line]]:
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault((line["who"], line["service"], line["placement"], line["series"]), []).append(line)
    return dict(sorted(groups.items()))


def _row(key: tuple[str, ...], lines: Sequence[Line]) -> list[str]:
    fates = Counter(line["fate"] for line in lines)
    lost = sum(not line["lives"] for line in lines)
    sums = [sum(line.get(name, 0) for line in lines) for name in COUNTED]
    numbers = [len(lines), *(fates[fate.name] for fate, _ in COLUMNS), lost, *sums]
    return [", ".join(key), *map(str, numbers)]


def _windows(lines: Iterable[Line]) -> Iterator[str]:
    kept: dict[tuple[str, str], list[list[int]]] = {}
    for line in lines:
        kept.setdefault((line["service"], line["placement"]), []).extend(line["windows"])
    for (service, placement), found in sorted(kept.items()):
        for number, since in enumerate(("the service had written", "it began to write", "point 4")):
            values = [one[number] for one in found]
            if values:
                yield f"window until the escrow was durable, {service}, {placement}, since {since}: {spread(values)}"


def spread(values: Sequence[int]) -> str:
    """Microseconds in a few words."""
    ordered = sorted(values)
    middle, high = (ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 99))
    return f"p50 {middle} µs, p99 {high} µs, max {ordered[-1]} µs, {len(ordered)} answers"


def _dates(lines: Sequence[Line]) -> Iterator[str]:
    if lines:
        seeds = sorted({line["seed"] for line in lines})
        first, last = min(line["at"] for line in lines), max(line["at"] for line in lines)
        yield f"{len(lines)} trials from {first} to {last}, seeds {', '.join(map(str, seeds))}"


def is_good(lines: Iterable[Line]) -> bool:
    """Whether freshd did nothing that it must never do."""
    ours = [line for line in lines if line["who"] == "freshd"]
    names = {fate.name for fate in FORBIDDEN}
    return not any(line["fate"] in names or line["spent_uses"] or line.get("breaches", 0) for line in ours)
