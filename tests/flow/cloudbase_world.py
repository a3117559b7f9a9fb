"""CloudBase in one process on virtual time: service, daemons, and readers that try what they get."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from freshd.core.outcome import Lost, Performed, Reply
from freshd.errors import FreshdError
from freshd.providers.http import Call
from freshd.sandbox.cloudbase.direct import Direct
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.order import Order
from freshd.sandbox.cloudbase.request import arrived
from freshd.sandbox.cloudbase.user import Profile
from freshd.sandbox.fault_queue import FaultQueue
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.cloudbase_stage import ANOTHER, ME, PASSWORD, SHOWN
from tests.flow.scenarios import Row
from tests.flow.virtual import SECONDS_PER_CALL, SILENCE_SECONDS, Daemon, Wire, fields_of, healed_by, settings_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LOOK_SECONDS: Final = 60.0
MIN_TTL_SECONDS: Final = 60.0
READ: Final = 10 * MINUTE
"""How long all is well before something happens."""
SECRET, ID = "/bin/true", "/bin/id"
WAYS: Final[Mapping[str, str]] = {
    "password": f'username = "alice"\npassword = {{ command = ["{SECRET}"] }}',
    "custom": f'uid = "alice-01"\nkey_file = {{ command = ["{SECRET}"] }}',
    "anonymous": 'device_id = "device-of-alice-0001"',
    "client-credentials": f'secret_id = {{ command = ["{ID}"] }}\nsecret_key = {{ command = ["{SECRET}"] }}',
    "api-key": f'api_key = {{ command = ["{SECRET}"] }}\nkey_created = "2023-11-14"\nkey_days = 90',
    "import": "",
}
UNCOUNTED: Final = frozenset({"userinfo", "introspect"})


class Line(Wire):
    """The way to the service, faults of which are those of the sandbox."""

    def __init__(self, time: VirtualTime, ask: Callable[[Call], Reply | None]) -> None:
        super().__init__(time, lambda _call, _now, _eaten: Reply(404, (), b""))
        self._ask = ask

    async def call(self, call: Call) -> Performed:
        await asyncio.sleep(SECONDS_PER_CALL / 2)
        reply = self._ask(call)
        await asyncio.sleep(SECONDS_PER_CALL / 2 if reply is not None else SILENCE_SECONDS)
        return Lost("no answer") if reply is None else reply


class World:
    """A service, a daemon or more, and readers of the first that look every minute."""

    def __init__(self, method: str = "password", *, more: str = "", daemons: int = 1, **constants: Any) -> None:
        self.method = method
        self.time = VirtualTime()
        self.faults = FaultQueue(random.Random(1))
        self.service = Environment()
        self.direct = Direct(self.service, self.faults)
        self.levers = Levers(self.service, lambda: self.now)
        self.set(CAPTCHA_ANSWER=SHOWN, **constants)
        self.service.users.register(
            Profile(label="a", username="alice", password=PASSWORD, uid="alice-01", device_id="device-of-alice-0001")
        )
        own = f'[accounts.a]\nkind = "cloudbase"\nenv = "sandbox-env"\nmethod = "{method}"\n{WAYS[method]}\n'
        self.settings = settings_of(f'{own}readers = {{ users = ["root"] }}\n{more}\n')
        kept = json.dumps(self.levers.make_key()) if method == "custom" else PASSWORD
        self.secrets = {SECRET: "sandbox-secret" if method == "client-credentials" else kept, ID: "AKIDsandbox"}
        self.calls: list[tuple[float, int, str]] = []
        """True second, number of the daemon, call and what came of it."""
        self.disks = [Disk() for _ in range(daemons)]
        self.daemons = [self._new(number) for number in range(daemons)]
        self.gap = 0.0
        self.since = 0.0
        self.events: list[tuple[float, str, Mapping[str, Any]]] = []
        """Of processes that are no more."""
        self._held: str | None = None

    @property
    def daemon(self) -> Daemon:
        return self.daemons[0]

    @property
    def now(self) -> float:
        return EPOCH + self.time.true

    def _new(self, number: int) -> Daemon:
        line = Line(self.time, lambda call: self._asked(number, call))
        return Daemon(self.settings, line, self.disks[number], self.secrets)

    def _asked(self, number: int, call: Call) -> Reply | None:
        query, body = fields_of(call)
        path, headers = urlsplit(call.url).path, dict(call.headers)
        operation = self.service.whose(arrived(call.method, path, query, headers, body)).operation
        said = self.direct.handle(call.method, path, query, headers, body, self.now)
        if operation not in UNCOUNTED:
            self.calls.append((self.time.true, number, f"{operation} {_word(said.body if said else None)}"))
        return None if said is None else Reply(said.status, tuple(said.headers.items()), said.body, said.whole)

    # -- time passes -------------------------------------------------------------------------------------------------

    def live(self, work: Callable[[], Awaitable[object]]) -> None:
        """All is well for ten minutes, then this."""

        async def life() -> None:
            for other in self.daemons[1:]:
                await other.start()
            if self.method == "import":
                await self.daemon.operate("import", "a", secrets={"refresh_token": self.mint()})
            await self.read(READ)
            self.strikes()
            await work()

        self.daemon.live(life)

    def again(self, work: Callable[[], Awaitable[object]]) -> None:
        """The process is killed; another one on the same disk does this."""
        self.events += [(at, event.name, event.fields) for at, event in self.daemon.events]
        self.daemons[0] = self._new(0)
        self.daemon.live(work)

    def strikes(self) -> None:
        """From now on it counts."""
        self.gap, self.since = 0.0, self.time.true

    async def read(self, seconds: float, look: float = LOOK_SECONDS, *, parked: bool = False) -> None:
        """Programs ask for a lease, try it, and report a refusal.  `parked`: it ends early with that."""
        end, looked = self.time.true + seconds, self.time.true
        while self.time.true < end and not (parked and "account.parked" in self.told()):
            await asyncio.sleep(look)
            self.gap += 0.0 if await self._is_served() else self.time.true - looked
            looked = self.time.true

    async def _is_served(self) -> bool:
        token = await self.daemon.token("a", MIN_TTL_SECONDS, 5.0) or self._held
        self._held = token
        if token is None or self.method == "api-key":
            return token is not None
        said = self.direct.handle("GET", ME, {}, {"Authorization": f"Bearer {token}"}, b"", self.now)
        is_good = said is not None and "error" not in said.json
        held = self.daemon.desk.lease("a")
        if said is not None and not is_good and held is not None and held.lease.token.reveal() == token:
            self.daemon.desk.refused("a", held.fingerprint, said.status, str(said.json["error"]))
        return is_good or self.method == "client-credentials"

    # -- what is done ------------------------------------------------------------------------------------------------

    def set(self, **constants: object) -> None:
        self.service.constants.change({f"CLOUDBASE_SIM_{name}": value for name, value in constants.items()})

    def mint(self) -> str:
        return str(self.levers.mint("a")["refresh_token"])

    def order(self, error: str, operation: str = "refresh_token", **more: object) -> None:
        self.service.orders.add(Order(error=error, operation=operation, **more))  # type: ignore[arg-type]

    def fault(self, fault: str, grant_type: str = "refresh_token", **more: object) -> None:
        self.faults.add_json({"fault": fault, "grant_type": grant_type, **more})

    def guess(self, times: int) -> None:
        """Somebody else tries wrong passwords."""
        body = {"username": "alice", "password": "guessed"}
        for _ in range(times):
            self.direct.handle("POST", "/auth/v1/signin", {}, {"Content-Type": "application/json"}, body, self.now)

    def change_password(self) -> None:
        """At the service."""
        self.service.users.register(Profile(label="a", username="alice", password=ANOTHER))

    def store(self, secret: str) -> None:
        """An operator puts another secret where the configuration points to."""
        self.secrets[SECRET] = secret
        for daemon in self.daemons:
            daemon._secrets[SECRET] = secret

    async def typed(self, asked: Mapping[str, Any], typed: str | None = None) -> str:
        """A step of a person is taken: "" where it was the last, else what was said."""
        given = {} if typed is None else {"code": typed}
        while True:
            try:
                done = await self.daemon.operate("enrol-finish", "a", session=asked["session"], **given)
            except FreshdError as error:
                return error.cause
            if done["done"] or done["pending"] != "held":
                return "" if done["done"] else str(done["pending"])
            await asyncio.sleep(1.0)

    async def asked(self) -> Mapping[str, Any]:
        return await self.daemon.operate("enrol-begin", "a", flow="auto")

    async def enrol(self) -> str:
        """A person's steps, as long as one leads to the next."""
        said = "next-step"
        while said == "next-step":
            asked = await self.asked()
            said = await self.typed(asked, SHOWN if asked["picture"] else None)
        return said

    # -- what was seen -----------------------------------------------------------------------------------------------

    def told(self) -> list[str]:
        """Names of events since it counts, those of processes that are no more among them."""
        mine = [(at, event.name) for at, event in self.daemon.events]
        return [name for at, name in [*((at, name) for at, name, _ in self.events), *mine] if at >= self.since]

    def row(self, name: str) -> Row:
        """What was seen since it counts."""
        health, parked = self.daemon.desk.health("a"), self.daemon.state("a").parked
        needs_person = health.phase == "parked" or health.renewable == "no"
        several = len(self.daemons) > 1
        calls = [(number, what) for at, number, what in self.calls if at >= self.since]
        return Row(
            name, "virtual", healed_by(self.daemon, "a", self.since),
            tuple(f"{number} {what}" if several else what for number, what in calls), {"reader": self.gap},
            health.reason if needs_person else None, health.remedy if needs_person else None,
            self.service.ledger.books.totals.spent_uses, None, tuple(self.told()),
            tuple(str(event.fields["code"]) for _, event in self.daemon.events if event.name == "account.parked"),
            "" if parked is None else parked.detail,
        )  # fmt: skip


def _word(body: bytes | None) -> str:
    """What came of a call, in a word."""
    if body is None:
        return "lost"
    try:
        found = json.loads(body)
    except ValueError:
        return "unreadable"
    return str(found.get("error") or found.get("code") or "granted")
