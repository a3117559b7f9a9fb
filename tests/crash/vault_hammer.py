"""A process that does nothing but write to a vault, and says on standard output what was acknowledged.

    python -m tests.crash.vault_hammer FOLDER PLACEMENT [POINT NUMBER]

Lines: "intent ACCOUNT FLIGHT", "escrow ACCOUNT FLIGHT", "commit ACCOUNT GENERATION".  With POINT it kills itself the
NUMBERth time that point is durable, before anybody is told.
"""

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from freshd.core.model import Change, Moment
from freshd.ports import Custodian
from freshd.vault import JournalVault, KeyFile, Placement, Setup
from tests.contract.vault_bed import REPLY, grant, intent_on, lease, line, row

ACCOUNTS = ("a", "b", "c", "d")


class FileDrawer:
    """A keyring of one file per entry, written like a careful daemon would: it outlives the process that uses it."""

    name = "file-drawer"
    writable = True
    longest = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder

    def _path(self, service: str, entry: str) -> Path:
        return self._folder / f"{service}|{entry}"

    def get(self, service: str, entry: str) -> str | None:
        path = self._path(service, entry)
        return path.read_text("ascii") if path.exists() else None

    def put(self, service: str, entry: str, value: str) -> None:
        new = self._path(service, entry + ".new")
        new.write_text(value, "ascii")
        new.rename(self._path(service, entry))

    def drop(self, service: str, entry: str) -> None:
        self._path(service, entry).unlink(missing_ok=True)


def custodian(folder: Path, placement: Placement) -> Custodian:
    return KeyFile(folder / "key") if placement == "sealed" else FileDrawer(folder / "drawer")


def now() -> Moment:
    return Moment(time.time(), time.monotonic(), "boot-1")


def say(*words: object) -> None:
    """One write, so that a line is there whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def deadly(point: str, number: int) -> Callable[[str], None]:
    seen = itertools.count(1)

    def trace(reached: str) -> None:
        if reached == point and next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return trace


async def hammer(vault: JournalVault, account: str) -> None:
    for number in itertools.count():
        intent = await intent_on(vault, account, f"{account}-{os.getpid()}-{number}")
        await vault.intend(intent, {f"{account}/refresh": row(number)})
        say("intent", account, intent.flight)
        await vault.escrow(intent, REPLY)
        say("escrow", account, intent.flight)
        generation = intent.generation + 1
        change = Change(
            account, grant(f"token-{account}-{generation}"), lease(account, f"lease-{account}-{generation}")
        )
        told = await vault.commit(intent, account, [change], {}, line(generation=generation))
        assert told[account].generation == generation
        say("commit", account, generation)


async def main(folder: Path, placement: Placement, trace: Callable[[str], None] | None) -> None:
    vault = JournalVault(Setup(folder / "state", placement, custodian(folder, placement), now, trace=trace))
    await vault.open()
    say("open")
    await asyncio.gather(*(hammer(vault, account) for account in ACCOUNTS))


if __name__ == "__main__":
    DEATH = deadly(sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else None
    asyncio.run(main(Path(sys.argv[1]), cast("Placement", sys.argv[2]), DEATH))
