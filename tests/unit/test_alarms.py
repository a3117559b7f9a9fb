"""The real APScheduler on virtual time: what is due is rung, once, however late, and whatever the wall clock does."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from freshd.alarms import HORIZON_SECONDS, JobAlarms
from tests.fakes.time import VirtualTime, run

TICK = 10.0
SLACK = 0.1


class Bench:
    """Alarms whose scheduler reads the virtual wall clock and waits on the virtual loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = time = VirtualTime()
        self.rung: list[tuple[str, float]] = []
        self.alarms = JobAlarms(time, self.ring)
        self.bad: set[str] = set()

        class Wall(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> Any:  # noqa: ANN401 - as the base class
                return dt.datetime.fromtimestamp(time.now().wall, tz)

        for module in ("schedulers", "executors"):
            monkeypatch.setattr(f"apscheduler.{module}.base.datetime", Wall)

    def ring(self, account: str) -> None:
        if account in self.bad:
            raise RuntimeError("canary-text")
        self.rung.append((account, self.time.boot()))

    def live(self, work: Callable[[], Awaitable[None]]) -> None:
        async def ticks() -> None:
            while True:
                await asyncio.sleep(TICK)
                self.alarms.realign()

        async def life() -> None:
            self.alarms.start()
            ticking = asyncio.ensure_future(ticks())
            await work()
            ticking.cancel()
            self.alarms.stop()
            await asyncio.sleep(0)

        run(self.time, life())

    def late(self, account: str, at: float) -> float:
        """By how much its one alarm was late."""
        [moment] = [moment for name, moment in self.rung if name == account]
        assert moment >= at
        return moment - at


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.mark.parametrize(
    "seconds", [0.0, 0.5, 5.0, HORIZON_SECONDS - 1, HORIZON_SECONDS, HORIZON_SECONDS + 0.001, 5_000.0, 864_000.0]
)
def test_an_alarm_rings_once_when_it_is_due_within_the_horizon_and_beyond(bench: Bench, seconds: float) -> None:
    at = bench.time.boot() + seconds

    async def work() -> None:
        bench.alarms.set("mail", at)
        await asyncio.sleep(seconds + 200.0)

    bench.live(work)
    assert bench.late("mail", at) < SLACK


def test_a_moment_in_the_past_rings_at_once_however_long_ago_it_was(bench: Bench) -> None:
    async def work() -> None:
        bench.alarms.set("mail", bench.time.boot() - 900.0)
        await asyncio.sleep(1.0)

    bench.live(work)
    assert len(bench.rung) == 1


def test_what_was_set_before_the_start_rings_after_it(bench: Bench) -> None:
    bench.alarms.set("near", bench.time.boot() + 5.0)
    bench.alarms.set("far", bench.time.boot() + 500.0)
    bench.alarms.set("gone", bench.time.boot() + 5.0)
    bench.alarms.cancel("gone")
    bench.live(lambda: asyncio.sleep(600.0))
    assert [account for account, _ in bench.rung] == ["near", "far"]


@pytest.mark.parametrize(
    "moments",
    [(50.0, 5.0), (5.0, 50.0), (500.0, 5.0), (5.0, 500.0), (500.0, 900.0, 500.0), (5.0, 500.0, 5.0), (5.0, 5.0)],
)
def test_a_new_alarm_replaces_the_old_one(bench: Bench, moments: tuple[float, ...]) -> None:
    began = bench.time.boot()

    async def work() -> None:
        for seconds in moments:
            bench.alarms.set("mail", began + seconds)
        await asyncio.sleep(1000.0)

    bench.live(work)
    assert bench.late("mail", began + moments[-1]) < SLACK


@pytest.mark.parametrize("seconds", [5.0, 500.0])
def test_what_is_cancelled_does_not_ring(bench: Bench, seconds: float) -> None:
    async def work() -> None:
        bench.alarms.set("mail", bench.time.boot() + seconds)
        bench.alarms.cancel("mail")
        bench.alarms.cancel("mail")
        bench.alarms.cancel("nobody")
        await asyncio.sleep(1000.0)

    bench.live(work)
    assert bench.rung == []


def test_an_account_may_set_its_next_alarm_while_it_is_rung(bench: Bench) -> None:
    ring = bench.ring

    def again(account: str) -> None:
        ring(account)
        if len(bench.rung) < 20:
            bench.alarms.set(account, bench.time.boot() + (0.0 if len(bench.rung) % 2 else 100.0))

    bench.alarms._ring = again

    async def work() -> None:
        bench.alarms.set("mail", bench.time.boot() + 1.0)
        await asyncio.sleep(2000.0)

    bench.live(work)
    assert len(bench.rung) == 20


@pytest.mark.parametrize("step", [-86_400.0, -3.0, 3.0, 86_400.0])
def test_a_step_of_the_wall_clock_makes_nothing_early_and_nothing_later_than_a_tick(bench: Bench, step: float) -> None:
    began = bench.time.boot()

    async def work() -> None:
        for name, seconds in (("near", 30.0), ("far", 300.0)):
            bench.alarms.set(name, began + seconds)
        await asyncio.sleep(5.0)
        bench.time.step(step)
        await asyncio.sleep(400.0)

    bench.live(work)
    assert bench.late("near", began + 30.0) < SLACK
    assert bench.late("far", began + 300.0) < SLACK


def test_a_clock_that_is_slewed_makes_nothing_late(bench: Bench) -> None:
    began = bench.time.boot()

    async def work() -> None:
        bench.alarms.set("mail", began + 70.0)
        for _ in range(80):
            await asyncio.sleep(1.0)
            bench.time.step(-0.02)

    bench.live(work)
    assert bench.late("mail", began + 70.0) < 0.3


def test_what_came_due_in_a_suspend_rings_within_a_tick_of_waking(bench: Bench) -> None:
    began = bench.time.boot()

    async def work() -> None:
        bench.alarms.set("near", began + 60.0)
        bench.alarms.set("far", began + 3000.0)
        bench.alarms.set("later", began + 90_000.0)
        await asyncio.sleep(5.0)
        bench.time.suspend(7200.0)
        await asyncio.sleep(TICK + 1.0)

    bench.live(work)
    assert {account for account, _ in bench.rung} == {"near", "far"}
    assert len(bench.rung) == 2


def test_a_bug_met_by_one_alarm_is_told_and_stops_no_other(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.bad = {"bad"}
    met: list[dict[str, Any]] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: met.append(context))
        bench.alarms.set("bad", bench.time.boot() + 1.0)
        for number in range(1, 4):
            bench.alarms.set(f"good-{number}", bench.time.boot() + number)
        await asyncio.sleep(10.0)
        bench.bad = set()
        bench.alarms.set("bad", bench.time.boot() + 1.0)
        await asyncio.sleep(10.0)

    bench.live(work)
    assert [account for account, _ in bench.rung] == ["good-1", "good-2", "good-3", "bad"]
    assert [type(context["exception"]) for context in met] == [RuntimeError]
    assert "canary-text" not in caplog.text + met[0]["message"]


def test_after_the_stop_nothing_rings_and_nothing_raises(bench: Bench) -> None:
    async def work() -> None:
        bench.alarms.set("mail", bench.time.boot() + 5.0)
        bench.alarms.stop()
        bench.alarms.stop()
        bench.alarms.set("other", bench.time.boot() + 1.0)
        await asyncio.sleep(0)
        bench.alarms.cancel("mail")
        bench.alarms.set("third", bench.time.boot() + 1.0)
        bench.alarms.realign()
        await asyncio.sleep(100.0)

    bench.live(work)
    assert bench.rung == []


def test_ten_thousand_alarms_ring_once_each_and_in_order(bench: Bench) -> None:
    began = bench.time.boot()

    async def work() -> None:
        for number in range(10_000):
            bench.alarms.set(f"a{number}", began + 1.0 + number / 10)
        await asyncio.sleep(1100.0)

    bench.live(work)
    assert [account for account, _ in bench.rung] == [f"a{number}" for number in range(10_000)]
    assert all(moment - (began + 1.0 + number / 10) < SLACK for number, (_, moment) in enumerate(bench.rung))


def test_a_tick_places_no_job_anew_that_stands_right(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many accounts it would hold up everybody else (I11)."""
    placed: list[str] = []

    async def work() -> None:
        for number in range(100):
            bench.alarms.set(f"a{number}", bench.time.boot() + 60.0)
        place = bench.alarms._place

        def noting(name: str, at: float) -> None:
            placed.append(name)
            place(name, at)

        monkeypatch.setattr(bench.alarms, "_place", noting)
        await asyncio.sleep(3 * TICK)
        assert placed == []
        bench.time.step(5.0)
        await asyncio.sleep(TICK)
        assert len(placed) == 100
        await asyncio.sleep(60.0)

    bench.live(work)
    assert len(bench.rung) == 100


def test_an_alarm_that_is_moved_all_day_fills_no_memory(bench: Bench) -> None:
    async def work() -> None:
        for number in range(20_000):
            bench.alarms.set("mail", bench.time.boot() + 1e6 + number * 1e-3)
        assert len(bench.alarms._heap) < 100

    bench.live(work)
