"""A look at a vault from outside, for `freshd doctor` and `freshd vault status`: numbers, no secrets, no change.

Rules
-----
* Opens the journal for reading only, beside a running daemon or without one; takes no lock that a writer waits for.
* `proves` asks a custodian for the sealing key as the daemon would, and says only whether it is the right one.
* Must not: make a key, a file or a table.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from freshd.errors import StoreError
from freshd.ports import Custodian, Line
from freshd.vault import holds, keys, ledger, schema
from freshd.vault.anchor import Anchor, CustodianGround, FileGround, Ground, parsed
from freshd.vault.backups import Backup, last_in
from freshd.vault.calls import Calls
from freshd.vault.names import Names, named_in
from freshd.vault.seal import Seal, parse_key
from freshd.vault.settle import Shelf
from freshd.vault.statedir import BALLAST_FILE, JOURNAL_FILE

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Glance:
    """A journal in numbers.

    vault       the journal's own id
    check       proves the sealing key; None while nothing was ever sealed
    high_water  the highest wall-clock second it ever saw
    sealed      records whose grant lies sealed in the journal; in_keyring: in the OS keyring alone
    open_calls  calls that may have spent something and have no end yet; `escrowed` of them with their answer
    quarantine  answers and records that were set aside
    keys        what the journal says of its sealing keys
    unsettled   accounts whose grant has still to come to rest in the OS keyring
    held        accounts held back, and `why`: the journal is or was an old copy; None where none is
    backup      the last one that was written whole
    """

    vault: str
    check: str | None
    commits: int
    high_water: float
    records: int
    sealed: int
    in_keyring: int
    open_calls: int
    escrowed: int
    quarantine: int
    bytes: int
    ballast: int
    keys: Names
    unsettled: tuple[str, ...]
    held: tuple[str, ...]
    why: str | None
    backup: Backup | None


@dataclass(frozen=True, slots=True)
class Past:
    """What can be told of one account without the sealing key.

    is_known    whether the journal has a record of it
    high_water  the highest wall-clock second the journal ever saw
    """

    is_known: bool
    lines: Sequence[Line]
    high_water: float


def glance(state_dir: Path) -> Glance | None:
    """The journal in a state directory, None where there is none.  Raises StoreError where it cannot be read."""
    return _looked(state_dir, lambda db, size: _read(db, size, state_dir / BALLAST_FILE))


def past(state_dir: Path, account: str) -> Past | None:
    """What the journal tells of an account in the clear; None where there is no journal.  Raises StoreError."""

    def look(db: sqlite3.Connection, _size: int) -> Past:
        found = db.execute("SELECT 1 FROM records WHERE account = ?", (account,)).fetchone()
        (high_water,) = db.execute("SELECT high_water FROM tide").fetchone()
        return Past(found is not None, ledger.history(db, account), high_water)

    return _looked(state_dir, look)


def _looked(state_dir: Path, look: Callable[[sqlite3.Connection, int], T]) -> T | None:
    path = state_dir / JOURNAL_FILE
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be looked at: {error.strerror}", "be the daemon's user, or root") from None
    try:
        with contextlib.closing(_connect(path)) as db:
            return look(db, size)
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        raise StoreError(
            f"{path} cannot be read ({name})", f"be the daemon's user, or root; ls -la {state_dir}"
        ) from None


async def proves(custodian: Custodian, seen: Glance) -> bool | None:
    """Whether the custodian holds the vault's key: None where it holds none.  Raises FreshdError."""
    service = keys.service_of(seen.vault)
    calls, proven = Calls(), None
    for entry in keys.entries_for(custodian, ""):
        text = await calls.run(service, partial(custodian.get, service, entry))
        key = None if text is None else parse_key(text)
        if key is not None and seen.check in (None, Seal(key, seen.vault).check):
            return True
        proven = proven if text is None else False
    return proven


async def anchored(custodian: Custodian, file: Path | None, vault: str) -> Anchor | None:
    """The anchor as it lies; None where there is none.  Raises KeyringUnavailable or StoreError."""
    ground: Ground | None = None if file is None else FileGround(file)
    if ground is None and isinstance(custodian, Shelf):
        ground = CustodianGround(custodian, vault)
    text = None if ground is None else await Calls().run("anchor", ground.get)
    return None if text is None else parsed(text)


def _connect(path: Path) -> sqlite3.Connection:
    """Without a -wal file nobody has it open, and it is read as it lies: SQLite could make no -shm file for us."""
    if Path(f"{path}-wal").exists():
        return schema.connect_reading(path)
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def _read(db: sqlite3.Connection, size: int, ballast: Path) -> Glance:
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    commits, high_water = db.execute("SELECT commits, high_water FROM tide").fetchone()
    records, sealed, granted = db.execute(
        "SELECT count(*), count(grant_blob), count(coalesce(grant_blob, grant_digest)) FROM records"
    ).fetchone()
    calls, escrowed = db.execute("SELECT count(*), count(escrow) FROM intents").fetchone()
    (quarantine,) = db.execute("SELECT count(*) FROM quarantine").fetchone()
    known, holding = named_in(meta), holds.read(db)
    settling = "SELECT account FROM records WHERE grant_blob IS NOT NULL ORDER BY account"
    return Glance(
        vault=meta["vault"], check=meta.get("check"), commits=commits, high_water=high_water, records=records,
        sealed=sealed, in_keyring=granted - sealed, open_calls=calls, escrowed=escrowed, quarantine=quarantine,
        bytes=size, ballast=ballast.stat().st_size if ballast.exists() else 0, keys=known,
        unsettled=tuple(account for (account,) in db.execute(settling)) if known.shelf else (),
        held=tuple(sorted(holding.accounts)), why=holding.why, backup=last_in(meta),
    )  # fmt: skip
