"""The historic user endpoints (v1 and v1 OIDC) and the older calls for tokens of apps and tenants. Pure.

Rules: a refusal of the user endpoints is HTTP 200 with a code, but for 20050; good tokens lie under ``data``. The same
trouble has another number here than at the token endpoint, and not the same one on both. They rotate only tokens of
their own generation, which are minted on the control port: no new ones are given out.
"""

from collections.abc import Mapping

from freshd.sandbox.feishu.apps import App, Apps
from freshd.sandbox.feishu.codes import Family, Refusal, said
from freshd.sandbox.feishu.constants import FeishuConstants
from freshd.sandbox.feishu.denied import Denied, Why
from freshd.sandbox.feishu.ledger import FeishuLedger, Generation, Issue, Lives
from freshd.sandbox.feishu.pool import Kind, Pool
from freshd.sandbox.feishu.request import Answer, Request
from freshd.sandbox.feishu.token import seconds
from freshd.sandbox.tokens import AccessToken

LIVES = {Family.V1: Lives(access_s=7140, refresh_s=2591940), Family.OIDC: Lives(access_s=7199, refresh_s=2591999)}
_BOTH = {
    Why.LEFT: 20021,
    Why.FROZEN: 20022,
    Why.UNREGISTERED: 20023,
    Why.REMOVED: 20008,
    Why.NOT_ALLOWED: 20008,
    Why.OTHER_APP: 20024,
    Why.DUPLICATE_SCOPE: 20001,
    Why.UNGRANTED_SCOPE: 20001,
}
_V1: Mapping[Why, int] = {**_BOTH, Why.NOT_INSTALLED: 20009, Why.REFRESHING_OFF: 20007}
_OIDC: Mapping[Why, int] = {
    **_BOTH,
    Why.NOT_INSTALLED: 20014,
    Why.REFRESHING_OFF: 20007,
    Why.UNKNOWN: 20038,
    Why.OTHER_GENERATION: 20026,
    Why.REVOKED: 20026,
    Why.EXPIRED: 20037,
    Why.AUTHORIZATION_OVER: 20037,
}


class OldTokens:
    """The four endpoints."""

    def __init__(self, ledger: FeishuLedger, pool: Pool) -> None:
        """Serve from these."""
        self._ledger = ledger
        self._apps: Apps = ledger.apps
        self._pool = pool

    def refresh(self, request: Request, label: str, now: float, *, family: Family) -> Answer:
        """Rotate a refresh token of the first generation; raises Refusal."""
        if request.malformed or request.is_form:
            raise Refusal(20001)
        app = self._caller(request, family, now)
        grant_type, text = request.params.get("grant_type", ""), request.params.get("refresh_token", "")
        if family is Family.OIDC and grant_type not in ("", "refresh_token"):
            raise Refusal(20036)
        if grant_type != "refresh_token" or not text:
            raise Refusal(20001)
        constants = self._ledger.constants.of(app.app_id, label)
        try:
            issue = self._ledger.refresh(text, app, now, generation=Generation.V1, lives=LIVES[family])
        except Denied as denied:
            raise Refusal(_number(denied.why, family, constants)) from denied
        return self._wrapped(issue, app, family, constants, now)

    def tenant(self, request: Request, _label: str, now: float) -> Answer:
        """Give out the tenant's token; raises Refusal."""
        return self._internal(request, now, (Kind.TENANT,))

    def app(self, request: Request, _label: str, now: float) -> Answer:
        """Give out the app's token, and the tenant's with it; raises Refusal."""
        return self._internal(request, now, (Kind.APP, Kind.TENANT))

    def _internal(self, request: Request, now: float, kinds: tuple[Kind, ...]) -> Answer:
        app_id, secret = request.params.get("app_id", ""), request.params.get("app_secret", "")
        if request.malformed or request.is_form or not app_id.startswith("cli_") or not secret:
            raise Refusal(10003)
        app = self._apps.find(app_id)
        if app is None or app.brand is not self._apps.brand or not app.is_secret(secret):
            raise Refusal(10014)
        if not app.enabled:
            raise Refusal(99991662)
        if not app.installed:
            raise Refusal(99991673)
        issues = {kind: self._pool.issue(app, kind, now) for kind in kinds}
        constants = self._ledger.constants.of(app.app_id, app.app_id)
        body: dict[str, object] = {"code": said(0, constants), "msg": "ok"}
        body |= {kind.value: issue.access.text for kind, issue in issues.items()}
        body["expire"] = seconds(min(issue.access.expires_at for issue in issues.values()) - now)
        made = [issue for issue in issues.values() if issue.commit is not None]
        if not made:
            return Answer(body=body, outcome="early")
        also = tuple(issue.commit for issue in made[1:] if issue.commit is not None)
        return Answer(body=body, commit=made[0].commit, also=also, successor=made[0].access.text)

    def _caller(self, request: Request, family: Family, now: float) -> App:
        """Return the app whose token stands in the header; raises Refusal."""
        access = self._ledger.ledger.shelf.access_token(request.bearer)
        if access is None or not access.is_alive(now) or access.holder.subject != Kind.APP:
            raise Refusal(_header_code(request, access, family))
        app = self._apps.find(access.holder.client_id)
        if app is None:
            raise Refusal(20028)
        if app.brand is not self._apps.brand:
            raise Refusal(20046 if family is Family.OIDC else 20028)
        if not app.enabled:
            raise Refusal(20042 if family is Family.OIDC else 20028)
        return app

    def _wrapped(self, issue: Issue, app: App, family: Family, constants: FeishuConstants, now: float) -> Answer:
        access, refresh = issue.access, issue.refresh
        data: dict[str, object] = {
            "access_token": access.text,
            "token_type": "Bearer",
            "expires_in": seconds(access.expires_at - now),
        }
        if refresh is not None:
            data["refresh_token"] = refresh.text
            data["refresh_expires_in"] = seconds((refresh.expires_at or now) - now)
        if family is Family.OIDC:
            data["scope"] = access.holder.scope
        else:
            data |= {"open_id": access.holder.subject, "name": access.holder.subject, "tenant_key": app.tenant_key}
        body: dict[str, object] = {"code": said(0, constants), "msg": "success", "data": data}
        secret = refresh.text if refresh is not None else access.text
        return Answer(body=body, commit=issue.commit, successor=secret)


def _number(why: Why, family: Family, constants: FeishuConstants) -> int:
    if family is Family.V1:
        return _V1.get(why, constants.FEISHU_SIM_V1_CODE_ON_DEAD)
    return constants.FEISHU_SIM_OIDC_CODE_ON_REUSE if why is Why.SPENT else _OIDC[why]


def _header_code(request: Request, access: AccessToken | None, family: Family) -> int:
    """Return the number for a header that names no app."""
    if family is Family.V1:
        return 20028 if request.bearer else 20025
    is_tenants = access.holder.subject != Kind.APP if access is not None else request.bearer.startswith("t-")
    return 20013 if is_tenants else 20014
