"""Futu's part of the control port; the folder's README lists the calls.

Only the answer to ``POST /futu/accounts`` holds secrets, and ``GET /futu/phone`` the codes of text messages; all else
shows fingerprints. A malformed wish raises ValueError or TypeError, which the port turns into 400.
"""

import dataclasses
import json
from collections.abc import Mapping

from aiohttp import web

from freshd.sandbox.futu.account import Broker, FutuAccount
from freshd.sandbox.futu.answer import Fields
from freshd.sandbox.futu.books import Tally
from freshd.sandbox.futu.credential import Credential
from freshd.sandbox.futu.levers import FutuLevers, Need, Opening, Thing
from freshd.sandbox.futu.line import FutuLine
from freshd.sandbox.futu.script import Line
from freshd.sandbox.futu.service import FutuService
from freshd.sandbox.futu.state import Platform
from freshd.sandbox.shape import checked, shaped
from freshd.sandbox.turn import Stage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    uid: int
    what: Thing
    broker_id: int | None = None
    count: int | None = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    uid: int
    what: Need


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _NewBroker:
    uid: int
    broker_id: int
    label: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Kick:
    uid: int | None = None
    broker_id: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    platform: Platform | None = None
    offset_s: float | None = None
    poisoned: str | None = None


class FutuControl:
    """The handlers."""

    def __init__(self, futu: FutuService, line: FutuLine, stage: Stage) -> None:
        """Steer ``futu`` and its trading connections on the clock of ``stage``."""
        self._state = futu.state
        self._levers = FutuLevers(futu.state)
        self._line = line
        self._stage = stage

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.post("/futu/accounts", self.open),
            web.get("/futu/accounts/{uid}", self.show),
            web.get("/futu/phone/{uid}", self.phone),
            web.patch("/futu/constants", self.change),
            web.get("/futu/script", self.list_script),
            web.post("/futu/script", self.add_script),
            web.delete("/futu/script", self.remove_script),
            web.post("/futu/expire", self.expire),
            web.post("/futu/void", self.void),
            web.post("/futu/require", self.require),
            web.post("/futu/brokers", self.add_broker),
            web.delete("/futu/brokers", self.remove_broker),
            web.post("/futu/kick", self.kick),
            web.patch("/futu/service", self.service),
            web.get("/futu/counters", self.count),
        ]

    async def open(self, request: web.Request) -> web.Response:
        """Open an account; ``brokers`` maps ids to labels. The answer is what a client would have kept."""
        wish = await _wish(request)
        brokers = wish.pop("brokers", {})
        if not isinstance(brokers, dict) or not all(isinstance(label, str) for label in brokers.values()):
            raise TypeError("brokers: expected an object of broker ids and labels")
        labels = {int(broker_id): label for broker_id, label in brokers.items()}
        opened = self._levers.open(shaped(Opening, wish), labels, self._stage.now())
        return web.json_response(opened, status=201)

    async def show(self, request: web.Request) -> web.Response:
        """Show how an account and its brokers stand."""
        now = self._stage.now() + self._state.offset_s
        return web.json_response(_account(self._levers.account(int(request.match_info["uid"])), now))

    async def phone(self, request: web.Request) -> web.Response:
        """Show the codes of the text messages on the person's phone, oldest first."""
        return web.json_response({"codes": self._levers.account(int(request.match_info["uid"])).phone})

    async def change(self, request: web.Request) -> web.Response:
        """Change constants, for a ``uid`` or for everybody; the answer is the set in force."""
        wish = await _wish(request)
        uid = checked(_Kick, {"uid": wish.pop("uid", None)}, partial=True)["uid"]
        return web.json_response(dataclasses.asdict(self._state.constants.change(wish, uid=uid)))

    async def list_script(self, _: web.Request) -> web.Response:
        """Show the lines in force."""
        return web.json_response({"lines": [dataclasses.asdict(line) for line in self._state.script.lines]})

    async def add_script(self, request: web.Request) -> web.Response:
        """Order answers."""
        line: Line = self._state.script.add_json(await _wish(request))
        return web.json_response(dataclasses.asdict(line), status=201)

    async def remove_script(self, request: web.Request) -> web.Response:
        """Take away one line (``?id=``), those of a ``?uid=`` or an ``?operation=``, or all."""
        line_id, uid = (_number(request.query, name) for name in ("id", "uid"))
        removed = self._state.script.remove(line_id, uid=uid, operation=request.query.get("operation"))
        return web.json_response({"removed": removed})

    async def expire(self, request: web.Request) -> web.Response:
        """Let secrets of one kind reach their end now."""
        target = shaped(_Target, await _wish(request))
        ended = self._levers.expire(target.uid, target.what, target.broker_id, self._stage.now())
        return web.json_response({"expired": ended})

    async def void(self, request: web.Request) -> web.Response:
        """Make secrets of one kind, or a customer id, worthless now."""
        target = shaped(_Target, await _wish(request))
        ended = self._levers.void(target.uid, target.what, target.broker_id, count=target.count)
        return web.json_response({"voided": ended})

    async def require(self, request: web.Request) -> web.Response:
        """Let the next login demand a person."""
        demand = shaped(_Demand, await _wish(request))
        self._levers.require(demand.uid, demand.what)
        return web.json_response({"uid": demand.uid, "what": demand.what})

    async def add_broker(self, request: web.Request) -> web.Response:
        """Add a broker to an account."""
        new = shaped(_NewBroker, await _wish(request))
        self._levers.add_broker(new.uid, new.broker_id, new.label)
        return web.json_response({"broker_ids": sorted(self._levers.account(new.uid).brokers)}, status=201)

    async def remove_broker(self, request: web.Request) -> web.Response:
        """Take a broker (``?uid=&broker_id=``) away."""
        uid, broker_id = (_number(request.query, name) or 0 for name in ("uid", "broker_id"))
        self._levers.remove_broker(uid, broker_id)
        return web.json_response({"broker_ids": sorted(self._levers.account(uid).brokers)})

    async def kick(self, request: web.Request) -> web.Response:
        """Close trading connections."""
        kick = shaped(_Kick, await _wish(request))
        return web.json_response({"kicked": self._line.kick(kick.uid, kick.broker_id)})

    async def service(self, request: web.Request) -> web.Response:
        """Change whose host this is, how wrong its clock is, and which device ids are poisoned."""
        wish = shaped(_Service, await _wish(request))
        if wish.platform is not None:
            self._state.platform = wish.platform
        if wish.offset_s is not None:
            self._state.offset_s = wish.offset_s
        if wish.poisoned is not None:
            self._levers.poison(wish.poisoned)
        shown = {"platform": self._state.platform, "offset_s": self._state.offset_s}
        return web.json_response({**shown, "poisoned": sorted(self._state.accounts.poisoned)})

    async def count(self, _: web.Request) -> web.Response:
        """Show the tally of every uid."""
        return web.json_response({"by_uid": {uid: _tally(one) for uid, one in self._state.books.tallies.items()}})


