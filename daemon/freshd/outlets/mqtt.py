"""Tells over MQTT what happens, and keeps there how every account stands.

Rules
-----
* Never on the critical path (I11): `tell` puts an event into a bounded ring and returns.  It does not wait, does not
  raise, renders nothing.
* In order, one at a time.  An event leaves the ring once the broker has acknowledged it, so a lost acknowledgement may
  bring it twice: `seq` and `epoch` tell.  What made room for newer ones is told in one event with their number.
* An event with which one connection after the other ended, though the broker had answered over each, is given up and
  counted with those: brokers hang up on what they find too long, and nothing behind it would ever leave.
* Health goes by how things are: whatever changed is looked at when its turn comes, and published where it differs from
  what the broker holds.  After each login all of it is said anew.
* What the broker refuses is counted and let go: it must not hold up the rest.  One alert when that begins, one word
  when it is over.  Of what this outlet says about itself nothing is said again.
* It knows nothing of connections: `serve` speaks over one for as long as it is up, and raises WireDown through.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from freshd.core.catalogue import entry_of
from freshd.core.events import Event, Severity
from freshd.core.settings import MqttOutletSettings
from freshd.errors import PublishRefused, WireDown
from freshd.outlets.board import Accounts, Board
from freshd.outlets.message import (
    DROPPED,
    GONE,
    OFFLINE,
    ONLINE,
    Message,
    health_topic,
    of_event,
    of_gap,
    status_topic,
)
from freshd.outlets.refusals import Refusals
from freshd.outlets.ring import Entry, Gap, Ring
from freshd.ports import Clock
from freshd.wire import Wire

SLICE: Final = 32
"""Events that are sent before accounts have their turn, and accounts before events have theirs."""
GAP_SECONDS: Final = 60.0
"""How long a broker that is too slow is not told of another gap."""
LOOK_SECONDS: Final = 600.0
"""How often topics are tried again on which a message is retained and was refused."""
STRIKES_MOST: Final = 3
"""Connections in a row that may end with the same event under way."""
LAST_SECONDS: Final = 1.0
"""What the end of the connection gives events that still wait."""
OURS: Final = "outlet."
UNHEARD: Final = "a message did not come back: the broker throws it away, or does not let the login read it"


@dataclass(frozen=True, slots=True)
class Counts:
    """Events since the start: acknowledged, dropped (for want of room, or given up), refused; and those that wait."""

    sent: int
    dropped: int
    refused: int
    waiting: int


class MqttOutlet:
    """One per daemon; an `Outlet`."""

    def __init__(
        self, settings: MqttOutletSettings | None, accounts: Accounts, tell: Callable[[Event], None], clock: Clock
    ) -> None:
        self._board = Board(accounts)
        self._tell = tell
        self._clock = clock
        self._epoch = secrets.token_hex(4)
        self._settings = settings
        self._ring = Ring(1 if settings is None else settings.ring)
        self._refusals = Refusals()
        self._wake = asyncio.Event()
        self._announced = False
        self._gap_at = self._look_at = 0.0
        self._sent = self._refused = 0
        self._struck, self._strikes = 0, 0
        """Number of the event with which the last connection ended, and how many in a row did."""

    @property
    def counts(self) -> Counts:
        """What came of the events so far."""
        return Counts(self._sent, self._ring.dropped, self._refused, len(self._ring))

    @property
    def will(self) -> tuple[str, bytes] | None:
        """Topic and payload that the broker is to retain when the connection is lost; None: nothing is configured."""
        return None if self._settings is None else (status_topic(self._settings.prefix), OFFLINE)

    def configure(self, settings: MqttOutletSettings | None) -> None:
        """Go by another configuration; with None nothing is taken any more.

        With another prefix or channel the retained messages of the old one are taken away; the connection is to be made
        anew, for its will is the old one.
        """
        old, self._settings = self._settings, settings
        if old is not None and (settings is None or _place(settings) != _place(old)):
            self._leave(old.prefix)
        if settings is None:
            self._ring.clear()
        else:
            self._ring.resize(settings.ring)
        self._wake.set()

    def tell(self, event: Event) -> None:
        """Take one event."""
        settings = self._settings
        if settings is None:
            return
        with contextlib.suppress(Exception):  # whatever ails the outlet, the daemon goes on
            self._board.note(event)
            if event.name != DROPPED and _is_loud(event, settings):
                self._ring.put(event, self._clock.now().wall)
            self._wake.set()

    async def serve(self, wire: Wire) -> None:
        """Speak over a connection until it ends (WireDown) or the task is cancelled; never two at once."""
        self._announced, self._gap_at = False, 0.0
        self._board.begin()
        while True:
            self._wake.clear()
            await self._clear(wire)
            settings = self._settings
            busy = False
            if settings is not None:
                self._look_again(settings)
                if not self._announced:
                    await self._announce(wire, settings)
                busy = await self._send_some(wire, settings)
                busy = await self._show_some(wire, settings) or busy
            await (asyncio.sleep(0) if busy else self._rest())

    async def farewell(self, wire: Wire) -> None:
        """The last words before a connection is closed on purpose; raises nothing but cancellation."""
        try:
            await self._farewell(wire)
        finally:
            self._strikes = 0  # no event has ended this connection

    async def _farewell(self, wire: Wire) -> None:
        with contextlib.suppress(WireDown, PublishRefused):
            settings = self._settings
            if settings is not None and self._announced:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_SECONDS):
                        await self._drain(wire, settings)
                await wire.publish(status_topic(settings.prefix), OFFLINE, qos=settings.qos, retain=True)
        with contextlib.suppress(WireDown):
            await self._clear(wire)

    # -- events --------------------------------------------------------------------------------------------------------

    async def _send_some(self, wire: Wire, settings: MqttOutletSettings) -> bool:
        """Send some of the events that wait.  Whether there were any."""
        for number in range(SLICE):
            gap = self._ring.gap
            if gap is not None and self._clock.boot() >= self._gap_at:
                await self._send_gap(wire, settings, gap)
            entry = self._ring.take() if settings is self._settings else None
            if entry is None:
                return number > 0
            await self._send(wire, settings, entry)
        return True

    async def _drain(self, wire: Wire, settings: MqttOutletSettings) -> None:
        """Send all events that wait."""
        while True:
            if not await self._send_some(wire, settings):
                return
            await asyncio.sleep(0)

    async def _send(self, wire: Wire, settings: MqttOutletSettings, entry: Entry) -> None:
        try:
            message = of_event(settings.prefix, entry, self._epoch)
            is_taken = await self._publish(wire, settings, message, is_ours=entry.event.name.startswith(OURS))
        except BaseException:
            self._strike(entry)
            raise
        self._ring.done()
        if is_taken:
            self._sent += 1
        else:
            self._refused += 1

    def _strike(self, entry: Entry) -> None:
        """The connection ended with this event under way (WireDown, or cancelled by who found that first).

        The broker had answered over it, for what is said first (`_announce`) is waited for.
        """
        again = self._strikes if entry.seq == self._struck else 0
        self._struck, self._strikes = entry.seq, again + 1
        if self._strikes >= STRIKES_MOST:
            self._ring.drop()
        else:
            self._ring.back()

    async def _send_gap(self, wire: Wire, settings: MqttOutletSettings, gap: Gap) -> None:
        event = of_gap(gap)
        if _is_loud(event, settings):
            entry = Entry(gap.last, self._clock.now().wall, event)
            await self._publish(wire, settings, of_event(settings.prefix, entry, self._epoch), is_ours=True)
        self._ring.told(gap)
        self._gap_at = self._clock.boot() + GAP_SECONDS
        self._tell(event)

    # -- retained messages ---------------------------------------------------------------------------------------------

    async def _announce(self, wire: Wire, settings: MqttOutletSettings) -> None:
        """Say that freshd is there, and see whether the broker lets anybody hear it."""
        topic = status_topic(settings.prefix)
        self._announced = True
        try:
            await wire.publish(topic, ONLINE, qos=settings.qos, retain=True)
        except PublishRefused as error:
            self._note_refusal(topic, error.cause, error.remedy, lasts=True)
            return
        heard = await wire.is_heard(topic, ONLINE)
        if heard is False:
            self._note_refusal(topic, UNHEARD, "", lasts=True, unheard=True)
        elif self._refusals.accept(topic, heard=heard is True):
            self._tell(Event("outlet.accepted"))

    async def _show_some(self, wire: Wire, settings: MqttOutletSettings) -> bool:
        """Publish some of what changed.  Whether anything may have."""
        some = self._board.due(SLICE)
        for account in some:
            if settings is not self._settings:
                break
            payload = self._board.begun(account)
            if payload is not None:
                await self._show(wire, settings, account, payload)
        return bool(some)

    async def _show(self, wire: Wire, settings: MqttOutletSettings, account: str, payload: bytes) -> None:
        topic = health_topic(settings.prefix, account)
        try:
            is_taken = await self._publish(wire, settings, Message(topic, payload), retain=True)
        except BaseException:
            self._board.failed(account)
            raise
        if self._settings is None or _place(self._settings) != _place(settings):
            self._board.over[topic] = None
        else:
            self._board.published(account, payload if is_taken else None)

    async def _clear(self, wire: Wire) -> None:
        """Take away what an earlier configuration has left at the broker."""
        for topic in list(self._board.over):
            with contextlib.suppress(PublishRefused):
                await wire.publish(topic, GONE, retain=True)
            self._board.over.pop(topic, None)

    def _leave(self, prefix: str) -> None:
        self._board.leave(prefix)
        self._announced = False
        if self._refusals.clear():
            self._tell(Event("outlet.accepted"))

    # -- what the broker takes -----------------------------------------------------------------------------------------

    async def _publish(
        self, wire: Wire, settings: MqttOutletSettings, message: Message, *, retain: bool = False, is_ours: bool = False
    ) -> bool:
        """Whether the broker has taken it.  Raises WireDown where that is not known.

        is_ours  it is about this outlet itself: a refusal of it is no trouble of which there was anything to say
        """
        try:
            await wire.publish(message.topic, message.payload, qos=settings.qos, retain=retain)
        except PublishRefused as error:
            if not is_ours:
                self._note_refusal(message.topic, error.cause, error.remedy, lasts=retain)
            return False
        if self._refusals.accept(message.topic):
            self._tell(Event("outlet.accepted"))
        return True

    def _note_refusal(self, topic: str, why: str, remedy: str, *, lasts: bool, unheard: bool = False) -> None:
        now = self._clock.boot()
        if self._refusals.refuse(topic, now, lasts=lasts, unheard=unheard):
            self._look_at = now + LOOK_SECONDS
            self._tell(Event("outlet.refused", None, {"topic": topic, "why": why}, remedy))

    def _look_again(self, settings: MqttOutletSettings) -> None:
        """Now and then, try again what was refused."""
        now = self._clock.boot()
        if not self._refusals or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if status_topic(settings.prefix) in self._refusals:
            self._announced = False
        self._board.look_again()
        if self._refusals.expire(now):
            self._tell(Event("outlet.accepted"))

    async def _rest(self) -> None:
        """Until something happens, or something is due."""
        moments = [self._gap_at] if self._ring.gap is not None else []
        moments += [self._look_at] if self._refusals else []
        seconds = max(0.0, min(moments) - self._clock.boot()) if moments else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()


def _is_loud(event: Event, settings: MqttOutletSettings) -> bool:
    return entry_of(event).severity <= Severity[settings.level.upper()]


def _place(settings: MqttOutletSettings) -> tuple[str, str]:
    return settings.channel, settings.prefix
