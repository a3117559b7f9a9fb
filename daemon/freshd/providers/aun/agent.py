"""Agents of AUN: a key and a certificate that always bring new tokens, and a refresh token that works once.

Rungs, top to bottom
-----
    refresh            presents the refresh token; a lost answer leads to a login, which costs nothing
    login              signs with the key; presents nothing that is used up
    settle-key         looks which key is registered, where a change of the key was never answered
    renew              a new certificate for the same key, also for one that is over since less than 90 days
    create             registers the agent                                  }
    adopt-certificate  takes the certificate that is registered for our key } steps of an operator, which ask nothing
    rekey              registers another key                                }

`settle-key` and `renew` keep the marker `current_certificate` in stock: `read` lets go of it when key or certificate
need something done, and then they are taken at once, beside all renewing of tokens.

What a renewal presents is not used up, and what it brings lies at the issuer for everybody to fetch.  So a lost answer
of `renew` and `settle-key` is told as not sent: nothing that could spend left this machine.  Where nobody waits for it,
it is told to `read` as a fault, so that it rests and tokens are renewed meanwhile.

Nothing of this was ever tried on the real service (`unknowns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from freshd.core.contract import Reuse
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import Change, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Lost, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import NotPossible
from freshd.ports import Asked, Facts, Found
from freshd.providers.aun.adopt import adopt
from freshd.providers.aun.case import (
    ADOPT,
    CANDIDATE_KEY,
    CERTIFICATE,
    CREATE,
    CURRENT,
    FAULT,
    GATEWAYS,
    LOGIN,
    LOGIN1,
    PRIVATE_KEY,
    REFRESH,
    REFRESH_TOKEN,
    REKEY,
    RENEW,
    SETTLE,
    UNREACHED,
    UNSENT,
    Terms,
    held,
)
from freshd.providers.aun.enrol import Steps
from freshd.providers.aun.examine import Examination
from freshd.providers.aun.explain import explained
from freshd.providers.aun.gateways import MOST_TRIED, Gateways
from freshd.providers.aun.life import is_upkeep
from freshd.providers.aun.login import Fault, Login
from freshd.providers.aun.operate import OPERATIONS, Operator
from freshd.providers.aun.options import Options
from freshd.providers.aun.read import read
from freshd.providers.aun.side import Side
from freshd.providers.aun.token import is_dead
from freshd.providers.aun.transport import Transport
from freshd.providers.aun.wire import request_of
from freshd.providers.base import Base
from freshd.providers.deps import Deps

SIGNED: Final = (LOGIN, RENEW, REKEY)
LOOKS: Final = (SETTLE, ADOPT)


class Aun(Base):
    """One agent's account (`ports.Provider`, `ports.Operated`)."""

    def __init__(self, name: str, options: Options, terms: Terms, deps: Deps) -> None:
        self._options = options
        self._terms = terms
        self._deps = deps
        self._gateways = Gateways(options.places, options.gateway, deps.http, options.route, deps.clock)
        self._transport = Transport(options.ca_file, options.deadline)
        self._side = Side(deps.http, options.route)
        self._login = Login(options, self._gateways, self._transport, self._side, deps.clock)
        self._steps = Steps(name, options, self._gateways, self._side, deps.clock)
        self._operator = Operator(options, self._steps, deps.clock)
        super().__init__(name, ladder_of(options), terms.contract, terms.binding)

    @property
    def operations(self) -> Mapping[str, str]:
        return OPERATIONS

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """The gateways; for what is signed the first half of the login, with all its proofs; the issuer's chain."""
        if rung in SIGNED:
            return await self._login.begin(record)
        urls = await self._gateways.find()
        if isinstance(urls, NotSent):
            return {UNSENT: Secret(urls.reason)}
        material = {GATEWAYS: Secret(" ".join(urls))}
        if rung != CREATE:
            return material
        issuers = await self._login.issuers(urls[0])
        if isinstance(issuers, Fault):
            return {**material, FAULT: Secret(issuers.word)}
        return {UNSENT: Secret(issuers.reason)} if isinstance(issuers, NotSent) else {**material, **issuers}

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        """The one call; none where what went before settled it already."""
        performed = await self._performed(rung, record, intent)
        if isinstance(performed, NotSent | Lost) and is_upkeep(rung, record, intent):
            return Reply(200, ((FAULT, UNREACHED),), b"")
        if isinstance(performed, Lost) and rung in (RENEW, SETTLE):
            return NotSent(f"no answer, and nothing to lose: {performed.reason}")
        return performed

    async def _performed(self, rung: str, record: Record, intent: Intent) -> Performed:
        material = intent.material
        if UNSENT in material:
            return NotSent(material[UNSENT].reveal())
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            return NotSent("the grant belongs to another agent or issuer")
        if LOGIN1 in material or FAULT in material:
            fault = held(material, FAULT)
            frame = (held(material, LOGIN1) or "").encode()
            return Reply(200, () if fault is None else ((FAULT, fault),), frame)
        urls = (held(material, GATEWAYS) or "").split()
        return await self._called(rung, record, intent, urls)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """A token is presented nowhere but when a session begins, and a session is no harmless call."""
        return None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_dead(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        if flow != "auto":
            raise NotPossible("an agent is not enrolled in a browser", f"freshd enrol {self.account}, without options")
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            raise NotPossible("the key belongs to another agent or issuer", f"freshd explain {self.account}")
        return await self._steps.ask(record)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        return adopt(self.account, given, now, lineage, self._options)

    async def operate(self, operation: str, given: Mapping[str, Secret], record: Record) -> Facts | Asked:
        return await self._operator.operate(operation, record)

    async def examine(self, record: Record) -> Sequence[Found]:
        """Gateways, their health and clocks, the issuer's chain, what is registered: nothing that could spend (I8)."""
        examination = Examination(self.account, self._options, self._deps.clock, self._side)
        return await examination.look(record, self._gateways, self._transport, self._login)

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        raise NotPossible(
            "the service has no documented way to end a token or a certificate",
            f"change the key, which ends the certificate: freshd operate {self.account} rekey; "
            f"then freshd forget {self.account}",
        )

    async def _called(self, rung: str, record: Record, intent: Intent, urls: Sequence[str]) -> Performed:
        if rung in LOOKS:
            aid = self._options.aid
            performed, _ = await self._gateways.reach(
                urls, lambda url: self._deps.http.call(self._side.certificate_call(url, aid))
            )
            return performed
        request = request_of(self._options, rung, record, intent)
        if isinstance(request, NotSent):
            return request
        method, params = request
        places = urls[:1] if rung in SIGNED else urls[:MOST_TRIED]  # a login goes on where it began
        performed, _ = await self._gateways.reach(places, lambda url: self._transport.call(url, method, params))
        return performed


def ladder_of(options: Options) -> Ladder:
    """The rungs of an account."""
    pace, key = options.pace, frozenset({PRIVATE_KEY, CERTIFICATE})
    stock = frozenset({CURRENT})
    return (
        Rung(REFRESH, frozenset({REFRESH_TOKEN}), pace=pace(REFRESH)),
        Rung(LOGIN, key, reuse=Reuse.REUSABLE, pace=pace(LOGIN)),
        Rung(SETTLE, frozenset({CANDIDATE_KEY}), stocks=stock, reuse=Reuse.REUSABLE, pace=pace(SETTLE)),
        Rung(RENEW, key, stocks=stock, reuse=Reuse.REUSABLE, pace=pace(RENEW)),
        Rung(CREATE, frozenset({PRIVATE_KEY}), person=True, stocks=stock, reuse=Reuse.REUSABLE, pace=pace(CREATE)),
        Rung(ADOPT, frozenset({PRIVATE_KEY}), person=True, stocks=stock, reuse=Reuse.REUSABLE, pace=pace(ADOPT)),
        Rung(REKEY, key, person=True, stocks=stock, reuse=Reuse.REUSABLE, pace=pace(REKEY)),
    )


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> Aun:
    """The provider of a configured account."""
    options = Options(**cast("dict[str, Any]", account.options))
    return Aun(account.name, options, options.terms(account.profile.contract, account.margins), deps)
