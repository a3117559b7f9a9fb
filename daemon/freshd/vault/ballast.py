"""Ballast: room on the disk that is ours before we need it (I2).

Rules
-----
* A file of random bytes beside the journal, written and synced: sparse or compressed, it would be worth nothing.
* Before something is spent the ballast must be in place, `PER_FLIGHT_BYTES` for each flight in the air.  If it cannot
  be made, nothing is spent.
* When the disk is full it is thrown overboard, once, so that escrows and commits still find room.
* Somebody else's write may take that room first: a shared disk has no stronger promise than this.
* Called by the writer's thread only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

from freshd.vault.statedir import sync_folder

MEBIBYTE: Final = 1 << 20
PER_FLIGHT_BYTES: Final = 128 * 1024
"""A reply of 64 KiB, as base64 and sealed, takes 88 KiB of journal; the commit after it some pages more."""


class Ballast:
    """The ballast file of one state directory."""

    def __init__(self, path: Path, least: int = MEBIBYTE) -> None:
        self._path = path
        self._least = least

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._path.parent

    @property
    def _size(self) -> int:
        """Bytes that lie there now, for whoever cleans up the folder takes it away; 0 where it is no plain file."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def holds(self, flights: int) -> bool:
        """Whether the ballast suffices for so many flights; makes or enlarges it where there is room.  Blocks."""
        wanted = max(self._least, -(-flights * PER_FLIGHT_BYTES // MEBIBYTE) * MEBIBYTE)
        if self._size >= wanted:
            return True
        try:
            self._grow(wanted)
        except OSError:
            self._remove()
            return False
        return True

    def release(self) -> bool:
        """Throw it overboard; False where there was none."""
        if not self._size:
            return False
        self._remove()
        return True

    def _grow(self, wanted: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not hold us up
        descriptor = os.open(self._path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no plain file")
            at = status.st_size
            while at < wanted:
                at += os.pwrite(descriptor, os.urandom(min(MEBIBYTE, wanted - at)), at)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self._path.parent)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
            sync_folder(self._path.parent)
