"""What a service must know of an account before it can play, and the grant with which freshd begins.

Rules
-----
* A person's part is done on the service's control port: it is not what the demo is about.
* Secrets are made here, and go to the service and into what freshd reads; nowhere else.
* What the stand-in of Futu leaves open takes its default, the strictest, with one exception: a broker's signature
  lives to its end though there is a newer one.  Whoever tries a signature at the broker again and again, as readers do
  here to see that it works, would else be refused at every renewal, for as long as an answer is on its way.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from freshd.cli.demo.cast import (
    BROKER,
    CLIENT,
    CUSTOM,
    FEISHU_APP,
    FUTU,
    LOGIN_WINDOW_S,
    REPULL_WINDOW_S,
    Role,
)
from freshd.cli.demo.configuration import CLOUD_DEVICE, FUTU_ACCOUNT, GRACE_S
from freshd.cli.demo.service import Service

UID: Final = 90000001
"""Of the account at Futu."""
REISSUED_SHARE: Final = 0.8
"""Of a tenant token's life: with more left than this Feishu repeats the token that is out."""
KEEPALIVE_S: Final = 2.0
"""Between two heartbeats of a trading connection; really half a minute."""
RECORD: Final = ("account", "uid", "user_attribution", "device_id", "rand_key", "tgtgt", "device_sig", "web_sig")
"""What of another client's record freshd takes over."""
AGENT: Final = ("private_key", "cert", "refresh_token")
"""The same of an agent's."""
PERSON: Final = 8
"""Number of the user at GeniusAuth."""
LOGIN_S: Final = 2_592_000
"""Life of a login there."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an account begins.

    secret  proves who freshd is, where something must
    grant   what is imported, by name; empty where the account needs no grant of its own
    """

    secret: str = field(default="", repr=False)
    grant: Mapping[str, str] = field(default_factory=dict, repr=False)


def open_all(service: Service, roles: Sequence[Role], scale: float) -> dict[str, Opening]:
    """Make every account known to the service; by name."""
    opened = {role.name: _open(service, role) for role in roles if role.kind not in (FUTU, BROKER)}
    for platform in (role for role in roles if role.kind == FUTU):
        brokers = [role for role in roles if role.kind == BROKER]
        service.ask("PATCH", "/futu/constants", _constants(platform, brokers, scale))
        opened[platform.name] = Opening(grant=_login(service, platform, brokers))
    return opened


def promises(role: Role) -> dict[str, Any]:
    """The OAuth 2.0 service's policy for the account."""
    rotation = "strict" if role.contract == "issue" else role.contract
    return {"label": role.name, "access_s": role.life_s, "rotation": rotation, "grace_s": GRACE_S}


def _open(service: Service, role: Role) -> Opening:
    secret = secrets.token_urlsafe(24) if role.has_secret else ""
    match role.kind:
        case "feishu" | "feishu-app":
            return _feishu(service, role, secret)
        case "geniusauth":
            return _genius(service, role, secret)
        case "aun":
            return _agent(service, role)
        case "cloudbase":
            return _cloud(service, role)
    service.promise(promises(role))
    if role.contract == "issue":
        service.register(role.name, secret)
        return Opening(secret)
    return Opening(grant={"refresh_token": service.mint(CLIENT, role.name)})


def _feishu(service: Service, role: Role, secret: str) -> Opening:
    service.ask("POST", "/feishu/apps", {"app_id": role.app_id, "secret": secret})
    if role.kind == FEISHU_APP:
        lives = {
            "FEISHU_SIM_TENANT_TTL_S": role.life_s,
            "FEISHU_SIM_TENANT_REISSUE_BELOW_S": round(role.life_s * REISSUED_SHARE, 3),
        }
        service.ask("PATCH", "/feishu/constants", {"app_id": role.app_id, **lives})
        return Opening(secret)
    service.ask("PATCH", "/feishu/constants", {"label": role.label, "FEISHU_SIM_ACCESS_TTL_S": role.life_s})
    wish = {"label": role.label, "app_id": role.app_id}
    pair = service.ask("POST", "/feishu/mint", wish)["grants"][0]
    return Opening(secret, {"refresh_token": str(pair["refresh_token"])})


def _genius(service: Service, role: Role, secret: str) -> Opening:
    """The application, and a login of its user."""
    service.ask("POST", "/geniusauth/apps", {"app_code": role.app_id, "secret": secret})
    service.ask("PATCH", "/geniusauth/constants", {"label": role.label, "GENIUS_SIM_ACCESS_TTL_S": role.life_s})
    wish = {"label": role.label, "app_code": role.app_id, "uid": PERSON, "valid_s": LOGIN_S}
    login = service.ask("POST", "/geniusauth/mint", wish)["grants"][0]
    return Opening(secret, {"refresh_token": str(login["refresh_token"])})


def _agent(service: Service, role: Role) -> Opening:
    """The agent, as another client has registered it."""
    service.ask("PATCH", "/aun/constants", {"aid": role.aid, "AUN_SIM_ACCESS_TTL_S": role.life_s})
    record = service.ask("POST", "/aun/mint", {"label": role.label, "aid": role.aid})["agents"][0]
    return Opening(grant={name: str(record[name]) for name in AGENT})


def _cloud(service: Service, role: Role) -> Opening:
    """A user, who signs in by itself: with tickets that the environment's key makes, or by its device."""
    service.ask("PATCH", "/cloudbase/constants", {"label": role.label, "CLOUDBASE_SIM_ACCESS_TTL_S": role.life_s})
    if role.method == CUSTOM:
        service.ask("POST", "/cloudbase/users", {"label": role.label, "uid": role.name})
        return Opening(json.dumps(service.ask("POST", "/cloudbase/keys", {})))
    service.ask("POST", "/cloudbase/users", {"label": role.label, "device_id": CLOUD_DEVICE})
    return Opening()


def _constants(platform: Role, brokers: Sequence[Role], scale: float) -> dict[str, object]:
    return {
        "FUTU_SIM_CLIENT_SIG_TTL_S": platform.life_s,
        "FUTU_SIM_BROKER_SIG_TTL_S": min(broker.life_s for broker in brokers),
        "FUTU_SIM_AUTHORITY_MIN_INTERVAL_S": LOGIN_WINDOW_S * scale,
        "FUTU_SIM_REPULL_MIN_INTERVAL_S": REPULL_WINDOW_S * scale,
        "FUTU_SIM_KEEPALIVE_S": KEEPALIVE_S,
        "FUTU_SIM_BROKER_AUTH_VOIDS_OLD_SIG": False,
    }


def _login(service: Service, platform: Role, brokers: Sequence[Role]) -> dict[str, str]:
    """The account, as another client has logged in to it."""
    labels = {str(broker.broker_id): broker.label for broker in brokers}
    wish = {"label": platform.label, "brokers": labels, "uid": UID, "account": FUTU_ACCOUNT}
    known = service.ask("POST", "/futu/accounts", wish)
    return {name: str(known[name]) for name in RECORD}
