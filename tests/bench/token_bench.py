"""`freshd token NAME` as a whole process, beside `python3 -c pass` and `curl --unix-socket`, in one run.

    python -m tests.bench.token_bench [--runs 40]

Prints medians and ratios; asserts nothing.  The socket behind it is the real server with a lease in memory.  The three
commands run in turn, so that a busy machine slows them alike; every answer is checked to be the token.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.socket_bench import TOKEN, running

NAME = "calendar"


def commands(path: str) -> Mapping[str, Sequence[str]]:
    """What is compared, by name.  The first is what the others are held against."""
    freshd = str(Path(sys.executable).with_name("freshd"))
    found = {
        "python3 -c pass": (sys.executable, "-c", "pass"),
        "freshd token": (freshd, "token", NAME, "--socket", path),
    }
    curl = shutil.which("curl")
    if curl is not None:
        found["curl --unix-socket"] = (curl, "-s", "--unix-socket", path, f"http://freshd/v1/tokens/{NAME}")
    return found


def spent_ms(command: Sequence[str], wanted: str) -> float:
    """Milliseconds from start to exit.  RuntimeError where the answer is not the token."""
    begun = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    took = (time.perf_counter() - begun) * 1000
    if run.returncode or wanted not in run.stdout:
        raise RuntimeError(f"{command[0]} ended with {run.returncode}: {run.stderr[:200]}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description="freshd token beside an empty Python and curl; prints ratios")
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, running("freshd", folder) as path:
        table = commands(path)
        times: dict[str, list[float]] = {name: [] for name in table}
        for number in range(runs + 2):
            for name, command in table.items():
                took = spent_ms(command, "" if name.startswith("python3") else TOKEN)
                if number >= 2:
                    times[name].append(took)
    base = statistics.median(next(iter(times.values())))
    print(f"{'whole process':<22}{'median ms':>10}{'ratio':>8}")
    for name, taken in times.items():
        print(f"{name:<22}{statistics.median(taken):>10.1f}{statistics.median(taken) / base:>8.2f}")


if __name__ == "__main__":
    main()
