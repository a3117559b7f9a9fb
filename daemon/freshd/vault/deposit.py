"""A file put in its place: whole and durable, or not at all.

Rules
-----
* Written under another name in the same folder, mode 0600, synced; then it takes its name, and the folder is synced.
* That other name is each writer's own, and locked while it is written: two that write one file at once never meet in
  it.  The last one that may replace wins, or the first where nobody may.
* A name that is taken is not taken away unless that was asked for, and then only from a plain file: without it the name
  is made by a link, which never replaces.  Where a file system has no links the name is claimed by an empty file first.
* Whatever goes wrong, nothing half is left under either name.  What a kill left under the other one nobody holds the
  lock of, and the next writer of the same file takes it away; where there are no locks it stays.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from freshd.errors import NotPossible, StoreError
from freshd.vault.statedir import is_at, kind_of, sync_folder, words_of

NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems of sticks and shares say."""
NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""What some of them say to a lock."""
OWN_BYTES: Final = 4
"""Of chance in a writer's own name."""


def may_be_put(path: Path, *, force: bool) -> None:
    """Raises NotPossible where something lies there, StoreError where the folder does not do."""
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent}", f"mkdir -p {path.parent}, or name another place")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(path, error) from None
    if not stat.S_ISREG(mode):
        raise NotPossible(
            f"{path} is {kind_of(mode)}, no plain file", "name a new file; only a plain one is replaced, with --force"
        )
    if not force:
        raise _taken(path)


def put(
    path: Path, pieces: Iterable[bytes], prove: Callable[[Path], None], *, force: bool,
    trace: Callable[[str], None] = lambda _step: None,
) -> None:  # fmt: skip
    """Write the pieces, prove what lies on the disk, and give it its name.  Raises NotPossible or StoreError."""
    try:
        _clear(path)
        with _begun(path) as (new, descriptor):
            _write(descriptor, pieces)
            trace("written")
            prove(new)
            trace("proven")
            _name(new, path, force=force)
            trace("named")
            sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def _write(descriptor: int, pieces: Iterable[bytes]) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(descriptor)


def _name(new: Path, path: Path, *, force: bool) -> None:
    may_be_put(path, force=force)
    if force:
        new.replace(path)
        return
    try:
        os.link(new, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _name_without_links(new, path)


def _name_without_links(new: Path, path: Path) -> None:
    """Claim the name by an empty file, which never replaces; a kill right then would leave that."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        raise _taken(path) from None
    try:
        new.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise


# -- a name of its own -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _begun(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file in the same folder, open and locked; its name is gone afterwards."""
    new, descriptor = _own(path)
    try:
        yield new, descriptor
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        os.close(descriptor)  # last: from here on nobody holds its lock


def _own(path: Path) -> tuple[Path, int]:
    """Raises OSError.  Begins again where another writer took it for left over, before it was locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        new = path.with_name(f".{path.name}.{secrets.token_hex(OWN_BYTES)}.new")
        try:
            descriptor = os.open(new, flags, 0o600)
        except FileExistsError:
            continue
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        if is_at(new, descriptor):
            return new, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Waits for whoever looks whether it is left over, and takes it away then.  Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _clear(path: Path) -> None:
    """Take away what killed writers of the same file have left: what nobody holds the lock of."""
    own = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{{2 * OWN_BYTES}}}\.new")
    beside: list[Path] = []
    with contextlib.suppress(OSError):  # a folder that one may write to and not read
        beside = list(path.parent.iterdir())
    for one in beside:
        if own.fullmatch(one.name):
            with contextlib.suppress(OSError):  # locked, or somebody else's
                _take_away(one)


def _take_away(left: Path) -> None:
    descriptor = os.open(left, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(left, descriptor):
                left.unlink()
    finally:
        os.close(descriptor)


def _taken(path: Path) -> NotPossible:
    return NotPossible(f"{path} is there already", "name another file, or add --force to replace it")


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {words_of(error)}", f"look at: df -h {path.parent}; ls -la {path.parent}"
    )
