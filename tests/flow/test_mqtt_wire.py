"""The kind `mqtt` against a real broker, and against ports that only look like one; no daemon."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from freshd.channels.dialer import Ended, Why
from freshd.channels.mqtt import MqttDialer, make, parse
from freshd.core.model import Lease, Moment, Secret
from freshd.core.settings import ChannelSettings, SecretRef, Way
from freshd.errors import PublishRefused, WireDown
from freshd.wire import Wire
from tests.flow.bed import soon
from tests.flow.mosquitto import Mosquitto, Watcher

pytestmark = pytest.mark.part("mosquitto")
VERSIONS = ("5", "3.1.1")
USER, PASSWORD = "dev", "pass-word-of-dev"
PATIENCE_SECONDS = 20.0


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made = (folder / "cert.pem", folder / "key.pem")
    made[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made[1].write_bytes(key.private_bytes(*form))
    return made


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, pems: tuple[Path, Path]) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker"), tls=pems) as one:
        one.know(USER, PASSWORD)
        yield one


@pytest.fixture(autouse=True)
def known(broker: Mosquitto) -> None:
    broker.set_password(USER, PASSWORD)


class Speaker:
    """Does one thing over the wire, and stays."""

    def __init__(self, act: Callable[[Wire], Awaitable[Any]], will: tuple[str, bytes] | None = None) -> None:
        self._act, self.will = act, will
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.farewells = 0

    async def serve(self, wire: Wire) -> None:
        try:
            self.done.set_result(await self._act(wire))
        except (WireDown, PublishRefused) as error:
            self.done.set_result(error)
        await asyncio.Event().wait()

    async def farewell(self, wire: Wire) -> None:
        self.farewells += 1
        await wire.publish("freshd/status", b"gone", retain=True)


def dialer(port: int, version: str = "5", *, speaker: Speaker | None = None, **more: object) -> MqttDialer:
    raw = {"account": "mail", "host": "127.0.0.1", "port": port, "version": version, "username": USER, **more}
    options, problems = parse("line", raw)
    assert not problems
    made = make(ChannelSettings("line", "mqtt", "mail", options))
    made.equip(_never, speaker)
    return made


async def _never(_ref: SecretRef) -> Secret:
    raise AssertionError


def lease(token: str = PASSWORD) -> Lease:
    return Lease("mail", 1, Secret(token), Moment(0.0, 0.0, "b"), 60.0, {"uid": "7"})


@contextlib.asynccontextmanager
async def held(one: MqttDialer, token: str = PASSWORD) -> AsyncIterator[asyncio.Task[Ended]]:
    """The login while it is up."""
    up = asyncio.Event()
    task = asyncio.create_task(one.hold(lease(token), lambda _facts: up.set()))
    async with asyncio.timeout(PATIENCE_SECONDS):
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    assert not task.done(), task.result()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def said(act: Callable[[Wire], Awaitable[Any]], broker: Mosquitto, version: str) -> Any:  # noqa: ANN401
    speaker = Speaker(act)
    async with held(dialer(broker.port, version, speaker=speaker, deadline=3.0)), asyncio.timeout(PATIENCE_SECONDS):
        return await speaker.done


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_is_acknowledged_and_heard(broker: Mosquitto, version: str) -> None:
    with Watcher(broker.port) as watcher:
        assert await said(lambda wire: wire.publish("freshd/a", b"1"), broker, version) is None
        await soon(lambda: watcher.on("freshd/a"))


async def test_what_the_broker_refuses_is_refused_on_mqtt_5(broker: Mosquitto) -> None:
    found = await said(lambda wire: wire.publish("elsewhere", b"1"), broker, "5")
    assert isinstance(found, PublishRefused)
    assert "0x87" in found.cause


async def test_on_mqtt_311_only_listening_tells_what_the_broker_throws_away(broker: Mosquitto) -> None:
    assert await said(lambda wire: wire.publish("elsewhere", b"1"), broker, "3.1.1") is None
    assert await said(lambda wire: wire.is_heard("freshd/echo", b"1"), broker, "3.1.1") is True
    assert await said(lambda wire: wire.is_heard("elsewhere", b"1"), broker, "3.1.1") is not True


@pytest.mark.parametrize("topic", ["a/#", "a/+", "", "x" * 70_000])
async def test_a_topic_that_is_none_is_refused(broker: Mosquitto, topic: str) -> None:
    assert isinstance(await said(lambda wire: wire.publish(topic, b""), broker, "5"), PublishRefused)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_password_is_a_refusal_in_a_readers_words(broker: Mosquitto, version: str) -> None:
    ended = await dialer(broker.port, version).hold(lease("wrong"), lambda _facts: None)
    assert (ended.why, ended.status) == (Why.REFUSED, 401)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_changed_password_throws_out_and_the_next_login_tells(broker: Mosquitto, version: str) -> None:
    async with held(dialer(broker.port, version)) as task:
        await asyncio.to_thread(broker.set_password, USER, "another")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await task).why is Why.AGAIN
    assert (await dialer(broker.port, version).hold(lease(), lambda _facts: None)).why is Why.REFUSED


async def test_another_client_of_the_same_name_is_a_kick_where_the_broker_says_so() -> None:
    async with port(_talks(LET_IN["5"] + b"\xe0\x01\x8e")) as number, asyncio.timeout(PATIENCE_SECONDS):
        ended = await dialer(number).hold(lease(), lambda _facts: None)
    assert (ended.why, ended.code) == (Why.KICKED, "0x8e")


async def test_where_it_says_nothing_it_is_a_loss(broker: Mosquitto) -> None:
    async with held(dialer(broker.port, client_id="one")) as task, held(dialer(broker.port, client_id="one")):
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await task).why is Why.LOST


@pytest.mark.parametrize("version", VERSIONS)
async def test_cancelled_it_says_its_last_word_and_no_will_is_left(broker: Mosquitto, version: str) -> None:
    speaker = Speaker(lambda _wire: asyncio.sleep(0), will=("freshd/will", b"lost"))
    with Watcher(broker.port) as watcher:
        async with held(dialer(broker.port, version, speaker=speaker)):
            await speaker.done
        await soon(lambda: watcher.on("freshd/status"))
        assert not watcher.on("freshd/will")
    assert speaker.farewells == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_cut_off_the_broker_publishes_the_will(broker: Mosquitto, version: str) -> None:
    speaker = Speaker(lambda _wire: asyncio.sleep(0), will=("freshd/will", b"lost"))
    cut = asyncio.Event()

    async def leads_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", broker.port)
        ways = [asyncio.create_task(_pipe(reader, back)), asyncio.create_task(_pipe(there, writer))]
        await cut.wait()
        for one in (back, writer):
            one.transport.abort()
        await asyncio.gather(*ways, return_exceptions=True)

    with Watcher(broker.port) as watcher:
        async with port(leads_on) as number, held(dialer(number, version, speaker=speaker)) as task:
            cut.set()
            assert (await task).code == "closed"
            await soon(lambda: watcher.on("freshd/will"))
    assert speaker.farewells == 0


async def test_templates_are_filled_and_a_token_is_never_shown(broker: Mosquitto) -> None:
    facts: list[Any] = []
    one = dialer(broker.port, client_id="c-{uid}")
    task = asyncio.create_task(one.hold(lease(), facts.append))
    await soon(lambda: facts)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert facts[0]["client_id"] == "c-7"
    async with held(dialer(broker.port, client_id="{token}")):
        pass
    assert PASSWORD not in str(facts)


async def test_an_unknown_field_stops_and_names_those_there_are() -> None:
    ended = await dialer(1, username="{tenant}").hold(lease(), lambda _facts: None)
    assert (ended.why, ended.code) == (Why.WRONG, "no-such-field")
    assert "username names tenant" in ended.reason
    assert "uid" in ended.reason
    assert PASSWORD not in ended.reason


async def test_a_foreign_authority_is_not_trusted_and_ours_is(broker: Mosquitto, pems: tuple[Path, Path]) -> None:
    named = dialer(broker.tls_port, host="localhost", tls=True)
    ended = await named.hold(lease(), lambda _facts: None)
    assert (ended.why, ended.code) == (Why.LOST, "not-trusted")
    assert ended.wait >= 60
    async with held(dialer(broker.tls_port, host="localhost", tls=True, ca_file=str(pems[0]))):
        pass
    by_number = dialer(broker.tls_port, tls=True, ca_file=str(pems[0]))
    assert (await by_number.hold(lease(), lambda _facts: None)).code == "not-trusted"


async def test_files_that_are_not_there_stop(broker: Mosquitto, tmp_path: Path) -> None:
    one = dialer(broker.tls_port, tls=True, ca_file=str(tmp_path / "none"))
    assert (await one.hold(lease(), lambda _facts: None)).why is Why.WRONG


async def test_a_password_by_reference_is_resolved_for_each_login(broker: Mosquitto) -> None:
    ref = SecretRef(Way.CREDENTIAL, ("x",))
    options, _ = parse("line", {"host": "127.0.0.1", "port": broker.port, "username": USER, "password": ref})
    asked: list[SecretRef] = []

    async def resolve(one: SecretRef) -> Secret:
        asked.append(one)
        return Secret("wrong" if len(asked) == 1 else PASSWORD)

    one = make(ChannelSettings("line", "mqtt", None, options))
    one.equip(resolve, None)
    assert (await one.hold(None, lambda _facts: None)).why is Why.REFUSED
    up = asyncio.Event()
    task = asyncio.create_task(one.hold(None, lambda _facts: up.set()))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await up.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asked == [ref, ref]


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)


Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def _talks(data: bytes) -> Meet:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()

    return meet


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


LET_IN = {"5": b"\x20\x03\x00\x00\x00", "3.1.1": b"\x20\x02\x00\x00"}


@contextlib.asynccontextmanager
async def port(meet: Meet) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        tasks.add(me)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await meet(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "meet", [_silent, _closes, _talks(b"HTTP/1.1 400 Bad Request\r\n\r\n"), _talks(b"\xff" * 64), _talks(b"\x20\x7f"),
             _talks(b"\x20\x01\x00"), _talks(b"\x20\x02\x00\x01"), _talks(b"\xd0\x00" * 8)],
)  # fmt: skip
async def test_what_is_no_broker_ends_as_a_loss_before_the_deadline_of_patience(
    meet: Meet, tls: bool, version: str
) -> None:
    async with port(meet) as number, asyncio.timeout(PATIENCE_SECONDS):
        ended = await dialer(number, version, tls=tls, deadline=0.3).hold(lease(), lambda _facts: None)
    assert ended.why in (Why.LOST, Why.WRONG)
    assert PASSWORD not in ended.reason
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_broker_that_freezes_after_the_login_is_left_when_it_owes_an_acknowledgement(version: str) -> None:
    async with port(_talks(LET_IN[version])) as number, asyncio.timeout(PATIENCE_SECONDS):
        speaker = Speaker(lambda wire: wire.publish("freshd/a", b"1"))
        ended = await dialer(number, version, speaker=speaker, deadline=0.3).hold(lease(), lambda _facts: None)
        assert isinstance(speaker.done.result(), WireDown)
    assert (ended.why, ended.code) == (Why.LOST, "no-answer")


async def test_nobody_listens() -> None:
    ended = await dialer(1).hold(lease(), lambda _facts: None)
    assert (ended.why, ended.code) == (Why.LOST, "no-connection")


async def test_a_name_without_an_address() -> None:
    ended = await dialer(1883, host="no-such-host.invalid").hold(lease(), lambda _facts: None)
    assert (ended.why, ended.code) == (Why.LOST, "no-address")
