"""Futu's scenarios that take minutes and hours: engine, providers and stand-in are the real ones, time is virtual."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from freshd.core.outcome import Reply
from freshd.providers.http import Call
from freshd.sandbox.futu.credential import Standing
from freshd.sandbox.futu.levers import FutuLevers, Opening, Thing
from freshd.sandbox.futu.script import Line
from freshd.sandbox.futu.service import FutuService
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.scenarios import Row, Rows
from tests.flow.virtual import Daemon, Wire, fields_of, healed_by, settings_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
BROKERS: Final = {"hk": 1001, "us": 1007}
LOOK_SECONDS: Final = 5.0
READERS: Final = 'readers = { users = ["root"] }\n'
CONFIGURATION: Final = f"""
[accounts.main]
kind = "futu"
account = "ann@example.org"
{READERS}""" + "".join(
    f'[accounts.{name}]\nkind = "futu-broker"\nplatform = "main"\nbroker_id = {number}\n{READERS}'
    for name, number in BROKERS.items()
)


class World:
    """A service, and daemons that hold the same record; `gaps` of the first one's readers."""

    def __init__(self, daemons: int = 1, *, wall_error: float = 0.0, text: str = CONFIGURATION) -> None:
        self.time = VirtualTime()
        self.time.step(wall_error)
        self.service = FutuService()
        self.levers = FutuLevers(self.service.state)
        labels = {number: name for name, number in BROKERS.items()}
        known = self.levers.open(Opening(label="main", account="ann@example.org"), labels, EPOCH)
        self.record = {key: str(value) for key, value in known.items() if isinstance(value, str | int) and value}
        self.uid = int(str(known["uid"]))
        self.wires = [Wire(self.time, self._serve) for _ in range(daemons)]
        self.daemons = [Daemon(settings_of(text), wire, Disk()) for wire in self.wires]
        self.gaps = dict.fromkeys(BROKERS, 0.0)

    @property
    def daemon(self) -> Daemon:
        return self.daemons[0]

    @property
    def now(self) -> float:
        return EPOCH + self.time.true

    def _serve(self, call: Call, now: float, eaten: str | None) -> Reply:
        query, body = fields_of(call)
        parts = urlsplit(call.url)
        headers = {**call.headers, "Host": parts.netloc}
        status, told, answer = self.service.handle(call.method, parts.path, query, headers, body, now, lost_by=eaten)
        return Reply(status, tuple(told.items()), json.dumps(answer).encode())

    def order(self, operation: str, **line: object) -> None:
        self.service.state.script.add(Line(operation=operation, uid=self.uid, **line))  # type: ignore[arg-type]

    def live(self, work: Callable[[], Awaitable[object]]) -> None:
        """The first daemon's life, from the import on."""

        async def life() -> None:
            await self.daemon.operate("import", "main", secrets=self.record)
            await self.read(10 * MINUTE)
            self.gaps = dict.fromkeys(BROKERS, 0.0)
            await work()

        self.daemon.live(life)

    async def read(self, seconds: float) -> None:
        """Programs ask for a lease, try it, and report a refusal; a gap lasts from one look to the next."""
        end = self.time.true + seconds
        looked = dict.fromkeys(BROKERS, self.time.true)
        while self.time.true < end:
            await asyncio.sleep(LOOK_SECONDS)
            for name in BROKERS:
                token = await self.daemon.token(name, 60.0, LOOK_SECONDS)
                is_good = token is not None and self._works(name, token)
                self.gaps[name] += 0.0 if is_good else self.time.true - looked[name]
                looked[name] = self.time.true
                if token is not None and not is_good:
                    held = self.daemon.desk.lease(name)
                    self.daemon.desk.refused(name, "" if held is None else held.fingerprint, None, "990005")

    def _works(self, name: str, token: str) -> bool:
        known = self.levers.broker(self.uid, BROKERS[name]).sigs.find(token)
        return known is not None and known.standing(self.now + self.service.state.offset_s) is Standing.LIVE

    def row(self, name: str, who: str, since: float) -> Row:
        """`since`: true seconds."""
        state, tally = self.daemon.state(who), self.service.state.books.tally(self.uid)
        healed, parked = healed_by(self.daemon, who, since), state.parked
        told = [event for at, event in self.daemon.events if at >= since]
        calls = (urlsplit(path.partition(" ")[0]).path for at, path in self.wires[0].calls if at >= since)
        return Row(
            name, "virtual", healed, tuple(_NAMES.get(path, path) for path in calls), dict(self.gaps),
            None if parked is None else parked.code, None if parked is None else parked.advice,
            self.service.state.books.shared.totals.spent_uses, tally.sms_sent, tuple(event.name for event in told),
            tuple(f"{event.account} {event.fields['code']}" for event in told if event.name == "account.parked"),
            "" if parked is None else parked.detail,
        )  # fmt: skip


