"""The composition root: settings → adapters → supervisor; signals.  The one place where everything meets.

Order of a start: settings, state lock and vault, socket, READY=1, then the accounts.  Of a stop: STOPPING=1, intake,
flights, outlets, vault.  A second instance fails at the state lock, before it has touched the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.alarms import JobAlarms
from freshd.api.listen import Place, inherited
from freshd.api.server import Api
from freshd.blueprint import env_files_of, members_of, policy_of, spoken_over
from freshd.channels import registry as kinds
from freshd.channels.dialer import Dialer
from freshd.channels.links import Links as ChannelLinks
from freshd.channels.run import Channels
from freshd.clock import SystemClock
from freshd.config import load
from freshd.core.events import Event
from freshd.core.reload import diff
from freshd.core.settings import ChannelSettings, Settings
from freshd.custody import custody, os_keyring, recall
from freshd.desk import Desk
from freshd.errors import ConfigError, FreshdError
from freshd.garbage import uncollected
from freshd.hardening import harden, where
from freshd.log import Log
from freshd.outlets.mirror import Links, Mirror
from freshd.outlets.mqtt import MqttOutlet
from freshd.providers import registry
from freshd.providers.deps import Deps
from freshd.providers.profiles import packaged
from freshd.references import References
from freshd.roster import Member
from freshd.sdnotify import Notifier
from freshd.supervisor import Supervisor
from freshd.vault import JournalVault, Setup

RECALLING: Final = frozenset({"refresh", "resume"})
"""Operators' verbs after which channels of the account log in that had stopped."""
MOVE: Final = "freshd vault move carries out placement and custodian at once; the rest of [vault] needs a restart"
ANCHOR_SECONDS: Final = 3600.0
ANCHOR_LOOK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What only tests give: a trace of the exchange's points, and of what is durable."""

    point: Callable[[int], None] = lambda _point: None
    durable: Callable[[str], None] | None = None


def settings_of(path: Path) -> Settings:
    """Read and validate the configuration.  Raises ConfigError with every problem at once."""
    return load(path, registry.Schemas(), packaged(), channels=kinds.Kinds())


async def serve(path: Path, hooks: Hooks = Hooks()) -> int:
    """Run until told to stop; the exit status.  Raises FreshdError where it cannot start."""
    harden()
    with uncollected() as settle:
        return await Daemon(path, settings_of(path), hooks).run(settle)


