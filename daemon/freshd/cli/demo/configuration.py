"""The daemon's configuration for the cast: freshd.toml as anybody would write it, with paces of fractions of a second.

Contracts are those that come with freshd, but for OAuth 2.0; only what counts in minutes is scaled to lives of seconds:
the point from which on Feishu gives a new tenant token, and the life that a token of GeniusAuth must have to be served.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.cli.demo.broker import PREFIX
from freshd.cli.demo.cast import AUN, CLIENT, CUSTOM, FEISHU_APP, FUTU, LOGIN_WINDOW_S, METER, REPULL_WINDOW_S, Role

MIN_INTERVAL_S: Final = 0.2
BACKOFF_CAP_S: Final = 1.0
GRACE_S: Final = 20.0
REISSUE_SHARE: Final = 0.75
"""Of a tenant token's life: freshd asks for the next one with no more than this left."""
RESERVE_S: Final = 0.5
"""So much longer than the service's windows freshd waits: it paces what it sends, the service what arrives."""
FUTU_ACCOUNT: Final = "demo@example.org"
JITTER: Final = 0.1
CHAIN_REFRESHES: Final = 3
"""An agent logs in after so many refreshes; really after some hundred."""
LEAST_LEFT_S: Final = 0.1
"""A token of GeniusAuth with less left is renewed before it is served; really a minute, a fifth of its life."""
SIGNINS_A_DAY: Final = 1000
BUS: Final = "bus"
"""The channel that holds a login at the MQTT broker."""
GATE: Final = "gate"
"""The channel that holds the agent's login at its gateway."""
CLOUD_ENV: Final = "sandbox-env"
CLOUD_DEVICE: Final = "demo-device-00000001"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where everything lies, and who keeps the secrets: `custodian` and `placement` as the configuration says it.

    scale      how much shorter than usual lives and windows are
    mqtt_port  of the MQTT broker on this machine, 0 where there is none
    """

    folder: Path
    issuer: str
    uid: int
    custodian: str
    placement: str
    scale: float = 1.0
    mqtt_port: int = 0

    @property
    def socket(self) -> Path:
        return self.folder / "freshd.sock"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def roots(self) -> Path:
        """The file with the certificates that an agent trusts."""
        return self.folder / "aun-roots.pem"

    def secret(self, role: Role) -> Path:
        """The file with a client's secret."""
        return self.folder / f"{role.name}.secret"


def configuration(setting: Setting, roles: Sequence[Role]) -> str:
    """freshd.toml.  JSON's strings are TOML's basic strings."""
    head = [
        f"state_dir = {_text(setting.state)}",
        f"[socket]\npath = {_text(setting.socket)}",
        '[log]\nformat = "json"',
        f"[vault]\ncustodian = {_text(setting.custodian)}\nplacement = {_text(setting.placement)}",
    ]
    if setting.custodian == "key-file":
        head.append(f"key_file = {_text(setting.folder / 'vault.key')}")
    return "\n".join([*head, *(_account(setting, role) for role in roles), *_channels(setting, roles)]) + "\n"


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
            return "\n".join([*lines, *_scheduled(role), *_feishu(setting, role)])
        case "futu":
            return "\n".join([*lines, *_platform(setting)])
        case "futu-broker":
            return "\n".join([*lines, *_broker(setting, role)])
        case "geniusauth":
            return "\n".join([*lines, *_scheduled(role), *_genius(setting, role)])
        case "aun":
            return "\n".join([*lines, *_scheduled(role), *_agent(setting, role)])
        case "cloudbase":
            return "\n".join([*lines, *_scheduled(role), *_cloud(setting, role)])
    return "\n".join([*lines, *_scheduled(role), *_oauth2(setting, role)])


def _channels(setting: Setting, roles: Sequence[Role]) -> Iterator[str]:
    for role in roles:
        if role.name == METER:
            place = ['host = "127.0.0.1"', f"port = {setting.mqtt_port}"]
            yield "\n".join([f"[channels.{BUS}]", 'kind = "mqtt"', f"account = {_text(METER)}", *place])
            yield "\n".join(["[outlets.mqtt]", f"channel = {_text(BUS)}", f"prefix = {_text(PREFIX)}"])
        if role.kind == AUN:
            yield "\n".join([f"[channels.{GATE}]", f"kind = {_text(AUN)}", f"account = {_text(role.name)}"])


def _scheduled(role: Role) -> list[str]:
    return [f"margins = {{ fraction = {role.margin}, jitter = {JITTER} }}", f"min_interval = {MIN_INTERVAL_S}"]


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


def _genius(setting: Setting, role: Role) -> list[str]:
    return [
        f"app_code = {_text(role.app_id)}",
        f"app_secret = {{ file = {_text(setting.secret(role))} }}",
        f"base_url = {_text(setting.issuer)}",
        "keep_warm = true",
        f"contract = {{ least_left = {LEAST_LEFT_S} }}",
    ]


def _agent(setting: Setting, role: Role) -> list[str]:
    return [
        f"aid = {_text(role.aid)}",
        f"roots = {_text(setting.roots)}",
        f"discovery = {_text(setting.issuer)}",
        f"chain_refreshes = {CHAIN_REFRESHES}",
        "host_interval = 0.0",
    ]


def _cloud(setting: Setting, role: Role) -> list[str]:
    key = f"key_file = {{ file = {_text(setting.secret(role))} }}"
    own = [f"uid = {_text(role.name)}", key] if role.method == CUSTOM else [f"device_id = {_text(CLOUD_DEVICE)}"]
    return [
        f"env = {_text(CLOUD_ENV)}",
        f"base_url = {_text(setting.issuer)}",
        f"method = {_text(role.method)}",
        *own,
        f"signin_interval = {MIN_INTERVAL_S}",
        f"signin_daily = {SIGNINS_A_DAY}",
    ]


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
