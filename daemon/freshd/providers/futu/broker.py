"""Brokers of a platform account: each lives on codes that work once.

Rungs, top to bottom
-----
    broker-auth  spends the code in stock for a lease: what logs in at the broker's trading connection
    repull       has the platform give a new code; nothing of it is used up, so a lost answer is asked for again
    platform     asks the platform account to log in, which brings codes for all brokers

One code lies in stock.  A lease is made of it when somebody needs one, and the stock is filled up at once.  In doubt a
code counts as spent.  With hand_out = "code" there is no stock and no broker-auth: the code itself is the lease, for a
consumer that spends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import Change, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.futu import examine, wire
from freshd.providers.futu.broker_options import Options
from freshd.providers.futu.broker_read import read_auth, read_repull
from freshd.providers.futu.case import (
    ASK_PLATFORM,
    AUTH_CODE,
    BROKER_AUTH,
    DEVICE_ID,
    PLATFORM_KIND,
    REPULL,
    UID,
    WEB_SIG,
    BrokerTerms,
    held,
)
from freshd.providers.futu.options import Options as PlatformOptions
from freshd.providers.futu.platform import is_refused, options_of, terms_of
from freshd.providers.http import Call


class Broker(Base):
    """One broker (`ports.Provider`)."""

    def __init__(
        self, options: Options, above: PlatformOptions, terms: BrokerTerms, contract: Contract, deps: Deps
    ) -> None:
        self._options = options
        self._above = above
        self._terms = terms
        self._deps = deps
        super().__init__(terms.account, ladder_of(options), contract, terms.binding, (options.platform,))

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return ((f"account:{self.account}/{rung}", pace_of(self._options, rung)),)

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        call = self._call(rung, record)
        return call if isinstance(call, NotSent) else await self._deps.http.call(call)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        platform = self._platform(record)
        if rung == BROKER_AUTH:
            return read_auth(record, intent, reply, self._terms, self.contract, platform)
        return read_repull(record, intent, reply, self._terms, platform)

    async def probe(self, lease: Lease) -> bool | None:
        """There is no harmless call: a login at the trading connection voids the one that stands."""
        return None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_refused(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        raise NotPossible("a broker is not enrolled by itself", f"freshd enrol {self._options.platform}")

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        raise NotPossible("a broker has nothing to import", f"freshd enrol {self._options.platform} --import < RECORD")

    async def examine(self, record: Record) -> Sequence[Found]:
        now = self._deps.clock.now()
        return tuple(examine.of_broker(self.account, record, self._platform(record), now))

    def explain(self, code: str) -> Found | None:
        return examine.explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        raise NotPossible("the service has no known way to end a code", f"freshd forget {self.account}")

    def _platform(self, record: Record) -> Record:
        name = self._options.platform
        return record.kin.get(name, Record(name))

    def _call(self, rung: str, record: Record) -> Call | NotSent:
        """What the rung sends."""
        platform = self._platform(record)
        if platform.grant is None or not platform.grant.binding.fits(self._above.binding):
            return NotSent("the platform holds no ticket, or one of another account or host")
        if not {UID, DEVICE_ID} <= platform.grant.secrets.keys():
            return NotSent("the platform does not know the account's number or device yet")
        if rung == REPULL:
            has_signature = held(platform, WEB_SIG) is not None
            return (
                wire.repull(self._above, platform, self._terms.broker_id)
                if has_signature
                else NotSent("the platform holds no web signature")
            )
        if rung != BROKER_AUTH or record.grant is None or held(record, AUTH_CODE) is None:
            return NotSent(f"there is nothing to send on {rung}")
        if not record.grant.binding.fits(self.binding):
            return NotSent("the code belongs to another broker or host")
        return wire.broker_auth(self._options, self._above, record, platform)


def pace_of(options: Options, rung: str) -> Pace:
    """How fast one rung of a broker may be taken."""
    interval = options.repull_interval if rung == REPULL else options.min_interval
    return Pace(interval, options.backoff_cap, options.daily)


def ladder_of(options: Options) -> Ladder:
    """The rungs of a broker."""
    above = options.platform
    who = frozenset({f"{above}/{UID}", f"{above}/{DEVICE_ID}"})
    stock = frozenset({AUTH_CODE})
    spend = Rung(
        BROKER_AUTH, who | stock, on_demand=not options.scheduled, is_final=True, pace=pace_of(options, BROKER_AUTH)
    )
    hands_out = options.hand_out == "code"
    pull = Rung(
        REPULL, who | {f"{above}/{WEB_SIG}"}, stocks=frozenset() if hands_out else stock, is_consumed=hands_out,
        reuse=Reuse.REUSABLE, pace=pace_of(options, REPULL),
    )  # fmt: skip
    ask = Rung(ASK_PLATFORM, spends=False, asks=above, pace=pace_of(options, ASK_PLATFORM))
    return (pull, ask) if hands_out else (spend, pull, ask)


def make(account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings] = ()) -> Broker:
    """The provider of a configured broker; its platform is among the relatives, as the configuration has proven."""
    options = Options(**cast("dict[str, Any]", account.options))
    above = next(one for one in relatives if one.kind == PLATFORM_KIND and one.name == options.platform)
    return Broker(options, options_of(above), terms_of(account), account.profile.contract, deps)
