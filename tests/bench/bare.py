"""What a durable commit costs here without freshd: one row, SQLite, WAL and FULL as the journal has them.

Rules
-----
* One commit writes as many bytes to the log as one of freshd's does on the average.
* Same file system, same pragmas; no second connection, no sealing, no thread: the floor of any honest commit.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from freshd.vault import schema

PAGE_BYTES: Final = 4096
FRAME_BYTES: Final = PAGE_BYTES + 24


class Bare:
    """A context manager.  `log_bytes`: what one commit shall write to the log."""

    def __init__(self, path: Path, log_bytes: float) -> None:
        path.touch(0o600)
        self._db = schema.connect(path)
        pages = max(1, round(log_bytes / FRAME_BYTES))
        self._blob = max(1, (pages - 1) * (PAGE_BYTES - 4))

    def __enter__(self) -> Self:
        self._db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value BLOB)")
        self._db.execute("INSERT INTO rows VALUES (1, ?)", (os.urandom(self._blob),))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def commit_ms(self) -> float:
        """Milliseconds of one commit."""
        value = os.urandom(self._blob)
        begun = time.perf_counter()
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("UPDATE rows SET value = ? WHERE id = 1", (value,))
        self._db.execute("COMMIT")
        return (time.perf_counter() - begun) * 1000
