"""One round through the socket on whatever loop runs it: tests use it on uvloop."""

import tempfile
from pathlib import Path

from freshd.api.crowd import Limits
from freshd.api.listen import Place
from freshd.api.server import Api
from tests.api.world import FakeClock, FakeTokens, Wire, World, get


async def main() -> None:
    """Reads, waits, watches, pipelines, stalls, stops."""
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        world = World(clock, FakeTokens(clock, "calendar", "mail"), f"{folder}/socket")
        world.tokens.publish("calendar", "token-1", 3600.0)
        world.allow("calendar", "mail")
        api = Api(world.tokens, lambda: world.policy, clock, limits=Limits(slow=0.1), identify=world.identify)
        await api.start(Place(Path(world.path)))
        wire = await Wire.open(world.path)
        for _ in range(3):
            assert (await wire.get("/v1/tokens/calendar")).json()["access_token"] == "token-1"
        await wire.send(get("/v1/tokens/calendar") * 100)
        assert [(await wire.reply()).status for _ in range(100)] == [200] * 100
        await wire.send(get("/v1/tokens/mail"))
        await world.tokens.demands.get()
        world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
        assert (await wire.reply()).json()["access_token"] == "late"
        await wire.send(b"GET /half")
        assert (await wire.reply()).status == 408
        wire.close()
        watcher = await Wire.open(world.path)
        await watcher.send(get("/v1/watch"))
        assert [(await watcher.frame())["event"] for _ in range(4)] == ["daemon", "account", "account", "synced"]
        api.stop_intake()
        await watcher.ended()
        watcher.close()
        await api.aclose()
        assert not list(Path(folder).iterdir())  # noqa: ASYNC240 - the loop has nothing else to do
