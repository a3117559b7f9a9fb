"""A broker that a test steers, accounts that it changes, and the MQTT outlet between them, on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from freshd.core.events import Event
from freshd.core.settings import MqttOutletSettings
from freshd.errors import PublishRefused, WireDown
from freshd.outlets.mqtt import MqttOutlet
from freshd.tokens import Health
from tests.fakes.time import VirtualTime, run

SETTINGS = MqttOutletSettings("broker", "site/freshd", ring=100)
STATUS = "site/freshd/status"


def events(name: str) -> str:
    return f"site/freshd/events/{name}"


def health_of(account: str, **over: Any) -> Health:
    fields: dict[str, Any] = {
        "account": account, "kind": "oauth2", "phase": "live", "generation": 1, "usable_until": 5.0,
        "renewable": "yes", "reason": None, "remedy": None, "deadline": None, "next_refresh_at": 4.0,
        "last_outcome": "granted", "fingerprint": "f00d", "paused": False, "retired": False, "settled": True,
        "doubtful_since": None, "refreshes": 7, "heals": 2, "more": {"rungs": ["refresh"], "stock": {"code": True}},
        **over,
    }  # fmt: skip
    return Health(**fields)


class Accounts:
    """What the outlet asks the daemon."""

    def __init__(self) -> None:
        self.known: dict[str, Health] = {}

    def accounts(self) -> list[str]:
        return sorted(self.known)

    def health(self, account: str) -> Health:
        return self.known[account]


@dataclass
class Broker:
    """`ports.Wire`, and the broker behind it.  `published`: every message that arrived, acknowledged or not.

    denied   topics that are refused
    deaf     whether it throws away what it acknowledges; None: nobody can tell
    lost     so many acknowledgements will not come: the message has arrived, the connection ends
    hates    topics on which it hangs up
    mute     nothing is answered any more
    slow     seconds that an acknowledgement takes
    """

    published: list[tuple[str, bytes, int, bool]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    deaf: bool | None = False
    lost: int = 0
    hates: set[str] = field(default_factory=set)
    mute: bool = False
    down: bool = False
    slow: float = 0.0
    heard: int = 0
    retained: dict[str, bytes] = field(default_factory=dict)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        await asyncio.sleep(self.slow)
        if self.mute:
            await asyncio.get_running_loop().create_future()
        if self.down:
            raise WireDown("gone", "none")
        if topic in self.hates:
            self.down = True
            raise WireDown("the broker hung up", "none")
        if topic in self.denied or "*" in self.denied:
            raise PublishRefused("refused with 0x87", "let it")
        self.published.append((topic, payload, qos, retain))
        if retain:
            self.retained[topic] = payload
            if not payload:
                del self.retained[topic]
        if self.lost:
            self.lost -= 1
            self.down = True
            raise WireDown("not acknowledged", "none")

    async def is_heard(self, topic: str, payload: bytes) -> bool | None:
        await asyncio.sleep(0)
        assert (topic, payload) == (STATUS, b"online")
        self.heard += 1
        return None if self.deaf is None else not self.deaf

    def told(self, name: str = "") -> list[dict[str, Any]]:
        """The events that arrived, all or those of one name."""
        prefix = events(name)
        return [json.loads(payload) for topic, payload, _, _ in self.published if topic.startswith(prefix)]

    @property
    def names(self) -> list[str]:
        return [one["name"] for one in self.told()]


class World:
    """An outlet whose own events come back to it, as in the daemon."""

    def __init__(self, settings: MqttOutletSettings | None = SETTINGS) -> None:
        self.time = VirtualTime()
        self.accounts = Accounts()
        self.events: list[Event] = []
        self.outlet = MqttOutlet(settings, self.accounts, self.tell, self.time)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.outlet.tell(event)

    def say(self, count: int = 1, name: str = "refresh.succeeded", account: str | None = "a") -> None:
        for number in range(count):
            self.tell(Event(name, account, {"number": number}))

    def heard(self, prefix: str = "outlet.") -> list[str]:
        """What the log was told."""
        return [event.name for event in self.events if event.name.startswith(prefix)]

    @contextlib.asynccontextmanager
    async def connected(self, broker: Broker) -> AsyncIterator[asyncio.Task[None]]:
        """A connection that is up; what it says first has been said."""
        task = asyncio.create_task(self.outlet.serve(broker))
        await settle()
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, WireDown):
                await task

    def live(self, work: Callable[[], Awaitable[None]]) -> None:
        async def life() -> None:
            await work()

        run(self.time, life())


async def settle() -> None:
    """Until nobody has anything to do at this moment."""
    await asyncio.sleep(1)
