"""AUN's scenarios that take hours and weeks: engine, provider and stand-in are the real ones, time is virtual.

The gateway is asked as a plain function instead of over a socket; its HTTP side answers in a few lines here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast
from urllib.parse import urlsplit

from freshd.core.outcome import Performed, Reply
from freshd.providers.aun.agent import Aun as Provider
from freshd.providers.http import Call
from freshd.sandbox.aun.constants import Crl, Ocsp
from freshd.sandbox.aun.levers import AunLevers, Minting, Thing
from freshd.sandbox.aun.pki import Curve, Flaw
from freshd.sandbox.aun.revocation import revocation_list, status_answer
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.grants import Ledger
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.flow.aun_stage import CALLS
from tests.flow.scenarios import Row, Rows
from tests.flow.virtual import Daemon, Wire, healed_by, settings_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LOOK_SECONDS: Final = 120.0
ACCOUNT: Final = "carol"
AID: Final = "carol.sandbox.test"
HOST: Final = "127.0.0.1:1"
SECONDS_PER_CALL: Final = 0.1
NAMES: Final = {"private_key": "private_key", "cert": "certificate", "refresh_token": "refresh_token"}
YEARS: Final = 730 * DAY


class World:
    """A service, a daemon, and a reader that looks every other minute; `minted`: how old the certificate is."""

    def __init__(self, folder: str, *, gives: tuple[str, ...] = tuple(NAMES), keys: str = "", **minted: Any) -> None:
        self.time = VirtualTime()
        self.service = Aun(Ledger(), self.now)
        self.levers = AunLevers(self.service)
        known = self.levers.mint(Minting(label=ACCOUNT, aid=AID, **minted), self.now)
        self.record = {NAMES[name]: str(known[name]) for name in gives}
        roots = Path(folder) / "roots.pem"
        roots.write_text(self.service.state.pki.roots)
        self._text = (
            f'[accounts.{ACCOUNT}]\nkind = "aun"\naid = "{AID}"\nroots = "{roots}"\ndiscovery = "http://{HOST}"\n'
            f'readers = {{ users = ["root"] }}\nallow_short_lived = true\n{keys}\n'
        )
        self.wire = Wire(self.time, self._page)
        self.disk = Disk()
        self.daemon = self.another()
        self.gap = 0.0

    @property
    def now(self) -> float:
        return EPOCH + self.time.true

    def another(self) -> Member:
        """A daemon on the same disk: as if the one before had been killed."""
        return Member(settings_of(self._text), self.wire, self.disk, self._say)

    def set(self, **constants: object) -> None:
        self.service.state.constants.change({f"AUN_SIM_{name}": value for name, value in constants.items()})

    def order(self, method: str, count: int | None = 1, **line: object) -> None:
        wish = {"operation": f"auth.{method}", **({} if count is None else {"count": count}), **line}
        self.service.state.script.add_json(wish)

    async def _say(self, method: str, params: Mapping[str, Any]) -> Performed:
        """One call at the gateway."""
        await asyncio.sleep(SECONDS_PER_CALL)
        told = self.service.handle(method, dict(params), self.now)
        return Reply(200, (), json.dumps(told.envelope("1")).encode())

    def _page(self, call: Call, now: float, _eaten: str | None) -> Reply:
        """One request at its HTTP side."""
        pki, now = self.service.state.pki, now + self.service.state.offset_s
        match urlsplit(call.url).path.split("/")[1:]:
            case [".well-known", _]:
                said = json.dumps({"gateways": [{"url": f"ws://{HOST}/aun", "priority": 1}]})
            case ["pki", "chain"]:
                said = pki.chain
            case ["pki", "crl.json"]:
                said = json.dumps(revocation_list(pki, Crl.BOTH, now))
            case ["pki", "ocsp", serial]:
                said = json.dumps(status_answer(pki, int(serial, 16), Ocsp.STANDARD, now))
            case ["pki", "cert", aid]:
                said = self.service.agent(aid).newest.pem
            case _:
                return Reply(404, (), b"")
        return Reply(200, (("Content-Type", "text/plain"),), said.encode())

    # -- a life ------------------------------------------------------------------------------------------------------

    def live(self, work: Callable[[], Awaitable[object]]) -> None:
        """The daemon's life, from the import on."""

        async def life() -> None:
            await self.daemon.operate("import", ACCOUNT, secrets=self.record)
            await asyncio.sleep(MINUTE)
            await work()

        self.daemon.live(life)

    async def read(self, seconds: float) -> None:
        """A reader asks for a lease and tries it; a gap lasts from one look to the next."""
        end = self.time.true + seconds
        while self.time.true < end:
            before = self.time.true
            await asyncio.sleep(min(LOOK_SECONDS, end - self.time.true))
            token = await self.daemon.token(ACCOUNT, 0.0, 5.0)
            parked = self.daemon.state(ACCOUNT).parked
            is_told = parked is not None and parked.until is None
            is_good = token is not None and self._works(token)
            self.gap += 0.0 if is_good or is_told else self.time.true - before

    def _works(self, token: str) -> bool:
        access, now = self.service.state.chains.ledger.shelf.access_token(token), self.now + self.service.state.offset_s
        return access is not None and not access.revoked and now < access.expires_at

    def row(self, name: str, since: float = 0.0, detail: str = "") -> Row:
        """`since`: true seconds."""
        state, page = self.daemon.state(ACCOUNT), self.service.state.books.ledger.books.account(ACCOUNT)
        told = tuple(event.name for at, event in self.daemon.events if at >= since)
        began, parked = EPOCH + since + self.service.state.offset_s, state.parked
        calls = (f"{CALLS[one.grant_type]} {one.outcome}" for one in page.calls if one.at >= began)
        return Row(
            name, "virtual", healed_by(self.daemon, ACCOUNT, since), tuple(calls), {"reader": self.gap},
            None if parked is None else parked.code, None if parked is None else parked.advice,
            page.counters.spent_uses, None, told,
            tuple(str(event.fields["code"]) for _, event in self.daemon.events if event.name == "account.parked"),
            detail,
        )  # fmt: skip

    @property
    def counts(self) -> dict[str, int]:
        """Calls of all the time, by method; the pages of the ledger remember only the newest."""
        return {CALLS[name]: count for name, count in self.service.state.books.tally(AID).calls.items()}


