"""The journal's file: its tables, its marks, and how a connection to it is opened.

Rules
-----
* The file is made by us with mode 0600 before SQLite sees it; SQLite gives -wal and -shm the same mode.
* `application_id` says that it is ours, `user_version` which tables it has.  A newer one is refused untouched; an older
  one gets the tables it lacks, once it was found whole.
* In the clear stand account names, generations, pace and history; everything else is sealed before SQL sees it.
* Must not: know what a column means (`journal`), or hold a transaction across a call (`writer`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import quote

from freshd.errors import StoreError, VaultForeign
from freshd.vault import wal
from freshd.vault.statedir import look_at, must_be_plain, sync_folder, words_of
from freshd.vault.trouble import name_of

APPLICATION_ID: Final = 0x66726864
"""ASCII "frhd"."""
VERSION: Final = 2
BUSY_MS: Final = 5_000
"""How long a writer waits for somebody who copies or inspects the file."""

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tide (
    one INTEGER PRIMARY KEY CHECK (one = 1), commits INTEGER NOT NULL, high_water REAL NOT NULL
);
INSERT INTO tide VALUES (1, 0, 0.0);
CREATE TABLE records (
    account TEXT PRIMARY KEY,
    rid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    about BLOB NOT NULL,
    grant_generation INTEGER NOT NULL,
    grant_digest TEXT,
    grant_blob BLOB,
    lease_generation INTEGER NOT NULL,
    lease_blob BLOB
);
CREATE TABLE intents (
    account TEXT PRIMARY KEY, flight TEXT NOT NULL, intent BLOB NOT NULL, escrow BLOB
);
CREATE TABLE ended (account TEXT PRIMARY KEY, flight TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pace (name TEXT PRIMARY KEY, line TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
    account TEXT NOT NULL, seq INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (account, seq)
) WITHOUT ROWID;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, why TEXT NOT NULL, at REAL NOT NULL, content TEXT NOT NULL
);
CREATE INDEX quarantine_account ON quarantine (account, id);
CREATE TABLE erasing (account TEXT NOT NULL, rid TEXT NOT NULL, PRIMARY KEY (account, rid)) WITHOUT ROWID;
"""
_SINCE_2: Final = """
CREATE TABLE known (
    account TEXT NOT NULL, fingerprint TEXT NOT NULL, seq INTEGER NOT NULL, is_first INTEGER NOT NULL,
    PRIMARY KEY (account, fingerprint)
) WITHOUT ROWID;
CREATE INDEX known_seq ON known (account, is_first, seq);
"""
"""What each version has beyond the one before; a journal of an older version is brought up when it is opened."""


