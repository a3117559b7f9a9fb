"""One flight: what it was ordered to do, what it carries, and the few pure judgements that its exchange makes of it.

Nothing here writes; the order in which things become durable is `exchange`'s alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from freshd.core.happenings import Doubted
from freshd.core.ladder import Rung
from freshd.core.model import EMPTY, Binding, Change, Earlier, Grant, Intent, Moment, Record, Secret, Standing
from freshd.core.outcome import UNTRIED, Lost, Performed, Rejected, Remedy, Tried
from freshd.pacer import Keys
from freshd.ports import Provider

DEADLINE_SECONDS: Final = 60.0
"""Second net over the provider's own deadline: a call still silent by then is lost."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one flight is to do.  `generation` and `lineage`: of the state it was ordered from.

    before   boot-time second after which nothing must leave any more
    tried    what a refusal is measured by
    earlier  doubts that it is made over; they stand again, durably, if it ends without a new grant
    """

    flight: str
    attempt: int
    account: str
    rung: str
    generation: int
    lineage: str | None
    replays: int = 0
    doubted: Moment | None = None
    candidate: str | None = None
    material: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)
    before: float | None = None
    earlier: tuple[Earlier, ...] = ()
    tried: Tried = UNTRIED


@dataclass(frozen=True, slots=True)
class Flight:
    """An order under way: its rung, what it charges, the record it found, its intent, and what a grant belongs to."""

    order: Order
    rung: Rung
    keys: Keys
    record: Record
    intent: Intent
    binding: Binding

    def believes(self, rejected: Rejected) -> bool:
        """Whether what a refusal says of the secret counts already; else it is tried again, and nothing changes."""
        return self.order.tried.believes(rejected)


async def perform(flight: Flight, provider: Provider) -> Performed:
    """Point 4: the one call.  Never raises but for cancellation."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await provider.perform(flight.rung.name, flight.record, flight.intent)
    except TimeoutError:
        return Lost("no answer within the exchange's deadline")
    except Exception as error:  # noqa: BLE001 - after the intent an exception is a doubt, never a retry
        return Lost(f"bug in the provider: {type(error).__name__}")
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        return Lost("bug in the provider: CancelledError")


def is_cancelled() -> bool:
    """Whether somebody cancelled the running task; else a CancelledError leaked out of what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def told_of(flight: Flight, rejected: Rejected) -> Change | None:
    """What a refusal brought that the next step of a person needs; None where it brought nothing.

    Where there was no grant yet it begins a lineage: what it brought is kept whoever has enrolled before.
    """
    if not rejected.keep:
        return None
    intent = flight.intent
    blank = Grant(intent.candidate or intent.flight, flight.binding, EMPTY, intent.sent, intent.sent)
    grant = flight.record.grant or blank
    secrets = MappingProxyType({**grant.secrets, **rejected.keep})
    refused = MappingProxyType(dead(flight, rejected))
    grant, drop = replace(grant, secrets=secrets), dropped(flight, rejected)
    return Change(flight.order.account, grant, drop=drop, adds=True, dead=refused)


def dropped(flight: Flight, rejected: Rejected) -> frozenset[str]:
    """What a refusal makes us forget (I7).  A reset names what the rung keeps in stock, too: it is void."""
    if not flight.believes(rejected):
        return frozenset()
    return rejected.drop | flight.rung.stocks if rejected.remedy is Remedy.RESET else rejected.drop


def dead(flight: Flight, rejected: Rejected) -> Mapping[str, str]:
    """What was presented and declared dead by the service itself.  Of an enrolment nothing rests in the record.

    A relative's secrets are the relative's: its own exchange finds out about them.  A refusal that is worth further
    tries is not believed yet.
    """
    if flight.intent.candidate is not None or not flight.believes(rejected):
        return {}
    if rejected.dead is not None:
        return dict.fromkeys(rejected.dead, rejected.code)
    if rejected.remedy is not Remedy.CLIMB or not rejected.known:
        return {}
    return dict.fromkeys((name for name in flight.rung.needs if "/" not in name), rejected.code)


def doubted(flight: Flight, why: str) -> Doubted:
    """Nobody knows what came of it; a replay keeps the moment of the first call."""
    return Doubted(flight.order.attempt, why, flight.intent.doubted or flight.intent.sent, flight.intent.replays)


def uncounted(intent: Intent) -> Intent:
    """A replay that was not looked at does not count; the doubt it was to settle stays."""
    return replace(intent, replays=intent.replays - 1)


def standing_of(record: Record) -> Standing:
    """How an account stands by its record alone."""
    grant = record.grant
    if grant is None:
        return Standing(record.account, record.generation, lease=record.lease)
    return Standing(
        record.account, record.generation, grant.lineage, grant.binding, frozenset(grant.secrets), record.lease,
        grant.obtained, grant.valid_for, grant.enrolled, grant.absolute_for,
    )  # fmt: skip
