"""The broker's password rotates again and again, and freshd finds back by itself each time: what that costs.

`python -m tests.flow.mqtt_rotation --minutes 5 --every 10` writes tests/flow/results/mqtt.md: for MQTT 5 and 3.1.1 the
seconds without a connection, and what became of the events.  Every token is revoked at the service, and the password at
the broker changed in the same moment, which throws the connection out; the broker learns of a new token the moment the
service has issued it.  A subscriber counts.  Nothing is judged here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.scene import Process
from tests.flow.bed import let_pass, until
from tests.flow.mosquitto import Mosquitto, Watcher
from tests.flow.mqtt_bed import NAME, OTHER, Clerk, Issuer, Rotation, Stage, channel, outlet, share
from tests.flow.shift import Shift

RESULTS: Final = Path(__file__).with_name("results") / "mqtt.md"
TICK_SECONDS: Final = 0.25
VERSIONS: Final = ("5", "3.1.1")


@dataclass(frozen=True, slots=True)
class Events:
    """What became of the events of one run.

    told      the highest number that one bore
    lost      numbers that no message bore
    again     messages whose number had come before
    dropped   events that the daemon says it had no room for
    """

    told: int
    lost: int
    again: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Run:
    """All of one version.  `stopped`: how often healing or the channel gave up; `spent_uses`: as the service counts."""

    version: str
    rotations: Sequence[Rotation]
    events: Events
    stopped: int
    refreshes: int
    spent_uses: int


class Ticker(Shift):
    """Makes events all the while: an account is paused, and goes on."""

    def __init__(self, daemon: Process) -> None:
        super().__init__()
        self._daemon = daemon

    def _work(self) -> None:
        while not self._ends.wait(TICK_SECONDS):
            self._daemon.operate("pause", OTHER)
            self._daemon.operate("resume", OTHER)


def counted(watcher: Watcher) -> Events:
    """The subscriber's count."""
    told = [heard.told for heard in watcher.on("/events/")]
    numbers = Counter(int(one["seq"]) for one in told)
    dropped = sum(int(one["fields"]["dropped"]) for one in told if one["name"] == "outlet.dropped")
    most = max(numbers, default=0)
    return Events(most, most - len(numbers), sum(numbers.values()) - len(numbers), dropped)


def campaign(folder: Path, version: str, rotations: int, every: float) -> Run:
    """So many rotations, one every so many seconds, at least."""
    place = folder / "freshd"
    place.mkdir()
    with Issuer() as issuer, Mosquitto(folder / "broker") as broker, Watcher(broker.port) as watcher:
        broker.know(NAME, "nobody-knows-it-yet")
        stage = Stage(place, broker, issuer)
        with Clerk(issuer, broker), stage.up(*channel(broker, version), *outlet()) as daemon:
            until("the first connection", stage.connections)
            with Ticker(daemon):
                seen = _rotations(stage, rotations, every)
            last = _last_word(daemon, watcher)
            until("the last event", lambda: any(one.told["seq"] >= last for one in watcher.on("/events/")))
            names = [event["event"] for event in stage.bed.events()]
            stopped = sum(names.count(name) for name in ("heal.stopped", "channel.stopped", "channel.kept-out"))
            return Run(
                version, seen, counted(watcher), stopped, issuer.refreshes(NAME), issuer.spent_uses(NAME)
            )  # fmt: skip


def _rotations(stage: Stage, rotations: int, every: float) -> list[Rotation]:
    began, seen = time.monotonic(), []
    for number in range(1, rotations + 1):
        let_pass(began + number * every)  # a broker rotates by the clock, whatever freshd does
        seen.append(stage.rotate(number))
    return seen


def _last_word(daemon: Process, watcher: Watcher) -> int:
    """Have one more event told once all others were, and its number: behind it none can be missing."""
    before = len(watcher.on("account.resumed"))
    daemon.operate("pause", OTHER)
    daemon.operate("resume", OTHER)
    return int(until("one more event", lambda: watcher.on("account.resumed")[before:])[-1].told["seq"])


def page(runs: Sequence[Run], minutes: float, every: float) -> str:
    """The result, as a document."""
    rows = [
        "# MQTT: the broker's password rotates", "",
        f"Made by `python -m tests.flow.mqtt_rotation --minutes {minutes:g} --every {every:g}`: mosquitto with dynamic",
        "security, the sandbox's OAuth2 server, freshd as a process.  Every rotation revokes the token at the service,",
        "and changes the password at the broker, which throws the connection out; the token that freshd then gets",
        "becomes the password a few milliseconds later.  Offline: from the end of a connection to the next login that",
        "the broker took, by the daemon's clock.  Events bear numbers; a subscriber counted them.", "",
        "| MQTT | rotations | back by itself | offline p50, s | p99, s | max, s | refusals told | healing stopped |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for run in runs:
        away = [one.away for one in run.rotations]
        refusals = sum(one.refusals for one in run.rotations)
        shares = f"{share(away, 0.5):.3f} | {share(away, 0.99):.3f} | {max(away):.3f}"
        count = len(run.rotations)
        rows.append(f"| {run.version} | {count} | {count} | {shares} | {refusals} | {run.stopped} |")
    rows += ["", "| MQTT | events told | lost | came twice | dropped by the ring | renewals | spent uses |"]
    rows.append("|---|---|---|---|---|---|---|")
    for run in runs:
        told = run.events
        counts = f"{told.told} | {told.lost} | {told.again} | {told.dropped}"
        rows.append(f"| {run.version} | {counts} | {run.refreshes} | {run.spent_uses} |")
    return "\n".join([*rows, ""])


def main() -> None:
    """Run both versions and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--every", type=float, default=10.0)
    given = parser.parse_args()
    rotations = max(1, int(given.minutes * 60 / given.every))
    runs = []
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(campaign(Path(folder), version, rotations, given.every))
        print(runs[-1].version, runs[-1].events, [one.away for one in runs[-1].rotations], flush=True)
    RESULTS.write_text(page(runs, given.minutes, given.every), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
