"""Platform accounts of Futu and moomoo: the head of a family, whose brokers live on what its login brings.

Rungs, top to bottom
-----
    refresh       logs in with the ticket, by itself; not while a person's step is due
    login-again   the same call, for a person whose step has become too old      }
    device-check  spends the code of an SMS                                       } a person's
    third-factor  ends a login that was confirmed elsewhere                       }

A login is never made twice within its interval, by whatever rung: the service takes that for abuse.  One login serves
all brokers of the family.  By default it is made when somebody needs it, or when the ticket grows old.

Nothing of this was ever tried on the real service (`unknowns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from freshd.core.ladder import Ladder, Rung
from freshd.core.model import Change, Intent, Lease, Moment, Record, Secret, fingerprint
from freshd.core.outcome import Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.futu import examine, wire
from freshd.providers.futu.case import (
    BROKER_KIND,
    DEVICE_CHECK,
    DEVICE_ID,
    DEVICE_VERIFY,
    LOGIN_AGAIN,
    RAND_KEY,
    REFRESH,
    THIRD_FACTOR,
    THIRD_VERIFY,
    TICKET,
    BrokerTerms,
    Terms,
)
from freshd.providers.futu.enrol import Steps, adopt, code_in, is_confirmed
from freshd.providers.futu.options import Options
from freshd.providers.futu.read import read
from freshd.providers.http import Call

STEP_PACE: Final = Pace(5.0, 60.0, 20)
"""For what a person does: too slow to guess codes, fast enough to correct one."""
ALIVE_CODES: Final = frozenset({"-102", "15", "heartbeat", "heartbeat-lost"})
"""Refusals that say nothing of the lease: a command on the wrong connection, logins in too quick a row, a line lost."""


class Platform(Base):
    """One platform account (`ports.Provider`)."""

    def __init__(self, name: str, options: Options, terms: Terms, deps: Deps) -> None:
        self._options = options
        self._terms = terms
        self._deps = deps
        self._steps = Steps(name, options, deps)
        brokers = tuple(broker.account for broker in terms.brokers)
        super().__init__(name, ladder_of(options), terms.contract, terms.binding, brokers)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        """Every login charges one row, whichever rung makes it and however the account is called here."""
        if rung in (REFRESH, LOGIN_AGAIN):
            bound = self.binding
            return ((f"login:{bound.origin}/{fingerprint(bound.client_id)}", login_pace(self._options)),)
        return ((f"account:{self.account}/{rung}", STEP_PACE),)

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        call = self._call(rung, record, intent)
        return call if isinstance(call, NotSent) else await self._deps.http.call(call)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """There is no harmless call that a signature could make."""
        return None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_refused(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        if flow != "auto":
            raise NotPossible(
                "this account is not enrolled in a browser", f"freshd enrol {self.account}, without options"
            )
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            raise NotPossible("the ticket belongs to another account or host", f"freshd explain {self.account}")
        return await self._steps.ask(record, consent=consent)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        return adopt(self.account, given, self._options, now, lineage)

    async def examine(self, record: Record) -> Sequence[Found]:
        now = self._deps.clock.now()
        found = [*examine.of_record(self.account, record, now, self.contract.idle_life)]
        performed = await self._deps.http.call(wire.salt(self._options))
        return (*found, *examine.of_salt(self._options, performed, now), examine.UNKNOWN)

    def explain(self, code: str) -> Found | None:
        return examine.explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        raise NotPossible(
            "the service has no known way to end a ticket",
            f"log the device out in the app; then freshd forget {self.account}",
        )

    def _call(self, rung: str, record: Record, intent: Intent) -> Call | NotSent:
        """What the rung sends."""
        if record.grant is None or not {TICKET, DEVICE_ID} <= record.grant.secrets.keys():
            return NotSent("there is no ticket")
        if not record.grant.binding.fits(self.binding):
            return NotSent("the ticket belongs to another account or host")
        match rung:
            case "refresh" | "login-again":
                return wire.login(self._options, record)
            case "device-check":
                return self._verification(record, intent.material)
            case "third-factor":
                return self._confirmation(record, intent.material)
        return NotSent(f"there is nothing to send on {rung}")

    def _verification(self, record: Record, material: Mapping[str, Secret]) -> Call | NotSent:
        code = code_in(material)
        if code is None or DEVICE_VERIFY not in material:
            return NotSent("there is no code that an SMS could hold")
        return wire.verify(self._options, record, material[DEVICE_VERIFY].reveal(), code)

    def _confirmation(self, record: Record, material: Mapping[str, Secret]) -> Call | NotSent:
        if not is_confirmed(material) or THIRD_VERIFY not in material:
            return NotSent("the third factor is not confirmed")
        return wire.third_factor(self._options, record, material[THIRD_VERIFY].reveal())


def is_refused(status: int | None, code: str | None) -> bool:
    """Whether a consumer's words mean that its login was refused: whatever the code, but for those that say less."""
    word = (code or "").strip().lower()
    is_outage = not word and status is not None and (status == 429 or status >= 500)
    return word not in ALIVE_CODES and not is_outage


def login_pace(options: Options) -> Pace:
    """How fast logins may follow each other."""
    return Pace(options.min_interval, options.backoff_cap, options.daily)


def ladder_of(options: Options) -> Ladder:
    """The rungs of a platform account."""
    ticket, pace = frozenset({TICKET, DEVICE_ID, RAND_KEY}), login_pace(options)
    steps = frozenset({DEVICE_VERIFY, THIRD_VERIFY})
    return (
        Rung(REFRESH, ticket, unless=steps, on_demand=not options.scheduled, pace=pace),
        Rung(LOGIN_AGAIN, ticket, person=True, pace=pace),
        Rung(DEVICE_CHECK, frozenset({DEVICE_ID, DEVICE_VERIFY}), person=True, budgeted=True, pace=STEP_PACE),
        Rung(THIRD_FACTOR, ticket | {THIRD_VERIFY}, person=True, pace=STEP_PACE),
    )


def options_of(account: AccountSettings) -> Options:
    """What a platform account says."""
    return Options(**cast("dict[str, Any]", account.options))


def make(account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings] = ()) -> Platform:
    """The provider of a configured account."""
    brokers = (one for one in relatives if one.kind == BROKER_KIND)
    options = options_of(account)
    terms = Terms(options.binding, account.profile.contract, tuple(map(terms_of, brokers)))
    return Platform(account.name, options, terms, deps)


def terms_of(account: AccountSettings) -> BrokerTerms:
    """What the platform's answers need to know of a broker.  Its binding was settled with the configuration."""
    options = cast("dict[str, Any]", account.options)
    if account.binding is None:
        msg = "a broker without a binding"
        raise TypeError(msg)
    return BrokerTerms(account.name, options["broker_id"], account.binding, options["hand_out"] == "code")
