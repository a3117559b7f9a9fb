"""One family on virtual time: flights, their callers, and a store that fails, with nothing real but the rules."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.events import Event
from freshd.core.happenings import Booted, Demanded, Due, Forgotten, Refused, Settled
from freshd.core.lifecycle import is_in_air
from freshd.core.model import Intent, Record
from freshd.core.outcome import Lost, NotSent, Performed, Remedy
from freshd.core.state import Parked, Phase, State
from freshd.exchange import Exchange
from freshd.herds import Herds
from freshd.keeper import Keeper, Shelf
from freshd.pacer import Pacer
from freshd.tokens import Published
from tests.fakes.provider import FakeProvider, Said, enrolled, plan_for, refusal, tokens
from tests.fakes.time import FakeAlarms, Idle, VirtualTime, run
from tests.fakes.vault import FULL, FakeVault

HOUR = 3600.0
SLOW = 2.0
Answer = Callable[[Record, Intent], Awaitable[Performed]]


def slowly(said: Performed, seconds: float = SLOW) -> Answer:
    async def answer(_record: Record, _intent: Intent) -> Performed:
        await asyncio.sleep(seconds)
        return said

    return answer


class Home:
    """A keeper with one or two accounts of one family; `disk` may come from an earlier life."""

    def __init__(self, *script: Said, vault: FakeVault | None = None, **options: Any) -> None:
        self.time = VirtualTime()
        self.vault = vault or FakeVault(wall=lambda: self.time.now().wall)
        self.provider = FakeProvider("mail", *script, **options)
        self.told: list[str] = []
        self.shown: list[Published] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.alarms = FakeAlarms(self.time, lambda account: self.keeper.post(account, Due()))
        herds = Herds(self.time, self.tell, lambda *_: None, lambda _names: None)
        shelf = Shelf(self.time, self.alarms, self.spawn, self.tell, self.shown.append, lambda _account: None, herds)
        self.keeper = Keeper(Exchange(self.vault, Pacer(), self.time), shelf)
        if not self.vault.disk.records:
            self.vault.disk.records["mail"] = enrolled("mail", self.time.now())

    def tell(self, event: Event) -> None:
        self.told.append(event.name)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> object:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    @property
    def state(self) -> State:
        return self.keeper.accounts["mail"]

    def boot(self) -> None:
        self.keeper.adopt(plan_for(self.provider), self.provider)
        self.keeper.post("mail", Booted(self.vault.standing("mail"), self.vault.high_water))

    def live(self, work: Callable[[], Awaitable[None]]) -> None:
        async def life() -> None:
            self.boot()
            await work()

        run(self.time, life())

    async def until(self, phase: Phase) -> None:
        while self.state.phase is not phase:
            await self.keeper.changed("mail")


def test_a_life_goes_on_by_its_alarms_alone() -> None:
    home = Home(*(tokens(number) for number in range(2, 12)))

    async def work() -> None:
        await asyncio.sleep(5 * HOUR)

    home.live(work)
    assert home.state.refreshes >= 5
    assert [published.lease.generation for published in home.shown] == list(range(1, home.state.refreshes + 2))


def test_I4_an_answer_that_is_not_durable_is_published_when_it_is_and_not_before() -> None:
    home = Home(tokens(2))

    async def work() -> None:
        home.vault.broken["escrow"] = FULL
        await home.until(Phase.UNSAVED)
        await asyncio.sleep(30.0)
        assert home.state.phase is Phase.UNSAVED
        assert len(home.shown) == 1
        assert home.told.count("save.failed") == 1
        home.vault.broken.clear()
        home.vault.broken["commit"] = FULL
        await asyncio.sleep(30.0)
        assert len(home.shown) == 1
        home.vault.broken.clear()
        await home.until(Phase.LIVE)

    home.live(work)
    assert home.shown[-1].lease.generation == 2
    assert home.told.count("save.recovered") == 1
    assert len(home.provider.presented) == 1


def test_an_answer_is_written_again_even_when_no_alarm_rings_any_more() -> None:
    home = Home(tokens(2))

    async def work() -> None:
        home.vault.broken["commit"] = FULL
        await home.until(Phase.UNSAVED)
        home.alarms.cancel("mail")
        home.vault.broken.clear()
        await home.until(Phase.LIVE)

    home.live(work)
    assert home.state.refreshes == 1


def test_a_caller_that_goes_away_cancels_no_flight() -> None:
    home = Home(slowly(tokens(2), 10.0))

    async def work() -> None:
        await asyncio.sleep(HOUR / 2 + 60.0)
        home.keeper.post("mail", Demanded(HOUR))
        callers = [asyncio.ensure_future(home.keeper.landed("mail")) for _ in range(3)]
        await asyncio.sleep(1.0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await home.keeper.landed("mail")

    home.live(work)
    assert home.state.refreshes == 1


def test_readers_that_wait_together_do_not_wake_each_other_for_ever() -> None:
    """Each asks again whenever something changed; asking must not be a change."""
    home = Home(slowly(tokens(2), 10.0))
    woken = 0

    async def reader() -> None:
        nonlocal woken
        while home.state.refreshes == 0:
            home.keeper.post("mail", Demanded(HOUR))
            await home.keeper.changed("mail")
            woken += 1
            assert woken < 100

    async def work() -> None:
        await asyncio.sleep(HOUR / 2 + 60.0)
        await asyncio.gather(*(reader() for _ in range(10)))

    home.live(work)
    assert woken <= 30


def test_I1_one_flight_of_a_family_at_a_time() -> None:
    home = Home(*(slowly(tokens(number), 5.0) for number in range(2, 4)))
    other = FakeProvider("calendar", *(slowly(tokens(number), 5.0) for number in range(2, 4)))
    home.vault.disk.records["calendar"] = enrolled("calendar", home.time.now())
    busy: list[int] = []

    def watch(provider: FakeProvider) -> None:
        inner = provider.perform

        async def perform(rung: str, record: Record, intent: Intent) -> Performed:
            busy.append(1)
            assert sum(busy) == 1
            try:
                return await inner(rung, record, intent)
            finally:
                busy.pop()

        provider.perform = perform  # type: ignore[method-assign]

    async def work() -> None:
        watch(home.provider)
        watch(other)
        home.keeper.adopt(plan_for(other), other)
        home.keeper.post("calendar", Booted(home.vault.standing("calendar"), 0.0))
        await asyncio.sleep(HOUR)

    home.live(work)
    assert len(home.provider.presented) == len(other.presented) == 1


@pytest.mark.parametrize("bug", [RuntimeError("x"), asyncio.CancelledError()])
def test_no_bug_leaves_an_account_in_the_air_for_ever(bug: BaseException) -> None:
    home = Home(bug, tokens(2))

    async def work() -> None:
        async def fall_over() -> None:
            home.provider.preparing = None
            raise bug

        home.provider.preparing = fall_over
        await asyncio.sleep(HOUR + 60.0)

    home.live(work)
    assert not is_in_air(home.state)
    assert home.state.refreshes == 1
    assert [intent.replays for _, intent in home.provider.presented] == [0, 1]


def test_an_outlet_that_raises_stops_no_flight() -> None:
    home = Home(slowly(tokens(2)))

    async def work() -> None:
        await asyncio.sleep(60.0)
        lease = home.state.lease
        assert lease is not None
        object.__setattr__(home.keeper._shelf, "tell", _raise)
        with pytest.raises(RuntimeError):
            home.keeper.post("mail", Refused(lease.fingerprint, dead=True))
        assert is_in_air(home.state)
        object.__setattr__(home.keeper._shelf, "tell", lambda _event: None)
        await home.keeper.landed("mail")

    home.live(work)
    assert home.state.refreshes == 1


def _raise(_event: Event) -> None:
    raise RuntimeError("an outlet's bug")


def test_a_flight_keeps_the_provider_it_was_launched_with() -> None:
    home = Home(slowly(tokens(2)))
    other = FakeProvider("mail", tokens(3))

    async def work() -> None:
        home.keeper.post("mail", Refused(enrolled("mail", home.time.now()).lease.fingerprint, dead=True))  # type: ignore[union-attr]
        assert is_in_air(home.state)
        home.keeper.adopt(plan_for(other), other)
        await home.keeper.landed("mail")

    home.live(work)
    assert (len(home.provider.presented), len(other.presented)) == (1, 0)


def test_an_operators_write_waits_for_the_flight_and_makes_no_writer_stale() -> None:
    home = Home(slowly(tokens(2), 10.0))

    async def work() -> None:
        await asyncio.sleep(HOUR)
        assert home.state.refreshes == 1
        async with home.keeper.quiet("mail"):
            await home.vault.forget("mail")
            home.keeper.post("mail", Forgotten())
        await asyncio.sleep(2 * HOUR)

    home.live(work)
    assert home.state.phase is Phase.VACANT
    assert home.vault.disk.records == {}
    assert len(home.provider.presented) == 1


def test_I5_a_replay_survives_kills_with_its_count_and_its_first_moment() -> None:
    """Killed again and again in the middle of the call: every life knows of every presentation before."""
    vault = FakeVault()
    counts: list[int] = []
    for life in range(5):
        home = Home(slowly(tokens(2), 1e5), vault=vault)
        if not vault.disk.intents and life:
            raise AssertionError("the intent was lost")

        async def work(home: Home = home) -> None:
            await home.until(Phase.SPENDING)
            await asyncio.sleep(1.0)
            assert home.provider.presented

        home.live(work)
        counts.append(home.provider.presented[0][1].replays)
    assert counts == [0, 1, 2, 3, 4]


def test_a_lost_answer_of_a_strict_account_parks_and_a_grace_account_goes_on() -> None:
    for contract, refreshes in ((Contract(), 0), (Contract(Reuse.GRACE, 30.0), 1)):
        home = Home(
            Lost("gone"), refusal("invalid_grant", Remedy.CLIMB) if not refreshes else tokens(2), contract=contract
        )

        async def work() -> None:
            await asyncio.sleep(HOUR + 60.0)

        home.live(work)
        assert home.state.refreshes == refreshes
        parked: Parked | None = home.state.parked
        assert (parked is not None) == (refreshes == 0)


def test_an_outage_of_hours_ends_with_a_refresh_and_no_more_calls_than_back_off_allows() -> None:
    home = Home(*(NotSent("no route") for _ in range(60)), tokens(2))

    async def work() -> None:
        await asyncio.sleep(8 * HOUR)

    home.live(work)
    assert home.state.refreshes == 1


def test_settling_is_told_and_changes_no_secret() -> None:
    home = Home()

    async def work() -> None:
        before = home.state.standing
        home.keeper.post("mail", Settled(settled=False))
        home.keeper.post("mail", Settled(settled=True))
        assert dataclasses.replace(home.state.standing, settled=before.settled) == before

    home.live(work)


def test_a_deadlock_of_a_test_is_seen_and_not_waited_for() -> None:
    time = VirtualTime()

    async def wait_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Idle):
        run(time, wait_for_nobody())
