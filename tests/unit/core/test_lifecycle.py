"""The life of an account: every phase takes every event, and what must never happen does not, whatever the order."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshd.core import happenings, lifecycle
from freshd.core.contract import Contract, Kills, Reuse
from freshd.core.effects import Effect, Finish, Fly, Probe, Publish, SaveAgain, Tell
from freshd.core.happenings import (
    Accepted,
    Booted,
    Broke,
    Demanded,
    Due,
    Enrolling,
    Forced,
    Forgotten,
    Held,
    HostBack,
    Outdated,
    Paused,
    Probed,
    Reconfigured,
    Refused,
    Resumed,
    Retired,
    SaveFailed,
    Settled,
    Unable,
    Unsent,
)
from freshd.core.ladder import Rung
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.state import Doubt, Parked, Phase, Plan, State
from tests.unit.core.lives import (
    BOUND,
    DEFAULT,
    ELSEWHERE,
    ISSUE,
    LADDERS,
    LOGIN,
    PERSON,
    REFRESH,
    Life,
    endings,
    others,
    plan_of,
    standing_of,
    strict,
)

NOW = Moment(1_700_000_000.0, 1000.0, "boot-0")
HOUR = 3600.0
REMEDIES = list(Remedy)


def live(contract: Contract = DEFAULT, ladder: tuple[Rung, ...] = LADDERS[0], valid_for: float = HOUR) -> Life:
    """An account whose lease was obtained a moment ago."""
    return Life(plan_of(ladder, contract), standing_of(1, NOW, valid_for))


def doubtful(contract: Contract = DEFAULT, ladder: tuple[Rung, ...] = LADDERS[0]) -> Life:
    """An account whose refresh was sent by its alarm and lost."""
    life = live(contract, ladder)
    life.wait_for_alarm()
    life.lose()
    return life


def names(effects: list[Effect]) -> list[str]:
    return [effect.event.name for effect in effects if isinstance(effect, Tell)]


def flights(effects: list[Effect]) -> list[Fly]:
    return [effect for effect in effects if isinstance(effect, Fly)]


# -- totality -------------------------------------------------------------------------------------------------------


def test_the_table_has_a_handler_for_every_phase_and_every_event() -> None:
    events = {kind for part in typing.get_args(happenings.Happening) for kind in (typing.get_args(part) or (part,))}
    assert {(phase, event) for phase in Phase for event in events} == set(lifecycle.TABLE)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("contract", [Contract(), Contract(Reuse.GRACE, 30.0), Contract(Reuse.REUSABLE)])
def test_no_state_and_no_event_raises(phase: Phase, contract: Contract) -> None:
    """Also states that no life leads to: half of their parts missing."""
    for standing in (Standing("mail"), standing_of(3, NOW)):
        for doubt in (None, Doubt("refresh", NOW, "lost"), Doubt("gone", NOW, "lost", spent=True)):
            for parked in (None, Parked("x", Remedy.CONFIG, "y", NOW.boot)):
                state = State(phase, standing, doubt=doubt, parked=parked, booted=True, rung="refresh", attempt=4)
                for event in (*endings(4, standing), *endings(3, standing), *others(standing)):
                    lifecycle.step(plan_of(contract=contract), state, event, NOW)


# -- random lives ---------------------------------------------------------------------------------------------------

CONTRACTS = st.sampled_from(
    [
        strict(),
        strict(Kills.MORE),
        Contract(Reuse.STRICT, old_lease_life=0.0),
        Contract(Reuse.GRACE, grace=60.0),
        Contract(Reuse.GRACE, grace=60.0, kills=Kills.MORE),
        Contract(Reuse.REUSABLE),
        Contract(Reuse.STRICT, absolute_life=9000.0, idle_life=7200.0),
    ]
)
PLANS = st.builds(plan_of, st.sampled_from(LADDERS), CONTRACTS, st.floats(0, 1, exclude_max=True))
ACTS = st.sampled_from(
    [
        "alarm", "alarm", "alarm", "due", "time", "commit", "commit", "same token", "lose", "lose", "reject", "unknown",
        "not sent", "held", "unable", "broke", "outdated", "save failed", "demand", "force", "refuse", "probe", "enrol",
        "pause", "resume", "retire", "reconfigure", "settle", "crash", "reboot", "rebind", "forget", "late",
    ]
)  # fmt: skip


@given(PLANS, st.lists(st.tuples(ACTS, st.floats(0, 1)), max_size=60))
@settings(max_examples=300)
def test_I5_no_order_of_events_presents_a_doubtful_secret_uncounted_or_breaks_a_rule(
    plan: Plan, acts: list[tuple[str, float]]
) -> None:
    """What is checked after every step stands in `lives.Life`."""
    life = Life(plan, standing_of(1, NOW))
    for act, dice in acts:
        _ACTS[act](life, dice)


def _in_air(life: Life, act: typing.Callable[[], object]) -> None:
    if isinstance(life.air, Fly):
        act()
    elif isinstance(life.air, Finish):
        life.fail(Broke(life.state.attempt, "KeyError"))


def _reject(life: Life, dice: float) -> None:
    _in_air(life, lambda: life.reject(REMEDIES[int(dice * 0.999 * len(REMEDIES))]))


def _lose(life: Life, _dice: float) -> None:
    _in_air(life, life.lose)


def _refuse(life: Life, _dice: float) -> None:
    """A consumer's word alone spends nothing while in doubt, in the air or parked."""
    life.step(Due())
    phase, lease = life.state.phase, life.state.lease
    effects = life.step(Refused("" if lease is None else lease.fingerprint, dead=True))
    if phase in (Phase.DOUBTFUL, Phase.SPENDING, Phase.UNSAVED, Phase.PARKED):
        assert not flights(effects)


