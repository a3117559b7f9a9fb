"""THE commit protocol, and nothing else.  The one place that lets a single-use secret leave the machine.

Eight points, each a crash test:

    1 ask the pacer      2 re-read the record      3 intent, durable      4 perform
    5 escrow, durable    6 read and commit         7 swap leases          8 next alarm, outlets

1 to 6 are `Exchange.run`, from top to bottom; 7 and 8 are the keeper's, on the ending it is given.

Rules
-----
* Nothing that spends is sent before its intent is durable and read back (I2).
* What came back is escrowed before anybody looks at it, and kept whatever is made of it (I3).
* A lease leaves here only inside a `Committed`, read back from the journal (I4).
* After point 4 nothing gives up: a write that fails is tried again for as long as the process lives (`Rescue`).
* An exception after point 3 is a doubt, never a retry: nobody knows what was sent.
* Waiting (for the record, for what is free) may have made the pace or a grace period run out: both are asked again,
  without awaiting anything more, when the call is charged.
* Once `close` was called no exchange gets past point 3: those under way end, those that wait are held.
* Nothing here is cancelled: the flight's task belongs to the supervisor, callers only wait for it.

A rung that spends nothing skips 3 and 5; its charge is still durable before the call (I6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar

from freshd.core import ladder
from freshd.core.happenings import Broke, Committed, Ending, Held, Outdated, Refusal, Unable, Unsent
from freshd.core.ladder import Rung
from freshd.core.model import Change, Intent, Moment, Record, Secret, Standing
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.core.pace import Row
from freshd.errors import FreshdError, Stale, StoreError
from freshd.flight import (
    DEADLINE_SECONDS,
    Flight,
    Order,
    dead,
    doubted,
    dropped,
    perform,
    standing_of,
    told_of,
    uncounted,
)
from freshd.pacer import Keys, Pacer
from freshd.ports import Clock, Line, Provider, Vault

CLOSED_WAIT_SECONDS: Final = 1.0
"""What a flight is told that may not leave any more; nothing is launched after it."""
JUDGES_SECRET: Final = frozenset({Remedy.CLIMB, Remedy.RESET, Remedy.PERSON})
"""Refusals that settle a doubt; any other says nothing of what an earlier call came to."""
DETAIL_MOST: Final = 300
"""Characters of a refusal's detail (a request id, a hint) that an account's history keeps."""
T = TypeVar("T")
Rescue = Callable[[FreshdError], Awaitable[None]]
"""Told of a write that failed after point 4; returns when it is to be tried again."""
Rows = Mapping[str, Row]


class Exchange:
    """Carries orders out.  `trace(point)` is called as each point is passed, by number."""

    def __init__(
        self, vault: Vault, pacer: Pacer, clock: Clock, trace: Callable[[int], None] = lambda _point: None
    ) -> None:
        self._vault = vault
        self._pacer = pacer
        self._clock = clock
        self._trace = trace
        self._is_closed = False

    def close(self) -> None:
        """Let nothing leave any more: what the end of the daemon would cut off is a lost answer of our own making."""
        self._is_closed = True

    async def run(self, order: Order, provider: Provider, rescue: Rescue) -> Ending:
        """One exchange, from asking the pacer to the read-back commit.  Never raises but for cancellation."""
        rung = ladder.find(provider.ladder, order.rung)
        if rung is None:
            return Broke(order.attempt, "UnknownRung")
        keys = provider.paces(order.rung)
        self._trace(1)
        wait = self._wait(order, keys, self._clock.now())
        if wait > 0:
            return Held(order.attempt, wait)
        try:
            self._trace(2)
            record = await self._read(order.account, provider)
            if (record.generation, record.lineage) != (order.generation, order.lineage):
                return Outdated(order.attempt, standing_of(record))
            async with asyncio.timeout(DEADLINE_SECONDS):
                found = await provider.prepare(order.rung, record)
            intent = self._intent(order, found)
            wait = self._wait(order, keys, intent.sent)
            if wait > 0 or (order.before is not None and intent.sent.boot >= order.before):
                return Held(order.attempt, wait)
            rows = self._pacer.charge(order.account, keys, intent.sent)
            await self._promise(rung, intent, rows)
        except TimeoutError:
            cause = f"what the rung {order.rung} needs was not ready within {DEADLINE_SECONDS:.0f} s"
            return Unable(order.attempt, "timeout", cause, f"freshd explain {order.account}")
        except FreshdError as error:
            return Unable(order.attempt, error.type, error.cause, error.remedy)
        except Exception as error:  # noqa: BLE001 - before the intent nothing was sent: a bug is only a bug
            return Broke(order.attempt, type(error).__name__)
        flight = Flight(order, rung, keys, record, intent, provider.binding)
        return await self._landed(flight, self._spend(flight, provider, rescue), rescue)

    async def finish(self, attempt: int, account: str, provider: Provider, rescue: Rescue) -> Ending:
        """Finish the exchange whose reply rests in escrow: points 6 on, offline."""
        found = await self._persist(lambda: self._vault.escrowed(account), rescue)
        if found is None:
            return Broke(attempt, "NoEscrow")
        intent, reply = found
        record = await self._persist(lambda: self._read(account, provider), rescue)
        rung = ladder.find(provider.ladder, intent.rung) or Rung(intent.rung)
        order = Order(intent.flight, attempt, account, intent.rung, record.generation, record.lineage, intent.replays,
                      intent.doubted, intent.candidate, earlier=intent.earlier)  # fmt: skip
        flight = Flight(order, rung, provider.paces(rung.name), record, intent, provider.binding)
        return await self._landed(flight, self._judge(flight, provider, reply, rescue), rescue)

    async def _landed(self, flight: Flight, rest: Awaitable[Ending], rescue: Rescue) -> Ending:
        """A stale writer loses: another lineage was adopted meanwhile.  What came back stays escrowed or set aside.

        A bug behind point 3 is a doubt: the intent stands, and nobody knows what was sent.
        """
        attempt, account = flight.order.attempt, flight.order.account
        try:
            return await rest
        except Stale:
            return Outdated(attempt, standing_of(await self._persist(lambda: self._vault.read(account), rescue)))
        except Exception as error:  # noqa: BLE001 - see above
            if not flight.rung.spends:
                return Broke(attempt, type(error).__name__)
            return doubted(flight, f"bug in the exchange: {type(error).__name__}")

    async def _read(self, account: str, provider: Provider) -> Record:
        """The record, and those of the relatives that its provider asks for; the family's lock is held."""
        kin = {name: await self._vault.read(name) for name in provider.kin}
        return replace(await self._vault.read(account), kin=MappingProxyType(kin))

    def _wait(self, order: Order, keys: Keys, now: Moment) -> float:
        return CLOSED_WAIT_SECONDS if self._is_closed else self._pacer.wait(order.account, keys, now)

    def _intent(self, order: Order, found: Mapping[str, Secret]) -> Intent:
        return Intent(
            order.flight, order.account, order.rung, order.lineage, order.generation, self._clock.now(),
            {**found, **order.material}, order.replays, order.doubted, order.candidate, earlier=order.earlier,
        )  # fmt: skip

    async def _promise(self, rung: Rung, intent: Intent, rows: Rows) -> None:
        if rung.spends:
            await self._vault.intend(intent, rows)
            self._trace(3)
        else:
            await self._vault.note(rows)

    async def _spend(self, flight: Flight, provider: Provider, rescue: Rescue) -> Ending:
        await asyncio.sleep(self._pacer.departure(flight.keys, self._clock.now()))
        performed = await perform(flight, provider) if self._may_leave(flight) else NotSent("too late for its grace")
        self._trace(4)
        match performed:
            case NotSent(reason):
                return await self._not_sent(flight, reason, rescue)
            case Lost(reason):
                return await self._doubt(flight, reason, self._failed(flight), rescue)
            case Reply() as reply:
                if flight.rung.spends:
                    await self._persist(lambda: self._vault.escrow(flight.intent, reply), rescue)
                    self._trace(5)
                return await self._judge(flight, provider, reply, rescue)

    def _may_leave(self, flight: Flight) -> bool:
        before = flight.order.before
        return before is None or self._clock.boot() < before

    async def _judge(self, flight: Flight, provider: Provider, reply: Reply, rescue: Rescue) -> Ending:
        try:
            judged: Judged = provider.read(flight.rung.name, flight.record, flight.intent, reply)
        except Exception as error:  # noqa: BLE001 - a reader's bug must not lose an escrowed reply
            judged = Unreadable(f"bug in the reader: {type(error).__name__}")
        match judged:
            case Answered():
                return await self._commit(flight, judged, rescue)
            case Rejected():
                return await self._refused(flight, judged, rescue)
            case Unreadable(reason, _, retry_after):
                return await self._doubt(flight, reason, self._failed(flight, retry_after), rescue)

    async def _commit(self, flight: Flight, answered: Answered, rescue: Rescue) -> Ending:
        rows = self._pacer.succeeded(flight.order.account, flight.keys)
        intent = flight.intent
        line = Line(self._clock.now(), flight.rung.name, "ok", flight.record.generation + 1)
        if not flight.rung.spends:
            behind = await self._persist(lambda: self._vault.write_behind(answered.changes[0], rows, line), rescue)
            return Committed(flight.order.attempt, behind, answered.notes)
        kept = await self._persist(
            lambda: self._vault.commit(intent, intent.account, answered.changes, rows, line), rescue
        )
        self._trace(6)
        others = {name: standing for name, standing in kept.items() if name != intent.account}
        added = frozenset(change.account for change in answered.changes if change.adds)
        return Committed(flight.order.attempt, kept[intent.account], answered.notes, MappingProxyType(others), added)

    async def _refused(self, flight: Flight, rejected: Rejected, rescue: Rescue) -> Ending:
        is_believed = flight.believes(rejected)
        waits = rejected.remedy in (Remedy.WAIT, Remedy.REREAD) or not rejected.known or not is_believed
        rows = self._slowed(flight, rejected) if waits else self._pacer.succeeded(flight.order.account, flight.keys)
        line = self._line(flight, rejected.code, rejected.detail)
        if not flight.rung.spends:
            await self._note(flight, rows, line, rescue)
            return Refusal(flight.order.attempt, rejected, tried=flight.order.tried)
        judges = rejected.remedy in JUDGES_SECRET and is_believed
        if flight.intent.replays and not judges:
            await self._put_back(uncounted(flight.intent), rows, line, rescue)
            return Refusal(flight.order.attempt, rejected, tried=flight.order.tried)
        standing = await self._keep(flight, rejected, rows, line, rescue)
        return Refusal(flight.order.attempt, rejected, standing, flight.order.tried)

    async def _keep(self, flight: Flight, rejected: Rejected, rows: Rows, line: Line, rescue: Rescue) -> Standing:
        """What a refusal changes: what it brought is kept, what it names forgotten or marked dead."""
        intent, brought = flight.intent, told_of(flight, rejected)
        if brought is not None:
            kept = await self._persist(
                lambda: self._vault.commit(intent, intent.account, [brought], rows, line), rescue
            )  # fmt: skip
            return kept[intent.account]
        drop, is_reset = dropped(flight, rejected), rejected.remedy is Remedy.RESET and flight.believes(rejected)
        return await self._close(flight, drop, rows, line, rescue, dead(flight, rejected), ends_lease=is_reset)

    async def _not_sent(self, flight: Flight, reason: str, rescue: Rescue) -> Ending:
        rows, line = self._failed(flight, unsent=True), self._line(flight, "not-sent", reason)
        if not flight.rung.spends:
            await self._note(flight, rows, line, rescue)
        elif flight.intent.replays:
            await self._put_back(uncounted(flight.intent), rows, line, rescue)
        else:
            await self._close(flight, frozenset(), rows, line, rescue, {})
        return Unsent(flight.order.attempt, reason)

    async def _close(
        self, flight: Flight, drop: frozenset[str], rows: Rows, line: Line, rescue: Rescue, dead: Mapping[str, str],
        *, ends_lease: bool = False,
    ) -> Standing:  # fmt: skip
        """End an attempt that changed no grant; a doubt that it was made over stands again with that."""
        intent = flight.intent
        return await self._persist(
            lambda: self._vault.close(intent, drop, rows, line, dead, ends_lease=ends_lease), rescue
        )

    async def _note(self, flight: Flight, rows: Rows, line: Line, rescue: Rescue) -> None:
        """What came of a call that spends nothing and brought nothing: a line of history, and its pace."""
        nothing = Change(flight.order.account)
        await self._persist(lambda: self._vault.write_behind(nothing, rows, line), rescue)

    async def _put_back(self, intent: Intent, rows: Rows, line: Line, rescue: Rescue) -> None:
        """Let a doubt stand in the journal as it stood before."""
        await self._persist(lambda: self._vault.intend(intent, rows), rescue)
        await self._persist(lambda: self._vault.doubt(intent, rows, line), rescue)

    async def _doubt(self, flight: Flight, why: str, rows: Rows, rescue: Rescue) -> Ending:
        line = self._line(flight, "lost", why)
        if not flight.rung.spends:
            await self._note(flight, rows, line, rescue)
            return Unsent(flight.order.attempt, why, was_sent=True)
        await self._persist(lambda: self._vault.doubt(flight.intent, rows, line), rescue)
        return doubted(flight, why)

    def _failed(self, flight: Flight, retry_after: float | None = None, *, unsent: bool = False) -> Rows:
        return self._pacer.failed(flight.order.account, flight.keys, self._clock.now(), retry_after, unsent=unsent)

    def _slowed(self, flight: Flight, rejected: Rejected) -> Rows:
        account, now = flight.order.account, self._clock.now()
        waits = () if flight.believes(rejected) else rejected.waits
        after = max(waits[0], rejected.retry_after or 0.0) if waits else rejected.retry_after
        return self._pacer.failed(account, flight.keys, now, after, known=rejected.known)

    def _line(self, flight: Flight, outcome: str, detail: str = "") -> Line:
        return Line(self._clock.now(), flight.rung.name, outcome, flight.record.generation, detail[:DETAIL_MOST])

    async def _persist(self, write: Callable[[], Awaitable[T]], rescue: Rescue) -> T:
        while True:
            try:
                return await write()
            except Stale:
                raise
            except FreshdError as error:
                await rescue(error)
            except Exception as error:  # noqa: BLE001 - an answer in hand is not dropped for a bug of the store
                await rescue(StoreError(f"bug in the store: {type(error).__name__}", "freshd doctor"))
