"""Settling: a committed grant comes to rest in the OS keyring, and is fetched from there.

Rules
-----
* Commit is the journal's; settling only moves the resting place.  The journal keeps its sealed copy until the entry
  was read back, and lets go of it only if no newer grant has come meanwhile.
* Which grant counts, and whether one may be written, is judged by `claims`.
* One task, one account after the other: a keyring is slow for everybody at once, and an erasure must never meet a
  late write.  It waits longer after each failure and begins again after a restart.
* A write that was given up may still land: before writing again the entry is looked at.
* A keyring that held the vault's sealing key and does not hold it any more is not the one that this vault knows: its
  files are gone, or it is somebody else's.  The journal keeps its copies until the right one is back.
* What fails for one account alone is said of it alone, and holds up no other; where a second one fails too, the keyring
  is at fault, and all who wait are told to be unsettled.
* While grants rest in the journal (`takes`) nothing is written to the keyring, and the journal lets go of nothing.  A
  record that is called home has its entries erased once the journal holds a grant that opens.
* Must not: hold up anybody's commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from freshd.core.model import Grant
from freshd.errors import FreshdError, KeyringUnavailable
from freshd.ports import Custodian
from freshd.vault import entries, keys, records, rows, upkeep
from freshd.vault.calls import Calls
from freshd.vault.claims import Claims
from freshd.vault.entries import Place
from freshd.vault.reader import Reader
from freshd.vault.records import Row
from freshd.vault.rest import Rest, key_of
from freshd.vault.seal import Seal
from freshd.vault.writer import Writer

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""A person who unlocks the keyring should not wait longer than this for freshd to notice."""
AT_FAULT: Final = 2
"""Jobs that fail in a row, after which it is not one account's entry that fails, but the keyring."""


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
    """Entries of a record that is forgotten, or called home, still to be erased."""

    account: str
    rid: str


Job = str | Erasure
"""An account to settle, or an erasure."""