def _demand(life: Life, dice: float) -> None:
    life.step(Due())
    in_doubt = life.state.phase is Phase.DOUBTFUL
    effects = life.step(Demanded(dice * 2 * HOUR))
    rungs = {rung.name: rung for rung in life.plan.ladder}
    assert not in_doubt or not any(rungs[fly.rung].spends for fly in flights(effects))


def _probe(life: Life, dice: float) -> None:
    if life.probe is not None:
        probe, life.probe = life.probe, None
        alive = None if dice < 0.3 else dice < 0.6
        if alive is False and life.state.doubt is not None:
            life.presented_unsure = max(1, life.presented_unsure)
        life.step(Probed(probe.lease.fingerprint, alive, probe.attempt))


def _enrol(life: Life, dice: float) -> None:
    """An enrolment that fails leaves the old lineage and its doubt as they were."""
    before, busy = life.state, life.air is not None
    effects = life.step(Enrolling("authorize", f"two-{before.attempt}"))
    if busy or not any(fly.candidate for fly in flights(effects)):
        return
    if dice < 0.25:
        life.commit()
        return
    if dice < 0.5:
        life.lose()
    elif dice < 0.75:
        life.reject(Remedy.PERSON)
    else:
        life.fail(Unable(life.state.attempt, "store", "disk full", "make room"))
    assert life.state.standing.lineage == before.standing.lineage
    kept = None if life.state.doubt is None else life.state.doubt.stack
    assert kept == (None if before.doubt is None else before.doubt.stack)


def _crash(life: Life, *, reboot: bool, wall_step: float = 0.0) -> None:
    """No doubt is lost by a power cut."""
    resting, doubt = life.air is None, life.state.doubt
    life.crash(wall_step, reboot=reboot)
    if resting and doubt is not None:
        assert life.state.doubt is not None
        assert life.state.doubt.stack == doubt.stack


def _outdated(life: Life, _dice: float) -> None:
    """Another lineage was adopted meanwhile."""
    life.generations += 1
    life.journal = standing_of(life.generations, life.now, lineage="one")
    life.air, life.presented_unsure = None, 0
    life.step(Outdated(life.state.attempt, life.journal))


