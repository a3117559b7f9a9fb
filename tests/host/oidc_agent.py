"""Debian's oidc-agent against the oidc-provider bed: the peer, killed where freshd is killed.

One trial: an account made without a browser, the agent told to refresh it at once, SIGKILL to the whole
agent at a random instant after that request, a new agent, `oidc-add`, and one more refresh to see whether
the account still lives. Nothing is tuned against the peer: it may keep the passwords (`--pw-store`),
without which it could not rewrite its files at all.

The agent lives in a home of its own below the temporary folder and is reached at its own socket.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from tests.host.oidc_provider.bed import CONFIDENTIAL, OidcProvider

#: Kills are drawn uniformly from this span after the request, as in the numbers of the notes.
KILL_SPAN_MS: Final = 800.0
COMMAND_DEADLINE_S: Final = 30
START_DEADLINE_S: Final = 10
#: How often to look for the socket of a starting agent; there is nothing to wait on.
LOOK_EVERY_S: Final = 0.002
#: A request that a dead agent had sent reaches an idle server on loopback in well under a millisecond.
SETTLE_S: Final = 0.25
#: `min_valid_period` that asks for a new token whatever the old one's life.
FORCE: Final = -1


class AgentFailed(RuntimeError):
    """A command of oidc-agent failed; the message is its own, without arguments."""


class Verdict(enum.Enum):
    """What became of a trial's account."""

    NEVER_COMMITTED = "request never committed by the service"
    LOST = "committed and lost"
    RECOVERED = "committed and recovered"
    #: Not expected: nothing was spent, and yet the account is dead.
    BROKEN = "never committed and lost"


@dataclass(frozen=True)
class Trial:
    """One kill. Moments are `time.monotonic_ns()`.

    `answer_left_at` is when the server had handed the whole answer to the kernel, None when it never could.
    `agent_held_it` says that this was before the kill: the new token was in the peer's socket or memory.
    """

    kill_after_ms: float
    asked_at: int
    killed_at: int
    committed_at: int | None
    answer_left_at: int | None
    works_after: bool
    complaint: str

    @property
    def agent_held_it(self) -> bool:
        """Had the answer left the server before the kill?"""
        return self.answer_left_at is not None and self.answer_left_at < self.killed_at

    @property
    def verdict(self) -> Verdict:
        """The class of this trial."""
        if self.committed_at is None:
            return Verdict.NEVER_COMMITTED if self.works_after else Verdict.BROKEN
        return Verdict.RECOVERED if self.works_after else Verdict.LOST


class OidcAgent:
    """A private oidc-agent: a context manager, or `start` and `stop`; `kill` and `start` again at will.

    Its accounts' files outlive a kill and are removed by `stop`.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="freshd-agent-"))
        (self._home / ".oidc-agent").mkdir(mode=0o700)
        self.socket = self._home / "socket"
        self._env = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home / "config"),
            "OIDC_SOCK": str(self.socket),
            "OIDC_ENCRYPTION_PW": secrets.token_urlsafe(12),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0

    def start(self) -> Self:
        """Start an agent with nothing loaded and wait for its socket, else raise `AgentFailed`."""
        self.socket.unlink(missing_ok=True)
        command = ["oidc-agent", "--console", f"--socket-path={self.socket}", "--pw-store"]
        command += ["--no-autoload", "--no-autoreauthenticate", "--no-webserver", "--no-scheme"]
        self.started_at = time.monotonic_ns()
        # A session of its own: the agent is two processes, and one signal must reach both.
        self._process = subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        give_up_at = time.monotonic() + START_DEADLINE_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                raise AgentFailed("oidc-agent did not open its socket")
            time.sleep(LOOK_EVERY_S)
        return self

    def kill(self) -> int:
        """Kill both processes with SIGKILL, wait for the first, and return the moment of the signal."""
        process, self._process = self._process, None
        moment = time.monotonic_ns()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return moment

    def stop(self) -> None:
        """Kill the agent and remove its home. A second stop does nothing."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def create(self, name: str, provider: OidcProvider, refresh_token: str) -> None:
        """Make, save and load an account from a refresh token: spends it and saves its successor."""
        self._run(
            "oidc-gen",
            "--manual",
            f"--iss={provider.issuer}",
            f"--client-id={CONFIDENTIAL}",
            f"--client-secret={provider.clients[CONFIDENTIAL]}",
            "--scope=openid offline_access",
            "--redirect-uri=http://localhost:4242",
            f"--rt={refresh_token}",
            "--pw-env=OIDC_ENCRYPTION_PW",
            "--prompt=none",
            "--confirm-default",
            name,
        )

    def load(self, name: str) -> None:
        """Load a saved account (`oidc-add`), which also refreshes it; raise `AgentFailed` if either fails."""
        self._run("oidc-add", "--pw-env=OIDC_ENCRYPTION_PW", "--pw-store", name)

    def file_of(self, name: str) -> Path:
        """The account's file."""
        return self._home / ".oidc-agent" / name

    def ask(self, request: dict[str, Any], timeout_s: float = COMMAND_DEADLINE_S) -> dict[str, Any]:
        """Send a request in plain JSON, return the answer; `OSError` when the agent is gone or silent."""
        with self.send(request) as connection:
            connection.settimeout(timeout_s)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
                with contextlib.suppress(ValueError):
                    return cast("dict[str, Any]", json.loads(answer))
        raise ConnectionError("the agent closed the connection")

    def send(self, request: dict[str, Any]) -> socket.socket:
        """Send one request and return the connection without reading the answer; the caller closes it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self.socket))
        connection.sendall(json.dumps(request).encode())
        return connection

    def refresh(self, name: str) -> str | None:
        """Force a refresh; None when it worked, else the agent's error."""
        answer = self.ask(forced(name))
        return None if answer.get("status") == "success" else str(answer.get("error"))

    def _listens(self) -> bool:
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with probe:
            return self.socket.exists() and probe.connect_ex(str(self.socket)) == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [program, *arguments],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_DEADLINE_S,
        )
        if done.returncode != 0:
            raise AgentFailed(f"{program}: {(done.stderr or done.stdout).strip()[-300:]}")


