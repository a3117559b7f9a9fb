"""Accounts of one service that are refused at once share one cause: its token store, or an edit of its groups.

One alert for all of them; every secret is kept, and the service is asked rarely until it answers or the hour is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from freshd.core.events import Event
from freshd.core.happenings import Shared
from freshd.ports import Clock

TOGETHER_SECONDS: Final = 60.0
"""Refusals of several accounts within this are one."""
FEWEST: Final = 2
LASTS_SECONDS: Final = 3600.0
"""For so long nobody is believed dead; whoever is refused after that is, for as long again or until the service
has answered somebody."""


class Herds:
    """One per daemon.  `share(account, event)` and `back(accounts)` reach the accounts."""

    def __init__(
        self, clock: Clock, tell: Callable[[Event], None], share: Callable[[str, Shared], None],
        back: Callable[[Sequence[str]], None],
    ) -> None:  # fmt: skip
        self._clock, self._tell, self._share, self._back = clock, tell, share, back
        self._refused: dict[str, dict[str, float]] = {}
        """By host: when each account was refused last, in boot-time seconds."""
        self._until: dict[str, float] = {}

    def refused(self, host: str, account: str) -> None:
        """A service refused an account; tells all that share the cause."""
        now = self._clock.boot()
        recent = {name: at for name, at in self._refused.get(host, {}).items() if now - at < TOGETHER_SECONDS}
        recent[account] = now
        self._refused[host] = recent
        until = self._until.get(host)
        if until is not None and now < until + LASTS_SECONDS:
            self._share(account, Shared(host, until))
        elif len(recent) >= FEWEST:
            self._until[host] = until = now + LASTS_SECONDS
            for name in recent:
                self._share(name, Shared(host, until))
            self._tell(Event("service.refusing", None, {"host": host, "accounts": ", ".join(sorted(recent))}))

    def answered(self, host: str, account: str) -> None:
        """The service answers one of them again: the others may ask."""
        others = self._refused.pop(host, {}).keys() - {account}
        if self._until.pop(host, None) is not None:
            self._tell(Event("service.accepting", None, {"host": host}))
            for name in others:
                self._share(name, Shared(None, 0.0))
            self._back(sorted(others))