def _rebind(life: Life, dice: float) -> None:
    life.plan = dataclasses.replace(life.plan, binding=ELSEWHERE if dice < 0.5 else BOUND)
    effects = life.step(Reconfigured())
    assert life.plan.binding == BOUND or not life.state.standing.binding or not flights(effects)


def _forget(life: Life, _dice: float) -> None:
    if life.air is None:
        life.journal, life.generations, life.presented_unsure = Standing("mail"), 0, 0
        life.step(Forgotten())


def _late(life: Life, dice: float) -> None:
    """A late ending is told and changes nothing."""
    life.step(Due())
    before = life.state
    late = list(endings(before.attempt - 1, life.journal))
    effects = life.step(late[int(dice * 0.999 * len(late))])
    assert life.state == before
    assert names(effects) == ["flight.late"]


_ACTS: dict[str, typing.Callable[[Life, float], object]] = {
    "alarm": lambda life, _: life.wait_for_alarm(),
    "due": lambda life, _: life.step(Due()),
    "time": lambda life, dice: life.pass_time(dice * 5000.0, wall_step=(dice - 0.5) * 1e8),
    "commit": lambda life, dice: _in_air(life, lambda: life.commit(valid_for=60.0 + dice * 1e4)),
    "same token": lambda life, _: _in_air(life, lambda: life.commit(token="at-same")),
    "lose": _lose,
    "reject": _reject,
    "unknown": lambda life, _: _in_air(life, lambda: life.reject(Remedy.WAIT, known=False)),
    "not sent": lambda life, _: _in_air(life, lambda: life.fail(Unsent(life.state.attempt, "no route"))),
    "held": lambda life, dice: _in_air(life, lambda: life.fail(Held(life.state.attempt, dice * 100))),
    "unable": lambda life, _: _in_air(life, lambda: life.fail(Unable(life.state.attempt, "store", "full", "room"))),
    "broke": lambda life, _: _in_air(life, lambda: life.fail(Broke(life.state.attempt, "KeyError"))),
    "outdated": lambda life, dice: _in_air(life, lambda: _outdated(life, dice)),
    "save failed": lambda life, _: _in_air(life, lambda: life.step(SaveFailed(life.state.attempt, "disk full"))),
    "demand": _demand,
    "force": lambda life, _: life.step(Forced()),
    "refuse": _refuse,
    "probe": _probe,
    "enrol": _enrol,
    "pause": lambda life, _: life.step(Paused()),
    "resume": lambda life, _: life.step(Resumed()),
    "retire": lambda life, _: life.step(Retired()),
    "reconfigure": lambda life, _: life.step(Reconfigured()),
    "settle": lambda life, dice: life.step(Settled(dice < 0.5)),
    "crash": lambda life, _: _crash(life, reboot=False),
    "reboot": lambda life, dice: _crash(life, reboot=True, wall_step=(dice - 0.5) * 1e8),
    "rebind": _rebind,
    "forget": _forget,
    "host back": lambda life, _: life.step(HostBack()),
    "late": _late,
}


# -- one rule each --------------------------------------------------------------------------------------------------


def test_I1_an_account_in_the_air_launches_nothing_else() -> None:
    life = live()
    life.wait_for_alarm()
    for event in others(life.state.standing):
        if not isinstance(event, Forgotten):
            assert not flights(life.step(event)), event


def test_nothing_flies_before_the_vault_has_told_how_the_account_stands() -> None:
    state = lifecycle.vacant("mail")
    for event in (Due(), Demanded(1.0), Forced(), Resumed(), Reconfigured(), Enrolling("authorize", "two")):
        state, effects = lifecycle.step(plan_of((ISSUE,)), state, event, NOW)
        assert not flights(effects), event
    _, effects = lifecycle.step(plan_of((ISSUE,)), state, Booted(Standing("mail"), 0.0), NOW)
    assert [fly.rung for fly in flights(effects)] == ["issue"]


