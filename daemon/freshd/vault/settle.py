"""Settling: a committed grant comes to rest in the OS keyring, and is fetched from there.

Rules
-----
* Commit is the journal's; settling only moves the resting place.  The journal keeps its sealed copy until the entry
  was read back, and lets go of it only if no newer grant has come meanwhile.
* Nothing in the keyring is deleted or flipped but by `forget`.  The highest valid entry not below the journal wins;
  one above it means that the journal is an old copy, and is adopted.  Before an account that is held back writes, it
  looks for such a one, and writes over no other life of the account.
* In a journal that was an old copy once (`branch`), a grant that came after that may have a lower generation than what
  the keyring holds of before.  The one that was obtained later wins; the other goes.
* One task, one account after the other: a keyring is slow for everybody at once, and an erasure must never meet a
  late write.  It waits longer after each failure and begins again after a restart.
* A write that was given up may still land: before writing again the entry is looked at.
* A keyring that held the vault's sealing key and does not hold it any more is not the one that this vault knows: its
  files are gone, or it is somebody else's.  The journal keeps its copies until the right one is back.
* What fails for one account alone is said of it alone, and holds up no other; where a second one fails too, the keyring
  is at fault, and all who wait are told to be unsettled.
* While grants rest in the journal (`takes`) nothing is written to the keyring, and the journal lets go of nothing.  A
  record that is called home has its entries erased once the journal holds a grant that opens.
* No valid entry is KeyringUnavailable, never an absent grant.
* Must not: hold up anybody's commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, runtime_checkable

from freshd.core.model import Grant
from freshd.errors import FreshdError, KeyringUnavailable
from freshd.ports import Custodian
from freshd.vault import entries, holds, keys, records, rows, upkeep
from freshd.vault.calls import Calls
from freshd.vault.entries import Found, Place
from freshd.vault.reader import Reader
from freshd.vault.records import About, Row
from freshd.vault.rest import Rest, key_of, wipe
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
        place = self.rest.place(row)
        looked = await asyncio.gather(*(self.rest.look(place, slot) for slot in entries.SLOTS))
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
        row, held = await desk.reader.ask(lambda db: (rows.find(db, account), holds.read(db)))
        if row is None or row.grant_blob is None:
            return
        if held.branch and not await self._may_write(row, is_held=account in held.accounts):
            return
        place, slot = self.rest.place(row), entries.slot_of(row.grant_generation)
        if not (account in self._failing and await self._holds(row)):
            await desk.calls.run(key_of(place, slot), self._putting(row))
            if not await self._holds(row):
                raise KeyringUnavailable(f"{desk.shelf.name} did not give back what was written", "freshd doctor")
        await self._must_be_home()

        def apply(db: sqlite3.Connection) -> bool:
            return self.takes and upkeep.settled(db, row)

        kept = await desk.writer.ask(apply, lambda _db, done: not done, wall=desk.wall())
        if kept:  # a newer grant came meanwhile, or it is called home
            self.want(account)

    async def latest(self, row: Row) -> tuple[Row, Grant] | None:
        """A later grant than this journal's, which is an old copy: it is taken up, not lost.  None where there is none.

        Raises KeyringUnavailable.
        """
        later = await self._later(row)
        if not later:
            return None
        best = max(later, key=lambda one: one.generation)
        return await self._adopt(row, best), best.grant

    async def _later(self, row: Row) -> list[Found]:
        looked = [await self.rest.look(self.rest.place(row), slot) for slot in entries.SLOTS]
        return [one for one in looked if one is not None and one.generation > row.grant_generation]

    async def _may_write(self, row: Row, *, is_held: bool) -> bool:
        """Whether the journal's grant is the one that counts, in a journal that was an old copy once."""
        place, slot = self.rest.place(row), entries.slot_of(row.grant_generation)
        if is_held:
            return not await self.rest.is_anothers(place, slot) and await self.latest(row) is None
        later, own = await self._later(row), _kept(self._desk.seal, row)
        if any(one.grant.obtained.wall > own.obtained.wall for one in later):
            return await self.latest(row) is None
        for one in later:  # of before: it must not be taken for one that came after
            stale = entries.slot_of(one.generation)
            await self._desk.calls.run(key_of(place, stale), partial(wipe, self._desk.shelf, place, stale))
        return True

    def _putting(self, row: Row) -> Callable[[], None]:
        """The call that writes the entry, its first part last: before that the others mean nothing."""
        desk, place = self._desk, self.rest.place(row)
        slot = entries.slot_of(row.grant_generation)
        grant = _kept(desk.seal, row)
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

    async def _adopt(self, row: Row, one: Found) -> Row:
        desk = self._desk

        def apply(db: sqlite3.Connection) -> Row:
            return upkeep.adopt(db, desk.seal, row, About.of(one.grant), one.generation, one.digest)

        return await desk.writer.ask(apply, lambda _db, new: new, wall=desk.wall())

    async def _erase(self, erasure: Erasure) -> None:
        desk = self._desk
        account, rid = erasure.account, erasure.rid
        if not await desk.reader.ask(lambda db: upkeep.may_erase(db, desk.seal, account, rid)):
            return  # it is asked for again once the journal holds the grant
        place = Place(desk.vault, account, rid)
        for slot in entries.SLOTS:
            await desk.calls.run(key_of(place, slot), partial(wipe, desk.shelf, place, slot))
        await desk.writer.ask(lambda db: upkeep.erased(db, account, rid), lambda _db, _: None, wall=desk.wall())


def _kept(seal: Seal, row: Row) -> Grant:
    grant = records.grant_of(seal, row)
    if grant is None:
        raise KeyringUnavailable(f"{row.account} is settled already", "nothing")
    return grant
