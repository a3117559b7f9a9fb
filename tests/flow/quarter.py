"""Ninety virtual days of one Futu login and three brokers: all that the login layer is known, or feared, to do.

Run it: `python -m tests.flow.quarter [--days 90] [--log]`; it prints a table and exits with 1 if a promise was broken.

The service is the sandbox's own, called as a function; engine and provider are the real ones on virtual time.  "hk" is
read by a program all day and must never be without a lease that works or a code that was not spent; "us" has all the
misfortune; "sg" is asked for nothing, so that its code grows old.  The process ends only where the story kills it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from freshd.core.events import Event
from freshd.core.outcome import Reply
from freshd.core.state import Phase
from freshd.errors import NeedsConsent
from freshd.providers.http import Call
from freshd.sandbox.futu.books import Tally
from freshd.sandbox.futu.constants import FutuConstants
from freshd.sandbox.futu.credential import Standing
from freshd.sandbox.futu.levers import FutuLevers, Need, Opening, Thing
from freshd.sandbox.futu.script import Line, Spoiler
from freshd.sandbox.futu.service import FutuService
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.virtual import Daemon, Wire, fields_of, settings_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
BROKERS: Final = {1001: "hk", 1007: "us", 1008: "sg"}
NUMBER: Final = {name: number for number, name in BROKERS.items()}
LOOK_SECONDS: Final = 60.0
READ_SECONDS: Final = 300.0
EXCHANGE_SECONDS: Final = 1.0
"""While its code is being exchanged a broker has neither code nor lease; that is one call, and counted apart."""
AUTHORITY, REPULL, BROKER_AUTH = "/authority/", "/authority/repull_auth_code", "/broker_auth/client_auth"
WINDOW_SECONDS: Final = FutuConstants().FUTU_SIM_AUTHORITY_MIN_INTERVAL_S
CONFIGURATION: Final = """
[accounts.main]
kind = "futu"
account = "ann@example.org"
attribution = "hk"
readers = { users = ["root"] }
""" + "".join(
    f"""