def forced(name: str) -> dict[str, Any]:
    """Build the request for a new access token of that account."""
    return {
        "request": "access_token",
        "account": name,
        "min_valid_period": FORCE,
        "application_hint": "freshd-tests",
    }


def run_trials(
    n: int, seed: int, *, provider: OidcProvider | None = None, span_ms: float = KILL_SPAN_MS
) -> list[Trial]:
    """Kill a refreshing agent `n` times, at instants drawn from `seed` in 0…`span_ms`; about 2 s each.

    Uses `provider` as it is set (its delay too), or a fast one of its own.
    """
    instants = random.Random(seed)
    with contextlib.ExitStack() as stack:
        server = provider or stack.enter_context(OidcProvider(access_ttl_s=3600))
        agent = stack.enter_context(OidcAgent())
        return [_trial(agent, server, f"account{number}", instants.uniform(0, span_ms)) for number in range(n)]


def save_times_ms(n: int, *, provider: OidcProvider | None = None) -> list[float]:
    """How long the agent takes from the service's commit until its file holds the new token, `n` times.

    This is the span in which a kill loses the account. It is two key derivations, so it differs a lot between
    machines, and with it the share of the kills of `run_trials` that lose.
    """
    with contextlib.ExitStack() as stack:
        server = provider or stack.enter_context(OidcProvider(access_ttl_s=3600))
        agent = stack.enter_context(OidcAgent())
        agent.create("timed", server, server.mint("timed").refresh_token)
        return [_save_time_ms(agent, server, "timed") for _ in range(n)]


def tally(trials: Iterable[Trial]) -> Counter[Verdict]:
    """Count the classes."""
    return Counter(trial.verdict for trial in trials)


def _trial(agent: OidcAgent, server: OidcProvider, name: str, kill_after_ms: float) -> Trial:
    agent.create(name, server, server.mint(name).refresh_token)
    before = server.last_seq
    asked_at = time.monotonic_ns()
    with agent.send(forced(name)):
        time.sleep(max(0.0, kill_after_ms / 1000 - (time.monotonic_ns() - asked_at) / 1e9))
        killed_at = agent.kill()
    _settle(server, before)
    restarted_at = agent.start().started_at
    complaint = _load(agent, name) or agent.refresh(name)
    killed = [call for call in server.calls(after=before) if call["received_ns"] < restarted_at]
    committed = next((call for call in killed if call["rotated_ns"] is not None), None)
    return Trial(
        kill_after_ms=kill_after_ms,
        asked_at=asked_at,
        killed_at=killed_at,
        committed_at=committed["rotated_ns"] if committed else None,
        answer_left_at=committed["finished_ns"] if committed else None,
        works_after=complaint is None,
        complaint=complaint or "",
    )


def _save_time_ms(agent: OidcAgent, server: OidcProvider, name: str) -> float:
    before = server.last_seq
    # A file's time is on the wall clock; both clocks are read together, so only a step between would show.
    wall_less_monotonic = time.time_ns() - time.monotonic_ns()
    complaint = agent.refresh(name)
    committed_at = server.calls(after=before)[0]["rotated_ns"]
    if complaint is not None or committed_at is None:
        raise AgentFailed(f"no refresh: {complaint}")
    # Seen under strace: the answer to the client follows the write of the file.
    saved_at = agent.file_of(name).stat().st_mtime_ns - wall_less_monotonic
    return (saved_at - committed_at) / 1e6


def _settle(server: OidcProvider, before: int) -> None:
    """Let the server deal with what the dead agent had sent: it may still lie in a kernel buffer."""
    if server.wait("received", after=before, timeout_s=SETTLE_S) is not None:
        server.wait("answered", after=before)


def _load(agent: OidcAgent, name: str) -> str | None:
    try:
        agent.load(name)
    except AgentFailed as error:
        return str(error)
    return None
