"""The sandbox's AUN as four services of trials: the refresh, the login, another key, and the enrolment of an agent.

Refresh: strict; in doubt the key logs in, which costs nothing, so a lost answer is healed.  A token whose answer
nobody has must not be presented again (a breach), for a login was to be had; what was kept must be the next one spent.

Login: the account's logins bring no refresh token, so that every renewal is one.  Nothing is used up.

Another key, and a new agent: a key is durable before it is registered.  Once the daemon is dead the service ends all
refresh tokens, so that the account can live only by a login with the registered key: else the agent is lost.  What was
escrowed must do without a second attempt: no login is refused, no operator needed, nothing registered again (a breach).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from tests.crash.deeds import Daemon, Deed, Steps, Verb
from tests.crash.fates import Commit, Left
from tests.crash.services import Page, Sandbox, Ways

ACCESS_SECONDS: Final = 10
SOON: Final = "margins = { fraction = 0.81, jitter = 0.0 }"
"""Renewed 1.9 s after it came; and no renewal is so early that the next one has to be a login."""
LATER_SECONDS: Final = 60
"""Life of a lease that outlasts a restart by far."""
REFRESH, LOGIN, REKEY, CREATE = "auth.refresh_token", "auth.aid_login2", "auth.rekey", "auth.create_aid"
LOGINS: Final = ("auth.aid_login1", LOGIN)
NAMES: Final = ("private_key", "cert", "refresh_token")


class Aun(Sandbox):
    """What they have in common; a refresh."""

    name = "aun"
    ways = Ways(heals=True)
    constants: Mapping[str, Any] = {"AUN_SIM_ACCESS_TTL_S": ACCESS_SECONDS}
    lines: Sequence[str] = (SOON,)
    held: Sequence[str] = (REFRESH, LOGIN)
    """Calls that are held where a trial wants it."""
    imports: Sequence[str] = NAMES

    def __init__(self) -> None:
        super().__init__()
        self._takes: Counter[str] = Counter()
        self._aids: dict[str, str] = {}
        self._left: dict[str, tuple[int, Left]] = {}
        self._roots = ""

    def __enter__(self) -> Self:
        super().__enter__()
        self.ask("PATCH", "/aun/constants", dict(self.constants))
        self._roots = str(self.ask("GET", "/aun/roots")["pem"])
        return self

    def secrets(self, label: str) -> Mapping[str, str]:
        [agent] = self.ask("POST", "/aun/mint", {"label": self._renamed(label)})["agents"]
        self._aids[label] = str(agent["aid"])
        return {name: str(agent[name]) for name in self.imports}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        roots = folder / "roots.pem"
        roots.write_text(self._roots)
        lines = [
            'kind = "aun"', f'aid = "{self._aids[label]}"', f'roots = "{roots}"', f'discovery = "{self.issuer}"',
            "min_interval = 0", "host_interval = 0", *self.lines,
        ]  # fmt: skip
        return {name: lines}

    def delay(self, label: str, before: float, after: float) -> None:
        book = self._book(label)
        self.ask("DELETE", f"/faults?label={book}")
        for when, seconds in (("before", before), ("after", after)):
            for endpoint in self.held if seconds > 0 else ():
                wish = {"fault": "slow", "seconds": seconds, "when": when, "label": book, "endpoint": endpoint}
                self.ask("POST", "/faults", wish)

    def page(self, label: str) -> Page:
        page = super().page(self._book(label))
        return replace(page, breaches=page.breaches + self._breaches(label))

    def give_up(self, label: str, left: Left) -> None:
        self._left[label] = len(self._calls(label)), left

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        return goes_on(left, since)

    def _breaches(self, label: str) -> int:
        return sum(call["presented"] == doubtful_token(left) for left, call in self._later(label))

    def _later(self, label: str) -> list[tuple[Left, dict[str, Any]]]:
        """Arrivals since the kill, with what that left."""
        if label not in self._left:
            return []
        since, left = self._left[label]
        return [(left, call) for call in self._calls(label)[since:]]

    def _calls(self, label: str) -> list[dict[str, Any]]:
        """Arrivals, oldest first."""
        found: list[dict[str, Any]] = self.told_of(self._book(label))["calls"]
        return found

    def _renamed(self, label: str) -> str:
        """A name that no agent had: a trial that is begun again is another agent's."""
        self._takes[label] += 1
        return self._book(label)

    def _book(self, label: str) -> str:
        return f"{label}-{self._takes[label]}"