[accounts.{name}]
kind = "futu-broker"
platform = "main"
broker_id = {number}
readers = {{ users = ["root"] }}
"""
    for number, name in BROKERS.items()
)


class Killed(Exception):
    """The story ends the process here."""


@dataclass
class Chapter:
    """One piece of the story: when it begins (days), what it says, and how it went."""

    day: float
    title: str
    play: Callable[[Quarter, Chapter], object]
    notes: list[str] = field(default_factory=list)


class Quarter:
    """The world: service, disk, time; and the process that lives in it."""

    def __init__(self, days: float) -> None:
        self.days = days
        self.time = VirtualTime()
        self.disk = Disk()
        self.service = FutuService()
        self.levers = FutuLevers(self.service.state)
        self.wire = Wire(self.time, self._serve)
        self.uid = 0
        self.bare: dict[str, float] = defaultdict(float)
        """Broker → seconds without a lease that works and without a code that was not spent."""
        self.refused: list[str] = []
        self.reads: Counter[str] = Counter()
        self.unserved: Counter[str] = Counter()
        self.restarts = 0
        self.visits: list[str] = []
        self.events: list[tuple[float, Event]] = []
        self.troubled: set[str] = {"us", "sg"}
        self.daemon = self._process()

    # -- the service's side -----------------------------------------------------------------------------------------

    def _serve(self, call: Call, now: float, eaten: str | None) -> Reply:
        query, body = fields_of(call)
        parts = urlsplit(call.url)
        status, headers, answer = self.service.handle(
            call.method, parts.path, query, {**call.headers, "Host": parts.netloc}, body, now, lost_by=eaten
        )
        return Reply(status, tuple(headers.items()), json.dumps(answer).encode())

    @property
    def now(self) -> float:
        return EPOCH + self.time.true

    @property
    def tally(self) -> Tally:
        return self.service.state.books.tally(self.uid)

    def order(self, operation: str, broker: str | None = None, **line: object) -> None:
        """Order answers of an operation."""
        number = None if broker is None else NUMBER[broker]
        self.service.state.script.add(Line(operation=operation, uid=self.uid, broker_id=number, **line))  # type: ignore[arg-type]

    def works(self, broker: str) -> bool:
        """Whether the signature that readers of a broker are given is one the service takes."""
        held = self.daemon.desk.lease(broker)
        known = self.levers.broker(self.uid, NUMBER[broker]).sigs.find(
            "" if held is None else held.lease.token.reveal()
        )
        return known is not None and known.standing(EPOCH + self.time.true) is Standing.LIVE

    # -- the process ------------------------------------------------------------------------------------------------

    def _process(self) -> Daemon:
        return Daemon(settings_of(CONFIGURATION), self.wire, self.disk)

    def live(self, chapters: Sequence[Chapter]) -> None:
        """All chapters, and the days between them."""
        self._open()
        left = [chapter for chapter in chapters if chapter.day < self.days]
        while True:
            with contextlib.suppress(Killed):
                self.daemon.live(lambda: self._lives(left))
                break
            self.events += self.daemon.events
            self.restarts += 1
            self.wire.hanging.clear()
            self.daemon = self._process()
        self.events += self.daemon.events

    def _open(self) -> None:
        opening = Opening(label="main", account="ann@example.org")
        known = self.levers.open(opening, BROKERS, EPOCH)
        self.uid = int(str(known["uid"]))
        self.imported = {key: str(value) for key, value in known.items() if isinstance(value, str | int) and value}

    async def _lives(self, left: list[Chapter]) -> None:
        if not self.disk.records:
            await self.daemon.operate("import", "main", secrets=self.imported)
        async with contextlib.AsyncExitStack() as stack:
            for work in (self._read("hk"), self._read("us"), self._look()):
                await stack.enter_async_context(_beside(work))
            while left:
                await asyncio.sleep(max(0.0, left[0].day * DAY - self.time.true))
                chapter = left.pop(0)
                await _awaited(chapter.play(self, chapter))
            await asyncio.sleep(max(0.0, self.days * DAY - self.time.true))

    async def _read(self, broker: str) -> None:
        """A program that logs in with what it is given, and says so when that is refused."""
        while True:
            got = await self.daemon.token(broker)
            self.reads[broker] += 1
            self.unserved[broker] += got is None
            if got is not None and not self.works(broker):
                held = self.daemon.desk.lease(broker)
                self.daemon.desk.refused(broker, "" if held is None else held.fingerprint, None, "990005")
                self.refused.append(f"{broker} on day {self.time.true / DAY:.2f}")
            await asyncio.sleep(READ_SECONDS if got is not None and self.works(broker) else 1.0 if got else 60.0)

    async def _look(self) -> None:
        since: dict[str, float] = {}
        while True:
            await asyncio.sleep(EXCHANGE_SECONDS)
            for name in BROKERS.values():
                if self._is_bare(name):
                    self.bare[name] += self.time.true - since.get(name, self.time.true)
                    since[name] = self.time.true
                else:
                    since.pop(name, None)
            if not since:
                await asyncio.sleep(LOOK_SECONDS)

    def _is_bare(self, name: str) -> bool:
        record = self.disk.records.get(name)
        grant = None if record is None else record.grant
        has_code = grant is not None and "auth_code" in grant.secrets
        return not has_code and not self.daemon.has_lease(name) and self.time.true > MINUTE


@contextlib.asynccontextmanager
async def _beside(work: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _awaited(found: object) -> None:
    if asyncio.iscoroutine(found):
        await found


# -- what a person does ---------------------------------------------------------------------------------------------


async def enrol(world: Quarter, account: str) -> str:
    """A person at the command line, with the phone in hand: until the daemon says that it is done."""
    operate = world.daemon.operate
    for _ in range(20):
        try:
            begun = await operate("enrol-begin", account)
        except NeedsConsent:
            begun = await operate("enrol-begin", account, consent=True)
        brought = {"session": begun["session"]}
        if begun["prompt"] is not None:
            sms = world.levers.account(world.uid).phone
            brought["code"] = sms[-1] if sms and "SMS" in begun["prompt"] else "yes"
        while (done := await operate("enrol-finish", account, **brought))["done"] is False:
            if done["pending"] == "next-step":
                break
            await asyncio.sleep(max(1.0, float(begun["interval"])))
        if done["done"]:
            world.visits.append(f"{account} on day {world.time.true / DAY:.2f}")
            return "enrolled"
    return "never done"


# -- the story ------------------------------------------------------------------------------------------------------


def signature_refused(world: Quarter, _chapter: Chapter) -> None:
    world.levers.void(world.uid, Thing.BROKER_SIG, NUMBER["hk"])


def no_valid_cid_once(world: Quarter, _chapter: Chapter) -> None:
    world.order("repull", "us", code=20029, count=1)


def web_sig_refused(world: Quarter, _chapter: Chapter) -> None:
    world.levers.void(world.uid, Thing.WEB_SIG, None)


def web_sig_empty(world: Quarter, _chapter: Chapter) -> None:
    world.order("authority", spoil=Spoiler.EMPTY_WEB_SIG, count=1)
    world.levers.void(world.uid, Thing.WEB_SIG, None)


async def code_burnt_by_a_crash(world: Quarter, chapter: Chapter) -> None:
    """The kill comes between the spending of the code and its answer."""
    world.wire.hanging.add(BROKER_AUTH)
    before = len(world.wire.calls)
    world.levers.void(world.uid, Thing.BROKER_SIG, NUMBER["us"])
    while not any(path == BROKER_AUTH for _, path in world.wire.calls[before:]):  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.05)
    chapter.notes.append("killed 0.1 s after the code had left")
    raise Killed


def answers_lost(world: Quarter, _chapter: Chapter) -> None:
    world.wire.faults[f"{REPULL} {NUMBER['us']}"] = ["lost", "html"]
    world.wire.faults[f"{BROKER_AUTH} {NUMBER['us']}"] = ["lost", "unsent"]


async def login_answer_lost(world: Quarter, chapter: Chapter) -> None:
    world.wire.faults[AUTHORITY] = ["lost"]
    world.levers.void(world.uid, Thing.WEB_SIG, None)
    await _later(world, chapter, HOUR)


async def codes_expire(world: Quarter, chapter: Chapter) -> None:
    for name in ("us", "sg"):
        world.levers.expire(world.uid, Thing.AUTH_CODE, NUMBER[name], world.now)
    world.levers.void(world.uid, Thing.BROKER_SIG, NUMBER["us"])
    got = await world.daemon.token("sg", wait=600.0)
    chapter.notes.append(f"sg, asked for the first time: {'served' if got else 'NOT served'}")


async def no_valid_cid_for_ever(world: Quarter, chapter: Chapter) -> None:
    world.order("repull", "us", code=20029)
    calls = len(world.wire.calls)
    await asyncio.sleep(2 * DAY)
    state = world.daemon.state("us")
    chapter.notes.append(f"us after two days: {state.phase.value}, {len(world.wire.calls) - calls} calls of all")
    chapter.notes.append(f"hk: {'served' if await world.daemon.token('hk') else 'NOT served'}")
    world.service.state.script.remove(uid=world.uid, operation="repull")


async def fifteen_once(world: Quarter, chapter: Chapter) -> None:
    world.order("authority", code=15, count=1)
    await _platform_wanted(world, chapter)


async def fifteen_twice(world: Quarter, chapter: Chapter) -> None:
    world.order("authority", code=15, count=2)
    await _platform_wanted(world, chapter)
    await _person(world, chapter)


async def device_check_at_night(world: Quarter, chapter: Chapter) -> None:
    world.levers.require(world.uid, Need.DEVICE_CHECK)
    await _platform_wanted(world, chapter)
    await _person(world, chapter)


async def third_factor(world: Quarter, chapter: Chapter) -> None:
    world.levers.require(world.uid, Need.THIRD_FACTOR)
    await _platform_wanted(world, chapter)
    await _person(world, chapter)


async def clock_wrong(world: Quarter, chapter: Chapter) -> None:
    world.time.step(600.0)
    await _later(world, chapter, DAY)
    world.time.step(-600.0)


def odd_answers(world: Quarter, _chapter: Chapter) -> None:
    for spoil in (Spoiler.EMPTY_AUTH_CODE, Spoiler.ZERO_INVALID_TIME, Spoiler.OTHER_BROKER, Spoiler.OTHER_UID):
        world.order("repull", "us", spoil=spoil, count=1)


def gateway(world: Quarter, _chapter: Chapter) -> None:
    world.levers.void(world.uid, Thing.BROKER_SIG, NUMBER["us"])
    world.wire.faults[f"{REPULL} {NUMBER['us']}"] = ["html"] * 4
    world.wire.faults[f"{BROKER_AUTH} {NUMBER['us']}"] = ["html"]


async def _platform_wanted(world: Quarter, chapter: Chapter) -> None:
    """Somebody asks for the platform's own signature, which is over."""
    await asyncio.sleep(3 * DAY)
    got = await world.daemon.token("main", wait=300.0)
    chapter.notes.append(f"main: {'served' if got else 'not served'}, {world.daemon.state('main').phase.value}")


