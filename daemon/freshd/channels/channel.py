"""One channel: get the account's lease, log in, hold, and do what the ending calls for.

Rules
-----
* Nothing here is polled: a lease, a verdict and an operator's word are waited for.
* A refused login is a consumer's refusal: reported once per lease, healed by the engine and at its pace.  A lease that
  is new is tried a few times more before, for a service may learn of it after us.
* A connection that held says that its lease works; the engine then counts no refusal of before against it.
* Leases refused one after the other end in an alert and a slow pace, losses in a slower and slower one (I6).  So do
  connections that never last: two clients of one name throw each other out, and many a broker does not say so.
* A loss that a newer lease healed counts for nothing, so that a password that changes every few seconds is survived at
  once each time; but only so many of them in a row, for a service may refuse what it has just taken, for ever.
* Stopped means stopped: only an operator (`freshd refresh ACCOUNT`, a reload) makes it log in again.
* Whatever breaks in here is told as a bug, and the channel goes on, slowly.
* No event and no fact holds anything of the login but what the dialer calls a fact (I10).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from freshd.channels import pace
from freshd.channels.counts import Counts
from freshd.channels.dialer import Dialer, Ended, Facts, Why
from freshd.channels.links import Links
from freshd.channels.race import first
from freshd.core.events import Event
from freshd.core.settings import ChannelSettings
from freshd.tokens import Published

DEMAND_SECONDS: Final = 30.0
"""How long one question for a lease waits; there is always a next one."""
MIN_TTL_SECONDS: Final = 5.0
"""What a lease must still have for a login."""
HEALING: Final = "healing"
RENEWED: Final = Ended(Why.AGAIN, "newer-lease", "the lease was renewed, and the kind wants a new login with it")


class Channel:
    """One channel of the configuration.  `run` is its task; `view` what is shown of it."""

    def __init__(self, settings: ChannelSettings, dialer: Dialer, links: Links) -> None:
        self.settings = settings
        self.view: Facts = {"kind": settings.kind, "state": "starting"}
        self._dialer, self._links = dialer, links
        self._bad = Counts(down_at=links.clock.boot())
        self._proven: str | None = None
        """Fingerprint of the lease that a connection was had with."""
        self._held_with: str | None = None
        """Fingerprint of the lease with which a connection last held."""
        self._good_since: float | None = None
        """Boot-time second since which nothing but newer leases has ended a connection; None while there is none."""
        self._called = asyncio.Event()

    def call(self) -> None:
        """An operator wants it to log in: whatever it waits for, it begins anew.  One that is connected stays so."""
        if self.view["state"] != "connected":
            self._called.set()

    async def run(self) -> None:
        """Keep it logged in until cancelled."""
        while True:
            try:
                lease = await self._lease()
                self._heed()
                ended = await self._held(lease)
                await self._after(ended, lease)
            except Exception as error:  # noqa: BLE001 - the edge: the channel lives on, and somebody is told
                await self._stumbled(error)

    def _heed(self) -> None:
        """The login that begins now answers every call so far; a later one asks for another."""
        if self._called.is_set():
            self._called.clear()
            self._bad.losses = self._bad.refusals = self._bad.settled = 0

    async def _stumbled(self, error: Exception) -> None:
        """Something here broke: wait, and begin anew."""
        self._good_since = None
        with contextlib.suppress(Exception):  # if telling is what breaks, waiting must not
            ended = self._bug(error)
            self._show("waiting", ended.code, ended.reason, pace.BUG_SECONDS)
        await self._pause(pace.BUG_SECONDS)

    # -- the lease ----------------------------------------------------------------------------------------------------

    async def _lease(self) -> Published | None:
        """The lease to log in with; None for a channel without an account."""
        account, min_ttl = self.settings.account, MIN_TTL_SECONDS
        while account is not None:
            found = await self._links.leases.demand(account, min_ttl, DEMAND_SECONDS)
            if isinstance(found, Published):
                return found
            if found.maximum is not None and found.maximum < min_ttl:
                min_ttl = found.maximum
                continue
            self._show("no-lease", found.kind, found.detail)
            await self._links.leases.changed(account)
        return None

    async def _newer(self, fingerprint: str) -> None:
        """Return once the account has another lease."""
        account = self.settings.account or ""
        while (held := self._links.leases.lease(account)) is None or held.fingerprint == fingerprint:
            await self._links.leases.changed(account)

    async def _verdict(self, fingerprint: str) -> None:
        """Return once there is another lease, or nobody speaks against this one any more."""
        leases, account = self._links.leases, self.settings.account or ""
        while leases.is_suspect(account, fingerprint):
            await leases.changed(account)

    # -- the connection -----------------------------------------------------------------------------------------------

    async def _held(self, lease: Published | None) -> Ended:
        """Log in and hold; how that ended.  An exception of a dialer's acts as a loss."""
        self._show("connecting")
        steady: list[asyncio.TimerHandle] = []

        def up(facts: Facts) -> None:
            if not steady:
                self._connected(lease)
                after = asyncio.get_running_loop().call_later
                steady.append(after(pace.STEADY_SECONDS, self._steady, lease))
                steady.append(after(self._until_lasting(), self._begin_anew))
            self._show("connected", facts=facts)

        try:
            return await self._dialled(lease, up)
        except Exception as error:  # noqa: BLE001 - the edge: the channel lives on, and somebody is told
            return self._bug(error)
        finally:
            for handle in steady:
                handle.cancel()
                self._bad.down_at = self._links.clock.boot()

    async def _dialled(self, lease: Published | None, up: Callable[[Facts], None]) -> Ended:
        holding = self._dialer.hold(None if lease is None else lease.lease, up)
        if lease is None or not getattr(self._dialer, "follows_lease", False):
            return await holding
        return await first(holding, self._newer(lease.fingerprint)) or RENEWED

    def _connected(self, lease: Published | None) -> None:
        self._proven = None if lease is None else lease.fingerprint
        self._called.clear()
        if self._good_since is None:
            self._good_since = self._links.clock.boot()
        self._bad.away = self._links.clock.boot() - self._bad.down_at
        if self._bad.losses < pace.LOSSES_MOST:
            self._tell_up()

    def _tell_up(self) -> None:
        self._bad.told.clear()
        self._tell("channel.connected", seconds_away=round(self._bad.away, 3))

    def _until_lasting(self) -> float:
        held = 0.0 if self._good_since is None else self._links.clock.boot() - self._good_since
        return max(pace.STEADY_SECONDS, pace.LASTING_SECONDS - held)

    def _steady(self, lease: Published | None) -> None:
        """The connection has held: the lease is good.  What a newer lease has healed is forgotten."""
        bad = self._bad
        bad.refusals = bad.settled = 0
        if lease is None:
            return
        if lease.fingerprint != self._held_with and bad.explained < pace.EXPLAINED_MOST:
            self._begin_anew(bad.explained + 1)
        self._held_with = lease.fingerprint
        self._links.leases.accepted(lease.lease.account, lease.fingerprint, self.settings.name)

    def _begin_anew(self, explained: int = 0) -> None:
        """Forget what went wrong."""
        if self._bad.losses >= pace.LOSSES_MOST:
            self._tell_up()
        self._bad = Counts(down_at=self._bad.down_at, explained=explained)

    # -- after it -----------------------------------------------------------------------------------------------------

    async def _after(self, ended: Ended, lease: Published | None) -> None:
        if ended is not RENEWED:
            self._good_since = None
        match ended.why:
            case Why.REFUSED if lease is not None:
                await self._refused(ended, lease)
            case Why.AGAIN if ended is RENEWED:
                self._lost_once(ended)
            case Why.AGAIN if not self._bad.again:
                self._bad.again = True
                self._lost_once(ended)
            case Why.LOST | Why.AGAIN:
                await self._lost(ended)
            case Why.REFUSED:  # a login without a lease: nothing of ours can be healed
                await self._lost(Ended(Why.LOST, ended.code, ended.reason, wait=pace.SLOW_SECONDS / 2))
            case Why.KICKED | Why.WRONG:
                await self._stopped(ended)

    async def _lost(self, ended: Ended) -> None:
        self._lost_once(ended)
        wait = self._one_more_loss(ended)
        self._show("waiting", ended.code, ended.reason, wait)
        await self._pause(wait)

    def _one_more_loss(self, ended: Ended) -> float:
        """Count a loss, and tell of too many.  Seconds to wait."""
        self._bad.losses += 1
        wait = max(pace.asked(ended.wait), pace.after_loss(self._bad.losses, self._links.draw()))
        away = self._links.clock.boot() - self._bad.down_at
        if away + wait > pace.DOWN_SECONDS or self._bad.losses >= pace.LOSSES_MOST:
            self._tell_once("channel.down", ended, seconds_away=round(away))
        return wait

    async def _refused(self, ended: Ended, lease: Published) -> None:
        """Try what is new again; else report it, and wait for what comes of that."""
        fingerprint, bad = lease.fingerprint, self._bad
        if self._is_new(lease) and bad.settled < len(pace.SETTLE):
            bad.settled += 1
            self._show("waiting", ended.code, ended.reason, pace.SETTLE[bad.settled - 1])
            await self._pause(max(pace.asked(ended.wait), pace.SETTLE[bad.settled - 1]))
            return
        bad.settled, self._proven = 0, None
        bad.refusals += 1
        self._tell("channel.refused", ended, fingerprint=fingerprint)
        code = None if getattr(self._dialer, "is_foreign", False) else ended.code
        said = self._links.leases.refused(lease.lease.account, fingerprint, ended.status, code, self.settings.name)
        if bad.refusals >= pace.REFUSALS_MOST:
            self._tell_once("channel.kept-out", ended, refusals=bad.refusals)
        wait = max(pace.asked(ended.wait), pace.after_refusal(bad.refusals, self._links.draw()))
        if bad.explained >= pace.EXPLAINED_MOST:
            wait = max(wait, self._one_more_loss(ended))
        self._show("refused", ended.code, ended.reason, wait or None)
        await self._pause(wait)
        if said == HEALING:
            await self._pause(pace.SLOW_SECONDS, self._verdict(fingerprint))
        elif said == "ignored":
            await self._lost(ended)

    async def _stopped(self, ended: Ended) -> None:
        self._tell_once("channel.stopped", ended, remedy=_remedy(ended, self.settings))
        self._show("stopped", ended.code, ended.reason)
        await self._called.wait()

    def _is_new(self, lease: Published) -> bool:
        """Whether nobody was seen to take it yet, and it is so young that not everybody may have heard of it."""
        age = lease.lease.valid_for - (lease.until - self._links.clock.boot())
        return lease.fingerprint != self._proven and age < pace.NEW_SECONDS

    async def _pause(self, seconds: float, until: Coroutine[Any, Any, None] | None = None) -> None:
        """Wait so long; less where an operator calls, or `until` returns."""
        if seconds <= 0:
            return
        waits = [asyncio.sleep(seconds), self._until_called(), *([] if until is None else [until])]
        await first(*waits)

    async def _until_called(self) -> None:
        await self._called.wait()

    # -- what is told -------------------------------------------------------------------------------------------------

    def _bug(self, error: Exception) -> Ended:
        """Tell of something that must not happen, by its name alone."""
        fields = {"kind": type(error).__name__, "task": f"channel:{self.settings.name}"}
        self._links.tell(Event("bug", None, fields))
        return Ended(Why.LOST, "bug", "freshd met something in this channel that it does not understand")

    def _lost_once(self, ended: Ended) -> None:
        self._tell_once("channel.lost", ended)

    def _tell_once(self, name: str, ended: Ended, *, remedy: str = "", **more: float) -> None:
        if name not in self._bad.told:
            self._bad.told.add(name)
            self._tell(name, ended, remedy=remedy, **more)

    def _tell(self, name: str, ended: Ended | None = None, *, remedy: str = "", **more: str | float) -> None:
        why: Mapping[str, str] = {} if ended is None else {"code": ended.code, "reason": ended.reason}
        fields = {"channel": self.settings.name, "kind": self.settings.kind, **why, **more}
        self._links.tell(Event(name, self.settings.account, fields, remedy))

    def _show(
        self, state: str, code: str = "", reason: str = "", wait: float | None = None, facts: Facts | None = None
    ) -> None:
        now = self._links.clock.now().wall
        since = self.view.get("since") if self.view["state"] == state else round(now, 3)
        told = {"code": code, "reason": reason} if code else {}
        later = {} if wait is None else {"next_try_at": round(now + wait, 3)}
        self.view = {"kind": self.settings.kind, "state": state, "since": since, **told, **later, **(facts or {})}


def _remedy(ended: Ended, settings: ChannelSettings) -> str:
    way = "reload freshd" if settings.account is None else f"freshd refresh {settings.account}, or reload freshd"
    if ended.why is Why.KICKED:
        return f"end the other login, or give this one a name of its own; then: {way}"
    return f"correct [channels.{settings.name}] and reload; if the other side was mended: {way}"