class AunLogin(Aun):
    """Every renewal is a login; its lease is the one that readers get after the restart."""

    name = "aun-login"
    ways = Ways(heals=True, shows=True)
    constants: Mapping[str, Any] = {"AUN_SIM_ACCESS_TTL_S": LATER_SECONDS, "AUN_SIM_LOGIN_TOKENS": "no_refresh"}
    lines: Sequence[str] = ()
    imports: Sequence[str] = NAMES[:2]

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        return left.is_open or (shown or "").startswith(left.commits[left.saved - 1].successor or "nothing")

    def _breaches(self, label: str) -> int:
        """Nothing works only once but a nonce, and those the books count."""
        return 0


class AunRekey(Aun):
    """An operator wants another key."""

    name = "aun-rekey"
    once = REKEY
    held: Sequence[str] = (REKEY, LOGIN)

    def deed(self, label: str) -> Deed:
        return Verb("operate", {"operation": "rekey"})

    def give_up(self, label: str, left: Left) -> None:
        super().give_up(label, left)
        with contextlib.suppress(RuntimeError):  # an agent that was never registered
            self.ask("POST", "/aun/revoke", {"aid": self._aids[label], "what": "refresh"})

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        refused = [
            call for _, call in self._later(label) if call["grant_type"] in LOGINS and call["outcome"] == "refused"
        ]
        return left.is_open or not refused

    def _breaches(self, label: str) -> int:
        return sum(call["grant_type"] == self.once and self._was_answered(left) for left, call in self._later(label))

    def _was_answered(self, left: Left) -> bool:
        """Whether the journal has the answer for the key, or another step goes on."""
        return not left.is_open and any(one.operation == self.once for one in left.commits)


class AunCreate(AunRekey):
    """An agent that nobody has registered yet: an operator enrols it, once more where nothing came of it."""

    name = "aun-create"
    ways = Ways(heals=True, is_new=True)
    once = CREATE
    held: Sequence[str] = (CREATE, LOGIN)
    _issuer = ""

    def secrets(self, label: str) -> Mapping[str, str]:
        self._issuer = str(self.ask("GET", "/aun/roots")["issuer"])
        self._aids[label] = self._renamed(label)
        return {}

    def deed(self, label: str) -> Deed:
        return Registering()

    def _book(self, label: str) -> str:
        """The books call an agent that registered itself by its whole name."""
        return f"{super()._book(label)}.{self._issuer}"


class Registering(Steps):
    """The two steps; an account that has its certificate is renewed instead."""

    def do(self, daemon: Daemon) -> None:
        if daemon.view()["generation"] > 1:
            daemon.operate("refresh")
            return
        begun = daemon.operate("enrol-begin", flow="auto")
        daemon.operate("enrol-finish", session=begun["session"])


def doubtful_token(left: Left) -> str | None:
    """The refresh token that counts as spent: that of the missing answer, or the newest."""
    if not left.is_open or not left.commits:
        return None
    if len(left.commits) > left.saved:
        return left.commits[left.saved].spent
    return left.commits[left.saved - 1].successor


def goes_on(left: Left, since: Sequence[Commit]) -> bool:
    """Whether the refresh token that the journal held is the next one spent; in doubt, that it is not."""
    if not since or left.is_open:
        return not since or since[0].operation == LOGIN
    return since[0].spent == left.commits[left.saved - 1].successor
