"""What is written beside exchanges: pauses, forgetting, and where grants come to rest.

Each function is one request of the writer, as those of `journal`: it may run twice and comes to the same end.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from freshd.vault import records, rows
from freshd.vault.records import About, Row
from freshd.vault.seal import Seal


def pause(db: sqlite3.Connection, account: str, *, paused: bool) -> None:
    """Remember an operator's pause; it stands beside the record, for an account may have none yet."""
    db.execute("DELETE FROM meta WHERE name = ?", (f"paused:{account}",))
    if paused:
        db.execute("INSERT INTO meta VALUES (?, 'yes')", (f"paused:{account}",))


def paused(db: sqlite3.Connection) -> set[str]:
    """The accounts that an operator paused."""
    found = db.execute("SELECT substr(name, 8) FROM meta WHERE name LIKE 'paused:%'")
    return {account for (account,) in found}


def forget(db: sqlite3.Connection, account: str, *, shelf: bool) -> str | None:
    """Erase the account here; the record id whose keyring entries are still to be erased, if any (I7).

    `shelf`: there is a keyring at hand, so entries of an earlier placement are looked for too.
    """
    row = rows.find(db, account)
    pause(db, account, paused=False)
    for table in ("records", "intents", "ended", "history", "quarantine", "known"):
        db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - constants
    if row is None or not (shelf or row.rests_in_keyring):
        return None
    db.execute("INSERT OR REPLACE INTO erasing VALUES (?, ?)", (account, row.rid))
    return row.rid


def settled(db: sqlite3.Connection, row: Row) -> bool:
    """The keyring's entry was read back: let go of the journal's copy, unless a newer one has come."""
    done = db.execute(
        "UPDATE records SET grant_blob = NULL"
        " WHERE account = ? AND rid = ? AND grant_generation = ? AND grant_digest = ?",
        (row.account, row.rid, row.grant_generation, row.grant_digest),
    )
    return done.rowcount == 1


def adopt(db: sqlite3.Connection, seal: Seal, row: Row, about: About, generation: int, digest: str) -> Row:
    """The keyring holds a later grant than the journal, which must be an old copy: the later one wins."""
    present = rows.find(db, row.account)
    if present is None or (present.rid, present.generation) != (row.rid, row.generation):
        raise rows.stale(row.account, row.generation, 0 if present is None else present.generation)
    new = replace(row, grant_generation=generation, grant_digest=digest, grant_blob=None)
    new = records.with_about(seal, new, about, max(generation, row.generation))
    rows.write(db, new)
    return new


def erased(db: sqlite3.Connection, account: str, rid: str) -> None:
    """The keyring's entries of a forgotten record are gone."""
    db.execute("DELETE FROM erasing WHERE account = ? AND rid = ?", (account, rid))


def erasing(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Forgotten records whose keyring entries are not erased yet: account and record id."""
    return [(account, rid) for account, rid in db.execute("SELECT account, rid FROM erasing")]