Say = Callable[[str, Mapping[str, Any]], Awaitable[Performed]]


class Member(Daemon):
    """A daemon whose provider speaks to the function `say` instead of to sockets."""

    def __init__(self, settings: Any, wire: Wire, disk: Disk, say: Say) -> None:  # noqa: ANN401 - as the base class
        super().__init__(settings, wire, disk)
        self._say = say

    async def start(self) -> None:
        await super().start()
        provider = cast("Provider", self.supervisor.members[ACCOUNT].provider)

        async def call(_url: str, method: str, params: Mapping[str, Any]) -> Performed:
            return await self._say(method, params)

        provider._transport.call = call  # type: ignore[method-assign, assignment]


# -- what happens ---------------------------------------------------------------------------------------------------


def quiet(name: str, seconds: float, folder: str, *, since: float = 0.0, **constants: object) -> Row:
    """Nothing but what the service's constants say."""
    world = World(folder)
    world.set(**constants)
    world.live(lambda: world.read(seconds))
    counts = world.counts
    row = world.row(name, since)
    calls = tuple(f"{call}" for call, count in counts.items() for _ in range(count))
    return replace(row, calls=calls)


def struck(
    name: str, folder: str, strike: Callable[[World], None], seconds: float = 3 * HOUR,
    then: Callable[[World], None] | None = None, after: float = HOUR, **keys: Any,
) -> Row:  # fmt: skip
    """Half an hour, then the strike, then so long; and once it was mended, an hour more."""
    world, since = World(folder, **keys), list[float]()

    async def work() -> None:
        await world.read(HOUR / 2)
        strike(world)
        since.append(world.time.true)
        await world.read(seconds)
        if then is not None:
            then(world)
            await world.read(after)

    world.live(work)
    return world.row(name, since[0])


def rolled(flaw: Flaw) -> Callable[[World], None]:
    """The login service shows a certificate that is no good, and a login is due."""

    def strike(world: World) -> None:
        world.levers.roll(world.now, curve=Curve.P384, flaw=flaw, retires_old=False)
        world.levers.revoke(AID, Thing.REFRESH, None, world.now)

    return strike


