"""How much readers notice while a service hangs, a keyring call hangs, and a client stalls in the middle of a request.

    python -m tests.crash.stall [--rounds N] [--seconds N] [--readers N]

Quiet and troubled slices alternate, because a machine drifts more than the troubles change.  Prints for each situation
reads, p50, p99 of all its slices, and p99 as a multiple of the quiet slice of the same round: median and worst round.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.scene import Connection, Gone, Process, Scene, Told
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

READ: Final = ("read-0", "read-1", "read-2", "read-3")
STUCK: Final = "stuck"
"""The account whose grant rests in a keyring that does not answer."""
LONG: Final = 3600
HANG_MARGIN_SECONDS: Final = 1.0
STALLED_CLIENTS: Final = 8
SETTLE_SECONDS: Final = 30.0
GAP_SECONDS: Final = 0.001
"""Between two reads of one reader: a busy loop would measure the reader."""
GOAL: Final = 3.0
QUIET: Final = "quiet"


@dataclass(frozen=True, slots=True)
class Slice:
    """All reads of one slice: latencies in microseconds, and how many were not answered with a token."""

    micros: tuple[float, ...]
    failed: int


Slices = dict[str, list[Slice]]
"""By situation, one for each round."""


def quantile(micros: Sequence[float], share: float) -> float:
    """Of latencies, in microseconds."""
    return sorted(micros)[min(len(micros) - 1, int(len(micros) * share))]


def measure(rounds: int, seconds: float, readers: int) -> Slices:
    """Each situation once per round, beginning with quiet."""
    found: Slices = {}
    with contextlib.ExitStack() as stack:
        keyring = stack.enter_context(KeyringBed())
        service = stack.enter_context(Sandbox())
        scene = stack.enter_context(Scene("keyring", keyring.env))
        daemon = _ready(scene, service, rounds)
        read = partial(_read_all, scene.socket, seconds, readers)
        for number in range(rounds):
            hangs = (_hanging(service, daemon, account, seconds) for account in _hang_accounts(number))
            troubles: dict[str, tuple[contextlib.AbstractContextManager[None], ...]] = {
                QUIET: (),
                f"{STALLED_CLIENTS} clients stalled mid-request": (_stalled_clients(scene.socket),),
                "a keyring call hangs": (_frozen(keyring, daemon),),
                "a service hangs": (next(hangs),),
                "all three at once": (next(hangs), _stalled_clients(scene.socket), _frozen(keyring, daemon)),
            }
            for situation, contexts in troubles.items():
                with contextlib.ExitStack() as trouble:
                    for context in contexts:
                        trouble.enter_context(context)
                    found.setdefault(situation, []).append(read())
    return found


def _hang_accounts(number: int) -> tuple[str, str]:
    """Accounts whose service does not answer; an answer that was lost is not asked for again while the lease lives."""
    return f"hangs-{number}", f"hangs-too-{number}"


def _ready(scene: Scene, service: Sandbox, rounds: int) -> Process:
    """A daemon whose accounts all hold leases that outlast the measurement, their grants at rest in the keyring."""
    accounts = (*READ, STUCK, *(name for number in range(rounds) for name in _hang_accounts(number)))
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
def _hanging(service: Sandbox, daemon: Process, account: str, seconds: float) -> Iterator[None]:
    """The account's refresh is under way, and its service says nothing for longer than the slice."""
    silence = seconds + HANG_MARGIN_SECONDS
    service.ask("POST", "/faults", {"fault": "hang", "seconds": silence, "label": account, "after_commit": False})
    began = time.monotonic()
    with _asking(daemon, account):
        yield
    time.sleep(max(0.0, began + silence + HANG_MARGIN_SECONDS - time.monotonic()))
    service.ask("DELETE", f"/faults?label={account}")


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


def _read_all(path: Path, seconds: float, readers: int) -> Slice:
    """All readers at once, each on a connection of its own."""
    micros: list[float] = []
    failures: list[str] = []
    stop_at = time.monotonic() + seconds
    names = [READ[number % len(READ)] for number in range(readers)]
    threads = [threading.Thread(target=_read, args=(path, name, stop_at, micros, failures)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Slice(tuple(micros), len(failures))


def _read(path: Path, account: str, stop_at: float, micros: list[float], failures: list[str]) -> None:
    connection = Connection(path, 10)
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


def ratios(found: Slices, situation: str) -> list[float]:
    """p99 of each slice as a multiple of the quiet one of its round."""
    pairs = zip(found[situation], found[QUIET], strict=True)
    return [quantile(slow.micros, 0.99) / quantile(quiet.micros, 0.99) for slow, quiet in pairs]


def table(found: Slices) -> str:
    """One line for each situation."""
    lines = [f"{'':32} {'reads':>7} {'failed':>7} {'p50 µs':>8} {'p99 µs':>8} {'p99/quiet':>10} {'worst':>7}"]
    for situation, slices in found.items():
        micros = [value for one in slices for value in one.micros]
        failed = sum(one.failed for one in slices)
        times = ratios(found, situation)
        latencies = f"{quantile(micros, 0.5):8.0f} {quantile(micros, 0.99):8.0f}"
        line = (
            f"{situation:32} {len(micros):7} {failed:7} {latencies} {statistics.median(times):10.2f} {max(times):7.2f}"
        )
        lines.append(line)
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.stall", description="Ratios of read latencies.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each situation (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a slice (default: 2)")
    parser.add_argument("--readers", type=int, default=2, help="readers at a time (default: 2)")
    given = parser.parse_args()
    found = measure(given.rounds, given.seconds, given.readers)
    print(table(found))
    worst = max(statistics.median(ratios(found, situation)) for situation in found)
    print(f"p99 of the worst situation: {worst:.2f} times the quiet one, median of rounds (goal: {GOAL:g})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
