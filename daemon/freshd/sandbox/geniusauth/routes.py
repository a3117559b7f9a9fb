"""GeniusAuth on the sandbox's public port: requests in, faults drawn, answers out and booked.

Edits spoil the members of ``data`` and leave refusals alone. ``wrong_subject`` wants a uid in digits.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from aiohttp import web

from freshd.sandbox.counters import Call
from freshd.sandbox.fault_queue import Plan
from freshd.sandbox.geniusauth.orders import Operation
from freshd.sandbox.geniusauth.request import Answer, Asked
from freshd.sandbox.geniusauth.whose import Whose
from freshd.sandbox.turn import Stage, Worked

_HEADERS = {"Content-Type": "application/json; charset=utf-8"}
_SOMEBODY_ELSE = 999


class Genius(Protocol):
    """What the routes need of the service."""

    def operation(self, asked: Asked) -> Operation | None:
        """Return which operation a request is."""

    def elsewhere(self, asked: Asked) -> str | None:
        """Return where the router sends a request."""

    def redirect_status(self, asked: Asked) -> int:
        """Return the status of such an answer."""

    def whose(self, operation: Operation, asked: Asked) -> Whose:
        """Return whom a request is about."""

    def arrive(self, whose: Whose, now: float, received_ns: int | None = None) -> Call:
        """Note one call."""

    def answer(self, asked: Asked, whose: Whose, now: float, *, note: Call, subject: int | None = None) -> Answer:
        """Answer one call."""


class GeniusRoutes:
    """The handlers. ``stage`` runs on the service's own clock, ``now`` is the true one."""

    def __init__(
        self, genius: Genius, stage: Stage, now: Callable[[], float], places: Iterable[tuple[str, str]]
    ) -> None:
        """Serve ``genius`` at ``places``."""
        self._genius = genius
        self._stage = stage
        self._now = now
        self._paths = sorted({path.removesuffix("/") for _, path in places})

    def routes(self) -> list[web.RouteDef]:
        """Return where they live: each path with and without its slash, for the router has a word for either."""
        return [web.route("*", path + slash, self.answer) for path in self._paths for slash in ("", "/")]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        asked = await _read(request)
        operation = self._genius.operation(asked)
        if operation is None:
            return self._sent_elsewhere(asked)
        whose = self._genius.whose(operation, asked)
        note = self._genius.arrive(whose, self._now(), received_ns)

        def work(plan: Plan) -> Worked:
            answer = self._genius.answer(asked, whose, self._now(), note=note, subject=_subject(plan))
            data = answer.body.get("data")
            return Worked(
                answer=answer.body,
                status=answer.status,
                headers=dict(_HEADERS),
                commit=answer.commit,
                successor=answer.successor,
                members=data if isinstance(data, dict) else {},
            )

        return await self._stage.perform(request, whose.scope, work, note)

    def _sent_elsewhere(self, asked: Asked) -> web.Response:
        place = self._genius.elsewhere(asked)
        if place is None:
            return web.Response(status=404, text="404 page not found")
        return web.Response(status=self._genius.redirect_status(asked), headers={"Location": place})


async def _read(request: web.Request) -> Asked:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(
        method=request.method,
        path=request.path,
        query=request.rel_url.raw_query_string,
        headers=headers,
        body=await request.read(),
    )


def _subject(plan: Plan) -> int | None:
    if plan.subject is None:
        return None
    return int(plan.subject) if plan.subject.isdecimal() else _SOMEBODY_ELSE
