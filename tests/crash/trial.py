"""One trial: an account of its own, one kill, one restart, one fate.

victim up → token imported and refreshed once → quiet: count → the exchange to be killed → SIGKILL
            (or neither, where the exchange is the enrolment)
→ server quiet: count, and copy the journal → the plain daemon → it refreshes, or parks → count again
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.crash import stamps as marks
from tests.crash.fates import FORBIDDEN, Commit, Evidence, Fate, Kept, Left, judge
from tests.crash.scene import ACCOUNT, Gone, Placement, Process, Scene, Told
from tests.crash.services import ACCESS_SECONDS, Page, Service
from tests.crash.stamps import Window

Kind = Literal["point", "around", "held", "cycle", "boot", "near", "again"]
SETTLE_SECONDS: Final = 4.0 * ACCESS_SECONDS + 10
QUIET_SECONDS: Final = 0.05
"""What a dead process had sent lies in an idle server's hands within a millisecond; this is ample."""
LOOK_SECONDS: Final = 0.01
SEE_SECONDS: Final = 0.0001
SPIN_SECONDS: Final = 0.0005
DIE_SECONDS: Final = 20.0
PATIENT_SECONDS: Final = 0.5
"""How long an enrolment that was killed is looked at before an operator begins it again."""
TRIES: Final = 3
"""How often a trial is begun that does not get to its kill; after the kill there is no second one."""
Generations = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be done; drawn from the seed.

    kind     point: at a mark · around: an instant after a refresh was asked for · held: the same with a service that
             holds requests and answers · cycle: anywhere between two refreshes · boot: anywhere after a start ·
             near: soon after a mark · again: at a mark, and then anywhere after the start that has to make good for it
    instant  seconds after the request, the mark, the quiet moment or the start
    before   seconds the service holds a request; after: an answer
    settled  with the OS keyring: wait until the grant rests there before going on
    """

    number: int
    service: str
    placement: Placement
    kind: Kind
    mark: str | None = None
    passage: int = 2
    instant: float = 0.0
    before: float = 0.0
    after: float = 0.0
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.  `ended`: how the account stood at the end, with the code of its parking."""

    spec: Spec
    fate: Fate
    evidence: Evidence
    windows: tuple[Window, ...]
    ended: str
    spent_uses: int
    doubtful_replays: int
    breaches: int
    seconds: float


def run(spec: Spec, service: Service, keyring_env: Mapping[str, str] | None = None) -> Result:
    """Do one trial.  Raises Gone or Told where it did not even get to its kill; after the kill nothing is excused."""
    began = time.monotonic()
    with Scene(spec.placement, keyring_env) as scene:
        label = f"{spec.placement}-{spec.kind}-{spec.number}"
        return _Trial(spec, service, scene, label).run(began)


