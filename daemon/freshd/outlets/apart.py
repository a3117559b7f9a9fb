"""Disk work of outlets, apart from the event loop: a disk that hangs holds up nobody but its own file (I11).

Rules
-----
* One thread per file at a time, ended by itself; the caller waits for its deadline at most and goes on.
* What was given up may still land, so nothing else is begun on that file before it came back.
* Threads are daemons: none keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from freshd.errors import StoreError

T = TypeVar("T")
DEADLINE_SECONDS: Final = 10.0
"""A busy disk takes milliseconds, one that spins up some seconds."""


class Apart:
    """Runs blocking work.  Used from the loop's thread only.  `inline`: on that very thread, for virtual time."""

    def __init__(self, deadline: float = DEADLINE_SECONDS, *, inline: bool = False) -> None:
        self._deadline = deadline
        self._inline = inline
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def run(self, key: str, work: Callable[[], T]) -> T:
        """What `work` returns or raises.  Raises StoreError after the deadline."""
        if self._inline:
            return work()
        try:
            async with asyncio.timeout(self._deadline):
                while (before := self._running.get(key)) is not None:
                    await asyncio.wait([before])
                return cast("T", await asyncio.shield(self._start(key, work)))
        except TimeoutError:
            raise StoreError(
                f"{key}: the disk did not answer within {self._deadline:g} s", "look at the disk, or at its server"
            ) from None

    def _start(self, key: str, work: Callable[[], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        future.add_done_callback(_looked_at)

        def body() -> None:
            try:
                result, error = work(), None
            except Exception as caught:  # noqa: BLE001 - it is raised where the work was asked for
                result, error = None, caught
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(self._back, key, future, result, error)

        try:
            threading.Thread(target=body, name="freshd-outlet", daemon=True).start()
        except RuntimeError:
            raise StoreError(f"{key}: no thread can be started", "look at the limits of freshd's unit") from None
        self._running[key] = future  # not before: what never began never comes back
        return future

    def _back(self, key: str, future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        del self._running[key]
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _looked_at(future: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is no bug."""
    if not future.cancelled():
        future.exception()
