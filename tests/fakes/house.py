"""A daemon's engine on virtual time, with neither socket nor disk: supervisor and desk over fakes.

A `Disk` handed from one house to the next is what survives a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from freshd.core.events import Event
from freshd.core.model import Intent, Record
from freshd.core.outcome import Performed, Reply
from freshd.core.state import Phase, State
from freshd.desk import Desk
from freshd.roster import Member
from freshd.supervisor import Supervisor
from tests.fakes.provider import FakeProvider, enrolled, plan_for
from tests.fakes.time import FakeAlarms, VirtualTime, run
from tests.fakes.vault import Disk, FakeVault

T = TypeVar("T")
Answer = Callable[[Record, Intent], Awaitable[Performed]]


def slowly(said: Performed, seconds: float = 5.0) -> Answer:
    """An answer that takes its time."""

    async def answer(_record: Record, _intent: Intent) -> Performed:
        await asyncio.sleep(seconds)
        return said

    return answer


def only(account: str, time: VirtualTime, valid_for: float = 3600.0) -> Disk:
    """A disk that knows one enrolled account."""
    return Disk(records={account: enrolled(account, time.now(), valid_for=valid_for)})


class House:
    """`live` is the life of one process."""

    def __init__(self, *providers: FakeProvider, disk: Disk | None = None, time: VirtualTime | None = None) -> None:
        self.time = time or VirtualTime()
        self.vault = FakeVault(disk, wall=lambda: self.time.now().wall)
        self.providers = {provider.account: provider for provider in providers}
        self.paused: set[str] = set()
        self.families: dict[str, str] = {}
        self.events: list[Event] = []

    @property
    def told(self) -> list[str]:
        return [event.name for event in self.events]

    def member(self, account: str) -> Member:
        provider = self.providers[account]
        family = self.families.get(account, account)
        return Member(plan_for(provider), provider, "oauth2", family, account in self.paused)

    def members(self) -> list[Member]:
        return [self.member(account) for account in sorted(self.providers)]

    def live(self, work: Callable[[], Awaitable[T]]) -> T:
        async def life() -> T:
            self.alarms = FakeAlarms(self.time, lambda account: self.supervisor.ring(account))  # noqa: PLW0108 - made below
            self.supervisor = Supervisor(self.vault, self.time, self.alarms, self.events.append)
            self.desk = Desk(self.supervisor)
            await self.supervisor.load()
            self.supervisor.start(self.members())
            return await work()

        return run(self.time, life())

    def reload(self, *changed: str, removed: tuple[str, ...] = ()) -> None:
        self.supervisor.reload(self.members(), frozenset(changed), frozenset(removed))

    def state(self, account: str = "mail") -> State:
        return self.supervisor.state(account)

    def left_open(self, answer: Reply | None = None, *, replays: int = 0) -> Intent:
        """A refresh of `mail` that an earlier process did not finish; `answer`: what it left in escrow."""
        record = self.vault.disk.records["mail"]
        intent = Intent("f", "mail", "refresh", record.lineage, 1, self.time.now(), replays=replays)
        self.vault.disk.intents["mail"] = (intent, answer)
        return intent

    async def until(self, phase: Phase, account: str = "mail") -> State:
        while self.state(account).phase is not phase:
            await self.supervisor.keeper(account).changed(account)
        return self.state(account)

    async def landed(self, account: str = "mail") -> State:
        return await self.supervisor.keeper(account).landed(account)
