"""A power cut at any instant of recorded runs: what the disk may then hold, opened as the next start would.

    python -m tests.crash.powercut [--images N] [--seed S] [--refreshes N]

Rules
-----
* Every image opens.  It is a state that was, never a mixture; not older than what was durable, nor than what anybody
  had been shown; and no secret stands in it unspent that had left and was answered.
* Each instant at which the disk differs is looked at twice, with everything and with only what was synced (of a long
  run not each write to the log); the rest of the images are drawn: instant, way and losses from the seed.
* The result goes to `results/powercut.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash import image, recording
from tests.crash.disk import WRITES, Disk
from tests.crash.examiner import Examiner, State, Unopened
from tests.crash.history import NO_DICE, History
from tests.crash.image import DRAWN, Image, Way
from tests.crash.order import Order
from tests.crash.recording import Recorded
from tests.crash.services import Sandbox

RESULTS: Final = Path(__file__).with_name("results") / "powercut.md"
SHOWN_MOST: Final = 20
"""Breaches told one by one; the rest is counted."""
PREFIXES_MOST: Final = 1200
"""Instants of one run that are looked at in any case."""
RUBBISH_BYTES: Final = 32768
COLUMNS: Final = (
    "run", "instants", "states", "things shown", "fsyncs", "images", "distinct", "not the newest", "rotations ended",
    "breaches",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What came of one recording.

    distinct  images that differ in a byte; only those are opened
    older     images that hold another state than the newest
    went_on   images in which the key was being rotated, and that came to its end
    waits     fsyncs of an exchange, from its intent to its commit → exchanges
    """

    name: str
    syncs: int = 0
    states: int = 0
    shown: int = 0
    instants: int = 0
    distinct: int = 0
    older: int = 0
    went_on: int = 0
    images: Counter[Way] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)


class Cuts:
    """Power cuts in one recorded run."""

    def __init__(self, recorded: Recorded, examiner: Examiner) -> None:
        self._recorded = recorded
        self._examiner = examiner
        self._history = History(recorded.run, examiner)
        self._order = Order(self._history, recorded.spends, examiner)
        self._known: dict[bytes, State | str] = {}
        self.tally = Tally(recorded.name, states=len(self._history.commits), shown=len(self._order.shown))
        self.tally.breaches += self._order.breaches
        self.tally.waits.update(one.syncs for one in self._order.exchanges)

    def every_prefix(self, most: int, seed: int) -> None:
        """Each instant, with everything and with only what was synced.

        Where there are more than `most`, all but those that only write to the log, and a sample of the latter.
        """
        numbers = [number for number, _ in self._instants()]
        steps = self._recorded.run.steps
        logs = [number for number in numbers if steps[number].call in WRITES and steps[number].place.endswith("-wal")]
        spared = set(random.Random(seed).sample(logs, min(len(logs), max(0, len(numbers) - most))))
        for number, disk in self._instants():
            self.tally.syncs = disk.syncs
            if number in spared:
                continue
            self.tally.instants += 1
            for way in (Way.KEPT, Way.WHOLE):
                self._cut(number, way, image.draw(disk, way, NO_DICE))

    def drawn(self, images: int, seed: int) -> None:
        """So many images, each at an instant of its own choice."""
        dice = random.Random(seed)
        numbers = [number for number, _ in self._instants()]
        wanted = Counter(dice.choices(numbers, k=images))
        for number, disk in self._instants():
            for one in range(wanted[number]):
                own = random.Random(f"{seed} {number} {one}")
                way = own.choice(DRAWN)
                rubbish = own.randbytes(RUBBISH_BYTES) if own.random() < 0.1 else b""
                self._cut(number, way, image.draw(disk, way, own), rubbish)

    def _instants(self) -> Iterator[tuple[int, Disk]]:
        disk = self._recorded.run.disk()
        for step in self._recorded.run.steps:
            if disk.feed(step):
                yield step.number, disk

    def _cut(self, number: int, way: Way, found: Image, rubbish: bytes = b"") -> None:
        self.tally.images[way] += 1
        state = self._opened(found, rubbish)
        why = state if isinstance(state, str) else self._judged(number, state)
        if why is not None:
            self.tally.breaches.append(f"a cut after step {number} that leaves {way.value}: {why}")

    def _opened(self, found: Image, rubbish: bytes) -> State | str:
        key = _digest(found, rubbish)
        if key not in self._known:
            self.tally.distinct += 1
            try:
                self._known[key] = self._examiner.examine(found, rubbish)
            except Unopened as error:
                self._known[key] = f"it does not open: {error}"
        return self._known[key]

    def _judged(self, number: int, state: State) -> str | None:
        """What is wrong with what was found after a cut behind that step; None where nothing is."""
        index = self._history.index(state, number + 1)
        if index is None:
            return "it holds a state that never was"
        if index < self._history.live(number + 1):
            self.tally.older += 1
        durable = sum(step <= number for step in self._order.durable) - 1
        if index < durable:
            return f"state {index}, though {durable} was durable"
        for shown in self._order.shown:
            if shown.number <= number and (shown.index is None or index < shown.index):
                return f"state {index}, though before that {shown.what}"
        return self._unspent(number, state)

    def _unspent(self, number: int, state: State) -> str | None:
        left = {secret for one in self._order.exchanges if one.left <= number for secret in one.spent}
        for name, account in state.accounts.items():
            if account.flight is None and account.secrets & left:
                return f"{name} holds a secret that had left, and no intent"
        return None


