"""The real server on a real socket, with a fake engine behind it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from freshd.api.crowd import Limits
from freshd.api.listen import Place
from freshd.api.server import Api
from tests.api.world import FakeClock, FakeTokens, Wire, World

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts servers; `calendar` has a lease and may be read, `mail` has none and may, `secret` may not."""
    running: list[Api] = []

    async def begin(limits: Limits | None = None) -> World:
        clock = FakeClock()
        world = World(clock, FakeTokens(clock, "calendar", "mail", "secret"), str(tmp_path / f"{len(running)}.sock"))
        world.tokens.publish("calendar", "token-1", 3600.0)
        world.tokens.publish("secret", "token-2", 3600.0)
        world.allow("calendar", "mail")
        api = Api(
            world.tokens,
            lambda: world.policy,
            clock,
            on_audit=world.audited.append,
            limits=limits,
            identify=world.identify,
        )
        await api.start(Place(Path(world.path)))
        world.tell, world.stop_intake = api.tell, api.stop_intake
        running.append(api)
        return world

    yield begin
    for wire in Wire.opened:
        wire.close()
    for api in running:
        await api.aclose()
    for wire in Wire.opened:
        with contextlib.suppress(OSError):
            await wire.writer.wait_closed()
    Wire.opened.clear()


@pytest.fixture
async def world(start: Start) -> World:
    return await start()


@pytest.fixture
async def wire(world: World) -> Wire:
    return await Wire.open(world.path)


@pytest.fixture
def connect(world: World) -> Callable[[], Awaitable[Wire]]:
    """Opens more connections to `world`."""
    return lambda: Wire.open(world.path)
