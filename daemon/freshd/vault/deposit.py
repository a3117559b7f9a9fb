"""A file put in its place: whole and durable, or not at all.

Rules
-----
* Written under another name in the same folder, mode 0600, synced; then it takes its name, and the folder is synced.
* A name that is taken is not taken away unless that was asked for: without it the name is made by a link, which never
  replaces.
* Whatever goes wrong, nothing half is left under either name; what a kill left under the other one, the next try takes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from freshd.errors import NotPossible, StoreError
from freshd.vault.statedir import sync_folder, words_of

NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems of sticks and shares say; there the name is looked at, then taken."""


def may_be_put(path: Path, *, force: bool) -> None:
    """Raises NotPossible where something lies there, StoreError where the folder does not do."""
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent}", f"mkdir -p {path.parent}, or name another place")
    if os.path.lexists(path) and not force:
        raise _taken(path)
    if path.is_dir():
        raise NotPossible(f"{path} is a folder", "name a file in it")


def put(
    path: Path, pieces: Iterable[bytes], prove: Callable[[Path], None], *, force: bool,
    trace: Callable[[str], None] = lambda _step: None,
) -> None:  # fmt: skip
    """Write the pieces, prove what lies on the disk, and give it its name.  Raises NotPossible or StoreError."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        _write(new, pieces)
        trace("written")
        prove(new)
        trace("proven")
        _name(new, path, force=force)
        trace("named")
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {words_of(error)}", f"look at: df -h {path.parent}; ls -la {path.parent}"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def _write(new: Path, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _name(new: Path, path: Path, *, force: bool) -> None:
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
        may_be_put(path, force=False)
        new.rename(path)


def _taken(path: Path) -> NotPossible:
    return NotPossible(f"{path} is there already", "name another file, or add --force to replace it")
