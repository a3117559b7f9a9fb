"""The MQTT outlet over a real broker with access rules: what is told, retained, refused, thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freshd.channels.dialer import Ended
from freshd.channels.mqtt import make, parse
from freshd.clock import SystemClock
from freshd.core.events import Event
from freshd.core.model import Lease, Moment, Secret
from freshd.core.settings import ChannelSettings, MqttOutletSettings, SecretRef
from freshd.outlets.mqtt import Counts, MqttOutlet
from tests.flow.bed import soon
from tests.flow.mosquitto import ROLE, Mosquitto, Watcher
from tests.unit.outlets.mqtt_bed import Accounts, health_of

pytestmark = pytest.mark.part("mosquitto")
VERSIONS = ("5", "3.1.1")
USER, PASSWORD = "dev", "pass-word-of-dev"
PATIENCE_SECONDS = 20.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as one:
        one.know(USER, PASSWORD)
        yield one


def deny(broker: Mosquitto, topic: str) -> None:
    acl = {"acltype": "publishClientSend", "topic": topic, "allow": False, "priority": 9}
    broker.act({"command": "addRoleACL", "rolename": ROLE, **acl})


def allow(broker: Mosquitto, topic: str) -> None:
    acl = {"acltype": "publishClientSend", "topic": topic}
    broker.act({"command": "removeRoleACL", "rolename": ROLE, **acl})


async def _never(_ref: SecretRef) -> Secret:
    raise AssertionError


class Stage:
    """An outlet, and a channel that it speaks over."""

    def __init__(self, broker: Mosquitto, version: str, port: int | None = None) -> None:
        self.events: list[Event] = []
        self.accounts = Accounts()
        self.accounts.known = {"mail": health_of("mail")}
        self.outlet = MqttOutlet(MqttOutletSettings("line", "freshd"), self.accounts, self.tell, SystemClock())
        raw = {
            "account": "mail",
            "host": "127.0.0.1",
            "port": port or broker.port,
            "version": version,
            "username": USER,
        }
        options, problems = parse("line", {**raw, "deadline": 2.0})
        assert not problems
        self._dialer = make(ChannelSettings("line", "mqtt", "mail", options))
        self._dialer.equip(_never, self.outlet)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.outlet.tell(event)

    def told(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[asyncio.Task[Ended]]:
        lease = Lease("mail", 1, Secret(PASSWORD), Moment(0.0, 0.0, "b"), 60.0)
        task = asyncio.create_task(self._dialer.hold(lease, lambda _facts: None))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


def seen(watcher: Watcher, part: str) -> list[int]:
    return [one.told["seq"] for one in watcher.on(part)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_is_told_and_what_lasts_is_retained(broker: Mosquitto, version: str) -> None:
    stage = Stage(broker, version)
    with Watcher(broker.port) as watcher:
        for number in range(50):
            stage.tell(Event("refresh.succeeded", "mail", {"number": number}))
        async with stage.up():
            await soon(lambda: stage.outlet.counts == Counts(50, 0, 0, 0))
            await soon(lambda: watcher.on("mail/health"))
        await soon(lambda: watcher.on("freshd/status")[-1].payload == b"offline")
    assert seen(watcher, "events/") == list(range(1, 51))
    with Watcher(broker.port) as late:
        await soon(lambda: len(late.heard) == 2)
        assert json.loads(late.on("mail/health")[0].payload)["phase"] == "live"
        assert late.on("freshd/status")[0].payload == b"offline"
        assert all(one.retained for one in late.heard)


@pytest.mark.parametrize("version", VERSIONS)
async def test_after_a_kick_the_next_login_goes_on_in_order(broker: Mosquitto, version: str) -> None:
    stage = Stage(broker, version)
    with Watcher(broker.port) as watcher:
        async with stage.up() as task:
            await soon(lambda: watcher.on("freshd/status"))
            stage.tell(Event("refresh.succeeded", "mail"))
            await soon(lambda: stage.outlet.counts.sent == 1)
            await asyncio.to_thread(broker.set_password, USER, PASSWORD)
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        for _ in range(20):
            stage.tell(Event("refresh.succeeded", "mail"))
        async with stage.up():
            await soon(lambda: stage.outlet.counts == Counts(21, 0, 0, 0))
            await soon(lambda: len(seen(watcher, "events/")) >= 21)
    assert list(dict.fromkeys(seen(watcher, "events/"))) == list(range(1, 22))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_connection_that_breaks_leaves_the_last_will(broker: Mosquitto, version: str) -> None:
    cut = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", broker.port)
        pipes = [asyncio.create_task(_pour(*ends)) for ends in ((reader, back), (there, writer))]
        await cut.wait()
        for pipe, end in zip(pipes, (writer, back), strict=True):
            pipe.cancel()
            end.transport.abort()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    stage = Stage(broker, version, server.sockets[0].getsockname()[1])
    with Watcher(broker.port) as watcher:
        async with server, stage.up() as task:
            await soon(lambda: watcher.on("freshd/status"))
            cut.set()
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        await soon(lambda: watcher.on("freshd/status")[-1].payload == b"offline")


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


async def test_a_refusal_of_mqtt_5_is_told_once_and_so_is_its_end(broker: Mosquitto) -> None:
    topic, stage = "freshd/events/climb.started", Stage(broker, "5")
    deny(broker, topic)
    with Watcher(broker.port) as watcher:
        async with stage.up():
            for _ in range(5):
                stage.tell(Event("climb.started", "mail"))
                stage.tell(Event("refresh.succeeded", "mail"))
            await soon(lambda: stage.outlet.counts == Counts(6, 0, 5, 0))
            assert [event.fields["topic"] for event in stage.told("outlet.refused")] == [topic]
            await asyncio.to_thread(allow, broker, topic)
            stage.tell(Event("climb.started", "mail"))
            await soon(lambda: stage.told("outlet.accepted"))
            await soon(lambda: watcher.on("outlet.accepted"))
    assert len(watcher.on("events/refresh.succeeded")) == 5
    assert len(watcher.on("events/climb.started")) == 1


async def test_what_a_broker_of_mqtt_311_throws_away_is_found_when_the_connection_begins(broker: Mosquitto) -> None:
    stage = Stage(broker, "3.1.1")
    deny(broker, "freshd/status")
    async with stage.up():
        await soon(lambda: stage.told("outlet.refused"))
        stage.tell(Event("refresh.succeeded", "mail"))
        await soon(lambda: stage.outlet.counts.sent == 2)
    await asyncio.to_thread(allow, broker, "freshd/status")
    async with stage.up():
        await soon(lambda: stage.told("outlet.accepted"))
    assert len(stage.told("outlet.refused")) == 1
