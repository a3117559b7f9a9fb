"""Guard: whether this journal is the newest of its kind, and what is held back as long as nobody has decided that.

Rules
-----
* Looked at once per start, before anything is presented.  What is found old is held back in the journal itself, so
  that each account stays held over restarts until somebody decides about that account.
* Holds that could not be written count all the same, for everybody, until the end of the process.
* While the anchor differs, or nobody could look at it, none is written.
* Must not: keep the vault from opening, or from closing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection
from typing import Final

from freshd.errors import FreshdError, StoreError
from freshd.vault import holds
from freshd.vault.anchor import Difference, Watch
from freshd.vault.holds import Holds
from freshd.vault.reader import Reader
from freshd.vault.writer import Writer

NO_LOCK: Final = "its lock file was taken away, so whether its last commits are missing cannot be told"


class Guard:
    """One per unsealed vault.  `why`: why accounts are held back, or the journal is taken for an old one; else None."""

    def __init__(self, watch: Watch, reader: Reader, writer: Writer, wall: Callable[[], float]) -> None:
        self.watch = watch
        self._reader = reader
        self._writer = writer
        self._wall = wall
        self._looked = False
        self._agrees = False
        self._unwritten: Difference | None = None
        self.why: str | None = None

    async def look(self, *, without_lock: bool = False) -> bool:
        """Compare journal and anchor.  Raises nothing; whether what a missing lock file means is in the journal now.

        `without_lock`: somebody took the lock file away, and with it what would tell of commits that are missing.
        """
        with contextlib.suppress(FreshdError):
            found = await self._reader.ask(holds.read)
            self.why = found.why
            difference = await self._compared(found)
            if difference is None and without_lock and await self._reader.ask(holds.is_any_at_stake):
                difference = Difference(NO_LOCK, f"lock {self._writer.commits}")
            if difference is not None:
                await self._differs(difference, found)
            elif self._looked:
                await self._settle_here(found)
                self._agrees = True
                await self.watch.try_write(self._writer.commits, found.branch, self._wall())
            return self._unwritten is None
        return False

    async def _compared(self, found: Holds) -> Difference | None:
        """None too where nobody can look now: that is done later."""
        with contextlib.suppress(FreshdError):
            difference = await self.watch.compare(self._writer.commits, found)
            self._looked = True
            return difference
        return None

    async def _differs(self, difference: Difference, found: Holds) -> None:
        self.why = self.why or difference.why
        if difference.evidence == found.evidence:
            return
        self._unwritten = difference
        with contextlib.suppress(StoreError):
            await self._write_holds()

    async def _write_holds(self) -> None:
        """Those that could not be written yet.  Raises StoreError."""
        lacking = self._unwritten
        if lacking is not None:
            await self._write(lambda db: holds.hold(db, lacking.why, lacking.evidence))
            self._unwritten = None

    async def _settle_here(self, found: Holds) -> None:
        machine = self.watch.machine
        if machine not in ("", found.machine):
            await self._write(lambda db: holds.settle_here(db, machine))

    def stand_on(self, watch: Watch) -> None:
        """Another custodian keeps the anchor from now on."""
        self.watch = watch

    async def held(self) -> Callable[[str], str | None]:
        """Tells of an account why it is held back, None where it is not."""
        found = await self._reader.ask(holds.read)
        return lambda account: self.why if self._unwritten is not None or account in found.accounts else None

    async def accept(self, accounts: Collection[str]) -> None:
        """Somebody decided about these accounts, and so that this journal goes on: anchor it, then hold them no longer.

        Raises KeyringUnavailable or StoreError; they are held over the next start then.
        """
        await self._write_holds()  # first: those of the others must outlive what the anchor tells of now
        branch = (await self._reader.ask(holds.read)).branch
        await self.watch.write(self._writer.commits, branch, self._wall())
        machine = self.watch.machine

        def decide(db: sqlite3.Connection) -> bool:
            holds.settle_here(db, machine)
            return holds.release(db, accounts)

        is_left = await self._writer.ask(decide, lambda _db, left: left, wall=self._wall(), vital=True)
        self._looked = self._agrees = True
        self.why = self.why if is_left else None

    async def anchor(self) -> None:
        """Anchor the journal where it stands, unless it is in question.  Raises KeyringUnavailable or StoreError."""
        if not self._looked:
            await self.look()
        elif self._agrees:
            branch = (await self._reader.ask(holds.read)).branch
            await self.watch.write(self._writer.commits, branch, self._wall())

    async def _write(self, apply: Callable[[sqlite3.Connection], None]) -> None:
        await self._writer.ask(apply, lambda _db, _: None, wall=self._wall(), vital=True)
