"""What is set aside and never thrown away (I3): attempts and grants that were displaced, answers withheld, rows that do
not open.

Everything goes in as it was, sealed; `ledger` bounds how many copies are kept for each reason.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple
from typing import Final

from freshd.core.model import Change
from freshd.vault import ledger, records
from freshd.vault.codec import to_bytes
from freshd.vault.entries import Found
from freshd.vault.records import Broken, IntentRow, Row
from freshd.vault.seal import Seal

FIRST_REFUSAL: Final = 300
"""Statuses from here on are no success."""
_NAMES: Final = tuple(name.strip() for name in records.COLUMNS.split(","))


def keep_withheld(db: sqlite3.Connection, seal: Seal, change: Change, wall: float) -> None:
    """Keep an answer that must not be used: sealed, with why."""
    sealed = seal.seal(to_bytes(change), "withheld", change.account)
    ledger.set_aside(db, change.account, f"withheld: {change.withheld}", records.as_kept({"change": sealed}), wall)


def keep_broken(
    db: sqlite3.Connection, account: str, rows: tuple[Row | None, IntentRow | None], why: str, wall: float
) -> None:
    """Keep a copy of a record and an intent that do not open."""
    row, intent = rows
    kept: dict[str, object] = {} if row is None else dict(zip(_NAMES, astuple(row), strict=True))
    if intent is not None:
        kept |= {"intent_flight": intent.flight, "intent": intent.intent, "escrow": intent.escrow}
    ledger.set_aside(db, account, why, records.as_kept(kept), wall)


def keep_attempt(db: sqlite3.Connection, seal: Seal, old: IntentRow, why: str, wall: float) -> None:
    """Keep what an attempt has left; one without escrow or material left nothing that is not in its successor."""
    if old.escrow is None and not _has_material(seal, old):
        return
    kept = {"intent_flight": old.flight, "intent": old.intent, "escrow": old.escrow}
    ledger.set_aside(db, old.account, why + _status_of(seal, old), records.as_kept(kept), wall)


def keep_grant(db: sqlite3.Connection, seal: Seal, account: str, rid: str, displaced: Found, wall: float) -> None:
    """Keep a grant that another one takes the place of, once; `rid`: of the life of the account that it belongs to."""
    if knows_grant(db, account, displaced.digest):
        return
    generation = displaced.generation
    blob = seal.seal(to_bytes(displaced.grant), "grant", account, rid, generation)
    kept = {"rid": rid, "grant_generation": generation, "grant_digest": displaced.digest, "grant_blob": blob}
    ledger.set_aside(db, account, "displaced: of another copy of the journal", records.as_kept(kept), wall)


def knows_grant(db: sqlite3.Connection, account: str, digest: str) -> bool:
    """Whether the grant of that digest was displaced and is kept."""
    query = "SELECT 1 FROM quarantine WHERE account = ? AND instr(content, ?) > 0"
    return db.execute(query, (account, f'"grant_digest":"{digest}"')).fetchone() is not None


def _status_of(seal: Seal, old: IntentRow) -> str:
    """The status of a whole reply that was no success, as part of a reason; empty for what may hold a grant."""
    try:
        reply = records.reply_of(seal, old)
    except Broken:
        return ""
    is_refusal = reply is not None and reply.complete and reply.status >= FIRST_REFUSAL
    return f": status {reply.status}" if reply is not None and is_refusal else ""


def _has_material(seal: Seal, old: IntentRow) -> bool:
    try:
        return bool(records.intent_of(seal, old).material)
    except Broken:
        return True
