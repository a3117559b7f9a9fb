"""GeniusAuth in one process on virtual time: service, daemon, and readers that try what they get."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Final
from urllib.parse import urlsplit

from freshd.core.outcome import Reply
from freshd.errors import FreshdError
from freshd.providers.http import Call
from freshd.sandbox.geniusauth.levers import Mint
from freshd.sandbox.geniusauth.orders import Operation, Order
from freshd.sandbox.geniusauth.request import Asked
from freshd.sandbox.geniusauth.service import GeniusAuth
from freshd.sandbox.geniusauth.signature import sign
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.geniusauth_stage import COUNTED, LONG_SECONDS, VERIFY
from tests.flow.scenarios import Row
from tests.flow.virtual import Daemon, Wire, healed_by, settings_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LOOK_SECONDS: Final = 20.0
MIN_TTL_SECONDS: Final = 60.0
APP, SECRET = "sandboxapp", "sandbox-secret"
READ: Final = 10 * MINUTE
"""How long all is well before something happens."""


def configured(*names: str, more: str = "") -> str:
    """Accounts of one application."""
    return "".join(
        f'[accounts.{name}]\nkind = "geniusauth"\napp_code = "{APP}"\napp_secret = {{ command = ["/bin/true"] }}\n'
        f'grant = "{name}"\nreaders = {{ users = ["root"] }}\n{more}\n'
        for name in names
    )


class World:
    """A service, a daemon, and readers that look every 20 seconds and try what they get."""

    def __init__(self, *names: str, more: str = "", wall_error: float = 0.0) -> None:
        self.names = names or ("a",)
        self.time = VirtualTime()
        self.time.step(wall_error)
        self.service = GeniusAuth()
        self.wire = Wire(self.time, self.serve)
        self.disk = Disk()
        self.settings = settings_of(configured(*self.names, more=more))
        self.daemon = self._new()
        self.gaps = dict.fromkeys(self.names, 0.0)
        self.since = 0.0
        self.calls: list[tuple[float, str, str]] = []
        """True second, account, call and what came of it."""
        self.uids = dict.fromkeys(self.names, 8)
        """By account: who has logged in."""
        self._held: dict[str, str] = {}

    def _new(self) -> Daemon:
        return Daemon(self.settings, self.wire, self.disk, {"/bin/true": SECRET})

    @property
    def now(self) -> float:
        """The service's own clock."""
        return EPOCH + self.time.true + self.service.state.offset_s

    def serve(self, call: Call, now: float, eaten: str | None) -> Reply:
        parts = urlsplit(call.url)
        asked = Asked(method=call.method, path=parts.path, query=parts.query, body=call.body or b"")
        operation = self.service.operation(asked)
        who = "" if operation is None else self.service.whose(operation, asked).label
        status, told, answer = self.service.handle(
            call.method, parts.path, parts.query, dict(call.headers), asked.body, now, lost_by=eaten
        )
        if operation in COUNTED:
            code = "granted" if answer.get("code") == 0 else answer.get("code")
            self.calls.append((self.time.true, who, f"{operation} {code}" + (f" ({eaten})" if eaten else "")))
        date = formatdate(now + self.service.state.offset_s, usegmt=True)
        return Reply(status, (*told.items(), ("Date", date)), json.dumps(answer).encode())

    def live(self, work: Callable[[], Awaitable[object]]) -> None:
        """All is well for ten minutes, then this."""

        async def life() -> None:
            for name in self.names:
                await self.daemon.operate("import", name, secrets={"refresh_token": self.mint(name)})
            await self.read(READ)
            self.strikes()
            await work()

        self.daemon.live(life)

    def again(self, work: Callable[[], Awaitable[object]]) -> None:
        """The process was killed; another one on the same disk does this."""
        self.daemon = self._new()
        self.daemon.live(work)

    def strikes(self) -> None:
        """From now on it counts."""
        self.gaps = dict.fromkeys(self.names, 0.0)
        self.since = self.time.true

    def mint(self, name: str, **more: object) -> str:
        wish = Mint(label=name, uid=self.uids[name], valid_s=LONG_SECONDS, **more)  # type: ignore[arg-type]
        return self.service.levers.mint(wish, name, self.now)[0].text

    def order(self, code: int, **more: object) -> None:
        self.service.state.orders.add(Order(code=code, operation=Operation.REFRESH, **more))  # type: ignore[arg-type]

    async def read(self, seconds: float, look: float = LOOK_SECONDS, parked: int | None = None) -> None:
        """Programs ask for a lease, try it, and report a refusal; where they get none they go on with the last.

        It ends early once so many accounts are parked.
        """
        end, looked = self.time.true + seconds, self.time.true
        while self.time.true < end and (parked is None or self.told().count("account.parked") < parked):
            await asyncio.sleep(look)
            served = await asyncio.gather(*map(self._is_served, self.names))
            for name, is_served in zip(self.names, served, strict=True):
                self.gaps[name] += 0.0 if is_served else self.time.true - looked
            looked = self.time.true

    async def _is_served(self, name: str) -> bool:
        token = await self.daemon.token(name, MIN_TTL_SECONDS, 5.0) or self._held.get(name)
        if token is None:
            return False
        self._held[name] = token
        refused, held = self.refused(token), self.daemon.desk.lease(name)
        if refused is not None and held is not None and held.lease.token.reveal() == token:
            self.daemon.desk.refused(name, held.fingerprint, *refused)
        return refused is None

    def refused(self, token: str) -> tuple[int, str] | None:
        """The service's no to an access token; None where it takes it."""
        told: Mapping[str, object] = {"token": token, "appCode": APP, "timeStamp": int(self.now)}
        body = json.dumps({**told, "signature": sign(told, SECRET)}).encode()
        head = {"Content-Type": "application/json"}
        status, _, answer = self.service.handle("POST", VERIFY, "", head, body, EPOCH + self.time.true)
        return None if status == 200 else (status, str(answer.get("code")))

    def told(self) -> list[str]:
        """Names of events since it counts."""
        return [event.name for at, event in self.daemon.events if at >= self.since]

    async def enrol(self, wait: float = 0.0) -> str:
        """A person logs in, and brings the address after so many seconds: what is said where it comes to nothing."""
        asked = await self.daemon.operate("enrol-begin", "a", flow="auto")
        place = self.service.page.decide({"appCode": APP, "subject": "8", "label": "a"}, self.now)
        await asyncio.sleep(wait)
        try:
            await self.daemon.operate("enrol-finish", "a", session=asked["session"], code=place)
        except FreshdError as error:
            return error.cause
        return ""

    def row(self, name: str) -> Row:
        """What was seen since it counts; with several accounts, of all."""
        spent, parked = self.service.state.records.ledger.books.totals.spent_uses, self.daemon.state("a").parked
        calls = [(who, what) for at, who, what in self.calls if at >= self.since]
        told = [event for at, event in self.daemon.events if at >= self.since]
        return Row(
            name, "virtual", healed_by(self.daemon, "a", self.since),
            tuple(f"{who} {what}" if len(self.names) > 1 else what for who, what in calls), dict(self.gaps),
            None if parked is None else parked.code, None if parked is None else parked.advice,
            spent, None, tuple(event.name for event in told),
            tuple(f"{event.account} {event.fields['code']}" for event in told if event.name == "account.parked"),
            "" if parked is None else parked.detail,
        )  # fmt: skip
