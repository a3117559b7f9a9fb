"""A gateway on a real socket: health, WebSocket, TLS, and everything a library may stumble over."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freshd.channels.aun import AunDialer
from freshd.channels.aun_options import Options
from freshd.channels.aun_session import Beat
from freshd.channels.aun_socket import FRAME_LIMIT_BYTES
from freshd.channels.dialer import Ended, Facts, Why
from freshd.core.model import Lease, Moment, Secret

TOKEN = "eyJhbGciOiJFUzI1NiJ9.canary-77aa.c2ln"
HELLO = {"status": "ok", "protocol": "1.0", "capabilities": {"namespaces": ["auth", "meta"]}, "heartbeat_interval": 30}
CHALLENGE = json.dumps({"jsonrpc": "2.0", "method": "challenge", "params": {"nonce": "n-1", "server": "bridge"}})
Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@dataclass
class Server:
    """One gateway.  `script`: what it does on a connection; `health`: its status."""

    script: Script
    health: int = 200
    answer: Callable[[web.Request], web.StreamResponse] | None = None
    seen: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    live: int = 0
    most_live: int = 0
    scheme: str = "ws"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/aun"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path_qs)
        self.headers.append(dict(request.headers))
        if request.path == "/health":
            headers = {"Location": "/elsewhere"} if self.health == 302 else {"Set-Cookie": "a=b"}
            return web.Response(status=self.health, text="body", headers=headers)
        if self.answer is not None:
            return self.answer(request)
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self.live += 1
        self.most_live = max(self.live, self.most_live)
        try:
            await self.script(socket)
        finally:
            self.live -= 1
        return socket


@contextlib.asynccontextmanager
async def serving(
    script: Script, trust: ssl.SSLContext | None = None, **how: Any
) -> AsyncIterator[Server]:  # fmt: skip
    server = Server(script, **how)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
    await site.start()
    server.port = runner.addresses[0][1]
    server.scheme = "ws" if trust is None else "wss"
    try:
        yield server
    finally:
        await runner.cleanup()


def lease(*urls: str) -> Lease:
    fields = {"gateways": " ".join(urls)}
    return Lease("carol", 3, Secret(TOKEN), Moment(1_764_000_000.0, 100.0, "boot"), 3600.0, fields)


async def hold(*urls: str, beat: Beat | None = None, facts: list[Facts] | None = None, **chosen: object) -> Ended:
    dialer = AunDialer(Options.model_validate({"device_id": "desk", **chosen}), beat)
    return await dialer.hold(lease(*urls), (facts if facts is not None else []).append)


async def admit(socket: web.WebSocketResponse) -> dict[str, Any]:
    await socket.send_str(CHALLENGE)
    asked: dict[str, Any] = await socket.receive_json()
    await socket.send_json({"jsonrpc": "2.0", "id": asked["id"], "result": HELLO})
    return asked


async def drain(socket: web.WebSocketResponse) -> None:
    """Read until the other side is gone."""
    async for _ in socket:
        pass


async def test_a_login_over_a_real_socket() -> None:
    asked: list[dict[str, Any]] = []

    async def script(socket: web.WebSocketResponse) -> None:
        asked.append(await admit(socket))
        await socket.close(code=4009)

    facts: list[Facts] = []
    async with serving(script) as server:
        ended = await hold(server.url + "?v=1", facts=facts)
    assert (ended.why, ended.code) == (Why.KICKED, "4009")
    assert server.seen == ["/health", "/aun?v=1"]
    assert asked[0]["params"]["auth"] == {"method": "kite_token", "token": TOKEN}
    assert facts[0]["gateway"] == f"127.0.0.1:{server.port}"
    assert not [headers for headers in server.headers if TOKEN in repr(headers) or "Cookie" in headers]


CODES = [1000, 1001, 1011, 1012, 4001, 4003, 4008, 4009, 4010, 4011, 4012, 4013, 4014, 4015]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("live", [True, False])
async def test_a_close_code_arrives_as_it_was_sent(code: int, live: bool) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        if live:
            await admit(socket)
        else:
            await socket.send_str(CHALLENGE)
            await socket.receive()
        await socket.close(code=code, message=b"for a reason")

    async with serving(script) as server:
        assert (await hold(server.url)).code == str(code)


async def test_a_connection_that_breaks_is_one_without_a_close_frame() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        transport = socket._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()

    async with serving(script) as server:
        ended = await hold(server.url)
    assert (ended.why, ended.code) == (Why.LOST, "1006")


async def test_a_close_frame_without_a_code_is_the_gateways_own_affair() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket._writer.send_frame(b"", WSMsgType.CLOSE)  # type: ignore[union-attr]
        await drain(socket)

    async with serving(script) as server:
        assert (await hold(server.url)).why is Why.LOST


@pytest.mark.parametrize("status", [503, 500, 404, 204, 302, 401])
async def test_any_health_but_200_leads_to_the_next_gateway(status: int) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket.close(code=4009)

    async with serving(script, health=status) as sick, serving(script) as well:
        ended = await hold(sick.url, well.url)
        assert ended.why is Why.KICKED
        assert sick.seen == ["/health"]  # no redirect was followed either
        assert well.seen == ["/health", "/aun"]
        assert (await hold(sick.url)).code == "gateway-down"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=200, text="<html>"),
        lambda _: web.Response(status=401),
        lambda _: web.Response(status=302, headers={"Location": "/other"}),
        lambda _: web.Response(status=101, headers={"Upgrade": "websocket", "Connection": "upgrade"}),
    ],
    ids=["page", "401", "redirect", "no accept"],
)
async def test_a_gateway_that_opens_no_websocket_is_down(answer: Callable[[web.Request], web.Response]) -> None:
    async with serving(drain, answer=answer) as server:
        ended = await hold(server.url)
    assert (ended.why, ended.code) == (Why.LOST, "gateway-down")
    assert server.seen == ["/health", "/aun"]


async def test_a_gateway_that_is_not_there_is_down() -> None:
    async with serving(drain) as server:
        gone = server.url
    ended = await hold(gone)
    assert (ended.why, ended.code) == (Why.LOST, "gateway-down")
    assert "refused" in ended.reason.lower()


async def test_one_that_opens_no_websocket_in_time_is_down() -> None:
    release = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readline()).startswith(b"GET /health "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            await release.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ended = await hold(f"ws://127.0.0.1:{port}/aun", connect_deadline=0.05)
    release.set()
    server.close()
    assert ended.code == "gateway-down"
    assert "in time" in ended.reason


async def test_a_refused_login_without_a_close_is_closed_by_us() -> None:
    ends: list[int | None] = []

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(CHALLENGE)
        asked = await socket.receive_json()
        await socket.send_json({"id": asked["id"], "error": {"code": 4001, "message": TOKEN}})
        await drain(socket)
        ends.append(socket.close_code)

    async with serving(script) as server:
        ended = await hold(server.url)
        assert (ended.why, ended.code, ended.status) == (Why.REFUSED, "4001", 401)
    assert ends == [1000]
    assert "canary" not in repr(ended)


async def test_a_gateway_that_goes_on_talking_after_our_goodbye_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(CHALLENGE)
        asked = await socket.receive_json()
        await socket.send_json({"id": asked["id"], "error": {"code": 4001}})
        with contextlib.suppress(ConnectionError):
            while True:  # never reads our close frame
                await socket.send_json({"method": "event/news", "params": {}})
                await asyncio.sleep(0.01)

    monkeypatch.setattr("freshd.channels.aun_socket.FAREWELL_SECONDS", 0.1)
    async with serving(script) as server:
        assert (await hold(server.url)).code == "4001"


async def test_the_older_connection_is_gone_before_the_next_one() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket.send_json({"method": "event/gateway.disconnect", "params": {"code": 4015}})
        await drain(socket)

    async with serving(script) as server:
        for _ in range(5):
            await hold(server.url)
            await asyncio.sleep(0)
        assert server.most_live == 1


async def test_cancelling_says_goodbye_to_the_gateway() -> None:
    gone = asyncio.Event()
    codes: list[int | None] = []

    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await drain(socket)
        codes.append(socket.close_code)
        gone.set()

    async with serving(script) as server:
        up = asyncio.Event()
        dialer = AunDialer(Options(device_id="desk"))
        task = asyncio.ensure_future(dialer.hold(lease(server.url), lambda _: up.set()))
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()
    assert codes == [1000]


async def test_missed_pongs_end_the_session() -> None:
    pings: list[str] = []

    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        pings.extend([json.loads(message.data)["method"] async for message in socket])

    async with serving(script) as server:
        ended = await hold(server.url, beat=Beat(0.01, 0.01, 0.01))
    assert (ended.why, ended.code) == (Why.LOST, "silent")
    assert pings == ["meta.ping", "meta.ping"]


def padded(size: int) -> str:
    head, tail = '{"method": "event/x", "params": {"pad": "', '"}}'
    return head + "x" * (size - len(head) - len(tail)) + tail


@pytest.mark.parametrize("more", [0, 1])
async def test_frames_are_taken_up_to_the_limit(more: int) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket.send_str(padded(FRAME_LIMIT_BYTES + more))
        await socket.close(code=4009)

    async with serving(script) as server:
        ended = await hold(server.url)
    assert ended.code == ("bad-frame" if more else "4009")


@pytest.mark.parametrize(
    "send",
    [
        lambda w: w.send_frame(b"\xff\xfe", WSMsgType.TEXT),
        lambda w: w.send_frame(b"x" * 200, WSMsgType.PING),
        lambda w: w.send_frame(struct.pack("!H", 999), WSMsgType.CLOSE),
        lambda w: w.send_frame(struct.pack("!H", 4001) + b"\xff", WSMsgType.CLOSE),
    ],
    ids=["bad utf-8", "long ping", "close code 999", "bad reason"],
)
async def test_frames_that_break_the_rules_end_as_an_ending(send: Callable[[Any], Awaitable[None]]) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await send(socket._writer)
        await drain(socket)

    async with serving(script) as server:
        ended = await hold(server.url)
    assert ended.why is Why.LOST


async def test_binary_frames_and_pings_of_the_wire_are_nothing_to_us() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x00\x01")
        await socket.ping(b"here?")
        await admit(socket)
        await socket.send_bytes(json.dumps({"method": "event/gateway.disconnect", "params": {}}).encode())
        await socket.ping()
        await socket.close(code=WSCloseCode.SERVICE_RESTART)

    async with serving(script) as server:
        assert (await hold(server.url)).code == "1012"


# -- TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS for this machine, and the file of the authority behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    ca, pair = folder / "ca.pem", folder / "pair.pem"
    ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pair.write_bytes(pem + ca.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context, str(ca)


async def test_a_gateway_is_believed_for_the_authority_in_ca_file_only(tmp_path: Path) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket.close(code=4009)

    trust, ca_file = certificate(tmp_path)
    async with serving(script, trust) as server:
        assert (await hold(server.url, ca_file=ca_file)).why is Why.KICKED
        before = len(server.seen)
        ended = await hold(server.url)
        assert (ended.code, len(server.seen)) == ("gateway-down", before)
        assert "certificate" in ended.reason


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await admit(socket)
        await socket.close(code=4009)

    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(script) as server:
        assert (await hold(server.url)).why is Why.KICKED
