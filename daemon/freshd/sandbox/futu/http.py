"""Futu's stand-in on the sandbox's public port: requests in, faults drawn, answers out and booked.

An operation that gives out secrets counts as the ``token`` endpoint, so that fault rules without an endpoint strike it
as they strike OAuth's; ``salt`` and ``req_device_code`` go by their own names. A rule's ``grant_type`` names the
operation, its ``client_id`` the uid. Edits spoil the members of ``result`` and leave refusals alone.
"""

import json
import time

from aiohttp import web

from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.futu.answer import Asked, Told
from freshd.sandbox.futu.constants import AUTHORITY
from freshd.sandbox.futu.service import FutuService, Whose
from freshd.sandbox.turn import Stage, Worked

_SECRETLESS = ("salt", "req_device_code")


class FutuEndpoints:
    """The handlers."""

    def __init__(self, futu: FutuService, stage: Stage) -> None:
        """Serve ``futu`` with the faults and the clock of ``stage``."""
        self._futu = futu
        self._stage = stage

    def routes(self) -> list[web.RouteDef]:
        """Return where they live; the path of ``salt`` may be changed to any other below the first."""
        return [
            web.route("*", AUTHORITY + "{rest:.*}", self.answer),
            web.route("*", "/broker_auth/client_auth", self.answer),
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        asked = await _read(request)
        operation = self._futu.operation(asked)
        if operation is None:
            return web.json_response({"error": "no such operation"}, status=404)
        whose = self._futu.whose(operation, asked)
        note = self._futu.arrive(operation, whose, self._stage.now(), received_ns=received_ns)

        def work(plan: Plan) -> Worked:
            told = self._futu.judge(operation, asked, whose, self._stage.now())
            note.outcome = told.outcome
            return _worked(told, plan)

        return await self._stage.perform(request, _scope(operation, whose), work, note)


async def _read(request: web.Request) -> Asked:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        body = None
    headers = {name.lower(): value for name, value in request.headers.items()}
    fields = body if isinstance(body, dict) else {}
    return Asked(method=request.method, path=request.path, query=dict(request.query), headers=headers, body=fields)


def _scope(operation: str, whose: Whose) -> Scope:
    endpoint = operation if operation in _SECRETLESS else "token"
    client_id = None if whose.uid is None else str(whose.uid)
    return Scope(endpoint=endpoint, client_id=client_id, label=whose.label, grant_type=operation)


def _worked(told: Told, plan: Plan) -> Worked:
    """Put what was told into the turn's words."""
    members = told.members
    if plan.subject is not None and "uid" in members:
        members["uid"] = int(plan.subject) if plan.subject.isdecimal() else plan.subject
    return Worked(
        answer=told.answer,
        members=members,
        status=told.status,
        commit=told.commit,
        also=told.others,
        successor=told.successor,
    )
