"""One row for every way in which the services are known to go wrong, lived through from end to end.

Run it: `python -m tests.flow.scenarios [TITLE …]`; it prints the tables and writes them to `results/scenarios.md`.

Rules
-----
* A row is what was seen: at the service (calls, spent secrets, text messages), by the daemon's own word (rung, reason,
  remedy), and by readers on the socket that try what they are given at the service.
* A gap is time in which a reader had no lease that the service took.  Where a person is needed it is counted up to the
  alert only: it goes on until that person comes.  Readers of processes try a lease they hold every 0.6 s, virtual ones
  every 5 s (Futu), 20 s (GeniusAuth), 60 s (CloudBase) or 120 s (Feishu, AUN), so a gap may have begun that much
  earlier, and a shorter one may not be seen.
* A channel's gap is time in which the gateway had no session of it; where a channel holds a login, that one tries the
  lease, and "reconnect" heals where the lease in hand was good.
* On virtual time the calls are those of all the hours that the scenario lasts, by kind.
* "processes": daemon, service and readers are processes and sockets, with lives of seconds.  "virtual": the same
  engine and providers against the same stand-in, on virtual time, where waits of minutes and days are the point.
* Nothing is judged here: what is expected stands in the tests.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).with_name("results") / "scenarios.md"
HEAD: Final = (
    "scenario",
    "lived in",
    "healed by",
    "calls at the service",
    "gap, s",
    "reason",
    "remedy",
    "spent",
    "SMS",
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one scenario.

    lived    "processes" or "virtual"
    healed   the rung that brought the next good lease; empty where a person must come first
    calls    what the service was asked for from the disturbance on until it was healed or told, and how it ended
    gaps     reader → seconds
    misses   reader → reads without a good lease; only where real processes lived
    reason   why a person is needed, in the daemon's own words
    spent    spent secrets that were presented by a client that had their successor
    sms      text messages sent; None: the service sends none
    told     names of the account's events since the disturbance
    parks    codes under which accounts were parked
    detail   what the daemon says beside the reason
    live     refresh tokens of the account's newest grant that work in the end; None: not of that kind
    """

    name: str
    lived: str
    healed: str
    calls: tuple[str, ...]
    gaps: Mapping[str, float]
    reason: str | None
    remedy: str | None
    spent: int
    sms: int | None = None
    told: tuple[str, ...] = ()
    parks: tuple[str, ...] = ()
    detail: str = ""
    live: int | None = None
    misses: Mapping[str, int] = field(default_factory=dict)

    @property
    def missed(self) -> int:
        """The most reads that one of its readers made in vain."""
        return max(self.misses.values(), default=0)

    @property
    def gap(self) -> float:
        """The longest of its readers' gaps."""
        return max(self.gaps.values(), default=0.0)

    def cells(self) -> tuple[str, ...]:
        gaps = ", ".join(f"{who} {gap:.1f}" if len(self.gaps) > 1 else f"{gap:.1f}" for who, gap in self.gaps.items())
        sms = "-" if self.sms is None else str(self.sms)
        reason = "-" if self.reason is None else f"{self.reason}: {self.detail}" if self.detail else self.reason
        healed, remedy = self.healed or "not healed", self.remedy or "-"
        calls = sorted(self.calls) if self.lived == "virtual" else self.calls
        return self.name, self.lived, healed, counted(calls), gaps or "-", reason, remedy, str(self.spent), sms


Rows = Mapping[str, Row]


def counted(calls: Iterable[str]) -> str:
    """The calls in their order, repetitions counted."""
    told: list[tuple[str, int]] = []
    for call in calls:
        if told and told[-1][0] == call:
            told[-1] = call, told[-1][1] + 1
        else:
            told.append((call, 1))
    return ", ".join(call if count == 1 else f"{call} x{count}" for call, count in told) or "none"


def table(title: str, rows: Rows) -> str:
    """Rows as Markdown."""
    lines = [f"## {title}", "", _line(HEAD), _line("---" for _ in HEAD)]
    lines += [_line(cell.replace("|", "/") for cell in row.cells()) for row in rows.values()]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plays() -> Mapping[str, Callable[[Path], Rows]]:
    from tests.flow import (
        aun_alone,
        aun_days,
        aun_plot,
        aun_sessions,
        cloudbase_days,
        cloudbase_plot,
        feishu_days,
        feishu_plot,
        futu_nights,
        futu_plot,
        geniusauth_days,
        geniusauth_plot,
    )

    return {
        "Feishu": feishu_plot.lived,
        "Feishu, days": lambda _folder: feishu_days.lived(),
        "Futu": futu_plot.lived,
        "Futu, hours": lambda _folder: futu_nights.lived(),
        "GeniusAuth": geniusauth_plot.lived,
        "GeniusAuth, days": lambda _folder: geniusauth_days.lived(),
        "CloudBase": cloudbase_plot.lived,
        "CloudBase, months": lambda _folder: cloudbase_days.lived(),
        "AUN": aun_plot.lived,
        "AUN, logins that are held": aun_sessions.lived,
        "AUN, a whole gateway": aun_alone.lived,
        "AUN, weeks": lambda _folder: aun_days.lived(),
    }


BESIDE: Final = "AUN, the vendor's client beside it"


def chapters(text: str) -> dict[str, str]:
    """The tables of a file that was written before, by title."""
    parts = (f"## {part}" for part in text.split("\n## ")[1:])
    return {part.partition("\n")[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}


def main(wanted: Sequence[str] = ()) -> int:
    """Live through everything, or what has such a title or one that begins so, and write it down.

    What is not lived through again stays in the file.
    """
    from tests.flow import aun_reference

    known = chapters(RESULTS.read_text()) if RESULTS.exists() else {}
    lived: dict[str, Row] = {}
    for title, play in _plays().items():
        if not wanted or title.startswith(tuple(wanted)):
            with tempfile.TemporaryDirectory() as folder:
                rows = play(Path(folder))
            lived |= rows
            known[title] = table(title, rows)
            sys.stdout.write(known[title] + "\n")
            sys.stdout.flush()
    if lived.keys() >= aun_reference.ROWS:
        known[BESIDE] = aun_reference.table(BESIDE, aun_reference.lived(), lived)
    head = (
        f"# Scenarios\n\nMade by `python -m tests.flow.scenarios`.\n\n{(__doc__ or '').partition('-----')[2].strip()}\n"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join([head, *(known[title] for title in (*_plays(), BESIDE) if title in known)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
