"""The tables as the folder shows them: a part of its README, and a page of every row.

Nobody copies a number by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.crash import tables
from tests.crash.fates import FORBIDDEN
from tests.crash.results import Line, Results

BEGIN: Final = "<!-- {}: written by scripts/crash --markdown -->"
END: Final = "<!-- end of {} -->"
README: Final = "README.md"
ROWS: Final = Path("results", "kills.md")


def write(folder: Path, campaign: Path, earlier: Path) -> int:
    """Put both in their places.  Raises ValueError where the README has no place for a part."""
    for path, text in pages(folder, campaign, earlier).items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(path.name)
    return 0


def pages(folder: Path, campaign: Path, earlier: Path) -> Mapping[Path, str]:
    """Both, as they must read."""
    new, old = Results(campaign).lines(), Results(earlier).lines()
    readme = (folder / README).read_text()
    beside = [line for line in old if line["series"].startswith("span")]
    for name, part in (("campaign", _summary(new)), ("peer", tables.by_series(beside))):
        readme = _replaced(readme, name, part)
    return {folder / README: readme, folder / ROWS: _rows({campaign.name: new, earlier.name: old})}


def _replaced(text: str, name: str, part: str) -> str:
    begin, end = BEGIN.format(name), END.format(name)
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"{README}: no place for the tables of {name}; put {begin} and {end} where they belong")
    return f"{before}{begin}\n{part}\n{end}{after}"


def _summary(lines: Sequence[Line]) -> str:
    if not lines:
        return "No campaign has been run yet."
    parts = [
        f"{_counted(lines)}\n{_zeros(lines)}",
        tables.by_service(lines),
        "The same by series:",
        tables.by_kind(lines),
        "Kills between an answer and its escrow, beside those predicted:",
        tables.struck(lines),
        "The windows of the exchanges that nobody killed, from the moment the service began to write:",
        tables.windows(lines),
    ]
    return "\n\n".join(parts)


def _counted(lines: Sequence[Line]) -> str:
    days = sorted({line["at"][:10] for line in lines})
    seeds = ", ".join(map(str, sorted({line["seed"] for line in lines})))
    commits = Counter(line["commit"] or "unknown" for line in lines)
    on = ", ".join(f"{commit} ({count})" for commit, count in commits.items())
    return f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, seed {seeds}, commit {on}: {len(lines)} kills."


def _zeros(lines: Sequence[Line]) -> str:
    heads = {fate: head for fate, head in tables.COLUMNS if fate in FORBIDDEN}
    bad = [f"{head} {sum(line['fate'] == fate.name for line in lines)}" for fate, head in heads.items()]
    used = {name: sum(line[key] for line in lines) for key, name in (("spent_uses", "spent uses"), ("breaches",) * 2)}
    told = ", ".join((*bad, *(f"{name} {count}" for name, count in used.items())))
    return f"{told[0].upper()}{told[1:]}."


def _rows(files: Mapping[str, Sequence[Line]]) -> str:
    text = ["# Every row", "Written by `scripts/crash --markdown`; the classes stand in the folder's README."]
    for name, lines in files.items():
        text += [f"## {name}", *tables.dates(lines), tables.by_series(lines)]
    return "\n\n".join(text) + "\n"
