"""Somebody's .env file on the disk: read whole, replaced whole.

Rules
-----
* Replacing is atomic: a new file in the same folder, flushed, renamed over the old one, the folder flushed.  A reader
  sees the old text or the new one, and a full disk leaves the old.
* Mode, owner and group stay, and extended attributes where the system allows it; where owner or group cannot be kept
  nothing is changed.
* A symbolic link is followed to the file itself, which is what is replaced.  Refused are: what is no regular file, one
  with a second name (that would keep what is taken out), one that its owner made read-only, a file of somebody else, a
  folder that others may write to, more than a mebibyte.
* Two freshd programs never change a file at once (flock); a foreign program that writes meanwhile is noticed right
  before the rename, and its text is taken as the new ground.
* Blocking: the daemon calls it from threads.  No error holds a value of the file.
* Must not: know what the names mean (`core.env_names`), or a syntax (`core.dotenv`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.core.dotenv import BadEnv, DotEnv
from freshd.outlets import ownership
from freshd.outlets.ownership import EnvFileError

__all__ = ["EnvFileError", "Held", "Seen", "Stamp", "change", "held", "must_be_replaceable", "read", "stamp"]

SIZE_MOST: Final = 2**20
LOCK_SECONDS: Final = 5.0
"""Another freshd holds the file for as long as an import takes."""
LOCK_LOOK_SECONDS: Final = 0.05
TRIES: Final = 5
"""A program that rewrites its file faster than this is never caught standing still."""
READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
MAKING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class _Moved(Exception):
    """Somebody wrote meanwhile."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a changed file is known without reading it."""

    device: int
    inode: int
    size: int
    written_ns: int

    @staticmethod
    def of(found: os.stat_result) -> Stamp:
        """That of a file."""
        return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was read.  `is_private`: nobody but its owner may read it."""

    stamp: Stamp
    env: DotEnv
    is_private: bool


def stamp(path: Path) -> Stamp:
    """The file's stamp, by a look alone.  Raises EnvFileError."""
    try:
        return Stamp.of(path.stat())
    except (OSError, ValueError) as error:
        raise _cannot(path, "looked at", error) from None


def read(path: Path) -> Seen:
    """The file.  Raises EnvFileError."""
    with _opened(path) as file:
        return file.seen


def must_be_replaceable(path: Path) -> None:
    """Raises EnvFileError where `change` would be refused as things stand."""
    with _opened(path) as file:
        file.must_be_replaceable()


def change(path: Path, edit: Callable[[DotEnv], DotEnv]) -> Seen:
    """Replace the file by what `edit` makes of it, if that differs; the file as it then is.  Raises EnvFileError.

    `edit` may be asked again, where somebody else wrote meanwhile; a BadEnv that it raises is told as an EnvFileError.
    """
    for _ in range(TRIES):
        with held(path) as file, contextlib.suppress(_Moved):
            return file.replaced(edit)
    raise EnvFileError(f"{path} is being written all the time", f"find out by whom: fuser -v {path}")


