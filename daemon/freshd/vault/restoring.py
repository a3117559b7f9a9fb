"""A backup restored: what is refused, which key it is sealed under, and what of it is held back.

Rules
-----
* The daemon is stopped: the state directory's lock is held from the first change to the last.
* Whatever can be refused is refused before anything is changed: another key, damage, a newer version, another vault's
  journal, one of this vault unless it is to be replaced, a custodian without a key that only a person can put there.
* Another vault that holds nothing (`vacancy`) gives way: a first start has made it where freshd was just installed.  It
  does not where its last commits are missing, for what they held cannot be told.
* The key is the one that the configured custodian holds; where it holds none and can be written to, one is made.  What
  the copy holds is sealed anew under it, in memory: on the disk nothing lies under another key.
* A journal that was there is set aside under a name with the time, never deleted; its key stays where it is.
* Killed anywhere, the old journal is in its place, or the restored one, whole; or there is none, and the daemon does
  not start.  Running it again finishes, or says that it is done.
* Everything that may have been spent since the copy was made is held back, account by account.  What the copy has in
  escrow is kept to be finished; attempts without an answer stay open.
* Must not: delete an entry of the custodian, or anything that it did not make.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from freshd.errors import NotPossible, StoreError, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault import backups, holds, keys, names, reseal, schema, statedir, still, succession, vacancy
from freshd.vault.anchor import machine_mark
from freshd.vault.ballast import Ballast
from freshd.vault.calls import Calls
from freshd.vault.copies import ANOTHER, Copy, Header
from freshd.vault.seal import KEY_BYTES, Seal, new_key
from freshd.vault.statedir import BALLAST_FILE, JOURNAL_FILE

PLAIN_FORMAT: Final = b"\x01\x01"
"""Bytes 18 and 19 of a database that keeps no log beside it."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where to restore to.  `trace` is told the name of each step once it is durable; tests may die there."""

    state_dir: Path
    custodian: Custodian
    wall: Callable[[], float]
    calls: Calls = field(default_factory=Calls)
    trace: Callable[[str], None] = lambda _step: None

    @property
    def journal(self) -> Path:
        """The journal's place."""
        return self.state_dir / JOURNAL_FILE


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done.

    aside  where the former journal lies now; None where there was none
    empty  the id of the vault that gave way, where that held nothing; else None
    held   accounts that wait for a decision
    """

    header: Header
    aside: Path | None
    empty: str | None
    made_key: bool
    held: frozenset[str]


async def restored(site: Site, copy: Copy, key: bytes, *, replace: bool) -> Restored:
    """Restore.  Raises a FreshdError with the remedy; nothing was changed then, or running it again finishes."""
    header = copy.header
    plain = copy.opened(key)
    _must_be_known(header)
    _may_take_the_place(site, header, replace=replace)
    places = keys.Places(site.custodian, lambda _name: None, site.calls, header.vault)
    found = await places.fetch(site.custodian, keys.KEY_ENTRY)
    sealing = _usable(found, site.custodian)
    statedir.prepare(site.state_dir)
    lock = statedir.Lock(site.state_dir)
    lock.take()
    try:
        empty = _may_take_the_place(site, header, replace=replace)  # once more: until now a daemon might have run
        if sealing is None:
            sealing = _usable(await places.put(site.custodian, keys.KEY_ENTRY, new_key()), site.custodian)
            site.trace("key")
        image, held = _sealed_anew(site, header, plain, sealing or b"")
        aside = succession.put(site.journal, image, site.wall(), partial(_traced, site, lock))
        lock.note(0)  # what the former journal had come to is no measure for this one
        lock.judge(is_known=True)
        Ballast(site.state_dir / BALLAST_FILE).holds(1)
        return Restored(header, aside, empty, found is None, held)
    finally:
        lock.release()


def _traced(site: Site, lock: statedir.Lock, step: str) -> None:
    """Once the new journal lies ready: what a process that died knew of its last commit fits the former one only.

    Whichever of the two is found after a kill, it is held back.
    """
    if step == "written" and lock.commits:
        lock.judge(is_known=False)
        lock.note(0)
    site.trace(step)


# -- what is refused ---------------------------------------------------------------------------------------------------


def _must_be_known(header: Header) -> None:
    if header.journal > schema.VERSION:
        raise VaultForeign(
            f"the copy's journal has version {header.journal}; this freshd knows versions up to {schema.VERSION}",
            "restore with the newer freshd that wrote it; nothing was changed",
        )


@dataclass(frozen=True, slots=True)
class _Former:
    """The journal that lies there.  `evidence`: what the holds in it were made for."""

    vault: str
    is_vacant: bool
    evidence: str


def _may_take_the_place(site: Site, header: Header, *, replace: bool) -> str | None:
    """The id of an empty vault that gives way, if one does.

    Raises VaultForeign, NotPossible or StoreError where the journal that lies there must stay.
    """
    path = site.journal
    if not path.exists() or not path.stat().st_size:
        return None
    _must_be_ours(path)
    try:
        there = _former(path)
    except (StoreError, VaultForeign) as damage:
        if replace:
            return None
        raise StoreError(
            f"a journal lies there that cannot be read: {damage.cause}", "add --replace to set it aside"
        ) from None
    if there.vault == header.vault:
        if not replace:
            raise _same(path, there, header)
        return None
    if there.is_vacant:
        return there.vault
    raise VaultForeign(
        f"this is a backup of another vault ({header.vault[:8]}); in {site.state_dir} lies {there.vault[:8]}",
        "name the right file, or restore with another configuration, whose state_dir is empty",
    )


def _same(path: Path, there: _Former, header: Header) -> NotPossible:
    if there.evidence == holds.RESTORED + header.check:
        return NotPossible(
            f"{path} is there already, restored from this very backup",
            "start freshd: nothing is left to do; or add --replace, and it is set aside",
        )
    return NotPossible(f"{path} is there already, of the same vault", "add --replace, and it is set aside")


def _former(path: Path) -> _Former:
    """What lies there.  Raises StoreError or VaultForeign."""
    with contextlib.closing(still.copied(path)) as db:
        try:
            vault = str(db.execute("SELECT value FROM meta WHERE name = 'vault'").fetchone()[0])
        except (sqlite3.DatabaseError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({type(error).__name__})", "freshd doctor") from None
        with contextlib.suppress(sqlite3.DatabaseError):
            is_vacant = _has_come_to(db, statedir.last_commit(path.parent)) and vacancy.is_vacant(db)
            return _Former(vault, is_vacant, holds.read(db).evidence)
        return _Former(vault, is_vacant=False, evidence="")


def _has_come_to(db: sqlite3.Connection, commit: int) -> bool:
    """Whether it has every commit that a process which died knew of."""
    found = db.execute("SELECT 1 FROM tide WHERE typeof(commits) = 'integer' AND commits >= ?", (commit,))
    return found.fetchone() is not None


def _must_be_ours(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(100)
    application, version = int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big")
    is_begun = head.startswith(b"SQLite format 3\0") and len(head) == 100 and (application, version) != (0, 0)
    if is_begun and (application != schema.APPLICATION_ID or version > schema.VERSION):
        what = "the database of another program" if application != schema.APPLICATION_ID else "of a newer version"
        raise VaultForeign(f"{path} is {what}", "give freshd a state directory of its own; nothing was changed")


def _usable(text: str | None, custodian: Custodian) -> bytes | None:
    """The sealing key that is there; None where one can be made.  Raises VaultForeign or VaultLocked."""
    if text is not None:
        return keys.given_key(text, custodian)
    if custodian.writable:
        return None
    raise VaultLocked(
        f"{custodian.name} holds no sealing key, and freshd cannot write one there",
        "make one, NAME being [vault] credential: head -c 32 /dev/urandom | systemd-creds encrypt --name=NAME - "
        "/etc/credstore.encrypted/NAME; then restore where the unit sees it: systemd-run --pty -p User=freshd "
        "-p LoadCredentialEncrypted=NAME -p StateDirectory=freshd freshd vault restore FILE",
    )


# -- the new journal ---------------------------------------------------------------------------------------------------


def _sealed_anew(site: Site, header: Header, plain: bytes, sealing: bytes) -> tuple[bytes, frozenset[str]]:
    """The journal to be written, and the accounts that are held back in it.  Raises StoreError."""
    seal = Seal(plain[:KEY_BYTES], header.vault)
    image = bytearray(plain[KEY_BYTES:])
    image[18:20] = PLAIN_FORMAT
    try:
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.deserialize(bytes(image))
            if [row[0] for row in db.execute("PRAGMA integrity_check(1)")] != ["ok"]:
                raise StoreError("the journal in the copy is damaged", ANOTHER)
            db.execute("BEGIN")
            _turn(db, seal, sealing, site.custodian)
            holds.hold(db, f"restored from a backup of {_utc(header.at)}", holds.RESTORED + header.check)
            holds.settle_here(db, machine_mark(header.vault))
            backups.write(db, header.at, header.commits)
            db.execute("COMMIT")
            return db.serialize(), holds.read(db).accounts
    except sqlite3.Error as error:
        raise StoreError(f"the journal in the copy cannot be read ({type(error).__name__})", ANOTHER) from None


def _turn(db: sqlite3.Connection, seal: Seal, sealing: bytes, custodian: Custodian) -> None:
    """Seal everything under the key of this place."""
    known = names.read(db)
    if known.digests is not None:
        seal.digest_with(known.digests)
    key = seal.take(sealing)
    seal.turn(key.id)
    for table in reseal.TABLES:
        reseal.turn(db, seal, table, reseal.first(table), -1)
    names.write(db, names.Names(id=key.name, custodian=custodian.name, digests=seal.digests(key.id)))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('check', ?)", (key.check,))


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
