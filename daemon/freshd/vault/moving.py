"""Moving: grants change their resting place, and the key its custodian, while every account is served and renewed.

Home, from a keyring to the journal: one commit calls every record home (table `erasing`); from then on nothing is
written to the keyring.  Grant by grant is fetched, committed sealed into the journal and read back; only then are its
entries erased.

Out, from the journal to a keyring: one commit takes that back; from then on grants settle there as ever.

Rules
-----
* Home before the key is handed over, out after it: the keyring that holds grants is one that holds the key.
* A grant is at each instant where its row says, and can be fetched from there.
* What has to be brought home is what the journal says, not what was begun: a move goes on after whatever ended the
  process, and one that is turned round half-way goes back.
* A record that does not open stays where it is, with its entries, and holds nothing else up.
* Must not: spend, or hold up anybody's commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from freshd.core.model import Grant
from freshd.errors import ConfigError, FreshdError, KeyringUnavailable, StoreError
from freshd.ports import Custodian
from freshd.vault import names, records, rows, upkeep
from freshd.vault.names import Names
from freshd.vault.records import Broken, Row
from freshd.vault.seal import Seal
from freshd.vault.settle import Erasure, Settler, Shelf

if TYPE_CHECKING:
    from freshd.vault.opening import Opening, Unsealed

AT_ONCE: Final = 4
"""Grants fetched at once: as many as calls into a custodian there are (`calls`)."""


def is_wanted(placement: str, target: Custodian, stands: Names) -> bool:
    """Whether grants or key rest elsewhere than they should."""
    keepers = {stands.custodian, *(one.custodian for one in (stands.next,) if one is not None)}
    return keepers != {target.name} or stands.shelf != (target.name if placement == "keyring" else "")


class Homecoming:
    """Brings every grant of one keyring into the journal.  `moved`: how many came; `left`: how many have not."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._unsealed: Unsealed = opening.unsealed()
        self.moved = 0
        self.left = 0

    async def run(self) -> None:
        """Until nothing that opens rests in the keyring.  Raises FreshdError where it cannot go on now."""
        settler = self._unsealed.settler
        if settler is None:
            raise KeyringUnavailable("the keyring in which grants rest is not known any more", "freshd doctor")
        await self._call(settler)
        await self._fetch_all(settler)
        await self._erase_all(settler)
        await self._write(self._forget_shelf, "home-done")

    async def _call(self, settler: Settler) -> None:
        self._unsealed.journal.keyring = settler.takes = False
        await self._write(upkeep.call_home, "home-called")
        for account in await self._ask(upkeep.held):
            self._opening.tell_settled(account)
        await self._take_up(settler)
        for account, rid in await self._ask(upkeep.erasing):
            settler.want(Erasure(account, rid))

    async def _take_up(self, settler: Settler) -> None:
        """What the keyring has of later than the journal comes home as well: it may be an old copy."""
        for account in await self._ask(upkeep.held):
            row = await self._ask(partial(rows.find, account=account))
            if row is not None and _opens(self._unsealed.seal, row):
                await settler.claims.take_up(row)

    async def _fetch_all(self, settler: Settler) -> None:
        troubles: list[FreshdError] = []
        seen: set[str] = set()
        while found := [account for account in await self._ask(upkeep.resting) if account not in seen]:
            for start in range(0, len(found), AT_ONCE):
                some = found[start : start + AT_ONCE]
                seen.update(some)
                self.left = len(found) - start
                told = await asyncio.gather(*(self._fetch(settler, account) for account in some))
                troubles += [one for one in told if one is not None]
        self.left = len(await self._ask(upkeep.resting))
        if troubles:
            raise troubles[0]

    async def _fetch(self, settler: Settler, account: str) -> FreshdError | None:
        """One grant; why it could not come now, if it is not its record that is at fault."""
        seal = self._unsealed.seal
        row = await self._ask(lambda db: rows.find(db, account))
        if row is None or not row.rests_in_keyring:
            return None
        try:
            records.about_of(seal, row)
            row, grant = await settler.fetch(row)
            if await self._take_in(row, grant):
                self.moved += 1
                settler.want(Erasure(account, row.rid))
        except Broken:
            return None
        except FreshdError as error:
            return error
        return None

    async def _take_in(self, row: Row, grant: Grant) -> bool:
        seal = self._unsealed.seal

        def prove(db: sqlite3.Connection, done: bool) -> bool:  # noqa: FBT001 - what `apply` returned
            found = rows.find(db, row.account)
            if done and not (found is not None and found.rid == row.rid and _opens(seal, found)):
                raise StoreError(f"the grant of {row.account} was not read back", "look at the disk: dmesg")
            return done

        def apply(db: sqlite3.Connection) -> bool:
            return upkeep.come_home(db, seal, row, grant)

        wall = self._opening.setup.wall()
        return await self._opening.writer.ask(apply, prove, wall=wall, point="grant-home")

    async def _erase_all(self, settler: Settler) -> None:
        for account, rid in await self._ask(upkeep.erasing):
            await settler.erase(Erasure(account, rid))

    def _forget_shelf(self, db: sqlite3.Connection) -> None:
        """Nothing rests there any more; what is broken may, and its keyring is remembered."""
        if not upkeep.resting(db):
            names.write(db, replace(names.read(db), shelf=""))

    async def _ask(self, question: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401 - as the reader has it
        return await self._opening.reader.ask(question)

    async def _write(self, change: Callable[[sqlite3.Connection], None], point: str) -> None:
        await self._opening.writer.ask(change, lambda _db, _: None, wall=self._opening.setup.wall(), point=point)


class Leaving:
    """Lets every grant come to rest in a keyring.  `moved`, `left`: as of `Homecoming`."""

    def __init__(self, opening: Opening, shelf: Custodian, worry: Callable[[FreshdError], None]) -> None:
        self._shelf = must_keep_grants(shelf)
        self._opening = opening
        self._worry = worry
        self._wanted: set[str] = set()
        self._news = asyncio.Event()
        self.moved = 0

    @property
    def left(self) -> int:
        """How many have not come to rest yet."""
        return len(self._wanted)

    async def run(self) -> None:
        """Until every grant that opens has come to rest; what fails is told, and tried again by the settler."""
        settler, unsealed = self._settler(), self._opening.unsealed()

        def turn(db: sqlite3.Connection) -> None:
            upkeep.keep_entries(db)
            names.write(db, replace(names.read(db), shelf=self._shelf.name))

        await self._opening.writer.ask(turn, lambda _db, _: None, wall=self._opening.setup.wall(), point="sent-out")
        unsealed.journal.keyring = settler.takes = True
        self._wanted = set(await self._opening.reader.ask(self._held))
        for account in self._wanted:
            settler.want(account)
        while self._wanted:
            await self._news.wait()
            self._news.clear()

    def hear(self, account: str, *, settled: bool) -> None:
        """A grant came to rest, or could not yet."""
        if settled and account in self._wanted:
            self._wanted.discard(account)
            self.moved += 1
        if not settled:
            self._worry(
                KeyringUnavailable(f"{self._shelf.name} does not take every grant yet", "unlock it, or: freshd doctor")
            )
        self._news.set()

    def _settler(self) -> Settler:
        unsealed = self._opening.unsealed()
        if unsealed.settler is None:
            unsealed.settler = self._opening.settler(self._shelf, unsealed.seal, unsealed.places.vault, takes=False)
        return unsealed.settler

    def _held(self, db: sqlite3.Connection) -> list[str]:
        """Accounts whose grant the journal holds and can read."""
        seal, found = self._opening.unsealed().seal, ((account, rows.find(db, account)) for account in upkeep.held(db))
        return [account for account, row in found if row is not None and _opens(seal, row)]


def _opens(seal: Seal, row: Row) -> bool:
    """Whether the journal holds this record's grant, and can read it."""
    try:
        records.about_of(seal, row)
        return records.grant_of(seal, row) is not None
    except Broken:
        return False


def must_keep_grants(custodian: Custodian) -> Shelf:
    """The custodian as one that keeps grants.  Raises ConfigError."""
    if not isinstance(custodian, Shelf):
        raise ConfigError(f"{custodian.name} keeps a sealing key, no grants", 'set [vault] placement = "sealed"')
    return custodian
