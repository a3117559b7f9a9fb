"""OAuth 2.0 accounts: refresh, client credentials, and a person by authorization code or device flow.

Rungs, top to bottom
-----
    refresh    presents the refresh token; always through the whole exchange, for a contract that calls it reusable may
               be wrong or change, and a successor that comes unexpectedly must not be lost
    issue      client credentials: needs nothing, spends nothing (the only rung where grant_type says so)
    authorize  spends an authorization code          } a person's, in the order of `flows`
    device     spends a device code, once granted    }

`prepare` finds the endpoint, resolves the client's secret, and leaves both for the one `perform` that follows; they
reach neither intent nor journal.  `perform` without it sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from freshd.core.contract import Contract
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import EMPTY, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.http import Call, host
from freshd.providers.oauth2.case import AUTHORIZE, DEVICE, ISSUE, REFRESH, REFRESH_TOKEN
from freshd.providers.oauth2.client import Client, Field, Post
from freshd.providers.oauth2.enrol import (
    ask_for_code,
    ask_for_device,
    code_fields,
    device_fields,
    redirect_problem,
    wishes,
)
from freshd.providers.oauth2.explain import explained
from freshd.providers.oauth2.options import Options
from freshd.providers.oauth2.read import read

FLOWS: Final = {"code": AUTHORIZE, "device": DEVICE}
DEVICE_BACKOFF_SECONDS: Final = 10.0
"""Above it, a person who has just approved would think that nothing happens; the service's interval holds anyway."""
DEAD_CODES: Final = frozenset({"invalid_token"})
"""RFC 6750 section 3.1."""
ALIVE_CODES: Final = frozenset({"insufficient_scope", "invalid_request", "insufficient_user_authentication"})
"""Refusals of what was asked, not of the token (RFC 6750, RFC 9470), whatever status comes with them."""


