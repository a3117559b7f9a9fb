"""The sandbox's Feishu as a service of trials: tokens that live for seconds, and one reuse that ends the family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.crash.services import ACCESS_SECONDS, Sandbox, Ways

APP: Final = "cli_sandbox"
APP_SECRET: Final = "sandbox-secret"
APP_INTERVAL_SECONDS: Final = 0.06
"""The platform's limit for one app; nothing faster can be configured."""
CONSTANTS: Final = {
    "FEISHU_SIM_ACCESS_TTL_S": ACCESS_SECONDS,
    "FEISHU_SIM_REUSE_REVOKES_FAMILY": True,
    "FEISHU_SIM_OLD_REFRESH_GRACE_S": 0,
}


class Feishu(Sandbox):
    """Users of one app.  Pages, delays and vouching are the sandbox's own."""

    name = "feishu"
    ways = Ways(rest=APP_INTERVAL_SECONDS)

    def __enter__(self) -> Self:
        super().__enter__()
        self.ask("PATCH", "/feishu/constants", CONSTANTS)
        return self

    def secrets(self, label: str) -> Mapping[str, str]:
        given = self.ask("POST", "/feishu/mint", {"app_id": APP, "label": label, "open_id": label})["grants"][0]
        return {"refresh_token": str(given["refresh_token"])}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        secret = folder / "app-secret"
        secret.touch(0o600)
        secret.write_text(APP_SECRET)
        lines = [
            'kind = "feishu"', f'app_id = "{APP}"', f'app_secret = {{ file = "{secret}" }}',
            f'open_url = "{self.issuer}"', f'accounts_url = "{self.issuer}"', "allow_short_lived = true",
            "min_interval = 0", "host_interval = 0", f"app_interval = {APP_INTERVAL_SECONDS}",
        ]  # fmt: skip
        return {name: lines}
