"""The vault: the port's calls, each a request to the journal; where grants come to rest is `settle`'s business, how
it all begins `opening`'s.

Rules
-----
* Every call but `open`, `pause` and `aclose` raises VaultLocked until the sealing key is there.
* What a caller is told was read back on a second connection after the fsync.
* The wall clock is read when a call is made; the highest one ever seen is written with every commit.
* Must not: keep a grant's plain value between calls.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from freshd.core.model import Change, Grant, Intent, Record, Secret, Standing
from freshd.core.outcome import Reply
from freshd.core.pace import Row as PaceRow
from freshd.errors import KeyringUnavailable, StoreError, VaultLocked
from freshd.ports import Line
from freshd.vault import holds, ledger, records, upkeep
from freshd.vault.care import Care
from freshd.vault.journal import Journal
from freshd.vault.opening import Opening, Setup, Unsealed
from freshd.vault.records import Broken, IntentRow
from freshd.vault.rows import find
from freshd.vault.rows import intent as intent_row
from freshd.vault.settle import Erasure

T = TypeVar("T")


class JournalVault:
    """Implements `ports.Vault`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._opening = Opening(setup)
        self._writer = self._opening.writer
        self._reader = self._opening.reader
        self._unsealed: Unsealed | None = None
        self._broken: frozenset[str] = frozenset()

    @property
    def high_water(self) -> float:
        """The highest wall time the journal ever saw; known as soon as the lock is taken, locked or not."""
        return self._writer.high_water

    @property
    def rolled_back(self) -> str | None:
        """Why this journal is taken for an old or copied one: secrets it holds may be spent.  None where it is not."""
        return None if self._unsealed is None else self._unsealed.guard.why

    @property
    def care(self) -> Care:
        """What operators may do with the vault as a whole while it is open."""
        return self._opening.care

    # -- opening and closing -------------------------------------------------------------------------------

    async def open(self) -> Mapping[str, Standing]:
        """See the port.  Raises AlreadyRunning, StoreError, VaultForeign, VaultLocked; after the last, call again."""
        await self._opening.begin()
        if self._unsealed is None:
            self._unsealed = await self._opening.unlock()
        journal = self._unsealed.journal
        standings = await self._reader.ask(journal.standings)
        held = await self._unsealed.guard.held()
        standings = {name: replace(one, held_back=held(name)) for name, one in standings.items()}
        await self._keep_broken(journal, standings.values())
        await self._resume(journal, standings.values())
        return MappingProxyType(standings)

    async def _keep_broken(self, journal: Journal, standings: Iterable[Standing]) -> None:
        broken = [(one.account, one.broken) for one in standings if one.broken is not None]
        self._broken = frozenset(account for account, _ in broken)
        for account, why in broken:
            wall = self._setup.wall()
            keep = partial(journal.keep_broken, account=account, why=why, wall=wall)
            await self._writer.ask(keep, _nothing, wall=wall)

    async def _resume(self, journal: Journal, standings: Iterable[Standing]) -> None:
        """Settling and erasing go on where the last process left them."""
        for account, rid in await self._reader.ask(upkeep.erasing):
            self._want(Erasure(account, rid))
        for standing in standings:
            self._settle(standing)

    def _settle(self, standing: Standing) -> None:
        if not standing.settled and standing.broken is None:
            self._want(standing.account)

    def _want(self, job: str | Erasure) -> None:
        if self._unsealed is not None and self._unsealed.settler is not None:
            self._unsealed.settler.want(job)

    async def aclose(self) -> None:
        """Finish what was asked for, write the anchor, close the files, let go of the lock."""
        unsealed, self._unsealed = self._unsealed, None
        await self._opening.end(unsealed)

    def _open(self) -> Unsealed:
        if self._unsealed is None:
            raise VaultLocked("the vault is locked: its sealing key is not there yet", "unlock the keyring")
        return self._unsealed

    # -- the anchor ----------------------------------------------------------------------------------------

    async def anchor(self) -> None:
        """Anchor the journal where it stands: hourly.  Does nothing while it is in question, or without ground.

        Raises KeyringUnavailable or StoreError.
        """
        await self._open().guard.anchor()

    async def accept(self, accounts: Collection[str]) -> None:
        """See the port.  Raises as `anchor`."""
        await self._open().guard.accept(accounts)
        for account in set(await self._reader.ask(upkeep.held)).intersection(accounts):
            self._want(account)

    # -- reading -------------------------------------------------------------------------------------------

    async def paces(self) -> Mapping[str, PaceRow]:
        """The pace ledger."""
        self._open()
        return MappingProxyType(await self._reader.ask(ledger.paces))

    async def read(self, account: str) -> Record:
        """The record with its secrets, wherever they rest.

        Of a record that `open` told to be broken only the generation: so much an enrolment needs to replace it.
        """
        unsealed = self._open()
        seal = unsealed.seal
        row, is_dated = await self._reader.ask(lambda db: (find(db, account), holds.is_dated(db, account)))
        if row is None:
            return Record(account)
        try:
            if not row.rests_in_keyring:
                later = await self._latest(row) if is_dated else None
                if later is not None:
                    return records.record_of(seal, *later)
                return records.record_of(seal, row, records.grant_of(seal, row))
            row, grant = await self._fetch(row)
            return records.record_of(seal, row, grant)
        except Broken as broken:
            if account in self._broken:
                return Record(account, row.generation)
            raise _damaged(account, broken) from None

    async def _latest(self, row: records.Row) -> tuple[records.Row, Grant] | None:
        """Of a grant as old as a copied journal: what the keyring has of later.  It is taken up before one is spent."""
        settler = self._open().settler
        return None if settler is None or not settler.takes else await settler.claims.latest(row)

    async def _fetch(self, row: records.Row) -> tuple[records.Row, Grant]:
        settler = self._open().settler
        if settler is None:
            raise KeyringUnavailable(
                f"the grant of {row.account} rests in the OS keyring, and {self._setup.custodian.name} is none",
                'set [vault] placement = "keyring" again',
            )
        return await settler.fetch(row)

    async def _unbroken(self, account: str, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reader.ask(question)
        except Broken as broken:
            raise _damaged(account, broken) from None

    async def escrowed(self, account: str) -> tuple[Intent, Reply] | None:
        """What an exchange that did not end has left, if it got as far as its reply."""
        unsealed = self._open()
        seal = unsealed.seal

        def question(db: sqlite3.Connection) -> tuple[Intent, Reply] | None:
            row = intent_row(db, account)
            reply = None if row is None else records.reply_of(seal, row)
            return None if row is None or reply is None else (records.intent_of(seal, row), reply)

        return await self._unbroken(account, question)

    async def knew(self, account: str, secret: Secret) -> bool:
        """Whether the account holds this secret, or ever did.  Raises KeyringUnavailable where nobody can tell now."""
        journal = self._open().journal
        if await self._reader.ask(lambda db: journal.knows(db, account, secret)):
            return True
        held = (await self.read(account)).grant
        return held is not None and secret in held.secrets.values()

    async def history(self, account: str) -> Sequence[Line]:
        """The last lines, oldest first."""
        self._open()
        return await self._reader.ask(partial(ledger.history, account=account))

    # -- the exchange --------------------------------------------------------------------------------------

    async def intend(self, intent: Intent, rows: Mapping[str, PaceRow]) -> None:
        """Point 3.  Raises Stale, StoreError."""
        unsealed = self._open()
        seal, journal = unsealed.seal, unsealed.journal
        wall = self._setup.wall()

        def prove(db: sqlite3.Connection, written: IntentRow) -> None:
            found = intent_row(db, intent.account)
            if found != written or records.intent_of(seal, found) != intent:
                raise StoreError(f"the intent for {intent.account} was not read back as written", "look at the disk")

        await self._writer.ask(
            lambda db: journal.intend(db, intent, rows, wall), prove, wall=wall, point="intent-durable"
        )

    async def escrow(self, intent: Intent, reply: Reply) -> None:
        """Point 5.  Raises StoreError; Stale where the intent is gone, and then the reply is in quarantine."""
        journal = self._open().journal
        wall = self._setup.wall()
        await self._writer.ask(
            lambda db: journal.escrow(db, intent, reply, wall), _nothing, wall=wall, point="escrow-durable", vital=True
        )

    async def commit(
        self, intent: Intent | None, account: str, changes: Sequence[Change], rows: Mapping[str, PaceRow], line: Line
    ) -> Mapping[str, Standing]:
        """Point 6: the standings of `account` and of every record touched."""
        journal = self._open().journal
        wall = self._setup.wall()
        changed = [change.account for change in changes]
        touched = dict.fromkeys([account, *changed])

        def apply(db: sqlite3.Connection) -> Mapping[str, str]:
            if journal.ended(db, intent):
                return {}
            aside = journal.commit(db, intent, account, changes, wall)
            ledger.charge(db, rows)
            ledger.tell(db, account, line)
            return aside

        def prove(db: sqlite3.Connection, aside: Mapping[str, str]) -> Mapping[str, Standing]:
            told = {name: _whole(journal.standing(db, name)) for name in touched}
            for name, why in aside.items():
                told[name] = replace(told[name], withheld=why)
            return MappingProxyType(told)

        told = await self._writer.ask(apply, prove, wall=wall, point="commit-durable", vital=True)
        self._broken -= frozenset(changed)
        for standing in told.values():
            self._settle(standing)
        return told

    async def pause(self, account: str, *, paused: bool) -> None:
        """Remember an operator's pause, or its end; it is no secret, so the key need not be there."""
        if not self._opening.begun:
            self._open()
        await self._writer.ask(
            lambda db: upkeep.pause(db, account, paused=paused), _nothing, wall=self._setup.wall(), vital=True
        )

    async def close(
        self, intent: Intent, drop: frozenset[str], rows: Mapping[str, PaceRow], line: Line, dead: Mapping[str, str],
        *, ends_lease: bool = False,
    ) -> Standing:  # fmt: skip
        """End an attempt that changed no grant.  Raises Stale where secrets are to be dropped of another generation."""
        journal = self._open().journal

        def apply(db: sqlite3.Connection) -> None:
            if not journal.ended(db, intent):
                journal.close(db, intent, drop, dead, ends_lease=ends_lease)
                ledger.charge(db, rows)
                ledger.tell(db, intent.account, line)

        return await self._end(intent.account, apply)

    async def doubt(self, intent: Intent, rows: Mapping[str, PaceRow], line: Line) -> None:
        """Keep intent and escrow; write pace and history."""
        self._open()

        def apply(db: sqlite3.Connection) -> None:
            ledger.charge(db, rows)
            ledger.tell(db, intent.account, line)

        await self._writer.ask(apply, _nothing, wall=self._setup.wall(), vital=True)

    async def write_behind(self, change: Change, rows: Mapping[str, PaceRow], line: Line) -> Standing:
        """Store a lease that cost nothing."""
        journal = self._open().journal

        def apply(db: sqlite3.Connection) -> None:
            journal.write_behind(db, change)
            ledger.charge(db, rows)
            ledger.tell(db, change.account, line)

        return await self._end(change.account, apply, vital=False)

    async def _end(self, account: str, apply: Callable[[sqlite3.Connection], None], *, vital: bool = True) -> Standing:
        journal = self._open().journal
        return await self._writer.ask(
            apply, lambda db, _: journal.standing(db, account), wall=self._setup.wall(), vital=vital
        )

    async def note(self, rows: Mapping[str, PaceRow]) -> None:
        """Write pace rows."""
        self._open()
        await self._writer.ask(lambda db: ledger.charge(db, rows), _nothing, wall=self._setup.wall())

    async def forget(self, account: str) -> None:
        """Erase the account here and in the OS keyring."""
        settler = self._open().settler
        rid = await self._writer.ask(
            lambda db: upkeep.forget(db, account, shelf=settler is not None),
            lambda _db, rid: rid,
            wall=self._setup.wall(),
            vital=True,
        )
        if rid is not None and settler is not None:
            await settler.erase(Erasure(account, rid))


def _damaged(account: str, broken: Broken) -> StoreError:
    return StoreError(
        f"the record of {account} is damaged: {broken}; a copy rests in quarantine", f"freshd enrol {account}"
    )


def _nothing(_db: sqlite3.Connection, _outcome: object) -> None:
    """Nothing to read back: the caller is told no more than that it is durable."""


def _whole(standing: Standing) -> Standing:
    if standing.broken is not None:
        raise StoreError(f"the record of {standing.account} was not read back: {standing.broken}", "look at the disk")
    return standing
