"""Accounts of GeniusAuth: access tokens of five minutes, and a refresh token that works until its fixed end.

Rungs, top to bottom
-----
    refresh  presents the refresh token; spends nothing, may be made again and again, brings an access token only
    patch    writes the same payload once more, which brings an access token too; only for servers that renew without
             one, where the account allows it
    login    spends the login token that a person's browser brought    } a person's
    payload  an operator's: lets the tokens carry another text         }

A time stamp that the service finds wrong (code 9) is mended where it costs nothing.  A renewal is refused for it once,
learns the service's clock from that very refusal, and is made again a second later (`Rejected.again`): a call before
each renewal would double the calls of a five-minute token.  A login and a change are tried out beforehand with a
harmless signed call, when the person is asked (`Client.prove`): a login token must not be risked, and 6 means the login
only where a signature is known to be good.

The user that the tokens name must be the one of the login; a token of another application is never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import EMPTY, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Lost, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import FreshdError
from freshd.ports import Asked, Facts, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.geniusauth.adopt import adopt
from freshd.providers.geniusauth.case import (
    LOGIN,
    PATCH,
    PAYLOAD,
    REFRESH,
    REFRESH_TOKEN,
    Terms,
    code_of,
    present_payload,
)
from freshd.providers.geniusauth.client import OF_RUNG, VERIFY, Client, answer_in, is_fine
from freshd.providers.geniusauth.enrol import ask_for_login, login_token
from freshd.providers.geniusauth.examine import Examination
from freshd.providers.geniusauth.explain import explained
from freshd.providers.geniusauth.farewell import retire, revoke, token_of
from freshd.providers.geniusauth.operate import OPERATIONS, operate
from freshd.providers.geniusauth.options import Options
from freshd.providers.geniusauth.read import read
from freshd.providers.geniusauth.refusal import DEAD
from freshd.providers.geniusauth.signature import Value

ORPHAN: Final = "the login token is used up, and a login that nobody holds may stand at the service until its end"


class GeniusAuth(Base):
    """One account (`ports.Provider`, `ports.Operated`, `ports.Succeeding`)."""

    def __init__(self, name: str, options: Options, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._client = Client(options, deps)
        self._deps = deps
        self._terms = Terms(
            options.binding, contract, place=options.place, valid=options.valid, is_signed=options.is_signed,
            patch_fallback=options.patch_fallback,
        )  # fmt: skip
        self._ready: dict[str, Secret | None] = {}
        super().__init__(name, ladder_of(options), contract, options.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """What the call is signed with, which reaches neither intent nor journal; and what a login asks for."""
        self._ready[rung] = await self._client.secret()
        if rung != LOGIN:
            return EMPTY
        payload = {} if self._options.payload is None else {PAYLOAD: Secret(self._options.payload)}
        bound = {"origin": Secret(self.binding.origin), "client_id": Secret(self.binding.client_id)}
        return {"valid": Secret(str(self._options.valid)), **payload, **bound}

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        if rung not in self._ready or rung not in OF_RUNG:
            return NotSent("nothing was prepared")
        secret = self._ready.pop(rung)
        fields = self._fields(rung, record, intent)
        if isinstance(fields, NotSent):
            return fields
        performed = await self._client.send(self._client.call(OF_RUNG[rung], fields, secret))
        if rung == LOGIN and isinstance(performed, Lost):
            return Lost(f"{performed.reason}; {ORPHAN}")
        return performed

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """Show the token to the service; renews nothing."""
        performed = await self._client.ask(VERIFY, {"token": lease.token.reveal()})
        if is_fine(performed):
            return True
        return False if code_of(answer_in(performed)) == DEAD else None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        """31, or 401 without a code; a bare 403 says nothing, and no other code is about the token."""
        word = (code or "").strip()
        return word == DEAD or (not word and status == 401)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        is_proven = await self._client.prove()
        return ask_for_login(self._options, record, flow, is_proven=is_proven)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        return adopt(self.account, given, now, lineage, (self._options, self.contract))

    async def examine(self, record: Record) -> Sequence[Found]:
        examination = Examination(self._client, self._options, self._deps.clock, self.account)
        return [*await examination.app(), *await examination.user(record)]

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        return await revoke(self._client, record, self.binding)

    @property
    def operations(self) -> Mapping[str, str]:
        return OPERATIONS

    async def operate(self, operation: str, given: Mapping[str, Secret], record: Record) -> Facts | Asked:
        return await operate(self._client, self.account, operation, given, record)

    async def retire(self, old: Grant, new: Grant) -> None:
        await retire(self._client, old, new, self.binding, self._deps.clock.now())

    def _fields(self, rung: str, record: Record, intent: Intent) -> dict[str, Value] | NotSent:
        """What the rung sends."""
        if rung == LOGIN:
            return self._login_fields(intent)
        try:
            token = None if record.grant is None else token_of(record.grant, self.binding)
        except FreshdError as error:
            return NotSent(error.cause)
        if token is None:
            return NotSent("there is no refresh token")
        if rung == REFRESH:
            return {"token": token}
        sent = intent.material.get(PAYLOAD)
        payload = present_payload(record.grant) if rung == PATCH or sent is None else sent.reveal()
        if not payload:
            return NotSent("there is no payload to write")
        return {"token": token, "payload": payload, "accessToken": True}

    def _login_fields(self, intent: Intent) -> dict[str, Value] | NotSent:
        token = login_token(intent.material.get("code"))
        if token is None:
            return NotSent("what came back holds no login token")
        options = self._options
        wishes = {"payload": options.payload, "clientIp": options.client_ip}
        return {
            "token": token, "grantType": REFRESH_TOKEN, "valid": options.valid,
            **{name: wish for name, wish in wishes.items() if wish is not None},
        }  # fmt: skip


def ladder_of(options: Options) -> Ladder:
    """The rungs of an account."""
    needs, pace, on_demand = frozenset({REFRESH_TOKEN}), options.pace(), not options.keep_warm
    refresh = Rung(REFRESH, needs, spends=False, on_demand=on_demand, reuse=Reuse.REUSABLE, pace=pace)
    patch = replace(refresh, name=PATCH, spends=True)
    login = Rung(LOGIN, person=True, pace=pace)
    payload = Rung(PAYLOAD, needs, person=True, reuse=Reuse.REUSABLE, pace=pace)
    return (refresh, *((patch,) if options.patch_fallback else ()), login, payload)


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> GeniusAuth:
    """The provider of a configured account."""
    return GeniusAuth(account.name, Options(**cast("dict[str, Any]", account.options)), account.profile.contract, deps)
