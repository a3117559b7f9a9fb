"""Settling: a committed grant comes to rest in the OS keyring, and is fetched from there.

Rules
-----
* Commit is the journal's; settling only moves the resting place.  The journal keeps its sealed copy until the entry
  was read back, and lets go of it only if no newer grant has come meanwhile.
* Nothing in the keyring is deleted or flipped but by `forget`.  The highest valid entry not below the journal wins;
  one above it means that the journal is an old copy, and is adopted.
* One task, one account after the other: a keyring is slow for everybody at once, and an erasure must never meet a
  late write.  It waits longer after each failure and begins again after a restart.
* A write that was given up may still land: before writing again the entry is looked at.
* No valid entry is KeyringUnavailable, never an absent grant.
* Must not: hold up anybody's commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, runtime_checkable

from freshd.core.model import Grant
from freshd.errors import KeyringUnavailable
from freshd.ports import Custodian
from freshd.vault import entries, records, rows, upkeep
from freshd.vault.calls import Calls
from freshd.vault.entries import Found, Place
from freshd.vault.reader import Reader
from freshd.vault.records import About, Row
from freshd.vault.seal import Seal
from freshd.vault.writer import Writer

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""A person who unlocks the keyring should not wait longer than this for freshd to notice."""


@runtime_checkable
class Shelf(Custodian, Protocol):
    """A custodian that keeps grants too."""

    longest: int | None


@dataclass(frozen=True, slots=True)
class Desk:
    """What settling works with."""

    shelf: Shelf
    calls: Calls
    reader: Reader
    writer: Writer
    seal: Seal
    vault: str
    wall: Callable[[], float]
    on_settled: Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Erasure:
    """Entries of a forgotten record, still to be erased."""

    account: str
    rid: str


Job = str | Erasure
"""An account to settle, or an erasure."""


