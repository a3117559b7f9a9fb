"""gnome-keyring-daemon killed again and again under a freshd that rotates all the while and is never restarted.

    python -m tests.host.keyring_kills [--kills N] [--seed N]

prints a table and, with `--record`, writes it to results/keyring_kills.md.  The service is strict: a spent refresh
token presented once costs the account.  Readers ask all the while; at the end the newest grant must rest in the
keyring, and a freshd started anew must refresh with it.

The kills come in turns of five kinds (`Blow`).  Chance decides how long after the service's last rotation a blow falls,
and how long the keyring stays away; the seed is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import json
import random
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.scene import ACCOUNT, Gone, Process, Scene, Told
from tests.crash.services import Sandbox
from tests.flow.bed import until
from tests.host.keyring_bed import KeyringBed

RESULTS: Final = Path(__file__).parent / "results" / "keyring_kills.md"
KILLS: Final = 100
ACCESS_SECONDS: Final = 20
"""Longer than any blow keeps the keyring away: a gap of readers would be freshd's."""
LATEST_SECONDS: Final = 0.04
"""A blow falls within so many seconds of a rotation: a grant is on its way to the keyring for some 10 ms of them."""
AWAY_SECONDS: Final = 0.6
BREATH_SECONDS: Final = 0.4
"""How long a rotation waits for the one before to come to rest; then it goes on without."""
LOOK_SECONDS: Final = 0.002
PROGRAM: Final = "python -m tests.host.keyring_kills"


class Blow(enum.Enum):
    """What befalls the keyring."""

    KILLED = "killed, and another one unlocked in its place"
    KILLED_AWAY = "killed; the bus starts one that is locked; unlocked later"
    LOCKED_KILLED = "locked, then killed, then another one unlocked"
    FROZEN_KILLED = "frozen in the middle of whatever it did, then killed and replaced"
    REPLACED = "replaced by another one while it works"


@dataclass
class Seen:
    """What came of it."""

    blows: Counter[Blow] = field(default_factory=Counter)
    unsettled: int = 0
    rotations: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    gaps: list[str] = field(default_factory=list)
    slowest: float = 0.0
    back: list[float] = field(default_factory=list)
    settled: bool = False
    same_process: bool = False
    goes_on: bool = False
    spent_uses: int = 0
    doubtful_replays: int = 0
    told: Counter[str] = field(default_factory=Counter)
    left_open: int = 0


class Stage:
    """A freshd on a real keyring, somebody who rotates, and somebody who reads."""

    def __init__(self, bed: KeyringBed, scene: Scene, service: Sandbox) -> None:
        self.bed, self.scene, self.service = bed, scene, service
        self.seen = Seen()
        self.over = threading.Event()
        service.ask("PATCH", "/policy", {"access_s": ACCESS_SECONDS})
        scene.configure({ACCOUNT: service.settings(scene.folder)})
        self.daemon: Process = scene.daemon().wait_ready()
        self.daemon.operate("import", secrets={"refresh_token": service.mint("keyring")})
        self.until_settled()

    def until_settled(self) -> float:
        """Seconds until the newest grant has come to rest."""
        began = time.monotonic()
        until("settled", self._is_settled, LOOK_SECONDS)
        return time.monotonic() - began

    def _is_settled(self) -> bool:
        view = self.daemon.view()
        return bool(view["settled"]) and view["generation"] > 1

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """A span in which the account is rotated and read all the time."""
        threads = [threading.Thread(target=work) for work in (self._rotate, self._read)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def _rotate(self) -> None:
        while not self.over.is_set():
            try:
                self.daemon.operate("refresh")
                self.seen.rotations += 1
            except Told as no:
                self.seen.refused[str(no).split(":", 1)[0]] += 1
            except Gone:
                return
            self._breathe()

    def _breathe(self) -> None:
        ends = time.monotonic() + BREATH_SECONDS
        time.sleep(LATEST_SECONDS)
        while time.monotonic() < ends and is_unsettled(self.scene):
            time.sleep(LOOK_SECONDS)

    def _read(self) -> None:
        while not self.over.is_set():
            asked = time.monotonic()
            try:
                self.daemon.ask("GET", f"/v1/tokens/{ACCOUNT}?wait=0")
                self.seen.reads += 1
            except (Gone, Told) as trouble:
                self.seen.gaps.append(str(trouble))
            self.seen.slowest = max(self.seen.slowest, time.monotonic() - asked)
            time.sleep(LOOK_SECONDS)

    # -- the blows -----------------------------------------------------------------------------------------------------

    def strike(self, blow: Blow, chance: random.Random) -> None:
        """One blow soon after a rotation, and the keyring's return."""
        before = self.daemon.view()["generation"]
        until("a rotation", lambda: self.daemon.view()["generation"] > before, LOOK_SECONDS)
        time.sleep(chance.uniform(0.0, LATEST_SECONDS))
        self._fall(blow, chance.uniform(0.0, AWAY_SECONDS))
        self.seen.blows[blow] += 1
        began = time.monotonic()
        generation = self.daemon.view()["generation"]
        until("it goes on", lambda: self._goes_on(generation), LOOK_SECONDS)
        self.seen.back.append(time.monotonic() - began)

    def _goes_on(self, generation: int) -> bool:
        """Whether a grant came to rest since."""
        return rests_at(self.scene) >= generation

    def _fall(self, blow: Blow, away: float) -> None:
        bed = self.bed
        if blow is Blow.LOCKED_KILLED:
            bed.lock()
            time.sleep(away)
        if blow is Blow.FROZEN_KILLED:
            bed.freeze()
            time.sleep(away)
        if blow is not Blow.REPLACED:
            bed.kill()
        self.seen.unsettled += is_unsettled(self.scene)
        if blow is Blow.KILLED_AWAY:
            assert bed.is_locked()  # asking brings up the next one
            time.sleep(away)
            until("unlocked", bed.unlock)
        else:
            bed.recover()

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, pid: int) -> Seen:
        """Look at what is left, and start a new freshd on it."""
        seen = self.seen
        self.until_settled()
        seen.settled = not is_unsettled(self.scene)
        seen.same_process = self.daemon.runs and self.daemon.pid == pid
        self._count_alerts()
        self.daemon.stop()
        generation = self.scene.kept().generation
        again = self.scene.daemon().wait_ready()
        until("the vault is open", lambda: again.view()["phase"] == "live")
        again.operate("refresh")
        seen.goes_on = again.view()["generation"] == generation + 1
        page = self.service.page("keyring")
        seen.spent_uses, seen.doubtful_replays = page.spent_uses, page.doubtful_replays
        return seen

    def _count_alerts(self) -> None:
        is_open = False
        for line in self.scene.log.read_text().splitlines():
            event = _event(line)
            if event.startswith("keyring."):
                self.seen.told[event] += 1
                is_open = event != "keyring.settled"
        self.seen.left_open = int(is_open)


