"""Time that passes only when nobody has anything to do: clocks, an event loop and alarms for tests.

`VirtualTime` is the world's: it knows the true time, and what the machine's clocks make of it.  `VirtualLoop` jumps to
the next timer as soon as it is idle, so days take seconds and nothing is ever waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from freshd.core.model import Moment

T = TypeVar("T")
EPOCH = 1_700_000_000.0
TIMER_SECONDS = 0.001
"""No timer is finer: else rounding would let one ring for ever at an instant just before it is due."""


class Idle(Exception):
    """Everybody waits and no timer is set: nothing will ever happen again."""


class VirtualTime:
    """`ports.Clock`.  `mono` stands still during suspend, `boot` does not, `wall` is what somebody set it to."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.slept = 0.0
        self.wall_error = 0.0
        self.boots = 0
        self._booted_at = 0.0

    @property
    def true(self) -> float:
        """Seconds that really passed since the beginning of the test."""
        return self.mono + self.slept - 1000.0

    def now(self) -> Moment:
        return Moment(EPOCH + self.true + self.wall_error, self.boot(), f"boot-{self.boots}")

    def boot(self) -> float:
        return self.mono + self.slept - self._booted_at

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: timers stand still."""
        self.slept += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall_error += seconds

    def reboot(self, *, down: float = 60.0, wall_error: float = 0.0) -> None:
        """Another boot: the boot clock begins anew, the wall clock is as wrong as it likes."""
        self.slept += down
        self._booted_at = self.mono + self.slept - 10.0
        self.boots += 1
        self.wall_error = wall_error


class _Jumping(selectors.DefaultSelector):
    """Looks for real input without waiting; where there is none, the time that would be waited for is over."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the base class
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Idle("all tasks wait and no timer is set")
        self._time.mono += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(_Jumping(time))
        self._virtual = time
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._virtual.mono


def run(time: VirtualTime, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on virtual time; a bug in any callback or task is raised."""
    loop = VirtualLoop(time)
    wrong: list[BaseException] = []
    loop.set_exception_handler(lambda _loop, context: wrong.append(context.get("exception") or Idle(str(context))))
    try:
        result = loop.run_until_complete(work)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()
    if wrong:
        raise wrong[0]
    return result


class FakeAlarms:
    """`ports.Alarms` on the loop's timers; like the real ones they stand still during suspend until `realign`."""

    def __init__(self, time: VirtualTime, ring: Callable[[str], None]) -> None:
        self._time = time
        self._ring = ring
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._slept = time.slept
        self.at: dict[str, float] = {}

    def set(self, account: str, at: float) -> None:
        self.cancel(account)
        self.at[account] = at
        delay = at - self._time.boot()
        delay = max(delay, TIMER_SECONDS) if delay > 0 else 0.0
        self._timers[account] = asyncio.get_running_loop().call_later(delay, self._fire, account)

    def cancel(self, account: str) -> None:
        self.at.pop(account, None)
        timer = self._timers.pop(account, None)
        if timer is not None:
            timer.cancel()

    def realign(self) -> None:
        if self._time.slept != self._slept:
            self._slept = self._time.slept
            for account, at in list(self.at.items()):
                self.set(account, at)

    def _fire(self, account: str) -> None:
        if self.at[account] > self._time.boot():
            self.set(account, self.at[account])
            return
        self.cancel(account)
        self._ring(account)