def test_I9_a_valid_lease_is_shown_at_boot_before_anything_is_sent() -> None:
    effects = Life(plan_of(), standing_of(1, NOW)).crash()
    assert [type(effect) for effect in effects[:1]] == [Publish]
    assert not flights(effects)


def test_I4_an_answer_that_is_not_durable_publishes_nothing_until_it_is() -> None:
    life = live()
    life.wait_for_alarm()
    assert not any(isinstance(effect, Publish) for effect in life.step(SaveFailed(life.state.attempt, "disk full")))
    assert life.state.phase is Phase.UNSAVED
    assert any(isinstance(effect, SaveAgain) for effect in life.wait_for_alarm())
    assert "save.failed" not in names(life.step(SaveFailed(life.state.attempt, "disk full")))
    effects = life.commit()
    assert any(isinstance(effect, Publish) for effect in effects)
    assert names(effects)[0] == "save.recovered"


def test_I7_no_refusal_and_no_parking_touches_what_is_held() -> None:
    for remedy in REMEDIES:
        life = live()
        held = life.state.standing.held
        life.wait_for_alarm()
        life.reject(remedy)
        assert life.state.standing.held == held
        for event in others(life.state.standing):
            if not isinstance(event, Forgotten):
                life.step(event)
                assert life.state.standing.held == held, event
            if isinstance(life.air, Fly):
                life.fail(Unsent(life.state.attempt, "no route"))


def test_strict_uses_the_lease_to_its_end_then_presents_once_more() -> None:
    life = doubtful(strict())
    assert life.state.phase is Phase.DOUBTFUL
    until = life.state.until
    assert until is not None
    assert life.alarm is not None
    assert until - 61 < life.alarm < until
    [fly] = flights(life.wait_for_alarm())
    assert (fly.rung, fly.replays) == ("refresh", 1)


def test_a_second_lost_answer_parks_with_a_date_and_every_replay_is_counted() -> None:
    life = doubtful(strict())
    for replays in range(1, 7):
        [fly] = flights(life.wait_for_alarm())
        assert fly.replays == replays
        at = life.now.boot
        life.lose()
        if life.state.phase is Phase.DOUBTFUL:
            life.wait_for_alarm()
        assert life.state.phase is Phase.PARKED
        assert life.alarm is not None
        assert life.alarm - at >= 60.0
    assert life.told.count("account.parked") == 1
    assert life.told.count("doubt.opened") == 1


def test_where_reuse_kills_more_the_secret_is_never_presented_again() -> None:
    life = doubtful(strict(Kills.MORE))
    assert not flights(life.wait_for_alarm())
    assert life.state.phase is Phase.PARKED
    assert life.alarm is None
    for event in (Due(), Forced(), Demanded(60.0), Reconfigured(), Paused(), Resumed()):
        assert not flights(life.step(event)), event
    assert not flights(life.crash())


def test_grace_replays_at_once_inside_it_and_as_strict_after_it() -> None:
    life = live(Contract(Reuse.GRACE, grace=30.0))
    life.wait_for_alarm()
    sent = life.now.boot
    [fly] = flights(life.lose())
    assert (fly.replays, fly.before) == (1, sent + 27.0)
    life.pass_time(28.0)
    assert not flights(life.fail(Held(life.state.attempt, 0.0)))
    assert life.alarm is not None
    assert life.alarm > sent + 30.0


def test_replays_in_grace_do_not_use_up_the_one_after_it() -> None:
    """The service was down for all of the grace period and came back long before the lease was over."""
    life = live(Contract(Reuse.GRACE, grace=30.0))
    life.wait_for_alarm()
    life.lose()
    for _ in range(3):
        life.lose()
    life.pass_time(30.0)
    life.fail(Held(life.state.attempt, 0.0))
    assert life.state.until is not None
    assert life.alarm is not None
    assert life.alarm < life.state.until
    [fly] = flights(life.wait_for_alarm())
    assert (fly.replays, fly.before) == (4, None)


