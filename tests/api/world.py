"""A fake engine behind the real socket, and a client that sends the bytes it is told to."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from freshd.api.peer import Peer, identify
from freshd.core.access import Identity, Policy, Readers
from freshd.core.events import Event
from freshd.core.model import Lease, Moment, Secret
from freshd.errors import FreshdError
from freshd.tokens import Health, Published, Shortfall

WALL = 1_800_000_000.0
UID = 4242


class FakeClock:
    """Time that stands still until it is told."""

    def __init__(self) -> None:
        self.passed = 1000.0

    def now(self) -> Moment:
        return Moment(WALL + self.passed, self.passed, "boot")

    def boot(self) -> float:
        return self.passed


class NotPossible(FreshdError):
    type = "not-possible"


class FakeTokens:
    """Accounts by name; a demand waits until `answer` is called."""

    def __init__(self, clock: FakeClock, *names: str) -> None:
        self.clock = clock
        self.names = sorted(names)
        self.leases: dict[str, Published] = {}
        self.is_locked = False
        self.demands: asyncio.Queue[tuple[str, float, float]] = asyncio.Queue()
        self.answers: asyncio.Queue[Published | Shortfall | Exception] = asyncio.Queue()
        self.refusals: list[tuple[str, str, int | None, str | None]] = []
        self.operations: list[tuple[str, str, Mapping[str, Any]]] = []
        self.gate: asyncio.Event | None = None
        self.cancelled = asyncio.Event()
        self.operated = asyncio.Event()

    def publish(self, account: str, token: str, valid_for: float, generation: int = 1) -> Published:
        fields = MappingProxyType({"token_type": "Bearer"})
        lease = Lease(account, generation, Secret(token), self.clock.now(), valid_for, fields)
        until = self.clock.boot() + valid_for
        self.leases[account] = Published(lease, until, WALL + until, lease.fingerprint)
        return self.leases[account]

    def lease(self, account: str) -> Published | None:
        return self.leases.get(account)

    def knows(self, account: str) -> bool:
        return account in self.names

    def locked(self) -> bool:
        return self.is_locked

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        self.demands.put_nowait((account, min_ttl, wait))
        try:
            answer = await self.answers.get()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None) -> str:
        self.refusals.append((account, fingerprint, status, code))
        return "healing"

    def health(self, account: str) -> Health:
        if account not in self.names:
            raise KeyError(account)
        held = self.leases.get(account)
        return Health(
            account=account, kind="oauth2", phase="live", generation=0 if held is None else held.lease.generation,
            usable_until=None if held is None else held.expires_at, renewable="yes", reason=None, remedy=None,
            deadline=None, next_refresh_at=None, last_outcome="ok",
            fingerprint=None if held is None else held.fingerprint, paused=False, retired=False, settled=True,
            doubtful_since=None, refreshes=3, heals=1,
        )  # fmt: skip

    def accounts(self) -> Sequence[str]:
        return self.names

    async def operate(self, verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.gate is not None:
            await self.gate.wait()
        self.operations.append((verb, account, args))
        self.operated.set()
        if account not in self.names:
            raise NotPossible("the account is not configured", "freshd status names the accounts")
        if verb == "history":
            return {"account": account, "lines": []}
        return {"account": account, "verb": verb}

    async def tend(self, verb: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.gate is not None:
            await self.gate.wait()
        self.operations.append((verb, "", args))
        self.operated.set()
        return {"verb": verb}


class FakePeer(Peer):
    """A caller of any identity, alive until told otherwise."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity, None, proven=True)
        self.alive = True
        self.unit: str | None = None

    def is_alive(self) -> bool:
        return self.alive

    def learn_unit(self) -> None:
        self.identity = Identity(
            self.identity.uid, self.identity.gid, self.identity.groups, self.identity.pid, self.unit
        )


@dataclass
class World:
    """Everything a test may turn."""

    clock: FakeClock
    tokens: FakeTokens
    path: str = ""
    policy: Policy = field(default_factory=Policy)
    peers: list[FakePeer] = field(default_factory=list)
    identity: Identity | None = field(default_factory=lambda: Identity(UID, 100, frozenset({200}), 77))
    asks_the_kernel: bool = False
    audited: list[Event] = field(default_factory=list)
    tell: Callable[[Event], None] = lambda _event: None
    stop_intake: Callable[[], None] = lambda: None

    def identify(self, connection: socket.socket) -> Peer | None:
        if self.asks_the_kernel:
            return identify(connection)
        if self.identity is None:
            return None
        peer = FakePeer(self.identity)
        self.peers.append(peer)
        return peer

    def allow(self, *accounts: str, operator: bool = False) -> None:
        mine = Readers(frozenset({UID}))
        operators = mine if operator else Readers()
        self.policy = Policy(dict.fromkeys(accounts, mine), operators, self.policy.generation + 1)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever came
        return json.loads(self.body)


class Wire:
    """One connection, byte by byte.  The `start` fixture closes those that a test leaves open."""

    opened: ClassVar[list["Wire"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, path: str) -> "Wire":
        cls.opened.append(cls(*await asyncio.open_unix_connection(path)))
        return cls.opened[-1]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(first.split()[1]), headers, body)

    async def get(self, target: str, *headers: str) -> Reply:
        await self.send(get(target, *headers))
        return await self.reply()

    async def post(self, target: str, body: bytes = b"") -> Reply:
        await self.send(post(target, body))
        return await self.reply()

    async def ended(self) -> bytes:
        """All that still comes, once the other side has closed."""
        return await self.reader.read()

    async def frame(self) -> dict[str, str]:
        """One server-sent event that is no heartbeat."""
        while True:
            text = (await self.reader.readuntil(b"\n\n")).decode()
            fields = dict(line.partition(": ")[::2] for line in text.strip().split("\n"))
            if "event" in fields:
                return fields

    def close(self) -> None:
        self.writer.close()


async def hang_up_on(world: World, wire: Wire, target: str, body: bytes) -> None:
    """An operator asks for a verb and is gone while it is carried out; returns once it was."""
    world.allow(operator=True)
    world.tokens.gate = asyncio.Event()
    await wire.send(post(target, body))
    other = await Wire.open(world.path)
    await other.get("/healthz")
    wire.close()
    await other.get("/healthz")
    world.tokens.gate.set()
    await world.tokens.operated.wait()


def post(target: str, body: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (target.encode(), len(body), body)


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode()
