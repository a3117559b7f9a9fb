"""Feishu in the test's own process, on a clock that the test moves."""

import base64
import hashlib
import random
import urllib.parse
from typing import Any

from freshd.sandbox.direct import Said
from freshd.sandbox.fault_queue import FaultQueue
from freshd.sandbox.feishu.apps import App
from freshd.sandbox.feishu.direct import Direct
from freshd.sandbox.feishu.ledger import Generation
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.tokens import Holder

START = 1_800_000_000.0
APP = {"client_id": "cli_sandbox", "client_secret": "sandbox-secret"}
INTERNAL = {"app_id": "cli_sandbox", "app_secret": "sandbox-secret"}
V2 = "/open-apis/authen/v2/oauth/token"
V3 = "/oauth/v3/token"
V1 = "/open-apis/authen/v1/refresh_access_token"
OIDC = "/open-apis/authen/v1/oidc/refresh_access_token"
TENANT = "/open-apis/auth/v3/tenant_access_token/internal"
APP_TOKEN = "/open-apis/auth/v3/app_access_token/internal"
USER_INFO = "/open-apis/authen/v1/user_info"
AUTHORIZE = "/open-apis/authen/v1/authorize"
REVOKE = "/oauth/v1/revoke"
DEVICE = "/oauth/v1/device_authorization"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "auth:user.id:read offline_access"
BACK = "http://127.0.0.1:9999/back"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
Body = bytes | dict[str, Any]
FORM = "application/x-www-form-urlencoded"


def basic(app_id: str = "cli_sandbox", secret: str = "sandbox-secret") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{app_id}:{secret}".encode()).decode()}


class Bed:
    """The service, its faults, and the calls a client makes."""

    def __init__(self) -> None:
        self.feishu = Feishu()
        self.faults = FaultQueue(random.Random(1))
        self.direct = Direct(self.feishu, self.faults)
        self.now = START

    def call(
        self, method: str, path: str, body: Body = b"", headers: dict[str, str] | None = None, /, **query: str
    ) -> Said | None:
        return self.direct.handle(method, path, query, headers or {}, body, self.now)

    def post(self, path: str, body: Body, headers: dict[str, str] | None = None) -> Said:
        said = self.call("POST", path, body, headers)
        assert said is not None
        assert said.headers["X-Tt-Logid"]
        return said

    def form(self, path: str, headers: dict[str, str] | None = None, /, **members: str) -> Said:
        body = urllib.parse.urlencode(members).encode()
        return self.post(path, body, {"Content-Type": FORM, **(headers or {})})

    def refresh(self, token: str, path: str = V3, **more: Any) -> Said:
        return self.post(path, {"grant_type": "refresh_token", **APP, "refresh_token": token, **more})

    def info(self, token: str) -> Said:
        said = self.call("GET", USER_INFO, b"", {"Authorization": f"Bearer {token}"})
        assert said is not None
        return said

    def mint(
        self,
        label: str = "a",
        *,
        scope: str = SCOPE,
        app_id: str = "cli_sandbox",
        open_id: str = "ou_1",
        generation: Generation = Generation.V2,
    ) -> tuple[str, str]:
        """A pair: access token, refresh token."""
        holder = Holder(client_id=app_id, label=label, subject=open_id, scope=scope)
        access, refresh = self.feishu.mint(holder, self.now, generation)
        return access.text, refresh.text

    def token(self, label: str = "a", **more: Any) -> str:
        return self.mint(label, **more)[1]

    def visit(self, **more: str) -> dict[str, str]:
        """Agree on the authorization page; what the redirect says."""
        asked = {"client_id": "cli_sandbox", "redirect_uri": BACK, "scope": SCOPE, "state": "s t", "auto": "1", **more}
        said = self.call("GET", AUTHORIZE, **{name: value for name, value in asked.items() if value})
        assert said is not None
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(said.headers["Location"]).query))

    def redeem(self, code: str, path: str = V3, **more: Any) -> Said:
        asked = {"grant_type": "authorization_code", **APP, "code": code, "redirect_uri": BACK, **more}
        return self.post(path, asked)

    def set(self, **constants: Any) -> None:
        self.feishu.constants.change({f"FEISHU_SIM_{name}": value for name, value in constants.items()})

    def app(self, app_id: str = "cli_sandbox", secret: str = "sandbox-secret", **fields: Any) -> None:
        self.feishu.apps.register(App(app_id=app_id, secret=secret, **fields))

    def live(self, label: str = "a") -> list[int]:
        """For each grant of the label: how many of its refresh tokens still work."""
        return [self.feishu.ledger.count_live(grant, self.now) for grant in self.feishu.ledger.grants(label)]


def refused(said: Said) -> tuple[int, int | str]:
    return said.status, said.json["code"]