def test_grace_is_counted_from_the_first_sending_over_restarts_and_over_after_another_boot() -> None:
    for reboot in (False, True):
        life = live(Contract(Reuse.GRACE, grace=30.0))
        life.wait_for_alarm()
        sent = life.now.boot
        life.lose()
        life.pass_time(10.0)
        effects = life.crash(reboot=reboot)
        assert [fly.before for fly in flights(effects)] == ([] if reboot else [sent + 27.0])


def test_reusable_is_tried_again_whatever_a_probe_said() -> None:
    life = doubtful(Contract(Reuse.REUSABLE))
    life.fail(Unsent(life.state.attempt, "no route"))
    life.fail(Held(life.state.attempt, 30.0))
    lease = life.state.lease
    assert lease is not None
    life.step(Refused(lease.fingerprint, dead=True))
    life.step(Probed(lease.fingerprint, alive=False, attempt=life.state.attempt))
    assert flights(life.wait_for_alarm())


def test_in_doubt_a_refusal_is_probed_and_dead_counts_as_spent() -> None:
    life = doubtful(strict())
    lease = life.state.lease
    assert lease is not None
    effects = life.step(Refused(lease.fingerprint, dead=True))
    assert not flights(effects)
    assert [effect.lease for effect in effects if isinstance(effect, Probe)] == [lease]
    life.step(Probed(lease.fingerprint, alive=False, attempt=life.state.attempt))
    assert life.state.phase is Phase.PARKED
    assert life.alarm is None


def test_a_lease_that_is_merely_over_proves_nothing() -> None:
    life = doubtful(strict())
    lease = life.state.lease
    assert lease is not None
    life.step(Refused(lease.fingerprint, dead=True))
    life.pass_time(2 * HOUR)
    life.step(Paused())
    life.step(Probed(lease.fingerprint, alive=False, attempt=life.state.attempt))
    assert life.state.doubt is not None
    assert life.state.doubt.spent is None


def test_what_was_probed_before_a_replay_left_says_nothing_of_the_replay() -> None:
    life = doubtful(Contract(Reuse.STRICT, old_lease_life=0.0))
    lease = life.state.lease
    assert lease is not None
    life.step(Refused(lease.fingerprint, dead=True))
    probe = life.probe
    assert probe is not None
    life.wait_for_alarm()
    life.lose()
    assert not flights(life.step(Probed(lease.fingerprint, alive=True, attempt=probe.attempt)))


def test_a_refusal_of_the_very_secret_ends_the_doubt_and_one_that_says_wait_does_not() -> None:
    for remedy, phase in ((Remedy.WAIT, Phase.DOUBTFUL), (Remedy.REREAD, Phase.DOUBTFUL), (Remedy.CLIMB, Phase.PARKED)):
        life = doubtful(strict())
        life.wait_for_alarm()
        life.reject(remedy)
        if life.air is None:
            assert life.state.phase is phase
            assert (life.state.doubt is None) == (remedy is Remedy.CLIMB)
        else:
            assert life.flying.replays == 1


def test_a_lower_rung_that_costs_nothing_gives_leases_and_leaves_the_doubt() -> None:
    life = doubtful(strict(), (REFRESH, ISSUE))
    for _ in range(3):
        assert life.flying.rung == "issue"
        life.commit()
        assert life.state.phase is Phase.DOUBTFUL
        assert life.alarm is not None
        assert life.alarm > life.now.boot + HOUR / 2
        life.wait_for_alarm()
    life.fail(Unsent(life.state.attempt, "no route"))
    assert life.flying.rung == "issue"


def test_a_doubt_survives_a_lower_rung_that_spends_and_fails() -> None:
    life = doubtful(strict(), (REFRESH, LOGIN, PERSON))
    lease = life.state.lease
    assert lease is not None
    life.step(Refused(lease.fingerprint, dead=True))
    life.step(Probed(lease.fingerprint, alive=False, attempt=life.state.attempt))
    assert life.flying.rung == "login"
    assert [one.rung for one in life.flying.earlier] == ["refresh"]
    life.fail(Unable(life.state.attempt, "store", "full", "room"))
    life.crash()
    assert life.state.doubt is not None
    assert life.state.doubt.rung == "refresh"


