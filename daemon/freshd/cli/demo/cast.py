"""Who plays: ten accounts, each with what its service promises, and the daemon's configuration for them.

Lives are those of a run of 40 s; a shorter run shortens them, a longer one does not lengthen them.  Renewal is due when
70 % of a life are left (freshd's own default is a third): with tokens of seconds the storm and the restart are long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MARGIN: Final = 0.7
MIN_INTERVAL_S: Final = 0.2
BACKOFF_CAP_S: Final = 1.0
CLIENT: Final = "freshd"
GRACE_S: Final = 20.0
USUAL_S: Final = 40.0
SHORTEST_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Role:
    """One account.  contract: strict, grace, reusable, or issue (client credentials); `is_lost`: it will be parked.

    own_word  in the storm the service answers 503 in its own form (RFC 6749 section 5.2) instead of a gateway's page
    """

    name: str
    contract: str
    life_s: float
    about: str
    is_lost: bool = False
    own_word: bool = False

    @property
    def renews_every(self) -> float:
        """Seconds between two renewals, without jitter."""
        return self.life_s * (1 - MARGIN)


ROLES: Final = (
    Role("calendar", "strict", 14.0, "its refresh token works once"),
    Role("mail", "strict", 13.0, "works once; its tokens get revoked", own_word=True),
    Role("files", "strict", 15.0, "works once; its tokens get revoked after the restart"),
    Role("chat", "grace", 12.0, "a spent token works a while longer; loses an answer"),
    Role("crm", "grace", 13.0, "like chat; is renewing when the daemon is killed"),
    Role("photos", "reusable", 12.0, "works many times; loses an answer"),
    Role("backup", "reusable", 14.0, "works many times; its tokens get revoked", own_word=True),
    Role("deploy-bot", "issue", 12.0, "client credentials; loses an answer"),
    Role("metrics-bot", "issue", 13.0, "client credentials; its tokens get revoked", own_word=True),
    Role("bank", "strict", 12.0, "works once, and its answer gets lost for good", is_lost=True),
)


def cast(duration: float) -> tuple[Role, ...]:
    """The roles of a run that long."""
    scale = scale_of(duration)
    return tuple(
        Role(one.name, one.contract, round(one.life_s * scale, 2), one.about, one.is_lost, one.own_word)
        for one in ROLES
    )


def scale_of(duration: float) -> float:
    """How much shorter than in the usual run lives and faults are."""
    return min(1.0, max(duration, SHORTEST_S) / USUAL_S)


def promises(role: Role) -> dict[str, Any]:
    """The sandbox's policy for the account."""
    rotation = "strict" if role.contract == "issue" else role.contract
    return {"label": role.name, "access_s": role.life_s, "rotation": rotation, "grace_s": GRACE_S}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where everything lies, and who keeps the secrets: `custodian` and `placement` as the configuration says it."""

    folder: Path
    issuer: str
    uid: int
    custodian: str
    placement: str

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
        'kind = "oauth2"',
        f"issuer = {_text(setting.issuer)}",
        f"readers = {{ users = [{setting.uid}] }}",
        f"margins = {{ fraction = {MARGIN} }}",
        f"min_interval = {MIN_INTERVAL_S}",
        f"backoff_cap = {BACKOFF_CAP_S}",
        "allow_short_lived = true",
    ]
    if role.contract == "issue":
        lines += [
            f"client_id = {_text(role.name)}",
            f"client_secret = {{ file = {_text(setting.secret(role))} }}",
            'grant_type = "client_credentials"',
        ]
    else:
        grace = f", grace = {GRACE_S}" if role.contract == "grace" else ""
        lines += [
            f"client_id = {_text(CLIENT)}",
            f"grant = {_text(role.name)}",
            f"contract = {{ reuse = {_text(role.contract)}{grace} }}",
        ]
    return "\n".join(lines)


def _text(value: object) -> str:
    return json.dumps(str(value))
