"""AUN's part of the control port; the folder's README lists the calls.

Only the answer to ``POST /aun/mint`` holds secrets; all else shows fingerprints. A malformed wish raises ValueError or
TypeError, which the port turns into 400.
"""

import dataclasses
from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.aun.answer import Fields
from freshd.sandbox.aun.books import Tally
from freshd.sandbox.aun.gateway import PATHS, Gateway, Place
from freshd.sandbox.aun.http import Endpoints
from freshd.sandbox.aun.levers import AunLevers, Kick, Minting, Thing
from freshd.sandbox.aun.pki import Curve, Flaw
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.aun.script import Line
from freshd.sandbox.control import read_object, text_member
from freshd.sandbox.shape import shaped


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    aid: str
    what: Thing
    fingerprint: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Age:
    aid: str
    chain_s: float = 0
    refreshes: int = 0
    certificate_s: float = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Roll:
    curve: Curve = Curve.P384
    flaw: Flaw = Flaw.NONE
    retires_old: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    offset_s: float | None = None


class AunControl:
    """The handlers. ``now`` is true time in wall seconds."""

    def __init__(self, aun: Aun, gateway: Gateway, endpoints: Endpoints, now: Callable[[], float]) -> None:
        """Steer ``aun``, and what ``gateway`` announces."""
        self._aun = aun
        self._levers = AunLevers(aun)
        self._gateway = gateway
        self._endpoints = endpoints
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/aun/roots", self.roots),
            web.post("/aun/mint", self.mint),
            web.get("/aun/agents/{aid}", self.show),
            web.get("/aun/constants", self.show_constants),
            web.patch("/aun/constants", self.change_constants),
            web.get("/aun/script", self.list_script),
            web.post("/aun/script", self.add_script),
            web.delete("/aun/script", self.remove_script),
            web.post("/aun/kick", self.kick),
            web.post("/aun/revoke", self.revoke),
            web.post("/aun/expire", self.expire),
            web.post("/aun/age", self.age),
            web.post("/aun/rollover", self.roll),
            web.patch("/aun/service", self.service),
            web.get("/aun/sessions", self.sessions),
            web.get("/aun/counters", self.count),
        ]

    async def roots(self, _: web.Request) -> web.Response:
        """Show what a client is to trust, and where the gateways are."""
        pki = self._aun.state.pki
        return web.json_response({"pem": pki.roots, "issuer": pki.issuer, "gateways": self._endpoints.gateways()})

    async def mint(self, request: web.Request) -> web.Response:
        """Register and log in ``count`` identities; with a count, labels end in ``-1``, ``-2`` …."""
        wish = shaped(Minting, await read_object(request))
        if not wish.label and not wish.aid:
            raise ValueError("label, aid: expected one of them")
        wishes = [wish]
        if wish.count != 1:
            wishes = [dataclasses.replace(wish, label=f"{wish.label}-{n}", aid="") for n in range(1, wish.count + 1)]
        return web.json_response({"agents": [self._levers.mint(one, self._now()) for one in wishes]})

    async def show(self, request: web.Request) -> web.Response:
        """Show an AID: certificates and chains."""
        return web.json_response(self._levers.show(request.match_info["aid"], self._now()))

    async def show_constants(self, request: web.Request) -> web.Response:
        """Show what holds for an AID, or for everybody."""
        found = self._aun.state.constants.of(request.query.get("aid"))
        return web.json_response(dataclasses.asdict(found))

    async def change_constants(self, request: web.Request) -> web.Response:
        """Change constants of an AID, or of everybody."""
        wish = await read_object(request)
        aid = text_member(wish, "aid")
        over = {name: value for name, value in wish.items() if name != "aid"}
        return web.json_response(dataclasses.asdict(self._aun.state.constants.change(over, aid=aid)))

    async def list_script(self, _: web.Request) -> web.Response:
        """Show the lines in force."""
        return web.json_response({"lines": [_line(one) for one in self._aun.state.script.lines]})

    async def add_script(self, request: web.Request) -> web.Response:
        """Order answers."""
        return web.json_response(_line(self._aun.state.script.add_json(await read_object(request))), status=201)

    async def remove_script(self, request: web.Request) -> web.Response:
        """Take back one line (``?id=``), those of an ``?aid=`` or an ``?operation=``, or all."""
        line_id, aid, operation = (request.query.get(name) for name in ("id", "aid", "operation"))
        number = int(line_id) if line_id is not None else None
        return web.json_response({"removed": self._aun.state.script.remove(number, aid=aid, operation=operation)})

    async def kick(self, request: web.Request) -> web.Response:
        """End sessions."""
        return web.json_response({"kicked": self._levers.kick(shaped(Kick, await read_object(request)))})

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke tokens or a certificate."""
        wish = shaped(_End, await read_object(request))
        revoked = self._levers.revoke(wish.aid, wish.what, wish.fingerprint, self._now())
        return web.json_response({"revoked": revoked})

    async def expire(self, request: web.Request) -> web.Response:
        """Let tokens or a certificate reach their end."""
        wish = shaped(_End, await read_object(request))
        return web.json_response({"expired": self._levers.expire(wish.aid, wish.what, self._now())})

    async def age(self, request: web.Request) -> web.Response:
        """Make chains and certificates older."""
        wish = shaped(_Age, await read_object(request))
        aged = self._levers.age(
            wish.aid, chain_s=wish.chain_s, refreshes=wish.refreshes, certificate_s=wish.certificate_s
        )
        return web.json_response({"aged": aged})

    async def roll(self, request: web.Request) -> web.Response:
        """Give the auth service a new key and certificate, sound or not."""
        wish = shaped(_Roll, await read_object(request))
        return web.json_response(
            self._levers.roll(self._now(), curve=wish.curve, flaw=wish.flaw, retires_old=wish.retires_old)
        )

    async def service(self, request: web.Request) -> web.Response:
        """Change how wrong the gateway's clock is, and which gateways are announced and up."""
        wish = await read_object(request)
        places = wish.pop("gateways", None)
        offset_s = shaped(_Service, wish).offset_s
        if places is not None:
            self._gateway.places = _places(places)
        if offset_s is not None:
            self._aun.state.offset_s = offset_s
        listed = [dataclasses.asdict(one) for one in self._gateway.places]
        return web.json_response({"offset_s": self._aun.state.offset_s, "gateways": listed})

    async def sessions(self, _: web.Request) -> web.Response:
        """Show who is connected."""
        return web.json_response({"sessions": [one.shown() for one in self._aun.hub.sessions]})

    async def count(self, _: web.Request) -> web.Response:
        """Show the tally of every AID."""
        books = self._aun.state.books
        by_aid = {aid: _tally(one) for aid, one in books.tallies.items()}
        return web.json_response({"connections": books.connections, "by_aid": by_aid})


def _places(wish: object) -> list[Place]:
    if not isinstance(wish, list) or not all(isinstance(one, dict) for one in wish):
        raise TypeError("gateways: expected a list of objects")
    made = [shaped(Place, one) for one in wish]
    if any(one.path not in PATHS for one in made):
        raise ValueError(f"path: expected one of {', '.join(PATHS)}")
    return made


def _line(line: Line) -> Fields:
    return dataclasses.asdict(line)


def _tally(tally: Tally) -> Fields:
    return {**dataclasses.asdict(tally), "at": [list(one) for one in tally.at]}