class Settler:
    """Moves grants between journal and keyring.  `takes`: whether they come to rest there; a move turns it."""

    def __init__(self, desk: Desk, *, takes: bool) -> None:
        self._desk = desk
        self.takes = takes
        self.rest = Rest(desk.shelf, desk.calls, desk.seal, desk.vault)
        self.claims = Claims(self.rest, desk.reader, desk.writer, desk.wall)
        self._jobs: dict[Job, None] = {}
        self._waiters: dict[Erasure, asyncio.Future[None]] = {}
        self._failing: set[Job] = set()
        self._was_home = False
        self._more = asyncio.Event()
        self._again = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="freshd-settle")

    # -- what is asked of it -------------------------------------------------------------------------------

    def want(self, job: Job) -> None:
        """Do this in the background, in its turn."""
        self._jobs.setdefault(job)
        self._more.set()
        if job not in self._failing:
            self._again.set()

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

    @property
    def shelf(self) -> Shelf:
        """The keyring."""
        return self._desk.shelf

    def retry(self) -> None:
        """Do not wait for the pause to end: the keyring answers again."""
        self._again.set()

    async def fetch(self, row: Row) -> tuple[Row, Grant]:
        """The grant that rests in the keyring, and the row it belongs to.  Raises KeyringUnavailable."""
        found = await self.claims.fetch(row)
        self.retry()
        return found

    async def stop(self) -> None:
        """End the task; what is wanted is found again at the next start."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # -- the task ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause, failed = FIRST_PAUSE_SECONDS, set[Job]()
        with contextlib.suppress(FreshdError):
            await self._must_be_home()
        while True:
            await self._more.wait()
            job = self._next()
            if job is None:
                self._more.clear()
                continue
            del self._jobs[job]  # first: whoever wants it again meanwhile means something newer
            if await self._is_done(job):
                pause = FIRST_PAUSE_SECONDS
                failed.clear()
                continue
            self._jobs.setdefault(job)
            failed.add(job)
            if len(failed) >= AT_FAULT:
                self._tell_all()
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _next(self) -> Job | None:
        """Those that have not failed go first: one that fits no keyring holds up nobody."""
        fresh = (job for job in self._jobs if job not in self._failing)
        return next(fresh, None) or next(iter(self._jobs), None)

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

    def _tell_all(self) -> None:
        """Whoever waits is not settled either, and rotates only when it must."""
        for job in self._jobs:
            if isinstance(job, str) and job not in self._failing:
                self._failing.add(job)
                self._desk.on_settled(job, False)  # noqa: FBT003 - the vault's callback

    def _tell(self, job: Job, *, settled: bool) -> None:
        if isinstance(job, Erasure):
            if settled and (waiter := self._waiters.pop(job, None)) is not None and not waiter.done():
                waiter.set_result(None)
        elif job not in self._failing and not (settled and job in self._jobs):  # once; a newer grant may be on its way
            self._desk.on_settled(job, settled)
        if not settled:
            self._failing.add(job)

    # -- one account ---------------------------------------------------------------------------------------

    async def _settle(self, account: str) -> None:
        """Write, read back, let go of the journal's copy."""
        desk = self._desk
        if not self.takes:
            return
        row = await desk.reader.ask(lambda db: rows.find(db, account))
        if row is None or row.grant_blob is None or not await self.claims.may_write(row):
            return
        place, slot = self.rest.place(row), entries.slot_of(row.grant_generation)
        if not (account in self._failing and await self._holds(row)):
            await desk.calls.run(key_of(place, slot), self._putting(row))
            if not await self._holds(row):
                raise KeyringUnavailable(f"{desk.shelf.name} did not give back what was written", "freshd doctor")
        await self._must_be_home()

        def apply(db: sqlite3.Connection) -> bool:
            return self.takes and upkeep.settled(db, row)

        is_kept = await desk.writer.ask(apply, lambda _db, done: not done, wall=desk.wall())
        if is_kept:  # a newer grant came meanwhile, or it is called home
            self.want(account)

    def _putting(self, row: Row) -> Callable[[], None]:
        """The call that writes the entry, its first part last: before that the others mean nothing."""
        desk, place = self._desk, self.rest.place(row)
        slot = entries.slot_of(row.grant_generation)
        grant = records.grant_of(desk.seal, row)
        if grant is None:
            raise KeyringUnavailable(f"{row.account} is settled already", "nothing")
        parts = entries.written(desk.seal, place, row.grant_generation, grant, desk.shelf.longest)

        def put() -> None:
            for number, part in reversed(list(enumerate(parts))):
                desk.shelf.put(place.service(slot, number), place.account, part)

        return put

    async def _holds(self, row: Row) -> bool:
        return await self.rest.grant(row) is not None

    async def _must_be_home(self) -> None:
        """Raises KeyringUnavailable where the keyring held this vault's sealing key, and does not any more."""
        desk = self._desk
        service = keys.service_of(desk.vault)
        if await desk.calls.run(service, lambda: desk.shelf.get(service, keys.KEY_ENTRY)) is not None:
            self._was_home = True
        elif self._was_home:
            raise KeyringUnavailable(
                f"{desk.shelf.name} does not hold the sealing key any more: this vault knows another keyring",
                "bring the keyring's files back; until then the journal keeps every grant",
            )

    async def _erase(self, erasure: Erasure) -> None:
        desk = self._desk
        account, rid = erasure.account, erasure.rid
        may, row = await desk.reader.ask(
            lambda db: (upkeep.may_erase(db, desk.seal, account, rid), rows.find(db, account))
        )
        if not may or (row is not None and row.rid == rid and not await self.claims.may_erase(row)):
            return  # it is asked for again once the journal holds the grant
        for slot in entries.SLOTS:
            await self.rest.wipe(Place(desk.vault, account, rid), slot)
        await desk.writer.ask(lambda db: upkeep.erased(db, account, rid), lambda _db, _: None, wall=desk.wall())
