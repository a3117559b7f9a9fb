"""Apps of Feishu and Lark: tenant and app tokens, had again from the app's secret whenever they are needed.

One rung, `issue`: needs nothing, spends nothing.  The service hands out the same token to everybody who asks while it
has half an hour left, and a new one after that; the contract's `reissue_left` and the profile's margins aim at 25
minutes.  Whether the OAuth form keeps that rule is not known; aiming there is right under either.
No refusal ends anything: all are the configuration's, or pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from freshd.core.contract import Contract
from freshd.core.ladder import Rung
from freshd.core.model import EMPTY, Binding, Change, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.feishu.app_options import KIND, AppOptions
from freshd.providers.feishu.case import ISSUE, Terms, case_of
from freshd.providers.feishu.client import Client
from freshd.providers.feishu.examine import Examination
from freshd.providers.feishu.explain import explained
from freshd.providers.feishu.refusal import refused, slow_down
from freshd.providers.feishu.token import is_dead
from freshd.providers.form import bearer
from freshd.providers.http import Call
from freshd.providers.oauth2.life import lease_life
from freshd.providers.oauth2.refusal import unreadable


class FeishuApp(Base):
    """One app's account (`ports.Provider`)."""

    def __init__(self, name: str, options: AppOptions, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._client = Client(options, deps)
        self._deps = deps
        self._terms = Terms(Binding(KIND, options.origin, options.app_id), contract)
        self._ready: Call | None = None
        rung = Rung(ISSUE, spends=False, pace=options.pace())
        super().__init__(name, (rung,), contract, self._terms.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung, self._options.token_url)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        if self._options.form == "internal":
            self._ready = await self._client.app_call(self._options.token)
            return EMPTY
        fields = [("grant_type", "client_credentials"), *await self._client.proof()]
        self._ready = self._client.json_call(self._options.token_url, fields)
        return EMPTY

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        call, self._ready = self._ready, None
        if call is None or rung != ISSUE:
            return NotSent("nothing was prepared")
        return await self._client.http.call(call)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        names = ("access_token", "expires_in")
        if self._options.form == "internal":
            names = (f"{self._options.token}_access_token", "expire")
        return read(record, intent, reply, self._terms, names)

    async def probe(self, lease: Lease) -> bool | None:
        """There is no call that every app may make; the service says nothing of a token that nobody uses."""
        return None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_dead(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        raise NotPossible("an app's tokens need no person", "see freshd explain ACCOUNT")

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        raise NotPossible("an app's tokens come from its secret alone", "there is nothing to import")

    async def examine(self, record: Record) -> Sequence[Found]:
        """By asking for the very token: that spends nothing."""
        return await Examination(self._client, self._deps.clock, self.account).app(self._options.token)

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        return "an app's tokens end by themselves within two hours; to end them now, reset the app's secret"


def read(record: Record, intent: Intent, reply: Reply, terms: Terms, names: tuple[str, str]) -> Judged:
    """Judge a reply; `names`: of the token and of its life.  Pure and total."""
    case = case_of(ISSUE, record, intent, reply, terms)
    token = bearer(case.answer.get(names[0]))
    if not case.is_success or token is None:
        if reply.status == 429 and reply.complete:
            return slow_down(case)
        return refused(case) or unreadable(reply, case.foreign or "JSON with neither token nor error")
    stated = {"access_token": token, "expires_in": case.answer.get(names[1])}
    life, odd = lease_life(stated, reply, terms.contract)
    before = intent.generation if record.lease is None else record.lease.generation
    fields = MappingProxyType({"token_type": "Bearer"})
    lease = Lease(record.account, before + 1, Secret(token), intent.sent, life, fields)
    notes = {} if odd is None else {names[1]: odd}
    return Answered((Change(record.account, lease=lease),), MappingProxyType(notes))


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> FeishuApp:
    """The provider of a configured account."""
    options = AppOptions(**cast("dict[str, Any]", account.options))
    return FeishuApp(account.name, options, account.profile.contract, deps)
