"""Feishu's scenarios that take hours and days: engine, provider and stand-in are the real ones, time is virtual."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from freshd.core.outcome import Reply
from freshd.providers.http import Call
from freshd.sandbox.fault_queue import FaultQueue, Scope
from freshd.sandbox.feishu.apps import App
from freshd.sandbox.feishu.direct import Direct
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.tokens import Holder
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.scenarios import Row, Rows
from tests.flow.virtual import Daemon, Wire, fields_of, healed_by, settings_of

HOUR, DAY = 3600.0, 86_400.0
LOOK_SECONDS: Final = 120.0
SECRET: Final = 'app_secret = { command = ["/bin/true"] }\nreaders = { users = ["root"] }\n'
USER: Final = f'[accounts.user]\nkind = "feishu"\napp_id = "cli_user"\n{SECRET}'
FORMS: Final = {"tenant": "", "app": 'token = "app"', "oauth": 'form = "oauth"'}
TOKENS: Final = "".join(
    f'[accounts.{name}]\nkind = "feishu-app"\napp_id = "cli_{name}"\n{SECRET}{more}\n' for name, more in FORMS.items()
)


class World:
    """A service, a daemon, and a reader that looks every other minute."""

    def __init__(self, text: str, *, wall_error: float = 0.0) -> None:
        self.time = VirtualTime()
        self.time.step(wall_error)
        self.faults = FaultQueue(random.Random(1))
        self.service = Feishu()
        for name in ("user", *FORMS):
            self.service.apps.register(App(app_id=f"cli_{name}", secret="secret"))
        self.direct = Direct(self.service, self.faults)
        self.wire = Wire(self.time, self.serve)
        self.disk = Disk()
        self.daemon = Daemon(settings_of(text), self.wire, self.disk, {"/bin/true": "secret"})
        self.gaps: dict[str, float] = {}

    @property
    def now(self) -> float:
        return EPOCH + self.time.true

    def serve(self, call: Call, now: float, eaten: str | None) -> Reply:
        query, body = fields_of(call)
        said = self.direct.handle(call.method, urlsplit(call.url).path, query, dict(call.headers), body, now)
        assert said is not None
        assert eaten is None
        return Reply(said.status, tuple(said.headers.items()), said.body)

    def live(self, work: Callable[[], Awaitable[None]]) -> None:
        self.daemon.live(work)

    def mint(self) -> dict[str, str]:
        holder = Holder(client_id="cli_user", subject="ou_user", label="user", scope="offline_access")
        return {"refresh_token": self.service.mint(holder, self.now)[1].text}

    async def read(self, seconds: float, *accounts: str) -> None:
        """Readers look for so long, and try what they get."""
        end = self.time.true + seconds
        while self.time.true < end:
            await asyncio.sleep(LOOK_SECONDS)
            for account in accounts:
                token = await self.daemon.token(account, 0.0, 0.0)
                self.gaps.setdefault(account, 0.0)
                self.gaps[account] += 0.0 if token is not None and self.works(account, token) else LOOK_SECONDS

    def works(self, account: str, token: str) -> bool:
        if account != "user":
            return True
        head = {"Authorization": f"Bearer {token}"}
        said = self.direct.handle("GET", "/open-apis/authen/v1/user_info", {}, head, {}, self.now)
        return said is not None and said.status == 200

    def row(self, name: str, account: str, since: float = 0.0) -> Row:
        """`since`: wall seconds."""
        page = self.service.ledger.ledger.books.account(f"cli_{account}" if account in FORMS else account)
        calls = tuple(f"{one.grant_type} {one.outcome}" for one in page.calls if one.at >= since)
        told = tuple(event.name for _, event in self.daemon.events)
        healed = healed_by(self.daemon, account, since - EPOCH)
        return Row(name, "virtual", healed, calls, dict(self.gaps), None, None, page.counters.spent_uses, told=told)


def unknown_code() -> Row:
    """A number that stands in no table: everything is kept, five minutes pass, and it is asked again."""
    world = World(USER)

    async def work() -> None:
        await world.daemon.operate("import", "user", secrets=world.mint())
        await world.read(HOUR, "user")
        world.faults.add(FeishuCode(code=29999, status=400), Scope(label="user"), count=1)
        await world.read(3 * HOUR, "user")

    world.live(work)
    return world.row("unknown-code", "user", EPOCH + HOUR)


def app_tokens(name: str) -> Row:
    """A day of an app's tokens: the same token comes again while it has half an hour left."""
    world = World(TOKENS)
    world.live(lambda: world.read(DAY, name))
    return world.row(f"{name}-token", name)


def idle_week() -> Row:
    """Nobody reads: the refresh token, which lives a week, is renewed all the same."""
    world = World(USER)

    async def work() -> None:
        await world.daemon.operate("import", "user", secrets=world.mint())
        await asyncio.sleep(9 * DAY)
        await world.read(HOUR, "user")

    world.live(work)
    return world.row("nobody-reads-for-a-week", "user", EPOCH + 9 * DAY)


def year_ends() -> Row:
    """A person agreed 360 days ago: the end is told long before, and comes."""
    world = World(USER)

    async def begin() -> None:
        await world.daemon.operate("import", "user", secrets=world.mint())
        await world.read(HOUR, "user")

    async def live_on() -> None:
        while "account.parked" not in world.daemon.told:
            await world.read(LOOK_SECONDS, "user")

    world.live(begin)
    _agreed_long_ago(world, 360 * DAY)
    world.live(live_on)
    row = world.row("the-year-ends", "user", EPOCH + 5 * DAY - HOUR)
    view = next(event for _, event in world.daemon.events if event.name == "account.parked")
    return replace(row, reason=str(view.fields["code"]), remedy=view.remedy)


def _agreed_long_ago(world: World, seconds: float) -> None:
    for grant in world.service.ledger.grants("user"):
        grant.started_at -= seconds
    kept = world.disk.records["user"]
    assert kept.grant is not None
    enrolled = replace(kept.grant.enrolled, wall=kept.grant.enrolled.wall - seconds, boot_id="long ago")
    world.disk.records["user"] = replace(kept, grant=replace(kept.grant, enrolled=enrolled))


def wrong_clock(name: str, error: float) -> Row:
    """The machine's clock is wrong; lives count from the sending."""
    world = World(USER, wall_error=error)

    async def work() -> None:
        await world.daemon.operate("import", "user", secrets=world.mint())
        await world.read(12 * HOUR, "user")

    world.live(work)
    return world.row(name, "user")


def lived() -> Rows:
    """All of it."""
    rows = (
        unknown_code(), *map(app_tokens, FORMS), idle_week(), year_ends(),
        wrong_clock("clock-ten-minutes-ahead", 600.0), wrong_clock("clock-ten-minutes-behind", -600.0),
    )  # fmt: skip
    found: Mapping[str, Row] = {row.name: row for row in rows}
    return found
