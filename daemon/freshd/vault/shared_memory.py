"""SQLite's shared memory (`-shm`), with room on the disk for all of it.

SQLite maps that file and touches one byte of each 4 KiB.  Where a file system's blocks are smaller, the rest are holes,
and a hole that a full disk has no room for ends the process with SIGBUS, which nothing can catch.

Rules
-----
* Room is taken right after the journal was opened, once for each file of that name; where blocks are as large as what
  SQLite touches there is nothing to do.
* A file that was opened here stays open until no connection of this process is left: closing any descriptor of it would
  let go of the locks that SQLite has there.
* A disk without room for it changes nothing: the ballast is given up before the journal is opened (`opening`).
* Must not: change what stands in it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

SHARED_BYTES: Final = 256 * 1024
"""The index of a log of 32,000 pages, some 30 times what is there before a checkpoint."""
TOUCHED_BYTES: Final = 4096


class SharedMemory:
    """Knows the shared memory of one journal."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(f"{journal.name}-shm")
        self._open: dict[tuple[int, int], int] = {}

    def make_room(self) -> None:
        """The journal has just been opened."""
        with contextlib.suppress(OSError):
            if os.statvfs(self._path).f_frsize < TOUCHED_BYTES and _identity(os.lstat(self._path)) not in self._open:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                self._open[_identity(os.fstat(descriptor))] = descriptor
                os.posix_fallocate(descriptor, 0, SHARED_BYTES)

    def close(self) -> None:
        """No connection is left."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
