"""Feishu on the sandbox's public port: every path that is no page, each through the same turn as OAuth 2.0."""

import time

from aiohttp import web

from freshd.sandbox.feishu.direct import scope_of, work
from freshd.sandbox.feishu.request import arrived
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.turn import Stage


class FeishuRoutes:
    """The handlers."""

    def __init__(self, feishu: Feishu, stage: Stage) -> None:
        """Serve ``feishu``."""
        self._feishu = feishu
        self._stage = stage

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [web.route(method, path, self.answer) for method, path in self._feishu.endpoints]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        asked = arrived(request.method, request.path, request.query, request.headers, await request.read())
        whose = self._feishu.whose(asked)
        note = self._feishu.arrive(whose, self._stage.now(), received_ns)
        return await self._stage.perform(
            request,
            scope_of(whose),
            lambda plan: work(self._feishu, asked, whose, self._stage.now(), plan, note),
            note,
        )
