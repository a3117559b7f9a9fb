"""The real daemon, told to refresh each account again as soon as it has refreshed: all of them, all the time.

    python -m tests.bench.pushed CONFIG

It is `freshd.app.Daemon` and nothing else; what asks it lies in its own process, so that no socket is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from freshd.app import Daemon, Hooks, settings_of
from freshd.core.events import Event
from freshd.core.happenings import Forced
from freshd.garbage import uncollected
from freshd.hardening import harden

DONE = "refresh.succeeded"


class Pushed(Daemon):
    """A daemon that asks itself."""

    async def push(self) -> None:
        """Ask for every account, once the vault has told how they stand."""
        await self._supervisor.unlocked.wait()
        for account in list(self._supervisor.members):
            self._supervisor.post(account, Forced())

    def _tell(self, event: Event) -> None:
        super()._tell(event)
        if event.name == DONE and event.account is not None:
            asyncio.get_running_loop().call_soon(self._supervisor.post, event.account, Forced())


async def serve(path: Path) -> int:
    """Run until told to stop."""
    harden()
    with uncollected() as settle:
        daemon = Pushed(path, settings_of(path), Hooks())
        code, _ = await asyncio.gather(daemon.run(settle), daemon.push())
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="freshd, refreshing without a pause")
    parser.add_argument("config", type=Path)
    sys.exit(asyncio.run(serve(parser.parse_args().config)))
