"""One request's turn: draw its faults, let the service do its work, write the answer, book how far it got.

Rules: the work is one synchronous call, so nothing (a client that hangs up, a server that stops) can come between the
change and its being final. Whatever happens on the wire afterwards is recorded and undoes nothing.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.counters import Call
from freshd.sandbox.endings import Ending, Hang
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.tokens import Commit, Delivery
from freshd.sandbox.wire import Manner, Reply, json_reply, speak


@dataclasses.dataclass(slots=True, kw_only=True)
class Worked:
    """What the service wants to say. ``successor``: text without which the answer does not carry its new secret.

    ``is_empty``: the body has no byte, whatever ``answer`` holds. ``members``: the part of it that edits spoil.
    """

    answer: dict[str, object]
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    commit: Commit | None = None
    successor: str | None = None
    is_empty: bool = False
    members: dict[str, object] | None = None


Work = Callable[[Plan], Worked]


@dataclasses.dataclass(slots=True)
class Stage:
    """What every turn needs: the faults, the service's clock (wall seconds), and the bell that ends all waiting."""

    faults: FaultQueue
    now: Callable[[], float]
    closing: asyncio.Event

    async def perform(
        self, request: web.Request, call: Scope, work: Work, note: Call | None = None
    ) -> web.StreamResponse:
        """Carry one request through; ``note`` is its line in the books, if it has one."""
        plan = self.faults.plan(call)
        await self._wait(plan.wait_before)
        ending = plan.ending
        if ending is not None and not ending.after_commit and not ending.is_own_word:
            if note is not None:
                note.outcome = ending.name
            return (await self._say(request, plan, ending.reply(self.now()) or Reply()))[0]
        worked = work(plan)
        _stamp(worked.commit, note)
        true_reply = _spoil(worked, plan)
        reply = (ending.reply(self.now()) if ending is not None else None) or true_reply
        await self._wait(plan.wait_after)
        spoken, delivery = await self._say(request, plan, reply)
        _judge(delivery, worked, reply, ending, plan)
        if worked.commit is not None:
            worked.commit.delivery = delivery
        return spoken

    async def _say(self, request: web.Request, plan: Plan, reply: Reply) -> tuple[web.StreamResponse, Delivery]:
        ending = plan.ending
        if isinstance(ending, Hang):
            await self._wait(ending.seconds)
        manner = ending.manner if ending is not None else Manner.WHOLE
        length = getattr(ending, "bytes", 0) if manner is Manner.CUT else 0
        return await speak(request, reply, date=self.now() + plan.date_offset, manner=manner, cut_at=length)

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the server stops."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), seconds)


def _stamp(commit: Commit | None, note: Call | None) -> None:
    if commit is not None:
        commit.committed_ns = time.monotonic_ns()
        if note is not None:
            commit.received_ns, note.commit, note.outcome = note.received_ns, commit.serial, "granted"


def _spoil(worked: Worked, plan: Plan) -> Reply:
    if worked.status == 200:
        for edit in plan.edits:
            edit.edit(worked.answer if worked.members is None else worked.members)
    reply = json_reply(worked.answer, worked.status)
    reply.headers.update(worked.headers)
    if worked.is_empty:
        reply.body = b""
    return reply


def _judge(delivery: Delivery, worked: Worked, reply: Reply, ending: Ending | None, plan: Plan) -> None:
    """Decide whether the client could read its new secret, and name what prevented it."""
    secret = worked.successor
    delivery.carried = delivery.complete and (secret is None or secret.encode() in reply.body)
    if not delivery.is_whole and delivery.reason is None:
        spoilers = [edit.name for edit in plan.edits]
        delivery.reason = ending.name if ending is not None else ",".join(spoilers) or "not_carried"