def test_a_failed_enrolment_while_climbing_goes_on_with_the_rung_that_was_next() -> None:
    life = live(ladder=(REFRESH, LOGIN, PERSON))
    life.wait_for_alarm()
    life.reject(Remedy.CLIMB)
    life.fail(Unable(life.state.attempt, "store", "full", "room"))
    life.step(Enrolling("authorize", "two"))
    life.reject(Remedy.PERSON)
    life.wait_for_alarm()
    assert life.flying.rung == "login"


def test_an_enrolment_takes_an_open_doubt_along_and_gives_it_back() -> None:
    life = doubtful(strict())
    life.step(Enrolling("authorize", "two"))
    assert [one.rung for one in life.flying.earlier] == ["refresh"]
    intent = life.journal.intent
    assert intent is not None
    assert intent.candidate == "two"
    life.crash()
    assert life.state.phase is Phase.DOUBTFUL
    assert life.told.count("doubt.opened") == 2


def test_an_enrolment_by_somebody_else_leaves_the_lineage_in_force_at_work() -> None:
    life = live()
    life.step(Enrolling("authorize", "two"))
    life.air = None
    life.step(
        happenings.Committed(life.state.attempt, dataclasses.replace(life.journal, intent=None, withheld="other"))
    )
    assert life.state.phase is Phase.LIVE
    assert {"identity.wrong", "enrolment.failed"} <= set(life.told)
    assert flights(life.wait_for_alarm())


def test_an_escrow_that_cannot_be_finished_is_a_doubt() -> None:
    life = live()
    life.wait_for_alarm()
    life.journal = dataclasses.replace(life.journal, escrowed=True)
    life.crash()
    assert isinstance(life.air, Finish)
    life.air = None
    life.step(Broke(life.state.attempt, "NoEscrow"))
    assert life.state.phase is Phase.DOUBTFUL
    assert "doubt.opened" in life.told


def test_an_escrow_of_an_enrolment_that_was_refused_leaves_the_old_lineage_alone() -> None:
    life = live()
    life.step(Enrolling("authorize", "two"))
    life.journal = dataclasses.replace(life.journal, escrowed=True)
    life.crash()
    life.air = None
    life.before_flight = None
    life.journal = dataclasses.replace(life.journal, intent=None, escrowed=False)
    life.step(happenings.Refusal(life.state.attempt, Rejected("invalid_grant", Remedy.PERSON), life.journal))
    assert life.state.phase is Phase.LIVE
    assert flights(life.wait_for_alarm())


def test_one_heal_per_fingerprint() -> None:
    life = live()
    lease = life.state.lease
    assert lease is not None
    assert flights(life.step(Refused(lease.fingerprint, dead=True)))
    life.commit(token=lease.token.reveal())
    for _ in range(3):
        assert not flights(life.step(Refused(lease.fingerprint, dead=True)))
        if life.alarm is not None and life.alarm - life.now.boot < 60:
            life.wait_for_alarm()
        if isinstance(life.air, Fly):
            life.commit(token=lease.token.reveal())


def test_two_fresh_leases_refused_in_a_row_stop_healing_and_alert_but_renewal_goes_on() -> None:
    life = live()
    for heals in range(3):
        lease = life.state.lease
        assert lease is not None
        effects = life.step(Refused(lease.fingerprint, dead=True))
        assert bool(flights(effects)) == (heals < 2)
        if heals < 2:
            life.commit()
    assert life.told.count("heal.stopped") == 1
    life.wait_for_alarm()
    healed = life.told.count("lease.healed")
    life.commit()
    life.wait_for_alarm()
    life.commit()
    assert life.told.count("lease.healed") == healed + 1, "a whole life without a refusal ends the alert"
    assert life.state.phase is Phase.LIVE


