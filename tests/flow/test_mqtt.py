"""Channels of the real daemon at a real broker: it comes back by itself, stops where it must, and storms nobody."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshd.channels.pace import REFUSALS_MOST
from tests.crash.scene import Process
from tests.flow.bed import Line, lease_of, until
from tests.flow.mosquitto import Mosquitto
from tests.flow.mqtt_bed import CHANNEL, NAME, Clerk, Issuer, Stage, channel, outlet
from tests.flow.mqtt_rotation import VERSIONS, campaign

pytestmark = [pytest.mark.part("mosquitto"), pytest.mark.timeout(180)]
ROTATIONS = 3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as one:
        one.know(NAME, "nobody-knows-it-yet")
        yield one


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as one:
        yield one


@pytest.fixture
def stage(tmp_path: Path, broker: Mosquitto, issuer: Issuer) -> Stage:
    place = tmp_path / "freshd"
    place.mkdir()
    return Stage(place, broker, issuer)


def shown(daemon: Process) -> dict[str, object]:
    """What status tells of the channel."""
    found: dict[str, object] = daemon.view(NAME).get("channels", {}).get(CHANNEL, {})
    return found


def told(stage: Stage, name: str) -> list[Line]:
    return stage.bed.events(name, NAME)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rotating_password_is_survived_again_and_again_and_no_event_is_lost(tmp_path: Path, version: str) -> None:
    run = campaign(tmp_path, version, ROTATIONS, every=5.0)
    assert len(run.rotations) == ROTATIONS
    assert (run.events.lost, run.events.dropped) == (0, 0)
    assert run.events.told > ROTATIONS
    assert run.stopped == 0
    assert run.spent_uses == 0
    assert run.refreshes == 1 + ROTATIONS
    assert [one.refusals for one in run.rotations] == [1] * ROTATIONS


def test_status_shows_the_channel_on_the_socket_and_in_the_shell(stage: Stage, issuer: Issuer) -> None:
    with Clerk(issuer, stage.broker), stage.up(*channel(stage.broker, "5")) as daemon:
        until("connected", stage.connections)
        view = shown(daemon)
        assert (view["state"], view["mqtt"], view["broker"]) == ("connected", "5", f"127.0.0.1:{stage.broker.port}")
        assert "channels=broker:connected" in stage.bed.run("status").out
        assert "broker: connected" in stage.bed.run("status", NAME).out
        assert lease_of(daemon, NAME) not in str(daemon.view(NAME)) + stage.bed.run("status", NAME).text


def test_a_broker_that_restarts_is_found_again(stage: Stage, issuer: Issuer) -> None:
    with Clerk(issuer, stage.broker), stage.up(*channel(stage.broker, "5")):
        until("connected", stage.connections)
        stage.broker.stop()
        until("lost", lambda: told(stage, "channel.lost"))
        stage.broker.start()
        until("back", lambda: len(stage.connections()) > 1)
        assert told(stage, "channel.refused") == []


def test_a_broker_that_takes_connections_and_never_answers_holds_up_nobody(stage: Stage, issuer: Issuer) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        met: list[socket.socket] = []
        threading.Thread(target=lambda: _takes(silent, met), daemon=True).start()
        lines = channel(stage.broker, "5", "deadline = 1", port=silent.getsockname()[1])
        daemon = stack.enter_context(stage.up(*lines))
        lost = until("lost", lambda: told(stage, "channel.lost"))[0]
        assert lost["code"] == "no-answer"
        assert lease_of(daemon, NAME)
        assert daemon.stop() == 0
        silent.shutdown(socket.SHUT_RDWR)
        for one in met:
            one.close()


def _takes(server: socket.socket, met: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            met.append(server.accept()[0])


def test_I6_a_broker_that_never_takes_our_tokens_ends_in_an_alert_and_a_slow_pace(stage: Stage, issuer: Issuer) -> None:
    before = issuer.refreshes(NAME)
    with stage.up(*channel(stage.broker, "5")) as daemon:
        alert = until("the alert", lambda: told(stage, "channel.kept-out") or told(stage, "heal.stopped"))[0]
        assert alert["level"] == "alert"
        until("slow", lambda: shown(daemon)["state"] == "refused")
        assert len(told(stage, "channel.refused")) <= REFUSALS_MOST
        assert issuer.refreshes(NAME) - before <= 1 + REFUSALS_MOST
        assert lease_of(daemon, NAME)


def test_a_field_that_no_lease_has_stops_with_the_names_there_are(stage: Stage, issuer: Issuer) -> None:
    with stage.up(*channel(stage.broker, "5", 'username = "{tenant}"')) as daemon:
        stopped = until("stopped", lambda: told(stage, "channel.stopped"))[0]
        assert stopped["code"] == "no-such-field"
        assert "token_type" in stopped["reason"]
        assert f"freshd refresh {NAME}" in stopped["remedy"]
        assert shown(daemon)["state"] == "stopped"
        with Clerk(issuer, stage.broker):
            stage.bed.write(*stage.accounts(), *channel(stage.broker, "5"))
            stage.bed.hang_up(daemon, event="config.reloaded")
            until("connected", stage.connections)


def test_an_operator_calls_a_stopped_channel_back_with_a_refresh(stage: Stage, issuer: Issuer, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    more = ("tls = true", f'ca_file = "{pem}"')
    with stage.up(*channel(stage.broker, "5", *more)) as daemon:
        until("stopped", lambda: told(stage, "channel.stopped"))
        subprocess.run(["cp", "/etc/ssl/certs/ca-certificates.crt", str(pem)], check=True)
        daemon.operate("refresh", NAME)
        until("it tries again", lambda: told(stage, "channel.lost"))


def test_a_reload_leaves_a_channel_alone_that_did_not_change(stage: Stage, issuer: Issuer) -> None:
    lines = channel(stage.broker, "5")
    with Clerk(issuer, stage.broker), stage.up(*lines) as daemon:
        until("connected", stage.connections)
        since = shown(daemon)["since"]
        stage.bed.write(*stage.accounts(), *lines, *outlet())
        stage.bed.hang_up(daemon, event="config.reloaded")
        until("it has logged in anew, with a will", lambda: len(stage.connections()) == 2)
        stage.bed.write(*stage.accounts(), *lines, *outlet("ring = 7"))
        stage.bed.hang_up(daemon, event="config.reloaded")
        assert shown(daemon)["since"] != since
        assert len(stage.connections()) == 2
        stage.bed.write(*stage.accounts())
        stage.bed.hang_up(daemon, event="config.reloaded")
        until("closed", lambda: told(stage, "channel.closed"))
        assert shown(daemon) == {}


def test_a_wrong_configuration_is_refused_whole_and_the_channel_stays(stage: Stage, issuer: Issuer) -> None:
    with Clerk(issuer, stage.broker), stage.up(*channel(stage.broker, "5")) as daemon:
        until("connected", stage.connections)
        stage.bed.write(*stage.accounts(), *channel(stage.broker, "5", 'username = "{"'))
        refused = stage.bed.hang_up(daemon, event="config.refused")
        assert "channels.broker.username" in refused["problems"]
        assert shown(daemon)["state"] == "connected"
        assert stage.bed.run("check").code == 78
