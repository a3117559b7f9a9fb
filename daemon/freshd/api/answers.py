"""What each call is answered, and by what right (I12).

Rules
-----
* `from_memory` and `at_once` never wait.  `in_time` may, and checks caller and rules again after waiting.
* Deny is the default.  Forbidden, unknown and not for this caller are one and the same answer.
* What operators start is not ended by their hanging up.  A caller that waits for a lease may hang up: the engine's
  own task goes on.
* A bug becomes a 500 for that one request, and the loop's exception handler is told.
"""

from __future__ import annotations

import asyncio
import bisect
import functools
import importlib.resources
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from freshd.api import problem
from freshd.api.audit import Audit
from freshd.api.caller import Caller
from freshd.api.health import dump, health_document
from freshd.api.http import render, render_problem
from freshd.api.metrics import KIND as METRICS_KIND
from freshd.api.metrics import Counts, exposition
from freshd.api.peer import Peer
from freshd.api.routes import (
    Call,
    ListAccounts,
    Operate,
    Plain,
    ReadToken,
    Refuse,
    ShowAccount,
    ShowHistory,
    Tend,
    Watch,
)
from freshd.api.shelf import Shelf
from freshd.api.watch import Watchers
from freshd.core.access import Policy
from freshd.errors import FreshdError
from freshd.ports import Clock
from freshd.tokens import Published, Tokens

SLICE: Final = 200
"""Accounts that are listed before others have their turn."""
GRACE_SECONDS: Final = 5.0
"""How much longer than asked the engine may take before the caller is told that it was too long."""


@dataclass(frozen=True, slots=True)
class World:
    """What the answers are made of."""

    tokens: Tokens
    policy: Callable[[], Policy]
    clock: Clock
    identify: Callable[[socket.socket], Peer | None]


