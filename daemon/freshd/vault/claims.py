"""Claims: which grant of an account counts, the journal's or one that an OS keyring shows.

Rules
-----
* The order is that of generations.  An entry above the journal's grant means that the journal is an old copy, and the
  highest valid one is taken up; what it takes the place of is set aside unless the copy had been noticed.
* Generations of two copies that both went on say nothing of each other.  There the journal's grant wins if it came
  after holds were made (`holds`: it is not dated): the keyring's was obtained before that.  A dated one gives way.
  No wall clock is compared: it may have been set between two grants.
* Of an account that is held back no entry is written over which this journal does not know.  After the decision that
  may be necessary, and then it is set aside first (`quarantine`), as is what goes because the journal's grant wins.
  What was set aside does not count, though the keyring should show it again.
* Nothing is taken up while an attempt of this journal's is under way: its answer would find itself stale.
* In a journal that was never a copy this is looked at once for each account and start: what is written from then on
  is this process's.
* No valid entry is KeyringUnavailable, never an absent grant.
* What it cannot see: which of two is later where nobody ever noticed that the journal is a copy.
* Must not: write a grant to the keyring.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from freshd.core.model import Grant
from freshd.errors import KeyringUnavailable
from freshd.vault import entries, fingerprints, holds, quarantine, records, upkeep
from freshd.vault.entries import Found
from freshd.vault.holds import Stand
from freshd.vault.reader import Reader
from freshd.vault.records import Row
from freshd.vault.rest import Rest
from freshd.vault.writer import Writer

Stranger = tuple[str, Found]
"""An entry that the journal does not know, and the id of the record that it belongs to."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What judges between a journal and the entries of its accounts in one keyring."""

    rest: Rest
    reader: Reader
    writer: Writer
    wall: Callable[[], float]
    _seen: set[str] = field(default_factory=set)

    # -- what is taken up ----------------------------------------------------------------------------------

    async def fetch(self, row: Row) -> tuple[Row, Grant]:
        """The grant that rests in the keyring, and the row it belongs to.  Raises KeyringUnavailable."""
        looked = await self._look(row)
        later = await self._counting(row, looked)
        if later:
            return await self._adopt(row, later), _highest(later).grant
        for one in looked:
            if (one.generation, one.digest) == (row.grant_generation, row.grant_digest):
                return row, one.grant
        raise KeyringUnavailable(
            f"{self.rest.shelf.name} shows no valid entry for {row.account}",
            f"unlock it, or bring its entries back; if they are lost: freshd enrol {row.account}",
        )

    async def latest(self, row: Row) -> tuple[Row, Grant] | None:
        """What `take_up` finds; None too while an attempt is under way.  Raises KeyringUnavailable."""
        stand = await self._stand(row)
        return None if stand.is_under_way else await self._take_up(row, stand, await self._look(row))

    async def take_up(self, row: Row) -> tuple[Row, Grant] | None:
        """A later grant than the one that the journal holds: it is taken up, not lost.  None where there is none.

        Raises KeyringUnavailable, also where there is one and an attempt is under way.
        """
        return await self._take_up(row, await self._stand(row), await self._look(row))

    async def _take_up(self, row: Row, stand: Stand, looked: Sequence[Found]) -> tuple[Row, Grant] | None:
        later = [] if stand.is_ahead else await self._counting(row, looked)
        if not later:
            return None
        if stand.is_under_way:
            raise KeyringUnavailable(
                f"{self.rest.shelf.name} holds a later grant of {row.account}, and a call is under way with an old one",
                f"freshd goes on when that has ended: freshd explain {row.account}",
            )
        if not stand.is_branched:
            await self._set_aside(row, [(row.rid, _kept(self.rest, row))])
        return await self._adopt(row, later), _highest(later).grant

    # -- what may go ---------------------------------------------------------------------------------------

    async def may_write(self, row: Row) -> bool:
        """Whether the journal's grant is the one that counts, and nothing is lost when it comes to rest.

        Raises KeyringUnavailable.
        """
        stand = await self._stand(row)
        if not stand.is_branched and row.account in self._seen:
            return True
        looked = await self._look(row)
        if await self._take_up(row, stand, looked) is not None:
            return False
        strangers = await self._strangers(row, (entries.slot_of(row.grant_generation),))
        if stand.is_held and strangers:
            return False
        await self._set_aside(row, strangers)
        await self._clear(row, looked)
        self._seen.add(row.account)
        return True

    async def may_erase(self, row: Row) -> bool:
        """Whether the entries of a record that is called home may go.  Raises KeyringUnavailable."""
        stand, looked = await self._stand(row), await self._look(row)
        if not stand.is_ahead and await self._counting(row, looked):
            return False
        await self._set_aside(row, await self._strangers(row, entries.SLOTS))
        return True

    async def _clear(self, row: Row, looked: Sequence[Found]) -> None:
        """What lies above the journal's grant goes: it must not be taken for one that came after."""
        above = [one for one in looked if one.generation > row.grant_generation]
        await self._set_aside(row, [(row.rid, one) for one in above])
        for one in above:
            await self.rest.wipe(self.rest.place(row), entries.slot_of(one.generation))

    # -- looking and writing -------------------------------------------------------------------------------

    async def _stand(self, row: Row) -> Stand:
        return await self.reader.ask(lambda db: holds.stand(db, row.account))

    async def _look(self, row: Row) -> list[Found]:
        """Every entry of this life of the account."""
        place = self.rest.place(row)
        looked = await asyncio.gather(*(self.rest.look(place, slot) for slot in entries.SLOTS))
        return [one for one in looked if one is not None]

    async def _counting(self, row: Row, looked: Sequence[Found]) -> list[Found]:
        """Those above the journal's grant that were not set aside."""
        above = [one for one in looked if one.generation > row.grant_generation]

        def question(db: sqlite3.Connection) -> list[Found]:
            return [one for one in above if not quarantine.knows_grant(db, row.account, one.digest)]

        return await self.reader.ask(question) if above else []

    async def _strangers(self, row: Row, slots: Sequence[str]) -> list[Stranger]:
        """What lies in these entries and is not this journal's, of whatever life of the account."""
        found = [await self._stranger(row, slot) for slot in slots]
        return [one for one in found if one is not None]

    async def _stranger(self, row: Row, slot: str) -> Stranger | None:
        place, seal = self.rest.place(row), self.rest.seal
        rid = await self.rest.life(place, slot)
        one = None if rid is None else await self.rest.look(replace(place, rid=rid), slot)
        if rid is None or one is None or one.digest == row.grant_digest:
            return None
        held = one.grant.secrets.values()

        def question(db: sqlite3.Connection) -> bool:
            is_known = all(fingerprints.knows(db, seal, row.account, secret) for secret in held)
            return is_known or ((row.account, rid) in upkeep.erasing(db) and rid != row.rid)

        return None if await self.reader.ask(question) else (rid, one)

    async def _set_aside(self, row: Row, found: Sequence[Stranger]) -> None:
        seal, wall = self.rest.seal, self.wall()

        def apply(db: sqlite3.Connection) -> None:
            for rid, one in found:
                quarantine.keep_grant(db, seal, row.account, rid, one, wall)

        if found:
            await self.writer.ask(apply, lambda _db, _: None, wall=wall)

    async def _adopt(self, row: Row, later: Sequence[Found]) -> Row:
        seal = self.rest.seal
        return await self.writer.ask(
            lambda db: upkeep.adopt(db, seal, row, later), lambda _db, new: new, wall=self.wall()
        )


def _highest(found: Sequence[Found]) -> Found:
    return max(found, key=attrgetter("generation"))


def _kept(rest: Rest, row: Row) -> Found:
    """The grant that the journal holds, as an entry of it would be found."""
    grant = records.grant_of(rest.seal, row)
    if grant is None or row.grant_digest is None:
        raise KeyringUnavailable(f"{row.account} is settled already", "nothing")
    return Found(row.grant_generation, row.grant_digest, grant)