async def _person(world: Quarter, chapter: Chapter) -> None:
    await asyncio.sleep(8 * HOUR)
    said = await enrol(world, "main")
    after = world.daemon.state("main").phase
    chapter.notes.append(f"eight hours later a person: {said}, {after.value if after is not Phase.LIVE else 'live'}")


async def _later(world: Quarter, chapter: Chapter, seconds: float) -> None:
    await asyncio.sleep(seconds)
    states = {name: world.daemon.state(name).phase.value for name in ("main", "hk", "us")}
    chapter.notes.append(", ".join(f"{name} {phase}" for name, phase in states.items()))


def story() -> list[Chapter]:
    """Everything that happens, in order."""
    return [
        Chapter(2, "hk's signature is refused by the trading connection", signature_refused),
        Chapter(5, "20029 once, at us", no_valid_cid_once),
        Chapter(9, "web_sig refused by a code nobody knows", web_sig_refused),
        Chapter(14, "the next login brings an empty web_sig", web_sig_empty),
        Chapter(20, "us's code is burnt by a crash", code_burnt_by_a_crash),
        Chapter(24, "answers lost, pages, nothing sent: repull and broker_auth", answers_lost),
        Chapter(27, "the answer to a login lost", login_answer_lost),
        Chapter(31, "codes expire while the platform is fine", codes_expire),
        Chapter(36, "20029 for ever at us", no_valid_cid_for_ever),
        Chapter(42, "the platform answers 15 once", fifteen_once),
        Chapter(49, "the platform answers 15 twice", fifteen_twice),
        Chapter(56, "the platform answers 20, in the night", device_check_at_night),
        Chapter(63, "the platform answers 33", third_factor),
        Chapter(70, "our clock ten minutes wrong", clock_wrong),
        Chapter(74, "an empty code, no time, another broker, another uid", odd_answers),
        Chapter(79, "a gateway's pages", gateway),
    ]