def _event(line: str) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        found: dict[str, Any] = json.loads(line)
        return str(found.get("event", ""))
    return ""


def _record(scene: Scene) -> tuple[int, bool]:
    path = scene.folder / "state" / "journal.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        generation, sealed = db.execute(
            "SELECT grant_generation, grant_blob IS NOT NULL FROM records WHERE account = ?", (ACCOUNT,)
        ).fetchone()
    return generation, bool(sealed)


def is_unsettled(scene: Scene) -> bool:
    """Whether the journal still has its own copy of the newest grant."""
    return _record(scene)[1]


def rests_at(scene: Scene) -> int:
    """The generation that rests in the keyring, as far as the newest is concerned; 0 while it does not."""
    generation, sealed = _record(scene)
    return 0 if sealed else generation


def run(kills: int, seed: int) -> Seen:
    """All of it."""
    chance = random.Random(seed)
    with KeyringBed() as bed, Sandbox() as service, Scene("keyring", bed.env) as scene:
        stage = Stage(bed, scene, service)
        pid = stage.daemon.pid
        with stage.busy():
            for number in range(kills):
                stage.strike(list(Blow)[number % len(Blow)], chance)
        return stage.finish(pid)


def table(seen: Seen, seed: int) -> str:
    """What came of it, as a table."""
    back = sorted(seen.back)
    rows = [
        ("the keyring's daemon ended", f"{sum(seen.blows.values())} times"),
        *((f"· {blow.value}", str(count)) for blow, count in seen.blows.items()),
        ("· with a grant on its way to the keyring", str(seen.unsettled)),
        ("rotations meanwhile", str(seen.rotations)),
        ("the newest grant rests in the keyring at the end", _yes(seen.settled)),
        ("a freshd started anew refreshes with it", _yes(seen.goes_on)),
        ("freshd is the same process", _yes(seen.same_process)),
        ("spent uses, doubtful replays", f"{seen.spent_uses}, {seen.doubtful_replays}"),
        ("reads, reads without a token", f"{seen.reads}, {len(seen.gaps)}"),
        ("slowest read", f"{seen.slowest * 1000:.0f} ms"),
        ("from the keyring's return to a grant at rest", f"p50 {statistics.median(back):.1f} s, max {back[-1]:.1f} s"),
        ("keyring.unsettled, bypassed, settled", ", ".join(str(seen.told[name]) for name in _ALERTS)),
        ("alerts of the keyring left open", str(seen.left_open)),
    ]
    lines = [f"`{PROGRAM}`, seed {seed}.", "", "| what | seen |", "|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {found} |" for what, found in rows)]) + "\n"


_ALERTS: Final = ("keyring.unsettled", "keyring.bypassed", "keyring.settled")


def _yes(flag: bool) -> str:
    return "yes" if flag else "NO"


def failures(seen: Seen) -> list[str]:
    """What must not be."""
    checks = {
        "the newest grant does not rest in the keyring": not seen.settled,
        "a new freshd cannot refresh": not seen.goes_on,
        "freshd ended": not seen.same_process,
        "a spent token was presented": seen.spent_uses + seen.doubtful_replays > 0,
        "readers went without": bool(seen.gaps),
        "an alert was left open": seen.left_open > 0,
    }
    return [what for what, is_so in checks.items() if is_so]


def main() -> int:
    """Print the table; 1 where something was lost."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    seen = run(asked.kills, seed)
    text = f"# The keyring's daemon killed while freshd rotates\n\n{time.strftime('%Y-%m-%d')}, {table(seen, seed)}"
    print(text)
    for line in Counter(seen.gaps).most_common(5):
        print(line, file=sys.stderr)
    for what in (wrong := failures(seen)):
        print(f"WRONG: {what}", file=sys.stderr)
    if asked.record:
        RESULTS.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