_NAMES: Final = {
    "/authority/": "authority",
    "/authority/repull_auth_code": "repull",
    "/broker_auth/client_auth": "broker_auth",
}


def web_signature_refused() -> Row:
    """An unknown code at the repull: nothing more that round; a login later brings what was missing."""
    world = World()
    since: list[float] = []

    async def work() -> None:
        world.levers.void(world.uid, Thing.WEB_SIG, None)
        since.append(world.time.true)
        await world.read(2 * HOUR)

    world.live(work)
    return world.row("web-signature-refused", "main", since[0])


def no_customer_for_ever() -> Row:
    """20029 again and again: that broker is asked for on a slow pace, the other goes on."""
    world = World()
    since: list[float] = []

    async def work() -> None:
        world.levers.void(world.uid, Thing.CUSTOMER_ID, BROKERS["us"], count=None)
        since.append(world.time.true)
        await world.read(6 * HOUR)

    world.live(work)
    return world.row("20029-for-ever-6-h", "us", since[0])


def fifteen(times: int) -> Row:
    """15: one more try after a minute and a half, then a person."""
    world = World()
    since: list[float] = []

    async def work() -> None:
        world.order("authority", code=15, count=times)
        since.append(world.time.true)
        await _logged_in(world)
        await world.read(HOUR)

    world.live(work)
    return world.row(f"login-15-{('once', 'twice')[times - 1]}", "main", since[0])


def twenty_at_night() -> Row:
    """20 while nobody is awake: no SMS, no second login, and the brokers live on their stock."""
    world = World()
    since: list[float] = []

    async def work() -> None:
        world.order("authority", code=20, count=None)
        since.append(world.time.true)
        await _logged_in(world)
        await world.read(8 * HOUR)

    world.live(work)
    return world.row("login-20-at-night", "main", since[0])


def wrong_clock(name: str, *, ours: float = 0.0, theirs: float = 0.0) -> Row:
    """A clock is ten minutes wrong: ours or the service's."""
    world = World(wall_error=ours)
    world.service.state.offset_s = theirs
    world.live(lambda: world.read(4 * HOUR))
    return world.row(name, "hk", 10 * MINUTE)


def two_machines() -> Row:
    """Two daemons with one record and one device id, for a day: each login voids what the other holds."""
    world = World(2)

    async def other() -> None:
        await asyncio.sleep(HOUR)
        while True:
            await world.daemons[1].token("hk", 60.0, LOOK_SECONDS)
            await asyncio.sleep(MINUTE)

    async def both() -> None:
        await world.daemons[1].start()
        await world.daemons[1].operate("import", "main", secrets=world.record)
        task = asyncio.ensure_future(other())
        await world.read(DAY)
        task.cancel()

    world.live(both)
    closest = [seconds for wire in world.wires for seconds in _between(wire)]
    row = world.row("two-machines-a-day", "main", 10 * MINUTE)
    return replace(row, detail=f"{row.detail}; own logins at least {min(closest):.0f} s apart")


async def _logged_in(world: World) -> None:
    """The login is asked for, whatever comes of it."""
    await world.daemon.token("main", 60.0, 30.0)


def _between(wire: Wire) -> Iterator[float]:
    """Seconds between logins of one daemon."""
    at = [at for at, path in wire.calls if path == "/authority/"]
    return (b - a for a, b in itertools.pairwise(at))


def lived() -> Rows:
    """All of it."""
    rows = (
        web_signature_refused(), no_customer_for_ever(), fifteen(1), fifteen(2), twenty_at_night(),
        wrong_clock("our-clock-ten-minutes-ahead", ours=600.0),
        wrong_clock("our-clock-ten-minutes-behind", ours=-600.0),
        wrong_clock("their-clock-ten-minutes-ahead", theirs=600.0),
        wrong_clock("their-clock-ten-minutes-behind", theirs=-600.0), two_machines(),
    )  # fmt: skip
    return {row.name: row for row in rows}
