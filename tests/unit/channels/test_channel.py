"""What a channel does about each way in which a login can end; all on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from freshd.channels import pace
from freshd.channels.dialer import Ended, Why
from freshd.core.settings import ChannelSettings
from freshd.tokens import Shortfall
from tests.fakes.time import VirtualTime, run
from tests.unit.channels.channel_parts import (
    AGAIN,
    KICKED,
    LOST,
    REFUSED,
    WRONG,
    Engine,
    Stage,
    ends,
    stays,
)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


def test_it_logs_in_with_the_lease_and_says_so(time: VirtualTime) -> None:
    stage = Stage(time, stays(1e6, LOST))
    run(time, stage.live(10))
    assert stage.script.tokens == ["token-1"]
    assert stage.told == ["channel.connected"]
    assert stage.channel.view["state"] == "connected"
    assert stage.channel.view["broker"] == "b:1883"


def test_cancelled_it_ends_the_login(time: VirtualTime) -> None:
    stage = Stage(time, stays(1e6, LOST))
    run(time, stage.live(10))
    assert stage.script.closed == 1


def test_a_refused_lease_is_reported_in_a_readers_words_and_the_next_one_tried_at_once(time: VirtualTime) -> None:
    engine = Engine(time, heals=0.5)
    first = engine._lease
    stage = Stage(time, ends(REFUSED), stays(1e6, LOST), engine=engine)
    run(time, stage.live(10))
    assert first is not None
    assert engine.reports == [(first.fingerprint, 401, "0x87")]
    assert stage.script.tokens == ["token-1", "token-2"]
    assert stage.script.gaps == pytest.approx([0.5])


def test_a_new_lease_is_tried_again_before_it_is_reported(time: VirtualTime) -> None:
    engine = Engine(time, age=0.0)
    stage = Stage(time, ends(REFUSED), ends(REFUSED), stays(1e6, LOST), engine=engine)
    run(time, stage.live(20))
    assert engine.reports == []
    assert stage.script.tokens == ["token-1"] * 3
    assert stage.script.gaps == pytest.approx(pace.SETTLE[:2])


def test_a_new_lease_that_nobody_takes_is_reported_once(time: VirtualTime) -> None:
    engine = Engine(time, age=0.0, heals=None)
    stage = Stage(time, ends(REFUSED), engine=engine)
    run(time, stage.live(60))
    assert len(engine.reports) == 1
    assert len(stage.script.dials) == 1 + len(pace.SETTLE)


def test_a_lease_that_worked_is_reported_at_once_when_it_is_refused(time: VirtualTime) -> None:
    engine = Engine(time, age=0.0)
    stage = Stage(time, stays(10, AGAIN), ends(REFUSED), stays(1e6, LOST), engine=engine)
    run(time, stage.live(60))
    assert len(engine.reports) == 1
    assert stage.script.tokens == ["token-1", "token-1", "token-2"]


def test_the_engine_hears_that_a_lease_works_once_the_connection_has_held(time: VirtualTime) -> None:
    stage = Stage(time, stays(pace.STEADY_SECONDS / 2, LOST), stays(1e6, LOST))
    run(time, stage.live(pace.STEADY_SECONDS))
    assert stage.engine.takes == []
    later = Stage(time, stays(1e6, LOST))
    run(time, later.live(pace.STEADY_SECONDS * 2))
    assert len(later.engine.takes) == 1


def test_losses_are_tried_again_ever_more_slowly(time: VirtualTime) -> None:
    stage = Stage(time, ends(LOST))
    run(time, stage.live(600))
    assert stage.script.gaps[:7] == pytest.approx([1, 2, 4, 8, 16, 32, 60])
    assert max(stage.script.gaps) == pytest.approx(60)


def test_a_connection_that_held_ends_the_count_and_one_that_did_not_goes_on_with_it(time: VirtualTime) -> None:
    lasting, short = pace.LASTING_SECONDS + 1, pace.LASTING_SECONDS - 1
    stage = Stage(time, ends(LOST), ends(LOST), stays(lasting, LOST), ends(LOST), stays(short, LOST), ends(LOST))
    stage.channel._held_with = stage.engine.lease("mail").fingerprint  # type: ignore[union-attr]
    run(time, stage.live(300))
    assert stage.script.gaps[:4] == pytest.approx([1, 2, lasting + 1, 2])
    assert stage.script.gaps[4:6] == pytest.approx([short + 4, 8])


@pytest.mark.parametrize("ended", [LOST, AGAIN])
def test_I6_connections_of_a_few_seconds_are_made_ever_more_slowly_and_told(time: VirtualTime, ended: Ended) -> None:
    stage = Stage(time, stays(pace.STEADY_SECONDS + 0.1, ended))
    run(time, stage.live(3600))
    assert len(stage.script.dials) < 80
    assert stage.told.count("channel.down") == 1
    down = stage.told.index("channel.down")
    assert stage.told[down:] == ["channel.down"]


def test_connections_of_a_few_seconds_are_over_with_one_that_lasts(time: VirtualTime) -> None:
    short = stays(pace.STEADY_SECONDS + 0.1, LOST)
    stage = Stage(time, *[short] * (pace.LOSSES_MOST + 2), stays(1e6, LOST))
    run(time, stage.live(3600))
    assert stage.told[-2:] == ["channel.down", "channel.connected"]
    assert stage.channel._bad.losses == 0


@pytest.mark.parametrize("kick", [AGAIN, LOST])
def test_a_password_that_changes_every_few_seconds_is_survived_at_once_each_time(
    time: VirtualTime, kick: Ended
) -> None:
    rounds = pace.EXPLAINED_MOST // 2
    acts = [act for _ in range(rounds) for act in (stays(10, kick), ends(REFUSED))]
    stage = Stage(time, *acts, stays(1e6, LOST), engine=Engine(time, heals=0.05))
    run(time, stage.live(3600))
    away = 0.05 if kick is AGAIN else 1.05
    assert sum(stage.script.gaps) == pytest.approx(rounds * (10 + away))
    assert len(stage.engine.reports) == rounds
    assert not {"channel.down", "channel.kept-out"} & set(stage.told)


@pytest.mark.parametrize("ended", [LOST, AGAIN, REFUSED])
def test_I6_leases_that_are_taken_and_refused_in_turn_end_in_the_alert_and_a_slow_pace(
    time: VirtualTime, ended: Ended
) -> None:
    between = [] if ended is REFUSED else [ends(REFUSED)]
    acts = [act for _ in range(3000) for act in (*between, stays(pace.STEADY_SECONDS + 0.5, ended))]
    stage = Stage(time, *acts, engine=Engine(time, heals=0.05))
    run(time, stage.live(3600))
    assert len(stage.script.dials) < 300
    assert len(stage.engine.reports) < 150
    assert "channel.down" in stage.told
    assert "channel.kept-out" not in stage.told


def test_a_connection_that_newer_leases_alone_have_ended_has_lasted(time: VirtualTime) -> None:
    stage = Stage(time, ends(LOST), stays(1e6, LOST), follows=True)

    async def work() -> None:
        life = asyncio.create_task(stage.live(1000))
        for _ in range(3 * pace.EXPLAINED_MOST):
            await asyncio.sleep(5)
            stage.engine.publish()
        assert stage.channel._bad.losses == 0
        assert stage.channel._bad.explained < pace.LASTING_SECONDS / 5 + 1
        await life

    run(time, work())
    assert len(stage.script.dials) == 2 + 3 * pace.EXPLAINED_MOST
    assert stage.script.gaps[1:] == pytest.approx([4, *[5] * (3 * pace.EXPLAINED_MOST - 1)])


def test_however_soon_newer_leases_follow_the_login_follows_them(time: VirtualTime) -> None:
    stage = Stage(time, stays(1e6, LOST), follows=True)

    async def work() -> None:
        life = asyncio.create_task(stage.live(20))
        for _ in range(5):
            await asyncio.sleep(pace.STEADY_SECONDS / 4)
            stage.engine.publish()
        await life

    run(time, work())
    assert stage.script.gaps == pytest.approx([pace.STEADY_SECONDS / 4] * 5)


def test_an_operators_call_begins_the_count_anew(time: VirtualTime) -> None:
    stage = Stage(time, ends(LOST))

    async def work() -> None:
        life = asyncio.create_task(stage.live(110))
        await asyncio.sleep(100)
        dials = len(stage.script.dials)
        stage.channel.call()
        await life
        assert stage.script.gaps[dials : dials + 2] == pytest.approx([1, 2])

    run(time, work())


@pytest.mark.parametrize("wait", [1e9, float("inf")])
def test_no_more_than_an_hour_of_waiting_can_be_asked_for(time: VirtualTime, wait: float) -> None:
    stage = Stage(time, ends(Ended(Why.LOST, "0x89", "busy", wait=wait)))
    run(time, stage.live(3 * 3600 + 1))
    assert stage.script.gaps == pytest.approx([3600] * 3)


@pytest.mark.parametrize("broken", ["demand", "refused", "is_suspect"])
def test_a_bug_outside_the_login_is_told_and_the_channel_goes_on_slowly(time: VirtualTime, broken: str) -> None:
    engine = Engine(time, heals=0.5)
    whole = getattr(engine, broken)

    def breaks(*_: object) -> None:
        raise KeyError("token-1 was here")

    stage = Stage(time, ends(REFUSED), stays(1e6, LOST), engine=engine)

    async def work() -> None:
        setattr(engine, broken, breaks)
        life = asyncio.create_task(stage.live(2 * pace.BUG_SECONDS))
        await asyncio.sleep(pace.BUG_SECONDS / 2)
        assert (stage.channel.view["state"], stage.channel.view["code"]) == ("waiting", "bug")
        assert stage.told.count("bug") == 1
        setattr(engine, broken, whole)
        await life

    run(time, work())
    assert stage.told[-1] == "channel.connected"
    assert stage.told.count("bug") == 1
    assert "token-1" not in str(stage.events)


def test_an_operator_need_not_wait_for_a_channel_that_met_a_bug(time: VirtualTime) -> None:
    engine = Engine(time)
    whole = engine.demand

    async def breaks(*_: object) -> Shortfall:
        raise KeyError

    stage = Stage(time, stays(1e6, LOST), engine=engine)

    async def work() -> None:
        engine.demand = breaks  # type: ignore[method-assign,assignment]
        life = asyncio.create_task(stage.live(20))
        await asyncio.sleep(10)
        engine.demand = whole  # type: ignore[method-assign]
        stage.channel.call()
        await life

    run(time, work())
    assert [at for at, _ in stage.script.dials] == pytest.approx([time.boot() - 10])


@pytest.mark.parametrize("ended", [KICKED, WRONG, LOST])
def test_an_operators_call_during_the_login_counts(time: VirtualTime, ended: Ended) -> None:
    async def late(*_: object) -> Ended:
        await asyncio.sleep(5)
        return ended

    stage = Stage(time, late, late, stays(1e6, LOST))

    async def work() -> None:
        life = asyncio.create_task(stage.live(100))
        await asyncio.sleep(2)
        stage.channel.call()
        await life

    run(time, work())
    assert stage.script.gaps[0] == pytest.approx(5)
    assert len(stage.script.dials) == (3 if ended is LOST else 2)


def test_a_call_before_the_login_is_answered_by_it(time: VirtualTime) -> None:
    engine = Engine(time)
    engine.withdraw()
    stage = Stage(time, ends(KICKED), engine=engine)

    async def work() -> None:
        life = asyncio.create_task(stage.live(100))
        await asyncio.sleep(2)
        stage.channel.call()
        engine.publish()
        await life

    run(time, work())
    assert len(stage.script.dials) == 1


def test_what_the_other_side_asks_for_is_waited(time: VirtualTime) -> None:
    stage = Stage(time, ends(type(LOST)(LOST.why, "0x89", "busy", wait=30.0)))
    run(time, stage.live(100))
    assert min(stage.script.gaps) >= 30


def test_minutes_without_a_connection_are_told_once_and_cleared(time: VirtualTime) -> None:
    stage = Stage(time, *[ends(LOST)] * 9, stays(1e6, LOST))
    run(time, stage.live(1000))
    assert stage.told == ["channel.lost", "channel.down", "channel.connected"]


def test_what_is_to_be_tried_again_at_once_is_so_once(time: VirtualTime) -> None:
    stage = Stage(time, stays(10, AGAIN), ends(AGAIN), ends(AGAIN), stays(1e6, LOST))
    run(time, stage.live(100))
    assert stage.script.gaps == pytest.approx([10, 1, 2])


@pytest.mark.parametrize("ended", [KICKED, WRONG])
def test_stopped_means_stopped_until_an_operator_calls(time: VirtualTime, ended: type(KICKED)) -> None:  # type: ignore[valid-type]
    stage = Stage(time, stays(10, ended), stays(1e6, LOST))

    async def work() -> None:
        life = asyncio.create_task(stage.live(200_000))
        await asyncio.sleep(100_000)
        stage.engine.publish()
        await asyncio.sleep(1)
        assert len(stage.script.dials) == 1
        assert stage.channel.view["state"] == "stopped"
        stage.channel.call()
        await life

    run(time, work())
    assert stage.told == ["channel.connected", "channel.stopped", "channel.connected"]
    assert "freshd refresh mail" in stage.events[1].remedy
    assert len(stage.script.dials) == 2


def test_I6_one_fresh_lease_refused_after_the_other_ends_in_an_alert_and_a_slow_pace(time: VirtualTime) -> None:
    stage = Stage(time, ends(REFUSED), engine=Engine(time, heals=0.1))
    run(time, stage.live(6 * 3600))
    assert stage.told.count("channel.kept-out") == 1
    first_hour = [at for at, _ in stage.script.dials if at < stage.script.dials[0][0] + 3600]
    per_lease = 1 + len(pace.SETTLE)
    assert len(first_hour) <= per_lease * (pace.REFUSALS_MOST + 3600 / (pace.SLOW_SECONDS / 2))
    assert len(stage.engine.reports) <= pace.REFUSALS_MOST + 6 * 3600 / (pace.SLOW_SECONDS / 2)


def test_I6_a_service_that_lets_in_and_throws_out_is_not_stormed(time: VirtualTime) -> None:
    stage = Stage(time, stays(0.5, AGAIN))
    run(time, stage.live(3600))
    assert len(stage.script.dials) < 80


def test_connections_that_never_last_are_told_once_and_cleared_by_one_that_does(time: VirtualTime) -> None:
    stage = Stage(time, *[stays(0.5, LOST)] * 12, stays(1e6, LOST))
    run(time, stage.live(3000))
    ups = pace.LOSSES_MOST
    assert stage.told == ["channel.connected", "channel.lost"] * ups + ["channel.down", "channel.connected"]


def test_a_lease_that_is_found_alive_is_tried_again(time: VirtualTime) -> None:
    engine = Engine(time, heals=None)
    stage = Stage(time, ends(REFUSED), stays(1e6, LOST), engine=engine)

    async def work() -> None:
        life = asyncio.create_task(stage.live(100))
        await asyncio.sleep(20)
        assert len(stage.script.dials) == 1
        engine.absolve()
        await life

    run(time, work())
    assert stage.script.tokens == ["token-1", "token-1"]


def test_a_refusal_that_does_not_mean_a_dead_lease_backs_off(time: VirtualTime) -> None:
    stage = Stage(time, ends(REFUSED), engine=Engine(time, says="ignored"))
    run(time, stage.live(600))
    assert len(stage.script.dials) < 12
    assert "channel.kept-out" in stage.told


def test_without_a_lease_it_waits_for_a_change_and_does_not_ask_again_and_again(time: VirtualTime) -> None:
    engine = Engine(time)
    engine.withdraw()
    stage = Stage(time, stays(1e6, LOST), engine=engine)

    async def work() -> None:
        life = asyncio.create_task(stage.live(7200))
        await asyncio.sleep(3600)
        assert (engine.demands, stage.script.dials) == (1, [])
        assert stage.channel.view["state"] == "no-lease"
        engine.publish()
        await life

    run(time, work())
    assert stage.script.tokens == ["token-2"]


@pytest.mark.parametrize(("follows", "tokens"), [(False, ["token-1"]), (True, ["token-1", "token-2"])])
def test_a_newer_lease_disturbs_a_connection_only_where_the_kind_wants_it(
    time: VirtualTime, follows: bool, tokens: list[str]
) -> None:
    stage = Stage(time, stays(1e6, LOST), follows=follows)

    async def work() -> None:
        life = asyncio.create_task(stage.live(100))
        await asyncio.sleep(50)
        stage.engine.publish()
        await life

    run(time, work())
    assert stage.script.tokens == tokens
    assert stage.script.closed == len(tokens)


def test_a_channel_without_an_account_asks_for_no_lease(time: VirtualTime) -> None:
    stage = Stage(time, ends(REFUSED), settings=ChannelSettings("line", "toy", None))
    run(time, stage.live(3600))
    assert stage.engine.demands == 0
    assert stage.engine.reports == []
    assert min(stage.script.gaps) >= pace.SLOW_SECONDS / 2


def test_an_exception_of_a_dialers_is_told_by_its_name_alone_and_the_channel_goes_on(time: VirtualTime) -> None:
    async def breaks(*_: object) -> type(LOST):  # type: ignore[valid-type]
        raise ValueError("token-1 was here")

    stage = Stage(time, breaks, stays(1e6, LOST))
    run(time, stage.live(100))
    assert stage.told == ["bug", "channel.lost", "channel.connected"]
    assert "token-1" not in str(stage.events)
    assert stage.events[0].fields["kind"] == "ValueError"


def test_I10_no_event_and_no_fact_holds_a_token(time: VirtualTime) -> None:
    stage = Stage(time, stays(10, AGAIN), ends(REFUSED), stays(10, LOST), ends(WRONG))
    run(time, stage.live(100))
    assert "token-" not in f"{stage.events}{stage.channel.view}"
