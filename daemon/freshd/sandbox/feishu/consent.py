"""What Feishu's authorization page accepts, and where it sends the browser afterwards. Pure: no page is drawn here.

Rules: a browser goes back only to an address on the app's list; what is wrong before that is shown to the person as a
page with a number. PKCE is optional, and a challenge without a method is ``plain``. A fragment of the redirect address
comes back behind the query.
"""

import urllib.parse
from collections.abc import Mapping

from freshd.sandbox.consent import Consents, Request
from freshd.sandbox.feishu.apps import App
from freshd.sandbox.feishu.codes import Refusal
from freshd.sandbox.feishu.ledger import FeishuLedger

AUTHORIZE_PATH = "/open-apis/authen/v1/authorize"
_MOST_SCOPES = 50


class AuthorizationPage:
    """The decisions behind the page."""

    def __init__(self, ledger: FeishuLedger, consents: Consents) -> None:
        """Give out codes of ``consents``."""
        self._ledger = ledger
        self._consents = consents

    def check(self, asked: Mapping[str, str]) -> App:
        """Return the app that sends this person here; raises Refusal with the number that the page shows."""
        app = self._ledger.apps.find(asked.get("client_id", ""))
        if app is None:
            raise Refusal(20048)
        if app.brand is not self._ledger.apps.brand:
            raise Refusal(20046)
        if not app.enabled:
            raise Refusal(20069)
        if not app.may_return_to(asked.get("redirect_uri", "")):
            raise Refusal(20029)
        words = asked.get("scope", "").split()
        is_odd = asked.get("response_type", "code") != "code" or len(words) > _MOST_SCOPES
        if is_odd or asked.get("code_challenge_method", "plain") not in ("plain", "S256"):
            raise Refusal(20001)
        if not all(app.has_applied_for(word) for word in words):
            raise Refusal(20027)
        return app

    def decide(self, asked: Mapping[str, str], now: float, *, allowed: bool) -> str:
        """Return where the browser goes with the person's decision; raises Refusal like ``check``.

        ``login_hint`` (or ``subject``) becomes the open id, ``label`` the name in the books (default: the open id).
        """
        app = self.check(asked)
        answer = {"code": self._allow(app, asked, now)} if allowed else {"error": "access_denied"}
        if "state" in asked:
            answer["state"] = asked["state"]
        parts = urllib.parse.urlsplit(asked["redirect_uri"])
        query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), *answer.items()])
        return parts._replace(query=query).geturl()

    def _allow(self, app: App, asked: Mapping[str, str], now: float) -> str:
        open_id = asked.get("subject") or asked.get("login_hint") or "user"
        label = asked.get("label") or open_id
        wish = Request(
            client_id=app.app_id,
            scope=self._ledger.allow(app.app_id, open_id, asked.get("scope", "")),
            redirect_uri=asked["redirect_uri"],
            challenge=asked.get("code_challenge", ""),
            challenge_method=asked.get("code_challenge_method", "plain"),
        )
        life_s = self._ledger.constants.of(app.app_id, label).FEISHU_SIM_CODE_TTL_S
        return self._consents.allow(wish, open_id, label, now + life_s)
