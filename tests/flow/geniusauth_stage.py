"""GeniusAuth on a stage: an application and a user for each scene."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from freshd.sandbox.geniusauth.signature import sign
from tests.flow.door import call
from tests.flow.stage import ACCESS_SECONDS, Base, Scene

VERIFY: Final = "/api/v1/app/token/access/verify"
REFRESH: Final = "/api/v1/app/token/refresh/"
LONG_SECONDS: Final = 2_592_000
COUNTED: Final = frozenset({"login", "refresh", "payload", "revoke"})


class GeniusStage:
    """The steps (`stage.Stage`)."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._uids: dict[str, int] = {}
        self._secrets: dict[str, str] = {}
        self.set_all({"ACCESS_TTL_S": ACCESS_SECONDS})

    # -- as every stage ----------------------------------------------------------------------------------------------

    def open(self, scene: Scene) -> None:
        name = scene.name
        self._uids[name] = 100 + len(self._uids)
        self.base.service.ask("POST", "/geniusauth/people", {"uid": self._uids[name], "name": name})
        self.register(name)

    def lines(self, scene: Scene) -> list[str]:
        path = self.base.secret(scene.name, f"secret-of-{scene.name}")
        return [
            'kind = "geniusauth"', f'app_code = "app-{scene.name}"', f'app_secret = {{ file = "{path}" }}',
            f'base_url = "{self.base.service.issuer}"', "keep_warm = true", "host_interval = 0",
        ]  # fmt: skip

    def begin(self, scene: Scene) -> None:
        self.base.give(scene.name, refresh_token=self.mint(scene.name)["refresh_token"])

    def set(self, name: str, constants: Mapping[str, object]) -> None:
        if constants:
            over = {f"GENIUS_SIM_{key}": value for key, value in constants.items()}
            self.base.service.ask("PATCH", "/geniusauth/constants", {"label": name, **over})

    def attempt(self, name: str, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        return self.ask(name, "POST", VERIFY, token=str(lease["access_token"]))

    def counted(self, call: str) -> bool:
        return call in COUNTED

    # -- the service -------------------------------------------------------------------------------------------------

    def set_all(self, constants: Mapping[str, object]) -> None:
        over = {f"GENIUS_SIM_{key}": value for key, value in constants.items()}
        self.base.service.ask("PATCH", "/geniusauth/constants", over)

    def register(self, name: str, **fields: object) -> None:
        wish = {"app_code": f"app-{name}", "secret": f"secret-of-{name}", **fields}
        self._secrets[name] = str(wish["secret"])
        self.base.service.ask("POST", "/geniusauth/apps", wish)

    def order(self, name: str, code: int, **more: object) -> None:
        """Refuse the account's next renewal, or what is named, with this code."""
        wish = {"code": code, "operation": "refresh", "label": name, "count": 1, **more}
        self.base.service.ask("POST", "/geniusauth/orders", wish)

    def mint(self, name: str, **more: object) -> dict[str, Any]:
        wish = {
            "label": name, "app_code": f"app-{name}", "uid": self._uids[name], "valid_s": LONG_SECONDS, **more
        }  # fmt: skip
        return dict(self.base.service.ask("POST", "/geniusauth/mint", wish)["grants"][0])

    def ask(self, name: str, method: str, path: str, **fields: object) -> tuple[int, str] | None:
        """A signed call of another program: None where it is granted, else status and code."""
        told = {**fields, "appCode": f"app-{name}", "timeStamp": int(time.time())}
        body = json.dumps({**told, "signature": sign(told, self._secrets[name])})
        status, answer = call(self.base.service.issuer, method, path, body)
        return None if status == 200 and str(answer.get("code")) == "0" else (status, str(answer.get("code")))

    # -- a person ----------------------------------------------------------------------------------------------------

    def begun(self, name: str) -> tuple[str, str]:
        """A login is begun, and the person logs in: its session, and the address at which the browser ended."""
        asked = self.base.process.operate("enrol-begin", name, flow="auto")
        wish = {"url": asked["url"], "subject": str(self._uids[name]), "label": name}
        return asked["session"], str(self.base.service.ask("POST", "/geniusauth/login", wish)["location"])

    def finish(self, name: str, session: str, place: str) -> str:
        """The address is pasted, again where the pace holds it back: what is said where it comes to nothing."""
        return self.base.finished(name, session=session, code=place)

    def enrol(self, name: str) -> str:
        return self.finish(name, *self.begun(name))
