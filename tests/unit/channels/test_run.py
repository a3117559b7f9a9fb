"""All channels of a daemon: what a reload does and does not do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.channels.links import Links
from freshd.channels.run import Channels
from freshd.core.events import Event
from freshd.core.settings import ChannelSettings
from tests.fakes.time import VirtualTime, run
from tests.unit.channels.channel_parts import AGAIN, KICKED, LOST, Engine, Script, stays

ONE = ChannelSettings("one", "toy", "mail", {"host": "a"})
TWO = ChannelSettings("two", "toy", "mail", {"host": "b"})
ALONE = ChannelSettings("alone", "toy", None)


class House:
    def __init__(self, time: VirtualTime, *acts: Any, goodbye: float = 0.1, follows: bool = False) -> None:
        self._goodbye, self._follows = goodbye, follows
        self.time, self.events, self.scripts = time, list[Event](), list[tuple[str, Script]]()
        self.log = list[str]()
        self._acts = acts or (stays(1e6, LOST),)
        self.engine = Engine(time)
        links = Links(time, self.events.append, self.engine, lambda: 0.0)
        self.channels = Channels(links, self._spawn, self._make)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    def _make(self, settings: ChannelSettings) -> Script:
        script = Script(self.time, list(self._acts), self._follows, log=self.log, goodbye=self._goodbye)
        self.scripts.append((settings.name, script))
        return script

    def dials(self, name: str) -> int:
        return sum(len(script.dials) for made, script in self.scripts if made == name)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


def test_a_reload_touches_only_what_changed(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time)
        house.channels.configure([ONE, TWO])
        await asyncio.sleep(1)
        house.channels.configure([ONE, replace(TWO, options={"host": "c"})])
        await asyncio.sleep(1)
        assert (house.dials("one"), house.dials("two")) == (1, 2)
        await house.channels.aclose()

    run(time, work())


def test_a_changed_channel_has_ended_before_the_new_one_logs_in(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time)
        house.channels.configure([ONE])
        await asyncio.sleep(1)
        old = house.scripts[0][1]
        house.channels.configure([replace(ONE, options={"host": "c"})])
        await asyncio.sleep(1)
        assert (old.closed, len(house.scripts[1][1].dials)) == (1, 1)
        assert house.log == ["in", "out", "in"]
        await house.channels.aclose()

    run(time, work())


STEPS: dict[str, Callable[[int], list[ChannelSettings]]] = {
    "change": lambda number: [replace(ONE, options={"host": f"h{number}"})],
    "remove": lambda _: [],
    "put back": lambda _: [ONE],
    "rename": lambda number: [replace(ONE, name=f"one{number}")],
}


def is_alone(log: list[str]) -> bool:
    """Whether no login began while another one was in its place."""
    inside = itertools.accumulate({"in": 1, "out": -1}[word] for word in log)
    return all(count <= 1 for count in inside)


@pytest.mark.parametrize(
    "steps", [("change", "change"), ("remove", "put back"), ("change", "remove", "put back"), ("rename", "put back")]
)
def test_whatever_is_reloaded_while_a_login_closes_there_are_never_two(
    time: VirtualTime, steps: tuple[str, ...]
) -> None:
    async def work() -> None:
        house = House(time, goodbye=2.0)
        house.channels.configure([ONE])
        await asyncio.sleep(1)
        for number, step in enumerate(steps):
            house.channels.configure(STEPS[step](number))
            await asyncio.sleep(0.5)
        await asyncio.sleep(10)
        assert is_alone(house.log), house.log
        assert house.log[-1] == "in"
        await house.channels.aclose()

    run(time, work())


@given(
    st.lists(st.tuples(st.sampled_from([*STEPS, "lease", "kick"]), st.sampled_from([0.0, 0.3, 1.0, 5.0])), max_size=12)
)
def test_no_reload_and_no_lease_makes_two_logins(steps: list[tuple[str, float]]) -> None:
    time = VirtualTime()

    async def work() -> None:
        house = House(time, stays(4, AGAIN), goodbye=1.0, follows=True)
        house.channels.configure([ONE])
        for number, (step, seconds) in enumerate(steps):
            await asyncio.sleep(seconds)
            if step == "lease":
                house.engine.publish()
            elif step == "kick":
                house.channels.call("mail")
            else:
                house.channels.configure(STEPS[step](number))
        await asyncio.sleep(10)
        await house.channels.aclose()
        assert is_alone(house.log), house.log
        assert house.log.count("in") == house.log.count("out")

    run(time, work())


def test_a_login_that_closes_for_a_newer_lease_is_not_cut_short_by_a_reload(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time, goodbye=2.0, follows=True)
        house.channels.configure([ONE])
        await asyncio.sleep(1)
        house.engine.publish()
        await asyncio.sleep(0.5)
        house.channels.configure([replace(ONE, options={"host": "c"})])
        await asyncio.sleep(10)
        assert house.log == ["in", "out", "in"]
        assert house.scripts[0][1].cut == 0
        await house.channels.aclose()

    run(time, work())


def test_what_is_not_configured_any_more_ends_and_its_alerts_with_it(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time)
        house.channels.configure([ONE, TWO])
        await asyncio.sleep(1)
        house.channels.configure([TWO])
        await asyncio.sleep(1)
        assert [(event.account, event.fields["channel"]) for event in house.events if event.name == "channel.closed"]
        assert list(house.channels.views("mail")) == ["two"]
        assert house.scripts[0][1].closed == 1
        await house.channels.aclose()

    run(time, work())


@pytest.mark.parametrize("how", ["reload", "verb", "enrolled"])
def test_what_has_stopped_goes_on_with_a_reload_a_refresh_or_an_enrolment(time: VirtualTime, how: str) -> None:
    async def work() -> None:
        house = House(time, stays(1, KICKED), stays(1e6, LOST))
        house.channels.configure([ONE])
        await asyncio.sleep(100)
        assert house.dials("one") == 1
        if how == "reload":
            house.channels.configure([ONE])
        elif how == "verb":
            house.channels.call("mail")
        else:
            house.channels.tell(Event("account.enrolled", "mail"))
        await asyncio.sleep(1)
        assert house.dials("one") == 2
        await house.channels.aclose()

    run(time, work())


def test_a_channel_that_is_up_does_not_notice_a_call(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time)
        house.channels.configure([ONE])
        await asyncio.sleep(1)
        house.channels.call("mail")
        house.channels.configure([ONE])
        await asyncio.sleep(1)
        assert house.dials("one") == 1
        await house.channels.aclose()

    run(time, work())


def test_channels_are_shown_with_the_account_they_log_in_with(time: VirtualTime) -> None:
    async def work() -> None:
        house = House(time)
        house.channels.configure([ONE, TWO, ALONE])
        await asyncio.sleep(1)
        assert sorted(house.channels.views("mail")) == ["one", "two"]
        assert house.channels.views("other") == {}
        assert house.dials("alone") == 1
        await house.channels.aclose()
        assert all(script.closed == 1 for _, script in house.scripts)

    run(time, work())
