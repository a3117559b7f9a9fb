"""GeniusAuth's scenarios that take minutes and days: engine, provider and stand-in are real, time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.service import REFRESH_PATH
from freshd.sandbox.geniusauth.state import Broken
from tests.flow.geniusauth_world import APP, DAY, HOUR, MINUTE, SECRET, World
from tests.flow.scenarios import Row, Rows

HERD: Final = ("a", "b", "c")
Strike = Callable[[World], None]


# -- 31 -----------------------------------------------------------------------------------------------------------


def ended(world: World) -> None:
    """Somebody ended the login on the dashboard."""
    world.service.levers.end(world.now, app_code=None, label="a", uid=None)


def removed(world: World) -> None:
    world.service.levers.remove_person(8, world.now)


def believed(name: str, strike: Strike) -> Row:
    """31 for one account: asked again after 5 s, 30 s and 2 min, then believed."""
    world = World()

    async def work() -> None:
        strike(world)
        await world.read(HOUR, parked=1)

    world.live(work)
    return world.row(name)


def for_a_while(name: str, *codes: int) -> Row:
    """The next renewals are refused with these codes, then answered."""
    world = World()

    async def work() -> None:
        for code in codes:
            world.order(code, count=1)
        await world.read(30 * MINUTE)

    world.live(work)
    return world.row(name)


def unknown() -> Row:
    """A code that stands in no table, and a failure's status: five minutes pass, then it is asked for again."""
    world = World()

    async def work() -> None:
        world.order(99, count=1, status=500)
        await world.read(30 * MINUTE)

    world.live(work)
    return world.row("unknown-code-99-with-500")


def shared(name: str, strike: Strike, *uids: int) -> Row:
    """Three accounts are refused at once, for good: one alert, an hour of rare questions, then a person for each."""
    world = World(*HERD)
    for uid in uids:
        world.service.levers.put_person(Person(uid=uid, name=f"user {uid}"), world.now)
    world.uids |= dict(zip(HERD, uids, strict=False))

    async def work() -> None:
        strike(world)
        await world.read(2 * HOUR, parked=len(HERD))

    world.live(work)
    return world.row(name)


def regrouped(world: World) -> None:
    """The user's groups change."""
    world.service.levers.raise_oid(8, world.now)


def app_regrouped(world: World) -> None:
    """The groups that the application allows are edited."""
    world.service.levers.change_app(App(app_code=APP, secret=SECRET, groups=("ops", "dev")), world.now)


def broken(name: str, what: Broken, seconds: float, *names: str) -> Row:
    """Something inside the service is broken for so long."""
    world = World(*names)

    async def work() -> None:
        world.service.state.broken = what
        await world.read(seconds)
        world.service.state.broken = Broken.NOTHING
        await world.read(HOUR)

    world.live(work)
    return world.row(name)


def by_hand() -> Row:
    """The store fails for ten minutes while there is one account only, so 31 is believed; then an operator tries."""
    world = World()

    async def work() -> None:
        world.service.state.broken = Broken.STORE
        await world.read(10 * MINUTE)
        world.service.state.broken = Broken.NOTHING
        await world.daemon.operate("refresh", "a")
        await world.read(MINUTE)

    world.live(work)
    return world.row("store-failure-one-account-by-hand")


# -- the clock ----------------------------------------------------------------------------------------------------


def wrong_clock(name: str, *, ours: float = 0.0, theirs: float = 0.0) -> Row:
    """A clock is wrong from the beginning: ours or the service's."""
    world = World(wall_error=ours)
    world.service.state.offset_s = theirs
    world.live(lambda: world.read(3 * HOUR))
    return replace(world.row(name), calls=_all_calls(world))


def _all_calls(world: World) -> tuple[str, ...]:
    """From the very first on: a wrong clock is met there."""
    world.since = 0.0
    return world.row("").calls


def stepped_clock() -> Row:
    """Somebody sets our clock an hour ahead while all goes well."""
    world = World()

    async def work() -> None:
        world.time.step(HOUR)
        await world.read(3 * HOUR)

    world.live(work)
    return world.row("our-clock-set-an-hour-ahead")


def login_with_a_wrong_clock() -> Row:
    """A login is signed by a clock that was proven before."""
    world = World(wall_error=-6 * MINUTE)

    async def work() -> None:
        await asyncio.sleep(DAY)
        world.time.step(12 * MINUTE)
        assert not await world.enrol()

    world.live(work)
    return world.row("login-clock-six-minutes-ahead")


# -- time ---------------------------------------------------------------------------------------------------------


