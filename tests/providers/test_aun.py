"""Calls at a gateway over real WebSockets: good ones, and every kind that is none."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.providers.aun.frames import Greeting
from freshd.providers.aun.gateways import PATH, Gateways
from freshd.providers.aun.transport import MOST_FRAMES, Transport, gateway_problem, side_of
from freshd.providers.cut import BODY_LIMIT_BYTES
from freshd.providers.http import Http, Route
from tests.providers.conftest import Bench, Clock, Raw, Script, read_request

Socket = web.WebSocketResponse
Part = Callable[[Socket], Awaitable[None]]
SHORT = 0.2
"""Seconds after which a test's gateway counts as silent."""


@dataclass
class Gateway:
    """A gateway that does what `script` says after the WebSocket opened; `heard`: all requests."""

    url: str = ""
    script: Part | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)

    async def meet(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        assert self.script is not None
        await self.script(socket)
        self.closed.append(socket.close_code)
        return socket

    async def ask(self, socket: Socket) -> dict[str, Any]:
        """Send the challenge and take the request."""
        await socket.send_str(CHALLENGE)
        return await self.take(socket)

    async def take(self, socket: Socket) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(await socket.receive_str())
        self.heard.append(request)
        return request


CHALLENGE = json.dumps(
    {"jsonrpc": "2.0", "method": "challenge", "params": {"nonce": "9c41", "server_time": 1_780_000_000.5}}
)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    app = web.Application()
    app.router.add_get("/aun", made.meet)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    made.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/aun"
    yield made
    await runner.cleanup()


def transport(deadline: float = 20.0, connect: float = 20.0) -> Transport:
    return Transport(None, deadline, connect)


async def call(gateway: Gateway, **limits: float) -> Performed:
    return await transport(**limits).call(gateway.url, "auth.refresh_token", {"refresh_token": "rt-1"})


def answers(gateway: Gateway, *before: str | bytes) -> Part:
    """Challenge, request, other frames, answer, goodbye."""

    async def script(socket: Socket) -> None:
        request = await gateway.ask(socket)
        for one in before:
            await (socket.send_str(one) if isinstance(one, str) else socket.send_bytes(one))
        await socket.send_str(frame(request["id"]))
        await socket.receive()

    return script


def frame(request_id: object, **result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": {"success": True, **result}, "_meta": {"ä": 1}})


async def test_a_call_brings_the_bytes_of_its_answer(gateway: Gateway) -> None:
    gateway.script = answers(gateway)
    performed = await call(gateway)
    [request] = gateway.heard
    assert performed == Reply(200, (), frame(request["id"]).encode())
    assert (request["method"], request["params"], request["jsonrpc"]) == (
        "auth.refresh_token", {"refresh_token": "rt-1"}, "2.0",
    )  # fmt: skip


async def test_each_call_has_an_id_and_a_connection_of_its_own(gateway: Gateway) -> None:
    gateway.script = answers(gateway)
    calls = [await call(gateway) for _ in range(3)]
    assert all(isinstance(one, Reply) for one in calls)
    assert len({request["id"] for request in gateway.heard}) == len(gateway.headers) == 3


async def test_no_secret_is_in_an_address_or_a_header(gateway: Gateway) -> None:
    gateway.script = answers(gateway)
    await call(gateway)
    assert "rt-1" not in repr(gateway.headers)
    assert {"Cookie", "Origin", "Authorization"} & gateway.headers[0].keys() == set()


async def test_events_and_frames_for_others_are_passed_over(gateway: Gateway) -> None:
    event = json.dumps({"jsonrpc": "2.0", "method": "event/token.refreshed", "params": {}})
    gateway.script = answers(gateway, event, frame("pre-auth.refresh_token"), b"\x00\x01")
    assert isinstance(await call(gateway), Reply)


@pytest.mark.parametrize("wrong", ["pre-auth.refresh_token", None, 7, ["x"]])
async def test_an_answer_with_another_id_is_none(gateway: Gateway, wrong: object) -> None:
    async def script(socket: Socket) -> None:
        await gateway.ask(socket)
        await socket.send_str(frame(wrong))
        await socket.close(code=1000)

    gateway.script = script
    assert await call(gateway) == Lost("it closed the connection (1000) without an answer")


async def test_a_flood_of_other_frames_ends_the_call(gateway: Gateway) -> None:
    gateway.script = answers(gateway, *['{"id": 0}'] * MOST_FRAMES)
    assert await call(gateway) == Lost("many frames came, and none was the answer")


async def test_a_gateway_that_never_challenges_gets_no_request(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        gateway.heard.append({"type": str((await socket.receive()).type)})

    gateway.script = script
    performed = await call(gateway, connect=SHORT)
    assert performed == NotSent(f"no answer, or no challenge, within {SHORT:g} s")


@pytest.mark.parametrize(
    "first", ["hello", "{}", '{"method": "event/x"}', '{"id": 1, "result": {}}', '["challenge"]', b"\x01challenge"]
)
async def test_a_gateway_that_says_something_else_first_gets_no_request(gateway: Gateway, first: str | bytes) -> None:
    async def script(socket: Socket) -> None:
        await (socket.send_str(first) if isinstance(first, str) else socket.send_bytes(first))
        message = await socket.receive()
        assert message.type is not aiohttp.WSMsgType.TEXT

    gateway.script = script
    assert await call(gateway) == NotSent("this is no gateway: it says something else before the challenge")


async def test_a_gateway_that_closes_before_the_challenge_gets_no_request(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        await socket.close(code=4008)

    gateway.script = script
    assert await call(gateway) == NotSent("this is no gateway: it closed the connection (4008) before the challenge")


async def test_a_challenge_beyond_the_limit_is_none(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        await socket.send_str(json.dumps({"method": "challenge", "params": {"nonce": "x" * 1_100_000}}))
        await socket.receive()

    gateway.script = script
    performed = await call(gateway)
    assert isinstance(performed, NotSent)
    assert "too large" in performed.reason


@pytest.mark.parametrize("code", [1000, 1001, 4001, 4009])
async def test_a_gateway_that_closes_after_the_request_leaves_it_in_doubt(gateway: Gateway, code: int) -> None:
    async def script(socket: Socket) -> None:
        await gateway.ask(socket)
        await socket.close(code=code, message=b"secret words")

    gateway.script = script
    performed = await call(gateway)
    assert performed == Lost(f"it closed the connection ({code}) without an answer")


async def test_a_connection_that_breaks_after_the_request_leaves_it_in_doubt(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        await gateway.ask(socket)
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.abort()

    gateway.script = script
    assert isinstance(await call(gateway), Lost)


async def test_silence_after_the_request_leaves_it_in_doubt(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        await gateway.ask(socket)
        await socket.receive()

    gateway.script = script
    assert await call(gateway, deadline=SHORT) == Lost(f"no answer, or no challenge, within {SHORT:g} s")


async def test_an_answer_counts_whatever_comes_after_it(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        request = await gateway.ask(socket)
        await socket.send_str(frame(request["id"]))
        await socket.close(code=4001)

    gateway.script = script
    assert isinstance(await call(gateway), Reply)


async def test_nobody_waits_for_the_farewell_of_the_other_side(gateway: Gateway) -> None:
    done = asyncio.Event()

    async def script(socket: Socket) -> None:
        request = await gateway.ask(socket)
        await socket.send_str(frame(request["id"]))
        await done.wait()

    gateway.script = script
    assert isinstance(await call(gateway), Reply)
    done.set()


async def test_an_answer_larger_than_any_honest_one_is_cut(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        request = await gateway.ask(socket)
        await socket.send_str(frame(request["id"], refresh_token="rt-2", pad="x" * 200_000))
        await socket.receive()

    gateway.script = script
    performed = await call(gateway)
    assert isinstance(performed, Reply)
    assert not performed.complete
    assert len(performed.body) == BODY_LIMIT_BYTES
    assert b"rt-2" in performed.body


async def test_an_answer_beyond_the_limit_of_the_protocol_is_lost(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        request = await gateway.ask(socket)
        await socket.send_str(frame(request["id"], pad="x" * 1_100_000))
        await socket.receive()

    gateway.script = script
    assert await call(gateway) == Lost("it sent a frame that is too large without an answer")


async def test_a_request_that_no_gateway_takes_is_not_sent(gateway: Gateway) -> None:
    gateway.script = answers(gateway)
    performed = await transport().call(gateway.url, "x", {"pad": "x" * 1_000_001})
    assert performed == NotSent("the request is too large")


async def test_listening_to_the_challenge_sends_nothing(gateway: Gateway) -> None:
    async def script(socket: Socket) -> None:
        await socket.send_str(CHALLENGE)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE

    gateway.script = script
    assert await transport().greet(gateway.url) == Greeting(1_780_000_000.5)
    assert gateway.heard == []


async def test_a_call_that_is_cancelled_closes_its_connection(gateway: Gateway) -> None:
    reached = asyncio.Event()

    async def script(socket: Socket) -> None:
        await gateway.ask(socket)
        reached.set()
        await socket.receive()

    gateway.script = script
    task = asyncio.create_task(call(gateway))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- what is no WebSocket at all --------------------------------------------------------------------------------------

Serve = Callable[[Script], Awaitable[Raw]]


def says(head: str) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head.encode())
        await writer.drain()

    return script


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n", "it redirects"),
        ("HTTP/1.1 307 X\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", "it redirects"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "status 200"),
        ("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "status 401"),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
            "status 101",
        ),
        ("garbage\r\n\r\n", "the call failed"),
        ("", "closed"),
    ],
)
async def test_what_opens_no_websocket_gets_no_request(raw: Serve, head: str, why: str) -> None:
    server = await raw(says(head))
    performed = await transport().call(server.url.replace("http", "ws"), "m", {"secret": "s"})
    assert isinstance(performed, NotSent)
    assert why in performed.reason
    assert len(server.accepted) == 1


async def test_nobody_there(raw: Serve) -> None:
    performed = await transport().call("ws://127.0.0.1:1/aun", "m", {})
    assert isinstance(performed, NotSent)


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("wss://gw1.example.test/aun", True),
        ("wss://gw1.example.test:8443/ws?x=1", True),
        ("ws://127.0.0.1:9000/aun", True),
        ("ws://gw1.example.test/aun", False),
        ("https://gw1.example.test/aun", False),
        ("wss://user:word@gw1.example.test/aun", False),
        ("wss:///aun", False),
        ("wsx://gw1.example.test/aun", False),
        ("", False),
    ],
)
async def test_only_addresses_to_which_a_secret_may_go_are_called(url: str, is_good: bool) -> None:
    assert (gateway_problem(url) is None) is is_good
    if not is_good:
        assert isinstance(await transport().call(url, "m", {}), NotSent)
        assert isinstance(await transport().greet(url), NotSent)


def test_plain_requests_go_to_the_same_place() -> None:
    assert side_of("wss://gw1.example.test:8443/aun?x=1") == "https://gw1.example.test:8443"
    assert side_of("ws://127.0.0.1:9/aun") == "http://127.0.0.1:9"


async def test_gateways_are_looked_up_over_plain_http_on_this_machine(bench: Bench, clock: Clock, raw: Serve) -> None:
    body = b'{"gateways": [{"url": "wss://b.example.test/aun"}, {"url": "wss://a.example.test/aun", "priority": 1}]}'
    server = await raw(says(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n" + body.decode()))
    gateways = Gateways((server.url + PATH,), None, bench.http, Route(), clock)
    assert await gateways.find() == ("wss://a.example.test/aun", "wss://b.example.test/aun")


async def test_http_is_not_needed_where_a_gateway_is_named(clock: Clock) -> None:
    gateways = Gateways((), "ws://127.0.0.1:9/aun", Http(), Route(), clock)
    assert await gateways.find() == ("ws://127.0.0.1:9/aun",)
