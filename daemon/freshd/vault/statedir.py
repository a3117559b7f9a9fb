"""The state directory: ours alone, on a local disk, and held by one process.

Rules
-----
* The lock is the kernel's (flock on the file `lock`), so it ends with the process however that dies.  The pid in the
  file is for people.
* Taken before anything else is looked at, let go last (I1).
* Beside the pid stands the number of the last commit, as long as the journal is open: a process that dies leaves it
  behind, and whoever comes next knows what must be there.  Written after the journal's fsync, it is never ahead.
* Must not: create anything but the directory itself and the lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from freshd.errors import AlreadyRunning, StoreError

JOURNAL_FILE: Final = "journal.db"
BALLAST_FILE: Final = "ballast"
RESTORING_FILE: Final = f"{JOURNAL_FILE}.restoring"
"""A restored journal before it takes its place."""
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.davfs2",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
    }
)
"""File systems on which WAL's shared memory or flock does not hold between machines."""
UNKNOWN: Final = 10**18
"""Is added to the last commit in the lock file until everything is held back in a journal whose lock file was gone."""
MOUNTS: Final = Path("/proc/self/mountinfo")


def prepare(folder: Path) -> None:
    """Make the directory durably, or refuse one that others may write to or that lies on a network file system."""
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in missing:
            with contextlib.suppress(PermissionError):  # a folder that one may write to and not read
                sync_folder(made.parent)
        status = folder.stat()
    except OSError as error:
        raise StoreError(
            f"the state directory {folder} cannot be made: {error.strerror}", f"install -d -m 700 {folder}"
        ) from None
    _must_be_ours("the state directory ", folder, status)
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise StoreError(f"others may write to the state directory {folder}", f"chmod 700 {folder}")
    system = file_system(folder, MOUNTS)
    if system in NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"the state directory {folder} lies on a network file system ({system})",
            "put it on a local disk: state_dir in the configuration",
        )


def file_system(folder: Path, mounts: Path) -> str:
    """The type of the file system a directory lies on; empty where the kernel does not say."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best, found = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_unescape(before.split(" ")[4]))
        if folder.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split(" ")[0]
    return found


def _unescape(name: str) -> str:
    """Mount points write blanks and backslashes as three octal digits."""
    head, *tails = name.split("\\")
    return head + "".join(chr(int(tail[:3], 8)) + tail[3:] for tail in tails)


def words_of(error: OSError) -> str:
    """Why a file cannot be opened.  What the system calls too many links is, where none is followed, one."""
    return "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or "no reason is told"


def must_be_plain(path: Path, status: os.stat_result) -> None:
    """Raises StoreError for anything but a plain file of ours alone."""
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is {kind_of(status.st_mode)}, no plain file", look_at(path.parent))
    _must_be_ours("", path, status)
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreError(f"{path} is open to other users", f"chmod 600 {path}")


def _must_be_ours(what: str, path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"{what}{path} belongs to user id {status.st_uid}, not to {os.geteuid()}",
            f"run freshd as its owner, or: chown {os.geteuid()} {path}",
        )


def kind_of(mode: int) -> str:
    """What a file is that is no plain one, in words."""
    kinds = {
        stat.S_ISLNK: "a symbolic link", stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a named pipe",
        stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
    }  # fmt: skip
    return next((name for is_one, name in kinds.items() if is_one(mode)), "something special")


def look_at(path: Path) -> str:
    """The remedy where only a person can tell what is in the way."""
    return f"give freshd's user a plain file of its own there, or a folder to make it in; look at: ls -la {path}"


def sync_folder(folder: Path) -> None:
    """Make the names in that folder durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make what stands in that file durable."""
    _sync(path, os.O_NOFOLLOW)


def _sync(path: Path, kind: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | kind)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """The right to be the one freshd of a state directory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None
        self.commits = 0
        """The last commit of a journal that was not closed in good order; 0 where it was."""
        self.was_missing = False
        """Whether a journal was there and no lock file when it was taken: somebody took that away."""

    def take(self) -> None:
        """Raises AlreadyRunning, naming the holder's pid, or StoreError.  Taking it twice is fine."""
        if self._descriptor is None:
            is_new = not os.path.lexists(self._path)
            self.was_missing = is_new and _holds_a_journal(self._path.parent)
            self._descriptor = self._taken()
            if is_new:
                with contextlib.suppress(OSError):  # a folder that one may write to and not read
                    sync_folder(self._path.parent)

    def keep(self) -> None:
        """Take it again where its file was deleted or replaced meanwhile.  Raises as `take`, and then it is not held.

        Whoever finds a lock file that nobody holds may start beside us: so the name counts, not what is open here.
        """
        held = self._descriptor
        if held is not None and is_at(self._path, held):
            return
        self._descriptor = self._taken()
        if held is not None:
            os.close(held)

    def _taken(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be opened: {words_of(error)}", look_at(self._path)) from None
        try:
            must_be_plain(self._path, os.fstat(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except StoreError:
            os.close(descriptor)
            raise
        except OSError:
            holder, _ = _said(descriptor)
            os.close(descriptor)
            stop = f"kill {holder}" if holder.isdigit() else f"fuser -v {self._path} names it"
            raise AlreadyRunning(
                f"another freshd, pid {holder or 'unknown'}, owns {self._path.parent}",
                f"use that one (freshd status), or stop it first: {stop}",
            ) from None
        _, left = _said(descriptor)
        self.was_missing = self.was_missing or left >= UNKNOWN  # of a start that came to nothing
        self.commits = max(self.commits, left % UNKNOWN)
        self._say(descriptor)
        return descriptor

    def note(self, commits: int) -> None:
        """The journal is at that commit, and durable; 0: it is closed in good order, or another takes its place."""
        self.commits = commits
        if self._descriptor is not None:
            self._say(self._descriptor)

    def judge(self, *, is_known: bool) -> None:
        """Whether the journal knows by now what a missing lock file means for it.  Synced, for a power cut."""
        is_news, self.was_missing = self.was_missing is is_known, not is_known
        if self._descriptor is not None and is_news:
            self._say(self._descriptor)
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)

    def _say(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            commits = self.commits + (UNKNOWN if self.was_missing else 0)
            os.pwrite(descriptor, f"{os.getpid():>10}\n{commits:>20}\n".encode(), 0)

    def release(self) -> None:
        """Let go; the file stays, for its name is what the next one locks."""
        if self._descriptor is not None:
            if not (self.commits or self.was_missing):
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _holds_a_journal(folder: Path) -> bool:
    try:
        return os.lstat(folder / JOURNAL_FILE).st_size > 0
    except OSError:
        return False


def last_commit(folder: Path) -> int:
    """The last commit that a process which died knew of; 0 where none died, or nothing can be read."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        return _said(descriptor)[1] % UNKNOWN
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _said(descriptor: int) -> tuple[str, int]:
    """Who holds or held the lock, and the last commit that stands there."""
    pid, _, rest = os.pread(descriptor, 64, 0).decode("ascii", "replace").partition("\n")
    commits = rest.strip()
    return pid.strip(), int(commits) if commits.isascii() and commits.isdigit() else 0


def is_at(path: Path, descriptor: int) -> bool:
    """Whether that name is still that file."""
    try:
        there, held = os.lstat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
