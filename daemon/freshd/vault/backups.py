"""When the vault was last backed up, as its journal knows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freshd.vault.codec import CodecError, from_bytes, to_bytes

BACKUP: Final = "backup"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was written whole.  `at`: wall-clock second; `commits`: how far the journal had come."""

    at: float
    commits: int


def write(db: sqlite3.Connection, at: float, commits: int) -> None:
    """Note it; as a request of the writer it may run twice."""
    text = to_bytes(Backup(at, commits)).decode("ascii")
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (BACKUP, text))


def last_in(meta: Mapping[str, str]) -> Backup | None:
    """The last one; None where there was none, or the note cannot be read."""
    try:
        return from_bytes(Backup, meta[BACKUP].encode()) if BACKUP in meta else None
    except CodecError:
        return None
