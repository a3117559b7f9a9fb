"""A journal takes the place of another.

Rules
-----
* The new one is whole and durable under a name of its own before the former one is touched.
* The former one is set aside under a name with the time, never deleted.  A sound one keeps its own name beside that
  until the new one takes it, so that there is a journal at every instant; a damaged one does not.
* SQLite would apply a log that lies beside a journal to whatever journal that is: the former one's log is taken into
  it, or set aside with it, before.
* Killed anywhere and run again, it finishes.
* The state directory's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from freshd.errors import StoreError
from freshd.vault import schema, wal
from freshd.vault.statedir import RESTORING_FILE, must_be_plain, sync_folder, words_of

BESIDE: Final = ("-wal", "-shm")


def put(path: Path, image: bytes, wall: float, trace: Callable[[str], None]) -> Path | None:
    """Write the journal and give it its place; where the former one lies now.  Raises StoreError."""
    new = path.with_name(RESTORING_FILE)
    _write(new, image)
    trace("written")
    try:
        aside = _set_aside(path, wall)
        trace("aside")
        new.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"the journal cannot be exchanged: {words_of(error)}", f"ls -la {path.parent}; then restore again"
        ) from None
    trace("placed")
    return aside


def _write(new: Path, image: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            must_be_plain(new, os.fstat(file.fileno()))
            file.truncate()
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(new.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StoreError(
            f"{new} cannot be written: {words_of(error)}", f"make room: df -h {new.parent}; then restore again"
        ) from None


def _set_aside(path: Path, wall: float) -> Path | None:
    """Give the former journal another name, and its log with it."""
    if not path.exists() and not any(_beside(path)):
        return None
    _drop_other_names(path)
    aside = _free_name(path, wall)
    is_whole = path.exists() and _takes_in_its_log(path)
    if is_whole:
        os.link(path, aside)
    elif path.exists():
        path.rename(aside)
    for found in _beside(path):
        found.rename(aside.with_name(aside.name + found.name.removeprefix(path.name)))
    sync_folder(path.parent)
    return aside


def _takes_in_its_log(path: Path) -> bool:
    """Whether all that was committed stands in the file itself now."""
    log = path.with_name(f"{path.name}-wal")
    try:
        if log.exists() and (not log.is_file() or wal.hides(log) is not None):
            return False
        with contextlib.closing(schema.connect(path)) as journal:
            ((busy, _, _),) = journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_in = not busy
    except (OSError, sqlite3.Error):
        return False
    return is_in and not (log.exists() and log.stat().st_size)


def _beside(path: Path) -> list[Path]:
    beside = (path.with_name(path.name + suffix) for suffix in BESIDE)
    return [one for one in beside if os.path.lexists(one)]


def _drop_other_names(path: Path) -> None:
    """What an earlier try had set aside is the journal itself as long as that is in its place."""
    if path.exists():
        for one in path.parent.glob(f"{path.name}.replaced-*"):
            if one.samefile(path):
                one.unlink()


def _free_name(path: Path, wall: float) -> Path:
    stem = f"{path.name}.replaced-{datetime.fromtimestamp(wall, UTC):%Y%m%dT%H%M%SZ}"
    found, number = path.with_name(stem), 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{stem}-{number}")
    return found
