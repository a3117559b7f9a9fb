"""Calls into custodians: on threads of their own, with a deadline, and given up if need be.

Rules
-----
* An OS keyring may wait for a person, for ever.  So the caller waits for its deadline at most, and the thread is a
  daemon: it holds up neither other calls nor the end of the process (I11).
* At most `MOST_AT_ONCE` threads; while all hang, further calls fail by their own deadlines.
* Calls with one key never overlap: what was given up may still land, and must not land on top of a later write.
* Whatever a custodian raises becomes KeyringUnavailable, with the name of the exception and never its text.
* Must not: take silence for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from freshd.errors import FreshdError, KeyringUnavailable

T = TypeVar("T")

MOST_AT_ONCE: Final = 4
DEADLINE_SECONDS: Final = 10.0
"""A keyring with thousands of entries was seen to take 0.3 s; a person asked for a password takes longer than any
caller waits."""

REMEDY: Final = "unlock the keyring, or look at its daemon: freshd doctor; freshd goes on by itself"


class Calls:
    """Runs blocking calls apart from the loop.  Used from the loop's thread only."""

    def __init__(self, deadline: float = DEADLINE_SECONDS, most: int = MOST_AT_ONCE, *, inline: bool = False) -> None:
        self.deadline = deadline
        self._most = most
        self._inline = inline
        self._running: set[str] = set()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def hanging(self) -> int:
        """Calls that have not come back yet, given up or not."""
        return len(self._running)

    async def run(self, key: str, call: Callable[[], T]) -> T:
        """What `call` returns.  Raises KeyringUnavailable after the deadline, or what the call meets."""
        if self._inline:
            return _unwrap(*_attempt(call))
        try:
            async with asyncio.timeout(self.deadline):
                await self._turn(key)
                value, error = await self._start(key, call)
        except TimeoutError:
            raise KeyringUnavailable(f"the keyring did not answer within {self.deadline:g} s", REMEDY) from None
        return cast("T", _unwrap(value, error))

    async def _turn(self, key: str) -> None:
        while key in self._running or len(self._running) >= self._most:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(turn)
            try:
                await turn
            finally:
                self._waiting.discard(turn)

    def _start(self, key: str, call: Callable[[], Any]) -> asyncio.Future[tuple[Any, Exception | None]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Any, Exception | None]] = loop.create_future()

        def work() -> None:
            result = _attempt(call)
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(self._back, key, future, result)

        try:
            threading.Thread(target=work, name="freshd-custodian", daemon=True).start()
        except RuntimeError:
            raise KeyringUnavailable("no thread can be started to ask the keyring", REMEDY) from None
        self._running.add(key)  # not before: what never began never comes back
        return future

    def _back(
        self, key: str, future: asyncio.Future[tuple[Any, Exception | None]], result: tuple[Any, Exception | None]
    ) -> None:
        self._running.discard(key)
        if not future.done():
            future.set_result(result)
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)


def _attempt(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return call(), None
    except FreshdError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - back ends raise whatever their libraries raise
        return None, KeyringUnavailable(f"the keyring failed ({type(error).__name__})", REMEDY)


def _unwrap(value: T | None, error: Exception | None) -> T:
    if error is not None:
        raise error
    return cast("T", value)