def _digest(found: Image, rubbish: bytes) -> bytes:
    made = hashlib.sha256(rubbish)
    for name, content in sorted(found.items()):
        made.update(f"{name}\0{content is None}".encode() + hashlib.sha256(content or b"").digest())
    return made.digest()


def cut(recorded: Recorded, images: int, seed: int, prefixes: int = PREFIXES_MOST) -> Tally:
    """All of it for one recording."""
    with recorded.examiner() as examiner:
        cuts = Cuts(recorded, examiner)
        if prefixes:
            cuts.every_prefix(prefixes, seed)
        cuts.drawn(images, seed)
        cuts.tally.went_on = examiner.went_on
        return cuts.tally


def report(tallies: Sequence[Tally], seed: int, seconds: float) -> str:
    """The result as a page."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    total = sum(one.images.total() for one in tallies)
    lines = [
        "# Power cuts in recorded runs", "",
        f"`python -m tests.crash.powercut`, {date}, seed {seed}: {total} images in {seconds:.0f} s.", "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' --- |' * len(COLUMNS)}",
    ]  # fmt: skip
    for one in tallies:
        seen = (one.images.total(), one.distinct, one.older, one.went_on, len(one.breaches))
        cells = (one.name, one.instants, one.states, one.shown, one.syncs, *seen)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| what survives of the unsynced | images |", "| --- | --- |"]
    lines += [f"| {way.value} | {sum(one.images[way] for one in tallies)} |" for way in Way]
    waits = sum((one.waits for one in tallies), Counter[int]())
    told = ", ".join(f"{syncs} in {times}" for syncs, times in sorted(waits.items()))
    lines += ["", f"Fsyncs of an exchange, on the state directory, from its intent to its commit: {told} exchanges."]
    breaches = [f"* {one.name}: {breach}" for one in tallies for breach in one.breaches]
    if breaches:
        lines += ["", "## Breaches", "", *breaches[:SHOWN_MOST]]
        lines += [f"* and {len(breaches) - SHOWN_MOST} more"] if len(breaches) > SHOWN_MOST else []
    return "\n".join(lines) + "\n"


def main() -> int:
    """Record, cut, write the result; 0 where nothing was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.powercut", description="Power cuts in recorded runs.")
    parser.add_argument("--images", type=int, default=4000, help="images drawn, beside every prefix (default: 4000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--refreshes", type=int, default=75, help="of the daemon's second life (default: 75)")
    given = parser.parse_args()
    began = time.monotonic()
    with Sandbox(access_seconds=recording.LONG_SECONDS) as service:
        runs = [recording.lives(service, (5, given.refreshes)), recording.play(6)]
    tallies = [cut(one, given.images // len(runs), given.seed) for one in runs]
    told = report(tallies, given.seed, time.monotonic() - began)
    RESULTS.write_text(told)
    print(told)
    return 1 if any(one.breaches for one in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
