"""The time freshd adds to one exchange, beside bare commits of the same size; and exchanges per second.

    python -m tests.bench.exchange_bench [--exchanges 300] [--seconds 8] [--placement both] [--accounts 1 100 1000]

Three passes for each placement, each with a daemon and a service of its own:

* one account, one exchange after the other, each followed by as many bare commits as it makes itself: time from point 1
  to point 8, less what the service took from the whole request to the answer written
* the same under strace: how often it syncs, and how many bytes it writes to the journal's log
* 1, 100 and 1,000 accounts that refresh without a pause: exchanges per second, and what was busy meanwhile

Prints ratios; asserts nothing but that no spent token was presented.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench import service as services
from tests.bench.bare import Bare
from tests.bench.service import Answered, Service
from tests.bench.stand import Cast, Process, Stand, cpu_seconds, quantile
from tests.crash import stamps
from tests.crash.scene import Told
from tests.crash.stamps import Stamp
from tests.flow.bed import let_pass, until
from tests.host.keyring_bed import KeyringBed
from tests.parts import PARTS, why_missing

LIFE: Final = 3600.0
WARM: Final = 10
"""Exchanges before those that count: the first ones load code."""
COUNTED: Final = 40
"""Exchanges under strace."""
COMMITS: Final = 3
"""Of one exchange: intent, escrow, commit."""
LOOK_SECONDS: Final = 0.005
NO_PACE: Final = ("allow_short_lived = true", "min_interval = 0", "host_interval = 0")
ONE: Final = "a00000"
SYNC: Final = re.compile(r"\b(fsync|fdatasync)\(")
LOGGED: Final = re.compile(r"\bpwrite64\(\d+<[^>]*journal\.db-wal>.* = (\d+)$")
TRACED: Final = "trace=fsync,fdatasync,pwrite64"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one exchange: before the request leaves, its call less the service's share, after the answer."""

    before: float
    call: float
    after: float

    @property
    def added(self) -> float:
        """All that is freshd's."""
        return self.before + self.call + self.after


@dataclass(frozen=True, slots=True)
class Cost:
    """What one exchange costs the disk."""

    syncs: float
    log_bytes: float


def times_of(marks: Sequence[Stamp], answers: Sequence[Answered]) -> list[Times]:
    """One for each whole exchange; its answer is the one given between its points 3 and 4."""
    found: list[Times] = []
    at: dict[str, int] = {}
    left = list(answers)
    for mark in marks:
        if mark.mark == "1":
            at = {}
        at[mark.mark] = mark.at_ns
        if mark.mark == "8" and {"1", "3", "4"} <= at.keys():
            own = next((one for one in left if at["3"] <= one.begun and one.ended <= at["4"]), None)
            if own is not None:
                left = left[left.index(own) + 1 :]
                call = at["4"] - at["3"] - (own.ended - own.begun)
                found.append(Times((at["3"] - at["1"]) / 1e6, call / 1e6, (at["8"] - at["4"]) / 1e6))
    return found


def victim(stand: Stand, *above: str) -> Process:
    """The daemon with a recorder at its hooks."""
    command = [sys.executable, "-m", "tests.crash.victim", str(stand.config), "--stamps", str(stand.folder / "stamps")]
    return stand.start([*above, *command]).wait_ready()


def enrolled(stand: Stand, process: Process) -> None:
    """One account, by import, with its first lease."""
    process.operate("import", ONE, secrets={"refresh_token": f"r-{ONE}-1"})
    rested(stand, process)


def rested(stand: Stand, process: Process) -> None:
    """Return once the account has a lease and its grant has come to rest."""

    def is_at_rest() -> bool:
        view = process.view(ONE)
        return bool(view["usable_until"] and view["settled"])

    until("a lease, and the grant at rest", is_at_rest, LOOK_SECONDS)


def one_by_one(stand: Stand, process: Process, number: int) -> Iterator[None]:
    """Exchange after exchange; yields after each."""
    for _ in range(number):
        with contextlib.suppress(Told):
            process.operate("refresh", ONE)
        rested(stand, process)
        yield


def cost(keyring: Mapping[str, str] | None) -> Cost | None:
    """Syncs and bytes of one exchange, None where strace is missing."""
    if why_missing(PARTS["strace"]):
        return None
    with place() as folder, services.running(LIFE, folder) as service, Stand(keyring) as stand:
        stand.configure(Cast(1, service.endpoint, options=NO_PACE))
        traced = stand.folder / "traced"
        process = victim(stand, "strace", "-D", "-f", "-y", "-qq", "-o", str(traced), "-e", TRACED)
        enrolled(stand, process)
        for _ in one_by_one(stand, process, WARM):
            pass
        before = len(traced.read_text().splitlines())
        for _ in one_by_one(stand, process, COUNTED):
            pass
        lines = traced.read_text().splitlines()[before:]
        process.stop()
    syncs = sum(1 for line in lines if SYNC.search(line))
    logged = sum(int(found[1]) for line in lines if (found := LOGGED.search(line)))
    return Cost(syncs / COUNTED, logged / COUNTED)


