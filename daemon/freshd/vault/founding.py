"""A vault founded without serving: what the first start does, done by a person who looks on.

Rules
-----
* State directory, lock, journal, key in the custodian and read back, anchor, ballast: in this order, and by the code
  that every start uses.  The ballast comes last, so that it tells a vault that was founded from one half done.
* A journal that somebody uses is left alone.  One that was left half done is finished.
* Where no key can be had, what was made here is taken away again: nothing was changed.
* Must not: hold anything but the lock when it returns, or spend.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from freshd.errors import FreshdError, NotPossible, StoreError
from freshd.vault.ballast import Ballast
from freshd.vault.glance import Glance, glance
from freshd.vault.opening import Opening, Setup
from freshd.vault.settle import Shelf
from freshd.vault.statedir import BALLAST_FILE, JOURNAL_FILE

MADE: Final = (JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}-shm", "lock")


@dataclass(frozen=True, slots=True)
class Founded:
    """Where everything lies.  `anchor`: a file, or where it is kept; None where there is none."""

    vault: str
    journal: Path
    ballast: Path
    custodian: str
    anchor: str | None


async def founded(setup: Setup, trace: Callable[[str], None] = lambda _step: None) -> Founded:
    """Found it.  Raises NotPossible where there is one, VaultLocked where there is no key, and other FreshdErrors."""
    _must_be_new(setup.state_dir)
    before = _there(setup.state_dir)
    opening = Opening(replace(setup, meant=None, trace=None))
    try:
        await opening.begin()
        trace("journal")
        unsealed = await opening.unlock()
    except FreshdError:
        await opening.end(None)
        _take_away(setup.state_dir, before)
        raise
    try:
        trace("key")
        if not await asyncio.to_thread(Ballast(setup.state_dir / BALLAST_FILE).holds, 1):
            raise StoreError(
                f"there is no room for the ballast in {setup.state_dir}", f"make room: df -h {setup.state_dir}"
            )
        trace("ballast")
        folder, keeper = setup.state_dir, unsealed.places.configured
        anchor = str(setup.anchor) if setup.anchor is not None else keeper.name if isinstance(keeper, Shelf) else None
        return Founded(unsealed.places.vault, folder / JOURNAL_FILE, folder / BALLAST_FILE, keeper.name, anchor)
    finally:
        await opening.end(unsealed)


def _must_be_new(folder: Path) -> None:
    journal = folder / JOURNAL_FILE
    if not journal.exists() or not journal.stat().st_size:
        return
    seen = _seen(folder)
    if seen is not None and seen.check is not None and (seen.ballast or seen.records):
        raise NotPossible(
            f"there is a vault in {folder} already: {seen.vault[:8]}, {seen.records} records",
            "look at it: freshd vault status; for another one, write another state_dir",
        )


def _seen(folder: Path) -> Glance | None:
    """None where nothing can be told yet: what opens it will say what is wrong."""
    with contextlib.suppress(StoreError):
        return glance(folder)
    return None


def _there(folder: Path) -> frozenset[Path]:
    return frozenset(folder.iterdir()) | {folder} if folder.is_dir() else frozenset()


def _take_away(folder: Path, before: frozenset[Path]) -> None:
    """Whatever was made here, and nothing else."""
    with contextlib.suppress(OSError):
        if folder / JOURNAL_FILE not in before:
            for name in MADE:
                if folder / name not in before:
                    (folder / name).unlink(missing_ok=True)
        if folder not in before:
            folder.rmdir()
