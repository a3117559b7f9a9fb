"""Sandbox, MQTT broker, keyring and daemon as real processes over a private folder; all gone when the stage is struck.

Rules
-----
* The daemon is `freshd run` as everybody runs it, with a configuration file; nothing of it runs in here.
* Everything is ended by pid, newest first, whatever happened; then the folder goes.
* `events` are the daemon's own log lines, with `at`: when they were read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from freshd.cli.demo import custody
from freshd.cli.demo.broker import Broker
from freshd.cli.demo.cast import METER, Role
from freshd.cli.demo.child import Child
from freshd.cli.demo.configuration import Setting, configuration
from freshd.cli.demo.openings import Opening, open_all
from freshd.cli.demo.service import Service
from freshd.client import Client, ClientError

START_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.02


class StageFailed(RuntimeError):
    """Something that the demo needs did not come up, or went away.  The text says what and why."""


class Stage:
    """A context manager: entered, the sandbox is up and the configuration written; left, everything is gone.

    openings  how each account begins, by name: known once it is entered
    broker    the MQTT broker, None where none plays
    """

    def __init__(self, roles: Sequence[Role], scale: float = 1.0, *, no_keyring: bool = False) -> None:
        self.roles = roles
        self.openings: Mapping[str, Opening] = {}
        self.broker: Broker | None = None
        self.events: list[Mapping[str, Any]] = []
        self.downs: list[tuple[float, float]] = []
        self.kills = self.comebacks = self.deaths = 0
        self._scale = scale
        self._no_keyring = no_keyring
        self._said: list[str] = []
        self._children: list[Child] = []
        self._daemon: Child | None = None
        self._down_since: float | None = None
        self._struck = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="freshd-demo-"))
        try:
            self.service = self._start_sandbox()
            environ = {key: value for key, value in os.environ.items() if not key.startswith("FRESHD_")}
            self.custody = custody.choose(self.folder, self._children, environ, no_keyring=self._no_keyring)
            self.broker = self._start_broker()
            self.setting = Setting(
                self.folder, self.service.base_url, os.geteuid(), self.custody.custodian, self.custody.placement,
                self._scale, 0 if self.broker is None else self.broker.port,
            )  # fmt: skip
            self._write()
        except BaseException:
            self._strike()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._strike()

    @property
    def pid(self) -> int:
        """The daemon's."""
        return 0 if self._daemon is None else self._daemon.pid

    @property
    def is_down(self) -> bool:
        """Whether the daemon is known not to run."""
        return self._down_since is not None

    def client(self) -> Client:
        """Somebody on the socket."""
        return Client(str(self.setting.socket))

    def start_daemon(self) -> None:
        """Start it and return once the socket answers.  Raises StageFailed with its last words."""
        freshd = Path(sys.executable).with_name("freshd")
        if not freshd.exists():
            raise StageFailed(f"there is no {freshd.name} beside the interpreter; run scripts/setup")
        argv = [str(freshd), "--config", str(self.folder / "freshd.toml"), "run"]
        with self._lock:  # the script's thread may be here while the stage is being struck
            if self._struck:
                raise StageFailed("the stage has been struck")
            self._daemon = Child(argv, self._hear, self.custody.environ)
        give_up_at = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self._daemon.is_alive or time.monotonic() > give_up_at:
                self._daemon.stop()
                raise StageFailed("the daemon did not come up: " + " | ".join(self._said[-5:] or ["it said nothing"]))
            time.sleep(LOOK_SECONDS)
        if self._down_since is not None:
            self.downs.append((self._down_since, time.time()))
            self._down_since = None
            self.comebacks += 1

    def kill_daemon(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        if self._daemon is not None and self._daemon.is_alive:
            self._down_since = time.time()
            self.kills += self._daemon.kill()

    def answers(self) -> bool:
        """Whether the daemon is up and its vault open."""
        with contextlib.closing(self.client()) as client:
            try:
                return client.call("GET", "/healthz", wait=0).get("locked") is False
            except ClientError:
                return False

    def look_after(self, ended: float | None = None) -> None:
        """Notice a daemon that went away unasked; `ended`: the run is over, an open downtime ends here."""
        if self._daemon is not None and not self._daemon.is_alive and self._down_since is None:
            self.deaths += 1
            self._down_since = time.time()
        if ended is not None and self._down_since is not None:
            self.downs.append((self._down_since, ended))
            self._down_since = None

    # -- inside -----------------------------------------------------------------------------------------------------

    def _start_sandbox(self) -> Service:
        spoken: list[str] = []
        ready = threading.Event()

        def hear(line: str) -> None:
            spoken.append(line)
            ready.set()

        self._children.append(Child([sys.executable, "-m", "freshd.sandbox"], hear))
        if not ready.wait(START_SECONDS):
            raise StageFailed("the sandbox did not come up: it said nothing")
        try:
            told = json.loads(spoken[0])
        except ValueError:
            raise StageFailed("the sandbox did not come up: " + spoken[0]) from None
        return Service(told["base_url"], told["control_url"], told["trade_url"])

    def _start_broker(self) -> Broker | None:
        """The MQTT broker, where one plays."""
        if all(role.name != METER for role in self.roles):
            return None
        broker = Broker(self.folder, METER)
        try:
            broker.start(self._children.append)
        except (OSError, TimeoutError) as error:
            raise StageFailed(f"the MQTT broker did not come up: {error}") from None
        return broker

    def _write(self) -> None:
        """The configuration and the clients' secrets; the sandbox learns of both."""
        self.openings = open_all(self.service, self.roles, self._scale)
        for role in self.roles:
            if role.has_secret:
                self._keep(self.setting.secret(role), self.openings[role.name].secret)
        self._keep(self.setting.roots, str(self.service.ask("GET", "/aun/roots")["pem"]))
        self._keep(self.folder / "freshd.toml", configuration(self.setting, self.roles))

    def _keep(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)

    def _hear(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self.events.append({**event, "at": time.time()})
        else:
            self._said.append(line)

    def _wipe(self) -> None:
        """Take out of the desktop's keyring what freshd put there, whatever state the daemon was in."""
        from freshd.vault.anchor import ANCHOR_ENTRY
        from freshd.vault.entries import SLOTS, Place
        from freshd.vault.glance import glance
        from freshd.vault.keys import KEY_ENTRY, service_of

        seen = glance(self.setting.state)
        if seen is None:
            return
        places = [Place(seen.vault, role.name, "") for role in self.roles]
        grants = [(place.service(slot, 0), place.account) for place in places for slot in SLOTS]
        own = [(service_of(seen.vault), entry) for entry in (KEY_ENTRY, ANCHOR_ENTRY)]
        if not custody.wipe([*grants, *own], self.custody.environ):
            print(f"demo: entries named freshd {seen.vault[:12]}… are left in the keyring", file=sys.stderr)

    def _strike(self) -> None:
        with self._lock:
            self._struck = True
        if self._daemon is not None:
            self._daemon.stop()
        for child in reversed(self._children):
            child.stop()
        try:
            if self._daemon is not None and self.custody.is_shared:
                self._wipe()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
