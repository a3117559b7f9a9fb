"""Users of Feishu and Lark: a refresh token that works once, and a person behind it once a year.

Rungs, top to bottom
-----
    refresh     presents the refresh token at the token endpoint (v3 or v2)
    refresh-v1  presents one of the older generation, at the endpoint that issued it and nowhere else, under a token of
                the app that is fetched beforehand and costs nothing; a person's next enrolment moves the account on
    authorize   spends an authorization code          } a person's, in the order of `flows`
    device      spends a device code, once granted    }

No answer of the token endpoints names the user.  Asking who it is takes a second call, which has no place between reply
and commit, and must not decide over a secret that is already ours.  So `subject` tells grants apart, and `examine`
compares it with the user of the token in hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from freshd.core.contract import Contract
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import EMPTY, Change, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.core.settings import AccountSettings
from freshd.errors import FreshdError
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.feishu.adopt import adopt
from freshd.providers.feishu.case import (
    DEVICE,
    FINE,
    PRESENTS,
    REFRESH_TOKEN,
    REFRESH_V1,
    Terms,
    code_of,
)
from freshd.providers.feishu.client import Client, why_not
from freshd.providers.feishu.enrol import ask_for_code, ask_for_device
from freshd.providers.feishu.examine import Examination
from freshd.providers.feishu.explain import explained
from freshd.providers.feishu.options import Options
from freshd.providers.feishu.read import read
from freshd.providers.feishu.service import REFRESH_V1 as REFRESH_V1_PATH
from freshd.providers.feishu.service import REVOKE_PATH
from freshd.providers.feishu.token import is_alive, is_dead
from freshd.providers.form import Foreign, object_of
from freshd.providers.oauth2.client import Field
from freshd.providers.oauth2.enrol import code_fields, device_fields, redirect_problem
from freshd.providers.oauth2.provider import DEVICE_BACKOFF_SECONDS, FLOWS


class Feishu(Base):
    """One user's account (`ports.Provider`)."""

    def __init__(self, name: str, options: Options, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._client = Client(options, deps)
        self._deps = deps
        self._terms = Terms(options.binding, contract, scope=options.scope)
        self._ready: dict[str, tuple[Sequence[Field], str | None]] = {}
        super().__init__(name, ladder_of(options), contract, options.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung, self._address(rung), _cap(rung))

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """What proves the app, for the one call that follows; it reaches neither intent nor journal."""
        if rung == REFRESH_V1:
            self._ready[rung] = (), await self._client.app_token()
            return EMPTY
        self._ready[rung] = await self._client.proof(), None
        if rung in FLOWS.values():
            return {"origin": Secret(self.binding.origin), "client_id": Secret(self.binding.client_id)}
        return EMPTY

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        ready = self._ready.pop(rung, None)
        if ready is None:
            return NotSent("nothing was prepared")
        spent = self._spent(rung, record, intent)
        if isinstance(spent, NotSent):
            return spent
        proof, token = ready
        return await self._client.http.call(self._client.json_call(self._address(rung), [*spent, *proof], token))

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """Who the user is, asked with the token in hand; renews nothing."""
        return is_alive(await self._client.http.call(self._client.user_call(lease.token)))

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_dead(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        flow = self._options.flows[0] if flow == "auto" else flow
        if flow not in self._options.flows:
            allowed = ", ".join(self._options.flows)
            raise FreshdError("the account cannot be enrolled this way", f"flows of this account: {allowed}")
        if flow == "device":
            return await ask_for_device(self._client, self._options)
        return ask_for_code(self._options, redirect_uri)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        return adopt(self.account, given, now, lineage, (self.binding, self.contract))

    async def examine(self, record: Record) -> Sequence[Found]:
        """By a call for a tenant token and one for the user: neither can spend, and no token endpoint is asked."""
        examination = Examination(self._client, self._deps.clock, self.account)
        return [*await examination.app("tenant"), *await examination.user(record, self._options.subject)]

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        """The refresh token first.  One of the older generation is not presented here: it ends by itself."""
        held = {} if record.grant is None else record.grant.secrets
        lease = {} if record.lease is None else {"access_token": record.lease.token}
        tokens = {**{name: held[name] for name in (REFRESH_TOKEN,) if name in held}, **lease}
        if not tokens:
            return "there was nothing to revoke"
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            raise FreshdError("the grant belongs to another service, client or subject", "see freshd explain ACCOUNT")
        for name, token in tokens.items():
            await self._revoke(name, token)
        return "revoked: " + ", ".join(tokens)

    async def _revoke(self, name: str, token: Secret) -> None:
        call = await self._client.farewell_call(self._options.at_accounts(REVOKE_PATH), name, token)
        performed = await self._client.http.call(call)
        if isinstance(performed, Reply) and performed.status in range(200, 300) and _says_yes(performed):
            return
        raise FreshdError(
            f"the service did not revoke the {name}: {why_not(performed)}",
            "try again, or end it in the user's own settings",
        )

    def _address(self, rung: str) -> str:
        return self._options.at_open(REFRESH_V1_PATH) if rung == REFRESH_V1 else self._options.token_url

    def _spent(self, rung: str, record: Record, intent: Intent) -> list[Field] | NotSent:
        """The fields that the rung presents."""
        match rung:
            case "refresh" | "refresh-v1":
                return self._refreshing(rung, record)
            case "authorize":
                wrong = redirect_problem(intent.material)
                return code_fields(intent.material) if wrong is None else NotSent(wrong)
            case "device" if "device_code" in intent.material:
                return device_fields(intent.material)
        return NotSent(f"there is nothing to send on {rung}")

    def _refreshing(self, rung: str, record: Record) -> list[Field] | NotSent:
        token = None if record.grant is None else record.grant.secrets.get(PRESENTS[rung])
        if record.grant is None or token is None:
            return NotSent("there is no refresh token")
        if not record.grant.binding.fits(self.binding):
            return NotSent("the grant belongs to another service, client or subject")
        return [("grant_type", REFRESH_TOKEN), (REFRESH_TOKEN, token.reveal())]


def ladder_of(options: Options) -> Ladder:
    """The rungs of an account."""
    alone = (Rung(name, frozenset({secret}), pace=options.pace()) for name, secret in PRESENTS.items())
    names = (FLOWS[flow] for flow in dict.fromkeys(options.flows))
    return (*alone, *(Rung(name, person=True, pace=options.pace(_cap(name))) for name in names))


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> Feishu:
    """The provider of a configured account."""
    return Feishu(account.name, Options(**cast("dict[str, Any]", account.options)), account.profile.contract, deps)


def _cap(rung: str) -> float | None:
    """A device is polled: waiting for the person is no failure."""
    return DEVICE_BACKOFF_SECONDS if rung == DEVICE else None


def _says_yes(reply: Reply) -> bool:
    """An empty body is a yes; so is an object without a code, or with 0."""
    found = object_of(reply)
    if isinstance(found, Foreign):
        return reply.complete and not reply.body.strip()
    return code_of(found) in (None, FINE) and not found.get("error")
