"""What went wrong with the journal, in words that name the file and help.

Rules
-----
* SQLite's own code stands in the cause; where the file system says more (full, read-only), that comes first.
* Must not: open or change anything.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from freshd.errors import StoreError

SCARCE_BYTES: Final = 64 * 1024
"""With less than this no transaction finds room."""
_FULL: Final = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")
"""Also where SQLite could not enlarge its shared memory, and what a quota looks like."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether more room may help."""
    return _is_full_name(name_of(error))


def name_of(error: Exception) -> str:
    """SQLite's name for it, or the exception's."""
    return getattr(error, "sqlite_errorname", "") or type(error).__name__


def store_error(error: Exception, path: Path) -> StoreError:
    """What to tell of an error that SQLite met while the daemon runs."""
    name, folder = name_of(error), path.parent
    free, is_read_only = _room(folder)
    if is_read_only or name.startswith("SQLITE_READONLY"):
        return StoreError(
            f"{path} cannot be written: its file system is read-only ({name})",
            f"look why: dmesg; then: mount -o remount,rw $(findmnt -n -o TARGET -T {folder}); freshd goes on by itself",
        )
    if name == "SQLITE_FULL" or (_is_full_name(name) and free is not None and free < SCARCE_BYTES):
        return StoreError(
            f"the disk of {path} is full", f"make room there: df -h {folder}; df -i {folder}; freshd goes on by itself"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreError(
            f"{path} is damaged, or the disk gives back something else than was written ({name})",
            f"look at the disk: dmesg; freshd goes on trying.  If it stays: stop freshd, cp -a {folder} {folder}.kept",
        )
    return StoreError(
        f"{path} could not be written or read ({name})",
        f"look at the disk: dmesg, df -h {folder}, ls -la {folder}; freshd goes on trying",
    )


def _is_full_name(name: str) -> bool:
    return name in _FULL


def _room(folder: Path) -> tuple[int | None, bool]:
    """Bytes that are free, and whether nobody may write; None where nothing is told."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return None, False
    return told.f_bavail * told.f_frsize, bool(told.f_flag & os.ST_RDONLY)
