"""Whether a journal holds nothing: what a first start leaves where nobody has enrolled anything yet.

Rules
-----
* Nothing means no row in any table but `meta` and `tide`, and in `meta` only what a vault says of itself.  A pause, a
  hold, a pace, a line of history or an attempt is somebody's, and so is whatever is not known here.
* A journal that is damaged anywhere, or lacks a table, is not empty: nobody can tell what was in it.
* Must not: look at the files around it, or decide what becomes of it (`restoring`).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from freshd.vault import backups, holds, names

OWN_TABLES: Final = frozenset({"meta", "tide"})
"""What they hold is about the vault as a whole."""
DATA_TABLES: Final = frozenset({"records", "intents", "ended", "pace", "history", "quarantine", "erasing"})
"""What a journal of every version has; other tables must be empty as well where they are."""
OWN_ROWS: Final = frozenset(
    {"vault", "check", names.NAMES, holds.MACHINE, holds.BRANCH, holds.EVIDENCE, backups.BACKUP}
)
"""In `meta`.  Evidence and branch are written where an anchor of another vault was found, though nothing is held."""


def is_vacant(db: sqlite3.Connection) -> bool:
    """Whether it holds nothing.  Raises sqlite3.DatabaseError where it cannot be read."""
    if [row[0] for row in db.execute("PRAGMA integrity_check(1)")] != ["ok"]:
        return False
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables >= OWN_TABLES | DATA_TABLES:
        return False
    said = {name for (name,) in db.execute("SELECT name FROM meta")}
    return said <= OWN_ROWS and not any(_has_rows(db, name) for name in tables - OWN_TABLES)


def _has_rows(db: sqlite3.Connection, table: str) -> bool:
    quoted = table.replace('"', '""')
    return db.execute(f'SELECT 1 FROM "{quoted}" LIMIT 1').fetchone() is not None  # noqa: S608 - quoted
