"""One family: the only writer of its accounts' states (I1).

A keeper takes events, runs `lifecycle.step`, and performs the effects it is handed.  It decides nothing.

Rules
-----
* `post` runs to its end without awaiting: state and effects change together, on the loop's thread.
* A flight is a task of the supervisor's; it ends in exactly one ending, posted here.
* One spending flight per family: flights of a family queue on its lock.
* Callers wait on `changed`, never on a flight, so none can cancel one.
* Outlets are told last: whatever they do, flights and alarms are under way by then.
* Whatever happens to a flight, it ends: an account in the air without a flight would wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from freshd.core import kin, lifecycle
from freshd.core.effects import Ask, Compare, Effect, Finish, Fly, Probe, Publish, SaveAgain, Tell, Wake, Withdraw
from freshd.core.events import Event
from freshd.core.happenings import Broke, Committed, Ending, Happening, Needed, Probed, Relieved, SaveFailed
from freshd.core.lifecycle import is_in_air
from freshd.core.model import Lease, Standing
from freshd.core.state import Plan, State
from freshd.errors import FreshdError
from freshd.exchange import Exchange
from freshd.flight import Order, is_cancelled
from freshd.herds import Herds
from freshd.ports import Alarms, Clock, Provider
from freshd.tokens import Published

Spawn = Callable[[Coroutine[Any, Any, None], str], object]
PROBE_DEADLINE_SECONDS: Final = 20.0
RESCUE_SECONDS: Final = 5.0
"""The longest time between two tries to write an answer that is not durable."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a keeper is given to act with: how to start tasks, tell events, show or withdraw a lease, compare."""

    clock: Clock
    alarms: Alarms
    spawn: Spawn
    tell: Callable[[Event], None]
    show: Callable[[Published], None]
    withdraw: Callable[[str], None]
    herds: Herds


