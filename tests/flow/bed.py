"""A real daemon in a folder of its own, the real command line beside it, and its log as events.

Rules
-----
* The environment is made here: nothing of the caller's own configuration, daemon or keyring gets in.
* Waiting is looking: `until`, and `soon` inside a loop, look again and again before a deadline that only a hung daemon
  reaches.  `let_pass` is the only other sleep on the wall clock in this folder, for time that has to pass.
* Every process started here is ended here, by its own id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.canary import search
from tests.canary.mark import Kind
from tests.crash.scene import Ground, Process
from tests.crash.services import ROOT, Sandbox

T = TypeVar("T")
FRESHD: Final = str(Path(sys.executable).with_name("freshd"))
PATIENCE_SECONDS: Final = 40.0
LOOK_SECONDS: Final = 0.02
TURN_SECONDS: Final = 0.001
Line = dict[str, Any]


def until(what: str, look: Callable[[], T | None], every: float = LOOK_SECONDS) -> T:
    """What `look` finds once it finds something true; fails after a generous while.  `every`: seconds between looks."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"waited in vain: {what}"
        time.sleep(every)
    return found


async def soon(look: Callable[[], object]) -> None:
    """`until`, for what comes of the tasks of this loop."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < give_up_at, "waited in vain"
        await asyncio.sleep(TURN_SECONDS)


def let_pass(moment: float) -> None:
    """Let real time pass up to a monotonic second.  Only where nothing can be looked at; the call says why."""
    time.sleep(max(0.0, moment - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Bed(Ground):
    """A daemon's folder.  `env`: what the daemon finds beside PATH and HOME."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.config = folder / "freshd.toml"
        self.state = folder / "state"
        self.key = folder / "key"
        self.socket = folder / "run" / "s"
        self.log = folder / "log"
        self._env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder), **(env or {})}

    def leave(self, *, failed: bool) -> None:
        """Raises Seen where the log holds a secret."""
        if not failed and self.log.exists():
            search.said("the daemon's log", self.log.read_bytes(), more=self._vault_key())

    def _vault_key(self) -> dict[str, bytes]:
        key = self.key.read_bytes().strip() if self.key.is_file() else b""
        return {"the vault's key": key} if key else {}

    # -- configuration -----------------------------------------------------------------------------------------------

    def head(self, vault: Sequence[str] = ()) -> list[str]:
        """The lines above the accounts."""
        vault = vault or ('placement = "sealed"', 'custodian = "key-file"', f'key_file = "{self.key}"')
        place = [f'state_dir = "{self.state}"', "[socket]", f'path = "{self.socket}"', "[vault]", *vault]
        return [*place, "[log]", 'format = "json"', 'level = "debug"']

    def write(self, *lines: str, head: Sequence[str] | None = None) -> None:
        """Write the configuration."""
        self.config.touch(0o600)
        self.config.write_text("\n".join([*(self.head() if head is None else head), *lines]) + "\n")

    def hang_up(self, process: Process, *, event: str) -> Line:
        """SIGHUP, and what the daemon says of it."""
        before = len(self.events(event))
        os.kill(process.pid, signal.SIGHUP)
        return until(event, lambda: self.events(event)[before:])[-1]

    # -- processes ---------------------------------------------------------------------------------------------------

    def daemon(self) -> Process:
        """Start the daemon; it may end by itself."""
        return self.start([FRESHD, "--config", str(self.config), "run"])

    def start(self, command: list[str]) -> Process:
        """The same by another command."""
        return self.begin(command, self._env, self.log, self.socket)

    def up(self) -> Process:
        """A daemon that has said that it is up."""
        before = len(self.events("daemon.started"))
        process = self.daemon()
        until("daemon.started", lambda: len(self.events("daemon.started")) > before or not process.runs)
        return process.wait_ready()

    def run(self, *words: str, starved: bool = False, given: str = "") -> Said:
        """One command of freshd's, to its end.  `given`: its input; `starved`: it can write into no file."""
        env = {**self._env, "PYTHONDONTWRITEBYTECODE": "1"} if starved else self._env
        done = subprocess.run(
            [FRESHD, "--config", str(self.config), *words],
            cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
            check=False, preexec_fn=_starve if starved else None,
        )  # fmt: skip
        given_out = {Kind.HELD} if words[:1] == ("token",) and not done.returncode else search.ALL
        search.said(f"freshd {words[0]}", done.stdout, given_out, self._vault_key())
        search.said(f"freshd {words[0]}, standard error", done.stderr, more=self._vault_key())
        return Said(done.returncode, done.stdout, done.stderr)

    def token(self, account: str, *words: str) -> Said:
        """`freshd token`, which is asked before everything else."""
        return self.run("token", account, "--socket", str(self.socket), *words)

    # -- what can be seen --------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """All whole lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.splitlines()[: text.count("\n")]

    def events(self, name: str = "", account: str | None = None) -> list[Line]:
        """Events of that name, and of that account; all of them without."""
        found = [json.loads(line) for line in self.lines() if line.startswith("{")]
        fitting = [one for one in found if name in ("", one["event"])]
        return [one for one in fitting if account in (None, one.get("account"))]

    def talk(self, *pieces: bytes) -> bytes:
        """Send pieces one by one on one connection, and return all that comes until the daemon closes it."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(self.socket))
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it closed
                for piece in pieces:
                    connection.sendall(piece)
            return drained(connection)


def _starve() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def drained(connection: socket.socket) -> bytes:
    """All bytes until the other side closes; a reset is an end too."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def account(name: str, service: Sandbox, *more: str) -> list[str]:
    """The lines of an account that refreshes as fast as it can."""
    lines = [f"[accounts.{name}]", 'kind = "oauth2"', f'issuer = "{service.issuer}"', 'client_id = "freshd"']
    pace = ["allow_short_lived = true", "min_interval = 0", "host_interval = 0"]
    return [*lines, f'grant = "{name}"', f"readers = {{ users = [{os.geteuid()}] }}", *pace, *more]


def enrol(process: Process, service: Sandbox, name: str) -> str:
    """Import a new grant and wait for its first lease; the refresh token."""
    wish = {"client_id": "freshd", "label": name, "subject": name, "scope": "openid"}
    token = str(service.ask("POST", "/mint", wish)["grants"][0]["refresh_token"])
    process.operate("import", name, secrets={"refresh_token": token})
    until(f"the first lease of {name}", lambda: process.view(name)["usable_until"])
    return token


def lease_of(process: Process, name: str) -> str:
    """The token a reader gets now."""
    return str(process.ask("GET", f"/v1/tokens/{name}?wait=5&min_ttl=0")["access_token"])


def digest(folder: Path) -> dict[str, str]:
    """Every file of a folder with its mode and a hash of its content."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def memory_kib(pid: int, what: str = "VmHWM") -> int:
    """What the kernel says of a process's memory, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1])
    raise LookupError(what)
