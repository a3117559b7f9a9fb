"""No client, slow, greedy or hostile, delays another or takes more than its share (I11)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from freshd.api.crowd import Limits
from freshd.core.access import Identity, Policy, Readers
from tests.api.conftest import Start
from tests.api.world import UID, Wire, World, get

Connect = Callable[[], Awaitable[Wire]]
READ = get("/v1/tokens/calendar")


async def test_requests_sent_ahead_are_answered_in_order(world: World, wire: Wire) -> None:
    await wire.send(READ + get("/v1/tokens/mail") + READ + get("/healthz") + READ[:20])
    assert (await wire.reply()).json()["account"] == "calendar"
    await world.tokens.demands.get()
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    assert [(await wire.reply()).json().get("account") for _ in range(3)] == ["mail", "calendar", None]
    await wire.send(READ[20:])
    assert (await wire.reply()).status == 200


async def test_a_thousand_requests_sent_ahead_are_all_answered(wire: Wire) -> None:
    sending = asyncio.ensure_future(wire.send(READ * 1000))
    for _ in range(1000):
        assert (await wire.reply()).status == 200
    await sending


async def test_bytes_that_trickle_in_are_a_request_too(wire: Wire) -> None:
    for byte in READ:
        await wire.send(bytes([byte]))
    assert (await wire.reply()).status == 200


async def test_a_long_run_of_requests_gives_others_their_turn(connect: Connect) -> None:
    greedy, modest = await connect(), await connect()
    await modest.get("/v1/tokens/calendar")
    greedy.writer.write(READ * 600)
    modest.writer.write(READ)
    assert (await modest.reply()).status == 200
    answered = 0
    while len(greedy.reader._buffer) > answered:  # type: ignore[attr-defined]
        await greedy.reply()
        answered += 1
    assert answered < 600


async def test_I11_no_more_than_a_burst_is_served_before_the_next_ones_turn(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy, modest = await connect(), await connect()
    await asyncio.gather(greedy.get("/healthz"), modest.get("/healthz"))
    served: list[str] = []

    def knows(account: str) -> bool:
        served.append(account)
        return False

    monkeypatch.setattr(world.tokens, "knows", knows)
    greedy.writer.write(get("/v1/tokens/greedy") * 200)
    modest.writer.write(get("/v1/tokens/modest"))
    await modest.reply()
    await greedy.reply()
    assert 0 < served.index("modest") <= 4 * Limits().burst


@pytest.mark.parametrize(
    "data", [b"GET /\n\n", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_after_a_malformed_request_nothing_behind_it_is_read(wire: Wire, data: bytes) -> None:
    await wire.send(data + READ)
    reply = await wire.reply()
    assert (reply.status // 100, reply.headers["connection"]) == (4, "close")
    assert await wire.ended() == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 9000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n", 413),
    ],
)
async def test_what_is_too_large_is_refused_before_it_is_there(wire: Wire, data: bytes, status: int) -> None:
    await wire.send(data)
    assert (await wire.reply()).status == status


async def test_a_client_that_stalls_in_a_request_is_dropped_and_delays_nobody(start: Start) -> None:
    world = await start(Limits(slow=0.08))
    slow, other = await Wire.open(world.path), await Wire.open(world.path)
    await slow.send(READ[:30])
    dropped = asyncio.ensure_future(slow.reply())
    while not dropped.done():
        assert (await other.get("/v1/tokens/calendar")).status == 200
    assert dropped.result().status == 408
    assert await slow.ended() == b""


async def test_an_idle_connection_ends_and_a_waiting_one_does_not(start: Start) -> None:
    world = await start(Limits(idle=0.05))
    idle, waiting = await Wire.open(world.path), await Wire.open(world.path)
    await waiting.send(get("/v1/tokens/mail"))
    await world.tokens.demands.get()
    assert await idle.ended() == b""
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    assert (await waiting.reply()).status == 200


async def test_a_client_that_takes_no_answers_is_dropped(start: Start) -> None:
    world = await start(Limits(stalled=0.05, unsent=1000))
    world.tokens.publish("calendar", "x" * 10_000, 3600.0)
    wire = await Wire.open(world.path)
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not wire.writer.transport.is_closing():
        wire.writer.write(READ * 10)
        await asyncio.sleep(0)


async def test_where_there_is_no_room_the_longest_idle_makes_way(start: Start) -> None:
    world = await start(Limits(per_uid=2))
    first, second = await Wire.open(world.path), await Wire.open(world.path)
    await first.get("/v1/tokens/calendar")
    await second.get("/v1/tokens/calendar")
    await first.get("/v1/tokens/calendar")
    third = await Wire.open(world.path)
    assert (await third.get("/v1/tokens/calendar")).status == 200
    assert await second.ended() == b""
    assert (await first.get("/v1/tokens/calendar")).status == 200


async def test_where_all_are_busy_the_newcomer_is_refused(start: Start) -> None:
    world = await start(Limits(per_uid=1))
    busy = await Wire.open(world.path)
    await busy.send(get("/v1/tokens/mail"))
    await world.tokens.demands.get()
    newcomer = await Wire.open(world.path)
    assert (await newcomer.reply()).json()["type"].endswith(":crowded")
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    assert (await busy.reply()).status == 200


async def test_the_user_with_most_connections_makes_way_for_others(start: Start) -> None:
    world = await start(Limits(connections=3))
    many = [await Wire.open(world.path) for _ in range(3)]
    for wire in many:
        await wire.get("/healthz")
    world.identity = Identity(UID + 1, 1, pid=5)
    world.policy = Policy({"calendar": Readers(frozenset({UID + 1}))}, generation=9)
    other = await Wire.open(world.path)
    assert (await other.get("/v1/tokens/calendar")).status == 200
    assert await many[0].ended() == b""


async def test_many_connections_are_served(start: Start) -> None:
    world = await start(Limits())
    wires = [await Wire.open(world.path) for _ in range(200)]
    replies = await asyncio.gather(*(wire.get("/v1/tokens/calendar") for wire in wires))
    assert {reply.status for reply in replies} == {200}


async def test_stopping_ends_the_idle_and_lets_the_busy_have_their_answer(world: World, connect: Connect) -> None:
    idle, busy = await connect(), await connect()
    await idle.get("/healthz")
    await busy.send(get("/v1/tokens/mail") + get("/v1/tokens/calendar"))
    await world.tokens.demands.get()
    world.stop_intake()
    assert await idle.ended() == b""
    with pytest.raises(OSError, match=r"No such file|refused"):
        await Wire.open(world.path)
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    reply = await busy.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert await busy.ended() == b""


async def test_I9_a_request_that_had_begun_before_the_stop_still_gets_its_lease(world: World, connect: Connect) -> None:
    begun = await connect()
    await begun.get("/healthz")
    await begun.send(READ[:20])
    await (await connect()).get("/healthz")
    world.stop_intake()
    await begun.send(READ[20:])
    reply = await begun.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
