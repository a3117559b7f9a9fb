"""Random lives of one account, for the lifecycle's tests: plans, events, and a small model of vault and service.

`Life` feeds events to `step` and keeps what the world outside would know: which flight is in the air, what the journal
holds, how often the refresh secret was presented since somebody last knew what became of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from freshd.core import lifecycle
from freshd.core.contract import Contract, Kills, Reuse
from freshd.core.effects import Effect, Finish, Fly, Probe, Publish, Tell, Wake, Withdraw
from freshd.core.happenings import (
    Accepted,
    Booted,
    Broke,
    Committed,
    Demanded,
    Doubted,
    Due,
    Enrolling,
    Forced,
    Forgotten,
    Happening,
    Held,
    HostBack,
    KinChanged,
    Needed,
    Outdated,
    Paused,
    Probed,
    Reconfigured,
    Refusal,
    Refused,
    Relieved,
    Resumed,
    Retired,
    SaveFailed,
    Settled,
    Unable,
    Unsent,
)
from freshd.core.ladder import Rung
from freshd.core.model import Binding, Intent, Lease, Moment, Secret, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.settings import Margins
from freshd.core.state import Phase, Plan, State

BOUND = Binding("oauth2", "https://service.example", "client")
ELSEWHERE = Binding("oauth2", "https://other.example", "client")
REFRESH = Rung("refresh", frozenset({"refresh_token"}))
ISSUE = Rung("issue", spends=False)
LOGIN = Rung("login", frozenset({"key"}), budgeted=True)
PERSON = Rung("authorize", person=True)
LADDERS = ((REFRESH, PERSON), (REFRESH, ISSUE), (REFRESH, LOGIN, PERSON), (ISSUE,))
DEFAULT = Contract()
SETTLING = {Remedy.CLIMB, Remedy.RESET, Remedy.PERSON}


def plan_of(
    ladder: tuple[Rung, ...] = LADDERS[0], contract: Contract = DEFAULT, draw: float = 0.0, binding: Binding = BOUND
) -> Plan:
    return Plan("mail", ladder, contract, Margins(), binding, draw)


def strict(kills: Kills = Kills.LINEAGE) -> Contract:
    return Contract(Reuse.STRICT, kills=kills)


def lease_of(generation: int, sent: Moment, valid_for: float = 3600.0, token: str | None = None) -> Lease:
    return Lease("mail", generation, Secret(token or f"at-{generation}"), sent, valid_for)


def standing_of(generation: int, sent: Moment, valid_for: float = 3600.0, lineage: str = "one") -> Standing:
    return Standing(
        "mail", generation, lineage, BOUND, frozenset({"refresh_token", "key"}), lease_of(generation, sent, valid_for),
        obtained=sent, enrolled=sent,
    )  # fmt: skip


class Life:
    """One account over any number of boots.  After every step its invariants have been checked."""

    def __init__(self, plan: Plan, standing: Standing | None = None, boot: float = 1000.0) -> None:
        self.plan = plan
        self.now = Moment(1_700_000_000.0, boot, "boot-0")
        self.state = lifecycle.vacant("mail")
        self.journal = standing or Standing("mail")
        self.air: Fly | Finish | None = None
        self.before_flight: Intent | None = None
        self.generations = self.journal.generation
        self.shown: Lease | None = None
        self.probe: Probe | None = None
        self.told: list[str] = []
        self.alarm: float | None = None
        self.presented_unsure = 0
        self.boots = 0
        self.step(Booted(self.journal, 0.0))

    # -- the world's side ------------------------------------------------------------------------------------------

    def step(self, event: Happening) -> list[Effect]:
        before = self.state
        self.state, effects = lifecycle.step(self.plan, before, event, self.now)
        self._check(before, event, effects)
        for effect in effects:
            self._take(effect)
        self._check_alive()
        return effects

    def pass_time(self, seconds: float, wall_step: float = 0.0) -> None:
        self.now = dataclasses.replace(self.now, boot=self.now.boot + seconds, wall=self.now.wall + seconds + wall_step)

    def wait_for_alarm(self) -> list[Effect]:
        if self.alarm is None:
            return []
        self.pass_time(max(0.0, self.alarm - self.now.boot))
        return self.step(Due())

    def crash(self, wall_step: float = 0.0, *, reboot: bool = False) -> list[Effect]:
        """The process ends; what the journal knows is all that is left."""
        self.presented_unsure += isinstance(self.air, Fly) and self.air.rung == "refresh"
        self.air, self.probe, self.shown = None, None, None
        self.boots += 1
        if reboot:
            self.now = Moment(self.now.wall + wall_step, 5.0, f"boot-{self.boots}")
        self.state = lifecycle.vacant("mail")
        return self.step(Booted(self.journal, 0.0))

    @property
    def flying(self) -> Fly:
        assert isinstance(self.air, Fly)
        return self.air

    def commit(self, *, valid_for: float = 3600.0, token: str | None = None) -> list[Effect]:
        """The flight in the air is answered, durable and read back."""
        rung = self._rung()
        lineage = self.flying.candidate if isinstance(self.air, Fly) and self.flying.candidate else "one"
        if rung is not None and not rung.spends:
            lease = lease_of(self.journal.generation + 1, self.now, valid_for, token or f"free-{self.state.attempt}")
            self.journal = dataclasses.replace(self.journal, lease=lease)
        else:
            self.generations += 1
            fresh = standing_of(self.generations, self.now, valid_for, lineage)
            lease = lease_of(self.generations, self.now, valid_for, token)
            self.journal = dataclasses.replace(fresh, lease=lease)
            self.presented_unsure = 0
        return self._end(Committed(self.state.attempt, self.journal))

    def lose(self) -> list[Effect]:
        """Nobody knows what came of the call."""
        rung = self._rung()
        if rung is not None and not rung.spends:
            return self._end(Unsent(self.state.attempt, "lost"))
        intent = self.journal.intent
        assert intent is not None
        self.presented_unsure += intent.rung == "refresh"
        return self._end(Doubted(self.state.attempt, "lost", intent.doubted or intent.sent, intent.replays))

    def reject(self, remedy: Remedy, *, known: bool = True, code: str = "no") -> list[Effect]:
        rung = self._rung()
        spends = rung is None or rung.spends
        standing = None
        if spends:
            self.journal = self._after_refusal(remedy)
            standing = self.journal
        if self.state.rung == "refresh" and remedy in SETTLING:
            self.presented_unsure = 0
        return self._end(Refusal(self.state.attempt, Rejected(code, remedy, known=known), standing))

    def fail(self, event: Happening) -> list[Effect]:
        """An ending before anything was sent."""
        self._put_back()
        return self._end(event)

    # -- the journal's side ----------------------------------------------------------------------------------------

    def _after_refusal(self, remedy: Remedy) -> Standing:
        intent = self.journal.intent
        if intent is None:
            return self.journal
        if remedy in SETTLING:
            return dataclasses.replace(self.journal, intent=_beneath(intent), escrowed=False)
        self._put_back()
        return self.journal

    def _put_back(self) -> None:
        self.journal = dataclasses.replace(self.journal, intent=self.before_flight, escrowed=False)

    def _rung(self) -> Rung | None:
        return next((rung for rung in self.plan.ladder if rung.name == self.state.rung), None)

    def _end(self, event: Happening) -> list[Effect]:
        self.air = None
        return self.step(event)

    def _take(self, effect: Effect) -> None:
        match effect:
            case Fly():
                self._depart(effect)
            case Finish():
                assert self.air is None, "two flights"
                self.air = effect
            case Wake(at):
                self.alarm = at
            case Publish(lease):
                self._show(lease)
            case Withdraw():
                self.shown = None
            case Probe():
                self.probe = effect
            case Tell(event):
                self.told.append(event.name)
            case _:
                pass

    def _depart(self, fly: Fly) -> None:
        assert self.air is None, "two flights"
        self.air, self.before_flight = fly, self.journal.intent
        rung = next(one for one in (*self.plan.ladder, PERSON) if one.name == fly.rung)
        if rung.spends:
            intent = Intent(
                f"f{fly.attempt}", "mail", fly.rung, self.state.standing.lineage, self.state.standing.generation,
                self.now, replays=fly.replays, doubted=fly.doubted, candidate=fly.candidate, earlier=fly.earlier,
            )  # fmt: skip
            self.journal = dataclasses.replace(self.journal, intent=intent)

    def _show(self, lease: Lease) -> None:
        if self.shown is not None:
            assert lease.generation >= self.shown.generation, "older lease"
            if lease.generation == self.shown.generation and lease.sent.boot_id == self.shown.sent.boot_id:
                assert lease.sent.boot >= self.shown.sent.boot, "older lease"
        self.shown = lease

    # -- what holds after every step --------------------------------------------------------------------------------

    def _check(self, before: State, event: Happening, effects: list[Effect]) -> None:
        wakes = [effect for effect in effects if isinstance(effect, Wake)]
        flights = [effect for effect in effects if isinstance(effect, Fly | Finish)]
        assert len(wakes) == 1, "exactly one alarm is decided upon"
        assert len(flights) <= 1, "one flight"
        assert not flights or wakes[0].at is None, "a flight in the air has no alarm"
        if self.state.retired or (self.state.paused and not isinstance(event, Enrolling)):
            assert not any(isinstance(effect, Fly) for effect in effects), "paused and retired accounts never fly"
        if not isinstance(event, Booted | Committed | Refusal | Outdated | Relieved | Settled | Forgotten):
            assert self.state.standing == before.standing, "secrets are only touched by who names them (I7)"
        for effect in flights:
            if isinstance(effect, Fly):
                self._check_departure(effect)
        if self.state.phase in (Phase.LIVE, Phase.VACANT):
            assert self.state.doubt is None, "doubt forgotten"

    def _check_departure(self, fly: Fly) -> None:
        """I5: a secret of which nobody knows whether it was spent leaves only as a counted replay."""
        if fly.rung != "refresh":
            return
        doubt = self.state.doubt
        if self.presented_unsure and self.plan.contract.reuse is not Reuse.REUSABLE:
            assert doubt is not None, "a doubtful secret left as if nothing had happened"
            assert fly.replays >= 1, "uncounted"
        if fly.before is not None:
            assert doubt is not None
            assert doubt.sent.boot_id == self.now.boot_id, "grace is over after another boot"
            assert self.now.boot < fly.before <= doubt.sent.boot + self.plan.contract.grace
        elif doubt is not None and self.plan.contract.kills is Kills.MORE:
            assert self.plan.contract.reuse is Reuse.REUSABLE or doubt.spent is False, "kills more: never again"

    def _check_alive(self) -> None:
        """Whoever is not in the air has an alarm, or somebody was told why not."""
        state = self.state
        if lifecycle.is_in_air(state):
            assert self.air is not None, "in the air without a flight"
            return
        if self.alarm is not None or state.paused or state.retired or not state.booted:
            return
        if state.phase is Phase.PARKED:
            assert state.parked is not None
            assert state.parked.until is None
            return
        assert not any(not rung.person and rung.needs <= state.standing.held for rung in self.plan.ladder), "forgotten"


def _beneath(intent: Intent) -> Intent | None:
    if not intent.earlier:
        return None
    last = intent.earlier[-1]
    return dataclasses.replace(
        intent, rung=last.rung, sent=last.sent, replays=last.replays, doubted=None, candidate=None,
        earlier=intent.earlier[:-1],
    )  # fmt: skip


def endings(attempt: int, standing: Standing) -> Iterable[Happening]:
    """One ending of each kind."""
    now = Moment(0.0, 0.0, "boot-0")
    yield Committed(attempt, standing)
    yield Refusal(attempt, Rejected("no", Remedy.PERSON))
    yield Doubted(attempt, "lost", now, 0)
    yield Unsent(attempt, "no route")
    yield Held(attempt, 1.0)
    yield Outdated(attempt, standing)
    yield Unable(attempt, "store", "disk full", "make room")
    yield Broke(attempt, "KeyError")
    yield SaveFailed(attempt, "disk full")


def others(standing: Standing) -> Iterable[Happening]:
    """One event of each other kind."""
    name = "" if standing.lease is None else standing.lease.fingerprint
    yield from (
        Booted(standing, 0.0), Due(), HostBack(), Demanded(60.0), Forced(), Refused(name, dead=True),
        Accepted(name), Probed(name, alive=True), Enrolling("authorize", "two"), Paused(), Resumed(), Retired(),
        Reconfigured(), Settled(settled=False), Forgotten(), Relieved(standing), Needed(),
        KinChanged("head", frozenset({"key"}), None), KinChanged("head", frozenset(), "no", renewed=True),
    )  # fmt: skip