def added(keyring: Mapping[str, str] | None, number: int, log_bytes: float) -> tuple[list[Times], list[float]]:
    """The times of exchanges, and those of the bare commits made between them."""
    commits: list[float] = []
    with place() as folder, services.running(LIFE, folder) as service, Stand(keyring) as stand:
        stand.configure(Cast(1, service.endpoint, options=NO_PACE))
        with Bare(stand.folder / "bare.db", log_bytes / COMMITS) as bare:
            process = victim(stand)
            enrolled(stand, process)
            for done, _ in enumerate(one_by_one(stand, process, WARM + number)):
                made = [bare.commit_ms() for _ in range(COMMITS)]
                commits += made if done >= WARM else []
            process.stop()
        marks = stamps.read(stand.folder / "stamps")
    sound(service)
    return times_of(marks, service.answered)[-number:], commits


@dataclass(frozen=True, slots=True)
class Rate:
    """Exchanges per second, and the cores that freshd and the service kept busy."""

    accounts: int
    per_second: float
    freshd: float
    service: float


def rate(accounts: int, seconds: float, keyring: Mapping[str, str] | None) -> Rate:
    """Let so many accounts refresh without a pause."""
    with place() as folder, services.running(LIFE, folder) as service, Stand(keyring) as stand:
        cast = Cast(accounts, service.endpoint, options=NO_PACE)
        stand.configure(cast)
        stand.fill(cast)
        process = stand.start([sys.executable, "-m", "tests.bench.pushed", str(stand.config)])
        until("it is warm", lambda: count(service) >= WARM * accounts**0.5, LOOK_SECONDS)
        pids = (process.pid, service.pid)
        begun, done, spent = time.perf_counter(), count(service), [cpu_seconds(pid) for pid in pids]
        let_pass(time.monotonic() + seconds)  # what is measured
        took, done = time.perf_counter() - begun, count(service) - done
        busy = [(cpu_seconds(pid) - was) / took for pid, was in zip(pids, spent, strict=True)]
        process.kill()
    sound(service)
    return Rate(accounts, done / took, busy[0], busy[1])


def count(service: Service) -> int:
    """Answers so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/count", timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return int(told["answers"])


def sound(service: Service) -> None:
    """Speed that presents spent tokens is none."""
    if service.spent:
        raise SystemExit(f"{service.spent} spent tokens were presented")


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder for the service's ledger."""
    folder = Path(tempfile.mkdtemp(prefix="freshd-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def told_of_one(name: str, times: Sequence[Times], commits: Sequence[float], disk: Cost | None) -> None:
    """One placement's table."""
    if disk is not None:
        print(f"{name}: {disk.syncs:.2f} syncs of freshd's and {disk.log_bytes / 1024:.0f} KiB of log for one exchange")
    floor = [sum(commits[at : at + COMMITS]) for at in range(0, len(commits), COMMITS)]
    rows = {
        "added by freshd": [one.added for one in times], "  before the request": [one.before for one in times],
        "  the call itself": [one.call for one in times], "  after the answer": [one.after for one in times],
        "one bare commit": list(commits), f"{COMMITS} bare commits": floor,
    }  # fmt: skip
    print(f"{name + ', ms':24}{'p50':>8}{'p99':>8}   beside {COMMITS} bare commits: p50, p99")
    for row, numbers in rows.items():
        halves = [quantile(numbers, share) for share in (0.5, 0.99)]
        ratios = [value / max(quantile(floor, share), 1e-9) for value, share in zip(halves, (0.5, 0.99), strict=True)]
        print(f"{row:24}{halves[0]:>8.2f}{halves[1]:>8.2f}{ratios[0]:>12.2f}{ratios[1]:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--placement", choices=("sealed", "keyring", "both"), default="both")
    parser.add_argument("--accounts", type=int, nargs="*", default=[1, 100, 1000])
    given = parser.parse_args()
    missing = why_missing(PARTS["keyring"])
    for name in ("sealed", "keyring") if given.placement == "both" else (given.placement,):
        if name == "keyring" and missing:
            print(f"skipped keyring: {missing}")
            continue
        with KeyringBed() if name == "keyring" else contextlib.nullcontext() as bed:
            env = None if bed is None else bed.env
            disk = cost(env)
            times, commits = added(env, given.exchanges, 36_000 if disk is None else disk.log_bytes)
            told_of_one(name, times, commits, disk)
    if given.placement != "keyring":
        rates = [rate(number, given.seconds, None) for number in given.accounts]
        print(f"{'accounts at once':>16}{'exchanges/s':>13}{'ratio':>7}{'freshd, cores':>15}{'service, cores':>16}")
        for one in rates:
            ratio = one.per_second / rates[0].per_second
            print(f"{one.accounts:>16,}{one.per_second:>13,.0f}{ratio:>7.2f}{one.freshd:>15.2f}{one.service:>16.2f}")


if __name__ == "__main__":
    main()
