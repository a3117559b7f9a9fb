"""CloudBase on a stage: a user for each scene, who has a password, a uid for tickets and a device."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.flow.door import call
from tests.flow.stage import ACCESS_SECONDS, Base, Scene

PASSWORD: Final = "Right-1"
ANOTHER: Final = "Right-2"
SHOWN: Final = "K7WP"
"""What every picture shows here."""
ME: Final = "/auth/v1/user/me"
SIGN_IN: Final = "/auth/v1/signin"
TOKEN: Final = "/auth/v1/token"
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "password": ('username = "{name}"', 'password = {{ file = "{secret}" }}'),
    "custom": ('uid = "{name}"', 'key_file = {{ file = "{key}" }}'),
    "anonymous": ('device_id = "device-of-{name}"',),
    "provider": ('provider_id = "upstream"', 'provider_access_token = {{ file = "{secret}" }}'),
    "client-credentials": ('secret_id = {{ file = "{id}" }}', 'secret_key = {{ file = "{secret}" }}'),
    "import": (),
}
"""By method: lines of the configuration that it needs."""


class CloudbaseStage:
    """The steps (`stage.Stage`)."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.change({"ACCESS_TTL_S": ACCESS_SECONDS, "CREDENTIALS_TTL_S": ACCESS_SECONDS, "CAPTCHA_ANSWER": SHOWN})
        self.key = base.secret("key-of-tickets", json.dumps(self.new_key()))

    # -- as every stage ----------------------------------------------------------------------------------------------

    def open(self, scene: Scene) -> None:
        name = scene.name
        self.user(name, username=name, password=PASSWORD, uid=name, device_id=f"device-of-{name}")
        self.base.secret(name, PASSWORD)
        self.base.service.ask("POST", "/cloudbase/cloud_keys", {"secret_id": name, "secret_key": PASSWORD})

    def lines(self, scene: Scene) -> list[str]:
        places = {"name": scene.name, "secret": self.base.secret(scene.name), "key": self.key}
        places["id"] = self.base.secret(f"{scene.name}-id", scene.name)
        method = method_of(scene)
        own = [line.format(**places) for line in WAYS[method]]
        if any(line.startswith("ticket = ") for line in scene.keys):
            own = [line for line in own if not line.startswith("key_file = ")]
        return [
            'kind = "cloudbase"', 'env = "sandbox-env"', f'base_url = "{self.base.service.issuer}"',
            f'method = "{method}"', f'grant = "{scene.name}"',
            "min_interval = 0.05", "host_interval = 0", "signin_interval = 0.5", *own,
        ]  # fmt: skip

    def begin(self, scene: Scene) -> None:
        if method_of(scene) == "import":
            self.base.give(scene.name, refresh_token=self.mint(scene.name)["refresh_token"])

    def set(self, name: str, constants: Mapping[str, object]) -> None:
        if constants:
            self.change(constants, label=name)

    def attempt(self, name: str, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        status, answer = call(
            self.base.service.issuer, "GET", ME, headers={"Authorization": f"Bearer {lease['access_token']}"}
        )
        return None if status == 200 and "error" not in answer else (status, str(answer.get("error")))

    def counted(self, call: str) -> bool:
        return call not in ("mint", "stranger")

    # -- the service -------------------------------------------------------------------------------------------------

    def change(self, constants: Mapping[str, object], **whose: object) -> None:
        over = {f"CLOUDBASE_SIM_{key}": value for key, value in constants.items()}
        self.base.service.ask("PATCH", "/cloudbase/constants", {**over, **whose})

    def user(self, name: str, **fields: object) -> None:
        self.base.service.ask("POST", "/cloudbase/users", {"label": name, **fields})

    def repair(self, name: str, **fields: object) -> None:
        self.base.service.ask("PATCH", "/cloudbase/users", {"label": name, **fields})

    def order(self, name: str, error: str, operation: str = "refresh_token", **more: object) -> None:
        """Refuse the account's next renewal, or what is named, with this error."""
        wish = {"error": error, "operation": operation, "label": name, **more}
        self.base.service.ask("POST", "/cloudbase/orders", wish)

    def mint(self, name: str) -> dict[str, Any]:
        return dict(self.base.service.ask("POST", "/cloudbase/mint", {"label": name})["grants"][0])

    def stranger(self, name: str) -> None:
        """Somebody else signs in as the user: our session ends, and nobody is told."""
        self.base.service.ask("POST", "/cloudbase/stranger", {"label": name})

    def new_key(self) -> dict[str, Any]:
        return self.base.service.ask("POST", "/cloudbase/keys", {})

    def spend(self, name: str, refresh_token: str) -> None:
        """Another program renews."""
        wish = {"grant_type": "refresh_token", "client_id": "sandbox-env", "refresh_token": refresh_token}
        status, answer = call(self.base.service.issuer, "POST", TOKEN, json.dumps(wish))
        assert status == 200, answer

    def guess(self, name: str, times: int) -> None:
        """Somebody else tries wrong passwords."""
        wish = json.dumps({"username": name, "password": "guessed"})
        for _ in range(times):
            call(self.base.service.issuer, "POST", SIGN_IN, wish)

    def upstream(self, name: str) -> Path:
        """The provider's own access token, as another program keeps it in a file."""
        wish = {"client_id": "freshd", "label": f"{name}-upstream", "subject": name, "scope": "openid"}
        self.base.service.ask("PATCH", "/policy", {"label": f"{name}-upstream", "access_s": 3600})
        minted = self.base.service.ask("POST", "/mint", wish)["grants"][0]["refresh_token"]
        form = urllib.parse.urlencode(
            {"grant_type": "refresh_token", "client_id": "freshd", "refresh_token": minted}
        )  # fmt: skip
        place = urllib.parse.urlsplit(self.base.service.issuer)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
        head = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/token", form, head)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return self.base.secret(name, str(answer["access_token"]))

    # -- a person ----------------------------------------------------------------------------------------------------

    def asked(self, name: str) -> dict[str, Any]:
        """What `freshd enrol` shows."""
        return self.base.process.operate("enrol-begin", name, flow="auto")

    def type(self, name: str, asked: Mapping[str, Any], typed: str = "") -> str:
        """What was typed is handed in, as soon as the pace allows: empty where it was the last step, else what came."""
        given = {"code": typed} if typed else {}
        return self.base.finished(name, session=str(asked["session"]), **given)

    def enrol(self, name: str) -> str:
        """The steps of a person, as long as one leads to the next; pictures are read from behind."""
        said = "next-step"
        while said == "next-step":
            asked = self.asked(name)
            typed = SHOWN if asked["picture"] else self.passed(asked) if asked["url"] else ""
            said = self.type(name, asked, typed)
        return said

    def passed(self, asked: Mapping[str, Any]) -> str:
        """Where the browser ends once the page's check is passed."""
        return str(self.base.service.ask("POST", "/cloudbase/captcha", {"url": asked["url"]})["location"])

    def lives(self, name: str) -> list[dict[str, Any]]:
        """The user's living sessions."""
        return list(self.base.service.ask("GET", f"/cloudbase/users/{name}")["sessions"])


def method_of(scene: Scene) -> str:
    """How the scene's account signs in."""
    found = [line.partition('"')[2].rstrip('"') for line in scene.keys if line.startswith("method = ")]
    return found[0] if found else "password"


__all__ = ["ANOTHER", "PASSWORD", "SHOWN", "CloudbaseStage", "method_of"]
