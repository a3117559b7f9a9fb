"""What a broker retains of the accounts: what it holds by now, what may have changed, what is to be taken away.

Rules
-----
* Health goes by how things are: an event only says whose turn it is.  Changes that nobody had time for melt into one.
* After each login nothing is known of what the broker holds, so everything is due.
* An account that is not configured any more, or was forgotten, is an empty message: that takes the retained one away.
* No task and no waiting; memory is bounded by the number of accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from freshd.core.events import Event
from freshd.outlets.message import GONE, health_topic, of_health, status_topic
from freshd.tokens import Health

NO_NEWS: Final = ("access.", "outlet.", "channel.")
"""Events of no account that change none; of an account, those of the first kind."""


class Accounts(Protocol):
    """What it needs of the daemon."""

    def accounts(self) -> Sequence[str]:
        """Every account there is."""

    def health(self, account: str) -> Health:
        """How one stands.  KeyError where unknown."""


class Board:
    """One per outlet.  `over`: topics whose retained message is to be taken away."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._shown: dict[str, bytes | None] = {}
        self._due: dict[str, None] = {}
        self._all_due = True
        self.over: dict[str, None] = {}

    def begin(self) -> None:
        """Nothing is known of what the broker holds."""
        self._shown = dict.fromkeys(self._shown)
        self._all_due = True

    def look_again(self) -> None:
        """Anything may have changed."""
        self._all_due = True

    def note(self, event: Event) -> None:
        """An event may have changed an account, or all of them."""
        if event.account is None:
            self._all_due = self._all_due or not event.name.startswith(NO_NEWS)
        elif not event.name.startswith(NO_NEWS[0]):
            self._due[event.account] = None

    def due(self, most: int) -> list[str]:
        """Some of the accounts whose turn it is; each stays due until `begun`."""
        if self._all_due:
            self._all_due = False
            self._due |= dict.fromkeys((*self._accounts.accounts(), *self._shown))
        return list(self._due)[:most]

    def begun(self, account: str) -> bytes | None:
        """What is to be published of an account, whose turn it is no more; None where the broker holds just that."""
        self._due.pop(account, None)
        payload = self._portrait(account)
        return None if self._shown.get(account) == payload else payload

    def failed(self, account: str) -> None:
        """Nobody knows whether it was published."""
        self._due[account] = None

    def published(self, account: str, payload: bytes | None) -> None:
        """The broker holds `payload`; None: it did not take it."""
        if payload == GONE and self._is_unknown(account):
            self._shown.pop(account, None)
        else:
            self._shown[account] = payload

    def leave(self, prefix: str) -> None:
        """Nothing is to be left below `prefix`."""
        self.over |= {health_topic(prefix, account): None for account in self._shown}
        self.over[status_topic(prefix)] = None
        self._shown, self._all_due = {}, True

    def _portrait(self, account: str) -> bytes:
        try:
            return of_health(self._accounts.health(account))
        except KeyError:
            return GONE

    def _is_unknown(self, account: str) -> bool:
        return account not in self._accounts.accounts()
