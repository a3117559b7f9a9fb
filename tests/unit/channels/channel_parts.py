"""A channel on virtual time: scripted dialer, scripted engine."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from freshd.channels.channel import Channel
from freshd.channels.dialer import Ended, Facts, Why
from freshd.channels.links import Links
from freshd.core.events import Event
from freshd.core.model import Lease, Secret
from freshd.core.settings import ChannelSettings
from freshd.tokens import Published, Shortfall
from tests.fakes.time import VirtualTime

SETTINGS = ChannelSettings("line", "toy", "mail")
LOST = Ended(Why.LOST, "closed", "it ended")
REFUSED = Ended(Why.REFUSED, "0x87", "refused", 401)
KICKED = Ended(Why.KICKED, "0x8e", "another one")
WRONG = Ended(Why.WRONG, "0x85", "not this name")
AGAIN = Ended(Why.AGAIN, "0x98", "an administrator")
LIFE = 3600.0
OLD = 1000.0
"""Age of a lease that everybody has heard of."""


class Engine:
    """`channel.Leases`.  `heals`: seconds after which a refused lease is replaced; None: never."""

    def __init__(
        self, time: VirtualTime, *, heals: float | None = 0.5, age: float = OLD, says: str = "healing"
    ) -> None:
        self.time, self.heals, self.says = time, heals, says
        self.reports: list[tuple[str, int | None, str | None]] = []
        self.takes: list[str] = []
        self.demands = 0
        self.suspect: str | None = None
        self.number = 0
        self._lease: Published | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self.publish(age=age)

    def publish(self, *, age: float = 0.0) -> str:
        """A new lease; its fingerprint."""
        self.number += 1
        lease = Lease("mail", self.number, Secret(f"token-{self.number}"), self.time.now(), LIFE)
        until = self.time.boot() + LIFE - age
        self._lease, self.suspect = Published(lease, until, 0.0, lease.fingerprint), None
        self.wake()
        return lease.fingerprint

    def withdraw(self) -> None:
        self._lease = None
        self.wake()

    def absolve(self) -> None:
        """The lease was tried and found alive."""
        self.suspect = None
        self.wake()

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def lease(self, account: str) -> Published | None:
        return self._lease

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        self.demands += 1
        return self._lease or Shortfall("account-parked", "parked", "freshd enrol mail", 409)

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None, by: str = "") -> str:
        self.reports.append((fingerprint, status, code))
        self.suspect = fingerprint if self.says == "healing" else None
        if self.heals is not None and self.says == "healing":
            asyncio.get_running_loop().call_later(self.heals, self.publish)
        return self.says

    def accepted(self, account: str, fingerprint: str, by: str) -> None:
        self.takes.append(fingerprint)

    def is_suspect(self, account: str, fingerprint: str) -> bool:
        return fingerprint == self.suspect

    async def changed(self, account: str) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


Act = Callable[[Lease | None, Callable[[Facts], None]], Awaitable[Ended]]


def stays(seconds: float, ended: Ended) -> Act:
    """Log in, hold so long, end so."""

    async def act(_lease: Lease | None, up: Callable[[Facts], None]) -> Ended:
        up({"broker": "b:1883"})
        await asyncio.sleep(seconds)
        return ended

    return act


def ends(ended: Ended) -> Act:
    """Do not get in."""

    async def act(_lease: Lease | None, _up: Callable[[Facts], None]) -> Ended:
        return ended

    return act


@dataclass
class Script:
    """A dialer that does one act after the other, the last one for ever.  `dials`: moment and token of each login.

    closed, cut  logins that have ended, and goodbyes that a second cancellation cut short
    """

    time: VirtualTime
    acts: list[Act]
    follows_lease: bool = False
    dials: list[tuple[float, str | None]] = field(default_factory=list)
    closed: int = 0
    cut: int = 0
    log: list[str] = field(default_factory=list)
    goodbye: float = 0.0

    async def hold(self, lease: Lease | None, up: Callable[[Facts], None]) -> Ended:
        self.dials.append((self.time.boot(), None if lease is None else lease.token.reveal()))
        self.log.append("in")
        act = self.acts[min(len(self.dials), len(self.acts)) - 1]
        try:
            return await act(lease, up)
        finally:
            try:
                await asyncio.sleep(self.goodbye)
            except asyncio.CancelledError:
                self.cut += 1
                raise
            finally:
                self.log.append("out")
                self.closed += 1

    @property
    def gaps(self) -> list[float]:
        moments = [at for at, _ in self.dials]
        return [later - earlier for earlier, later in itertools.pairwise(moments)]

    @property
    def tokens(self) -> list[str | None]:
        return [token for _, token in self.dials]


class Stage:
    """One channel with its script and its engine; the dice always fall on 0: the longest waits."""

    def __init__(
        self, time: VirtualTime, *acts: Act, settings: ChannelSettings = SETTINGS, follows: bool = False,
        engine: Engine | None = None,
    ) -> None:  # fmt: skip
        self.time, self.events = time, list[Event]()
        self.engine = engine or Engine(time)
        self.script = Script(time, list(acts), follows)
        links = Links(time, self.events.append, self.engine, lambda: 0.0)
        self.channel = Channel(settings, self.script, links)

    @property
    def told(self) -> list[str]:
        return [event.name for event in self.events]

    async def live(self, seconds: float) -> None:
        """Let it run so long, then end it."""
        task = asyncio.create_task(self.channel.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
