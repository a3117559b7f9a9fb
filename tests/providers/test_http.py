"""One call is NotSent, Lost or a reply, and exactly the right one, whatever the other end does."""

import asyncio
import contextlib
import datetime as dt
import gzip
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.providers.cut import BODY_LIMIT_BYTES, MARK
from freshd.providers.http import Call, Http, Route, Wire
from tests.providers.conftest import Raw, Script, read_request, says

Serve = Callable[[Script], Awaitable[Raw]]
CANARY = "c4nary-" + "x" * 32
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    made = Http()
    yield made
    await made.aclose()


def post(url: str, *, size: int = 0, deadline: float = 30.0, ca_file: str | None = None) -> Call:
    body = f"refresh_token={CANARY}".encode() + b"x" * size
    route = Route(ca_file=ca_file, deadline=deadline)
    return Call("POST", url + "/token", {"Authorization": f"Basic {CANARY}"}, body, route)


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without reading anything."""


async def closes_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def dies_in_the_middle_of_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(5000)
    reset(writer)


async def resets_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await reader.read(1)


def reset(writer: asyncio.StreamWriter) -> None:
    made: socket.socket = writer.get_extra_info("socket")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("script", [closes_at_once, closes_after_request, resets_after_request])
async def test_a_connection_that_ends_without_a_byte_is_lost(raw: Serve, http: Http, script: Script) -> None:
    server = await raw(script)
    assert isinstance(await http.call(post(server.url)), Lost)
    assert len(server.accepted) == 1


async def test_a_server_killed_in_the_middle_of_the_request_body_is_lost(raw: Serve, http: Http) -> None:
    server = await raw(dies_in_the_middle_of_the_body)
    assert isinstance(await http.call(post(server.url, size=900_000)), Lost)
    assert len(server.accepted) == 1


async def test_silence_is_lost_at_the_deadline(raw: Serve, http: Http) -> None:
    server = await raw(says_nothing)
    assert await http.call(post(server.url, deadline=1.0)) == Lost("no answer within 1 s")


async def test_a_refused_connection_is_not_sent(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await http.call(post(f"http://127.0.0.1:{port}")) == NotSent("Connection refused")


async def test_a_name_that_does_not_resolve_is_not_sent(http: Http) -> None:
    assert isinstance(await http.call(post("https://nowhere.invalid", deadline=5)), NotSent)


async def test_a_connection_that_does_not_come_about_is_not_sent(http: Http) -> None:
    with socket.socket() as full:  # its queue holds one connection, and that is ours already
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))):
            outcomes = [await http.call(post(f"http://127.0.0.1:{port}", deadline=0.05)) for _ in range(2)]
    assert outcomes[-1] == NotSent("no answer within 0.05 s")


async def test_a_server_that_speaks_no_tls_is_not_sent(raw: Serve, http: Http) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    server = await raw(script)
    performed = await http.call(post(server.url.replace("http:", "https:")))
    assert isinstance(performed, NotSent)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/token",
        "ftp://localhost/",
        "https://user:pw@example.org/",
        "https://",
        "http://[::1",
        "/token",
    ],
)
async def test_an_address_that_is_not_safe_is_not_sent_to(http: Http, url: str) -> None:
    assert isinstance(await http.call(Call("POST", url, {}, b"secret")), NotSent)


async def test_a_whole_reply_is_kept_as_received(raw: Serve, http: Http) -> None:
    server = await raw(says(OK))
    performed = await http.call(post(server.url))
    assert performed == Reply(200, (("Content-Type", "application/json"), ("Content-Length", "2")), b"{}")


CUTS = [
    (b"H", 0, b"H"),
    (b"HTTP/1.1 20", 0, b"HTTP/1.1 20"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", 200, b""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, b""),
    (b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a', 200, b'{"a'),
    (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n2\r\n":', 200, b'{"a":'),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", 200, b"{"),
    (b"garbage\r\n\r\n", 0, b"garbage\r\n\r\n"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", 200, b"{}"),
]


@pytest.mark.parametrize(("answer", "status", "body"), CUTS)
async def test_a_reply_cut_short_keeps_what_came(
    raw: Serve, http: Http, answer: bytes, status: int, body: bytes
) -> None:
    server = await raw(says(answer))
    performed = await http.call(post(server.url))
    assert isinstance(performed, Reply)
    assert (performed.status, performed.body, performed.complete) == (status, body, False)
    assert performed.headers[0][0] == MARK


async def test_every_prefix_of_a_reply_is_lost_only_without_a_byte(raw: Serve, http: Http) -> None:
    whole = (
        b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n\r\n{"refresh_token":"abc"}'[:-1] + b"}"
    )
    whole = whole.replace(b"22", b"23")
    for length in range(len(whole) + 1):
        server = await raw(says(whole[:length]))
        performed = await http.call(post(server.url))
        if length == 0:
            assert isinstance(performed, Lost)
        else:
            assert isinstance(performed, Reply)
            assert performed.complete == (length == len(whole))
            assert whole[:length].endswith(performed.body)


async def test_a_reset_after_a_body_of_no_stated_length_is_incomplete(
    raw: Serve, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = asyncio.Event()
    original = Wire.data_received

    def data_received(wire: Wire, data: bytes) -> None:
        original(wire, data)
        arrived.set()

    monkeypatch.setattr(Wire, "data_received", data_received)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await arrived.wait()
        reset(writer)

    server = await raw(script)
    performed = await http.call(post(server.url))
    assert isinstance(performed, Reply)
    assert (performed.body, performed.complete) == (b"{}", False)


async def test_a_slow_reply_is_cut_at_the_deadline(raw: Serve, http: Http) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await reader.read()

    server = await raw(script)
    performed = await http.call(post(server.url, deadline=1.0))
    assert isinstance(performed, Reply)
    assert (performed.body, performed.header(MARK)) == (b"{", "no answer within 1 s")


async def test_a_reply_of_200_megabytes_is_left_after_64_kib(raw: Serve, http: Http) -> None:
    written = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(3200):
            writer.write(b" " * 62_500)
            written += 62_500
            await writer.drain()

    server = await raw(script)
    performed = await http.call(post(server.url))
    assert isinstance(performed, Reply)
    assert (len(performed.body), performed.header(MARK)) == (BODY_LIMIT_BYTES, "too large")
    assert written < 100_000_000


async def test_nothing_is_unpacked(raw: Serve, http: Http) -> None:
    packed = gzip.compress(b"{}" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    server = await raw(says(head + packed))
    performed = await http.call(post(server.url))
    assert isinstance(performed, Reply)
    assert performed.body == packed


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(raw: Serve, http: Http, status: int) -> None:
    elsewhere = await raw(says(OK))
    head = b"HTTP/1.1 %d Go\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n" % (status, elsewhere.url.encode())
    server = await raw(says(head))
    performed = await http.call(post(server.url))
    assert isinstance(performed, Reply)
    assert performed.status == status
    assert not elsewhere.accepted


async def test_every_call_has_a_connection_of_its_own(raw: Serve, http: Http) -> None:
    server = await raw(says(OK))
    for _ in range(3):
        await http.call(post(server.url))
    assert len(server.accepted) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_is_repeated(raw: Serve, http: Http, method: str) -> None:
    server = await raw(closes_after_request)
    assert isinstance(await http.call(Call(method, server.url)), Lost)
    assert len(server.accepted) == 1


async def test_no_cookie_is_kept_and_no_proxy_taken_from_the_environment(
    raw: Serve, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    server = await raw(script)
    for _ in range(2):
        assert isinstance(await http.call(post(server.url)), Reply)
    assert b"accept-encoding: identity" in seen[1].lower()
    assert b"cookie" not in seen[1].lower()


async def test_a_slow_service_delays_nobody_else(raw: Serve, http: Http) -> None:
    all_wait = asyncio.Event()
    waiting: list[None] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(None)
        if len(waiting) == 200:
            all_wait.set()
        await says_nothing(reader, writer)

    slow, quick = await raw(script), await raw(says(OK))
    calls = [asyncio.create_task(http.call(post(slow.url))) for _ in range(200)]
    async with asyncio.timeout(20):
        await all_wait.wait()
        assert isinstance(await http.call(post(quick.url)), Reply)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


OUTCOMES: list[Script] = [closes_after_request, says(b"HTTP/1.1 2"), says(b"garbage\r\n\r\n"), says(OK), closes_at_once]


@pytest.mark.parametrize("script", OUTCOMES)
async def test_no_secret_is_shown_or_logged(
    raw: Serve, http: Http, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = post((await raw(script)).url)
    performed: Performed = await http.call(call)
    assert CANARY not in repr(performed) + repr(call) + caplog.text


async def test_calls_work_again_after_closing(raw: Serve, http: Http) -> None:
    server = await raw(says(OK))
    await http.call(post(server.url))
    await http.aclose()
    assert isinstance(await http.call(post(server.url)), Reply)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def secure(authority: Path) -> AsyncIterator[str]:
    """A server behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await says(OK)(reader, writer)
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_a_private_authority_is_trusted_where_configured(http: Http, secure: str, authority: Path) -> None:
    assert isinstance(await http.call(post(secure, ca_file=str(authority))), Reply)


async def test_an_untrusted_certificate_is_not_sent_to(http: Http, secure: str) -> None:
    assert await http.call(post(secure)) == NotSent("the certificate is not trusted")


async def test_a_missing_authority_file_is_not_sent(http: Http, secure: str, tmp_path: Path) -> None:
    performed = await http.call(post(secure, ca_file=str(tmp_path / "none.pem")))
    assert isinstance(performed, NotSent)


async def test_a_proxy_that_refuses_has_seen_nothing(raw: Serve, http: Http) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

    proxy = await raw(script)
    call = Call("POST", "https://service.invalid/token", {}, CANARY.encode(), Route(proxy=proxy.url))
    assert isinstance(await http.call(call), NotSent)
    assert seen[0].startswith(b"CONNECT service.invalid:443")
    assert CANARY.encode() not in seen[0]
