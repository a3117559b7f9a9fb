"""The sandbox's control port, as far as the demo turns its knobs.  A connection lasts for one call."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

DEADLINE_SECONDS = 10.0


class ServiceFailed(RuntimeError):
    """The control port did not do what was asked: the demo itself is wrong, or the sandbox is gone."""


class Service:
    """One sandbox.  May be used by any thread."""

    def __init__(self, base_url: str, control_url: str) -> None:
        self.base_url = base_url
        self._control = urlsplit(control_url).netloc

    def mint(self, client_id: str, label: str) -> str:
        """A new refresh token for an account."""
        grants = self._ask("POST", "/mint", {"client_id": client_id, "label": label})["grants"]
        return str(grants[0]["refresh_token"])

    def register(self, client_id: str, secret: str) -> None:
        """A client that may ask for tokens of its own."""
        wish = {"client_id": client_id, "secret": secret, "grant_types": ["client_credentials"]}
        self._ask("POST", "/clients", wish)

    def promise(self, policy: Mapping[str, Any]) -> None:
        """Change what an account's tokens are worth."""
        self._ask("PATCH", "/policy", policy)

    def break_it(self, fault: str, **settings: object) -> int:
        """Put a fault in force; its number."""
        return int(self._ask("POST", "/faults", {"fault": fault, **settings})["id"])

    def mend(self, number: int) -> None:
        """Take a fault away."""
        self._ask("DELETE", "/faults?" + urlencode({"id": number}))

    def revoke(self, label: str) -> str | None:
        """Refuse the newest token of an account from now on; its fingerprint, None where there was none to revoke."""
        commits = self.page(label)["commits"]
        if not commits:
            return None
        newest = str(commits[-1]["access"])
        done = self._ask("POST", "/revoke_access", {"label": label, "fingerprint": newest})["revoked"]
        return newest if done else None

    def page(self, label: str) -> dict[str, Any]:
        """The books of one account: counters, calls, commits."""
        return self._ask("GET", f"/ledger/{label}")

    def present(self, client_id: str, refresh_token: str) -> int:
        """Present a refresh token as another program would; the status of the answer."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=DEADLINE_SECONDS)
        try:
            connection.request("POST", "/token", urlencode(form), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _ask(self, method: str, target: str, wish: Mapping[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._control, timeout=DEADLINE_SECONDS)
        try:
            body = None if wish is None else json.dumps(wish)
            connection.request(method, target, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceFailed(f"the sandbox does not answer {method} {target} ({type(error).__name__})") from None
        finally:
            connection.close()
        if response.status >= 300 or not isinstance(answer, dict):
            raise ServiceFailed(f"the sandbox refused {method} {target}: {answer}")
        return answer
