"""A gateway in memory that does what a script says, and dialers that visit it on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from freshd.channels.aun import AunDialer
from freshd.channels.aun_options import Options
from freshd.channels.aun_session import Beat
from freshd.channels.aun_socket import Closed, Unreachable
from freshd.channels.dialer import Ended, Facts
from freshd.core.model import Lease, Moment, Secret
from tests.fakes.time import VirtualTime, run

TOKEN = "eyJhbGciOiJFUzI1NiJ9.canary-8d1f03.c2lnbmF0dXJl"
URLS = ("wss://gw1.example.test/aun", "wss://gw2.example.test:8443/aun")
NONCE = "nonce-5e1f"
HELLO: dict[str, Any] = {
    "status": "ok",
    "protocol": "1.0",
    "authenticated": True,
    "identity": {"role": "agent", "aid": "carol.example.test"},
    "connection": {"id": "conn_4c", "device_id": "freshd-desk", "kind": "long"},
    "bridgeInfo": {"name": "Bridge", "version": "0.1"},
    "capabilities": {"namespaces": ["auth", "message", "meta"], "features": {"max_message_size": 1048576}},
    "heartbeat_interval": 30,
}


def lease(gateways: str | None = " ".join(URLS), aid: str = "carol.example.test") -> Lease:
    fields = {"aid": aid} | ({} if gateways is None else {"gateways": gateways})
    return Lease("carol", 3, Secret(TOKEN), Moment(1_764_000_000.0, 100.0, "boot"), 3600.0, fields)


class Peer:
    """The gateway's end of a connection, and `Socket` for the other end."""

    def __init__(self) -> None:
        self._to_client: asyncio.Queue[str | Closed | None] = asyncio.Queue()
        self._to_gateway: asyncio.Queue[str] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self._end: Closed | None = None

    # what the script does

    def say(self, frame: object) -> None:
        self.raw(json.dumps(frame))

    def raw(self, frame: str | Closed | None) -> None:
        self._to_client.put_nowait(frame)

    def close(self, code: int) -> None:
        self.raw(Closed(code))

    def challenge(self, **members: object) -> None:
        self.say({"jsonrpc": "2.0", "method": "challenge", "params": {"nonce": NONCE, "server": "bridge", **members}})

    async def heard(self) -> dict[str, Any]:
        found = json.loads(await self._to_gateway.get())
        assert isinstance(found, dict)
        return found

    def result(self, asked: dict[str, Any], result: object) -> None:
        self.say({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    def error(self, asked: dict[str, Any], code: object, message: str = "no", **data: object) -> None:
        error = {"code": code, "message": message, **({"data": data} if data else {})}
        self.say({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    async def admit(self, **members: object) -> dict[str, Any]:
        """Challenge, and say yes to the login; the login."""
        self.challenge()
        asked = await self.heard()
        self.result(asked, {**HELLO, **members})
        return asked

    # what a session does

    async def receive(self) -> str | Closed | None:
        if self._end is None:
            found = await self._to_client.get()
            if not isinstance(found, Closed):
                return found
            self._end = found
        return self._end

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))
        self._to_gateway.put_nowait(text)


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class World:
    """Gateways by address, what is done to them, and what happened."""

    scripts: dict[str, Script] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    open_now: int = 0

    def reach(self, url: str, trust: ssl.SSLContext | None) -> Place:
        return Place(url, self)


class Place:
    """`Gateway` in memory."""

    def __init__(self, url: str, world: World) -> None:
        self.host = url.split("/")[2]
        self._url = url
        self._world = world

    async def check(self) -> None:
        self._world.log.append(f"health {self.host}")
        if self._url in self._world.down:
            raise Unreachable("it answers 503 when asked for its health")

    @contextlib.asynccontextmanager
    async def open(self, deadline: float) -> AsyncIterator[Peer]:
        world, peer = self._world, Peer()
        assert world.open_now == 0, "two connections at once"
        world.open_now += 1
        world.peers.append(peer)
        world.log.append(f"open {self.host}")
        task = asyncio.ensure_future(world.scripts[self._url](peer))
        try:
            yield peer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            world.open_now -= 1
            world.log.append(f"close {self.host}")


def options(**more: object) -> Options:
    return Options.model_validate({"device_id": "freshd-desk", "slot_id": "desk", **more})


def dialer(world: World, chosen: Options | None = None, beat: Beat | None = None) -> AunDialer:
    return AunDialer(chosen or options(), beat, world.reach)


def hold(
    world: World, chosen: Options | None = None, at: Lease | None = None, time: VirtualTime | None = None
) -> Ended:
    """One `hold` to its end, on virtual time."""
    return run(time or VirtualTime(), dialer(world, chosen).hold(at or lease(), world.facts.append))


def one(script: Script, *, urls: Sequence[str] = URLS[:1]) -> tuple[Ended, World]:
    """How a login ends at gateways that all follow the script."""
    world = World(dict.fromkeys(urls, script))
    return hold(world, at=lease(" ".join(urls))), world
