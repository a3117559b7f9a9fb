"""Watching: present state, never tokens; a reconnect misses nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from freshd.api.crowd import Limits
from freshd.core.events import Event
from tests.api.conftest import Start
from tests.api.world import Wire, World, get

Connect = Callable[[], Awaitable[Wire]]


async def begun(wire: Wire, target: str = "/v1/watch", *headers: str) -> list[dict[str, str]]:
    """All frames up to `synced`, that one included."""
    await wire.send(get(target, *headers))
    reply = await wire.reply()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
    frames = [await wire.frame()]
    while frames[-1]["event"] != "synced":
        frames.append(await wire.frame())
    return frames


def accounts(frames: list[dict[str, str]]) -> list[str]:
    return [json.loads(frame["data"])["account"] for frame in frames if frame["event"] == "account"]


async def test_a_watch_begins_with_everything_the_caller_may_see(wire: Wire) -> None:
    frames = await begun(wire)
    assert accounts(frames) == ["calendar", "mail"]
    assert [frame["event"] for frame in frames] == ["daemon", "account", "account", "synced"]


async def test_a_change_is_told_with_the_present_state(world: World, wire: Wire) -> None:
    await begun(wire, "/v1/watch?accounts=calendar")
    world.tokens.publish("calendar", "token-9", 60.0, generation=7)
    world.tell(Event("lease.published", "secret"))
    world.tell(Event("lease.published", "mail"))
    world.tell(Event("lease.published", "calendar"))
    frame = await wire.frame()
    told = json.loads(frame["data"])
    assert (told["account"], told["generation"], told["event"]) == ("calendar", 7, "lease.published")
    assert "token-9" not in frame["data"]


async def test_a_storm_of_events_is_one_frame(world: World, wire: Wire) -> None:
    await begun(wire)
    for _ in range(500):
        world.tell(Event("lease.published", "calendar"))
    world.tell(Event("lease.published", "mail"))
    assert accounts([await wire.frame(), await wire.frame()]) == ["calendar", "mail"]


async def test_who_reads_is_no_change(world: World, wire: Wire) -> None:
    await begun(wire)
    world.tell(Event("access.granted", "calendar"))
    world.tell(Event("lease.published", "mail"))
    assert accounts([await wire.frame()]) == ["mail"]


async def test_a_reconnect_with_a_known_id_gets_what_came_later(world: World, connect: Connect) -> None:
    first = await connect()
    await begun(first)
    world.tell(Event("lease.published", "calendar"))
    seen = (await first.frame())["id"]
    first.close()
    world.tell(Event("lease.published", "mail"))
    second = await connect()
    frames = await begun(second, "/v1/watch", f"Last-Event-ID: {seen}")
    assert accounts(frames) == []
    assert accounts([await second.frame()]) == ["mail"]


async def test_an_unknown_id_gets_everything(world: World, connect: Connect) -> None:
    wire = await connect()
    epoch = (await begun(wire))[-1]["id"].split(":")[0]
    for unknown in ("other:1", f"{epoch}:99", f"{epoch}:x", f"{epoch}:-1", "", "9" * 200):
        wire = await connect()
        assert accounts(await begun(wire, "/v1/watch", f"Last-Event-ID: {unknown}")) == ["calendar", "mail"]


async def test_new_rules_send_watchers_away(start: Start) -> None:
    world = await start(Limits(heartbeat=0.05))
    wire = await Wire.open(world.path)
    await begun(wire)
    world.allow("mail")
    await wire.ended()
    wire.close()
    wire = await Wire.open(world.path)
    assert accounts(await begun(wire)) == ["mail"]


async def test_a_watcher_whose_process_is_gone_is_sent_away(start: Start) -> None:
    world = await start(Limits(heartbeat=0.05))
    wire = await Wire.open(world.path)
    await begun(wire)
    world.peers[0].alive = False
    await wire.ended()


async def test_a_quiet_stream_shows_signs_of_life(start: Start) -> None:
    world = await start(Limits(heartbeat=0.02))
    wire = await Wire.open(world.path)
    await begun(wire)
    assert (await wire.reader.readuntil(b"\n\n")).startswith(b":")


async def test_a_watcher_that_does_not_read_is_dropped(start: Start) -> None:
    world = await start(Limits(stalled=0.05, unsent=1000))
    world.tokens.names = [f"account-{number:05}" for number in range(3000)]
    world.allow(operator=True)
    wire = await Wire.open(world.path)
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await wire.send(get("/v1/watch"))
    while world.tokens.names:
        world.tell(Event("lease.published", world.tokens.names[0]))
        await asyncio.sleep(0)
        if wire.writer.transport.is_closing() or not _is_connected(wire):
            break


async def test_a_large_snapshot_arrives_whole(world: World, wire: Wire) -> None:
    world.tokens.names = [f"account-{number:05}" for number in range(1500)]
    world.allow(operator=True)
    assert accounts(await begun(wire)) == world.tokens.names


async def test_a_user_may_have_so_many_streams(start: Start) -> None:
    world = await start(Limits(watchers_per_uid=1))
    first, second = await Wire.open(world.path), await Wire.open(world.path)
    await begun(first)
    assert (await second.get("/v1/watch")).status == 503
    assert (await second.get("/v1/tokens/calendar")).status == 200


async def test_an_account_that_goes_is_told(world: World, wire: Wire) -> None:
    await begun(wire)
    world.tokens.names.remove("mail")
    world.tell(Event("account.forgotten", "mail"))
    frame = await wire.frame()
    assert (frame["event"], json.loads(frame["data"])["account"]) == ("removed", "mail")


def _is_connected(wire: Wire) -> bool:
    try:
        wire.writer.write(b"x")
    except OSError:
        return False
    return not wire.writer.transport.is_closing()
