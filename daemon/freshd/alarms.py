"""Wakes accounts: a heap of due moments, and APScheduler for the near ones.  The only file that knows APScheduler.

Rules
-----
* Due moments are boot-clock seconds.  The wall clock, which APScheduler counts by, enters only for jobs within the
  horizon, and they are placed anew whenever `realign` is called (every tick, every clock step).
* A job does one thing: it puts the account into the inbox (`ring`).  It cannot raise, be dropped as late, or run twice:
  no grace limit, coalesced, one instance, id = account.
* A flight is never a job: APScheduler cancels running jobs when it stops.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from freshd.ports import Clock

HORIZON_SECONDS: Final = 75.0
"""Twice the longest wait (37 s) and a little: an alarm is a job well before it is due."""


class JobAlarms:
    """`ports.Alarms` on APScheduler.  `ring(account)` is called on the loop's thread when an alarm is due."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._placed: set[str] = set()
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin ringing; needs a running loop."""
        self._scheduler.start()
        self.realign()

    def stop(self) -> None:
        """Ring no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def set(self, account: str, at: float) -> None:
        """Ring once at `at` (boot-clock seconds); replaces the account's earlier alarm."""
        if self._due.get(account) == at:
            return
        self._due[account] = at
        if at - self._clock.boot() <= HORIZON_SECONDS:
            self._place(account, at)
        else:
            self._unplace(account)
            heapq.heappush(self._heap, (at, account))

    def cancel(self, account: str) -> None:
        """Do not ring for this account."""
        self._due.pop(account, None)
        self._unplace(account)

    def realign(self) -> None:
        """Place what has come within the horizon, and place all jobs anew on the wall clock of now."""
        horizon = self._clock.boot() + HORIZON_SECONDS
        for account in list(self._placed):
            self._place(account, self._due[account])
        while self._heap and self._heap[0][0] <= horizon:
            at, account = heapq.heappop(self._heap)
            if self._due.get(account) == at and account not in self._placed:
                self._place(account, at)

    def _place(self, account: str, at: float) -> None:
        if not self._scheduler.running:
            heapq.heappush(self._heap, (at, account))
            return
        now = self._clock.now()
        when = datetime.fromtimestamp(now.wall, UTC) + timedelta(seconds=at - now.boot)
        self._scheduler.add_job(
            self._fire, DateTrigger(when), id=account, args=(account,), replace_existing=True, name=account
        )
        self._placed.add(account)

    def _unplace(self, account: str) -> None:
        if account in self._placed:
            self._placed.discard(account)
            if self._scheduler.get_job(account) is not None:
                self._scheduler.remove_job(account)

    async def _fire(self, account: str) -> None:
        self._placed.discard(account)
        at = self._due.get(account)
        if at is None:
            return
        if at > self._clock.boot():
            self._place(account, at)
            return
        del self._due[account]
        self._ring(account)
