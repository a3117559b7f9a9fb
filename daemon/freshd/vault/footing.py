"""What the journal stands on while it is open: the files by their names, and the lock.

SQLite does not look whether the files it has open are still those that the next start will find.  A journal that was
deleted or replaced would be written on for months, and be gone with the process.

Rules
-----
* Looked at before every transaction: journal and log are the files that were opened, and the lock is ours.
* A file that was deleted is written anew from what is still open.  One that was moved is to be moved back, and in the
  place of another nothing is written: both are a person's business, and until then nothing counts as durable.
* Where only the lock is lost to another freshd, what ends a flight is still written: the journal is the same.
* `epoch` grows with every file that was put back; whoever reads opens anew then.
* Used by the writer's thread; the reading one looks at `epoch` only.
* Must not: overwrite or delete what it did not make.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from freshd.errors import FreshdError, StoreError
from freshd.vault.shared_memory import SharedMemory
from freshd.vault.statedir import look_at, sync_file, sync_folder, words_of

FDS: Final = Path("/proc/self/fd")
O_PATH: Final = getattr(os, "O_PATH", None)
"""Linux only.  Unlike any other descriptor it may be closed without letting go of the locks that SQLite has there."""
Identity = tuple[int, int]


class Holding(Protocol):
    """What is needed of the lock."""

    commits: int

    def keep(self) -> None:
        """Make sure that the lock's name is still the file that is held; take it again.  Raises FreshdError."""

    def note(self, commits: int) -> None:
        """The journal is at that commit; 0: nothing that is not in its file."""


class Misplaced(StoreError):
    """The journal's files, or its lock, are not in their place any more; `allows_vital`: the files still are."""

    def __init__(self, cause: str, remedy: str, *, allows_vital: bool = False) -> None:
        super().__init__(cause, remedy)
        self.allows_vital = allows_vital


@dataclass(frozen=True, slots=True)
class Held:
    """An open file: its name, what it is, and a descriptor that only looks (None where the system has none such)."""

    path: Path
    identity: Identity
    descriptor: int | None

    def is_deleted(self) -> bool:
        """Whether it has no name any more; False where that cannot be told."""
        return self.descriptor is not None and os.fstat(self.descriptor).st_nlink == 0

    def whereabouts(self) -> Path | None:
        """Its present name, where the system tells it."""
        try:
            return None if self.descriptor is None else (FDS / str(self.descriptor)).readlink()
        except OSError:  # a process that is not dumpable and not root's may not look
            return None

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.descriptor is not None:
            os.close(self.descriptor)


class Footing:
    """Knows the files that are open, and the lock."""

    def __init__(self, path: Path, lock: Holding | None = None) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._lock = lock
        self._held: list[Held] = []
        self._memory = SharedMemory(path)
        self.epoch = 0

    def note(self) -> None:
        """The files have just been opened."""
        self.forget()
        for path in (self._path, self._log):
            with contextlib.suppress(OSError):
                self._held.append(_hold(path))
        self._memory.make_room()

    def close(self) -> None:
        """No connection to the journal is left in this process."""
        self._memory.close()

    def must_hold(self, commits: int) -> None:
        """Raises StoreError where a process that died had come further than what was found."""
        behind = 0 if self._lock is None else self._lock.commits - commits
        if behind > 0:
            folder = self._path.parent
            raise StoreError(
                f"{self._path} lacks the last {behind} commits of a freshd that did not stop in good order: "
                f"{self._log.name} is gone, cut or damaged",
                f"bring {self._log.name} back, or a sound copy of both.  To go on with what is there: "
                f"rm {folder}/lock; what works once is then held back, for it may be spent: freshd confirm NAME",
            )

    def wrote(self, commits: int) -> None:
        """That commit is durable."""
        if self._lock is not None:
            self._lock.note(commits)

    def forget(self) -> None:
        """The files are closed, or about to be."""
        for one in self._held:
            one.close()
        self._held = []

    def check(self, connection: sqlite3.Connection, reopen: Callable[[], None]) -> None:
        """Raises Misplaced where something is not in its place; puts back what was deleted, and says so once."""
        lost = next((one for one in self._held if _identity(one.path) != one.identity), None)
        if lost is None:
            self._check_lock()
            return
        self._must_be_free(self._path)
        self._must_be_free(self._log)
        if not lost.is_deleted():
            raise self._moved(lost)
        self._put_back(lost.path, connection)
        self.epoch += 1
        reopen()
        raise Misplaced(
            f"{lost.path} was deleted under the running daemon; it was written anew from what was still open",
            f"find out who deletes files there: ls -la {self._path.parent}; freshd goes on by itself",
        )

    def _must_be_free(self, path: Path) -> None:
        """Raises Misplaced where a file lies there that is not ours."""
        found = _identity(path)
        if found is not None and found not in [one.identity for one in self._held if one.path == path]:
            raise Misplaced(
                f"another file lies in the place of {path}; nothing is written, and freshd has its own still open",
                f"do not stop freshd; move the other one away: mv {path} {path}.other; freshd then puts its own back",
            )

    def _check_lock(self) -> None:
        try:
            if self._lock is not None:
                self._lock.keep()
        except FreshdError as error:
            raise Misplaced(
                f"the lock of {self._path.parent} was removed while this freshd ran: {error.cause}",
                error.remedy,
                allows_vital=True,
            ) from None

    def _moved(self, lost: Held) -> Misplaced:
        place, folder = lost.whereabouts(), self._path.parent
        if place is None:
            remedy = f"find it: find / -xdev -inum {lost.identity[1]}; move it back"
        elif folder.exists():
            remedy = f"move it back: mv {place} {lost.path}"
        else:
            remedy = f"move it back: mv {place.parent} {folder}"
        return Misplaced(
            f"{lost.path} was moved away under the running daemon; nothing is written until it is back",
            f"do not stop freshd; {remedy}; freshd goes on by itself",
        )

    # -- putting back ----------------------------------------------------------------------------------------

    def _put_back(self, path: Path, connection: sqlite3.Connection) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._check_lock()
            if path == self._log:
                _empty_log(connection)
            else:
                self._write_anew(connection)
        except (OSError, sqlite3.Error) as error:
            why = words_of(error) if isinstance(error, OSError) else str(error)
            raise Misplaced(
                f"{path} was deleted under the running daemon, and cannot be written anew: {why}",
                f"do not stop freshd: it holds the only copy; {look_at(folder)}",
            ) from None

    def _write_anew(self, connection: sqlite3.Connection) -> None:
        """A whole copy under another name, then its own: whatever stops it leaves either nothing or all."""
        new = self._path.with_name(f"{self._path.name}.rescued")
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = FULL")
            connection.backup(copy)
        sync_file(new)
        for stale in (self._log, self._path.with_name(f"{self._path.name}-shm")):
            stale.unlink(missing_ok=True)  # of the deleted one: its content is in the copy, and would be applied to it
        os.link(new, self._path)  # unlike a rename it never replaces
        sync_folder(self._path.parent)
        new.unlink()


def _empty_log(connection: sqlite3.Connection) -> None:
    """Move what stands in the deleted log into the journal."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("the log is being read")


def _hold(path: Path) -> Held:
    status = os.lstat(path)
    descriptor = None if O_PATH is None else os.open(path, O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    return Held(path, (status.st_dev, status.st_ino), descriptor)


def _identity(path: Path) -> Identity | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
