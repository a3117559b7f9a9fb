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

    def __init__(self, base_url: str, control_url: str, trade_url: str = "") -> None:
        self.base_url = base_url
        self.trade_url = trade_url
        self._control = urlsplit(control_url).netloc

    def mint(self, client_id: str, label: str) -> str:
        """A new refresh token for an account."""
        grants = self.ask("POST", "/mint", {"client_id": client_id, "label": label})["grants"]
        return str(grants[0]["refresh_token"])

    def register(self, client_id: str, secret: str) -> None:
        """A client that may ask for tokens of its own."""
        wish = {"client_id": client_id, "secret": secret, "grant_types": ["client_credentials"]}
        self.ask("POST", "/clients", wish)

    def promise(self, policy: Mapping[str, Any]) -> None:
        """Change what an account's tokens are worth."""
        self.ask("PATCH", "/policy", policy)

    def break_it(self, fault: str, **settings: object) -> int:
        """Put a fault in force; its number."""
        return int(self.ask("POST", "/faults", {"fault": fault, **settings})["id"])

    def mend(self, number: int) -> None:
        """Take a fault away."""
        self.ask("DELETE", "/faults?" + urlencode({"id": number}))

    def revoke(self, label: str) -> str | None:
        """Refuse the newest token of an account from now on; its fingerprint, None where there was none to revoke."""
        commits = self.page(label)["commits"]
        if not commits:
            return None
        newest = str(commits[-1]["access"])
        done = self.ask("POST", "/revoke_access", {"label": label, "fingerprint": newest})["revoked"]
        return newest if done else None

    def expire(self, uid: int, broker_id: int) -> int:
        """Let the codes of a Futu broker reach their end; how many still lived."""
        return int(
            self.ask("POST", "/futu/expire", {"uid": uid, "what": "auth_code", "broker_id": broker_id})["expired"]
        )

    def cut(self, uid: int, broker_id: int) -> int:
        """Void a broker's signatures and close its trading connections; how many of these there were."""
        self.ask("POST", "/futu/void", {"uid": uid, "what": "broker_client_sig", "broker_id": broker_id})
        return int(self.ask("POST", "/futu/kick", {"uid": uid, "broker_id": broker_id})["kicked"])

    def signature(self, uid: int, broker_id: int) -> str | None:
        """Fingerprint of the newest signature of a broker."""
        brokers = self.ask("GET", f"/futu/accounts/{uid}")["brokers"]
        found = next((one["broker_client_sig"] for one in brokers if one["broker_id"] == broker_id), None)
        return None if found is None else str(found["fingerprint"])

    def tally(self, uid: int) -> dict[str, Any]:
        """What the service has counted of an account at Futu; empty before its first call."""
        return dict(self.ask("GET", "/futu/counters")["by_uid"].get(str(uid), {}))

    def gateway(self) -> tuple[dict[str, Any], list[str]]:
        """What AUN's gateway has counted, by agent; and whose sessions there are."""
        sessions = [str(one["aid"]) for one in self.ask("GET", "/aun/sessions")["sessions"]]
        return dict(self.ask("GET", "/aun/counters")["by_aid"]), sessions

    def page(self, label: str) -> dict[str, Any]:
        """The books of one account: counters, calls, commits."""
        return self.ask("GET", f"/ledger/{label}")

    def present(self, client_id: str, refresh_token: str) -> int:
        """Present a refresh token as another program would; the status of the answer."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
        return self._post("/token", urlencode(form), "application/x-www-form-urlencoded")

    def present_to(self, path: str, members: Mapping[str, object]) -> int:
        """Send a JSON object to the service as another program would; the status of the answer."""
        return self._post(path, json.dumps(members), "application/json")

    def _post(self, path: str, body: str, kind: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=DEADLINE_SECONDS)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            return connection.getresponse().status
        finally:
            connection.close()

    def ask(self, method: str, target: str, wish: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Any call of the control port, as the sandbox's README lists them.  Raises ServiceFailed."""
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