class Held:
    """A file that no other freshd changes meanwhile."""

    def __init__(self, path: Path, real: Path, folder: int, descriptor: int) -> None:
        self._path = path
        self._name = real.name
        self._folder = folder
        self._status = os.fstat(descriptor)
        _must_be_plain(path, self._status)
        self.seen = _taken_in(path, descriptor, self._status)

    def replaced(self, edit: Callable[[DotEnv], DotEnv]) -> Seen:
        """As `change`, once.  Raises _Moved where the file is not the one that was read any more."""
        new = _edited(self._path, edit, self.seen.env)
        if bytes(new) == bytes(self.seen.env):
            return self.seen
        self.must_be_replaceable()
        try:
            return Seen(self._replace(bytes(new)), new, self.seen.is_private)
        except OSError as error:
            raise _cannot(self._path, "replaced", error) from None

    def must_be_replaceable(self) -> None:
        """Raises EnvFileError where replacing is refused or cannot work."""
        ownership.must_be_replaceable(self._path, self._status, os.fstat(self._folder))
        if not os.access(self._folder_path(), os.W_OK | os.X_OK):
            raise EnvFileError(f"the folder of {self._path} is not writable for this user", "let its owner run it")

    def _folder_path(self) -> str:
        return f"/proc/self/fd/{self._folder}"

    def _replace(self, data: bytes) -> Stamp:
        name = f".{self._name}.freshd"
        with contextlib.suppress(FileNotFoundError):  # left by one of us that was killed
            os.unlink(name, dir_fd=self._folder)
        descriptor = os.open(name, MAKING, 0o600, dir_fd=self._folder)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(_unlink, name, self._folder)
                _dress(descriptor, self._status, self._attributes())
                _write(descriptor, data)
                os.fsync(descriptor)
                made = Stamp.of(os.fstat(descriptor))
                self._must_stand_still()
                os.rename(name, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                undo.pop_all()
        finally:
            os.close(descriptor)
        os.fsync(self._folder)
        return made

    def _must_stand_still(self) -> None:
        try:
            now = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            raise _Moved from None
        if Stamp.of(now) != self.seen.stamp:
            raise _Moved

    def _attributes(self) -> dict[str, bytes]:
        place = f"{self._folder_path()}/{self._name}"
        found = dict[str, bytes]()
        with contextlib.suppress(OSError, AttributeError):
            for name in os.listxattr(place, follow_symlinks=False):
                found[name] = os.getxattr(place, name, follow_symlinks=False)
        return found


@contextlib.contextmanager
def held(path: Path) -> Iterator[Held]:
    """Hold the file against other freshd programs while the block runs.  Raises EnvFileError."""
    give_up_at = time.monotonic() + LOCK_SECONDS
    while True:
        with _opened(path, give_up_at) as file:
            if stamp(path).inode == file.seen.stamp.inode:
                yield file
                return


@contextlib.contextmanager
def _opened(path: Path, lock_until: float | None = None) -> Iterator[Held]:
    with contextlib.ExitStack() as stack:
        try:
            real = Path(os.path.realpath(path, strict=True))
            folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            _must_be_plain(path, os.stat(real.name, dir_fd=folder, follow_symlinks=False))
            descriptor = os.open(real.name, READING, dir_fd=folder)
            stack.callback(os.close, descriptor)
            if lock_until is not None:
                _lock(path, descriptor, lock_until)
            file = Held(path, real, folder, descriptor)
        except (OSError, ValueError) as error:
            raise _cannot(path, "read", error) from None
        yield file


def _must_be_plain(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise EnvFileError(f"{path} is no regular file", "name the .env file itself")
    if status.st_size > SIZE_MOST:
        raise EnvFileError(f"{path} is larger than {SIZE_MOST // 2**20} MiB", "name the .env file itself")


def _taken_in(path: Path, descriptor: int, status: os.stat_result) -> Seen:
    data = b""
    while part := os.read(descriptor, SIZE_MOST):
        data += part
        if len(data) > SIZE_MOST:
            raise EnvFileError(f"{path} is larger than {SIZE_MOST // 2**20} MiB", "name the .env file itself")
    try:
        return Seen(Stamp.of(status), DotEnv(data), not status.st_mode & OTHERS)
    except BadEnv as bad:
        raise EnvFileError(f"{path} {bad}", "name the .env file itself") from None


def _lock(path: Path, descriptor: int, until: float) -> None:
    """Wait for another freshd.  A file system without locks goes without."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                return
        if time.monotonic() > until:
            raise EnvFileError(f"{path} is held by another program", f"find out by which: fuser -v {path}")
        time.sleep(LOCK_LOOK_SECONDS)


def _edited(path: Path, edit: Callable[[DotEnv], DotEnv], env: DotEnv) -> DotEnv:
    try:
        return edit(env)
    except BadEnv as bad:
        raise EnvFileError(f"{path} {bad}", "add or correct that line, or name another key") from None


def _dress(descriptor: int, like: os.stat_result, attributes: dict[str, bytes]) -> None:
    """Owner first: changing it takes mode bits away.  Then what the system lets us set of the rest."""
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    for name, value in attributes.items():
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, value)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _cannot(path: Path, what: str, error: Exception) -> EnvFileError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return EnvFileError(f"{path} cannot be {what}: {said}", f"look at it: ls -la {path.parent}; df -h {path.parent}")
