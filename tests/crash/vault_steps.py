"""A process that makes, backs up or restores a vault, and kills itself once the step it is told is durable.

    python -m tests.crash.vault_steps init|backup|restore|arrive FOLDER PLACEMENT STEP

FOLDER holds `state`, `key` or `drawer`, and `copy`.  STEP "-": live on.
`restore` replaces a journal of the same vault, `arrive` does not.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from freshd.vault import Placement, Setup, deposit, lookout, snapshot, still
from freshd.vault.copies import looked_at
from freshd.vault.founding import founded
from freshd.vault.restoring import Site, restored
from tests.contract.copy_bed import HOW, KEY
from tests.crash.vault_hammer import custodian, now


def deadly(step: str) -> Callable[[str], None]:
    def trace(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return trace


def setup(folder: Path, placement: Placement) -> Setup:
    return Setup(folder / "state", placement, custodian(folder, placement), now)


async def init(folder: Path, placement: Placement, trace: Callable[[str], None]) -> None:
    await founded(setup(folder, placement), trace)


async def backup(folder: Path, placement: Placement, trace: Callable[[str], None]) -> None:
    async with still.at_rest(setup(folder, placement)) as vault:
        copy = await lookout.sealed(await snapshot.taken(vault.source), now().wall, HOW, KEY)
        deposit.put(
            folder / "copy",
            [copy.content],
            lambda new: (looked_at(new.read_bytes()).opened(KEY), None)[1],
            force=True,
            trace=trace,
        )
        vault.note(copy.header.at, copy.header.commits)


async def restore(folder: Path, placement: Placement, trace: Callable[[str], None], *, replace: bool = True) -> None:
    site = Site(folder / "state", custodian(folder, placement), lambda: now().wall, trace=trace)
    await restored(site, looked_at((folder / "copy").read_bytes()), KEY, replace=replace)


async def arrive(folder: Path, placement: Placement, trace: Callable[[str], None]) -> None:
    await restore(folder, placement, trace, replace=False)


VERBS = {"init": init, "backup": backup, "restore": restore, "arrive": arrive}

if __name__ == "__main__":
    WORK = VERBS[sys.argv[1]](Path(sys.argv[2]), cast("Placement", sys.argv[3]), deadly(sys.argv[4]))
    asyncio.run(WORK)