def sound_again(world: World) -> None:
    world.levers.roll(world.now, curve=Curve.P384, flaw=Flaw.NONE, retires_old=False)


def clock(name: str, folder: str, *, ours: float = 0.0, theirs: float = 0.0) -> Row:
    """A clock is wrong, and within the time a login is due too."""

    def strike(world: World) -> None:
        world.time.step(ours)
        world.service.state.offset_s = theirs
        world.levers.revoke(AID, Thing.REFRESH, None, world.now)

    return struck(name, folder, strike)


def over_at_boot(name: str, folder: str, days_over: float) -> Row:
    """The machine is off while the certificate ends, for so long that every token ended before it."""
    world = World(folder, cert_age_s=YEARS - 10 * DAY, cert_ttl_s=YEARS)
    world.set(NEW_CERT="never")
    world.order("renew_cert", None, code=-32603)
    world.live(lambda: world.read(HOUR))
    world.service.state.script.remove()
    world.time.reboot(down=(10 + days_over) * DAY)
    since, world.gap = world.time.true, 0.0
    world.daemon = world.another()
    world.daemon.live(lambda: world.read(2 * HOUR))
    return world.row(name, since)


def unknown_code(world: World) -> None:
    world.order("refresh_token", code=-31999)


def refused_lease(world: World) -> None:
    """Both tokens end, a reader says so, and the refresh is refused in words that stand in no list."""
    world.set(REFRESH_REFUSAL_TEXT="this will not do", RELOGIN_FLAG=False)
    world.levers.revoke(AID, Thing.TOKENS, None, world.now)
    lease = world.daemon.desk.lease(ACCOUNT)
    world.daemon.desk.refused(ACCOUNT, "" if lease is None else lease.fingerprint, 401, "4001")


def trouble(world: World) -> None:
    for method in ("refresh_token", "aid_login1"):
        world.order(method, None, code=5003)


def mended(world: World) -> None:
    world.service.state.script.remove()


def limited(world: World) -> None:
    world.order("refresh_token", code=-32029, data={"retry_after": 300})


def lived() -> Rows:
    """All of it."""
    with TemporaryDirectory() as folder:
        rows = (
            quiet("chain-of-720", 32 * DAY, folder),
            quiet("chain-of-30-days", 32 * DAY, folder, ACCESS_TTL_S=DAY),
            quiet("chain-shorter-than-known", 6 * DAY, folder, CHAIN_REFRESHES=100),
            quiet("life-below-a-usual-lead", 2 * HOUR, folder, ACCESS_TTL_S=1200),
            quiet("life-of-a-minute", 2 * HOUR, folder, ACCESS_TTL_S=60),
            quiet("expires-in-zero", 2 * HOUR, folder, EXPIRES_IN_S=0),
            quiet("expires-in-missing", 2 * HOUR, folder, EXPIRES_IN_FORM="missing"),
            quiet("expires-in-text", 2 * HOUR, folder, EXPIRES_IN_FORM="text"),
            struck("rate-limited-5-minutes", folder, limited),
            struck("unknown-code", folder, unknown_code),
            struck("refused-lease-and-an-unknown-text", folder, refused_lease),
            struck("trouble-for-3-hours", folder, trouble, then=mended),
            *(
                struck(f"auth-certificate-{flaw.value}", folder, rolled(flaw), then=sound_again)
                for flaw in (Flaw.EXPIRED, Flaw.EARLY, Flaw.FOREIGN, Flaw.REVOKED, Flaw.OTHER_NAME)
            ),
            over_at_boot("certificate-over-30-days-at-boot", folder, 30),
            over_at_boot("certificate-over-120-days-at-boot", folder, 120),
            clock("our-clock-ten-minutes-ahead", folder, ours=600.0),
            clock("our-clock-ten-minutes-behind", folder, ours=-600.0),
            clock("gateways-clock-ten-minutes-ahead", folder, theirs=600.0),
            clock("gateways-clock-ten-minutes-behind", folder, theirs=-600.0),
        )
    return {row.name: row for row in rows}