class Daemon:
    """One running freshd."""

    def __init__(self, path: Path, settings: Settings, hooks: Hooks) -> None:
        self._path = path
        self._settings = settings
        self._clock = SystemClock()
        self._log = Log(settings.log.format, settings.log.level)
        self._notifier = Notifier()
        self._stopping = asyncio.Event()
        self._hang_up = asyncio.Event()
        self._alarms = JobAlarms(self._clock, self._ring)
        self._placement, custodian = custody(settings)
        self._vault = JournalVault(
            Setup(
                settings.state_dir,
                self._placement,
                custodian,
                self._clock.now,
                on_settled=self._settled,
                trace=hooks.durable,
                anchor=settings.vault.anchor,
                recall=recall,
                meant=lambda: custody(settings_of(path)),
                tell=self._tell,
            )
        )
        self._supervisor = Supervisor(self._vault, self._clock, self._alarms, self._tell, hooks.point)
        self._references = References(os_keyring(settings.vault))
        self._deps: Deps = registry.shared(self._references.resolve, self._clock)
        self._policy = policy_of(settings, 1)
        self._desk = Desk(self._supervisor)
        self._api = Api(self._desk, lambda: self._policy, self._clock, on_audit=self._tell)
        self._mirror = Mirror(self._links())
        self._outlet = MqttOutlet(settings.mqtt, self._desk, self._tell, self._clock)
        links = ChannelLinks(self._clock, self._tell, self._desk)
        self._channels = Channels(links, self._supervisor.spawn, self._dialer)
        self._desk.channels, self._desk.on_operated = self._channels.views, self._operated
        self._desk.vault_verbs = self._vault.care.verbs
        self._custodian_name = custodian.name
        self._started = False

    async def run(self, on_known: Callable[[], None] = lambda: None) -> int:
        """From the state lock to the last durable byte.  `on_known` is called once every account was looked at."""
        members = members_of(self._settings, self._deps)
        asyncio.get_running_loop().set_exception_handler(self._on_bug)
        try:
            await self._supervisor.load()
            sock = self._settings.socket
            await self._api.start(Place(sock.path, sock.mode, sock.group), inherited(os.environ, os.getpid()))
            self._watch_signals()
            self._alarms.start()
            self._notifier.say("READY=1", f"STATUS={len(members)} accounts")
            self._tell(Event("daemon.started", None, self._self_portrait(members)))
            self._started = True
            self._supervisor.start(members)
            on_known()
            self._supervisor.spawn(self._anchors(), "anchors")
            self._mirror.configure(env_files_of(self._settings))
            self._supervisor.spawn(self._mirror.run(), "mirror")
            self._channels.configure(self._settings.channels)
            await self._until_stopped()
        finally:
            await self._stop()
        return self._supervisor.failed.result().exit_code if self._supervisor.failed.done() else 0

    async def _until_stopped(self) -> None:
        beat = self._notifier.watchdog_seconds
        pulse = self._supervisor.spawn(self._pulse(beat / 3), "pulse") if beat else None
        self._supervisor.failed.add_done_callback(lambda _failed: self._stopping.set())
        await self._stopping.wait()
        if pulse is not None:
            pulse.cancel()

    async def _pulse(self, seconds: float) -> None:
        while True:
            self._supervisor.tick()
            self._notifier.say("WATCHDOG=1")
            await asyncio.sleep(seconds)

    async def _anchors(self) -> None:
        """Anchor the journal hourly; a custodian that cannot take it now can in a while."""
        last = self._clock.boot()
        while True:
            await asyncio.sleep(ANCHOR_LOOK_SECONDS)
            if self._clock.boot() - last >= ANCHOR_SECONDS and not self._supervisor.locked:
                last = self._clock.boot()
                known = self._vault.rolled_back
                with contextlib.suppress(FreshdError):
                    await self._vault.anchor()
                if known is None and self._vault.rolled_back is not None:  # nobody could look before
                    self._tell(Event("vault.rolled-back", None, {"cause": self._vault.rolled_back}))

    async def _stop(self) -> None:
        self._notifier.say("STOPPING=1")
        if self._started:
            self._tell(Event("daemon.stopping"))
        self._api.stop_intake()
        self._alarms.stop()
        await self._channels.aclose()
        await self._supervisor.stop()
        await self._mirror.aclose()
        await self._api.aclose()
        await self._deps.http.aclose()
        if self._started:
            self._tell(Event("daemon.stopped"))
        self._log.close()

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up.set)
        self._supervisor.spawn(self._reloads(), "reloads")

    async def _reloads(self) -> None:
        """One reload after the other; signals that come during one are answered by one more."""
        while True:
            await self._hang_up.wait()
            self._hang_up.clear()
            await self._reload()

    async def _reload(self) -> None:
        """SIGHUP: what is wrong changes nothing; what is right changes only what differs.

        A configuration of thousands of accounts takes seconds to read: not on the loop, where readers would wait (I11).
        """
        try:
            fresh = await asyncio.to_thread(settings_of, self._path)
            changes = diff(self._settings, fresh)
            members = members_of(fresh, self._deps)
        except FreshdError as error:
            problems = "; ".join(error.problems) if isinstance(error, ConfigError) else ""
            self._tell(Event("config.refused", None, {"cause": error.cause, "problems": problems}, error.remedy))
            return
        if changes.restart:
            remedy = MOVE if changes.restart == ("vault",) else ""
            self._tell(Event("config.needs-restart", None, {"sections": " ".join(changes.restart)}, remedy))
        anew = spoken_over(self._settings, fresh) if changes.will else frozenset()
        self._settings = fresh
        self._policy = policy_of(fresh, self._policy.generation + 1)
        self._log.set_level(fresh.log.level)
        self._supervisor.reload(members, changes.changed, changes.removed)
        self._mirror.configure(env_files_of(fresh))
        self._outlet.configure(fresh.mqtt)
        self._channels.configure(fresh.channels, anew)
        fields = {"added": len(changes.added), "removed": len(changes.removed), "changed": len(changes.changed)}
        self._tell(Event("config.reloaded", None, fields))

    def _on_bug(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        """What nobody caught: an event with the kind of the exception, never its text (I10)."""
        error = context.get("exception")
        said = str(context.get("message", "")).partition("(")[0]  # asyncio goes on with a callback's arguments
        place = where(error.__traceback__) if isinstance(error, BaseException) else ""
        told = ", ".join(part for part in (said.strip()[:120], place) if part)
        self._tell(Event("bug", None, {"kind": type(error).__name__, "where": told}))

    def _ring(self, account: str) -> None:
        self._supervisor.ring(account)

    def _settled(self, account: str, settled: bool) -> None:  # noqa: FBT001 - the vault's callback
        self._supervisor.settled(account, settled)

    def _tell(self, event: Event) -> None:
        self._log.tell(event)
        self._api.tell(event)
        self._mirror.tell(event)
        self._outlet.tell(event)
        self._channels.tell(event)

    def _operated(self, verb: str, account: str) -> None:
        """What an operator did may be what a channel that stopped was waiting for."""
        if verb in RECALLING:
            self._channels.call(account)

    def _dialer(self, settings: ChannelSettings) -> Dialer:
        """The dialer of a channel, with what its kind needs of the daemon."""
        dialer = kinds.make(settings)
        if isinstance(dialer, kinds.Speaking):
            is_spoken_over = settings.name in spoken_over(self._settings)
            dialer.equip(self._references.resolve, self._outlet if is_spoken_over else None)
        return dialer

    def _links(self) -> Links:
        """What the .env files need: an import is an operator's, and goes the way of all imports."""
        supervisor, desk = self._supervisor, self._desk

        def held_since(account: str) -> float | None:
            obtained = supervisor.state(account).standing.obtained if account in supervisor.members else None
            return None if obtained is None else obtained.wall

        def adopt(account: str, secrets: Mapping[str, str]) -> Awaitable[object]:
            return desk.operate("import", account, {"secrets": dict(secrets)})

        return Links(self._clock, self._tell, desk.lease, held_since, self._vault.knew, adopt, supervisor.spawn)

    def _self_portrait(self, members: Sequence[Member]) -> dict[str, str | int | float | bool | None]:
        return {
            "accounts": len(members), "placement": self._placement, "custodian": self._custodian_name,
            "socket": str(self._settings.socket.path), "pid": os.getpid(), "locked": self._supervisor.locked,
        }  # fmt: skip
