"""The daemon's engine with its real providers on virtual time, against services that are plain functions.

`Wire` stands where `providers.http.Http` does: it hands each call to a service, whole, and does to the answer what the
test says.  `Daemon` is one process: configuration, supervisor and desk; a `Disk` handed on is what survives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from freshd.blueprint import member_of
from freshd.config import load
from freshd.core.events import Event
from freshd.core.model import Secret
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.core.settings import SecretRef, Settings
from freshd.core.state import State
from freshd.desk import Desk
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.http import Call, Http
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas
from freshd.supervisor import Supervisor
from freshd.tokens import Published
from tests.fakes.time import EPOCH, FakeAlarms, VirtualTime, run
from tests.fakes.vault import Disk, FakeVault

T = TypeVar("T")
Serve = Callable[[Call, float, str | None], Reply]
"""A call, true time in wall seconds, and what eats the answer (None: it arrives) → the answer."""
SECONDS_PER_CALL: Final = 0.1
SILENCE_SECONDS: Final = 5.0


@dataclass
class Wire:
    """`Http` without a network.  `faults`: path, or path and a word of the body → what happens to its next
    calls, first come first served.

    "unsent": nothing leaves · "lost": done, and the answer never comes · "html": done, and a page comes instead
    """

    time: VirtualTime
    serve: Serve
    faults: dict[str, list[str]] = field(default_factory=dict)
    calls: list[tuple[float, str]] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    """Paths whose answer never comes, however long one waits: for a crash in the middle."""

    async def call(self, call: Call) -> Performed:
        path = urlsplit(call.url).path
        queue = next((said for place, said in self.faults.items() if said and _is_about(place, path, call)), [])
        fault = queue.pop(0) if queue else None
        if fault == "unsent":
            return NotSent("connection refused")
        await asyncio.sleep(SECONDS_PER_CALL / 2)
        eaten = "hang" if path in self.hanging else fault
        self.calls.append((self.time.true, path))
        reply = self.serve(call, EPOCH + self.time.true, eaten)
        await asyncio.sleep(SECONDS_PER_CALL / 2)
        if path in self.hanging:
            await asyncio.get_running_loop().create_future()
        if fault == "lost":
            await asyncio.sleep(SILENCE_SECONDS)
            return Lost("no answer")
        return Reply(502, (("Content-Type", "text/html"),), b"<html>bad gateway</html>") if fault == "html" else reply

    async def aclose(self) -> None:
        """As Http."""


def _is_about(place: str, path: str, call: Call) -> bool:
    """`place` is a path, and perhaps a word that must stand in the body."""
    wanted, _, word = place.partition(" ")
    return wanted == path and word.encode() in (call.body or b"")


def fields_of(call: Call) -> tuple[dict[str, str], dict[str, Any]]:
    """Query and JSON body of a call."""
    query = dict(parse_qsl(urlsplit(call.url).query, keep_blank_values=True))
    return query, {} if call.body is None else cast("dict[str, Any]", json.loads(call.body))


def settings_of(text: str) -> Settings:
    """The settings that a configuration file of this text comes to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "freshd.toml"
        path.write_text(f'state_dir = "{folder}/state"\n[socket]\npath = "{folder}/s"\n{text}')
        return load(path, Schemas(), packaged())


class Daemon:
    """One process over a disk; `live` is its life, after which it is as if it had been killed."""

    def __init__(self, settings: Settings, wire: Wire, disk: Disk, secrets: Mapping[str, str] | None = None) -> None:
        self.settings, self.wire, self.time = settings, wire, wire.time
        self.vault = FakeVault(disk, wall=lambda: self.time.now().wall)
        self.events: list[tuple[float, Event]] = []
        self._secrets = dict(secrets or {})

    @property
    def told(self) -> list[str]:
        return [event.name for _, event in self.events]

    def live(self, work: Callable[[], Awaitable[T]]) -> T:
        async def life() -> T:
            await self.start()
            return await work()

        return run(self.time, life())

    async def start(self) -> None:
        """Begin on the loop that runs: for a second process beside a first one."""
        alarms = FakeAlarms(self.time, lambda account: self.supervisor.ring(account))  # noqa: PLW0108 - made below
        self.supervisor = Supervisor(self.vault, self.time, alarms, self._hear)
        self.desk = Desk(self.supervisor)
        http = cast("Http", self.wire)
        deps = Deps(http, self._resolve, self.time, Discovery(http, self.time))
        everybody = self.settings.accounts
        await self.supervisor.load()
        self.supervisor.start([member_of(account, deps, everybody) for account in everybody])

    async def token(self, account: str, min_ttl: float = 60.0, wait: float = 30.0) -> str | None:
        """What a reader gets within so many seconds; None for no lease."""
        found = await self.desk.demand(account, min_ttl, wait)
        return found.lease.token.reveal() if isinstance(found, Published) else None

    def state(self, account: str) -> State:
        return self.supervisor.state(account)

    async def operate(self, verb: str, account: str, **args: object) -> Mapping[str, Any]:
        return await self.desk.operate(verb, account, args)

    def has_lease(self, account: str) -> bool:
        held = self.desk.lease(account)
        return held is not None and held.until > self.time.boot()

    async def until_quiet(self, account: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(600.0):
                await self.supervisor.keeper(account).landed(account)

    def _hear(self, event: Event) -> None:
        self.events.append((self.time.true, event))

    async def _resolve(self, reference: SecretRef) -> Secret:
        return Secret(self._secrets["/".join(reference.where)])


def healed_by(daemon: Daemon, account: str, since: float) -> str:
    """The rung of an account's last new lease since that true second; empty where it is parked, or had none.

    A rung that only fills the stock brings no lease.
    """
    ladder = daemon.supervisor.members[account].plan.ladder
    fillers = {rung.name for rung in ladder if rung.stocks}
    good = (e for at, e in daemon.events if at >= since and e.account == account and e.name == "refresh.succeeded")
    rungs = [rung for rung in (str(event.fields["rung"]) for event in good) if rung not in fillers]
    return "" if daemon.state(account).parked is not None or not rungs else rungs[-1]