def test_healing_that_has_stopped_does_not_begin_again_with_the_next_refusal() -> None:
    life = live()
    for heals in range(5):
        lease = life.state.lease
        assert lease is not None
        assert bool(flights(life.step(Refused(lease.fingerprint, dead=True)))) == (heals < 2)
        if heals >= 2:
            life.wait_for_alarm()
        life.commit()
    assert life.told.count("heal.stopped") == 1


def test_a_refusal_with_a_scheduled_renewal_between_is_not_in_a_row() -> None:
    life = live()
    for _ in range(4):
        lease = life.state.lease
        assert lease is not None
        assert flights(life.step(Refused(lease.fingerprint, dead=True)))
        life.commit()
        life.wait_for_alarm()
        life.commit()
    assert "heal.stopped" not in life.told


def test_a_lease_that_a_login_was_had_with_is_not_one_of_those_refused_in_a_row() -> None:
    life = live()
    for _ in range(6):
        lease = life.state.lease
        assert lease is not None
        life.step(Accepted(lease.fingerprint))
        assert flights(life.step(Refused(lease.fingerprint, dead=True)))
        life.commit()
    assert "heal.stopped" not in life.told


def test_a_login_ends_the_alert_that_healing_has_stopped_and_another_lease_s_does_not() -> None:
    life = live()
    for _ in range(3):
        assert life.state.lease is not None
        life.step(Refused(life.state.lease.fingerprint, dead=True))
        if isinstance(life.air, Fly):
            life.commit()
    lease, healed = life.state.lease, life.told.count("lease.healed")
    assert lease is not None
    assert life.told.count("heal.stopped") == 1
    life.step(Accepted("of another lease"))
    assert life.told.count("lease.healed") == healed
    life.step(Accepted(lease.fingerprint))
    assert life.told.count("lease.healed") == healed + 1
    assert life.state.suspect is None
    assert flights(life.step(Refused(lease.fingerprint, dead=True)))


def test_a_demand_that_no_lease_can_meet_is_not_tried() -> None:
    life = live()
    life.pass_time(60.0)
    assert not flights(life.step(Demanded(HOUR)))
    life.pass_time(HOUR / 2)
    assert flights(life.step(Demanded(HOUR)))


def test_asking_twice_changes_nothing_that_would_wake_whoever_waits() -> None:
    life = live()
    life.pass_time(HOUR / 2 + 60)
    life.step(Demanded(HOUR))
    before = life.state
    life.step(Demanded(HOUR))
    assert life.state == before


def test_a_grant_bound_elsewhere_never_flies_and_goes_on_when_the_configuration_is_put_right() -> None:
    life = live()
    life.plan = dataclasses.replace(life.plan, binding=ELSEWHERE)
    life.pass_time(2 * HOUR)
    assert not flights(life.step(Reconfigured()))
    assert life.state.phase is Phase.PARKED
    for event in (Due(), Forced(), Demanded(60.0)):
        assert not flights(life.step(event))
    life.plan = dataclasses.replace(life.plan, binding=BOUND)
    assert flights(life.step(Reconfigured()))


def test_a_change_of_binding_while_in_the_air_is_seen_when_the_flight_ends() -> None:
    life = live()
    life.wait_for_alarm()
    life.plan = dataclasses.replace(life.plan, binding=ELSEWHERE)
    life.step(Reconfigured())
    life.commit()
    assert life.state.phase is Phase.PARKED


def test_a_retired_account_that_comes_back_goes_on() -> None:
    life = live()
    life.step(Retired())
    life.pass_time(2 * HOUR)
    assert not flights(life.step(Due()))
    assert flights(life.step(Reconfigured()))


def test_a_grant_that_is_gone_is_told_and_told_again_after_a_restart() -> None:
    life = live()
    life.wait_for_alarm()
    bare = dataclasses.replace(standing_of(2, life.now), held=frozenset({"other"}))
    life.journal, life.air = bare, None
    life.step(happenings.Committed(life.state.attempt, bare))
    assert "grant.gone" in life.told
    assert "grant.gone" in names(life.crash())


