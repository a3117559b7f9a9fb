"""One trial: an account of its own, one kill, one restart, one fate.

victim up → token imported and refreshed once → quiet: count → the exchange to be killed → SIGKILL
            (neither, where the exchange is the enrolment; `near` has the exchange once more first, unharmed)
→ server quiet: count, and copy the journal → the plain daemon → it refreshes, or parks → count again
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.crash import stamps as marks
from tests.crash.fates import FORBIDDEN, Commit, Evidence, Fate, Kept, Left, judge
from tests.crash.revival import LOOK_SECONDS, Revival, patiently
from tests.crash.scene import ACCOUNT, Gone, Process, Scene, Told
from tests.crash.services import Page, Service
from tests.crash.spec import Spec
from tests.crash.stamps import Passage, Stamp, Window

QUIET_SECONDS: Final = 0.05
"""What a dead process had sent lies in an idle server's hands within a millisecond; this is ample."""
SEE_SECONDS: Final = 0.0001
SPIN_SECONDS: Final = 0.0005
DIE_SECONDS: Final = 20.0
TRIES: Final = 3
"""How often a trial is begun that does not get to its kill; after the kill there is no second one."""
Generations = Mapping[str, int]


class Unsettled(RuntimeError):
    """The service did not come to rest after a kill: nothing can be told, and nothing is excused."""


