"""The sandbox's CloudBase as two services of trials: a session that only a person can renew, and one with a ticket.

Imported session: strict, with nothing below the refresh; a lost answer is a lost session, after one replay.

Ticket: the account signs in by itself, with a ticket of its own making; below the refresh it does so again.  That is
budgeted and ends other sessions, so in doubt the token is presented once more first; what is refused then leads to the
sign-in, and the account lives.  A second sign-in after a kill, or one where the journal had the answer, is a breach.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from tests.crash.fates import Commit, Left
from tests.crash.services import ACCESS_SECONDS, Page, Sandbox, Ways

ENVIRONMENT: Final = "sandbox-env"
CONSTANTS: Final = {"CLOUDBASE_SIM_ACCESS_TTL_S": ACCESS_SECONDS, "CLOUDBASE_SIM_REUSE_ENDS_SESSION": True}
SIGN_IN: Final = "custom"


class CloudBase(Sandbox):
    """What both have in common; an imported session."""

    name = "cloudbase"
    ways = Ways()
    method = "import"

    def __enter__(self) -> Self:
        super().__enter__()
        self.ask("PATCH", "/cloudbase/constants", CONSTANTS)
        return self

    def secrets(self, label: str) -> Mapping[str, str]:
        given = self.ask("POST", "/cloudbase/mint", {"label": label, "device_id": "0123456789abcdef"})["grants"][0]
        return {"refresh_token": str(given["refresh_token"]), "device_id": "0123456789abcdef"}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        lines = [
            'kind = "cloudbase"', f'env = "{ENVIRONMENT}"', f'method = "{self.method}"',
            f'base_url = "{self.issuer}"', "allow_short_lived = true", "min_interval = 0", "host_interval = 0",
        ]  # fmt: skip
        return {name: lines}


class CloudBaseTicket(CloudBase):
    """A session that a ticket begins anew."""

    name = "cloudbase-ticket"
    ways = Ways(heals=True, first=1)
    method = "custom"

    def __init__(self) -> None:
        super().__init__()
        self._left: dict[str, tuple[int, Left]] = {}
        self._key = ""

    def __enter__(self) -> Self:
        super().__enter__()
        self._key = json.dumps(self.ask("POST", "/cloudbase/keys", {}))
        return self

    def secrets(self, label: str) -> Mapping[str, str]:
        self.ask("POST", "/cloudbase/users", {"label": label, "uid": label})
        return {}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        key = folder / "ticket-key"
        key.touch(0o600)
        key.write_text(self._key)
        [(_, lines)] = super().accounts(name, label, folder).items()
        return {name: [*lines, f'uid = "{label}"', f'key_file = {{ file = "{key}" }}', "signin_interval = 0"]}

    def page(self, label: str) -> Page:
        page = super().page(label)
        if label not in self._left:
            return page
        since, left = self._left[label]
        count = sum(one.operation == SIGN_IN for one in page.commits[since:])
        return replace(page, breaches=page.breaches + max(0, count - left.is_open))

    def give_up(self, label: str, left: Left) -> None:
        self._left[label] = len(left.commits), left

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        """Whether the refresh token that the journal held is the next one spent."""
        return left.is_open or not since or since[0].spent == left.commits[left.saved - 1].successor
