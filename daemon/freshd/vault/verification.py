"""The whole vault proven: everything sealed is opened at its place, everything that rests elsewhere is looked at.

Rules
-----
* Changes nothing.  It works on a copy in memory, of one commit, in slices: neither the journal's threads nor the loop
  wait for it.
* One fault hides no other.  Each says what is wrong, of which account, and what helps; none holds a secret.
* An entry of the keyring that no longer fits the copy may have been followed by a newer one: the journal as it stands
  now is asked before that is a fault.
* Must not: repair, or tell the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from freshd.core.model import Change
from freshd.core.pace import Row as PaceRow
from freshd.errors import FreshdError, StoreError
from freshd.ports import Line
from freshd.vault import holds, names, records, reseal, schema, statedir, surroundings
from freshd.vault.anchor import Watch
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.holds import Holds
from freshd.vault.keys import Places
from freshd.vault.names import Names
from freshd.vault.records import Broken, IntentRow, Row
from freshd.vault.rest import Rest
from freshd.vault.seal import BadSeal, Seal
from freshd.vault.snapshot import Again, apart, with_keys
from freshd.vault.surroundings import Fault
from freshd.vault.trouble import name_of

SLICE: Final = 50
"""Records that are opened before others have their turn: a few milliseconds."""
RESTORE: Final = "bring the journal back from a backup: freshd vault restore FILE --replace"
COMPLAINTS: Final = 20
"""Of damage to the file; where there is so much, more say nothing new."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is proven.

    copy    makes the copy of the journal; blocks
    rest    None where no grant can rest in an OS keyring
    again   None where nobody can have written since
    """

    state_dir: Path
    copy: Callable[[], sqlite3.Connection]
    seal: Seal
    places: Places
    watch: Watch
    rest: Rest | None
    again: Again | None = None


@dataclass(slots=True)
class Verdict:
    """What was found.  `values`: sealed values opened; `entries`: grants found in the OS keyring; `held`: accounts."""

    records: int = 0
    values: int = 0
    entries: int = 0
    held: int = 0
    faults: list[Fault] = field(default_factory=list)


async def verified(scope: Scope) -> Verdict:
    """Prove all of it.  Raises StoreError where there is no journal that could be read at all."""
    verdict = Verdict()
    db, seal = await apart(lambda: with_keys(scope.copy, scope.seal))
    scope = replace(scope, seal=seal)
    with contextlib.closing(db):
        verdict.faults += await apart(lambda: list(_of_file(db, seal)))
        resting = await _records(scope, db, verdict)
        for look in (_attempts, _aside, _lines):
            verdict.faults += await apart(partial(_complaints, look, db, seal, verdict))
        told = _told(db, verdict)
    for row in resting:
        await _entry(scope, row, verdict)
    folder = surroundings.of_folder(scope.state_dir, has_records=verdict.records > 0)
    verdict.faults += await asyncio.to_thread(list, folder)
    if told is not None:
        commits, held, known = told
        verdict.held = len(held.accounts)
        known_to_the_dead = 0 if scope.again is not None else statedir.last_commit(scope.state_dir)
        if commits < known_to_the_dead:
            what = f"it ends at commit {commits}; a process that was killed had come to {known_to_the_dead}"
            verdict.faults.append(
                Fault("journal", what, f"bring the log back, {scope.state_dir}/journal.db-wal; or restore")
            )
        verdict.faults += [fault async for fault in surroundings.of_key(scope.places, known, scope.seal)]
        verdict.faults += [fault async for fault in surroundings.of_anchor(scope.watch, commits, held)]
    return verdict


def _told(db: sqlite3.Connection, verdict: Verdict) -> tuple[int, Holds, Names] | None:
    """How far the journal has come, what is held back, and its keys; None where it cannot be read."""
    try:
        ((commits,),) = db.execute("SELECT commits FROM tide")
        return commits, holds.read(db), names.read(db)
    except sqlite3.DatabaseError as error:
        verdict.faults.append(_unread(error))
    except (StoreError, ValueError):
        verdict.faults.append(Fault("journal", "what it says of itself cannot be read", RESTORE))
    return None


def _complaints(
    look: Callable[[sqlite3.Connection, Seal, Verdict], Iterator[Fault]],
    db: sqlite3.Connection, seal: Seal, verdict: Verdict,
) -> Sequence[Fault]:  # fmt: skip
    found = list[Fault]()
    try:
        found.extend(look(db, seal, verdict))
    except sqlite3.DatabaseError as error:
        found.append(_unread(error))
    return found


def _unread(error: sqlite3.Error) -> Fault:
    return Fault("journal", f"part of it cannot be read ({name_of(error)})", RESTORE)


def _of_file(db: sqlite3.Connection, seal: Seal) -> Iterator[Fault]:
    try:
        found = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({COMPLAINTS})")]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        found = [type(error).__name__]
    if found != ["ok"]:
        yield from (Fault("journal", f"the file is damaged: {one[:120]}", RESTORE) for one in found)
    marks = tuple(db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version"))
    if marks != (schema.APPLICATION_ID, schema.VERSION):
        yield Fault("journal", f"its marks are {marks[0]:#x} and {marks[1]}", RESTORE)
    check = db.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()
    if check is None or check[0] not in seal.checks:
        yield Fault("journal", "what proves its sealing key does not fit the key", RESTORE)


# -- records -----------------------------------------------------------------------------------------------------------


async def _records(scope: Scope, db: sqlite3.Connection, verdict: Verdict) -> Sequence[Row]:
    """Open every record; those whose grant rests in the keyring."""
    resting, after = list[Row](), ""
    while True:
        try:
            found = await apart(partial(_slice, db, after))
        except sqlite3.DatabaseError as error:
            verdict.faults.append(_unread(error))
            return resting
        if not found:
            return resting
        verdict.faults += await apart(
            lambda found=found: [fault for row in found for fault in _of_record(scope.seal, row, verdict)]  # type: ignore[misc]
        )
        resting += [row for row in found if row.rests_in_keyring]
        verdict.records, after = verdict.records + len(found), found[-1].account


def _slice(db: sqlite3.Connection, after: str) -> list[Row]:
    found = db.execute(
        f"SELECT {records.COLUMNS} FROM records WHERE account > ? ORDER BY account LIMIT ?",  # noqa: S608 - constants
        (after, SLICE),
    )
    return [Row(*one) for one in found]


def _of_record(seal: Seal, row: Row, verdict: Verdict) -> Iterator[Fault]:
    remedy = f"freshd enrol {row.account}; what cannot be read is kept in quarantine"
    try:
        about, grant, lease = records.about_of(seal, row), records.grant_of(seal, row), records.lease_of(seal, row)
    except (Broken, TypeError, AttributeError) as broken:  # the latter two: a column of another type
        what = str(broken) if isinstance(broken, Broken) else "a column holds what it cannot hold"
        yield Fault("record", what, remedy, row.account)
        return
    verdict.values += 1 + (grant is not None) + (lease is not None)
    if grant is not None:
        told = records.digest(seal, row.account, row.rid, row.grant_generation, to_bytes(grant))
        if told != row.grant_digest:
            yield Fault("record", "the grant is not the one that its digest names", remedy, row.account)
        if grant.lineage != about.lineage or not about.held <= grant.secrets.keys():
            yield Fault("record", "the grant is not the one that the record tells of", remedy, row.account)
    if max(row.grant_generation, row.lease_generation) > row.generation:
        yield Fault("record", "grant or lease is of a generation that the record has not come to", remedy, row.account)


async def _entry(scope: Scope, row: Row, verdict: Verdict) -> None:
    """Look for a grant in the keyring."""
    bring = f"unlock it, or bring its entries back; if they are lost: freshd enrol {row.account}"
    if scope.rest is None:
        what = "its grant rests in an OS keyring, and none is configured"
        verdict.faults.append(Fault("keyring", what, 'set [vault] placement = "keyring" again', row.account))
        return
    try:
        if await scope.rest.grant(row) is not None or await _went_on(scope, row):
            verdict.entries += 1
            return
    except FreshdError as error:
        verdict.faults.append(Fault("keyring", error.cause, error.remedy, row.account))
        return
    what = f"{scope.rest.shelf.name} shows no entry that fits the record"
    verdict.faults.append(Fault("keyring", what, bring, row.account))


async def _went_on(scope: Scope, row: Row) -> bool:
    """Whether the account has another grant by now, which is where it should be."""
    now = None if scope.again is None else await scope.again(row.account)
    if now is None or scope.rest is None:
        return scope.again is not None
    is_same = (now.rid, now.grant_generation, now.grant_digest) == (row.rid, row.grant_generation, row.grant_digest)
    return not now.rests_in_keyring or (not is_same and await scope.rest.grant(now) is not None)


# -- the rest ----------------------------------------------------------------------------------------------------------


def _attempts(db: sqlite3.Connection, seal: Seal, verdict: Verdict) -> Iterator[Fault]:
    """Intents, and answers in escrow."""
    for found in db.execute("SELECT account, flight, intent, escrow FROM intents"):
        row = IntentRow(*found)
        remedy = f"freshd explain {row.account}; what cannot be read is kept in quarantine"
        try:
            intent = records.intent_of(seal, row)
            reply = records.reply_of(seal, row)
        except (Broken, TypeError, AttributeError):
            yield Fault("attempt", "what an unfinished call has left does not open", remedy, row.account)
            continue
        verdict.values += 1 + (reply is not None)
        if (intent.account, intent.flight) != (row.account, row.flight):
            yield Fault("attempt", "an unfinished call is not the one that its row names", remedy, row.account)


def _aside(db: sqlite3.Connection, seal: Seal, verdict: Verdict) -> Iterator[Fault]:
    """Quarantine.  What was damaged when it was set aside is there to be kept, not to be opened."""
    for account, why, content in db.execute("SELECT account, why, content FROM quarantine ORDER BY id"):
        if records.DOES_NOT_OPEN in why:
            continue
        kept = reseal.apart(content)
        try:
            for column, place in reseal.places(account, kept):
                plain = seal.open(kept[column], *place)
                if column == "change":
                    from_bytes(Change, plain)
                verdict.values += 1
            is_sound = bool(kept)
        except (BadSeal, CodecError):
            is_sound = False
        if not is_sound:
            yield Fault("quarantine", "what was set aside does not open", f"freshd explain {account}", account)


def _lines(db: sqlite3.Connection, _seal: Seal, _verdict: Verdict) -> Iterator[Fault]:
    """History and pace, in the clear."""
    for table, column, kind in (("history", "account", Line), ("pace", "name", PaceRow)):
        bad = set[str]()
        for name, text in db.execute(f"SELECT {column}, line FROM {table}"):  # noqa: S608 - constants
            with contextlib.suppress(CodecError, AttributeError):
                from_bytes(kind, text.encode("utf-8", "surrogatepass"))
                continue
            bad.add(str(name))
        for name in sorted(bad):
            what = f"lines of {table} cannot be read: {name}"
            yield Fault(table, what, "nothing: freshd goes on without them", name if table == "history" else None)
