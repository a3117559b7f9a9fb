"""From kill -9 and start to the first lease over the socket, with 1, 1,000 and 10,000 accounts, in one run.

    python -m tests.bench.boot_bench [--accounts 1 1000 10000] [--rounds 5]

Every round starts each number of accounts once, in turn, so that a busy machine slows them alike.  The lease asked for
is that of the account that is shown last.  Shown are medians; prints ratios, asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.stand import Cast, Stand, cpu_seconds, first_lease, resident_mib
from tests.bench.timed import STAGES

NOWHERE: Final = "http://127.0.0.1:1/token"
"""Nothing is due while this runs: no service is needed."""
AGED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds to the first lease, CPU seconds until then, MiB, and milliseconds of each stage."""

    first: float
    cpu: float
    mib: float
    stages: Mapping[str, float]


def started(stand: Stand, account: str) -> Start:
    """Start, wait for the lease, kill."""
    marks = stand.folder / "marks"
    marks.unlink(missing_ok=True)
    process = stand.start([sys.executable, "-m", "tests.bench.timed", str(stand.config), str(marks)])
    first = first_lease(process, stand.socket, account)
    cpu, mib = cpu_seconds(process.pid), resident_mib(process.pid)
    process.kill()
    found, last = {}, process.started_ns
    for line in marks.read_text().splitlines():
        at, _, stage = line.split(" ", 2)
        found[stage] = (int(at) - last) / 1e6
        last = int(at)
    return Start(first, cpu, mib, found)


def told(numbers: Sequence[int], starts: Mapping[int, Sequence[Start]]) -> None:
    """The table."""
    middle = {number: statistics.median(one.first for one in starts[number]) for number in numbers}
    base = middle[numbers[0]]
    print(f"{'accounts':>24}" + "".join(f"{number:>12,}" for number in numbers))
    print(f"{'to the first lease, s':24}" + "".join(f"{middle[number]:>12.2f}" for number in numbers))
    print(f"{f'  ratio to {numbers[0]:,}':24}" + "".join(f"{middle[number] / base:>12.2f}" for number in numbers))
    for name, field in (("  CPU seconds of it", "cpu"), ("  resident then, MiB", "mib")):
        values = [statistics.median(getattr(one, field) for one in starts[number]) for number in numbers]
        print(f"{name:24}" + "".join(f"{value:>12.2f}" for value in values))
        print(f"{'    ratio':24}" + "".join(f"{value / values[0]:>12.2f}" for value in values))
    for stage in STAGES:
        parts = (statistics.median(one.stages.get(stage, 0.0) for one in starts[number]) for number in numbers)
        print(f"{stage + ', ms':24}" + "".join(f"{part:>12.0f}" for part in parts))
    spans = {number: [one.first for one in starts[number]] for number in numbers}
    print(f"{'least and most, s':24}" + "".join(f"{f'{min(s):.2f}-{max(s):.2f}':>12}" for s in spans.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="*", default=[1, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        stands: dict[int, Stand] = {}
        for number in given.accounts:
            stands[number] = stack.enter_context(Stand())
            cast = Cast(number, NOWHERE, aged=AGED)
            stands[number].configure(cast)
            stands[number].fill(cast)
        starts: dict[int, list[Start]] = {number: [] for number in given.accounts}
        for number, stand in stands.items():
            started(stand, Cast(number, NOWHERE).names[-1])  # nobody's first start counts: it fills the disk's cache
        for _ in range(given.rounds):
            for number, stand in stands.items():
                starts[number].append(started(stand, Cast(number, NOWHERE).names[-1]))
    told(given.accounts, starts)


if __name__ == "__main__":
    main()
