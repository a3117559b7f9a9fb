"""Wakes accounts: a heap of due moments, and APScheduler for the near ones.  The only file that knows APScheduler.

Rules
-----
* Due moments are boot-clock seconds.  The wall clock, which APScheduler counts by, enters only for jobs within the
  horizon, and `realign` (every tick, every clock step) places anew those whose wall clock has been moved since.
* A job does one thing: it puts the account into the inbox (`ring`).  It cannot raise, be dropped, or ring twice: no
  grace limit, coalesced, id = account, an alarm is due once.  A bug met in `ring` goes to the loop's exception handler.
* APScheduler drops a job whose last run it has not cleared away yet, and an alarm may be set anew from within its own
  ring: so it must not count instances.
* A flight is never a job: APScheduler cancels running jobs when it stops.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from freshd.ports import Clock

HORIZON_SECONDS: Final = 75.0
"""Twice the longest wait (37 s) and a little: an alarm is a job well before it is due."""
DRIFT_SECONDS: Final = 0.05
"""How far the wall clock may have moved against the boot clock before a job is placed anew."""
SPARE_ENTRIES: Final = 64
ROUNDING_SECONDS: Final = 0.001
"""Later than due by this: dates are cut to microseconds, and a job that comes too early has to be placed again."""
UNCOUNTED: Final = 1_000_000


class JobAlarms:
    """`ports.Alarms` on APScheduler.  `ring(account)` is called on the loop's thread when an alarm is due."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._placed: dict[str, float] = {}
        """By account: wall minus boot as it was when its job was placed."""
        self._rings = False
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": UNCOUNTED}
        )

    def start(self) -> None:
        """Begin ringing; needs a running loop."""
        self._scheduler.start()
        self._rings = True
        self.realign()

    def stop(self) -> None:
        """Ring no more."""
        if self._rings:
            self._rings = False
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
            self._push(account, at)

    def cancel(self, account: str) -> None:
        """Do not ring for this account."""
        self._due.pop(account, None)
        self._unplace(account)

    def realign(self) -> None:
        """Place what has come within the horizon, and again what was placed before the wall clock was moved.

        APScheduler's own timer stands still during suspend: it is told to look.
        """
        if not self._rings:
            return
        now = self._clock.now()
        horizon = now.boot + HORIZON_SECONDS
        moved = [one for one, offset in self._placed.items() if abs(now.wall - now.boot - offset) > DRIFT_SECONDS]
        for account in moved:
            self._place(account, self._due[account])
        while self._heap and self._heap[0][0] <= horizon:
            at, account = heapq.heappop(self._heap)
            if self._due.get(account) == at and account not in self._placed:
                self._place(account, at)
        self._scheduler.wakeup()

    def _push(self, account: str, at: float) -> None:
        """Entries that no longer hold are left in the heap until they are many."""
        heapq.heappush(self._heap, (at, account))
        if len(self._heap) > 2 * len(self._due) + SPARE_ENTRIES:
            self._heap = [(due, one) for one, due in self._due.items() if one not in self._placed]
            heapq.heapify(self._heap)

    def _place(self, account: str, at: float) -> None:
        if not self._rings:
            self._push(account, at)
            return
        now = self._clock.now()
        when = datetime.fromtimestamp(now.wall, UTC) + timedelta(seconds=at - now.boot + ROUNDING_SECONDS)
        self._scheduler.add_job(
            self._fire, DateTrigger(when), id=account, args=(account,), replace_existing=True, name=account
        )
        self._placed[account] = now.wall - now.boot

    def _unplace(self, account: str) -> None:
        if account in self._placed:
            del self._placed[account]
            if self._rings and self._scheduler.get_job(account) is not None:
                self._scheduler.remove_job(account)

    async def _fire(self, account: str) -> None:
        self._placed.pop(account, None)
        at = self._due.get(account)
        if at is None or not self._rings:
            return
        if at > self._clock.boot():
            self._place(account, at)
            return
        del self._due[account]
        try:
            self._ring(account)
        except Exception as error:  # noqa: BLE001 - APScheduler would write its text and traceback to stderr (I10)
            context = {"message": "an alarm met a bug", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
