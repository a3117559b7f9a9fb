"""The daemon's configuration for the cast: freshd.toml as anybody would write it, with paces of fractions of a second.

Contracts of Feishu and Futu are those that come with freshd; only the point from which on Feishu gives a new tenant
token is scaled to a life of seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.cli.demo.cast import CLIENT, FEISHU_APP, FUTU, LOGIN_WINDOW_S, MARGIN, REPULL_WINDOW_S, Role

MIN_INTERVAL_S: Final = 0.2
BACKOFF_CAP_S: Final = 1.0
GRACE_S: Final = 20.0
REISSUE_SHARE: Final = 0.75
"""Of a tenant token's life: freshd asks for the next one with no more than this left."""
RESERVE_S: Final = 0.5
"""So much longer than the service's windows freshd waits: it paces what it sends, the service what arrives."""
FUTU_ACCOUNT: Final = "demo@example.org"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where everything lies, and who keeps the secrets: `custodian` and `placement` as the configuration says it.

    scale  how much shorter than usual lives and windows are
    """

    folder: Path
    issuer: str
    uid: int
    custodian: str
    placement: str
    scale: float = 1.0

    @property
    def socket(self) -> Path:
        return self.folder / "freshd.sock"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def secret(self, role: Role) -> Path:
        """The file with a client's secret."""
        return self.folder / f"{role.name}.secret"


def configuration(setting: Setting, roles: Iterable[Role]) -> str:
    """freshd.toml.  JSON's strings are TOML's basic strings."""
    head = [
        f"state_dir = {_text(setting.state)}",
        f"[socket]\npath = {_text(setting.socket)}",
        '[log]\nformat = "json"',
        f"[vault]\ncustodian = {_text(setting.custodian)}\nplacement = {_text(setting.placement)}",
    ]
    if setting.custodian == "key-file":
        head.append(f"key_file = {_text(setting.folder / 'vault.key')}")
    return "\n".join([*head, *(_account(setting, role) for role in roles)]) + "\n"


def _account(setting: Setting, role: Role) -> str:
    lines = [
        f"[accounts.{role.name}]",
        f"kind = {_text(role.kind)}",
        f"readers = {{ users = [{setting.uid}] }}",
        f"backoff_cap = {BACKOFF_CAP_S}",
        "allow_short_lived = true",
    ]
    match role.kind:
        case "feishu" | "feishu-app":
            return "\n".join([*lines, *_scheduled(), *_feishu(setting, role)])
        case "futu":
            return "\n".join([*lines, *_platform(setting)])
        case "futu-broker":
            return "\n".join([*lines, *_broker(setting, role)])
    return "\n".join([*lines, *_scheduled(), *_oauth2(setting, role)])


def _scheduled() -> list[str]:
    return [f"margins = {{ fraction = {MARGIN} }}", f"min_interval = {MIN_INTERVAL_S}"]


def _oauth2(setting: Setting, role: Role) -> list[str]:
    issuer = f"issuer = {_text(setting.issuer)}"
    if role.contract == "issue":
        secret = f"client_secret = {{ file = {_text(setting.secret(role))} }}"
        return [issuer, f"client_id = {_text(role.name)}", secret, 'grant_type = "client_credentials"']
    grace = f", grace = {GRACE_S}" if role.contract == "grace" else ""
    contract = f"contract = {{ reuse = {_text(role.contract)}{grace} }}"
    return [issuer, f"client_id = {_text(CLIENT)}", f"grant = {_text(role.name)}", contract]


def _feishu(setting: Setting, role: Role) -> list[str]:
    lines = [
        f"app_id = {_text(role.app_id)}",
        f"app_secret = {{ file = {_text(setting.secret(role))} }}",
        f"open_url = {_text(setting.issuer)}",
        f"accounts_url = {_text(setting.issuer)}",
    ]
    if role.kind == FEISHU_APP:
        lines.append(f"contract = {{ reissue_left = {round(role.life_s * REISSUE_SHARE, 3)} }}")
    return lines


def _platform(setting: Setting) -> list[str]:
    return [
        f"account = {_text(FUTU_ACCOUNT)}",
        f"auth_url = {_text(setting.issuer)}",
        f"min_interval = {round(LOGIN_WINDOW_S * setting.scale + RESERVE_S, 3)}",
    ]


def _broker(setting: Setting, role: Role) -> list[str]:
    return [
        f"platform = {_text(FUTU)}",
        f"broker_id = {role.broker_id}",
        f"broker_url = {_text(setting.issuer)}",
        f"min_interval = {MIN_INTERVAL_S}",
        f"repull_interval = {round(REPULL_WINDOW_S * setting.scale + RESERVE_S, 3)}",
    ]


def _text(value: object) -> str:
    return json.dumps(str(value))
