"""The journal's lists without secrets: pace, history, and what was set aside.

Rules
-----
* Pace rows are whole values, so that writing them twice is as good as once (I6).
* History is bounded per account, quarantine per account and reason; the oldest goes first, the newest never.  So an
  outage's error pages cannot push out the broken answer before them that may hold the grant (I3).
* What is in quarantine was sealed before it came here, or is a damaged row as it was found.
* Each function runs inside a transaction that somebody else began; none ends one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from typing import Final

from freshd.core.pace import Row
from freshd.ports import Line
from freshd.vault.codec import CodecError, from_bytes, to_bytes

HISTORY_LINES: Final = 64
"""Kept per account: about two days of hourly refreshes, or one bad afternoon."""
QUARANTINE_COPIES: Final = 8
"""Kept per account and reason: eight displaced replies are eight accidents that nobody looked at."""


def charge(db: sqlite3.Connection, rows: Mapping[str, Row]) -> None:
    """Write lines of the pace ledger."""
    db.executemany(
        "INSERT OR REPLACE INTO pace VALUES (?, ?)",
        [(name, to_bytes(row).decode("ascii")) for name, row in rows.items()],
    )


def paces(db: sqlite3.Connection) -> dict[str, Row]:
    """The pace ledger.  A line that cannot be read is passed over: a daemon that does not start renews nothing."""
    found = {}
    for name, text in db.execute("SELECT name, line FROM pace"):
        try:
            found[name] = from_bytes(Row, text.encode())
        except CodecError:
            continue
    return found


def tell(db: sqlite3.Connection, account: str, line: Line) -> None:
    """Add a line of history."""
    (last,) = db.execute("SELECT max(seq) FROM history WHERE account = ?", (account,)).fetchone()
    seq = (last or 0) + 1
    db.execute("INSERT INTO history VALUES (?, ?, ?)", (account, seq, to_bytes(line).decode("ascii")))
    db.execute("DELETE FROM history WHERE account = ? AND seq <= ?", (account, seq - HISTORY_LINES))


def history(db: sqlite3.Connection, account: str) -> tuple[Line, ...]:
    """The account's lines, oldest first.  One that cannot be read is passed over."""
    found = []
    for (text,) in db.execute("SELECT line FROM history WHERE account = ? ORDER BY seq", (account,)):
        with contextlib.suppress(CodecError):
            found.append(from_bytes(Line, text.encode()))
    return tuple(found)


def set_aside(db: sqlite3.Connection, account: str, why: str, content: str, wall: float) -> None:
    """Keep a copy, unless the very same is kept already.  `why`: one of few texts, for each has its own room."""
    if db.execute("SELECT 1 FROM quarantine WHERE account = ? AND content = ?", (account, content)).fetchone():
        return
    db.execute("INSERT INTO quarantine (account, why, at, content) VALUES (?, ?, ?, ?)", (account, why, wall, content))
    db.execute(
        "DELETE FROM quarantine WHERE account = ? AND why = ? AND id NOT IN"
        " (SELECT id FROM quarantine WHERE account = ? AND why = ? ORDER BY id DESC LIMIT ?)",
        (account, why, account, why, QUARANTINE_COPIES),
    )
