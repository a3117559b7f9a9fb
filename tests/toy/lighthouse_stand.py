"""The service that the toy's provider talks to, in one file: keys that work once, and a control call that mints one."""

import secrets

from aiohttp import web

from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.stands import Ground
from freshd.sandbox.turn import Worked

SECONDS = 5.0


class Stand:
    """Keys and what was made of them."""

    def __init__(self, ground: Ground) -> None:
        """Nobody has a key yet."""
        self._stage = ground.service.stage
        self.good: set[str] = set()
        self.spent: set[str] = set()
        self.spent_uses = 0

    async def mint(self, _request: web.Request) -> web.Response:
        """Hand out a key."""
        return web.json_response({"key": self._key()})

    async def counters(self, _request: web.Request) -> web.Response:
        """How often a key was presented after it was spent."""
        return web.json_response({"spent_uses": self.spent_uses, "lit": len(self.spent)})

    async def light(self, request: web.Request) -> web.StreamResponse:
        """Spend a key; faults of the sandbox strike here as everywhere."""
        wish = await request.json()
        key = str(wish.get("key", ""))

        def work(_plan: Plan) -> Worked:
            if key not in self.good:
                self.spent_uses += key in self.spent
                return Worked(answer={"no": "spent"}, status=400)
            self.good.remove(key)
            self.spent.add(key)
            return Worked(answer={"light": secrets.token_urlsafe(16), "seconds": SECONDS, "next_key": self._key()})

        return await self._stage.perform(request, Scope(endpoint="light"), work)

    def _key(self) -> str:
        key = secrets.token_urlsafe(16)
        self.good.add(key)
        return key


def mount(ground: Ground) -> Stand:
    """Add the routes."""
    stand = Stand(ground)
    ground.public.add_routes([web.post("/lighthouse/light", stand.light)])
    ground.control.add_routes(
        [web.post("/lighthouse/mint", stand.mint), web.get("/lighthouse/counters", stand.counters)]
    )
    return stand
