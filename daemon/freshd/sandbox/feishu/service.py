"""Feishu, whole and without sockets: which path does what, and one request from arrival to answer. Pure.

Rules: ``now`` (wall seconds) is an argument. A change is final when ``answer`` returns; how the bytes fared is told
afterwards and undoes nothing. A strike (a refusal on demand) is carried out here because each family of endpoints says
it differently. Every answer has its ``X-Tt-Logid``.
"""

import dataclasses
import itertools
from collections.abc import Callable
from functools import partial

from freshd.sandbox.consent import Consents
from freshd.sandbox.counters import Call
from freshd.sandbox.feishu.api import Api
from freshd.sandbox.feishu.apps import App, Apps, claimed_id
from freshd.sandbox.feishu.codes import Family, Refusal, Strike, word
from freshd.sandbox.feishu.consent import AuthorizationPage
from freshd.sandbox.feishu.constants import ConstantsBook
from freshd.sandbox.feishu.ledger import FeishuLedger, Generation, Lives
from freshd.sandbox.feishu.pool import Kind, Pool
from freshd.sandbox.feishu.request import Answer, Request
from freshd.sandbox.feishu.token import DEVICE_GRANT, GRANTS, OAuthTokens
from freshd.sandbox.feishu.v1 import LIVES, OldTokens
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Holder, RefreshToken, fingerprint

UNKNOWN_LABEL = "(unknown)"
DEFAULT_APPS = (App(app_id="cli_sandbox", secret="sandbox-secret"),)
_PRESENTED = {"refresh_token": "refresh_token", "authorization_code": "code", DEVICE_GRANT: "device_code"}
_Handler = Callable[[Request, str, float], Answer]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path. ``name`` is what fault rules call it; ``grant_type`` is set where the path alone says it."""

    name: str
    family: Family
    handler: _Handler
    grant_type: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Which account a request is about, as faults and books name it; ``presented`` is a fingerprint."""

    endpoint: str
    app_id: str
    label: str
    grant_type: str | None
    presented: str | None


