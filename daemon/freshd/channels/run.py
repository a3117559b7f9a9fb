"""All channels of one daemon: starts them, changes only what a reload changes, and ends them before the engine.

One task per channel, owned by the supervisor.  No channel dials while one of its name, or of its kind and account, is
still closing its connection, whatever was reloaded in between: it would throw itself out.  Nothing here is on the
critical path: no account and no reader waits for a channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freshd.channels.channel import Channel
from freshd.channels.dialer import Dialer, Facts
from freshd.channels.links import Links
from freshd.core.events import Event
from freshd.core.settings import ChannelSettings

LAST_SECONDS: Final = 4.0
"""What the end of the daemon gives all channels to say goodbye."""
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


@dataclass(frozen=True, slots=True)
class _Running:
    channel: Channel
    task: asyncio.Task[None]


class Channels:
    """One per daemon.  `make`: the dialer of a channel; `spawn`: starts a task that the daemon owns."""

    def __init__(self, links: Links, spawn: Spawn, make: Callable[[ChannelSettings], Dialer]) -> None:
        self._links, self._spawn, self._make = links, spawn, make
        self._running: dict[str, _Running] = {}
        self._leaving: list[_Running] = []

    def configure(self, channels: Sequence[ChannelSettings], anew: frozenset[str] = frozenset()) -> None:
        """What a configuration asks for.  Those in `anew` begin anew though they did not change; stopped ones go on."""
        wanted = {settings.name: settings for settings in channels}
        for name, running in list(self._running.items()):
            settings = running.channel.settings
            if wanted.get(name) == settings and name not in anew:
                running.channel.call()
                continue
            self._end(name)
            if name not in wanted or wanted[name].account != settings.account:
                fields = {"channel": name, "kind": settings.kind}
                self._links.tell(Event("channel.closed", settings.account, fields))
        for name in sorted(wanted.keys() - self._running.keys()):
            self._start(wanted[name])

    def _start(self, settings: ChannelSettings) -> None:
        channel = Channel(settings, self._make(settings), self._links)
        before = {one.task for one in self._still_leaving() if _is_alike(one.channel.settings, settings)}
        task = self._spawn(_run(channel, before), f"channel:{settings.name}")
        self._running[settings.name] = _Running(channel, task)

    def _end(self, name: str) -> None:
        running = self._running.pop(name)
        running.task.cancel()
        self._leaving = [*self._still_leaving(), running]

    def _still_leaving(self) -> list[_Running]:
        return [one for one in self._leaving if not one.task.done()]

    def call(self, account: str) -> None:
        """An operator had the account renewed, or took it in hand otherwise: its channels log in if they do not."""
        for running in self._running.values():
            if running.channel.settings.account == account:
                running.channel.call()

    def tell(self, event: Event) -> None:
        """An `Outlet`: whoever enrolled an account wants its channels to log in."""
        if event.name == "account.enrolled" and event.account is not None:
            self.call(event.account)

    def views(self, account: str) -> Mapping[str, Facts]:
        """What is shown of the channels that log in with this account."""
        mine = (one.channel for _, one in sorted(self._running.items()) if one.channel.settings.account == account)
        return {channel.settings.name: dict(channel.view) for channel in mine}

    async def aclose(self) -> None:
        """End all, cleanly as far as there is time."""
        for name in list(self._running):
            self._end(name)
        tasks = [one.task for one in self._still_leaving()]
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_SECONDS)
        self._leaving.clear()


async def _run(channel: Channel, before: set[asyncio.Task[None]]) -> None:
    if before:
        await asyncio.wait(before)
    await channel.run()


def _is_alike(one: ChannelSettings, other: ChannelSettings) -> bool:
    """Whether the other side may take the two for one and the same client."""
    return one.name == other.name or (one.kind, one.account) == (other.kind, other.account)
