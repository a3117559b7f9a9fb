"""Owns keepers, flights, alarms and ticks; knows about suspend, clock steps, a locked vault, reload and shutdown.

Rules
-----
* Tasks are started and ended here only.  A flight is never cancelled: shutdown waits for it (exchange and persist).
* A vault without its sealing key is LOCKED, not broken: it is asked again until the key is there; nothing is parked.
* A step of a clock or a suspend starts nothing by itself: alarms are realigned and every account looks at what is due.
* A reload changes only what changed; a removed account is retired, its record kept (I7); one that is back goes on.
* Once stopping, no flight is launched and none that still waits sends anything: one that is cut off by the end would
  be a lost answer of our own making.
* The watchdog is fed by a tick that ran, and by nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from freshd.core.contract import Reuse
from freshd.core.events import Event
from freshd.core.happenings import (
    Booted,
    Due,
    Forgotten,
    Happening,
    HostBack,
    Paused,
    Reconfigured,
    Resumed,
    Retired,
    Settled,
    Shared,
)
from freshd.core.lifecycle import is_in_air
from freshd.core.model import Standing
from freshd.core.state import Phase, Plan, State
from freshd.core.ways import reuse_of
from freshd.errors import AlreadyRunning, FreshdError, KeyringUnavailable, VaultLocked
from freshd.exchange import Exchange
from freshd.flight import DEADLINE_SECONDS
from freshd.herds import Herds
from freshd.keeper import Keeper, Shelf
from freshd.pacer import Pacer
from freshd.ports import Alarms, Clock, Vault
from freshd.roster import Member, Roster, in_order
from freshd.ticks import Ticks
from freshd.tokens import Published

UNLOCK_SECONDS: Final = 2.0
PERSIST_SECONDS: Final = 15.0


class Supervisor:
    """All accounts of one daemon."""

    def __init__(
        self, vault: Vault, clock: Clock, alarms: Alarms, tell: Callable[[Event], None],
        trace: Callable[[int], None] = lambda _point: None,
    ) -> None:  # fmt: skip
        self.clock, self.vault, self.leases = clock, vault, dict[str, Published]()
        self.tell = tell
        self.locked = True
        self.known: dict[str, Standing] = {}
        self._paused: set[str] = set()
        """By an operator; the configuration's pauses are the members' own."""
        self._pacer = Pacer()
        self._pacer.on_back = self._host_back
        self._exchange = Exchange(vault, self._pacer, clock, trace)
        self._alarms = alarms
        self._stopping = False
        self._removed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        herds = Herds(clock, tell, self._share, self._host_back)
        self._shelf = Shelf(clock, alarms, self._launch, tell, self._show, self._withdraw, herds)
        self.roster = Roster(lambda: Keeper(self._exchange, self._shelf, trace))
        self._ticks = Ticks(clock, alarms, tell, self.ring, self.roster.accounts)
        self.unlocked = asyncio.Event()
        self.failed: asyncio.Future[FreshdError] = asyncio.get_running_loop().create_future()
        """Resolved when the daemon cannot go on: the vault turned out to be unusable once its key came."""
        self._told_locked = False

    # -- accounts ---------------------------------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[str, Member]:
        """Every configured account."""
        return self.roster.members

    def keeper(self, account: str) -> Keeper:
        """The account's only writer.  KeyError where it is not configured."""
        return self.roster.keeper(account)

    def state(self, account: str) -> State:
        """How an account stands.  KeyError where it is not configured."""
        return self.roster.state(account)

    def post(self, account: str, event: Happening) -> None:
        """Give an account an event; one for an account nobody keeps is dropped."""
        self.roster.post(account, event)

    def ring(self, account: str) -> None:
        """What alarms call."""
        self.post(account, Due())

    def _host_back(self, accounts: Sequence[str]) -> None:
        """What the pacer calls: posted from the loop, for we are in the middle of somebody's exchange."""
        loop = asyncio.get_running_loop()
        for account in accounts:
            loop.call_soon(self.post, account, HostBack())

    def _share(self, account: str, event: Shared) -> None:
        """What the herds call: posted from the loop, for we are in the middle of somebody's step."""
        asyncio.get_running_loop().call_soon(self.post, account, event)

    def settled(self, account: str, settled: bool) -> None:  # noqa: FBT001 - the vault's callback
        """What the vault calls when the OS keyring caught up or fell behind."""
        self.post(account, Settled(settled))

    def _boot(self, member: Member) -> None:
        name = member.plan.account
        if member.paused:
            self.post(name, Paused())
        standing = self.known.get(name, Standing(name))
        if standing.held_back and not _works_once(member.plan, standing):
            standing = replace(standing, held_back=None)
        self.post(name, Booted(standing, self.vault.high_water))

    # -- start, reload, stop ----------------------------------------------------------------------------------------

    def start(self, members: Sequence[Member]) -> None:
        """Begin: boot every account if `load` found the vault open, else go on asking for its key."""
        for member in members:
            self.roster.enlist(member)
        self._ticks.begin()
        self.spawn(self._ticks.run(), "ticks")
        if self.locked:
            self.spawn(self._unlock(), "unlock")
        else:
            self._boot_all()

    async def load(self) -> bool:
        """Open the vault: False while its key is not there.  Raises every other FreshdError: those are final, and told.

        Who finds another freshd there says nothing in the log: nothing ails the vault.
        """
        try:
            self.known = dict(await self.vault.open())
            self._paused = {name for name, standing in self.known.items() if standing.paused}
            self._pacer.load(await self.vault.paces())
        except (VaultLocked, KeyringUnavailable) as error:
            if not self._told_locked:
                self.tell(Event("vault.locked", None, {"cause": error.cause}, error.remedy))
            self._told_locked = True
            return False
        except AlreadyRunning:
            raise
        except FreshdError as error:
            self.tell(Event("vault.unusable", None, {"type": error.type, "cause": error.cause}, error.remedy))
            raise
        self.locked = False
        return True

    def _boot_all(self) -> None:
        if self.vault.rolled_back:
            self.tell(Event("vault.rolled-back", None, {"cause": self.vault.rolled_back}))
        for member in in_order(self.members.values(), self.known):
            self._boot(member)
        self.unlocked.set()

    def reload(self, members: Sequence[Member], changed: frozenset[str], removed: frozenset[str]) -> None:
        """Apply a new configuration: `members` are all of it, `changed` those to be built anew."""
        fresh = {member.plan.account: member for member in members}
        self._removed = (self._removed | removed) - fresh.keys()
        for name in removed:
            self.post(name, Retired())
        added = [member for name, member in fresh.items() if not self.roster.keeps(name)]
        for member in added:
            self.roster.enlist(member)
        for member in in_order(added, self.known):
            if not self.locked:
                self._boot(member)
            self.post(member.plan.account, Reconfigured())  # its keeper may remember it as retired
        for name, member in fresh.items():
            if member not in added:
                self._change(name, member, anew=name in changed or self.state(name).retired)

    def _change(self, name: str, member: Member, *, anew: bool) -> None:
        was = self.roster.replace(member)
        if member.paused and not was.paused:
            self.post(name, Paused())
        if was.paused and not member.paused and name not in self._paused:
            self.post(name, Resumed())
        if self.roster.is_moving(name):
            return
        if member.family != was.family:
            self.roster.begins_move(name)
            self.spawn(self._move(name), f"move:{name}")
        elif anew:
            self.keeper(name).adopt(member.plan, member.provider)
            self.post(name, Reconfigured())
        elif self.state(name).phase is Phase.PARKED:
            self.post(name, Reconfigured())  # what was to be corrected may lie in a secret's file, or at the service

    async def _move(self, name: str) -> None:
        """Into another family; an account that was removed meanwhile stays removed."""
        if await self.roster.move(name) and name not in self._removed:
            self.post(name, Reconfigured())

    async def pause(self, account: str, *, paused: bool) -> None:
        """An operator's pause, or its end: durable, then in force."""
        await self.vault.pause(account, paused=paused)
        (self._paused.add if paused else self._paused.discard)(account)
        self.post(account, Paused() if paused else Resumed())

    async def stop(self) -> None:
        """Let flights land, then close the vault.  The caller has stopped intake and said STOPPING=1."""
        self._stopping = True
        self._exchange.close()
        flights = [task for task in self._tasks if task.get_name().split(":")[0] in ("flight", "finish")]
        if flights:
            await asyncio.wait(flights, timeout=DEADLINE_SECONDS + PERSIST_SECONDS)
        for name in self.members:
            self._alarms.cancel(name)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.vault.aclose()

    # -- tasks and time ---------------------------------------------------------------------------------------------

    def _launch(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a keeper's task, unless we are stopping."""
        if self._stopping:
            work.close()
        else:
            self.spawn(work, name)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that is ours to end."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.tell(Event("bug", None, {"kind": type(error).__name__, "task": task.get_name()}))

    async def _unlock(self) -> None:
        try:
            while not await self.load():  # noqa: ASYNC110 - nothing tells us that a keyring was unlocked
                await asyncio.sleep(UNLOCK_SECONDS)
        except FreshdError as error:
            self.failed.set_result(error)
            return
        self._boot_all()
        self.tell(Event("vault.unlocked", None))

    def tick(self) -> None:
        """Notice steps and suspends now; also what feeds the watchdog."""
        self._ticks.tick()

    def erased(self, account: str) -> None:
        """Its record is gone: a configured account begins anew, of any other nothing more is known."""
        self.known.pop(account, None)
        self._paused.discard(account)
        if account not in self.members:
            return
        self.post(account, Forgotten())
        if not self.members[account].paused:
            self.post(account, Resumed())
        if self.state(account).retired:
            self.roster.drop(account)

    def in_air(self) -> Mapping[str, State]:
        """Accounts whose flight is under way."""
        return {name: self.state(name) for name in self.members if is_in_air(self.state(name))}

    def _show(self, published: Published) -> None:
        self.leases[published.lease.account] = published

    def _withdraw(self, account: str) -> None:
        self.leases.pop(account, None)


def _works_once(plan: Plan, standing: Standing) -> bool:
    """Whether something that the account holds, or that an answer in its escrow may bring, must not be used twice."""
    once = [rung for rung in plan.ladder if reuse_of(plan, rung.name) is not Reuse.REUSABLE]
    return any(standing.escrowed or rung.needs & standing.held for rung in once)