class Feishu:
    """The service. ``ledger`` and ``consents`` may be shared with other stand-ins."""

    def __init__(
        self,
        ledger: Ledger | None = None,
        consents: Consents | None = None,
        apps: Apps | None = None,
        constants: ConstantsBook | None = None,
    ) -> None:
        """None takes an empty one, with the default app and the suggested constants."""
        consents = consents or Consents()
        self.base_url = ""
        self.consents = consents
        self.apps = apps or Apps(DEFAULT_APPS)
        self.constants = constants or ConstantsBook()
        self.ledger = FeishuLedger(ledger or Ledger(), self.apps, self.constants)
        self.pool = Pool(self.ledger.ledger, self.constants)
        self.page = AuthorizationPage(self.ledger, consents)
        self.endpoints = {**self._token_endpoints(), **self._other_endpoints()}
        self._serials = itertools.count(1)

    def mint(
        self, holder: Holder, now: float, generation: Generation = Generation.V2
    ) -> tuple[AccessToken, RefreshToken]:
        """Give a fresh pair, as if the person had agreed this moment."""
        lives = LIVES[Family.OIDC]
        if generation is Generation.V2:
            constants = self.constants.of(holder.client_id, holder.label)
            lives = Lives(access_s=constants.FEISHU_SIM_ACCESS_TTL_S, refresh_s=constants.FEISHU_SIM_REFRESH_TTL_S)
        self.ledger.allow(holder.client_id, holder.subject, holder.scope)
        grant, refresh = self.ledger.open(holder, now, generation, lives)
        return self.ledger.new_access(holder, grant, now, lives.access_s), refresh

    def whose(self, request: Request) -> Whose:
        """Return the account a request is about, without judging it."""
        endpoint = self.endpoints[request.method, request.path]
        grant_type = self._grant_type(endpoint, request)
        app_id = claimed_id(request.authorization, request.params)
        presented = request.params.get(_PRESENTED.get(grant_type or "", ""), "")
        holder = self._holder(presented or request.params.get("token") or request.bearer)
        if grant_type in tuple(Kind):
            label = app_id or UNKNOWN_LABEL
        elif holder is None or (grant_type is not None and not presented):
            label = UNKNOWN_LABEL
        else:
            label, app_id = holder.label or UNKNOWN_LABEL, app_id or holder.client_id
        shown = fingerprint(presented) if presented else None
        return Whose(endpoint=endpoint.name, app_id=app_id, label=label, grant_type=grant_type, presented=shown)

    def _holder(self, text: str) -> Holder | None:
        """Return whom a secret of any kind belongs to; a device code that nobody has answered has no label yet."""
        found, access = self.ledger.find(text), self.ledger.ledger.shelf.access_token(text)
        if found is not None:
            return found[1].holder
        if access is not None:
            return access.holder
        consent = self.consents.code(text) or self.consents.device(text)
        return None if consent is None else Holder(client_id=consent.request.client_id, label=consent.label)

    def arrive(self, whose: Whose, now: float, received_ns: int | None = None) -> Call | None:
        """Note one call of a token endpoint before anything is judged; None for the others."""
        if whose.grant_type is None:
            return None
        return self.ledger.ledger.arrive(
            whose.grant_type, whose.label, now, presented=whose.presented, received_ns=received_ns
        )

    def answer(
        self, request: Request, whose: Whose, now: float, *, note: Call | None = None, strike: Strike | None = None
    ) -> Answer:
        """Judge one request, carry it out and put it into words; ``note`` learns the outcome."""
        constants = self.constants.of(whose.app_id, whose.label)
        family = self.endpoints[request.method, request.path].family
        answer = Answer()
        if strike is None or self._commits(strike, whose):
            answer = self._work(request, whose, now)
        elif note is not None:
            answer.outcome = "feishu_code"
        if strike is not None:
            refused = word(strike.refusal, family, constants, strike.status)
            answer.status, answer.body, answer.is_empty = refused.status, refused.body, False
            answer.headers |= strike.refusal.headers
        if note is not None:
            note.outcome = answer.outcome
        answer.headers["X-Tt-Logid"] = f"{int(now)}{next(self._serials):020X}"
        answer.headers["Content-Type"] = "application/json; charset=utf-8"
        return answer

    def misname(self, answer: Answer, subject: str) -> None:
        """Make the access token of ``answer`` speak for somebody else."""
        data = answer.body.get("data", answer.body)
        access = (
            self.ledger.ledger.shelf.access_token(str(data.get("access_token"))) if isinstance(data, dict) else None
        )
        if access is not None:
            access.holder = dataclasses.replace(access.holder, subject=subject)

    def _commits(self, strike: Strike, whose: Whose) -> bool:
        constants = self.constants.of(whose.app_id, whose.label)
        is_late_fault = strike.refusal.code == 20050 and constants.FEISHU_SIM_20050_AFTER_COMMIT
        return strike.after_commit or is_late_fault

    def _work(self, request: Request, whose: Whose, now: float) -> Answer:
        endpoint = self.endpoints[request.method, request.path]
        try:
            return endpoint.handler(request, whose.label, now)
        except Refusal as refusal:
            books = self.ledger.ledger.books
            if whose.grant_type is not None:
                books.count(whose.label, "refused")
                books.sort(whose.label, "errors", refusal.name)
            refused = word(refusal, endpoint.family, self.constants.of(whose.app_id, whose.label))
            return Answer(status=refused.status, body=refused.body, headers=dict(refusal.headers), outcome=refusal.name)

    def _grant_type(self, endpoint: Endpoint, request: Request) -> str | None:
        if endpoint.name != "token":
            return None
        named = endpoint.grant_type or request.params.get("grant_type", "")
        return named if endpoint.grant_type or named in GRANTS else "other"

    def _token_endpoints(self) -> dict[tuple[str, str], Endpoint]:
        oauth = OAuthTokens(self.ledger, self.pool, self.consents)
        old = OldTokens(self.ledger, self.pool)

        def token(handler: _Handler, family: Family, grant_type: str | None = None) -> Endpoint:
            return Endpoint(name="token", family=family, handler=handler, grant_type=grant_type)

        def refresh(family: Family) -> Endpoint:
            return token(partial(old.refresh, family=family), family, "refresh_token")

        return {
            ("POST", "/open-apis/authen/v2/oauth/token"): token(partial(oauth.answer, is_v3=False), Family.OAUTH),
            ("POST", "/oauth/v3/token"): token(partial(oauth.answer, is_v3=True), Family.OAUTH),
            ("POST", "/open-apis/authen/v1/refresh_access_token"): refresh(Family.V1),
            ("POST", "/open-apis/authen/v1/oidc/refresh_access_token"): refresh(Family.OIDC),
            ("POST", "/open-apis/auth/v3/tenant_access_token/internal"): token(old.tenant, Family.TENANT, Kind.TENANT),
            ("POST", "/open-apis/auth/v3/app_access_token/internal"): token(old.app, Family.TENANT, Kind.APP),
        }

    def _other_endpoints(self) -> dict[tuple[str, str], Endpoint]:
        api = Api(self.ledger, self.consents)

        def open_device(request: Request, _: str, now: float) -> Answer:
            return api.device_authorization(request, now, self.base_url)

        return {
            ("POST", "/oauth/v1/revoke"): Endpoint(name="revoke", family=Family.OAUTH, handler=api.revoke),
            ("POST", "/oauth/v1/device_authorization"): Endpoint(
                name="device_authorization", family=Family.OAUTH, handler=open_device
            ),
            ("GET", "/open-apis/authen/v1/user_info"): Endpoint(
                name="userinfo", family=Family.API, handler=api.user_info
            ),
        }
