"""CloudBase's scenarios that take minutes and months: engine, provider and stand-in are real, time is virtual."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from freshd.errors import FreshdError
from tests.flow.cloudbase_stage import ANOTHER, SHOWN
from tests.flow.cloudbase_world import DAY, HOUR, MINUTE, World
from tests.flow.scenarios import Row, Rows

Work = Callable[[World], Awaitable[object]]
WRONG: Final = "0000"


def lived_by(name: str, world: World, work: Work) -> Row:
    """All is well, then this."""
    world.live(lambda: work(world))
    return world.row(name)


# -- somebody else ------------------------------------------------------------------------------------------------


async def stranger_once(world: World) -> None:
    world.levers.stranger("a")
    await world.read(6 * HOUR)


def every(seconds: float, lasts: float) -> Work:
    """Somebody else signs in again and again."""

    async def work(world: World) -> None:
        for _ in range(int(lasts / seconds)):
            world.levers.stranger("a")
            await world.read(seconds, parked=True)
            if world.daemon.state("a").parked is not None:
                return

    return work


def killed_between() -> Row:
    """Somebody signs in every minute, the access token dies with the session, and the daemon is killed every two."""
    world = World(PUSHED_OUT_ACCESS_LIVES=False)

    async def work() -> None:
        for _ in range(2):
            world.levers.stranger("a")
            await world.read(MINUTE, look=10.0)

    world.live(work)
    for _ in range(20):
        world.again(work)
    return world.row("stranger-and-restarts")


def two_machines(name: str, **constants: Any) -> Row:
    """Two daemons with the same password, for a day, or until a person is needed at the first."""
    world = World(daemons=2, **constants)

    async def work() -> None:
        for _ in range(int(DAY / MINUTE)):
            await world.daemons[1].token("a", MINUTE, 5.0)
            await world.read(MINUTE, parked=True)

    world.live(work)
    return world.row(name)


# -- lost answers -------------------------------------------------------------------------------------------------


def lost(fault: str, count: int) -> Work:
    """The answers of so many renewals are lost."""

    async def work(world: World) -> None:
        world.fault(fault, count=count)
        await world.read(6 * HOUR)

    return work


# -- the service's no ---------------------------------------------------------------------------------------------


def refused(error: str, times: int, **more: Any) -> Work:
    """The next renewals are refused so."""

    async def work(world: World) -> None:
        world.order(error, count=times, **more)
        await world.read(6 * HOUR, parked=True)

    return work


def signin_refused(error: str, times: int, **more: Any) -> Work:
    """Somebody else signs in, and our own sign-ins after that are refused so."""

    async def work(world: World) -> None:
        world.order(error, "signin", count=times, **more)
        world.levers.stranger("a")
        await world.read(6 * HOUR, parked=True)

    return work


def wrong_password() -> Row:
    """It was changed at the service; the daemon is restarted thrice, then the right one is stored."""
    world = World()

    async def work() -> None:
        world.change_password()
        world.levers.stranger("a")
        await world.read(3 * HOUR, parked=True)

    async def rest() -> None:
        await world.read(HOUR)

    async def repaired() -> None:
        await asyncio.sleep(MINUTE)
        world.store(ANOTHER)
        await world.read(HOUR)

    world.live(work)
    told = world.row("wrong-password-and-restarts")
    for _ in range(3):
        world.again(rest)
    world.again(repaired)
    return replace(told, calls=world.row("").calls, healed=world.row("").healed)


def key_rotated(*, is_stored: bool) -> Row:
    """A new key for tickets is made, so that the old one ends two hours later; a stranger signs in after three."""
    world = World("custom")

    async def work() -> None:
        fresh = world.levers.make_key()
        await world.read(HOUR)
        if is_stored:
            world.store(json.dumps(fresh))
        await world.read(2 * HOUR)
        world.levers.stranger("a")
        await world.read(3 * HOUR, parked=True)
        if not is_stored:
            world.store(json.dumps(fresh))
            with contextlib.suppress(FreshdError):  # it says that the next sign-in may come in some minutes
                await world.daemon.operate("refresh", "a")
            await world.read(12 * MINUTE)

    world.live(work)
    return world.row("key-rotated-and-stored" if is_stored else "key-rotated-and-forgotten")


# -- captchas -----------------------------------------------------------------------------------------------------


async def met_captcha(world: World) -> None:
    """Others have tried wrong passwords, and our session ends."""
    world.guess(5)
    world.levers.stranger("a")
    await world.read(3 * HOUR, parked=True)


def answered(name: str, work: Work, **constants: Any) -> Row:
    """What an operator does with the captcha; what was asked of the service by then counts."""
    world = World(**constants)

    async def both() -> None:
        await met_captcha(world)
        await work(world)

    world.live(both)
    return world.row(name)


async def right(world: World) -> None:
    assert await world.enrol() == ""
    await world.read(HOUR)


async def wrong_twice(world: World) -> None:
    """Then nothing is shown for ten minutes, and then it is right."""
    for _ in range(2):
        assert await world.typed(await world.asked(), WRONG) == "next-step"
    try:
        await world.asked()
    except FreshdError as error:
        assert "answered wrongly twice" in error.cause  # noqa: PT017 - the only way to ask
    else:
        raise AssertionError("a third challenge was shown")
    await asyncio.sleep(11 * MINUTE)
    assert await world.enrol() == ""


async def late(world: World) -> None:
    """Six minutes for a picture that lives five; the next one is answered in time."""
    asked = await world.asked()
    await asyncio.sleep(6 * MINUTE)
    assert await world.typed(asked, SHOWN) != ""
    assert await world.enrol() == ""


# -- time ---------------------------------------------------------------------------------------------------------


def months(name: str, world: World, days: float = 90.0, look: float = 6 * HOUR) -> Row:
    """Nothing happens but time; it ends where a person is needed."""

    async def work() -> None:
        await world.read(days * DAY, look=look, parked=True)

    world.live(work)
    left = [event.fields["seconds_left"] for _, event in world.daemon.events if event.name == "grant.ending"]
    row = world.row(name)
    return replace(row, detail=", ".join(f"{float(str(seconds)) / DAY:.2f}" for seconds in left))


def revoked() -> Row:
    """An operator ends it."""
    world = World("import")

    async def work() -> None:
        await world.daemon.operate("revoke", "a")

    world.live(work)
    return world.row("revoked")


def lived() -> Rows:
    """All of it."""
    rows = (
        lived_by("stranger-once", World(), stranger_once),
        lived_by("stranger-every-hour-for-a-day", World(), every(HOUR, DAY)),
        lived_by("stranger-every-5-min-for-a-day", World(PUSHED_OUT_ACCESS_LIVES=False), every(5 * MINUTE, DAY)),
        killed_between(), two_machines("two-machines-a-day"), two_machines("two-machines-limit-2", SESSION_LIMIT=2),
        lived_by("refresh-lost-before", World(), lost("lost_before_commit", 1)),
        lived_by("refresh-lost-after", World(), lost("lost_after_commit", 1)),
        lived_by("refresh-lost-before-5-times", World(), lost("lost_before_commit", 5)),
        lived_by("import-lost-before-5-times", World("import"), lost("lost_before_commit", 5)),
        lived_by("aborted-twice", World(), refused("aborted", 2)),
        lived_by("signin-aborted-for-ever", World(), signin_refused("aborted", 20)),
        lived_by("signin-locked", World(), signin_refused("invalid_status", 1, retry_s=1800.0)),
        lived_by("signin-locked-for-ever", World(), signin_refused("invalid_status", 20, retry_s=1800.0)),
        lived_by("too-frequent-half-an-hour", World(), refused("resource_exhausted", 1, retry_s=1800.0)),
        lived_by("unknown-code-twice", World(), refused("something_new", 2)),
        lived_by("unknown-code-for-ever", World(), refused("something_new", 50)),
        lived_by("access-token-expired-of-the-gateway", World(), refused("ACCESS_TOKEN_EXPIRED", 1, speech="gateway")),
        wrong_password(), key_rotated(is_stored=True), key_rotated(is_stored=False),
        answered("captcha-right", right), answered("captcha-wrong-twice", wrong_twice), answered("captcha-late", late),
        answered("captcha-token-in-the-header", right, CAPTCHA_PLACE="header"),
        months("90-days-password", World()), months("90-days-import", World("import"), look=15 * MINUTE),
        months("35-days-import-that-slides", World("import", REFRESH_LIFE_RENEWS=True), days=35.0),
        months("90-days-client-credentials", World("client-credentials")),
        months("90-days-api-key", World("api-key"), days=89.0),
        months("a-day-without-refresh-tokens", World("anonymous", NO_REFRESH_TOKEN_FOR=["anonymous"]), days=1.0),
        revoked(),
    )  # fmt: skip
    return {row.name: row for row in rows}
