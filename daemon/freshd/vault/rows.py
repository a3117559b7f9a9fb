"""The rows of records and intents as SQL knows them: found by account, written whole."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple
from typing import Final

from freshd.errors import Stale
from freshd.vault import records
from freshd.vault.records import IntentRow, Row

_READ: Final = f"SELECT {records.COLUMNS} FROM records WHERE account = ?"  # noqa: S608 - a constant
_WRITE: Final = f"INSERT OR REPLACE INTO records ({records.COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"  # noqa: S608


def find(db: sqlite3.Connection, account: str) -> Row | None:
    """The account's row as it stands."""
    found = db.execute(_READ, (account,)).fetchone()
    return None if found is None else Row(*found)


def intent(db: sqlite3.Connection, account: str) -> IntentRow | None:
    """The account's intent, with its escrow."""
    found = db.execute("SELECT account, flight, intent, escrow FROM intents WHERE account = ?", (account,)).fetchone()
    return None if found is None else IntentRow(*found)


def write(db: sqlite3.Connection, row: Row) -> None:
    """Put a row in the place of the one it succeeds."""
    db.execute(_WRITE, astuple(row))


def stale(account: str, expected: int, found: int) -> Stale:
    """What a writer is told that started from an older row."""
    return Stale(
        f"the record of {account} is at generation {found}, not {expected} any more", "nothing: it is read again"
    )
