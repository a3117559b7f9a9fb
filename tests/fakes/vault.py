"""A vault in memory that keeps the port's promises: what the journal would refuse, it refuses.

`Disk` survives its vaults, as a file survives processes.  `fail` and `broken` make any call fail on demand; `log` tells
in which order things became durable.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from freshd.core.model import EMPTY, Change, Grant, Intent, Record, Secret, Standing
from freshd.core.outcome import Reply
from freshd.core.pace import Row
from freshd.errors import Stale, StoreError
from freshd.ports import Line

FULL = StoreError("the disk is full", "make room")


@dataclass
class Disk:
    """What is durable."""

    records: dict[str, Record] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    intents: dict[str, tuple[Intent, Reply | None]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    quarantine: list[object] = field(default_factory=list)
    dead: dict[str, dict[str, str]] = field(default_factory=dict)
    known: dict[str, set[Secret]] = field(default_factory=lambda: defaultdict(set))
    paused: frozenset[str] = frozenset()
    held: dict[str, str] = field(default_factory=dict)
    """Accounts held back, with the flight of the attempt that was open when they came to be."""
    held_why: str | None = None
    high_water: float = 0.0


class FakeVault:
    """`ports.Vault` on a `Disk`."""

    def __init__(self, disk: Disk | None = None, wall: Callable[[], float] = lambda: 0.0, latency: float = 0.0) -> None:
        self.disk = disk or Disk()
        self.fail: dict[str, list[Exception]] = defaultdict(list)
        self.broken: dict[str, Exception] = {}
        self.stalls: dict[str, asyncio.Event] = {}
        self.log: list[str] = []
        self.latency = latency
        self._wall = wall

    @property
    def high_water(self) -> float:
        return self.disk.high_water

    @property
    def rolled_back(self) -> str | None:
        return self.disk.held_why

    @rolled_back.setter
    def rolled_back(self, why: str) -> None:
        """From now on the journal is an old one."""
        self.disk.held_why = why
        flights = {name: intent.flight for name, (intent, _) in self.disk.intents.items()}
        granted = {name for name, record in self.disk.records.items() if record.grant is not None}
        self.disk.held = {name: flights.get(name, "") for name in {*granted, *flights}}

    async def accept(self, accounts: Collection[str]) -> None:
        await self._begin("accept")
        for name in accounts:
            self.disk.held.pop(name, None)
        if not self.disk.held:
            self.disk.held_why = None

    async def open(self) -> Mapping[str, Standing]:
        await self._begin("open")
        names = {*self.disk.records, *self.disk.intents, *self.disk.paused}
        told = {name: dataclasses.replace(self.standing(name), paused=name in self.disk.paused) for name in names}
        return {
            name: dataclasses.replace(one, held_back=self.disk.held_why if name in self.disk.held else None)
            for name, one in told.items()
        }

    async def paces(self) -> Mapping[str, Row]:
        await self._begin("paces")
        return dict(self.disk.rows)

    async def read(self, account: str) -> Record:
        await self._begin("read")
        return self.disk.records.get(account, Record(account))

    async def note(self, rows: Mapping[str, Row]) -> None:
        await self._begin("note")
        self._done("note", rows)

    async def intend(self, intent: Intent, rows: Mapping[str, Row]) -> None:
        await self._begin("intend")
        record = self.disk.records.get(intent.account, Record(intent.account))
        if record.generation != intent.generation:
            raise Stale("another generation", "read again")
        if intent.candidate is None and record.generation and record.lineage != intent.lineage:
            raise Stale("another lineage", "read again")
        old = self.disk.intents.get(intent.account)
        if old is not None and old[0].flight != intent.flight and (old[1] is not None or old[0].material):
            self.disk.quarantine.append(old)
        self.disk.intents[intent.account] = (intent, None)
        self._done("intend", rows)

    async def escrow(self, intent: Intent, reply: Reply) -> None:
        await self._begin("escrow")
        held = self.disk.intents.get(intent.account)
        if held is None or held[0].flight != intent.flight:
            self.disk.quarantine.append((intent, reply))
            raise Stale("the intent is gone", "explain")
        self.disk.intents[intent.account] = (held[0], reply)
        self._done("escrow", {})

    async def escrowed(self, account: str) -> tuple[Intent, Reply] | None:
        await self._begin("escrowed")
        intent, reply = self.disk.intents.get(account, (None, None))
        return None if intent is None or reply is None else (intent, reply)

    async def commit(
        self, intent: Intent | None, account: str, changes: Sequence[Change], rows: Mapping[str, Row], line: Line
    ) -> Mapping[str, Standing]:
        await self._begin("commit")
        if intent is not None:
            self._must_stand(intent)
            del self.disk.intents[intent.account]
        for name in {change.account for change in changes if not change.adds} - {account}:
            old = self.disk.intents.pop(name, None)
            if old is not None and old[1] is not None:
                self.disk.quarantine.append(old)
        fit = [change for change in changes if not (change.adds and self._is_answered(change.account))]
        aside = {change.account: change.withheld for change in fit if not self._apply(change)}
        for change in fit:
            is_old = intent is not None and intent.flight in self.disk.held.values()
            if change.grant is not None and not (change.adds or is_old or change.account in aside):
                self.disk.held.pop(change.account, None)
        own = [change for change in changes if intent is not None and change.account == intent.account]
        if intent is not None and (intent.account in aside or any(change.adds for change in own)):
            self._stand_again(intent)
        self._done("commit", rows, account, line)
        told = {name: self.standing(name) for name in {account, *(change.account for change in changes)}}
        return {name: dataclasses.replace(one, withheld=aside.get(name) or one.withheld) for name, one in told.items()}

    async def pause(self, account: str, *, paused: bool) -> None:
        await self._begin("pause")
        self.disk.paused = self.disk.paused | {account} if paused else self.disk.paused - {account}

    async def close(
        self, intent: Intent, drop: frozenset[str], rows: Mapping[str, Row], line: Line, dead: Mapping[str, str],
        *, ends_lease: bool = False,
    ) -> Standing:  # fmt: skip
        await self._begin("close")
        record = self.disk.records.get(intent.account)
        if dead:
            self.disk.dead[intent.account] = dict(dead)
        if drop and record is not None and record.grant is not None:
            self.disk.records[intent.account] = dataclasses.replace(record, grant=_without(record.grant, drop))
        if ends_lease:
            kept = self.disk.records.get(intent.account, Record(intent.account))
            self.disk.records[intent.account] = dataclasses.replace(kept, lease=None)
        held = self.disk.intents.get(intent.account)
        if held is not None and held[0].flight == intent.flight:
            del self.disk.intents[intent.account]
            self._stand_again(intent)
        self._done("close", rows, intent.account, line)
        return self.standing(intent.account)

    async def doubt(self, intent: Intent, rows: Mapping[str, Row], line: Line) -> None:
        await self._begin("doubt")
        self._done("doubt", rows, intent.account, line)

    async def write_behind(self, change: Change, rows: Mapping[str, Row], line: Line) -> Standing:
        await self._begin("write_behind")
        record = self.disk.records.get(change.account, Record(change.account))
        self.disk.records[change.account] = dataclasses.replace(record, lease=change.lease or record.lease)
        self._done("write_behind", rows, change.account, line)
        return self.standing(change.account)

    async def forget(self, account: str) -> None:
        await self._begin("forget")
        for table in (
            self.disk.records, self.disk.intents, self.disk.lines, self.disk.withheld, self.disk.dead, self.disk.known,
        ):  # fmt: skip
            table.pop(account, None)
        self.disk.paused -= {account}
        self.disk.held.pop(account, None)
        self._done("forget", {})

    async def knew(self, account: str, secret: Secret) -> bool:
        await self._begin("knew")
        grant = (await self.read(account)).grant
        held = set() if grant is None else set(grant.secrets.values())
        return secret in self.disk.known[account] | held

    async def history(self, account: str) -> Sequence[Line]:
        return tuple(self.disk.lines[account])

    async def aclose(self) -> None:
        await self._begin("aclose")
        self.log.append("aclose")

    def standing(self, account: str) -> Standing:
        """How an account stands."""
        record = self.disk.records.get(account, Record(account))
        intent, reply = self.disk.intents.get(account, (None, None))
        standing = Standing(
            account, record.generation, lease=record.lease, withheld=self.disk.withheld.get(account),
            intent=None if intent is None else dataclasses.replace(intent, material=EMPTY), escrowed=reply is not None,
        )  # fmt: skip
        grant = record.grant
        if grant is None:
            return standing
        dead = self.disk.dead.get(account, {})
        return dataclasses.replace(
            standing, lineage=grant.lineage, binding=grant.binding, held=frozenset(grant.secrets) - dead.keys(),
            dead=dead,
            obtained=grant.obtained, valid_for=grant.valid_for, enrolled=grant.enrolled,
            absolute_for=grant.absolute_for,
        )  # fmt: skip

    async def _begin(self, name: str) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
        if name in self.stalls:
            await self.stalls[name].wait()
        if self.fail[name]:
            raise self.fail[name].pop(0)
        if name in self.broken:
            raise self.broken[name]

    def _done(self, name: str, rows: Mapping[str, Row], account: str = "", line: Line | None = None) -> None:
        self.disk.rows.update(rows)
        self.disk.high_water = max(self.disk.high_water, self._wall())
        if line is not None:
            self.disk.lines[account] = [*self.disk.lines[account][-63:], line]
        self.log.append(name)

    def _stand_again(self, intent: Intent) -> None:
        if intent.beneath is not None:
            self.disk.intents[intent.account] = (intent.beneath, None)

    def _is_answered(self, account: str) -> bool:
        """Whether an answer of its own waits to be finished."""
        return self.disk.intents.get(account, (None, None))[1] is not None

    def _must_stand(self, intent: Intent) -> None:
        held = self.disk.intents.get(intent.account)
        if held is None or held[0].flight != intent.flight:
            raise Stale("the attempt was replaced", "explain")
        if self.disk.records.get(intent.account, Record(intent.account)).generation != intent.generation:
            raise Stale("another generation", "read again")

    def _apply(self, change: Change) -> bool:
        """Write one change; False where it was only set aside."""
        record = self.disk.records.get(change.account, Record(change.account))
        grant = change.grant
        if change.withheld is not None:
            self.disk.quarantine.append(change)
            if grant is not None and record.lineage not in (None, grant.lineage):
                return False
            self.disk.withheld[change.account] = change.withheld
            change = dataclasses.replace(change, lease=None)
        elif not change.adds:
            self.disk.withheld.pop(change.account, None)
        if change.drop and (grant or record.grant) is not None:
            grant = _without(grant or record.grant, change.drop)
        generation = record.generation + 1
        lease = record.lease if change.lease is None else dataclasses.replace(change.lease, generation=generation)
        self.disk.records[change.account] = Record(change.account, generation, grant or record.grant, lease)
        if grant is not None:
            if not change.adds:
                self.disk.dead.pop(change.account, None)
            if change.dead:
                self.disk.dead[change.account] = {**self.disk.dead.get(change.account, {}), **change.dead}
            held = EMPTY if record.grant is None else record.grant.secrets
            self.disk.known[change.account] |= {*held.values(), *grant.secrets.values()}
        return True


def _without(grant: Grant | None, drop: frozenset[str]) -> Grant | None:
    if grant is None:
        return None
    kept = {name: secret for name, secret in grant.secrets.items() if name not in drop}
    return dataclasses.replace(grant, secrets=kept)
