"""What the judge demands of the login at an MQTT broker, and the broker itself; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freshd.cli.demo import broker as mosquitto
from freshd.cli.demo.broker import Broker, why_not
from freshd.cli.demo.child import Child
from freshd.cli.demo.clerk import Witness
from freshd.cli.demo.evidence import Evidence, MqttEvidence
from freshd.cli.demo.mqtt import MQTT_NAMES, counts, failures
from tests.flow.bed import until

GOOD = MqttEvidence("meter", (999.0, 1006.0, 1013.0, 1038.0), (999.5, 1006.8, 1013.9), 40, 0)


def named(ended: float = 1040.0, downs: list[tuple[float, float]] | None = None, **changes: Any) -> list[str]:
    return list(failures(evidence(ended, downs, **changes)))


def evidence(ended: float = 1040.0, downs: list[tuple[float, float]] | None = None, **changes: Any) -> Evidence:
    return Evidence(1000.0, ended, downs=downs or [], mqtt=dataclasses.replace(GOOD, **changes))


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


def test_where_there_is_no_broker_nothing_is_demanded_and_nothing_counted() -> None:
    nothing = Evidence(1000.0, 1040.0)
    assert list(failures(nothing)) == []
    assert counts("meter", nothing) == {}


def test_the_counts_are_the_brokers_and_the_subscribers() -> None:
    assert counts("meter", evidence()) == dict(zip(MQTT_NAMES, (4, 3, 40, 0), strict=True))
    assert counts("mail", evidence()) == {}


def test_seconds_without_a_daemon_do_not_count() -> None:
    late = (999.5, 1006.8, 1019.0)
    assert named(logins=late, downs=[(1013.5, 1017.0)]) == []
    assert "was not had again" in named(logins=late)[0]


BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "a password that stayed": (lambda: named(changes=(999.0, 1006.0)), "changed 1 times; at least 2"),
    "nobody came back": (lambda: named(logins=(999.5, 1006.8)), "was not had again within 5 s"),
    "no events": (lambda: named(events=0), "nobody heard of any event"),
    "a lost event": (lambda: named(lost=1), "1 events that freshd numbered were lost"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found


def test_what_a_machine_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto, "program", lambda: None)
    monkeypatch.setattr(mosquitto, "LIBRARIES", ("no_such_library",))
    assert why_not() == "mosquitto and no_such_library"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    children: list[Child] = []
    broker = Broker(tmp_path, "meter")
    broker.start(children.append)
    try:
        yield broker
    finally:
        for child in children:
            child.stop()


@pytest.mark.skipif(bool(why_not()), reason="this machine has no MQTT broker")
def test_a_changed_password_throws_out_who_had_the_one_before_and_nobody_else(running: Broker) -> None:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    witness = Witness(running)
    witness.start()
    running.set_password("first")
    meter = paho.Client(CallbackAPIVersion.VERSION2, "meter", protocol=paho.MQTTv5)
    meter.username_pw_set("meter", "first")
    meter.reconnect_delay_set(1, 1)
    meter.on_connect = lambda client, *_: client.publish("freshd/events/odd", b'{"epoch": "e", "seq": 3}', qos=1)
    until("the broker knows it", lambda: _tries(meter, running))
    meter.loop_start()
    until("logged in", lambda: running.logins)
    until("heard", lambda: witness.evidence(running).events == 1)
    assert witness.evidence(running).lost == 2
    running.set_password("second")
    until("turned away", lambda: running.refused)
    meter.username_pw_set("meter", "second")
    until("logged in again", lambda: len(running.logins) == 2)
    meter.disconnect()
    meter.loop_stop()
    witness.stop()
    assert len(running.changes) == 2


def _tries(client: Any, running: Broker) -> bool:  # noqa: ANN401 - paho's
    return bool(client.connect("127.0.0.1", running.port) == 0)