@dataclass(frozen=True, slots=True)
class Struck:
    """The moment of a kill, in microseconds since the deed was asked for, and since its point 3 (None before that).

    last  the newest mark since then
    """

    asked: float
    intent: float | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    struck    what the killed deed had come to by the kill; None where a mark or a start was waited for, and no deed
    rehearsed what a deed came to that nobody killed, just before
    ended     how the account stood at the end, with the code of its parking
    takes     how often it was begun until it got to its kill
    folder    what is left of it where it needs looking at
    """

    spec: Spec
    fate: Fate
    evidence: Evidence
    windows: tuple[Window, ...]
    struck: Struck | None
    rehearsed: Passage | None
    ended: str
    spent_uses: int
    doubtful_replays: int
    breaches: int
    seconds: float
    folder: Path | None
    takes: int = 1


def run(spec: Spec, service: Service, keyring_env: Mapping[str, str] | None = None, *, keep: bool = False) -> Result:
    """Do one trial.  Raises Gone or Told where it did not even get to its kill (`keep`: leave its folder), Unsettled
    after it; all else that happens after the kill is a result.
    """
    began = time.monotonic()
    with Scene(spec.placement, keyring_env) as scene:
        label = f"{spec.placement}-{spec.kind}-{spec.number}"
        try:
            return _Trial(spec, service, scene, label).run(began)
        except (Gone, Told) as error:
            scene.keep = keep
            raise type(error)(f"{error}; its folder is {scene.folder}" if keep else str(error)) from None


def tried(spec: Spec, service: Service, keyring_env: Mapping[str, str] | None = None) -> Result:
    """The same, begun again where it does not get to its kill: a busy machine."""
    for take in range(1, TRIES):
        with contextlib.suppress(Gone, Told):
            return replace(run(spec, service, keyring_env), takes=take)
    return replace(run(spec, service, keyring_env, keep=True), takes=TRIES)


class _Trial:
    def __init__(self, spec: Spec, service: Service, scene: Scene, label: str) -> None:
        self._spec, self._service, self._scene, self._label = spec, service, scene, label
        self._deed = service.deed(label)
        self._revival = Revival(service.ways, self._deed)
        self._asked: list[int] = []

    def run(self, began: float) -> Result:
        scene, spec = self._scene, self._spec
        secrets = self._service.secrets(self._label)
        scene.configure(self._service.accounts(ACCOUNT, self._label, scene.folder))
        victim = self._up(secrets)
        before, base = self._count(victim)
        scene.arm()
        killed_ns = self._kill(victim)
        self._service.delay(self._label, 0, 0)
        page, kept, stamps = self._quiet(), scene.kept(), scene.stamps()
        agrees = self._agrees(before, kept)
        left = Left(page.commits, base + kept.generation - before[ACCOUNT] + kept.escrow, kept)
        self._vouch(left)
        successor = scene.daemon()
        try:
            lives, ended = self._revival.settle(successor)
        except (Gone, Told) as error:
            lives, ended = False, f"not up again: {error}"
        final = self._service.page(self._label)
        successor.kill()
        since = [one for one in (*final.commits, *final.others) if one.received_ns > successor.started_ns]
        evidence = Evidence(
            before[ACCOUNT], base, kept, page.commits, killed_ns, marks.last_point(stamps),
            marks.is_in_air(stamps, killed_ns), lives, self._service.ways.heals,
            self._is_restored(left, base, since), agrees, self._service.ways.spends,
        )  # fmt: skip
        fate = self._checked(judge(evidence), evidence, final, since)
        scene.keep = fate in FORBIDDEN or final.breaches > 0
        windows, counts = marks.windows(stamps, page.commits), (final.spent_uses, final.doubtful_replays)
        moments = self._struck(stamps, killed_ns), self._rehearsed(stamps, windows)
        folder = scene.folder if scene.keep else None
        seconds = time.monotonic() - began
        return Result(spec, fate, evidence, windows, *moments, ended, *counts, final.breaches, seconds, folder)

    # -- up to the kill ---------------------------------------------------------------------------------------------

    def _up(self, secrets: Mapping[str, str]) -> Process:
        """The victim, past its account's first refresh; for a boot trial a daemon that was stopped in between."""
        scene, spec, ways = self._scene, self._spec, self._service.ways
        dies_at = spec.mark if spec.kind in ("point", "again") else None
        first = scene.daemon() if spec.kind == "boot" else scene.victim(dies_at, spec.passage)
        first.wait_ready()
        if ways.is_new:
            return first
        if secrets:
            patiently(lambda: bool(first.operate("import", ways.head or ACCOUNT, secrets=secrets)))
        if ways.stocks:
            patiently(lambda: _is_at_rest(first.view(), 1))
            patiently(lambda: bool(first.operate("refresh")))
        patiently(lambda: _is_at_rest(first.view(), ways.first))
        for name in ways.fellows:
            patiently(lambda name=name: _is_at_rest(first.view(name), 1))  # type: ignore[misc]
        self._rest(first)
        if spec.kind == "near":
            self._rehearse(first)
        return first

    def _rest(self, victim: Process) -> None:
        """Until the grant is where it belongs, and the account's pace allows another exchange."""
        for name in (ACCOUNT, *self._service.ways.fellows) if self._spec.settled else ():
            patiently(lambda name=name: bool(victim.view(name)["settled"]))  # type: ignore[misc]
        time.sleep(self._service.ways.rest)

    def _rehearse(self, victim: Process) -> None:
        """The deed once, and nobody is killed: it tells how long the windows are that the next one is killed in."""
        generation = int(victim.view()["generation"])

        def is_done() -> bool:
            self._asked = [time.monotonic_ns()]
            self._deed.do(victim)
            return True

        patiently(is_done)
        patiently(lambda: _is_at_rest(victim.view(), generation + 1))
        self._rest(victim)

    def _count(self, victim: Process) -> tuple[Generations, int]:
        """Durable generations, and commits of the service, at a moment at which neither changed."""
        names = (ACCOUNT, *self._service.ways.fellows)
        found: list[tuple[Generations, int]] = []

        def is_still() -> bool:
            before = {name: self._scene.kept(name).generation for name in names}
            page = self._service.page(self._label)
            found.append((before, len(page.commits)))
            is_quiet = not page.pending and (self._service.ways.is_new or victim.view()["phase"] == "live")
            return is_quiet and before == {name: self._scene.kept(name).generation for name in names}

        patiently(is_still)
        return found[-1]

    def _kill(self, victim: Process) -> int:
        spec = self._spec
        self._service.delay(self._label, spec.before, spec.after)
        match spec.kind:
            case "point":
                return self._dies(victim)
            case "around" | "held":
                self._asked.append(time.monotonic_ns())
                with self._deed.begin(victim):
                    return _at(time.monotonic() + spec.instant, victim)
            case "cycle":
                return _at(time.monotonic() + spec.instant, victim)
            case "boot":
                victim.stop()
                return _at(time.monotonic() + spec.instant, self._scene.victim())
            case "near":
                self._asked.append(time.monotonic_ns())
                with self._deed.begin(victim):
                    return self._near(victim)
            case "again":
                self._dies(victim)
                return _at(time.monotonic() + spec.instant, self._scene.victim())

    def _dies(self, victim: Process) -> int:
        """Ask until the victim has died at its mark; the moment of its last stamp is that of the kill."""
        give_up_at = time.monotonic() + DIE_SECONDS
        while victim.runs and time.monotonic() < give_up_at:
            with contextlib.suppress(Gone, Told):
                self._deed.do(victim)
            victim.wait(LOOK_SECONDS)
        if victim.runs:
            raise Gone("the victim does not come to its mark")
        return self._scene.stamps()[-1].at_ns

    def _near(self, victim: Process) -> int:
        """Wait for the mark; seeing it takes a fraction of a millisecond, which only adds to the dice."""
        seen = self._scene.stamps_file
        size = seen.stat().st_size if seen.exists() else 0
        give_up_at = time.monotonic() + DIE_SECONDS
        while not seen.exists() or f" {self._spec.mark}\n" not in seen.read_text()[size:]:
            if time.monotonic() > give_up_at:
                raise Gone("the victim does not come to its mark")
            time.sleep(SEE_SECONDS)
        return _at(time.monotonic() + self._spec.instant, victim)

    # -- after it ---------------------------------------------------------------------------------------------------

    def _quiet(self) -> Page:
        time.sleep(QUIET_SECONDS)
        pages: list[Page] = []

        def is_quiet() -> bool:
            pages.append(self._service.page(self._label))
            return not pages[-1].pending

        try:
            patiently(is_quiet)
        except Gone:
            raise Unsettled(f"{self._label}: the service does not come to rest") from None
        return pages[-1]

    def _struck(self, stamps: Sequence[Stamp], killed_ns: int) -> Struck | None:
        if not self._asked:
            return None
        asked = self._asked[-1]
        intent = marks.since(stamps, asked, marks.INTENDED)
        last = next((stamp.mark for stamp in reversed(stamps) if stamp.at_ns >= asked), None)
        return Struck((killed_ns - asked) / 1000, None if intent is None else (killed_ns - intent) / 1000, last)

    def _rehearsed(self, stamps: Sequence[Stamp], windows: Sequence[Window]) -> Passage | None:
        if len(self._asked) < 2:
            return None
        return marks.passage(stamps, windows, *self._asked)

    def _agrees(self, before: Generations, kept: Kept) -> bool:
        """Whether the journal has of every answer all accounts' part, or none's."""
        fellows = {name: self._scene.kept(name).generation - before[name] for name in self._service.ways.fellows}
        return set(fellows.values()) <= {kept.generation - before[ACCOUNT]}

    def _vouch(self, left: Left) -> None:
        """What the journal proves to be kept must never be presented by its predecessor again."""
        self._service.vouch(one.successor for one in left.commits[: left.saved] if one.successor)
        self._service.give_up(self._label, left)

    def _is_restored(self, left: Left, base: int, since: Sequence[Commit]) -> bool | None:
        """What an operator had to help to although the answer was there is not restored."""
        if self._revival.is_helped and left.saved > base:
            return False
        return self._service.is_restored(self._label, left, self._revival.shown, since)

    def _checked(self, fate: Fate, evidence: Evidence, final: Page, since: Sequence[Commit]) -> Fate:
        """The server's last word: what lives has rotated since the restart; what was counted has not grown."""
        fresh = sum(one in final.commits for one in since)
        late = len(final.commits) - fresh - len(evidence.commits)
        return Fate.ODD if late or (evidence.lives and not since) else fate


def _is_at_rest(view: Mapping[str, Any], generation: int) -> bool:
    """Whether nothing is under way or missing, and the account has got so far."""
    is_full = all(view.get("stock", {}).values())
    return view["generation"] >= generation and view["phase"] == "live" and is_full


def _at(moment: float, victim: Process) -> int:
    """SIGKILL at that second of the monotonic clock."""
    while (left := moment - time.monotonic()) > SPIN_SECONDS:
        time.sleep(left - SPIN_SECONDS)
    while time.monotonic() < moment:
        pass
    return victim.kill()