class OAuth2(Base):
    """One account (`ports.Provider`)."""

    def __init__(self, name: str, options: Options, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._client = Client(options, deps)
        self._terms = options.terms(contract)
        self._ready: dict[str, Post] = {}
        super().__init__(name, ladder_of(options), self._terms.contract, self._terms.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        options = self._options
        place = host(options.token_endpoint or self.binding.origin)
        return (
            (f"host:{place}", Pace(options.host_interval, options.backoff_cap)),
            (f"app:{place}/{options.client_id}", Pace(options.app_interval, options.backoff_cap)),
            (f"account:{self.account}/{rung}", pace_of(options, rung)),
        )

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        self._ready[rung] = await self._client.post("token_endpoint")
        if rung in FLOWS.values():
            return {"origin": Secret(self.binding.origin), "client_id": Secret(self.binding.client_id)}
        return EMPTY

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        post = self._ready.pop(rung, None)
        if post is None:
            return NotSent("nothing was prepared")
        spent = self._spent(rung, record, intent)
        if isinstance(spent, NotSent):
            return spent
        fields = [*spent, *self._options.token_parameters.items()]
        return await self._client.http.call(self._client.call(post, fields))

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        try:
            url = await self._client.find_endpoint("probe_url")
        except FreshdError:
            return None
        if url is None:
            return None
        headers = {"Authorization": f"Bearer {lease.token.reveal()}"}
        performed = await self._client.http.call(Call("GET", url, headers, route=self._options.route))
        if not isinstance(performed, Reply):
            return None
        return True if performed.status in range(200, 300) else False if performed.status == 401 else None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        word = (code or "").strip().lower()
        return word in DEAD_CODES or (status == 401 and word not in ALIVE_CODES)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        flow = self._options.flows[0] if flow == "auto" and self._options.flows else flow
        if flow not in self._options.flows or self._options.grant_type == "client_credentials":
            allowed = ", ".join(self._options.flows) if self._options.grant_type == "refresh_token" else "none"
            raise FreshdError("the account cannot be enrolled this way", f"flows of this account: {allowed}")
        if flow == "device":
            return await ask_for_device(self._client)
        return await ask_for_code(self._client, redirect_uri)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        """A refresh token is all there is to adopt; access tokens of others are not published under our name."""
        if not given.get(REFRESH_TOKEN) or self._options.grant_type != REFRESH_TOKEN:
            raise NotPossible("these secrets renew nothing here", f"this account renews with: {REFRESH_TOKEN}")
        grant = Grant(lineage, self.binding, {REFRESH_TOKEN: given[REFRESH_TOKEN]}, now, now)
        return Change(self.account, grant=grant)

    async def examine(self, record: Record) -> Sequence[Found]:
        return ()

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        """RFC 7009.  The refresh token first: most services end its access tokens with it."""
        held = {} if record.grant is None else record.grant.secrets
        found = {
            REFRESH_TOKEN: held.get(REFRESH_TOKEN),
            "access_token": None if record.lease is None else record.lease.token,
        }
        tokens = {name: token for name, token in found.items() if token is not None}
        if not tokens:
            return "there was nothing to revoke"
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            raise FreshdError("the grant belongs to another service, client or subject", "see freshd explain ACCOUNT")
        for name, token in tokens.items():
            await self._revoke(name, token)
        return "revoked: " + ", ".join(tokens)

    async def _revoke(self, name: str, token: Secret) -> None:
        post = await self._client.post("revocation_endpoint")
        fields = [("token", token.reveal()), ("token_type_hint", name)]
        performed = await self._client.http.call(self._client.call(post, fields))
        if isinstance(performed, Reply) and performed.status == 200:
            return
        what = f"status {performed.status}" if isinstance(performed, Reply) else performed.reason
        raise FreshdError(
            f"the service did not revoke the {name}: {what}", "try again, or end it at the service itself"
        )

    def _spent(self, rung: str, record: Record, intent: Intent) -> list[Field] | NotSent:
        """The fields that the rung presents."""
        match rung:
            case "refresh":
                return self._refreshing(record)
            case "issue":
                return [("grant_type", "client_credentials"), *wishes(self._options)]
            case "authorize":
                wrong = redirect_problem(intent.material)
                return code_fields(intent.material) if wrong is None else NotSent(wrong)
            case "device" if "device_code" in intent.material:
                return device_fields(intent.material)
        return NotSent(f"there is nothing to send on {rung}")

    def _refreshing(self, record: Record) -> list[Field] | NotSent:
        token = None if record.grant is None else record.grant.secrets.get(REFRESH_TOKEN)
        if record.grant is None or token is None:
            return NotSent("there is no refresh token")
        if not record.grant.binding.fits(self.binding):
            return NotSent("the grant belongs to another service, client or subject")
        spent = [("grant_type", REFRESH_TOKEN), (REFRESH_TOKEN, token.reveal())]
        return [*spent, *wishes(self._options, scope=self._options.scope_on_refresh)]


def pace_of(options: Options, rung: str) -> Pace:
    """How fast one rung of an account may be taken.  A device is polled: waiting for the person is no failure."""
    cap = min(options.backoff_cap, DEVICE_BACKOFF_SECONDS) if rung == DEVICE else options.backoff_cap
    return Pace(options.min_interval, cap, options.daily)


def ladder_of(options: Options) -> Ladder:
    """The rungs of an account."""
    if options.grant_type == "client_credentials":
        return (Rung(ISSUE, spends=False, pace=pace_of(options, ISSUE)),)
    names = (FLOWS[flow] for flow in dict.fromkeys(options.flows))
    people = (Rung(name, person=True, pace=pace_of(options, name)) for name in names)
    return (Rung(REFRESH, frozenset({REFRESH_TOKEN}), pace=pace_of(options, REFRESH)), *people)


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> OAuth2:
    """The provider of a configured account."""
    return OAuth2(account.name, Options(**cast("dict[str, Any]", account.options)), account.profile.contract, deps)
