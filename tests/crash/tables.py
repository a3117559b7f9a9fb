"""What the lines of results say, counted: for the terminal, and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from tests.crash import share
from tests.crash.fates import Fate
from tests.crash.results import Line
from tests.crash.share import Share

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
Key = tuple[str, ...]
Row = list[str]


def plain(lines: Sequence[Line]) -> str:
    """All lines counted, a row for each series."""
    heads = ["who, service, placement, series", "kills", *(head for _, head in COLUMNS), "lost", *COUNTED.values()]
    rows = [heads]
    for key, found in _grouped(lines, _series).items():
        kills, *counts = _counts(found)
        lost = sum(not line["lives"] for line in found)
        rows.append([", ".join(key), kills, *counts[: len(COLUMNS)], str(lost), *counts[len(COLUMNS) :]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    text = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([*text, "", LEGEND, "", *_struck(lines), *_windows(lines), *dates(lines)])


def by_series(lines: Sequence[Line]) -> str:
    """A row for each service, placement and series."""
    rows = [[", ".join(_who(key)), *_counts(found)] for key, found in _grouped(lines, _series).items()]
    return _markdown(["server, placement, series", *_heads()], rows)


def by_service(lines: Sequence[Line]) -> str:
    """A row for each service and placement, all series in one."""
    rows = [[*key, *_counts(found)] for key, found in _grouped(lines, lambda line: _series(line)[1:3]).items()]
    return _markdown(["service", "placement", *_heads()], [*rows, ["**all**", "", *_counts(lines)]])


def by_kind(lines: Sequence[Line]) -> str:
    """A row for each series, the shares of `random` apart, all services in one."""
    grouped = _grouped(lines, lambda line: (line["series"], line["mark"] or line["kind"]))
    rows = [[*key, *_counts(found)] for key, found in grouped.items()]
    return _markdown(["series", "mark or share", *_heads()], rows)


def struck(lines: Sequence[Line]) -> str:
    """Kills that fell between an answer and its escrow, beside those that had to."""
    found = {kind: share.shares(lines, kind) for kind in share.KINDS}
    cells = list(dict.fromkeys(cell for shares in found.values() for cell in shares if cell[1]))
    rows = [[*cell, *(text for kind in share.KINDS for text in _cells(found[kind].get(cell)))] for cell in cells]
    total = [text for kind in share.KINDS for text in _cells(found[kind].get(("all", "")))]
    names = ("kills", "lost", "written", "predicted, both (95 %)")
    heads = [f"{kind}: {name}" for kind in share.KINDS for name in names]
    return _markdown(["service", "placement", *heads], [*rows, ["**all**", "", *total]])


def windows(lines: Sequence[Line]) -> str:
    """How long the windows of the exchanges were that nobody killed."""
    grouped = _grouped([line for line in lines if line.get("rehearsed_us")], lambda line: _series(line)[1:3])
    rows = []
    for key, found in grouped.items():
        spans = sorted(ended - began for line in found for began, ended in line["rehearsed_us"]["windows"])
        if spans:
            rows.append([*key, str(len(spans)), *(f"{at(spans, part) / 1000:.2f}" for part in (50, 90, 99))])
    return _markdown(["service", "placement", "windows", "p50, ms", "p90", "p99"], rows)


def dates(lines: Sequence[Line]) -> Iterator[str]:
    """When, with which seeds and on which commits the lines were made."""
    if lines:
        seeds = ", ".join(map(str, sorted({line["seed"] for line in lines})))
        first, last = min(line["at"] for line in lines), max(line["at"] for line in lines)
        commits = Counter(line.get("commit") or "not noted" for line in lines)
        on = ", ".join(f"{name} ({count})" for name, count in commits.items())
        yield f"{len(lines)} trials from {first} to {last}, seeds {seeds}, commits: {on}"


def spread(values: Sequence[int]) -> str:
    """Microseconds in a few words."""
    ordered = sorted(values)
    return f"p50 {at(ordered, 50)} µs, p99 {at(ordered, 99)} µs, max {ordered[-1]} µs, {len(ordered)} answers"


def at(ordered: Sequence[int], part: int) -> int:
    """The value that `part` of 100 do not exceed."""
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)]


def _series(line: Line) -> Key:
    return line["who"], line["service"], line["placement"], line["series"]


def _who(key: Key) -> Key:
    return key[1:] if key[0] == "freshd" else (f"**{key[0]}**", *key[1:])


def _grouped(lines: Iterable[Line], key: Callable[[Line], Key]) -> dict[Key, list[Line]]:
    groups: dict[Key, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return dict(sorted(groups.items()))


def _heads() -> Row:
    return ["kills", *(head for _, head in COLUMNS), *COUNTED.values()]


def _counts(lines: Sequence[Line]) -> Row:
    fates = Counter(line["fate"] for line in lines)
    sums = [sum(line.get(name, 0) for line in lines) for name in COUNTED]
    return list(map(str, [len(lines), *(fates[fate.name] for fate, _ in COLUMNS), *sums]))


def _cells(found: Share | None) -> Row:
    if found is None:
        return ["", "", "", ""]
    predicted = f"{found.expected:.1f} ({found.low} to {found.high})"
    return [str(found.kills), str(found.struck), str(found.written), predicted]


def _struck(lines: Sequence[Line]) -> Iterator[str]:
    for kind in share.KINDS:
        for found in list(share.shares(lines, kind).values())[-1:]:
            kills, lost, written, predicted = _cells(found)
            fell = f"{lost} before the escrow was written, {written} while it was synced"
            yield f"{kind}: of {kills} kills after an answer {fell}; predicted in all {predicted}"


def _windows(lines: Iterable[Line]) -> Iterator[str]:
    passages = [line["rehearsed_us"]["windows"] for line in lines if line.get("rehearsed_us")]
    spans = [round(ended - began) for windows in passages for began, ended in windows]
    if spans:
        yield f"window from answer to durable escrow, where nobody was killed: {spread(spans)}"


def _markdown(heads: Row, rows: Iterable[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))
