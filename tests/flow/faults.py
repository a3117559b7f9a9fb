"""One row for every fault of the disk and of files, brought about on a real daemon while it renews.

Run it: `python -m tests.flow.faults`, as root; it prints the table and writes it to `results/faults.md`.

Rules
-----
* The daemon's state directory lies on a file system of six mebibytes of its own.  System calls are made to fail by
  strace, attached to the running daemon, for the journal and its log only.
* One daemon lives through all rows, so what heals without a restart is seen to; rows that end with a restart kill it
  with SIGKILL first.
* After each fault the account refreshes once more at a strict service: had it lost the newest token, or presented a
  spent one, that would fail for good.
* "asked": calls at the service while an answer could not have been kept.  "lost": answers of the service that the
  journal lacks.  "spent": spent tokens presented, whatever the reason.
* "served": 20 reads while the fault lasts all got the lease in hand.
* Nothing is judged here: what is expected stands in the tests.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.flow.fault_plot import lived
from tests.flow.fault_stage import Row

RESULTS: Final = Path(__file__).with_name("results") / "faults.md"
HEAD: Final = ("fault", "alerts", "cause", "remedy", "healed", "cleared", "served", "asked", "lost", "spent")


def cells(row: Row, folder: str) -> tuple[str, ...]:
    """A row in words."""
    state = f"{folder}/stage/disk/state"
    cause, remedy = (
        text.replace(state, "STATE").replace(f"{folder}/stage/disk", "DISK") for text in (row.cause, row.remedy)
    )
    served = "-" if row.served is None else _yes(is_so=row.served)
    counts = (str(row.asked), str(row.lost), str(row.spent))
    alerts = ", ".join(row.alerts) or "-"
    return row.name, alerts, cause or "-", remedy or "-", row.healed, _yes(is_so=row.cleared), served, *counts


def _yes(*, is_so: bool) -> str:
    return "yes" if is_so else "NO"


def table(rows: Mapping[str, Row], folder: Path) -> str:
    """Rows as Markdown."""
    lines = [_line(HEAD), _line("---" for _ in HEAD)]
    lines += [_line(cell.replace("|", "/") for cell in cells(row, str(folder))) for row in rows.values()]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Live through everything and write it down."""
    with tempfile.TemporaryDirectory() as name:
        rows = table(lived(Path(name)), Path(name))
    rules = (__doc__ or "").partition("-----")[2].strip()
    sys.stdout.write(rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        f"# Faults of the disk and of files\n\nMade by `python -m tests.flow.faults`.\n\n{rules}\n\n{rows}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
