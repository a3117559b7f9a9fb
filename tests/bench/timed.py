"""The real daemon, which writes down when each part of its start was done.

    python -m tests.bench.timed CONFIG MARKS

It is `freshd.app.Daemon` and nothing else.  A line of MARKS: nanoseconds of CLOCK_MONOTONIC, CPU nanoseconds, stage.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from freshd.app import Daemon, Hooks, settings_of
from freshd.core.settings import Settings
from freshd.garbage import uncollected
from freshd.hardening import harden
from freshd.roster import Member
from freshd.supervisor import Supervisor

IMPORTS: Final = "interpreter and imports"
CONFIG: Final = "configuration"
PROVIDERS: Final = "providers"
VAULT: Final = "vault opened, unsealed"
SOCKET: Final = "socket"
KEEPERS: Final = "keepers, leases shown"
STAGES: Final = (IMPORTS, CONFIG, PROVIDERS, VAULT, SOCKET, KEEPERS)


class Marks:
    """Moments, in order."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def __call__(self, stage: str) -> None:
        self._file.write(f"{time.monotonic_ns()} {time.process_time_ns()} {stage}\n")


class TimedSupervisor(Supervisor):
    """Marks the vault and the keepers."""

    mark: Marks

    async def load(self) -> bool:
        self.mark(PROVIDERS)  # they have just been made
        found = await super().load()
        self.mark(VAULT)
        return found

    def start(self, members: Sequence[Member]) -> None:
        self.mark(SOCKET)
        super().start(members)
        self.mark(KEEPERS)


class TimedDaemon(Daemon):
    """With a supervisor that marks."""

    def __init__(self, path: Path, settings: Settings, mark: Marks) -> None:
        super().__init__(path, settings, Hooks())
        self._supervisor.__class__ = TimedSupervisor
        self._supervisor.mark = mark  # type: ignore[attr-defined]


async def serve(path: Path, mark: Marks) -> int:
    """Run until told to stop."""
    harden()
    with uncollected() as settle:
        settings = settings_of(path)
        mark(CONFIG)
        return await TimedDaemon(path, settings, mark).run(settle)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="freshd, its start written down")
    parser.add_argument("config", type=Path)
    parser.add_argument("marks", type=Path)
    given = parser.parse_args()
    mark = Marks(given.marks)
    mark(IMPORTS)
    return asyncio.run(serve(given.config, mark))


if __name__ == "__main__":
    sys.exit(main())
