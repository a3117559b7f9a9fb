"""The control port's calls for Feishu: apps, people, grants and constants, changed while the service runs.

Rules: as in ``control``. What is common to all services (faults, counters, the ledger of a label, marking answers as
escrowed, revoking access tokens, killing lineages, approving device codes) is asked for there and works for Feishu too.
"""

import dataclasses
import urllib.parse
from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.control import read_object, text_member
from freshd.sandbox.feishu.apps import App, Standing
from freshd.sandbox.feishu.codes import Refusal
from freshd.sandbox.feishu.constants import DAY_S
from freshd.sandbox.feishu.ledger import Generation, Grant
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.shape import checked, shaped
from freshd.sandbox.tokens import Holder


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Mint:
    label: str
    app_id: str = "cli_sandbox"
    open_id: str = "user"
    scope: str = "auth:user.id:read offline_access"
    generation: Generation = Generation.V2
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    open_id: str
    standing: Standing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Age:
    label: str
    days: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    url: str
    open_id: str = "user"
    label: str = ""
    allowed: bool = True


class FeishuControl:
    """The handlers. ``now`` is the service's clock, in wall seconds."""

    def __init__(self, feishu: Feishu, now: Callable[[], float]) -> None:
        """Steer ``feishu``."""
        self._feishu = feishu
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/feishu/constants", self.show_constants),
            web.patch("/feishu/constants", self.change_constants),
            web.post("/feishu/mint", self.mint),
            web.post("/feishu/apps", self.register),
            web.patch("/feishu/apps", self.change_app),
            web.post("/feishu/people", self.person),
            web.post("/feishu/age", self.age),
            web.post("/feishu/authorize", self.authorize),
            web.get("/feishu/grants/{label}", self.grants),
        ]

    async def show_constants(self, request: web.Request) -> web.Response:
        """Show what holds for a label, an app, or everybody."""
        query = request.query
        return web.json_response(self._feishu.constants.show(query.get("app_id", ""), query.get("label", "")))

    async def change_constants(self, request: web.Request) -> web.Response:
        """Change constants of a label, of an app, or of everybody."""
        wish = await read_object(request)
        whose = {name: text_member(wish, name) for name in ("app_id", "label")}
        over = {name: value for name, value in wish.items() if name not in whose}
        self._feishu.constants.change(over, **whose)
        return web.json_response(self._feishu.constants.show(whose["app_id"] or "", whose["label"] or ""))

    async def mint(self, request: web.Request) -> web.Response:
        """Give ``count`` fresh pairs, as if a person had just agreed; with a count, labels end in ``-1``, ``-2`` …."""
        wish = shaped(_Mint, await read_object(request))
        if self._feishu.apps.find(wish.app_id) is None:
            message = "app_id: not registered"
            raise ValueError(message)
        labels = [wish.label] if wish.count == 1 else [f"{wish.label}-{n}" for n in range(1, wish.count + 1)]
        return web.json_response({"grants": [self._pair(wish, label) for label in labels]})

    async def register(self, request: web.Request) -> web.Response:
        """Add an app, or replace it whole."""
        app = shaped(App, await read_object(request))
        self._feishu.apps.register(app)
        return web.json_response(_shown(app))

    async def change_app(self, request: web.Request) -> web.Response:
        """Change some fields of a known app."""
        fields = checked(App, await read_object(request), partial=True)
        app = self._feishu.apps.find(str(fields.get("app_id")))
        if app is None:
            message = "app_id: not registered"
            raise ValueError(message)
        app = dataclasses.replace(app, **fields)
        self._feishu.apps.register(app)
        return web.json_response(_shown(app))

    async def person(self, request: web.Request) -> web.Response:
        """Say how a person stands from now on."""
        wish = shaped(_Person, await read_object(request))
        self._feishu.apps.people[wish.open_id] = wish.standing
        return web.json_response({"open_id": wish.open_id, "standing": wish.standing})

    async def age(self, request: web.Request) -> web.Response:
        """Make the living grants of a label and their tokens ``days`` older."""
        wish = shaped(_Age, await read_object(request))
        return web.json_response({"aged": self._feishu.ledger.age(wish.label, wish.days * DAY_S)})

    async def authorize(self, request: web.Request) -> web.Response:
        """Visit an authorization address in the person's place; 409 with the page's number if it cannot go on."""
        wish = shaped(_Visit, await read_object(request))
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(wish.url).query, keep_blank_values=True))
        asked |= {"subject": wish.open_id, "label": wish.label or wish.open_id}
        try:
            place = self._feishu.page.decide(asked, self._now(), allowed=wish.allowed)
        except Refusal as refusal:
            return web.json_response({"code": refusal.code}, status=409)
        return web.json_response({"location": place})

    async def grants(self, request: web.Request) -> web.Response:
        """Show each grant of a label: what its refreshes did, and how many refresh tokens of it still work."""
        found = self._feishu.ledger.grants(request.match_info["label"])
        return web.json_response({"grants": [self._grant(grant) for grant in found]}, status=200 if found else 404)

    def _pair(self, wish: _Mint, label: str) -> dict[str, object]:
        holder = Holder(client_id=wish.app_id, label=label, subject=wish.open_id, scope=wish.scope)
        access, refresh = self._feishu.mint(holder, self._now(), wish.generation)
        return {
            "label": label,
            "lineage": refresh.lineage.id,
            "open_id": wish.open_id,
            "scope": wish.scope,
            "authorized_at": refresh.lineage.started_at,
            "access_token": access.text,
            "expires_at": access.expires_at,
            "refresh_token": refresh.text,
            "refresh_expires_at": refresh.expires_at,
            "fingerprint": refresh.fingerprint,
        }

    def _grant(self, grant: Grant) -> dict[str, object]:
        return {
            "lineage": grant.id,
            "app_id": grant.holder.client_id,
            "open_id": grant.holder.subject,
            "generation": grant.generation,
            "scope": grant.holder.scope,
            "authorized_at": grant.started_at,
            "refreshes": grant.refreshes,
            "live_refresh_tokens": self._feishu.ledger.count_live(grant, self._now()),
            "refresh_expires_at": grant.head.expires_at if grant.head is not None else None,
            "head": grant.head.fingerprint if grant.head is not None else None,
            "killed_by": grant.killed_by,
        }


def _shown(app: App) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(app).items() if name != "secret"}
