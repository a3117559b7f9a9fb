"""The control port's calls for GeniusAuth: tokens, people, applications, orders and what is broken.

Rules: as in ``control``. What is common to all services (faults, counters, the ledger of a label, marking answers as
escrowed, revoking access tokens, killing lineages) is asked for there and works for GeniusAuth too. Only ``mint``,
``login_tokens`` and ``login`` answer with secrets.
"""

import dataclasses
import urllib.parse
from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.control import read_object, text_member
from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.codes import Refusal
from freshd.sandbox.geniusauth.levers import GeniusLevers, Mint
from freshd.sandbox.geniusauth.orders import Order
from freshd.sandbox.geniusauth.page import LoginPage, back_to
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.records import Record
from freshd.sandbox.geniusauth.state import Broken, State
from freshd.sandbox.shape import checked, shaped


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    url: str
    subject: str = ""
    label: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Someone:
    uid: int
    name: str = "Test User"
    groups: tuple[str, ...] = ("ops",)
    avatar_url: str = "https://example.invalid/avatar.png"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Whom:
    uid: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    app_code: str | None = None
    label: str | None = None
    uid: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    offset_s: float | None = None
    broken: Broken | None = None
    sites: tuple[str, ...] | None = None


class GeniusControl:
    """The handlers. ``now`` is the service's own clock, wall seconds."""

    def __init__(self, state: State, levers: GeniusLevers, login: LoginPage, now: Callable[[], float]) -> None:
        """Steer ``state``."""
        self._state = state
        self._levers = levers
        self._login = login
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.post("/geniusauth/mint", self.mint),
            web.post("/geniusauth/login_tokens", self.mint_logins),
            web.post("/geniusauth/login", self.log_in),
            web.post("/geniusauth/apps", self.register),
            web.patch("/geniusauth/apps", self.change_app),
            web.delete("/geniusauth/apps", self.delete_app),
            web.post("/geniusauth/people", self.put_person),
            web.delete("/geniusauth/people", self.remove_person),
            web.post("/geniusauth/oid", self.raise_oid),
            web.post("/geniusauth/end", self.end),
            web.patch("/geniusauth/service", self.service),
            web.get("/geniusauth/constants", self.show_constants),
            web.patch("/geniusauth/constants", self.change_constants),
            web.get("/geniusauth/orders", self.list_orders),
            web.post("/geniusauth/orders", self.add_order),
            web.delete("/geniusauth/orders", self.remove_orders),
            web.get("/geniusauth/records/{label}", self.records),
            web.get("/geniusauth/counters", self.count),
        ]

    async def mint(self, request: web.Request) -> web.Response:
        """Give ``count`` fresh pairs."""
        wish = shaped(Mint, await read_object(request))
        return web.json_response({"grants": [self._pair(wish, label) for label in wish.labels]})

    async def mint_logins(self, request: web.Request) -> web.Response:
        """Give ``count`` login tokens."""
        wish = shaped(Mint, await read_object(request))
        app = self._levers.app(wish.app_code)
        logins = [self._levers.mint_login(wish, label, self._now()) for label in wish.labels]
        told = [
            {"label": one.holder.label, "token": one.text, "expires_at": one.expires_at, "callback": back_to(app, one)}
            for one in logins
        ]
        return web.json_response({"logins": told})

    async def log_in(self, request: web.Request) -> web.Response:
        """Visit a login address in a person's place; 409 with the page's code if it cannot go on."""
        wish = shaped(_Visit, await read_object(request))
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(wish.url).query, keep_blank_values=True))
        asked |= {name: value for name, value in (("subject", wish.subject), ("label", wish.label)) if value}
        try:
            place = self._login.decide(asked, self._now())
        except Refusal as refusal:
            return web.json_response({"code": refusal.code}, status=409)
        return web.json_response({"location": place})

    async def register(self, request: web.Request) -> web.Response:
        """Add an application, or replace it whole."""
        app = shaped(App, await read_object(request))
        self._state.apps.register(app)
        return web.json_response(_shown(app))

    async def change_app(self, request: web.Request) -> web.Response:
        """Change some fields of a registered application; other groups end its logins."""
        fields = checked(App, await read_object(request), partial=True)
        app = dataclasses.replace(self._levers.app(str(fields.get("app_code"))), **fields)
        return web.json_response({**_shown(app), "ended": self._levers.change_app(app, self._now())})

    async def delete_app(self, request: web.Request) -> web.Response:
        """Delete an application (``?app_code=``); ``cached=0`` empties the cache of secrets as well."""
        self._levers.delete_app(request.query.get("app_code", ""), cached=request.query.get("cached") != "0")
        return web.json_response({"deleted": request.query["app_code"]})

    async def put_person(self, request: web.Request) -> web.Response:
        """Add or change somebody; other groups raise the operation id."""
        wish = shaped(_Someone, await read_object(request))
        person = self._levers.put_person(Person(**dataclasses.asdict(wish)), self._now())
        return web.json_response(dataclasses.asdict(person))

    async def remove_person(self, request: web.Request) -> web.Response:
        """Remove somebody (``?uid=``)."""
        return web.json_response({"ended": self._levers.remove_person(int(request.query["uid"]), self._now())})

    async def raise_oid(self, request: web.Request) -> web.Response:
        """Raise somebody's operation id."""
        uid = shaped(_Whom, await read_object(request)).uid
        return web.json_response({"ended": self._levers.raise_oid(uid, self._now())})

    async def end(self, request: web.Request) -> web.Response:
        """End logins."""
        wish = shaped(_Ended, await read_object(request))
        return web.json_response({"ended": self._levers.end(self._now(), **dataclasses.asdict(wish))})

    async def service(self, request: web.Request) -> web.Response:
        """Say what is broken, how wrong the clock is, to which sites a login may lead."""
        wish = shaped(_Service, await read_object(request))
        if wish.offset_s is not None:
            self._state.offset_s = wish.offset_s
        if wish.broken is not None:
            self._state.broken = wish.broken
        if wish.sites is not None:
            self._state.apps.sites = wish.sites
        shown = {"offset_s": self._state.offset_s, "broken": self._state.broken, "sites": self._state.apps.sites}
        return web.json_response(shown)

    async def show_constants(self, request: web.Request) -> web.Response:
        """Show what holds for a label, an application, or everybody."""
        query = request.query
        return self._constants(query.get("app_code", ""), query.get("label", ""))

    async def change_constants(self, request: web.Request) -> web.Response:
        """Change constants of a label, of an application, or of everybody."""
        wish = await read_object(request)
        whose = {name: text_member(wish, name) for name in ("app_code", "label")}
        self._state.constants.change({name: value for name, value in wish.items() if name not in whose}, **whose)
        return self._constants(whose["app_code"] or "", whose["label"] or "")

    async def list_orders(self, _: web.Request) -> web.Response:
        """Show the orders in force."""
        return web.json_response({"orders": [_order(order) for order in self._state.orders.lines]})

    async def add_order(self, request: web.Request) -> web.Response:
        """Order a refusal."""
        order = self._state.orders.add(shaped(Order, await read_object(request)))
        return web.json_response(_order(order), status=201)

    async def remove_orders(self, request: web.Request) -> web.Response:
        """Take back one order (``?id=``), or all."""
        number = request.query.get("id")
        return web.json_response({"removed": self._state.orders.remove(None if number is None else int(number))})

    async def records(self, request: web.Request) -> web.Response:
        """Show each login of a label: its end, its tokens by fingerprint, what ended it."""
        found = self._state.records.of(request.match_info["label"])
        shown = [self._record(record) for record in found]
        return web.json_response({"records": shown}, status=200 if found else 404)

    async def count(self, _: web.Request) -> web.Response:
        """Show the totals that no other service has."""
        return web.json_response(dataclasses.asdict(self._state.counts))

    def _constants(self, app_code: str, label: str) -> web.Response:
        return web.json_response(dataclasses.asdict(self._state.constants.of(app_code, label)))

    def _pair(self, wish: Mint, label: str) -> dict[str, object]:
        refresh, access = self._levers.mint(wish, label, self._now())
        return {
            "label": label,
            "lineage": refresh.lineage.id,
            "uid": wish.uid,
            "payload": wish.payload,
            "refresh_token": refresh.text,
            "refresh_expires_at": refresh.expires_at,
            "access_token": access.text,
            "expires_at": access.expires_at,
            "fingerprint": refresh.fingerprint,
        }

    def _record(self, record: Record) -> dict[str, object]:
        return {
            "lineage": record.id,
            "app_code": record.holder.client_id,
            "uid": record.uid,
            "ends_at": record.ends_at,
            "is_present": record.is_present(self._now()),
            "refreshes": record.refreshes,
            "refresh_tokens": list(record.tokens),
            "killed_by": record.killed_by,
        }


def _shown(app: App) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(app).items() if name != "secret"}


def _order(order: Order) -> dict[str, object]:
    """Return an order as the port shows it: ``count`` is what is left."""
    return {**dataclasses.asdict(order), "count": order.left}