async def _wish(request: web.Request) -> Fields:
    wish = json.loads(await request.read() or b"{}")
    if not isinstance(wish, dict):
        raise TypeError("expected a JSON object")
    return wish


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    return None if text is None else int(text)


def _tally(tally: Tally) -> Fields:
    return {**dataclasses.asdict(tally), "authority_at": list(tally.authority_at)}


def _account(account: FutuAccount, now: float) -> Fields:
    return {
        "uid": account.uid,
        "account": account.name,
        "user_attribution": account.attribution,
        "label": account.label,
        "devices": sorted(account.devices),
        "needs": account.needs,
        "tgtgt": _secret(account.tickets.newest, now),
        "web_sig": _secret(account.web_sigs.newest, now),
        "client_sig": _secret(account.client_sigs.newest, now),
        "brokers": [_broker(broker, now) for broker in account.brokers.values()],
    }


def _broker(broker: Broker, now: float) -> Fields:
    return {
        "broker_id": broker.broker_id,
        "label": broker.label,
        "customer_id": broker.customer_id,
        "auth_code": _secret(broker.codes.newest, now),
        "broker_client_sig": _secret(broker.sigs.newest, now),
    }


def _secret(secret: Credential | None, now: float) -> Fields | None:
    if secret is None:
        return None
    shown: Fields = {"fingerprint": secret.fingerprint, "expires_at": secret.expires_at}
    return {**shown, "standing": secret.standing(now).value}
