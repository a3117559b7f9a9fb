"""A vault that nobody has open, read as it lies: for `verify` and `backup` without a daemon.

Rules
-----
* The state directory's lock is held meanwhile, without a word in its file.
* Nothing is written, made or moved there: SQLite reads a copy in memory.  A log that a kill has left is read beside a
  copy of the journal, in a folder of our own.
* Must not: make a key.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from freshd.errors import AlreadyRunning, NotPossible, StoreError, VaultForeign
from freshd.vault import backups, keys, names, schema, snapshot, statedir, wal
from freshd.vault.anchor import CustodianGround, FileGround, Ground, Watch
from freshd.vault.calls import Calls
from freshd.vault.opening import Setup
from freshd.vault.rest import Rest
from freshd.vault.seal import Seal
from freshd.vault.settle import Shelf
from freshd.vault.snapshot import Source
from freshd.vault.statedir import JOURNAL_FILE, words_of
from freshd.vault.trouble import store_error
from freshd.vault.verification import Scope


@dataclass(frozen=True, slots=True)
class Still:
    """What there is of a vault at rest.  `behind`: how many commits of a process that died it lacks."""

    journal: Path
    seal: Seal
    places: keys.Places
    watch: Watch
    rest: Rest | None
    behind: int = 0

    @property
    def source(self) -> Source:
        """For a backup.  Raises StoreError where the last commits are missing: noting it would make up for them."""
        if self.behind > 0:
            raise StoreError(
                f"{self.journal} lacks the last {self.behind} commits of a freshd that did not stop in good order",
                f"bring {self.journal.name}-wal back; or start freshd, which says how to go on without it",
            )
        return Source(lambda: copied(self.journal), self.seal, self.rest)

    @property
    def scope(self) -> Scope:
        """For an examination."""
        return Scope(self.journal.parent, lambda: copied(self.journal), self.seal, self.places, self.watch, self.rest)

    def note(self, at: float, commits: int) -> None:
        """Write down that there is a backup: the one thing that a copy changes.  Raises StoreError; blocks."""
        try:
            schema.prepare(self.journal)
            with contextlib.closing(schema.connect(self.journal)) as db:
                db.execute("BEGIN IMMEDIATE")
                backups.write(db, at, commits)
                db.execute("UPDATE tide SET commits = commits + 1")
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise store_error(error, self.journal) from None


@contextlib.asynccontextmanager
async def at_rest(setup: Setup) -> AsyncIterator[Still]:
    """The vault, while its lock is held.  Raises AlreadyRunning, NotPossible, VaultLocked and other FreshdErrors."""
    journal = setup.state_dir / JOURNAL_FILE
    if not journal.exists():
        raise NotPossible(f"there is no journal in {setup.state_dir}", "freshd vault init makes one")
    owner = setup.state_dir.stat().st_uid
    if owner != os.geteuid():
        raise StoreError(
            f"the vault in {setup.state_dir} belongs to user id {owner}, not to {os.geteuid()}",
            f"be that user (sudo -u '#{owner}' freshd …), or ask the running daemon",
        )
    with _locked(setup.state_dir):
        with contextlib.closing(copied(journal)) as db:
            meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
            known, commits = names.read(db), _commits(db)
        check = meta.get("check")
        if check is None:
            raise NotPossible("nothing was ever sealed in this vault", "freshd vault init finishes it")
        calls = Calls(setup.deadline)
        places = keys.Places(setup.custodian, setup.recall, calls, meta["vault"])
        seal, keeper = await keys.unlock(places, known, check)
        shelf = places.named(known.shelf) if known.shelf else keeper
        rest = Rest(shelf, calls, seal, places.vault) if isinstance(shelf, Shelf) else None
        ground: Ground | None = None if setup.anchor is None else FileGround(setup.anchor)
        if ground is None and isinstance(keeper, Shelf):
            ground = CustodianGround(keeper, places.vault)
        behind = statedir.last_commit(setup.state_dir) - commits
        yield Still(journal, seal, places, Watch(ground, calls, places.vault), rest, behind)


def _commits(db: sqlite3.Connection) -> int:
    """How far it has come; where that has rotted, nobody can tell what it lacks."""
    with contextlib.suppress(sqlite3.DatabaseError, ValueError):
        ((commits,),) = db.execute("SELECT commits FROM tide")
        return int(commits)
    return statedir.UNKNOWN


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield  # nobody ever held it
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {words_of(error)}", f"ls -la {folder}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AlreadyRunning(
            f"a running freshd owns {folder}, and does not answer on the socket looked at",
            "name its socket with --socket, or stop it first",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def copied(journal: Path) -> sqlite3.Connection:
    """The journal in memory; the caller closes it.  Blocks; raises StoreError or VaultForeign."""
    log = journal.with_name(f"{journal.name}-wal")
    try:
        has_log = log.exists() and log.stat().st_size > 0
        if has_log and (broken := wal.hides(log)) is not None:
            raise StoreError(
                f"{log} is damaged: frame {broken} does not fit, and committed transactions lie behind it",
                "keep it; then: freshd vault restore FILE --replace",
            )
        db = _with_log(journal, log) if has_log else _alone(journal)
    except OSError as error:
        raise StoreError(f"{journal} cannot be read: {words_of(error)}", "be the daemon's user, or root") from None
    except sqlite3.Error as error:
        raise store_error(error, journal) from None
    try:
        _must_be_ours(db, journal)
    except (StoreError, VaultForeign):
        db.close()
        raise
    return db


def _alone(journal: Path) -> sqlite3.Connection:
    """Without a log: SQLite is told that nobody changes it, so that it makes no file beside it."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    address = f"file:{quote(str(journal))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as lying:
        lying.backup(db)
    return db


def _with_log(journal: Path, log: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="freshd-") as folder:
        for one in (journal, log):
            shutil.copyfile(one, Path(folder) / one.name)
        return snapshot.copied(Path(folder) / journal.name)


def _must_be_ours(db: sqlite3.Connection, journal: Path) -> None:
    application, version = (db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version"))
    if application != schema.APPLICATION_ID or version > schema.VERSION:
        what = "the database of another program" if application != schema.APPLICATION_ID else "of a newer version"
        raise VaultForeign(f"{journal} is {what}", "use the freshd that wrote it; nothing was changed")