def test_an_alert_is_told_once_until_something_else_happens() -> None:
    cases: list[tuple[str, typing.Callable[[Life], object]]] = [
        ("refresh.unable", lambda life: life.fail(Unable(life.state.attempt, "store", "full", "room"))),
        ("bug", lambda life: life.fail(Broke(life.state.attempt, "KeyError"))),
        ("code.unknown", lambda life: life.reject(Remedy.WAIT, known=False)),
    ]
    for name, act in cases:
        life = live()
        life.wait_for_alarm()
        life.fail(Unsent(life.state.attempt, "no route"))
        for _ in range(5):
            if life.air is None:
                life.wait_for_alarm()
            act(life)
        assert life.told.count(name) == 1, name


def test_the_end_of_a_grant_is_announced_once_per_step_however_often_it_is_refreshed() -> None:
    life = Life(plan_of(contract=Contract(absolute_life=20 * 86_400.0)), standing_of(1, NOW))
    enrolled = life.state.standing.enrolled
    while life.now.boot < NOW.boot + 15 * 86_400.0:
        life.wait_for_alarm()
        if isinstance(life.air, Fly):
            life.generations += 1
            fresh = dataclasses.replace(standing_of(life.generations, life.now), enrolled=enrolled)
            life.journal, life.air = fresh, None
            life.step(happenings.Committed(life.state.attempt, fresh))
    assert life.told.count("grant.ending") == 1


def test_a_grant_that_outlives_its_stated_end_is_not_renewed_without_pause() -> None:
    """A service may slide an end that it told only once; or a boot's wrong clock puts the end into the past."""
    life = Life(plan_of(contract=Contract(Reuse.REUSABLE)), dataclasses.replace(standing_of(1, NOW), valid_for=1800.0))
    first = life.state.standing.obtained
    life.pass_time(3 * HOUR)
    life.step(Due())
    for _ in range(3):
        life.generations += 1
        fresh = dataclasses.replace(standing_of(life.generations, life.now), obtained=first, valid_for=1800.0)
        life.journal, life.air = fresh, None
        life.step(happenings.Committed(life.state.attempt, fresh))
        assert life.alarm is not None
        assert life.alarm >= life.now.boot + HOUR / 2
        life.wait_for_alarm()


def test_a_replay_that_never_left_is_not_told_as_one() -> None:
    life = doubtful(strict())
    life.wait_for_alarm()
    life.fail(Held(life.state.attempt, 1.0))
    life.wait_for_alarm()
    life.fail(Unsent(life.state.attempt, "no route"))
    assert "doubt.replayed" not in life.told


def test_a_way_that_left_the_ladder_does_not_strand_a_doubt() -> None:
    life = doubtful(strict())
    life.plan = plan_of((ISSUE,), strict())
    life.step(Reconfigured())
    life.wait_for_alarm()
    assert life.flying.rung == "issue"


def test_wall_clock_steps_in_one_boot_change_nothing() -> None:
    quiet, stepped = live(), live()
    for life, wall_step in ((quiet, 0.0), (stepped, -1e9)):
        life.pass_time(60.0, wall_step)
        life.step(Due())
    assert quiet.alarm == stepped.alarm
    assert quiet.state == stepped.state


def test_after_another_boot_with_a_clock_below_the_high_water_mark_the_lease_is_served_and_renewed_at_once() -> None:
    life = live()
    life.now = Moment(0.0, 5.0, "boot-1")
    life.state = lifecycle.vacant("mail")
    effects = life.step(Booted(life.journal, NOW.wall + 60))
    assert any(isinstance(effect, Publish) for effect in effects)
    assert flights(effects)


def test_paused_accounts_still_tell_that_their_grant_ends() -> None:
    life = Life(plan_of(contract=Contract(absolute_life=4 * 86_400.0)), standing_of(1, NOW))
    life.step(Paused())
    life.wait_for_alarm()
    assert "grant.ending" in life.told
