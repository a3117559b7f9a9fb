"""The sandbox's Futu as two services of trials: the login at the platform, and a broker that lives on its codes.

Platform: each login spends the ticket.  Its answer holds a code for the broker of the family too, so the journal must
have both accounts' part of it, or neither.

Broker: two exchanges by turns, one that spends the code in stock for a lease and one that asks for the next code.  What
was answered must be there after a restart: a lease as the lease that readers get, a code as the next one spent.  A code
whose answer is missing counts as spent: presenting it again is a breach, and so is a login at the platform, for a
new code is to be had without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from tests.crash.fates import Commit, Left
from tests.crash.services import ACCESS_SECONDS, Page, Sandbox, Ways

SPENDS: Final = "broker_auth"
BROKER_ID: Final = 1001
PLATFORM: Final = "platform"
BROKER: Final = "broker"
WINDOW_SECONDS: Final = 0.05
"""Two logins within it are refused by the service; it is a minute in life."""
INTERVAL_SECONDS: Final = 1.0
"""What the account keeps to; it counts from the intent, and on a busy machine the first call after a start may leave
most of a second after that.  In life 75 s stand against a minute."""
CONSTANTS: Final = {
    "FUTU_SIM_TGTGT_SINGLE_USE": True,
    "FUTU_SIM_AUTH_CODE_SINGLE_USE": True,
    "FUTU_SIM_AUTHORITY_MIN_INTERVAL_S": WINDOW_SECONDS,
    "FUTU_SIM_REPULL_MIN_INTERVAL_S": 0,
    "FUTU_SIM_CLIENT_SIG_TTL_S": ACCESS_SECONDS,
}
SECRETS: Final = ("account", "uid", "device_id", "device_sig", "rand_key", "tgtgt")
"""Of another client's record, what a platform needs; with `web_sig` codes can be had without a login."""


class Futu(Sandbox):
    """What both have in common."""

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        self.ask("PATCH", "/futu/constants", CONSTANTS)
        return self

    def _open(self, label: str, platform: str, broker: str) -> Mapping[str, Any]:
        record = self.ask("POST", "/futu/accounts", {"label": platform, "brokers": {str(BROKER_ID): broker}})
        self._records[label] = record
        return record

    def _lines(self, label: str, *more: str) -> list[str]:
        """A platform's."""
        account = self._records[label]["account"]
        return ['kind = "futu"', f'account = "{account}"', f'auth_url = "{self.issuer}"',
                "allow_short_lived = true", f"min_interval = {INTERVAL_SECONDS}", "daily = 1000", *more]  # fmt: skip

    def _broker_lines(self, platform: str) -> list[str]:
        return ['kind = "futu-broker"', f'platform = "{platform}"', f"broker_id = {BROKER_ID}",
                f'broker_url = "{self.issuer}"', "min_interval = 0", "repull_interval = 0"]  # fmt: skip

    def _count(self, label: str) -> Mapping[str, Any]:
        """The service's tally of the family; zeros where it has not called yet."""
        found: Mapping[str, Any] = self.ask("GET", "/futu/counters")["by_uid"]
        nothing = {"authority_calls": 0, "authority_too_soon": 0, "void_uses": {}}
        tally: Mapping[str, Any] = found.get(str(self._records[label]["uid"]), nothing)
        return tally


class FutuPlatform(Futu):
    """A login spends the ticket, and fills the broker's stock."""

    name = "futu"
    ways = Ways(fellows=(BROKER,), rest=INTERVAL_SECONDS)

    def secrets(self, label: str) -> Mapping[str, str]:
        record = self._open(label, label, f"{label}-{BROKER}")
        return {name: str(record[name]) for name in SECRETS}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        return {name: self._lines(label, "scheduled = true"), BROKER: self._broker_lines(name)}

    def page(self, label: str) -> Page:
        return replace(super().page(label), breaches=int(self._count(label)["authority_too_soon"]))


class FutuBroker(Futu):
    """A broker, under a platform that need not log in."""

    name = "futu-broker"
    ways = Ways(head=PLATFORM, heals=True, stocks=True, shows=True)

    def __init__(self) -> None:
        super().__init__()
        self._given_up: dict[str, list[tuple[int, str]]] = {}

    def secrets(self, label: str) -> Mapping[str, str]:
        record = self._open(label, f"{label}-{PLATFORM}", label)
        return {name: str(record[name]) for name in (*SECRETS, "web_sig")}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        return {PLATFORM: self._lines(label), name: self._broker_lines(PLATFORM)}

    def page(self, label: str) -> Page:
        page, tally = super().page(label), self._count(label)
        presented = self._presented(label)
        used = sum(code in presented[since:] for since, code in self._given_up.get(label, []))
        twice = len(presented) - len(set(presented))
        return replace(page, breaches=used + twice + tally["authority_calls"] + sum(tally["void_uses"].values()))

    def give_up(self, label: str, left: Left) -> None:
        code = doubtful_code(left)
        if code is not None:
            self._given_up.setdefault(label, []).append((len(self._presented(label)), code))

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        return has_all(left, shown, since)

    def _presented(self, label: str) -> list[str]:
        """Fingerprints of the codes that were presented, oldest first, whatever came of it."""
        calls = self.ask("GET", f"/ledger/{label}")["calls"]
        return [str(call["presented"]) for call in calls if call["grant_type"] == SPENDS]


def doubtful_code(left: Left) -> str | None:
    """The code that counts as spent though nobody has the answer: that of the missing answer, or the one in stock."""
    if not left.is_open:
        return None
    if len(left.commits) > left.saved:
        missing = left.commits[left.saved]
        return missing.spent if missing.operation == SPENDS else None
    last = left.commits[left.saved - 1]
    return None if last.operation == SPENDS else last.successor


def has_all(left: Left, shown: str | None, since: Sequence[Commit]) -> bool:
    """Whether the newest lease is the one that readers get, and the code in stock, if any, the next one spent.

    The service's fingerprints are the beginnings of the daemon's.
    """
    saved = left.commits[: left.saved]
    lease = next((one.successor for one in reversed(saved) if one.operation == SPENDS), None)
    if lease is not None and not (shown or "").startswith(lease):
        return False
    if left.is_open or saved[-1].operation == SPENDS:
        return True
    return next((one.spent for one in since if one.operation == SPENDS), None) == saved[-1].successor
