"""Asks and charges the pace ledger (I6): point 1 of an exchange.

The ledger lives here in memory and is written by the vault: a charged row rides in the intent's own commit, so that no
crash can call a service without its charge.  A charge whose commit failed stays in memory: the careful side.

Two kinds of keys.  Account rows hold back-off, Retry-After and budgets.  Wide rows (host, app) are shared by many
accounts: whoever is told to wait is given a slot in their queue, so that a thousand accounts due at once leave one by
one instead of asking again all together (slow start).

A host that answers one account after having failed others is back: those others try again at once, through the queue,
instead of sitting out a back-off that was meant for a host in trouble.  A Retry-After is sat out all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from freshd.core import pace
from freshd.core.model import Moment
from freshd.core.pace import Pace, Row

Keys = Sequence[tuple[str, Pace]]
PROMISE_SLACK_SECONDS: Final = 30.0
"""A slot not taken up within this time is given away: its owner was paused or has changed its mind."""
SHORTEST_WAIT_SECONDS: Final = 0.001
"""Rounded up to: a wait so short that a clock cannot tell it would be asked again at the same instant."""


class Pacer:
    """The one ledger of a daemon.  Used on the loop's thread only."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._next_slot: dict[str, float] = {}
        self._promised: dict[tuple[str, str], float] = {}
        self._departed: dict[str, float] = {}
        self._away: dict[str, dict[str, str]] = {}
        self.on_back: Callable[[Sequence[str]], None] = lambda _accounts: None
        """Told which other accounts of a host were backing off when it answered one."""

    def load(self, rows: Mapping[str, Row]) -> None:
        """Take what the journal knows; rows already in memory are newer."""
        self._rows = {**rows, **self._rows}

    def wait(self, account: str, keys: Keys, now: Moment) -> float:
        """Seconds until `account` may be called for; 0: now.  The last key is the account's own, others are shared.

        Whoever may go now keeps its turn when it asks again at once, as an exchange does right before it charges.
        """
        own = [pace.wait(self._row(key), limit, now) for key, limit in keys[-1:]]
        if own and own[0] > 0:
            return max(own[0], SHORTEST_WAIT_SECONDS)
        wide = max([self._wait_in_queue(account, key, limit, now) for key, limit in keys[:-1]], default=0.0)
        return max(wide, SHORTEST_WAIT_SECONDS) if wide > 0 else 0.0

    def charge(self, account: str, keys: Keys, now: Moment) -> dict[str, Row]:
        """Charge one call; the rows to be written with its intent."""
        for key, _ in keys:
            self._rows[key] = pace.charge(self._row(key), now)
            self._promised.pop((account, key), None)
        return {key: self._rows[key] for key, _ in keys}

    def departure(self, keys: Keys, now: Moment) -> float:
        """Seconds that a charged call has still to wait before it leaves.

        The writing of its intent may have taken longer for one than for the next: after a disk that stood still all
        those charged meanwhile would leave together, spaced in the ledger and not on the wire.
        """
        free = max([now.boot, *(self._departed.get(key, 0.0) + limit.interval for key, limit in keys)])
        self._departed.update((key, free) for key, _ in keys)
        return free - now.boot

    def succeeded(self, account: str, keys: Keys) -> dict[str, Row]:
        """The service answered, even if with a refusal of its own.  The host is back: others need wait no longer.

        Their rows are let go of in memory only: after a crash they wait again, the careful side.
        """
        for key, _ in keys:
            self._rows[key] = pace.succeeded(self._row(key))
        waiting = self._away.pop(keys[0][0], {})
        waiting.pop(account, None)
        for own in waiting.values():
            self._rows[own] = pace.succeeded(self._row(own))
        if waiting:
            self.on_back(list(waiting))
        return {key: self._rows[key] for key, _ in keys}

    def failed(
        self,
        account: str,
        keys: Keys,
        now: Moment,
        retry_after: float | None = None,
        *,
        unsent: bool = False,
        known: bool = True,
    ) -> dict[str, Row]:
        """The service did not answer, or told us to slow down.  `known`: False where it said what nobody understands.

        Only the account's own row backs off: one account's trouble must not delay another's (I11).  A host that is down
        is still spared, because each of its accounts backs off by itself and the host row spaces them.
        """
        own = keys[-1][0]
        self._rows[own] = pace.failed(self._row(own), now, retry_after, unsent=unsent)
        if retry_after is None and known:
            self._away.setdefault(keys[0][0], {})[account] = own
        else:
            self._away.get(keys[0][0], {}).pop(account, None)
        return {own: self._rows[own]}

    def _row(self, key: str) -> Row:
        return self._rows.get(key, Row())

    def _wait_in_queue(self, account: str, key: str, limit: Pace, now: Moment) -> float:
        ledger = pace.wait(self._row(key), limit, now)
        mine = self._promised.get((account, key))
        if mine is not None and mine <= now.boot < mine + PROMISE_SLACK_SECONDS:
            return ledger
        if mine is not None and mine > now.boot:
            return max(mine - now.boot, ledger)
        free = max(now.boot + ledger, self._next_slot.get(key, 0.0))
        self._next_slot[key] = free + limit.interval
        self._promised[account, key] = free
        return free - now.boot
