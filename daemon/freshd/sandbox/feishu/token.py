"""The token endpoints v2 and v3: one set of parameters, replies and codes for two paths. Pure.

Rules: everything is checked before anything changes, in this order: body, grant type, app, pace, what is presented.
v3 alone takes HTTP Basic and client credentials, and refuses a verifier for which no challenge was given.
"""

import base64
import dataclasses
import hashlib
import hmac
import re
from collections.abc import Callable

from freshd.sandbox.consent import Code, Consents, poll_error
from freshd.sandbox.feishu.apps import App, Apps, Standing, claimed
from freshd.sandbox.feishu.codes import Refusal, said
from freshd.sandbox.feishu.constants import FeishuConstants
from freshd.sandbox.feishu.denied import STANDINGS, Denied, Why, check_scope
from freshd.sandbox.feishu.ledger import FeishuLedger, Generation, Issue, Lives
from freshd.sandbox.feishu.pool import Kind, Pool
from freshd.sandbox.feishu.rate import Rates
from freshd.sandbox.feishu.request import Answer, Request
from freshd.sandbox.tokens import Holder, fingerprint

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = ("authorization_code", "refresh_token", DEVICE_GRANT, "client_credentials")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CODES = {
    Why.UNKNOWN: 20026,
    Why.OTHER_GENERATION: 20026,
    Why.OTHER_APP: 20024,
    Why.REFRESHING_OFF: 20074,
    Why.NOT_INSTALLED: 20009,
    Why.LEFT: 20066,
    Why.FROZEN: 20066,
    Why.UNREGISTERED: 20008,
    Why.REMOVED: 20008,
    Why.NOT_ALLOWED: 20010,
    Why.DUPLICATE_SCOPE: 20067,
    Why.UNGRANTED_SCOPE: 20068,
    Why.REVOKED: 20064,
    Why.EXPIRED: 20037,
    Why.AUTHORIZATION_OVER: 20037,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request of an app that has proven who it is."""

    request: Request
    app: App
    constants: FeishuConstants
    is_v3: bool
    now: float


class OAuthTokens:
    """Both token endpoints."""

    def __init__(self, ledger: FeishuLedger, pool: Pool, consents: Consents) -> None:
        """Serve from these."""
        self._ledger = ledger
        self._apps: Apps = ledger.apps
        self._pool = pool
        self._consents = consents
        self._rates = Rates()
        self._grants: dict[str, Callable[[_Asked], Answer]] = {
            "refresh_token": self._refresh,
            "authorization_code": self._redeem,
            DEVICE_GRANT: self._poll,
            "client_credentials": self._issue,
        }

    def answer(self, request: Request, label: str, now: float, *, is_v3: bool) -> Answer:
        """Judge one request and carry it out; raises Refusal."""
        if request.malformed:
            raise Refusal(20063)
        grant_type = request.params.get("grant_type", "")
        if not grant_type:
            raise Refusal(20001)
        if grant_type not in GRANTS or (grant_type == "client_credentials" and not is_v3):
            raise Refusal(20036)
        claim = claimed(request.authorization, request.params, takes_basic=is_v3)
        constants = self._ledger.constants.of(claim.app_id, label)
        self._rates.charge(self._apps.find(claim.app_id), claim.app_id, constants, now)
        try:
            app = proven(self._apps, claim.app_id, claim.secret, constants)
            return self._grants[grant_type](_Asked(request=request, app=app, constants=constants, is_v3=is_v3, now=now))
        except Denied as denied:
            code = constants.FEISHU_SIM_CODE_ON_REUSE if denied.why is Why.SPENT else _CODES[denied.why]
            raise self._wasted(Refusal(code), request, constants, now) from denied
        except Refusal as refusal:
            raise self._wasted(refusal, request, constants, now) from None

    def _wasted(self, refusal: Refusal, request: Request, constants: FeishuConstants, now: float) -> Refusal:
        """Let a refusal for the app's reasons use the token up where the service is thought to do so."""
        if constants.FEISHU_SIM_REFUSAL_SPENDS and refusal.code in (20002, 20074):
            self._ledger.waste(request.params.get("refresh_token", ""), now)
        return refusal

    def _refresh(self, asked: _Asked) -> Answer:
        text = asked.request.params.get("refresh_token", "")
        if not text:
            raise Refusal(20001)
        issue = self._ledger.refresh(
            text,
            asked.app,
            asked.now,
            generation=Generation.V2,
            lives=_lives(asked.constants),
            scope=asked.request.params.get("scope"),
        )
        return granted(issue, asked.constants, asked.now)

    def _redeem(self, asked: _Asked) -> Answer:
        params = asked.request.params
        text = params.get("code", "")
        if not text:
            raise Refusal(20001)
        code = self._consents.code(text)
        _check_code(code, asked)
        if code is None:
            raise Refusal(20003)
        granted_scope = code.request.scope
        scope = params.get("scope", granted_scope)
        check_scope(scope, granted_scope)
        holder = self._person(asked.app, code.subject, code.label, granted_scope)
        code.used = True
        lives = _lives(asked.constants)
        issue = self._ledger.enrol(
            "authorization_code", holder, asked.now, scope=scope, spent=fingerprint(text), lives=lives
        )
        code.lineage = issue.access.lineage
        return granted(issue, asked.constants, asked.now)

    def _poll(self, asked: _Asked) -> Answer:
        text = asked.request.params.get("device_code", "")
        if not text:
            raise Refusal(20001)
        device = self._consents.device(text)
        error = poll_error(device, asked.app.app_id, asked.now)
        if device is None or error is not None:
            raise Refusal(asked.constants.FEISHU_SIM_DEVICE_CODE, error=error or "invalid_grant")
        scope = self._ledger.allow(asked.app.app_id, device.subject, device.request.scope)
        holder = self._person(asked.app, device.subject, device.label, scope)
        device.used = True
        lives = _lives(asked.constants)
        issue = self._ledger.enrol(DEVICE_GRANT, holder, asked.now, scope=scope, spent=fingerprint(text), lives=lives)
        return granted(issue, asked.constants, asked.now)

    def _issue(self, asked: _Asked) -> Answer:
        """Grant client credentials: a token of the tenant."""
        if not asked.app.installed:
            raise Refusal(20009)
        return granted(self._pool.issue(asked.app, Kind.TENANT_OAUTH, asked.now), asked.constants, asked.now)

    def _person(self, app: App, open_id: str, label: str, scope: str) -> Holder:
        """Return whom the tokens are for; raises Denied unless this person may have them."""
        if not app.installed:
            raise Denied(Why.NOT_INSTALLED)
        standing = self._apps.standing(open_id)
        if standing is not Standing.ACTIVE:
            raise Denied(STANDINGS[standing])
        return Holder(client_id=app.app_id, label=label, subject=open_id, scope=scope)


def proven(apps: Apps, app_id: str, secret: str, constants: FeishuConstants) -> App:
    """Return the app that proved who it is; raises Refusal."""
    app = apps.find(app_id)
    if app is None:
        raise Refusal(20048)
    if app.brand is not apps.brand:
        raise Refusal(constants.FEISHU_SIM_OTHER_BRAND_CODE)
    if not app.is_secret(secret):
        raise Refusal(20002)
    if not app.enabled:
        raise Refusal(20069)
    return app


def granted(issue: Issue, constants: FeishuConstants, now: float) -> Answer:
    """Put a yes into the flat object of v2 and v3."""
    access, refresh = issue.access, issue.refresh
    body: dict[str, object] = {
        "code": said(0, constants),
        "access_token": access.text,
        "expires_in": seconds(access.expires_at - now),
    }
    if refresh is not None:
        body["refresh_token"] = refresh.text
        body["refresh_token_expires_in"] = seconds((refresh.expires_at or now) - now)
    body["token_type"] = "Bearer"
    if access.lineage is not None:
        body["scope"] = access.holder.scope
    secret = refresh.text if refresh is not None else access.text
    outcome = "granted" if issue.commit is not None else "early"
    return Answer(body=body, commit=issue.commit, successor=secret, outcome=outcome)


def seconds(value: float) -> float:
    """Return a life as the service writes it: whole seconds, unless a test has set a fraction."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _lives(constants: FeishuConstants) -> Lives:
    return Lives(access_s=constants.FEISHU_SIM_ACCESS_TTL_S, refresh_s=constants.FEISHU_SIM_REFRESH_TTL_S)


def _check_code(code: Code | None, asked: _Asked) -> None:
    """Raise Refusal unless ``code`` may be exchanged by this request."""
    if code is None:
        raise Refusal(20003)
    if code.request.client_id != asked.app.app_id:
        raise Refusal(20024)
    if code.used:
        raise Refusal(20065)
    if asked.now >= code.expires_at:
        raise Refusal(20004)
    if code.request.redirect_uri != asked.request.params.get("redirect_uri", ""):
        raise Refusal(20071)
    _check_verifier(code, asked)


def _check_verifier(code: Code, asked: _Asked) -> None:
    """Check PKCE (RFC 7636 section 4.6); a method that was not named is ``plain``."""
    verifier = asked.request.params.get("code_verifier")
    challenge = code.request.challenge
    if not challenge:
        if verifier is not None and asked.is_v3:
            raise Refusal(asked.constants.FEISHU_SIM_V3_STRAY_VERIFIER_CODE)
        return
    if verifier is None or _VERIFIER.fullmatch(verifier) is None:
        raise Refusal(20049)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    proof = digest if code.request.challenge_method == "S256" else verifier.encode()
    if not hmac.compare_digest(proof, challenge.encode()):
        raise Refusal(20049)
