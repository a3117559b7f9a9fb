"""A sandbox, providers that speak to it, and servers that answer with chosen bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freshd.core.contract import Contract
from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Performed, Reply
from freshd.core.settings import SecretRef, Way
from freshd.ports import Provider
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.http import Http
from freshd.providers.oauth2.options import Options, Schema
from freshd.providers.oauth2.provider import OAuth2
from freshd.sandbox.server import Running, Settings, start

START = 1_800_000_000.0
SECRET = SecretRef(Way.FILE, ("/web",))


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> Moment:
        return Moment(START + self.passed, 1000.0 + self.passed, "boot")

    def boot(self) -> float:
        return self.now().boot

    def __call__(self) -> float:
        return self.now().wall


@dataclass
class Bench:
    """What a provider under test needs, and the exchange around it, without its durability."""

    http: Http
    clock: Clock
    secrets: dict[SecretRef, str] = field(default_factory=lambda: {SECRET: "sandbox-secret"})

    async def resolve(self, reference: SecretRef) -> Secret:
        return Secret(self.secrets[reference])

    @property
    def deps(self) -> Deps:
        return Deps(self.http, self.resolve, self.clock, Discovery(self.http, self.clock))

    def provider(self, contract: Contract | None = None, **keys: Any) -> OAuth2:
        parsed = Schema().parse("a", {"client_id": "freshd", **keys})
        assert not parsed.problems
        options: dict[str, Any] = dict(parsed.options)
        return OAuth2("a", Options(**options), contract or Contract(), self.deps)

    def record(self, token: str, binding: Binding, *, generation: int = 1) -> Record:
        secrets = {"refresh_token": Secret(token)}
        now = self.clock.now()
        return Record("a", generation, Grant("line", binding, secrets, obtained=now, enrolled=now))

    def intent(self, rung: str, record: Record, **material: Secret) -> Intent:
        return Intent(
            "flight", "a", rung, record.lineage, record.generation, self.clock.now(), material, candidate="new"
        )

    async def perform(
        self, provider: Provider, rung: str, record: Record, **material: Secret
    ) -> tuple[Intent, Performed]:
        prepared = await provider.prepare(rung, record)
        intent = self.intent(rung, record, **{**prepared, **material})
        return intent, await provider.perform(rung, record, intent)

    async def exchange(self, provider: Provider, rung: str, record: Record, **material: Secret) -> Judged:
        intent, performed = await self.perform(provider, rung, record, **material)
        assert isinstance(performed, Reply), performed
        return provider.read(rung, record, intent, performed)


def lease_of(record: Record, token: str) -> Lease:
    return Lease(record.account, record.generation, Secret(token), Moment(START, 1000.0, "boot"), 60.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def bench(clock: Clock) -> AsyncIterator[Bench]:
    http = Http()
    yield Bench(http, clock)
    await http.aclose()


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[Running]:
    async with await start(Settings(now=clock, seed=1)) as running:
        yield running


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Raw:
    """A server that does what its script says; `accepted` counts connections."""

    url: str
    accepted: list[None] = field(default_factory=list)


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[Script], Awaitable[Raw]]]:
    """Start servers that run a script for each connection and then close it."""
    servers: list[asyncio.Server] = []

    async def serve(script: Script) -> Raw:
        made = Raw("")

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.accepted.append(None)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
            writer.close()

        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        servers.append(server)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return made

    yield serve
    for server in servers:
        server.close()


def says(answer: bytes) -> Script:
    """Read a whole request, then answer with these bytes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return script


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    return head + await reader.readexactly(length)


def at(moment: Moment, seconds: float) -> Moment:
    return replace(moment, wall=moment.wall + seconds, boot=moment.boot + seconds)
