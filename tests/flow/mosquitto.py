"""A real broker in a folder of its own: mosquitto with its dynamic security plugin, and those who talk to it.

Rules
-----
* Nobody gets in without a password, and may only what a role allows: that is what the plugin is for.
* Passwords are changed while it runs, through its control topic; that throws out the connection they were for.
* `Watcher` writes down what it hears, with the moment; it never forgets and never judges.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.canary import search
from tests.flow.bed import until

PLUGINS: Final = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
)
PROGRAM: Final = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
CONTROL: Final = "$CONTROL/dynamic-security/v1"
ADMIN: Final = ("admin", "admin-of-the-tests")
WATCHER: Final = ("watcher", "watcher-of-the-tests")
ROLE: Final = "freshd"
PATIENCE_SECONDS: Final = 20.0


def plugin() -> str:
    """Where the plugin lies."""
    return next(path for path in PLUGINS if Path(path).exists())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A context manager.  `tls`: (certificate, key) of a second listener; `prefix`: what clients may publish below."""

    def __init__(self, folder: Path, *, prefix: str = "freshd", tls: tuple[Path, Path] | None = None) -> None:
        self.port, self.tls_port = free_port(), free_port() if tls else 0
        self._folder, self._tls, self._prefix = folder, tls, prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Talker | None = None
        self._answers: list[Mapping[str, Any]] = []
        self._answered = threading.Condition()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        acts = self._folder / "dynsec.json"
        init = ["mosquitto_ctrl", "dynsec", "init", str(acts), *ADMIN]
        subprocess.run(init, check=True, capture_output=True)
        lines = ["user root", "per_listener_settings false", "allow_anonymous false", f"plugin {plugin()}"]
        lines += [f"plugin_opt_config_file {acts}", "log_dest none", f"listener {self.port} 127.0.0.1"]
        if self._tls is not None:
            cert, key = self._tls
            lines += [f"listener {self.tls_port} 127.0.0.1", f"certfile {cert}", f"keyfile {key}"]
        (self._folder / "mosquitto.conf").write_text("\n".join([*lines, ""]))
        self.start()
        self.act(
            {"command": "createRole", "rolename": ROLE, "acls": [
                {"acltype": "publishClientSend", "topic": f"{self._prefix}/#", "allow": True},
                {"acltype": "publishClientReceive", "topic": f"{self._prefix}/#", "allow": True},
                {"acltype": "subscribePattern", "topic": f"{self._prefix}/#", "allow": True},
                {"acltype": "unsubscribePattern", "topic": f"{self._prefix}/#", "allow": True},
            ]},
            {"command": "createClient", "username": WATCHER[0], "password": WATCHER[1],
             "roles": [{"rolename": ROLE}]},
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, or begin again on the same port with what was known."""
        command = [PROGRAM, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until("mosquitto listens", lambda: _listens(self.port))
        self._admin = Talker(self.port, *ADMIN, name="admin-of-the-tests")
        self._admin.client.on_message = self._noted
        self._admin.begin(f"{CONTROL}/response")

    def stop(self) -> None:
        """End it by its own id."""
        if self._admin is not None:
            self._admin.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _noted(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._answered:
            self._answers.append(json.loads(message.payload))
            self._answered.notify_all()

    def act(self, *commands: Mapping[str, Any]) -> None:
        """Have the plugin do something; it has when this returns."""
        assert self._admin is not None
        with self._answered:
            before = len(self._answers)
            self._admin.client.publish(CONTROL, json.dumps({"commands": list(commands)}), qos=1)
            assert self._answered.wait_for(lambda: len(self._answers) > before, PATIENCE_SECONDS), "no answer"
            said = self._answers[-1]["responses"]
        assert not [one for one in said if "error" in one], said

    def know(self, username: str, password: str) -> None:
        """A client that may log in with this."""
        self.act({"command": "createClient", "username": username, "password": password,
                  "roles": [{"rolename": ROLE}]})  # fmt: skip

    def set_password(self, username: str, password: str) -> None:
        """From now on it is this; whoever is connected as this client is thrown out."""
        self.act({"command": "setClientPassword", "username": username, "password": password})


class Talker:
    """A client of the tests' own, on a thread."""

    def __init__(self, port: int, username: str, password: str, *, name: str) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(username, password)
        self._port, self._ready = port, threading.Event()

    def begin(self, *topics: str) -> None:
        """Connect and listen to these topics, again after every loss."""

        def connected(client: mqtt.Client, *_: object) -> None:
            for topic in topics:
                client.subscribe(topic, qos=1)

        self.client.on_connect = connected
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self._port, keepalive=30)
        self.client.loop_start()
        assert self._ready.wait(PATIENCE_SECONDS), "the broker took no subscription"

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@dataclass(frozen=True, slots=True)
class Heard:
    """One message.  `at`: monotonic second."""

    topic: str
    payload: bytes
    retained: bool
    at: float

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.payload)
        return found


class Watcher:
    """Somebody who subscribes to everything below a prefix.  A context manager."""

    def __init__(self, port: int, prefix: str = "freshd") -> None:
        self.heard: list[Heard] = []
        self._prefix = prefix
        self._talker = Talker(port, *WATCHER, name="watcher-of-the-tests")
        self._talker.client.on_message = self._note

    def __enter__(self) -> Self:
        self._talker.begin(f"{self._prefix}/#")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._talker.close()
        for one in self.heard if kind is None else ():
            search.said(f"MQTT message on {one.topic}", one.topic.encode() + b" " + one.payload)

    def _note(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, time.monotonic()))

    def on(self, part: str) -> Sequence[Heard]:
        """What was heard on topics that contain this."""
        return [one for one in list(self.heard) if part in one.topic]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
