"""Those around the MQTT broker: who makes each new token its password, and who listens to what freshd publishes.

Rules
-----
* The clerk asks freshd's socket like any reader, and tells the broker; so the broker learns of a password a moment
  after freshd.
* The witness subscribes before the daemon starts, and is never thrown out.  Events are numbered by freshd, from 1 in
  each run of the daemon: a number that never came is a lost event, one that came twice is none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from freshd.cli.demo.broker import PREFIX, WITNESS, Broker
from freshd.cli.demo.evidence import MqttEvidence
from freshd.client import Client, ClientError

LOOK_SECONDS: Final = 0.05
START_SECONDS: Final = 10.0
EVENTS: Final = f"{PREFIX}/events/#"


class Clerk:
    """Makes an account's newest token the broker's password.

    sabotage  `no-rotation`: only the first one; `wrong-password`: something else than the later ones
    """

    def __init__(self, broker: Broker, account: str, socket: Path, sabotage: str = "") -> None:
        self._broker, self._account, self._sabotage = broker, account, sabotage
        self._client = Client(str(socket))
        self._told = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                token = self._client.token(self._account, min_ttl=0, wait=0)
            except ClientError:
                continue
            if token.value != self._told and not (self._told and self._sabotage == "no-rotation"):
                is_wrong = bool(self._told) and self._sabotage == "wrong-password"
                self._broker.set_password("another" if is_wrong else token.value)
                self._told = token.value
        self._client.close()


class Witness:
    """A subscriber of all events."""

    def __init__(self, broker: Broker) -> None:
        self._numbers: dict[str, set[int]] = {}
        self._port = broker.port
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, WITNESS, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(WITNESS, broker.witness_password)
        self._client.on_connect = lambda client, *_: client.subscribe(EVENTS, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear

    def start(self) -> None:
        """Listen; returns once the broker has agreed.  Raises OSError."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("the MQTT broker took no subscription")

    def stop(self) -> None:
        """End."""
        self._client.disconnect()
        self._client.loop_stop()

    def evidence(self, broker: Broker) -> MqttEvidence:
        """What was heard, beside what the broker has noted."""
        heard = sum(len(numbers) for numbers in self._numbers.values())
        lost = sum(max(numbers) - len(numbers) for numbers in self._numbers.values())
        return MqttEvidence(broker.user, tuple(broker.changes), tuple(broker.logins), heard, lost)

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        told: Mapping[str, Any] = json.loads(message.payload)
        self._numbers.setdefault(str(told["epoch"]), set()).add(int(told["seq"]))
