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
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from freshd.errors import StoreError
from freshd.ports import Custodian, Line
from freshd.vault import keys, ledger, schema
from freshd.vault.calls import Calls
from freshd.vault.opening import BALLAST_FILE, JOURNAL_FILE
from freshd.vault.seal import Seal, parse_key

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
    text = await Calls().run(service, lambda: custodian.get(service, keys.KEY_ENTRY))
    if text is None:
        return None
    key = parse_key(text)
    return key is not None and seen.check in (None, Seal(key, seen.vault).check)


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
    return Glance(
        vault=meta["vault"], check=meta.get("check"), commits=commits, high_water=high_water, records=records,
        sealed=sealed, in_keyring=granted - sealed, open_calls=calls, escrowed=escrowed, quarantine=quarantine,
        bytes=size, ballast=ballast.stat().st_size if ballast.exists() else 0,
    )  # fmt: skip
