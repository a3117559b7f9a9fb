"""The real daemon with a recorder at its hooks, which ends it with SIGKILL where a trial says.

    python -m tests.crash.victim CONFIG --stamps FILE [--die-at MARK --passage N --armed-by FILE]

MARK is a point of the exchange (1 to 8) or the name under which the journal says that something is durable.

Rules
-----
* It is `freshd.app.serve` and nothing else: whatever the daemon does here it does anywhere.
* A stamp is one write to a file opened for appending: what was written before the kill is there after it.
* The kill comes from inside the hook, so the process ends at the mark and not somewhere near it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from freshd.app import Hooks, serve


class Recorder:
    """Writes down every mark; at the `passage`-th one of `die_at` since a file is there it kills this process."""

    def __init__(self, stamps: Path, die_at: str | None, passage: int, armed_by: Path | None = None) -> None:
        self._file = os.open(stamps, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._die_at = die_at
        self._passage = passage
        self._armed_by = armed_by
        self._passed = 0
        self._last = 0

    def point(self, number: int) -> None:
        """A point was passed.  Leases are shown at boot too: a 7 counts only where a 6 came before it."""
        if number == 7 and self._last != 6:
            return
        self._last = number
        self.mark(str(number))

    def mark(self, name: str) -> None:
        """Stamp, count, and die if this is the place."""
        os.write(self._file, f"{time.monotonic_ns()} {name}\n".encode())
        if name == self._die_at and self._is_armed():
            self._passed += 1
            if self._passed == self._passage:
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_armed(self) -> bool:
        return self._armed_by is None or self._armed_by.exists()


def main() -> int:
    """Run until killed or told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.victim", description="freshd, to be killed at a mark")
    parser.add_argument("config", type=Path)
    parser.add_argument("--stamps", type=Path, required=True, help="file the marks are written to")
    parser.add_argument("--die-at", help="1 to 8, intent-durable, escrow-durable or commit-durable")
    parser.add_argument("--passage", type=int, default=1, help="die when the mark is passed for the n-th time")
    parser.add_argument("--armed-by", type=Path, help="count from when that file is there (default: from the start)")
    given = parser.parse_args()
    recorder = Recorder(given.stamps, given.die_at, given.passage, given.armed_by)
    return asyncio.run(serve(given.config, Hooks(recorder.point, recorder.mark)))


if __name__ == "__main__":
    sys.exit(main())