class Keeper:
    """The accounts of one family.  `trace(point)` is called as points 7 and 8 of an exchange are passed."""

    def __init__(self, exchange: Exchange, shelf: Shelf, trace: Callable[[int], None] = lambda _point: None) -> None:
        self._exchange = exchange
        self._shelf = shelf
        self._trace = trace
        self._plans: dict[str, Plan] = {}
        self._providers: dict[str, Provider] = {}
        self._states: dict[str, State] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._spending = asyncio.Lock()
        self._written: str | None = None

    @property
    def accounts(self) -> Mapping[str, State]:
        """The states, to read."""
        return self._states

    def plan(self, account: str) -> Plan:
        """What does not change."""
        return self._plans[account]

    def provider(self, account: str) -> Provider:
        """The account's service."""
        return self._providers[account]

    def adopt(self, plan: Plan, provider: Provider) -> None:
        """Take an account on, or give it a changed plan; a flight in the air keeps the provider it started with."""
        self._plans[plan.account] = plan
        self._providers[plan.account] = provider
        self._states.setdefault(plan.account, lifecycle.vacant(plan.account))
        for name in kin.relatives(plan) & self._states.keys():
            self.post(plan.account, kin.word_of(self._plans[name], self._states[name], renewed=False))

    def post(self, account: str, event: Happening) -> None:
        """One event: step, then its effects, without awaiting."""
        before = self._states.get(account)
        if before is None:
            return  # a probe or a flight of an account that has moved to another family
        after, effects = lifecycle.step(self._plans[account], before, event, self._shelf.clock.now())
        self._states[account] = after
        for effect in sorted(effects, key=lambda one: isinstance(one, Tell)):
            self._perform(account, effect)
        if after != before:
            self._wake_waiters(account)
            self._tell_kin(account, before, event)
        if isinstance(event, Committed):
            for name, standing in event.others.items():
                self.post(name, Relieved(standing, adds=name in event.added))

    def _tell_kin(self, account: str, before: State, event: Happening) -> None:
        """Let those that need this account know how it stands now, where that has changed."""
        plan, after = self._plans[account], self._states[account]
        was, word = (kin.word_of(plan, one, renewed=isinstance(event, Committed)) for one in (before, after))
        if word == was and not word.renewed:
            return
        helped = event.others if isinstance(event, Committed) else {}
        for name, other in self._plans.items():
            if account in kin.relatives(other):
                self.post(name, replace(word, renewed=word.renewed and name not in helped))

    async def changed(self, account: str) -> None:
        """Return at the next change of the account's state."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(account, set())
        waiters.add(future)
        try:
            await future
        finally:
            waiters.discard(future)

    @contextlib.asynccontextmanager
    async def quiet(self, account: str) -> AsyncIterator[State]:
        """Hold the family's lock: no exchange runs inside, so an operator's write is never a stale one.

        A flight that was launched meanwhile waits, finds a newer record at point 2, and changes nothing.
        """
        async with self._spending:
            state = self._states[account]
            self._written = account
            try:
                yield state
            finally:
                self._written = None
                self._wake_waiters(account)

    async def idle(self, account: str) -> None:
        """Return once no flight of the account is in the air, and no operator writes about it."""
        while is_in_air(self._states[account]) or self._written == account:
            await self.changed(account)

    async def landed(self, account: str) -> State:
        """The state once no flight of the account is in the air."""
        while is_in_air(self._states[account]):
            await self.changed(account)
        return self._states[account]

    def release(self, account: str) -> State:
        """Give an account away, with nothing of it in the air; whoever waits for it looks again."""
        state = self._states.pop(account)
        del self._plans[account], self._providers[account]
        self._wake_waiters(account)
        return state

    def receive(self, plan: Plan, provider: Provider, state: State) -> None:
        """Take on an account that another keeper has released."""
        self._states[plan.account] = kin.parted(state)
        self.adopt(plan, provider)

    # -- effects ----------------------------------------------------------------------------------------------------

    def _perform(self, account: str, effect: Effect) -> None:
        shelf = self._shelf
        match effect:
            case Fly() | Finish():
                self._launch(account, effect)
            case Ask(relative):
                self.post(relative, Needed())
            case Wake(at):
                shelf.alarms.cancel(account) if at is None else shelf.alarms.set(account, at)
            case Publish(lease, until):
                shelf.show(_published(lease, until, shelf.clock, self._plans[account].contract.least_left))
                self._trace(7)
            case Withdraw():
                shelf.withdraw(account)
            case Probe(lease, attempt):
                shelf.spawn(self._probe(account, lease, attempt), f"probe:{account}")
            case Compare(host, over):
                (shelf.herds.answered if over else shelf.herds.refused)(host, account)
            case SaveAgain():
                self._gate(account).set()
            case Tell(event):
                shelf.tell(event)

    def _launch(self, account: str, effect: Fly | Finish) -> None:
        spawn, provider, attempt = self._shelf.spawn, self._providers[account], effect.attempt
        if isinstance(effect, Fly):
            order = _order(account, effect, self._states[account].standing)
            spawn(self._fly(order, provider), f"flight:{account}:{attempt}")
        else:
            spawn(self._finish(account, attempt, provider), f"finish:{account}:{attempt}")

    async def _fly(self, order: Order, provider: Provider) -> None:
        rescue = self._rescue(order.account, order.attempt)
        await self._land(order.account, order.attempt, self._exchange.run(order, provider, rescue))

    async def _finish(self, account: str, attempt: int, provider: Provider) -> None:
        rescue = self._rescue(account, attempt)
        await self._land(account, attempt, self._exchange.finish(attempt, account, provider, rescue))

    async def _land(self, account: str, attempt: int, flight: Coroutine[Any, Any, Ending]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(flight.close)
            await stack.enter_async_context(self._spending)
            self.post(account, await self._carefully(attempt, flight))
        self._trace(8)

    async def _carefully(self, attempt: int, flight: Coroutine[Any, Any, Ending]) -> Ending:
        try:
            return await flight
        except Exception as error:  # noqa: BLE001 - the edge: a bug ends as an event, the daemon lives on
            return Broke(attempt, type(error).__name__)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return Broke(attempt, "CancelledError")

    async def _probe(self, account: str, lease: Lease, attempt: int) -> None:
        alive: bool | None = None
        with contextlib.suppress(Exception):
            async with asyncio.timeout(PROBE_DEADLINE_SECONDS):
                alive = await self._providers[account].probe(lease)
        self.post(account, Probed(lease.fingerprint, alive, attempt))

    def _rescue(self, account: str, attempt: int) -> Callable[[FreshdError], Any]:
        """What an exchange calls when an answer is not durable: say so, wait for the alarm, let it try again.

        The alarm may never ring (the account was forgotten, alarms have stopped): then it is tried again all the same.
        """

        async def rescue(error: FreshdError) -> None:
            gate = self._gate(account)
            gate.clear()
            self.post(account, SaveFailed(attempt, f"{error.type}: {error.cause}", error.remedy))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESCUE_SECONDS):
                    await gate.wait()

        return rescue

    def _gate(self, account: str) -> asyncio.Event:
        return self._gates.setdefault(account, asyncio.Event())

    def _wake_waiters(self, account: str) -> None:
        for future in self._waiting.get(account, set()):
            if not future.done():
                future.set_result(None)


def _published(lease: Lease, until: float, clock: Clock, least_left: float) -> Published:
    now = clock.now()
    return Published(lease, until, now.wall + (until - now.boot), lease.fingerprint, least_left)


def _order(account: str, fly: Fly, standing: Standing) -> Order:
    return Order(
        secrets.token_hex(8), fly.attempt, account, fly.rung, standing.generation, standing.lineage, fly.replays,
        fly.doubted, fly.candidate, fly.material, fly.before, fly.earlier, fly.tried,
    )  # fmt: skip
