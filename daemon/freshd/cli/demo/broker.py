"""A private MQTT broker: mosquitto on a free port of this machine, with passwords that change while it runs.

Rules
-----
* Nobody gets in without a password.  Passwords lie in a file; a new one takes effect with SIGHUP, which throws out
  whoever is connected with the one before.
* Who logged in, and when, is the broker's own log; nothing else of it is believed.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freshd.cli.demo.child import Child

PREFIX: Final = "freshd"
WITNESS: Final = "witness"
LIBRARIES: Final = ("aiomqtt", "paho")
START_SECONDS: Final = 10.0
LOOK_S: Final = 0.02
ITERATIONS: Final = 101
"""What mosquitto itself takes; these passwords live for seconds."""
SALT_BYTES: Final = 12


def program() -> str | None:
    """Where mosquitto is, if this machine has it."""
    return shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def why_not() -> str:
    """What of an MQTT broker this machine lacks, in words; empty where nothing is missing."""
    missing = [] if program() else ["mosquitto"]
    return " and ".join(missing + [name for name in LIBRARIES if importlib.util.find_spec(name) is None])


class Broker:
    """One broker.  `start` returns what is to be ended.

    logins   when the user whose password changes was let in; changes: when it got another password
    refused  logins of anybody that were turned away
    """

    def __init__(self, folder: Path, user: str) -> None:
        self.port = _free_port()
        self.user = user
        self.logins: list[float] = []
        self.changes: list[float] = []
        self.refused = 0
        self.witness_password = secrets.token_hex(16)
        self._folder = folder / "broker"
        self._pid = 0
        self._let_in = f"u'{user}'"
        self._up = threading.Event()

    def start(self, begin: Callable[[Child], None]) -> None:
        """Begin; `begin` is handed the process.  Raises TimeoutError."""
        self._folder.mkdir(mode=0o700)
        self._write(secrets.token_hex(16))
        lines = [
            "user root", "allow_anonymous false", f"password_file {self._passwords}", f"acl_file {self._acl}",
            "persistence false", "log_dest stderr", "log_type notice", "log_type error", "connection_messages true",
            f"listener {self.port} 127.0.0.1", "",
        ]  # fmt: skip
        rights = [f"user {self.user}", f"topic readwrite {PREFIX}/#", f"user {WITNESS}", f"topic read {PREFIX}/#", ""]
        self._acl.write_text("\n".join(rights))
        (self._folder / "mosquitto.conf").write_text("\n".join(lines))
        child = Child([program() or "mosquitto", "-c", str(self._folder / "mosquitto.conf")], self._hear)
        self._pid = child.pid
        begin(child)
        give_up_at = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if not child.is_alive or time.monotonic() > give_up_at:
                raise TimeoutError("mosquitto does not listen")
            time.sleep(LOOK_S)

    def set_password(self, password: str) -> None:
        """From now on it is this; who is connected with another one is thrown out."""
        self.changes.append(time.time())
        self._write(password)
        os.kill(self._pid, signal.SIGHUP)

    @property
    def _passwords(self) -> Path:
        return self._folder / "passwords"

    @property
    def _acl(self) -> Path:
        return self._folder / "acl"

    def _write(self, password: str) -> None:
        fresh = self._folder / "passwords.new"
        fresh.touch(mode=0o600)
        fresh.write_text(_entry(self.user, password) + _entry(WITNESS, self.witness_password))
        fresh.replace(self._passwords)

    def _hear(self, line: str) -> None:
        if "New client connected" in line and self._let_in in line:
            self.logins.append(time.time())
        self.refused += "not authorised" in line


def _entry(user: str, password: str) -> str:
    """A line of mosquitto's password file: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    coded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{user}:$7${ITERATIONS}${'$'.join(coded)}\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
