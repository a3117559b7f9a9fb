"""The control port's calls for CloudBase: users, keys, sessions, captchas, codes and constants, while it runs.

Rules: as in ``control``. What is common to all services (faults, counters, the ledger of a label, marking answers as
escrowed, revoking access tokens, killing lineages) is asked for there and works for CloudBase too.
"""

import dataclasses
import urllib.parse

from aiohttp import web

from freshd.sandbox.cloudbase.client import SECRET_ID, CloudbaseClient
from freshd.sandbox.cloudbase.environment import OPERATIONS
from freshd.sandbox.cloudbase.levers import DAY_S, Levers
from freshd.sandbox.cloudbase.order import ANY, Order
from freshd.sandbox.cloudbase.user import Profile, User
from freshd.sandbox.control import read_object, text_member
from freshd.sandbox.shape import checked, shaped


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Mint:
    label: str
    count: int = 1
    device_id: str = ""
    client_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    bits: int = 2048
    pkcs8: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _CloudKey:
    secret_id: str
    secret_key: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stranger:
    label: str
    device_id: str = "stranger-device-000000"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Age:
    label: str
    days: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    url: str
    allowed: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Upstream:
    subject: str
    provider_id: str = "upstream"
    enabled: bool = True


class CloudbaseControl:
    """The handlers."""

    def __init__(self, levers: Levers) -> None:
        """Pull ``levers``."""
        self._levers = levers
        self._environment = levers.environment

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/cloudbase/constants", self.show_constants),
            web.patch("/cloudbase/constants", self.change_constants),
            web.post("/cloudbase/users", self.register),
            web.patch("/cloudbase/users", self.change_user),
            web.get("/cloudbase/users/{label}", self.show_user),
            web.post("/cloudbase/mint", self.mint),
            web.post("/cloudbase/stranger", self.stranger),
            web.post("/cloudbase/age", self.age),
            web.post("/cloudbase/keys", self.make_key),
            web.get("/cloudbase/keys", self.list_keys),
            web.post("/cloudbase/clients", self.register_client),
            web.post("/cloudbase/cloud_keys", self.add_cloud_key),
            web.get("/cloudbase/captchas", self.captchas),
            web.post("/cloudbase/captcha", self.visit),
            web.get("/cloudbase/codes", self.codes),
            web.post("/cloudbase/upstream", self.upstream),
            web.get("/cloudbase/orders", self.list_orders),
            web.post("/cloudbase/orders", self.order),
            web.delete("/cloudbase/orders", self.remove_orders),
        ]

    async def show_constants(self, request: web.Request) -> web.Response:
        """Show what holds for a label, or for everybody."""
        return web.json_response(self._environment.constants.show(request.query.get("label", "")))

    async def change_constants(self, request: web.Request) -> web.Response:
        """Change constants of a label, or of everybody."""
        wish = await read_object(request)
        label = text_member(wish, "label")
        over = {name: value for name, value in wish.items() if name != "label"}
        self._environment.constants.change(over, label=label)
        return web.json_response(self._environment.constants.show(label or ""))

    async def register(self, request: web.Request) -> web.Response:
        """Add a user, or replace the one of the same label."""
        user = self._environment.users.register(shaped(Profile, await read_object(request)))
        return web.json_response(self._user(user))

    async def change_user(self, request: web.Request) -> web.Response:
        """Change some members of a known user."""
        fields = checked(Profile, await read_object(request), partial=True)
        user = self._levers.user(str(fields.get("label")))
        self._environment.users.register(dataclasses.replace(user.profile, **fields))
        return web.json_response(self._user(user))

    async def show_user(self, request: web.Request) -> web.Response:
        """Show how a user stands and which sessions it has; secrets as fingerprints."""
        user = self._environment.users.labelled(request.match_info["label"])
        return web.json_response(self._user(user) if user is not None else {}, status=200 if user is not None else 404)

    async def mint(self, request: web.Request) -> web.Response:
        """Sign a user in without ceremony, as a new one if need be; with a count, labels end in ``-1``, ``-2`` …."""
        wish = shaped(_Mint, await read_object(request))
        labels = [wish.label] if wish.count == 1 else [f"{wish.label}-{n}" for n in range(1, wish.count + 1)]
        made = [self._levers.mint(label, device_id=wish.device_id, client_id=wish.client_id) for label in labels]
        return web.json_response({"grants": made})

    async def stranger(self, request: web.Request) -> web.Response:
        """Let another device sign in as the user of a label."""
        wish = shaped(_Stranger, await read_object(request))
        return web.json_response({"pushed_out": self._levers.stranger(wish.label, wish.device_id)})

    async def age(self, request: web.Request) -> web.Response:
        """Make the living sessions of a label and their tokens ``days`` older."""
        wish = shaped(_Age, await read_object(request))
        return web.json_response({"aged": self._environment.sessions.age(wish.label, wish.days * DAY_S)})

    async def make_key(self, request: web.Request) -> web.Response:
        """Make a key for tickets and return its file; the ones before it end after the overlap."""
        wish = shaped(_Key, await read_object(request))
        return web.json_response(self._levers.make_key(bits=wish.bits, pkcs8=wish.pkcs8))

    async def list_keys(self, _: web.Request) -> web.Response:
        """Show the ids of all keys, and when they end."""
        return web.json_response({"keys": self._environment.keys.list()})

    async def register_client(self, request: web.Request) -> web.Response:
        """Add or replace a client."""
        client = shaped(CloudbaseClient, await read_object(request))
        self._environment.clients.register(client)
        return web.json_response({"client_id": client.client_id, "allowed": client.allowed})

    async def add_cloud_key(self, request: web.Request) -> web.Response:
        """Add or replace a cloud key."""
        wish = shaped(_CloudKey, {"secret_id": SECRET_ID, **await read_object(request)})
        self._environment.clients.add_cloud_key(wish.secret_id, wish.secret_key)
        return web.json_response({"secret_id": wish.secret_id})

    async def captchas(self, _: web.Request) -> web.Response:
        """Show the challenges that wait, with their answers."""
        return web.json_response({"captchas": self._environment.captchas.open(self._levers.now())})

    async def visit(self, request: web.Request) -> web.Response:
        """Visit a captcha's page in the person's place; 404 if that check is over."""
        wish = shaped(_Visit, await read_object(request))
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(wish.url).query))
        place = self._levers.visit(query.get("challenge", ""), allowed=wish.allowed)
        return web.json_response({"location": place}, status=404 if place is None else 200)

    async def codes(self, request: web.Request) -> web.Response:
        """Show the codes sent to an address."""
        return web.json_response({"codes": self._environment.verifications.mailbox(request.query.get("to", ""))})

    async def upstream(self, request: web.Request) -> web.Response:
        """Switch a provider on or off, and return a code of it for one of its users."""
        wish = shaped(_Upstream, await read_object(request))
        self._environment.providers.known[wish.provider_id] = wish.enabled
        return web.json_response({"provider_code": self._environment.providers.code(wish.provider_id, wish.subject)})

    async def list_orders(self, _: web.Request) -> web.Response:
        """Show the orders in force."""
        return web.json_response({"orders": [dataclasses.asdict(order) for order in self._environment.orders.lines]})

    async def order(self, request: web.Request) -> web.Response:
        """Put a refusal on demand in force."""
        order = shaped(Order, await read_object(request))
        if order.operation not in (ANY, *OPERATIONS):
            raise ValueError(f"operation: expected one of {', '.join((ANY, *OPERATIONS))}")
        return web.json_response({"id": self._environment.orders.add(order).id}, status=201)

    async def remove_orders(self, request: web.Request) -> web.Response:
        """Take one order back (``?id=``), or all."""
        number = request.query.get("id")
        return web.json_response({"removed": self._environment.orders.remove(None if number is None else int(number))})

    def _user(self, user: User) -> dict[str, object]:
        profile = {name: value for name, value in dataclasses.asdict(user.profile).items() if name != "password"}
        sessions = [
            {
                "lineage": one.id,
                "label": one.holder.label,
                "device_id": one.device_id,
                "method": one.method,
                "started_at": one.started_at,
                "ends_at": one.ends_at,
                "refreshes": one.refreshes,
                "head": one.head.fingerprint if one.head is not None else None,
            }
            for one in self._environment.sessions.living(user, self._levers.now())
        ]
        counts = {"failures": user.failures, "locked_until": user.locked_until}
        return {**profile, "sub": user.sub, **counts, "sessions": sessions}