class Answers:
    """All calls."""

    def __init__(self, world: World, audit: Audit, watchers: Watchers) -> None:
        self._tokens = world.tokens
        self.policy = world.policy
        self._clock = world.clock
        self.identify = world.identify
        self._audit = audit
        self.watchers = watchers
        self.counts = Counts()
        self.is_stopping = False
        self._shelf = Shelf()
        self._operations: set[asyncio.Task[object]] = set()

    # ---------------------------------------------------------------------------------- without waiting

    def from_memory(self, caller: Caller, call: ReadToken) -> bytes | None:
        """The lease in memory, if the caller may have it and it lives long enough."""
        account = call.account
        if not caller.is_vouched_for(self.policy()) or not caller.may_read(account):
            return None
        published = self._tokens.lease(account)
        if published is None:
            return None
        left = published.until - self._clock.boot()
        least = 0.0 if self.is_stopping or self._tokens.locked() else published.least_left
        if left < max(call.min_ttl, least) or left <= 0:
            return None
        self.counts.memory += 1
        return self._hand_out(caller, account, published, left)

    def at_once(self, caller: Caller, call: Call) -> bytes | None:
        """The answer, None where it has to be waited for.  Caller and rules have just been checked."""
        match call:
            case ReadToken():
                return self.from_memory(caller, call) or self._why_no_lease(caller, call.account)
            case Refuse():
                return self._refuse(caller, call)
            case ShowAccount():
                return self._show(caller, call.account)
            case Plain("healthz"):
                state = {"status": "ok", "locked": self._tokens.locked(), "stopping": self.is_stopping}
                return render(200, dump(state))
            case Plain("openapi.json"):
                return render(200, description())
            case Operate() | Tend() if not caller.operates:
                return self._deny(caller, call.account if isinstance(call, Operate) else None)
            case ShowHistory() if not caller.may_see(call.account):
                return self._deny(caller, call.account)
            case _:
                return None

    def why_not_watch(self, caller: Caller, call: Watch) -> problem.Problem | None:
        """The reason to refuse a stream."""
        if self.is_stopping:
            return problem.STOPPING
        if all(self._tokens.knows(name) and caller.may_see(name) for name in call.accounts or ()):
            return None
        self._deny(caller, None)
        return problem.NOT_FOUND

    def _hand_out(self, caller: Caller, account: str, published: Published, left: float) -> bytes:
        generation = published.lease.generation
        tally = caller.tallies.get(account)
        if tally is not None and tally.generation == generation:
            tally.again += 1
        else:
            caller.tallies[account] = self._audit.granted(caller.identity, account, generation)
        return self._shelf.answer(account, published, left)

    def _why_no_lease(self, caller: Caller, account: str) -> bytes | None:
        if not self._tokens.knows(account) or not caller.may_read(account):
            return self._deny(caller, account)
        if self.is_stopping:
            return render_problem(problem.STOPPING)
        if self._tokens.locked():
            self.counts.short += 1
            return render_problem(problem.LOCKED)
        return None

    def _deny(self, caller: Caller, account: str | None) -> bytes:
        self.counts.denied += 1
        is_known = account is not None and self._tokens.knows(account)
        self._audit.denied(caller.identity, account if is_known else None)
        return render_problem(problem.NOT_FOUND)

    def _refuse(self, caller: Caller, call: Refuse) -> bytes:
        if not self._tokens.knows(call.account) or not caller.may_read(call.account):
            return self._deny(caller, call.account)
        self.counts.refused += 1
        outcome = self._tokens.refused(call.account, call.fingerprint, call.status, call.code)
        newest = self._tokens.lease(call.account)
        answer = {
            "account": call.account,
            "outcome": outcome,
            "generation": None if newest is None else newest.lease.generation,
            "fingerprint": None if newest is None else newest.fingerprint,
        }
        return render(200, dump(answer))

    def _show(self, caller: Caller, account: str) -> bytes:
        document = self._document(caller, account)
        return self._deny(caller, account) if document is None else render(200, document)

    def _document(self, caller: Caller, account: str) -> bytes | None:
        """The account's health, None where it does not exist for this caller."""
        if not caller.may_see(account):
            return None
        try:
            return dump(health_document(self._tokens.health(account)))
        except KeyError:
            return None

    # ------------------------------------------------------------------------------------- with waiting

    def at_once_safely(self, caller: Caller, call: Call) -> bytes | None:
        """`at_once`, whose bugs cost one answer and are told, not the connection."""
        try:
            return self.at_once(caller, call)
        except Exception as error:  # noqa: BLE001 - as in `in_time`
            context = {"message": f"{type(call).__name__} was not answered", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return render_problem(problem.INTERNAL)

    async def in_time(self, caller: Caller, call: Call) -> bytes:
        """The answer to a call that `at_once` had none for.  Raises nothing but CancelledError."""
        try:
            answer = await self._in_time(caller, call)
        except FreshdError as error:
            return render_problem(problem.of_error(error))
        except Exception as error:  # noqa: BLE001 - one request's bug must not end the connection's task unseen
            context = {"message": f"{type(call).__name__} was not answered", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return render_problem(problem.INTERNAL)
        if not caller.is_vouched_for(self.policy()):
            return render_problem(problem.UNIDENTIFIED)
        return answer

    async def _in_time(self, caller: Caller, call: Call) -> bytes:
        match call:
            case ReadToken():
                return await self._demand(caller, call)
            case ListAccounts():
                return await self._list(caller, call)
            case ShowHistory():
                return render(200, dump(await self._tokens.operate("history", call.account, {})))
            case Operate():
                if self.is_stopping:
                    return render_problem(problem.STOPPING)
                return render(200, dump(await self._kept(self._tokens.operate(call.verb, call.account, call.args))))
            case Tend():
                if self.is_stopping:
                    return render_problem(problem.STOPPING)
                return render(200, dump(await self._kept(self._tokens.tend(call.verb, call.args))))
            case _:
                return render(200, await exposition(self._tokens, self.counts), METRICS_KIND)

    async def _demand(self, caller: Caller, call: ReadToken) -> bytes:
        try:
            async with asyncio.timeout(call.wait + GRACE_SECONDS):
                found = await self._tokens.demand(call.account, call.min_ttl, call.wait)
        except TimeoutError:
            self.counts.short += 1
            return render_problem(problem.LATE)
        if not caller.is_vouched_for(self.policy()) or not caller.may_read(call.account):
            return self._deny(caller, call.account)
        if isinstance(found, Published):
            self.counts.waited += 1
            left = max(0.0, found.until - self._clock.boot())
            return self._hand_out(caller, call.account, found, left)
        self.counts.short += 1
        return render_problem(problem.of_shortfall(found))

    async def _list(self, caller: Caller, call: ListAccounts) -> bytes:
        """One page, in slices: a thousand accounts delay nobody."""
        names = self._tokens.accounts()
        shown: list[bytes] = []
        position, looked = bisect.bisect_right(names, call.after), 0
        while position < len(names) and len(shown) < call.limit:
            document = self._document(caller, names[position])
            shown += () if document is None else (document,)
            position, looked = position + 1, looked + 1
            if looked % SLICE == 0:
                await asyncio.sleep(0)
        following = names[position - 1] if 0 < position < len(names) and shown else None
        return render(200, b'{"accounts":[%s],"next":%s}' % (b",".join(shown), dump(following)))

    async def _kept(self, operation: Awaitable[object]) -> object:
        """Await something that goes on when the caller hangs up."""
        task = asyncio.ensure_future(operation)
        self._operations.add(task)
        task.add_done_callback(self._operation_ended)
        return await asyncio.shield(task)

    def _operation_ended(self, task: asyncio.Task[object]) -> None:
        """Its end is told to whoever waits; if nobody does any more, it is no mistake that nobody heard it."""
        self._operations.discard(task)
        if not task.cancelled():
            task.exception()

    # --------------------------------------------------------------------------------------- upkeep

    def tidy(self) -> None:
        """Let go of rendered leases of accounts that are gone."""
        self._shelf.forget_others(frozenset(self._tokens.accounts()))

    def close(self) -> None:
        """End what is still under way, tell the audit's counts."""
        for task in tuple(self._operations):
            task.cancel()
        self._audit.flush()


@functools.cache
def description() -> bytes:
    """The OpenAPI document."""
    return importlib.resources.files("freshd.api").joinpath("openapi.json").read_bytes()