def late_login() -> Row:
    """The address is pasted six minutes after the browser ended there."""
    world = World()

    async def work() -> None:
        assert "6" in await world.enrol(wait=6 * MINUTE)
        await world.read(10 * MINUTE)

    world.live(work)
    return world.row("login-token-six-minutes-old-6")


def deleted_but_cached() -> Row:
    """The application is deleted; its secret is believed for an hour after its last use."""
    world = World()

    async def work() -> None:
        world.service.levers.delete_app(APP, cached=True)
        await world.read(HOUR)
        await asyncio.sleep(2 * HOUR)
        await world.read(HOUR, parked=1)

    world.live(work)
    return world.row("app-deleted-and-cached-3")


def silent() -> Row:
    """Whatever is asked for is done, and no answer comes, for half an hour."""
    world = World()

    async def work() -> None:
        world.wire.faults[REFRESH_PATH] = ["lost"] * 1000
        await world.read(30 * MINUTE)
        world.wire.faults.clear()
        await world.read(30 * MINUTE)

    world.live(work)
    return world.row("no-answer-for-half-an-hour")


def killed() -> Row:
    """The process is killed while an access token lives, and started again."""
    world = World()
    world.live(lambda: world.read(MINUTE))
    world.strikes()
    world.again(lambda: world.read(2 * MINUTE))
    return world.row("killed-and-started-again")


def day(name: str, more: str, *, is_read: bool) -> Row:
    """A day, with readers or without."""
    world = World(more=more)
    world.live(lambda: world.read(DAY, look=MINUTE) if is_read else asyncio.sleep(DAY))
    return world.row(name)


def to_the_end() -> Row:
    """Nothing puts the end off: it is told long before, and comes."""
    world = World()

    async def work() -> None:
        await world.read(30 * DAY - HOUR, look=HOUR / 2)
        await world.read(2 * HOUR, parked=1)

    world.live(work)
    left = [event.fields["seconds_left"] for _, event in world.daemon.events if event.name == "grant.ending"]
    days = ", ".join(f"{float(str(seconds)) / DAY:.2f}" for seconds in left)
    row = world.row("fixed-end-after-30-days")
    return replace(row, detail=f"{row.detail}; told {days} days before")


def end_unread() -> Row:
    """Nobody reads while the end comes; who asks an hour later is believed at once."""
    world = World()

    async def work() -> None:
        await asyncio.sleep(30 * DAY + HOUR)
        await world.read(HOUR, parked=1)

    world.live(work)
    return world.row("fixed-end-met-an-hour-later")


def renewed_in_time() -> Row:
    """A person logs in again after three weeks: the login before is ended, and the end is a month away again."""
    world = World()

    async def work() -> None:
        await world.read(25 * DAY, look=6 * HOUR)
        world.strikes()
        assert not await world.enrol()
        await world.read(10 * DAY, look=6 * HOUR)

    world.live(work)
    return world.row("enrolled-anew-before-the-end")


def lived() -> Rows:
    """All of it."""
    rows = (
        believed("ended-on-the-dashboard-31", ended), believed("user-removed-31", removed),
        for_a_while("twice-31", 31, 31), for_a_while("31-with-a-4-between", 31, 31, 31, 4, 31, 31, 31),
        unknown(), shared("groups-of-the-user-changed", regrouped),
        shared("groups-of-the-app-edited", app_regrouped, 21, 22, 23),
        broken("store-failure-15-min", Broken.STORE, 15 * MINUTE, *HERD),
        broken("store-failure-45-s-one-account", Broken.STORE, 45.0), by_hand(),
        broken("database-4-half-an-hour", Broken.DATABASE, 30 * MINUTE),
        broken("fault-8-half-an-hour", Broken.FAULT, 30 * MINUTE),
        wrong_clock("our-clock-11-s-ahead", ours=11.0), wrong_clock("our-clock-6-min-behind", ours=-6 * MINUTE),
        wrong_clock("their-clock-11-s-behind", theirs=-11.0), wrong_clock("their-clock-6-min-ahead", theirs=6 * MINUTE),
        stepped_clock(), login_with_a_wrong_clock(), late_login(), deleted_but_cached(), silent(), killed(),
        day("on-demand-a-day", "", is_read=True), day("on-demand-a-day-unread", "", is_read=False),
        day("keep-warm-a-day", "keep_warm = true", is_read=False), to_the_end(), end_unread(),
        renewed_in_time(),
    )  # fmt: skip
    return {row.name: row for row in rows}
