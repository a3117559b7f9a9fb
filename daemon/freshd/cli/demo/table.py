"""What is seen: a live table on a terminal, plain lines elsewhere.

Rules
-----
* Whatever is told is told once, in order; the live table is drawn below it and never kept.
* Closing table and footer are the same in both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from freshd.cli.demo.score import AccountScore

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

Row = tuple[str, ...]
LIVE_HEAD: Final = (
    "account", "contract", "state", "token ends in", "next renewal in", "renewed", "healed", "readers see",
)  # fmt: skip
CLOSING_HEAD: Final = (
    "account", "renewed", "healed", "reads", "late", "spent", "replays", "gap", "down", "healing", "in a sentence",
)  # fmt: skip
DRAWS_PER_SECOND: Final = 4


class View(Protocol):
    """Where the demo speaks."""

    def say(self, line: str = "") -> None:
        """A line as it is."""

    def tell(self, line: str, at: float | None = None) -> None:
        """A line of the running story; `at`: its wall-clock second, by default now."""

    def draw(self, rows: Sequence[Row]) -> None:
        """How the accounts stand now."""

    def close(self, head: Row, rows: Sequence[Row]) -> None:
        """The closing table."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """Plain lines."""

    def __init__(self, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._write = write
        self._began = time.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, line: str = "") -> None:
        self._write(line + "\n")
        sys.stdout.flush()

    def tell(self, line: str, at: float | None = None) -> None:
        self.say(f"{_since(self._began, at):5.1f} s  {line}")

    def draw(self, rows: Sequence[Row]) -> None:
        """Nothing: lines are not redrawn."""

    def close(self, head: Row, rows: Sequence[Row]) -> None:
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        for row in (head, *rows):
            cells = [
                cell.ljust(width) if column in (0, len(head) - 1) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.say("  ".join(cells).rstrip())


class Screen:
    """A terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(highlight=False)
        self._live: Live | None = None
        self._began = time.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def say(self, line: str = "") -> None:
        self._console.print(line, markup=False)

    def tell(self, line: str, at: float | None = None) -> None:
        from rich.text import Text

        style = "bold yellow" if line.startswith(("FAULT", "SABOTAGE")) else "bold red" if "PARKED" in line else ""
        self._console.print(Text(f"{_since(self._began, at):5.1f} s  {line}", style=style))

    def draw(self, rows: Sequence[Row]) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=DRAWS_PER_SECOND, transient=True)
            self._live.start()
        self._live.update(_table(LIVE_HEAD, rows))

    def close(self, head: Row, rows: Sequence[Row]) -> None:
        self._end_live()
        self._console.print(_table(head, rows))

    def _end_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def _since(began: float, at: float | None) -> float:
    return (time.time() if at is None else at) - began


def _table(head: Row, rows: Sequence[Row]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=box.SIMPLE, pad_edge=False)
    for row in rows:
        style = "red" if {"parked", "nothing", "refused"} & set(row) else ""
        table.add_row(*(Text(cell, style=style) for cell in row))
    return table


def closing_row(score: AccountScore, sentence: str) -> Row:
    """One account's line of the closing table."""
    late = "-" if score.late_p99_s is None else f"{score.late_p99_s:.3f}"
    gap = f"{score.gap_s:.2f}" + "*" * score.expected_parked
    counts = (score.refreshes, score.heals, score.reads)
    uses = (score.spent_uses, score.doubtful_replays)
    return (
        score.name, *map(str, counts), late, *map(str, uses), gap, f"{score.down_s:.2f}", f"{score.healing_s:.2f}",
        sentence,
    )  # fmt: skip