def tried(spec: Spec, service: Service, keyring_env: Mapping[str, str] | None = None) -> Result:
    """The same, begun again where it does not get to its kill: a busy machine."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Gone, Told):
            return run(spec, service, keyring_env)
    return run(spec, service, keyring_env)


class _Trial:
    def __init__(self, spec: Spec, service: Service, scene: Scene, label: str) -> None:
        self._spec, self._service, self._scene, self._label = spec, service, scene, label
        self._shown: str | None = None
        self._is_helped = False
        self._idle_since: float | None = None
        self._deed = service.deed(label)

    def run(self, began: float) -> Result:
        scene, spec = self._scene, self._spec
        secrets = self._service.secrets(self._label)
        scene.configure(self._service.accounts(ACCOUNT, self._label, scene.folder))
        victim = self._up(secrets)
        before, base = self._count(victim)
        killed_ns = self._kill(victim)
        self._service.delay(self._label, 0, 0)
        page, kept, stamps = self._quiet(), scene.kept(), scene.stamps()
        agrees = self._agrees(before, kept)
        left = Left(page.commits, base + kept.generation - before[ACCOUNT] + kept.escrow, kept)
        self._vouch(left)
        successor = scene.daemon()
        try:
            lives, ended = self._settle(successor)
        except Gone as gone:
            lives, ended = False, f"not up again: {gone}"
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
        return Result(spec, fate, evidence, windows, ended, *counts, final.breaches, time.monotonic() - began)

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
            _patiently(lambda: bool(first.operate("import", ways.head or ACCOUNT, secrets=secrets)))
        if ways.stocks:
            _patiently(lambda: _is_at_rest(first.view(), 1))
            _patiently(lambda: bool(first.operate("refresh")))
        _patiently(lambda: _is_at_rest(first.view(), ways.first))
        for name in ways.fellows:
            _patiently(lambda name=name: _is_at_rest(first.view(name), 1))  # type: ignore[misc]
        if spec.settled:
            for name in (ACCOUNT, *ways.fellows):
                _patiently(lambda name=name: bool(first.view(name)["settled"]))  # type: ignore[misc]
        time.sleep(ways.rest)
        return first

    def _count(self, victim: Process) -> tuple[Generations, int]:
        """Generations, and commits of the service, at a moment at which neither changed."""
        names = (ACCOUNT, *self._service.ways.fellows)
        found: list[tuple[Generations, int]] = []

        def is_still() -> bool:
            before = {name: int(victim.view(name)["generation"]) for name in names}
            page = self._service.page(self._label)
            found.append((before, len(page.commits)))
            is_quiet = not page.pending and (self._service.ways.is_new or victim.view()["phase"] == "live")
            return is_quiet and before == {name: int(victim.view(name)["generation"]) for name in names}

        _patiently(is_still)
        return found[-1]

    def _kill(self, victim: Process) -> int:
        spec = self._spec
        self._service.delay(self._label, spec.before, spec.after)
        match spec.kind:
            case "point":
                return self._dies(victim)
            case "around" | "held":
                with self._deed.begin(victim):
                    return _at(time.monotonic() + spec.instant, victim)
            case "cycle":
                return _at(time.monotonic() + spec.instant, victim)
            case "boot":
                victim.stop()
                return _at(time.monotonic() + spec.instant, self._scene.victim())
            case "near":
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

        _patiently(is_quiet)
        return pages[-1]

    def _agrees(self, before: Generations, kept: Kept) -> bool:
        """Whether the journal has of every answer all accounts' part, or none's."""
        fellows = {name: self._scene.kept(name).generation - before[name] for name in self._service.ways.fellows}
        return set(fellows.values()) <= {kept.generation - before[ACCOUNT]}

    def _vouch(self, left: Left) -> None:
        """What the journal proves to be kept must never be presented by its predecessor again."""
        self._service.vouch(one.successor for one in left.commits[: left.saved] if one.successor)
        self._service.give_up(self._label, left)

    def _settle(self, daemon: Process) -> tuple[bool, str]:
        """Whether the account lives: it was refreshed once more.  And how it stands."""
        daemon.wait_ready()
        give_up_at = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up_at:
            view = daemon.view()
            if self._helps(daemon, view):
                continue
            if view["phase"] == "parked":
                self._read(daemon)
                return False, f"parked: {view['reason']}"
            if view["phase"] == "live":
                self._read(daemon)
                with contextlib.suppress(Told):
                    daemon.operate("refresh")
                    return True, "live"
            time.sleep(LOOK_SECONDS)
        self._read(daemon)
        return False, f"undecided: {daemon.view()['phase']}"

    def _helps(self, daemon: Process, view: Mapping[str, Any]) -> bool:
        """Whether an operator begins an enrolment again: one that does not go on by itself for a while."""
        is_stuck = view["phase"] in ("vacant", "live", "parked") and view["usable_until"] is None
        if not self._service.ways.is_new or not is_stuck:
            self._idle_since = None
            return False
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since < PATIENT_SECONDS:
            time.sleep(LOOK_SECONDS)
            return True
        self._is_helped, self._idle_since = True, None
        with contextlib.suppress(Told):
            self._deed.do(daemon)
        return True

    def _is_restored(self, left: Left, base: int, since: Sequence[Commit]) -> bool | None:
        """What an operator had to help to although the answer was there is not restored."""
        if self._is_helped and left.saved > base:
            return False
        return self._service.is_restored(self._label, left, self._shown, since)

    def _read(self, daemon: Process) -> None:
        """The lease that readers get once the account is well again, before it is renewed."""
        if self._shown is None and self._service.ways.shows:
            with contextlib.suppress(Told):
                self._shown = str(daemon.ask("GET", f"/v1/tokens/{ACCOUNT}?wait=0")["fingerprint"])

    def _checked(self, fate: Fate, evidence: Evidence, final: Page, since: Sequence[Commit]) -> Fate:
        """The server's last word: what lives has rotated since the restart; what was counted has not grown."""
        fresh = sum(one in final.commits for one in since)
        late = len(final.commits) - fresh - len(evidence.commits)
        return Fate.ODD if late or (evidence.lives and not since) else fate


def _is_at_rest(view: Mapping[str, Any], generation: int) -> bool:
    """Whether nothing is under way or missing, and the account has got so far."""
    is_full = all(view.get("stock", {}).values())
    return view["generation"] >= generation and view["phase"] == "live" and is_full


def _patiently(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(Told):
            if true():
                return
        time.sleep(LOOK_SECONDS)
    raise Gone("waited in vain")


def _at(moment: float, victim: Process) -> int:
    """SIGKILL at that second of the monotonic clock."""
    while (left := moment - time.monotonic()) > SPIN_SECONDS:
        time.sleep(left - SPIN_SECONDS)
    while time.monotonic() < moment:
        pass
    return victim.kill()
