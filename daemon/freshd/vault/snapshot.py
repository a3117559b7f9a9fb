"""A snapshot: the journal as it stood at one commit, with every grant in it, under a key of its own.

Rules
-----
* The copy is taken in one go, and worked on in memory: nobody waits for it, and no disk has to have room for it.
* Grants that rest in the OS keyring are fetched into it.  One that cannot be had stops it, unless it was named to be
  left out.  An account that has gone on too far meanwhile means another copy: all of it is of one commit.
* A rotation may overtake it: what names a key that was let go of meanwhile opens all the same.
* What is in it is sealed with a key that was drawn for it, and that key lies before it.  The vault's own sealing key
  leaves its custodian for nothing.
* What does not open stays as it is: a damaged record is no reason to have no copy of the others.
* Must not: write to the journal, or decide where the copy goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from freshd.core.model import Grant
from freshd.errors import KeyringUnavailable, StoreError
from freshd.vault import names, records, reseal, rows, schema
from freshd.vault.reader import Reader
from freshd.vault.records import Broken, Row
from freshd.vault.rest import Rest
from freshd.vault.seal import KEY_BYTES, Seal
from freshd.vault.trouble import store_error

T = TypeVar("T")

ROUNDS: Final = 4
Again = Callable[[str], Awaitable[Row | None]]
Life = tuple[str, str, int]
"""A grant by account, record id and generation."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a snapshot is taken from.

    copy   makes the copy of the journal; blocks
    rest   None where no grant can rest in an OS keyring
    again  the row of an account as it stands now; None where nobody can write meanwhile
    """

    copy: Callable[[], sqlite3.Connection]
    seal: Seal
    rest: Rest | None
    again: Again | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy.  `plain`: its key, then its journal; `without`: accounts whose grant was left out."""

    vault: str
    commits: int
    version: int
    accounts: int
    without: tuple[str, ...]
    plain: bytes

    def __repr__(self) -> str:
        return f"Snapshot({self.vault[:8]}, {self.commits})"


async def taken(source: Source, without: frozenset[str] = frozenset()) -> Snapshot:
    """Take one.  Raises KeyringUnavailable naming the account whose grant cannot be had, or StoreError."""
    found: dict[Life, Grant] = {}
    for _ in range(ROUNDS):
        copy, seal = await apart(lambda: with_keys(source.copy, source.seal))
        with contextlib.closing(copy):
            if await _fetched(source, copy, found, without):
                return await apart(partial(_made_whole, copy, seal, found))
    raise StoreError("accounts were renewed faster than their grants could be read from the keyring", "try again")


def with_keys(copy: Callable[[], sqlite3.Connection], seal: Seal) -> tuple[sqlite3.Connection, Seal]:
    """A copy, and a seal with every key that is named in it, though one is let go of meanwhile.  Blocks."""
    before = seal.frozen()
    made, after = copy(), seal.frozen()
    after.learn(before)
    return made, after


async def apart(work: Callable[[], T]) -> T:
    """What that work comes to on a thread of its own.

    Whoever is cancelled goes on when the thread is through: a connection that is closed under it ends the process.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def copied(path: Path) -> sqlite3.Connection:
    """The journal at one commit, in memory; the caller closes it.  Blocks; raises StoreError."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with contextlib.closing(schema.connect_reading(path)) as journal:
            journal.backup(copy)
            copy.text_factory = journal.text_factory
    except sqlite3.Error as error:
        copy.close()
        raise store_error(error, path) from None
    return copy


# -- grants that rest elsewhere ----------------------------------------------------------------------------------------


async def _fetched(source: Source, copy: sqlite3.Connection, found: dict[Life, Grant], without: frozenset[str]) -> bool:
    """Whether all that rests in the keyring is found now; False where the copy is too old for that."""
    for row in await apart(lambda: list(_resting(copy))):
        if row.account in without or _life(row) in found:
            continue
        grant = await _resting_grant(source, row)
        if grant is None:
            if source.again is not None and _is_outrun(row, await source.again(row.account)):
                return False
            raise _missing(
                row.account, "the keyring shows no valid entry for it", "unlock it, or bring its entries back"
            )
        found[_life(row)] = grant
    return True


def again_in(reader: Reader) -> Again:
    """How the journal as it stands now is asked for a row."""
    return lambda account: reader.ask(lambda db: rows.find(db, account))


def _is_outrun(row: Row, now: Row | None) -> bool:
    return now is None or not now.rests_in_keyring or (_life(now), now.grant_digest) != (_life(row), row.grant_digest)


async def _resting_grant(source: Source, row: Row) -> Grant | None:
    if source.rest is None:
        raise _missing(row.account, "it rests in an OS keyring, and none is configured", "configure that keyring again")
    try:
        return await source.rest.grant(row)
    except KeyringUnavailable as error:
        raise _missing(row.account, error.cause, error.remedy) from None


def _missing(account: str, why: str, remedy: str) -> KeyringUnavailable:
    return KeyringUnavailable(
        f"the grant of {account} cannot be had for the copy: {why}",
        f"{remedy}; or leave it out of the copy: --without {account}",
    )


def _resting(db: sqlite3.Connection) -> Iterator[Row]:
    found = db.execute(
        f"SELECT {records.COLUMNS} FROM records WHERE grant_digest IS NOT NULL AND grant_blob IS NULL"  # noqa: S608
        " ORDER BY account"
    )
    return (Row(*one) for one in found)


def _life(row: Row) -> Life:
    return row.account, row.rid, row.grant_generation


# -- making it whole ---------------------------------------------------------------------------------------------------


def _made_whole(copy: sqlite3.Connection, seal: Seal, found: dict[Life, Grant]) -> Snapshot:
    key = os.urandom(KEY_BYTES)
    own = seal.beside(key)
    copy.execute("BEGIN")
    without = [row.account for row in list(_resting(copy)) if not _took_in(copy, own, row, found.get(_life(row)))]
    for table in reseal.TABLES:
        reseal.turn(copy, own, table, reseal.first(table), -1)
    names.write(copy, names.Names(id=own.key_id.hex(), digests=own.digests(own.key_id)))
    copy.execute("INSERT OR REPLACE INTO meta VALUES ('check', ?)", (own.check,))
    copy.execute("COMMIT")
    ((vault,),) = copy.execute("SELECT value FROM meta WHERE name = 'vault'")
    ((commits,),) = copy.execute("SELECT commits FROM tide")
    ((accounts,),) = copy.execute("SELECT count(*) FROM records")
    ((version,),) = copy.execute("PRAGMA user_version")
    return Snapshot(vault, commits, version, accounts, tuple(without), key + copy.serialize())


def _took_in(copy: sqlite3.Connection, seal: Seal, row: Row, grant: Grant | None) -> bool:
    """Put a fetched grant into its row; where there is none the row says that nothing is held any more."""
    if grant is not None:
        rows.write(copy, records.with_grant(seal, row, grant, row.grant_generation))
        return True
    with contextlib.suppress(Broken):
        about = replace(records.about_of(seal, row), held=frozenset())
        row = records.with_about(seal, row, about, row.generation)
    rows.write(copy, replace(row, grant_digest=None))
    return False
