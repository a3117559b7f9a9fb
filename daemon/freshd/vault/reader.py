"""The thread that reads the journal, so that neither a hung disk nor a waiting writer stops the event loop.

Rules
-----
* A connection of its own that cannot write; it sees only what is committed.
* Trouble of SQLite's becomes StoreError; the connection is opened anew for the next question, and where the writer has
  put back a file that was deleted (`footing`).
* `inline` answers on the caller's thread, for simulations.
* Must not: be asked for anything that a reader of leases waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from freshd.vault import schema
from freshd.vault.footing import Footing
from freshd.vault.trouble import store_error

T = TypeVar("T")
Question = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class Reader:
    """Answers questions to the journal, one after the other."""

    def __init__(self, path: Path, *, inline: bool = False, footing: Footing | None = None) -> None:
        self._path = path
        self._footing = footing or Footing(path)
        self._epoch = 0
        self._inline = inline
        self._queue: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    def start(self) -> None:
        """Begin to answer."""
        if not self._inline:
            self._thread = threading.Thread(target=self._run, name="freshd-journal-read", daemon=True)
            self._thread.start()

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What `question` makes of a connection.  Raises StoreError, or what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._inline:
            _tell(future, *self._answer(question))
        else:
            self._queue.put((question, future))
        return await future

    async def stop(self) -> None:
        """Answer what waits, then close."""
        if self._thread is None:
            self._close()
            return
        self._queue.put(None)
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        self._thread = None

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            question, future = asked
            answer = self._answer(question)
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                future.get_loop().call_soon_threadsafe(_tell, future, *answer)
        self._close()

    def _answer(self, question: Callable[[sqlite3.Connection], Any]) -> tuple[object, Exception | None]:
        try:
            if self._epoch != self._footing.epoch:
                self._close()
            if self._connection is None:
                self._epoch = self._footing.epoch
                self._connection = schema.connect_reading(self._path)
            return question(self._connection), None
        except sqlite3.Error as error:
            self._close()
            return None, store_error(error, self._path)
        except Exception as error:  # noqa: BLE001 - it is raised where the question came from
            return None, error

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


def _tell(future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
