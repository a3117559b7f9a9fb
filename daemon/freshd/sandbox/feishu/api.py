"""Feishu's endpoints around a token: the harmless call, revocation, and the opening of a device authorization. Pure."""

from freshd.sandbox.consent import Consents
from freshd.sandbox.consent import Request as Wish
from freshd.sandbox.feishu.apps import App, Apps, Standing, claimed
from freshd.sandbox.feishu.codes import Refusal, said
from freshd.sandbox.feishu.constants import FeishuConstants
from freshd.sandbox.feishu.ledger import FeishuLedger
from freshd.sandbox.feishu.request import Answer, Request
from freshd.sandbox.feishu.token import proven
from freshd.sandbox.tokens import AccessToken

_PREFIXES = ("u-", "t-", "a-", "eyJ")


class Api:
    """The handlers."""

    def __init__(self, ledger: FeishuLedger, consents: Consents) -> None:
        """Serve from these."""
        self._ledger = ledger
        self._apps: Apps = ledger.apps
        self._consents = consents

    def user_info(self, request: Request, _label: str, now: float) -> Answer:
        """Say whose the user token in the header is; raises Refusal. Its use vouches for its answer."""
        text = request.bearer
        if not text:
            raise Refusal(99991661)
        if not text.startswith(_PREFIXES):
            raise Refusal(99991671)
        access = self._ledger.ledger.shelf.access_token(text)
        app = self._apps.find(access.holder.client_id) if access is not None else None
        if access is None or app is None:
            raise Refusal(99991668 if text.startswith("u-") else 99991663)
        constants = self._ledger.constants.of(app.app_id, access.holder.label)
        self._check_user(access, app, constants, now)
        self._ledger.ledger.accepts(text, now)
        holder = access.holder
        person = {"open_id": holder.subject, "name": holder.subject, "tenant_key": app.tenant_key}
        return Answer(body={"code": said(0, constants), "msg": "success", "data": person})

    def revoke(self, request: Request, label: str, now: float) -> Answer:
        """End a token: a refresh token takes its grant along; an unknown one is no error; raises Refusal."""
        app, _ = self._proven(request, label, now)
        text = request.params.get("token", "")
        if not text or request.params.get("token_type_hint", "access_token") not in ("access_token", "refresh_token"):
            raise Refusal(20001)
        found = self._ledger.find(text)
        access = self._ledger.ledger.shelf.access_token(text)
        if found is not None and found[1].holder.client_id == app.app_id:
            self._ledger.ledger.kill(found[1], "revoked", now)
        elif access is not None and access.holder.client_id == app.app_id:
            access.revoked = True
        return Answer(is_empty=True)

    def device_authorization(self, request: Request, now: float, base_url: str) -> Answer:
        """Open a device authorization; raises Refusal."""
        app, constants = self._proven(request, "", now)
        wish = Wish(client_id=app.app_id, scope=request.params.get("scope", ""))
        if not all(app.has_applied_for(word) for word in wish.scope.split()):
            raise Refusal(20027)
        life_s = constants.FEISHU_SIM_DEVICE_TTL_S
        text, device = self._consents.ask(wish, now + life_s, constants.FEISHU_SIM_DEVICE_INTERVAL_S)
        page = f"{base_url}/oauth/v1/device"
        return Answer(
            body={
                "device_code": text,
                "user_code": device.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={device.user_code}",
                "expires_in": life_s,
                "interval": device.interval_s,
            }
        )

    def _proven(self, request: Request, label: str, now: float) -> tuple[App, FeishuConstants]:
        if request.malformed or not request.is_form:
            raise Refusal(20063)
        claim = claimed(request.authorization, request.params, takes_basic=True)
        constants = self._ledger.constants.of(claim.app_id, label)
        return proven(self._apps, claim.app_id, claim.secret, constants), constants

    def _check_user(self, access: AccessToken, app: App, constants: FeishuConstants, now: float) -> None:
        """Raise Refusal unless this is a living user token that is allowed to ask."""
        is_users = access.lineage is not None
        if now >= access.expires_at:
            raise Refusal(constants.FEISHU_SIM_CODE_ON_EXPIRED_ACCESS if is_users else 99991664)
        if not is_users or not access.is_alive(now):
            raise Refusal(99991668 if is_users else 99991663)
        if not app.enabled:
            raise Refusal(99991662)
        if not app.installed:
            raise Refusal(99991673)
        if self._apps.standing(access.holder.subject) is not Standing.ACTIVE:
            raise Refusal(99991668)
        self._check_scope(access, app, constants.FEISHU_SIM_USER_INFO_SCOPE)

    def _check_scope(self, access: AccessToken, app: App, needed: str) -> None:
        granted = access.lineage.holder.scope.split() if access.lineage is not None else []
        if not needed or needed in access.holder.scope.split():
            return
        if not app.has_applied_for(needed):
            raise Refusal(99991672)
        if needed in granted:
            raise Refusal(99991676)
        missing = [{"type": "action_scope_required", "subject": needed}]
        raise Refusal(99991679, {"error": {"permission_violations": missing}})