def make_file(path: Path) -> None:
    """Create the journal's file where it is missing, empty, ours alone; refuse one that others may touch.

    What lies beside it under SQLite's names must be ours as well: a -wal that root has left cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {words_of(error)}", look_at(path.parent)) from None
    try:
        must_be_plain(path, os.fstat(descriptor))
    finally:
        os.close(descriptor)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            must_be_plain(beside, os.lstat(beside))


def connect(path: Path) -> sqlite3.Connection:
    """The writer's connection.  Transactions are begun and ended by hand; a file that is missing is never made."""
    connection = _connected(path, "rw")
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "fullfsync = ON",
        "checkpoint_fullfsync = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        "cell_size_check = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """A second connection that sees only what is committed and cannot write."""
    connection = _connected(path, "ro")
    connection.execute("PRAGMA query_only = ON").fetchall()
    return connection


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path))}?mode={mode}"
    connection = sqlite3.connect(
        address, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text
    return connection


def _text(content: bytes) -> str:
    """Text that has rotted is still a value: its record does not open then, and the others do."""
    return content.decode("utf-8", "backslashreplace")


def prepare(path: Path) -> None:
    """Make the tables of a new journal, or make sure that an old one is ours, of our version, and whole.

    Raises VaultForeign or StoreError; changes nothing then.
    """
    _refuse_other_files(path)
    _refuse_damaged_log(path)
    try:
        with contextlib.closing(connect(path)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                _create(connection)
                sync_folder(path.parent)
            marks = (connection.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version"))
            application, version = marks
            _refuse_other_marks(path, application, version)  # once more: the newest may stand in the -wal only
            check(connection, path)
            if version < VERSION:
                _bring_up(connection)
            _must_have_all(connection, path)
    except UnicodeDecodeError:  # SQLite quotes what it does not understand
        raise _damaged(path, "its tables cannot be read") from None
    except sqlite3.Error as error:
        name = name_of(error)
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise _damaged(path, name) from None
        remedy = f"make room there, and let freshd's user write; look at: df -h {path.parent}; ls -la {path.parent}"
        raise StoreError(f"{path} cannot be opened ({name})", remedy) from None


def _must_have_all(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreError where a table is not there, or not as it was made."""
    names = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_TABLES + _SINCE_2)
        wanted = set(model.execute(names).fetchall())
    lacking = sorted(name for name, _ in wanted - set(connection.execute(names).fetchall()))
    if lacking:
        raise _damaged(path, f"the table {lacking[0]} is not as it should be")
    [*tides] = connection.execute("SELECT commits, high_water FROM tide")
    if [tuple(map(type, row)) for row in tides] != [(int, float)]:
        raise _damaged(path, "its count of commits cannot be read")


def _refuse_damaged_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    try:
        broken = wal.hides(log)
    except OSError as error:
        raise StoreError(f"{log} cannot be read: {words_of(error)}", look_at(path.parent)) from None
    if broken is not None:
        raise _damaged(log, f"frame {broken} does not fit, and committed transactions lie behind it", path)


def _refuse_other_files(path: Path) -> None:
    """Reads the header by hand: opening an SQLite file of a newer version for writing might already change it."""
    head = path.read_bytes()[:100] if path.stat().st_size < 100 else _first_bytes(path)
    if not head.strip(b"\0"):  # made, and its first page was lost with the power: SQLite's own journal empties it
        return
    application, version = int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big")
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise StoreError(
            f"{path} is no journal of freshd's, or damaged: it does not begin like one",
            f"keep it: mv {path} {path}.kept; then put a sound copy there, or start with none and enrol anew",
        )
    if (application, version) == (0, 0) and not _holds_tables(path):
        return  # made, but its first transaction was not committed
    _refuse_other_marks(path, application, version)


def _refuse_other_marks(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise VaultForeign(f"{path} is the database of another program", "give freshd a state directory of its own")
    if version > VERSION:
        raise VaultForeign(
            f"{path} has version {version}; this freshd knows versions up to {VERSION}",
            "start the newer freshd that wrote it; this one leaves it as it is",
        )


def _holds_tables(path: Path) -> bool:
    """Whether something stands in the file itself; looked at without touching it or anything beside it."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False  # whoever opens it next will say what is wrong


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _create(connection: sqlite3.Connection) -> None:
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    vault = f"INSERT INTO meta VALUES ('vault', '{uuid.uuid4().hex}');"  # noqa: S608 - our own digits
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_SINCE_2} {vault} {marks} COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _bring_up(connection: sqlite3.Connection) -> None:
    """From version 1.  One transaction: a journal is of the one version or of the other."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {_SINCE_2} PRAGMA user_version = {VERSION}; COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Walk the whole file for structural damage.  Raises StoreError."""
    try:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        found = [name_of(error)]
    except UnicodeDecodeError:
        found = ["its tables cannot be read"]
    if found != ["ok"]:
        raise _damaged(path, found[0][:80])


def _damaged(path: Path, how: str, journal: Path | None = None) -> StoreError:
    kept = journal or path
    return StoreError(
        f"{path} is damaged ({how})",
        f"keep it: mv {kept}* {kept.parent}/lock to another folder; then put a sound copy there, or start with none "
        "and enrol anew",
    )