class Settler:
    """Moves grants between journal and keyring."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._jobs: dict[Job, None] = {}
        self._waiters: dict[Erasure, asyncio.Future[None]] = {}
        self._failing: set[Job] = set()
        self._more = asyncio.Event()
        self._again = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="freshd-settle")

    # -- what is asked of it -------------------------------------------------------------------------------

    def want(self, job: Job) -> None:
        """Do this in the background, in its turn."""
        self._jobs.setdefault(job)
        self._more.set()

    async def erase(self, erasure: Erasure) -> None:
        """Erase, and wait for it as long as one call may take.  Raises KeyringUnavailable; it stays wanted then."""
        done = self._waiters.setdefault(erasure, asyncio.get_running_loop().create_future())
        self.want(erasure)
        self.retry()
        try:
            async with asyncio.timeout(self._desk.calls.deadline):
                await asyncio.shield(done)
        except TimeoutError:
            raise KeyringUnavailable(
                f"{erasure.account} is forgotten here, but {self._desk.shelf.name} has not erased its entries yet",
                "unlock the keyring; freshd goes on by itself",
            ) from None

    def retry(self) -> None:
        """Do not wait for the pause to end: the keyring answers again."""
        self._again.set()

    async def fetch(self, row: Row) -> tuple[Row, Grant]:
        """The grant that rests in the keyring, and the row it belongs to.  Raises KeyringUnavailable."""
        place = self._place(row)
        looked = await asyncio.gather(*(self._look(place, slot) for slot in entries.SLOTS))
        valid = [one for one in looked if one is not None and self._counts(row, one)]
        if not valid:
            raise KeyringUnavailable(
                f"{self._desk.shelf.name} shows no valid entry for {row.account}",
                f"unlock it, or bring its entries back; if they are lost: freshd enrol {row.account}",
            )
        self.retry()
        best = max(valid, key=lambda one: one.generation)
        return (row if best.generation == row.grant_generation else await self._adopt(row, best)), best.grant

    @staticmethod
    def _counts(row: Row, one: Found) -> bool:
        if one.generation == row.grant_generation:
            return one.digest == row.grant_digest
        return one.generation > row.grant_generation

    async def stop(self) -> None:
        """End the task; what is wanted is found again at the next start."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # -- the task ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._more.wait()
            job = next(iter(self._jobs), None)
            if job is None:
                self._more.clear()
                continue
            del self._jobs[job]  # first: whoever wants it again meanwhile means something newer
            if await self._is_done(job):
                pause = FIRST_PAUSE_SECONDS
                continue
            self._jobs.setdefault(job)
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _rest(self, pause: float) -> None:
        self._again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._again.wait()

    async def _is_done(self, job: Job) -> bool:
        try:
            await (self._erase(job) if isinstance(job, Erasure) else self._settle(job))
        except Exception:  # noqa: BLE001 - trouble with one account, a bug included, must not end settling for all
            self._tell(job, settled=False)
            return False
        self._failing.discard(job)
        self._tell(job, settled=True)
        return True

    def _tell(self, job: Job, *, settled: bool) -> None:
        if isinstance(job, Erasure):
            if settled and (waiter := self._waiters.pop(job, None)) is not None and not waiter.done():
                waiter.set_result(None)
        elif job not in self._failing and job not in self._jobs:  # news once, and none that is old already
            self._desk.on_settled(job, settled)
        if not settled:
            self._failing.add(job)

    # -- one account ---------------------------------------------------------------------------------------

    async def _settle(self, account: str) -> None:
        """Write, read back, let go of the journal's copy."""
        desk = self._desk
        row = await desk.reader.ask(lambda db: rows.find(db, account))
        if row is None or row.grant_blob is None:
            return
        place, slot = self._place(row), entries.slot_of(row.grant_generation)
        if not (account in self._failing and await self._holds(row)):
            await desk.calls.run(_key(place, slot), self._putting(row))
            if not await self._holds(row):
                raise KeyringUnavailable(f"{desk.shelf.name} did not give back what was written", "freshd doctor")
        kept = await desk.writer.ask(lambda db: upkeep.settled(db, row), lambda _db, done: not done, wall=desk.wall())
        if kept:  # a newer grant came meanwhile
            self.want(account)

    def _putting(self, row: Row) -> Callable[[], None]:
        """The call that writes the entry, its first part last: before that the others mean nothing."""
        desk, place = self._desk, self._place(row)
        slot = entries.slot_of(row.grant_generation)
        grant = _kept(desk.seal, row)
        parts = entries.written(desk.seal, place, row.grant_generation, grant, desk.shelf.longest)

        def put() -> None:
            for number, part in reversed(list(enumerate(parts))):
                desk.shelf.put(place.service(slot, number), place.account, part)

        return put

    async def _holds(self, row: Row) -> bool:
        one = await self._look(self._place(row), entries.slot_of(row.grant_generation))
        return one is not None and (one.generation, one.digest) == (row.grant_generation, row.grant_digest)

    async def _look(self, place: Place, slot: str) -> Found | None:
        shelf = self._desk.shelf
        parts = await self._desk.calls.run(_key(place, slot), lambda: _parts(shelf, place, slot))
        return entries.found(self._desk.seal, place, parts)

    async def _adopt(self, row: Row, one: Found) -> Row:
        desk = self._desk

        def apply(db: sqlite3.Connection) -> Row:
            return upkeep.adopt(db, desk.seal, row, About.of(one.grant), one.generation, one.digest)

        return await desk.writer.ask(apply, lambda _db, new: new, wall=desk.wall())

    async def _erase(self, erasure: Erasure) -> None:
        desk = self._desk
        place = Place(desk.vault, erasure.account, erasure.rid)
        for slot in entries.SLOTS:
            await desk.calls.run(_key(place, slot), partial(_wipe, desk.shelf, place, slot))
        await desk.writer.ask(
            lambda db: upkeep.erased(db, erasure.account, erasure.rid), lambda _db, _: None, wall=desk.wall()
        )

    def _place(self, row: Row) -> Place:
        return Place(self._desk.vault, row.account, row.rid)


def _key(place: Place, slot: str) -> str:
    return place.service(slot, 0)


def _kept(seal: Seal, row: Row) -> Grant:
    grant = records.grant_of(seal, row)
    if grant is None:
        raise KeyringUnavailable(f"{row.account} is settled already", "nothing")
    return grant


def _parts(shelf: Shelf, place: Place, slot: str) -> Sequence[str | None]:
    """An entry's parts, as many as its head says.  Blocks."""
    first = shelf.get(place.service(slot, 0), place.account)
    about = None if first is None else entries.head(first)
    count = 1 if about is None else about.parts
    return [first, *(shelf.get(place.service(slot, part), place.account) for part in range(1, count))]


def _wipe(shelf: Shelf, place: Place, slot: str) -> None:
    """Drop all parts of an entry, also those that a longer one left behind; but not another life's.  Blocks."""
    first = shelf.get(place.service(slot, 0), place.account)
    about = None if first is None else entries.head(first)
    if about is not None and about.rid != place.rid:
        return
    part = 0
    while part < (about.parts if about else 1) or shelf.get(place.service(slot, part), place.account) is not None:
        shelf.drop(place.service(slot, part), place.account)
        part += 1
