"""The state directory: ours alone, on a local disk, and held by one process.

Rules
-----
* The lock is the kernel's (flock on the file `lock`), so it ends with the process however that dies.  The pid in the
  file is for people.
* Taken before anything else is looked at, let go last (I1).
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
MOUNTS: Final = Path("/proc/self/mountinfo")


def prepare(folder: Path) -> None:
    """Make the directory, or refuse one that others may write to or that lies on a network file system."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise StoreError(
            f"the state directory {folder} cannot be made: {error.strerror}", f"install -d -m 700 {folder}"
        ) from None
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"the state directory {folder} belongs to user id {status.st_uid}, not to {os.geteuid()}",
            f"chown {os.geteuid()} {folder}",
        )
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


def look_at(path: Path) -> str:
    """The remedy where only a person can tell what is in the way."""
    return f"give freshd's user a plain file of its own there, or a folder to make it in; look at: ls -la {path}"


def sync_folder(folder: Path) -> None:
    """Make the names in that folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """The right to be the one freshd of a state directory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises AlreadyRunning, naming the holder's pid.  Taking it twice is fine."""
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be opened: {words_of(error)}", look_at(self._path)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunning(
                f"another freshd, pid {holder}, owns {self._path.parent}",
                f"use that one (freshd status), or stop it first: kill {holder}",
            ) from None
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; the file stays, for its name is what the next one locks."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
