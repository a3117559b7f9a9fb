"""One daemon's folder (configuration, key, journal, socket, log), and the processes started on it.

Rules
-----
* A process is ended by its own id and waited for; the end of a `Ground` ends whatever is left.
* The environment is made here: nothing of the caller's own configuration or keyring gets in.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, cast

from tests.canary import search
from tests.canary.mark import Kind
from tests.crash import journal, stamps
from tests.crash.fates import Kept
from tests.crash.services import ROOT

Placement = Literal["sealed", "keyring"]
ACCOUNT: Final = "mail"
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.004


class Gone(RuntimeError):
    """The daemon did not come up, or was not there to answer."""


class Told(RuntimeError):
    """The daemon answered, and said no."""


class Process:
    """A running daemon or victim."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path, path: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._path = path
        self.started_ns = time.monotonic_ns()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_ready(self, patience: float = START_SECONDS) -> Self:
        """Return once its socket takes connections, and nothing secret can be seen of it.  Raises Gone when it ends."""
        give_up_at = time.monotonic() + patience
        while time.monotonic() < give_up_at:
            if not self.runs:
                raise Gone("the daemon ended before it listened")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(self._path)) == 0:
                    assert not search.of_process(self.pid)
                    return self
            time.sleep(LOOK_SECONDS)
        raise Gone("the daemon does not listen")

    def ask(self, method: str, target: str, body: Mapping[str, Any] | None = None, wait: float = 30) -> dict[str, Any]:
        """One call.  Raises Gone where no whole answer comes, Told where the answer is no."""
        connection = Connection(self._path, wait)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), _JSON)
            response = connection.getresponse()
            raw = response.read()
            answer = cast("dict[str, Any]", json.loads(raw))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Gone(f"{method} {target}: {type(error).__name__}") from None
        finally:
            connection.close()
        is_lease = target.startswith("/v1/tokens/") and response.status == 200
        search.said(f"answer to {method} {target}", raw, {Kind.HELD} if is_lease else search.ALL)
        if response.status != 200:
            raise Told(f"{response.status}: {answer.get('detail')}")
        return answer

    def operate(self, verb: str, account: str = ACCOUNT, **args: object) -> dict[str, Any]:
        """An operator's verb."""
        return self.ask("POST", f"/v1/accounts/{account}/{verb}", args)

    def view(self, account: str = ACCOUNT) -> dict[str, Any]:
        """How an account stands."""
        return self.ask("GET", f"/v1/accounts/{account}")

    def begin(self, verb: str, args: Mapping[str, Any] | None = None) -> socket.socket:
        """Send an operator's verb and wait for nothing; the caller closes the connection."""
        body = json.dumps(dict(args or {}))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self._path))
        head = f"POST /v1/accounts/{ACCOUNT}/{verb} HTTP/1.1\r\nHost: freshd\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        return connection

    def kill(self) -> int:
        """SIGKILL, waited for; the moment after the signal was sent: it cannot have run after that."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        moment = time.monotonic_ns()
        self._process.wait()
        return moment

    def stop(self) -> int:
        """SIGTERM and its exit status; SIGKILL where that takes too long."""
        if self.runs:
            self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Gone("the daemon does not stop") from None

    def wait(self, seconds: float) -> bool:
        """Whether it ended by itself within that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.runs


_JSON: Final = {"Content-Type": "application/json", "Connection": "close"}


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, wait: float) -> None:
        super().__init__("freshd", timeout=wait)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Ground:
    """Where processes are started.  A context manager: at its end each is killed, by its own id, and waited for."""

    def __init__(self) -> None:
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        self.leave(failed=kind is not None)

    def leave(self, *, failed: bool) -> None:
        """What is to be done once nothing runs any more.  `failed`: an error is on its way out."""

    def begin(self, command: list[str], env: Mapping[str, str], log: Path, path: Path) -> Process:
        """Start a process, which is ended here; `path`: its socket."""
        process = Process(command, env, log, path)
        self._processes.append(process)
        return process


class Scene(Ground):
    """A daemon's folder.  `keyring_env` holds what a daemon needs to find its keyring."""

    def __init__(self, placement: Placement, keyring_env: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="freshd-crash-"))
        self.placement = placement
        self.config = self.folder / "freshd.toml"
        self.socket = self.folder / "socket"
        self.log = self.folder / "log"
        self.keep = False
        home = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT / "daemon")}
        self._env = {**home, **(keyring_env or {})}
        self.stamps_file = self.folder / "stamps"
        self._armed = self.folder / "armed"

    def leave(self, *, failed: bool) -> None:
        """Remove the folder.  Raises Seen where it holds a secret that it must not hold."""
        found = search.in_folder(self.folder)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        if found and not failed:
            raise search.Seen("; ".join(found))

    def configure(self, accounts: Mapping[str, list[str]]) -> None:
        """Write the configuration: lines of settings for each account, of kind oauth2 where they say no kind."""
        user = pwd.getpwuid(os.getuid()).pw_name
        text = [f'state_dir = "{self.folder}/state"', "[socket]", f'path = "{self.socket}"', "[vault]"]
        text.append(f'placement = "{self.placement}"')
        if self.placement == "sealed":
            text += ['custodian = "key-file"', f'key_file = "{self.folder}/key"']
        else:
            text += ['custodian = "keyring"', 'backend = "secret-service"']
        text += ["[log]", 'format = "json"', 'level = "info"']
        for name, lines in accounts.items():
            own = lines if any(line.startswith("kind = ") for line in lines) else [*_OAUTH2, *lines]
            text += [f"[accounts.{name}]", f'readers = {{ users = ["{user}"] }}', *own]
        self.config.touch(0o600)
        self.config.write_text("\n".join(text) + "\n")

    def victim(self, die_at: str | None = None, passage: int = 1) -> Process:
        """A daemon with stamps, which dies at a mark, counted from `arm`; its stamps begin anew."""
        self._armed.unlink(missing_ok=True)
        self.stamps_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.crash.victim", str(self.config), "--stamps", str(self.stamps_file)]
        if die_at is not None:
            command += ["--die-at", die_at, "--passage", str(passage), "--armed-by", str(self._armed)]
        return self._start(command)

    def arm(self) -> None:
        """From now on a victim counts how often it passes its mark."""
        self._armed.touch()

    def daemon(self) -> Process:
        """The daemon as everybody runs it."""
        return self._start([str(Path(sys.executable).with_name("freshd")), "--config", str(self.config), "run"])

    def _start(self, command: list[str]) -> Process:
        return self.begin(command, self._env, self.log, self.socket)

    def stamps(self) -> tuple[stamps.Stamp, ...]:
        """What the newest victim wrote down."""
        return stamps.read(self.stamps_file)

    def kept(self, account: str = ACCOUNT) -> Kept:
        """What is durable of an account."""
        return journal.look(self.folder / "state", account)


_OAUTH2: Final = ('kind = "oauth2"', "allow_short_lived = true", "min_interval = 0", "host_interval = 0")
"""Trials refresh as fast as they can."""
