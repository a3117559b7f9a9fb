"""How much readers notice while a service hangs, a keyring call hangs, and a client stalls in the middle of a request.

    python -m tests.crash.stall [--seconds N] [--readers N]

Prints one line for each situation: reads, p50, p99, and p99 as a multiple of the quiet one of the same run.
Readers and daemon share the machine, so only the ratios mean something.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.scene import Connection, Gone, Process, Scene, Told
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

READ: Final = ("read-0", "read-1", "read-2", "read-3")
HANGS: Final = "hangs"
"""The account whose service does not answer."""
STUCK: Final = "stuck"
"""The account whose grant rests in a keyring that does not answer."""
LONG: Final = 3600
HANG_SECONDS: Final = 30.0
STALLED_CLIENTS: Final = 8
SETTLE_SECONDS: Final = 30.0
GAP_SECONDS: Final = 0.001
"""Between two reads of one reader: a busy loop would measure the reader."""
GOAL: Final = 3.0


@dataclass(frozen=True, slots=True)
class Reads:
    """All reads of one situation: latencies in microseconds, sorted, and how many were not answered with a token."""

    situation: str
    micros: tuple[float, ...]
    failed: int

    def quantile(self, share: float) -> float:
        """In microseconds."""
        return self.micros[min(len(self.micros) - 1, int(len(self.micros) * share))]


def measure(seconds: float, readers: int) -> list[Reads]:
    """Quiet, each trouble alone, all three together, quiet again."""
    with contextlib.ExitStack() as stack:
        keyring = stack.enter_context(KeyringBed())
        service = stack.enter_context(Sandbox())
        scene = stack.enter_context(Scene("keyring", keyring.env))
        daemon = _ready(scene, service)
        bench = _Bench(scene.socket, seconds, readers)
        found = [bench.run("quiet")]
        with _stalled_clients(scene.socket):
            found.append(bench.run(f"{STALLED_CLIENTS} clients stalled mid-request"))
        with _frozen(keyring, daemon):
            found.append(bench.run("a keyring call hangs"))
        with _hanging(service, daemon):
            found.append(bench.run("a service hangs"))
            with _stalled_clients(scene.socket), _frozen(keyring, daemon):
                found.append(bench.run("all three at once"))
        found.append(bench.run("quiet again"))
        return found


def _ready(scene: Scene, service: Sandbox) -> Process:
    """A daemon whose accounts all hold leases that outlast the measurement, their grants at rest in the keyring."""
    accounts = (*READ, HANGS, STUCK)
    service.ask("PATCH", "/policy", {"access_s": LONG})
    lines = service.settings(scene.folder)
    scene.configure({name: [*lines, f'grant = "{name}"'] for name in accounts})
    daemon = scene.daemon().wait_ready()
    for name in accounts:
        daemon.operate("import", name, secrets={"refresh_token": service.mint(name)})
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while not all(_is_at_rest(daemon, name) for name in accounts):
        if time.monotonic() > give_up_at:
            raise Gone("the accounts do not come to rest")
        time.sleep(0.05)
    return daemon


def _is_at_rest(daemon: Process, name: str) -> bool:
    view = daemon.view(name)
    return bool(view["settled"] and view["phase"] == "live" and view["usable_until"])


# -- troubles -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _hanging(service: Sandbox, daemon: Process) -> Iterator[None]:
    """One account's refresh is under way, and its service says nothing."""
    service.ask("POST", "/faults", {"fault": "hang", "seconds": HANG_SECONDS, "label": HANGS, "after_commit": False})
    with _asking(daemon, HANGS):
        yield
    service.ask("DELETE", f"/faults?label={HANGS}")


@contextlib.contextmanager
def _frozen(keyring: KeyringBed, daemon: Process) -> Iterator[None]:
    """One account's refresh waits for a keyring that is stopped."""
    with keyring.frozen(), _asking(daemon, STUCK):
        yield


@contextlib.contextmanager
def _asking(daemon: Process, account: str) -> Iterator[None]:
    """A refresh that somebody waits for, whatever comes of it.  Raises Gone where nothing hangs."""

    def ask() -> None:
        with contextlib.suppress(Told, Gone):
            daemon.operate("refresh", account)

    threading.Thread(target=ask, daemon=True).start()
    time.sleep(0.2)
    if daemon.view(account)["phase"] != "spending":
        raise Gone(f"{account} does not hang")
    yield


@contextlib.contextmanager
def _stalled_clients(path: Path) -> Iterator[None]:
    """Clients that send half a request and no more."""
    with contextlib.ExitStack() as stack:
        for number in range(STALLED_CLIENTS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.connect(str(path))
            client.sendall(b"GET /v1/tokens/read-0 HTTP/1.1\r\nHost: fre"[: 20 + number])
        yield


# -- readers --------------------------------------------------------------------------------------------------------


class _Bench:
    def __init__(self, path: Path, seconds: float, readers: int) -> None:
        self._path, self._seconds, self._readers = path, seconds, readers

    def run(self, situation: str) -> Reads:
        """All readers at once, each on a connection of its own."""
        micros: list[float] = []
        failures: list[str] = []
        stop_at = time.monotonic() + self._seconds
        threads = [
            threading.Thread(target=self._read, args=(READ[number % len(READ)], stop_at, micros, failures))
            for number in range(self._readers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Reads(situation, tuple(sorted(micros)), len(failures))

    def _read(self, account: str, stop_at: float, micros: list[float], failures: list[str]) -> None:
        connection = Connection(self._path, 10)
        while time.monotonic() < stop_at:
            began = time.perf_counter()
            try:
                connection.request("GET", f"/v1/tokens/{account}")
                response = connection.getresponse()
                answer = json.loads(response.read())
                if response.status != 200 or not answer.get("access_token"):
                    failures.append(str(response.status))
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures.append(type(error).__name__)
                connection.close()
            micros.append((time.perf_counter() - began) * 1e6)
            time.sleep(GAP_SECONDS)
        connection.close()


def table(found: Sequence[Reads]) -> str:
    """One line for each situation."""
    quiet = found[0].quantile(0.99)
    lines = [f"{'':32} {'reads':>7} {'failed':>7} {'p50 µs':>8} {'p99 µs':>8} {'p99 / quiet':>12}"]
    for reads in found:
        middle, high = reads.quantile(0.5), reads.quantile(0.99)
        numbers = f"{len(reads.micros):7} {reads.failed:7} {middle:8.0f} {high:8.0f} {high / quiet:12.2f}"
        lines.append(f"{reads.situation:32} {numbers}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.stall", description="Ratios of read latencies.")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each situation (default: 6)")
    parser.add_argument("--readers", type=int, default=2, help="readers at a time (default: 2)")
    given = parser.parse_args()
    found = measure(given.seconds, given.readers)
    print(table(found))
    worst = max(reads.quantile(0.99) for reads in found) / found[0].quantile(0.99)
    print(f"worst p99: {worst:.2f} times the quiet one (goal: {GOAL:g})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
