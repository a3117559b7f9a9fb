"""The sandbox's GeniusAuth as three services of trials: a renewal, a person's login, another payload.

Renewal: spends nothing and leaves neither intent nor escrow; whatever the instant, the account must live, and its
refresh token be the one that was imported.

Login: the login token works once.  An answer that was escrowed must come to a living account without anybody's help;
where it was lost the person logs in once more, with a login token of its own.

Payload: one more refresh token of the same record; the old one goes on working, so a lost answer is asked for again.
What was kept must be what the next renewal presents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from tests.crash.deeds import Daemon, Deed, Steps, Verb
from tests.crash.fates import Commit, Left
from tests.crash.services import Page, Sandbox, Ways

APP: Final = "sandboxapp"
APP_SECRET: Final = "sandbox-secret"
USER: Final = "8"
TTL_SECONDS: Final = 60
SAME_SECONDS: Final = 1.0
"""Two tokens of one record from the same second are the same text."""
RENEWALS: Final = ("refresh",)


class GeniusAuth(Sandbox):
    """What they have in common; a renewal."""

    name = "geniusauth"
    ways = Ways(spends=False, shows=True, first=1, rest=SAME_SECONDS)
    counted: Sequence[str] = RENEWALS
    """What the trial counts as answers; all else spends nothing beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, int] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        self.ask("PATCH", "/geniusauth/constants", {"GENIUS_SIM_ACCESS_TTL_S": TTL_SECONDS})
        return self

    def secrets(self, label: str) -> Mapping[str, str]:
        given = self.ask("POST", "/geniusauth/mint", {"app_code": APP, "uid": int(USER), "label": label})["grants"][0]
        return {"refresh_token": str(given["refresh_token"])}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        secret = folder / "app-secret"
        secret.touch(0o600)
        secret.write_text(APP_SECRET)
        lines = [
            'kind = "geniusauth"', f'app_code = "{APP}"', f'app_secret = {{ file = "{secret}" }}',
            f'base_url = "{self.issuer}"', "keep_warm = true", "min_interval = 0", "host_interval = 0",
        ]  # fmt: skip
        return {name: lines}

    def page(self, label: str) -> Page:
        page = super().page(label)
        counted = tuple(one for one in page.commits if one.operation in self.counted)
        others = tuple(one for one in page.commits if one.operation not in self.counted)
        return replace(page, commits=counted, others=others)

    def give_up(self, label: str, left: Left) -> None:
        self._before[label] = len(self._presented(label))

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        """Whether the newest lease that was given is the one that readers get."""
        return (shown or "").startswith(left.commits[-1].successor or "nothing")

    def _presented(self, label: str) -> list[str]:
        """Fingerprints of the refresh tokens that renewals presented, oldest first."""
        calls = self.told_of(label)["calls"]
        return [str(call["presented"]) for call in calls if call["grant_type"] in RENEWALS]


class GeniusAuthPayload(GeniusAuth):
    """An operator wants another payload."""

    name = "geniusauth-payload"
    ways = Ways(heals=True, first=1)
    counted: Sequence[str] = ("payload",)

    def deed(self, label: str) -> Deed:
        return Verb("operate", {"operation": "payload", "given": {"payload": "another"}})

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        if left.is_open or not left.saved:
            return None
        later = self._presented(label)[self._before[label] :]
        return not later or later[0] == left.commits[left.saved - 1].successor


class GeniusAuthLogin(GeniusAuth):
    """A person logs in, once more where nothing came of it."""

    name = "geniusauth-login"
    ways = Ways(heals=True, is_new=True)
    counted: Sequence[str] = ("login",)

    def secrets(self, label: str) -> Mapping[str, str]:
        return {}

    def deed(self, label: str) -> Deed:
        return LoggingIn(self, label)

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        later = self._presented(label)[self._before[label] :]
        if left.is_open or not left.saved:
            return None
        return not later or later[0] == left.commits[left.saved - 1].successor


class LoggingIn(Steps):
    """The daemon says where, the person logs in there and brings back the address at which the browser ended."""

    def __init__(self, service: Sandbox, label: str) -> None:
        self._service, self._label = service, label

    def do(self, daemon: Daemon) -> None:
        begun = daemon.operate("enrol-begin", flow="auto")
        wish: dict[str, Any] = {"url": begun["url"], "subject": USER, "label": self._label}
        location = str(self._service.ask("POST", "/geniusauth/login", wish)["location"])
        daemon.operate("enrol-finish", session=begun["session"], code=location)
