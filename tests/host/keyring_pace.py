"""How fast a real gnome-keyring is: a session held beside a connection for each call, and the cost of many entries.

    python -m tests.host.keyring_pace [--record]

prints ratios of one run, and with `--record` writes them to results/keyring_pace.md.  It also counts file descriptors
over 1,000 calls and 50 restarts of the daemon.  Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from keyring.backends.SecretService import Keyring

from freshd.vault.keyring import Library
from freshd.vault.secret_service import SecretService
from tests.host.keyring_bed import KeyringBed
from tests.host.wire import open_files

RESULTS: Final = Path(__file__).parent / "results" / "keyring_pace.md"
ENTRY: Final = "x" * 700
"""As long as the line of a grant with one refresh token of 200 characters."""
CALLS: Final = 300
SIZES: Final = (10, 100, 500, 1000, 2000)
FEW: Final = 40
RESTARTS: Final = 50
LIBRARY: Any = Keyring


def main() -> int:
    """Print, and record where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.host.keyring_pace")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    asked = parser.parse_args()
    lines = [f"# gnome-keyring's pace\n\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores.\n"]
    with KeyringBed() as bed:
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = bed.env["DBUS_SESSION_BUS_ADDRESS"]
        for part in (sessions(), descriptors(bed), sizes()):
            for line in part:
                print(line, flush=True)
                lines.append(line)
    if asked.record:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def sessions() -> Iterator[str]:
    """Held against opened for each call, ten entries, milliseconds."""
    yield "| ms, p50 / p99 | get | set |"
    yield "|---|---|---|"
    seen = {}
    ways: dict[str, Library] = {"a connection for each call": LIBRARY(), "held session": SecretService()}
    for name, library in ways.items():
        for number in range(10):
            library.set_password(f"s{number}", "e", ENTRY)
        reads, writes = reading(library, 10, CALLS), writing(library, 10, CALLS)
        seen[name] = (reads, writes)
        yield f"| {name} | {told(reads)} | {told(writes)} |"
    before, after = seen.values()
    ratios = [statistics.median(one) / statistics.median(two) for one, two in zip(before, after, strict=True)]
    yield f"| ratio of p50 | {ratios[0]:.1f} | {ratios[1]:.1f} |\n"


def descriptors(bed: KeyringBed) -> Iterator[str]:
    """What 1,000 calls and 50 restarts leave open."""
    service = SecretService()
    service.set_password("s0", "e", ENTRY)
    before = open_files()
    for _ in range(RESTARTS):
        bed.restart()
        for number in range(1000 // RESTARTS // 2):
            service.set_password(f"s{number}", "e", ENTRY)
            service.get_password(f"s{number}", "e")
    yield f"File descriptors before 1,000 calls and {RESTARTS} restarts: {before}, after: {open_files()}.\n"


def sizes() -> Iterator[str]:
    """A held session and ever more entries, milliseconds."""
    yield "| entries | get p50 | set, least | set p50 | set p99 |"
    yield "|---|---|---|---|---|"
    service, there = SecretService(), 0
    for size in SIZES:
        for number in range(there, size):
            service.set_password(f"s{number}", "e", ENTRY)
        there = size
        reads, writes = reading(service, size, FEW), writing(service, size, FEW)
        get, least, usual = statistics.median(reads), min(writes), statistics.median(writes)
        yield f"| {size} | {get:.1f} | {least:.1f} | {usual:.1f} | {most(writes):.1f} |"


def reading(library: Library, entries: int, count: int) -> list[float]:
    """Milliseconds of so many reads among so many entries."""
    return timed(count, lambda at: library.get_password(f"s{at % entries}", "e"))


def writing(library: Library, entries: int, count: int) -> list[float]:
    """Milliseconds of so many writes."""
    return timed(count, lambda at: library.set_password(f"s{at % entries}", "e", f"{ENTRY}{at}"))


def timed(count: int, call: Callable[[int], object]) -> list[float]:
    """Milliseconds of each call."""
    taken = []
    for at in range(count):
        began = time.perf_counter()
        call(at)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def told(taken: list[float]) -> str:
    """Median and 99th percentile."""
    return f"{statistics.median(taken):.1f} / {most(taken):.1f}"


def most(taken: list[float]) -> float:
    """The 99th percentile."""
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]


if __name__ == "__main__":
    sys.exit(main())
