"""What is written beside exchanges: pauses, forgetting, and where grants come to rest.

Each function is one request of the writer, as those of `journal`: it may run twice and comes to the same end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

from freshd.core.model import Grant
from freshd.vault import fingerprints, holds, records, rows
from freshd.vault.entries import Found
from freshd.vault.records import About, Broken, Row
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
    holds.forget(db, account)
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


def adopt(db: sqlite3.Connection, seal: Seal, row: Row, later: Sequence[Found]) -> Row:
    """The keyring holds later grants than the journal, which must be an old copy: the latest wins, all are known."""
    present = rows.find(db, row.account)
    if present is None or (present.rid, present.generation) != (row.rid, row.generation):
        raise rows.stale(row.account, row.generation, 0 if present is None else present.generation)
    lineage = records.about_of(seal, present).lineage
    for one in sorted(later, key=attrgetter("generation")):
        fingerprints.remember(db, seal, row.account, one.grant, is_first=one.grant.lineage != lineage)
        lineage = one.grant.lineage
    best = max(later, key=attrgetter("generation"))
    new = replace(present, grant_generation=best.generation, grant_digest=best.digest, grant_blob=None)
    new = records.with_about(seal, new, About.of(best.grant), max(best.generation, present.generation))
    rows.write(db, new)
    return new


def erased(db: sqlite3.Connection, account: str, rid: str) -> None:
    """The keyring's entries of a forgotten record are gone."""
    db.execute("DELETE FROM erasing WHERE account = ? AND rid = ?", (account, rid))


def erasing(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Forgotten records whose keyring entries are not erased yet: account and record id."""
    return [(account, rid) for account, rid in db.execute("SELECT account, rid FROM erasing")]


# -- from one resting place to another ---------------------------------------------------------------------------------


def resting(db: sqlite3.Connection) -> list[str]:
    """The accounts whose grant rests in the OS keyring alone."""
    found = db.execute("SELECT account FROM records WHERE grant_digest IS NOT NULL AND grant_blob IS NULL")
    return [account for (account,) in found]


def held(db: sqlite3.Connection) -> list[str]:
    """The accounts whose grant the journal holds."""
    return [account for (account,) in db.execute("SELECT account FROM records WHERE grant_blob IS NOT NULL")]


def call_home(db: sqlite3.Connection) -> None:
    """From now on grants rest in the journal: what the keyring holds is to be erased, once the journal has it."""
    db.execute("INSERT OR IGNORE INTO erasing SELECT account, rid FROM records WHERE grant_digest IS NOT NULL")


def keep_entries(db: sqlite3.Connection) -> None:
    """From now on grants rest in the keyring: entries of records that are alive are not erased any more."""
    db.execute("DELETE FROM erasing WHERE EXISTS (SELECT 1 FROM records WHERE records.rid = erasing.rid)")


def is_called_home(db: sqlite3.Connection, row: Row) -> bool:
    """Whether the entries of this record are to be erased: then nothing is to be written there."""
    found = db.execute("SELECT 1 FROM erasing WHERE account = ? AND rid = ?", (row.account, row.rid))
    return found.fetchone() is not None


def come_home(db: sqlite3.Connection, seal: Seal, row: Row, grant: Grant) -> bool:
    """The journal holds the grant that was fetched for `row`; False where the record is another one by now."""
    present = rows.find(db, row.account)
    same = ("rid", "grant_generation", "grant_digest", "grant_blob")
    if present is None or any(getattr(present, name) != getattr(row, name) for name in same):
        return False
    kept = records.without(grant, records.about_of(seal, present).held)
    rows.write(db, records.with_grant(seal, present, kept, present.grant_generation))
    return True


def may_erase(db: sqlite3.Connection, seal: Seal, account: str, rid: str) -> bool:
    """Whether the keyring's entries of that record may go: it is forgotten, or the journal holds a grant that opens.

    Not while the account is held back: what is there may be later than the journal.
    """
    row = rows.find(db, account)
    if row is None or row.rid != rid:
        return True
    try:
        is_meant = is_called_home(db, row) and not holds.is_held(db, account)
        return is_meant and records.grant_of(seal, row) is not None
    except Broken:
        return False
