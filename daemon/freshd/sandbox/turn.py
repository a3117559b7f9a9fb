"""One request's turn: draw its faults, let the service do its work, write the answer, book how far it got.

Rules: the work is one synchronous call, so nothing (a client that hangs up, a server that stops) can come between the
change and its being final. Whatever happens to the bytes afterwards is recorded and undoes nothing. ``Turn`` knows no
wire: ``Stage`` takes it over a socket, ``direct`` through the same process.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.counters import Call
from freshd.sandbox.endings import Hang
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.tokens import Commit, Delivery
from freshd.sandbox.wire import Reply, json_reply, speak


@dataclasses.dataclass(slots=True, kw_only=True)
class Worked:
    """What the service wants to say. ``successor``: text without which the answer does not carry its new secret.

    ``also``: further commits whose fate is that of the same bytes. ``is_empty``: the body has no byte, whatever
    ``answer`` holds. ``members``: the part of it that edits spoil.
    """

    answer: dict[str, object]
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    commit: Commit | None = None
    also: tuple[Commit, ...] = ()
    successor: str | None = None
    is_empty: bool = False
    members: dict[str, object] | None = None

    @property
    def commits(self) -> tuple[Commit, ...]:
        """All that this answer tells of."""
        return self.also if self.commit is None else (self.commit, *self.also)


Work = Callable[[Plan], Worked]


class Turn:
    """One request from its faults to its answer. ``worked`` None: a fault came before the service's work.

    ``reply`` is what is said. ``settle`` follows once it is known how the bytes fared.
    """

    def __init__(self, plan: Plan, work: Work, now: float, note: Call | None = None) -> None:
        """Do the work unless ``plan`` forestalls it; ``note`` learns the outcome. ``now`` is in wall seconds."""
        self._plan = plan
        self.worked: Worked | None = None
        true_reply = Reply()
        if not plan.forestalls:
            self.worked = work(plan)
            true_reply = _spoil(self.worked, plan)
            if note is not None and self.worked.commit is not None:
                note.commit, note.outcome = self.worked.commit.serial, "granted"
        elif note is not None and plan.ending is not None:
            note.outcome = plan.ending.name
        self.reply = (plan.ending.reply(now) if plan.ending is not None else None) or true_reply

    def settle(self, delivery: Delivery) -> None:
        """Book how far the answer got."""
        if self.worked is not None:
            secret = self.worked.successor
            self._plan.judge(delivery, carried=secret is None or secret.encode() in self.reply.body)
            for commit in self.worked.commits:
                commit.delivery = delivery


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

        def stamped(plan: Plan) -> Worked:
            worked = work(plan)
            stamp(worked.commits, note)
            return worked

        plan = self.faults.plan(call)
        await self.wait(plan.wait_before)
        turn = Turn(plan, stamped, self.now(), note)
        if turn.worked is not None:
            await self.wait(plan.wait_after)
        spoken, delivery = await self._say(request, plan, turn.reply)
        turn.settle(delivery)
        return spoken

    async def _say(self, request: web.Request, plan: Plan, reply: Reply) -> tuple[web.StreamResponse, Delivery]:
        if isinstance(plan.ending, Hang):
            await self.wait(plan.ending.seconds)
        date = self.now() + plan.date_offset
        return await speak(request, reply, date=date, manner=plan.manner, cut_at=plan.cut_at)

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until the server stops."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), seconds)


def stamp(commits: tuple[Commit, ...], note: Call | None) -> None:
    """Tell changes that were made this moment when that was, and when the request for them arrived."""
    for commit in commits:
        commit.committed_ns = time.monotonic_ns()
        if note is not None:
            commit.received_ns = note.received_ns


def _spoil(worked: Worked, plan: Plan) -> Reply:
    if worked.status == 200:
        for edit in plan.edits:
            edit.edit(worked.answer if worked.members is None else worked.members)
    reply = json_reply(worked.answer, worked.status)
    reply.headers.update(worked.headers)
    if worked.is_empty:
        reply.body = b""
    return reply