# -- the verdict ----------------------------------------------------------------------------------------------------


def broken(world: Quarter) -> list[str]:
    """Every promise that was not kept."""
    tally, books = world.tally, world.service.state.books.shared.totals
    found = {
        "a login inside the window": tally.authority_too_soon,
        "a spent code presented": books.spent_uses,
        "a code presented that another had replaced": sum(tally.void_uses.values()),
        "SMS beyond the one that a person agreed to": max(0, tally.sms_sent - (1 if world.days > 60 else 0)),
        "hk without lease and without code, seconds": round(world.bare["hk"]),
        "reads of hk not served": world.unserved["hk"],
        "restarts besides the kill of the story": world.restarts - (1 if world.days > 20 else 0),
        "a bug told": sum(event.name == "bug" for _, event in world.events),
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def table(world: Quarter, chapters: Sequence[Chapter]) -> str:
    """What happened, and what it cost."""
    tally, lines = world.tally, []
    for chapter in chapters:
        lines.append(f"day {chapter.day:4.0f}  {chapter.title}")
        lines += [f"          {note}" for note in chapter.notes]
    lines.append("")
    for name, number in NUMBER.items():
        repulls = tally.repulls.get(number, {})
        each = sorted(repulls.values())
        mean = sum(each) / world.days
        lines.append(
            f"{name}: {world.reads[name]} reads, {world.unserved[name]} unserved; repulls {sum(each)}, a day "
            f"{mean:.1f} on average, {each[-1] if each else 0} at most; broker_auth "
            f"{tally.broker_auths.get(number, 0)}; bare {world.bare[name]:.0f} s"
        )
    gaps = [b - a for a, b in zip(tally.authority_at, list(tally.authority_at)[1:], strict=False)]
    lines.append(
        f"logins {tally.authority_calls}, inside the window {tally.authority_too_soon}, least distance "
        f"{min(gaps, default=0.0):.0f} s; SMS {tally.sms_sent}; persons: {len(world.visits)}; restarts {world.restarts}"
    )
    told = Counter(event.name for _, event in world.events)
    lines.append("events: " + ", ".join(f"{name} {count}" for name, count in sorted(told.items())))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.flow.quarter")
    parser.add_argument("--days", type=float, default=90.0)
    parser.add_argument("--log", action="store_true", help="print every event that is worth a line")
    given = parser.parse_args(arguments)
    world, chapters = Quarter(given.days), story()
    world.live(chapters)
    if given.log:
        for at, event in world.events:
            if event.name != "refresh.succeeded":
                print(f"{at / DAY:8.4f}  {event.account} {event.name} {dict(event.fields)}")
    print(table(world, chapters))
    wrong = broken(world)
    print("\n".join(f"BROKEN: {one}" for one in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
