"""The daemon's rhythm: suspends and steps of a clock are noticed, near alarms are kept placed.

Rules
-----
* No wait exceeds 37 s (design 7); the watchdog wants a sign of life more often than that.
* A step or a suspend starts nothing by itself: alarms are realigned, and every account looks at what is due.
* Ticks never end: a bug met in one of them, or with one account, is told, and the next tick comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from freshd.core.events import Event
from freshd.core.model import Moment
from freshd.ports import Alarms, Clock

TICK_SECONDS: Final = 10.0
STEP_SECONDS: Final = 2.0
"""A change of wall minus boot, or of boot minus monotonic, beyond this is a step or a suspend; slewing stays below."""
Clocks = tuple[Moment, float]
"""Wall and boot clock, and the loop's monotonic one."""


class Ticks:
    """One per daemon.  `ring(account)` is called for each of `accounts()` after a jump."""

    def __init__(
        self, clock: Clock, alarms: Alarms, tell: Callable[[Event], None], ring: Callable[[str], None],
        accounts: Callable[[], Iterable[str]],
    ) -> None:  # fmt: skip
        self._clock, self._alarms, self._tell = clock, alarms, tell
        self._ring, self._accounts = ring, accounts
        self._last: Clocks | None = None

    def begin(self) -> None:
        """Look at the clocks for the first time."""
        self._last = self._clocks()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - see the rules
                self._tell(Event("bug", None, {"kind": type(error).__name__, "task": "ticks"}))

    def tick(self) -> None:
        """Notice steps and suspends; keep near alarms placed."""
        before, self._last = self._last, self._clocks()
        jumps = {} if before is None else _jumps(before, self._last)
        realign = getattr(self._alarms, "realign", None)
        if realign is not None:
            realign()
        for name, seconds in jumps.items():
            self._tell(Event(name, None, {"seconds": round(seconds, 3)}))
        for account in self._accounts() if jumps else ():
            try:
                self._ring(account)
            except Exception as error:  # noqa: BLE001 - see the rules
                self._tell(Event("bug", account, {"kind": type(error).__name__}))

    def _clocks(self) -> Clocks:
        return self._clock.now(), asyncio.get_running_loop().time()


def _jumps(before: Clocks, after: Clocks) -> dict[str, float]:
    (was, mono_was), (now, mono_now) = before, after
    slept = (now.boot - was.boot) - (mono_now - mono_was)
    stepped = (now.wall - was.wall) - (now.boot - was.boot)
    jumps = {"clock.resumed": slept} if slept > STEP_SECONDS else {}
    return jumps | ({"clock.stepped": stepped} if abs(stepped) > STEP_SECONDS else {})
