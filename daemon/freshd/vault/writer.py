"""The one thread that writes the journal: group commit.

Rules
-----
* Requests wait in a queue.  Whatever waits when the thread is free becomes one transaction, a savepoint each: what one
  request refuses undoes only itself.
* Nobody is told before COMMIT returned, which with synchronous=FULL means after the fsync; and before what was
  written was read back on a second connection.
* A full disk: the ballast goes overboard and the vital requests (those that end a flight) are done again.
* Any other trouble of SQLite's: roll back, close, open anew, check the file, StoreError to all who wait.  After a
  failed fsync nobody knows what is on the disk, so every request must bear being done twice.
* Before each transaction the files are looked for by their names (`footing`): what nobody will find again is not
  durable.  While they are misplaced nothing is closed: what is open may be the only copy.
* The thread outlives whatever it meets: without it nothing would ever be durable again, and nobody told.
* `inline` does the same on the caller's thread, for simulations whose clock must not run ahead of the disk.
* Must not: know what a request means.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from freshd.errors import FreshdError, StoreError
from freshd.vault import schema
from freshd.vault.footing import Footing, Misplaced
from freshd.vault.request import Apply, Outcome, Prove, Refusal, Request, tell
from freshd.vault.trouble import is_full, store_error

T = TypeVar("T")

GROUP_MOST: Final = 256
"""Requests in one transaction: beyond it the gain is gone and the first one waits for the last."""

Connect = Callable[[Path], sqlite3.Connection]


class Room(Protocol):
    """What the writer needs of the ballast."""

    def release(self) -> bool:
        """Make room; False where none is left to make."""


class Writer:
    """Owns the writing connection and the thread it lives on."""

    def __init__(
        self,
        path: Path,
        room: Room,
        trace: Callable[[str], None] | None = None,
        *,
        inline: bool = False,
        connect: Connect = schema.connect,
        footing: Footing | None = None,
    ) -> None:
        self._path = path
        self._footing = footing or Footing(path)
        self._room = room
        self._trace = trace
        self._inline = inline
        self._connect = connect
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._writing: sqlite3.Connection | None = None
        self._proof: sqlite3.Connection | None = None
        self.high_water = 0.0
        self.commits = 0

    def start(self) -> None:
        """Open the connections; blocks.  Raises StoreError."""
        try:
            self._open()
            self._footing.must_hold(self.commits)
        except sqlite3.Error as error:
            raise store_error(error, self._path) from None
        except StoreError:
            self._close()
            raise
        if not self._inline:
            self._thread = threading.Thread(target=self._run, name="freshd-journal", daemon=True)
            self._thread.start()

    async def ask(
        self,
        apply: Apply[Any],
        prove: Prove[T],
        *,
        wall: float,
        point: str | None = None,
        vital: bool = False,
    ) -> T:
        """Write, and return once it is durable and read back: what `prove` then reads, given what `apply` returned.

        A caller that is cancelled stops waiting; its request is done all the same.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        request = Request(apply, prove, point, vital, wall, future)
        if self._inline:
            tell(self._serve([request]))
        else:
            self._queue.put(request)
        return await future

    async def stop(self) -> None:
        """Finish what waits, then close."""
        if self._thread is None:
            self._end()
            return
        self._queue.put(None)
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        self._thread = None

    # -- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            outcomes = self._serve(group)
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                group[0].future.get_loop().call_soon_threadsafe(tell, outcomes)
        self._end()

    def _next_group(self) -> list[Request] | None:
        first = self._queue.get()
        group: list[Request] = []
        while first is not None:
            group.append(first)
            if len(group) == GROUP_MOST or self._queue.empty():
                return group
            first = self._queue.get()
        if group:  # the stop sign came behind the last ones
            self._queue.put(None)
            return group
        return None

    def _serve(self, group: Sequence[Request]) -> list[Outcome]:
        barred, group = self._barred(group)
        if not group:
            return barred
        try:
            outcomes = self._prove(self._commit(group))
        except sqlite3.Error as error:
            outcomes = self._recover(group, error)
        except FreshdError as damage:
            outcomes = self._give_up(group, damage)
        except Exception as bug:  # noqa: BLE001 - also no memory, which SQLite does not call an error of its own
            told = StoreError(f"the journal could not be written ({type(bug).__name__})", "freshd doctor")
            outcomes = self._give_up(group, told)
        if self._trace is not None:
            for request, outcome in outcomes:
                if request.point and not isinstance(outcome, BaseException):
                    self._trace(request.point)
        return [*barred, *outcomes]

    def _barred(self, group: Sequence[Request]) -> tuple[list[Outcome], Sequence[Request]]:
        """Those that must not be written, as the files and the lock are; and those that may."""
        failure = self._misplaced()
        if failure is None:
            return [], group
        may = [request for request in group if request.vital and failure.allows_vital]
        return [(request, failure) for request in group if request not in may], may

    def _misplaced(self) -> Misplaced | None:
        try:
            if self._writing is not None:
                self._footing.check(self._writing, self._open_anew)
        except Misplaced as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - what was put back is on the disk, and is opened anew next time
            told = store_error(error, self._path)
            return Misplaced(told.cause, told.remedy)
        return None

    def _commit(self, group: Sequence[Request]) -> list[Outcome]:
        """The transaction.  Raises sqlite3.Error, and then nothing is acknowledged."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [(request, self._attempt(connection, request)) for request in group]
        highest = max(self.high_water, *(request.wall for request in group))
        connection.execute("UPDATE tide SET commits = ?, high_water = ?", (self.commits + 1, highest))
        connection.execute("COMMIT")
        self.high_water, self.commits = highest, self.commits + 1
        self._footing.wrote(self.commits)
        return outcomes

    @staticmethod
    def _attempt(connection: sqlite3.Connection, request: Request) -> object:
        connection.execute("SAVEPOINT request")
        try:
            outcome = request.apply(connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the request came from
            connection.execute("ROLLBACK TO request")
            outcome = error
        connection.execute("RELEASE request")
        return outcome

    def _prove(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Read back on the second connection, in one snapshot."""
        proof = cast("sqlite3.Connection", self._proof)
        proof.execute("BEGIN")
        try:
            return [(request, self._proven(proof, request, outcome)) for request, outcome in outcomes]
        finally:
            proof.execute("COMMIT")

    @staticmethod
    def _proven(proof: sqlite3.Connection, request: Request, outcome: object) -> object:
        if isinstance(outcome, Exception | Refusal):
            return outcome
        try:
            return request.prove(proof, outcome)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - the same
            return error

    # -- trouble -------------------------------------------------------------------------------------------

    def _recover(self, group: Sequence[Request], error: sqlite3.Error) -> list[Outcome]:
        """After SQLite failed: reopen, and on a full disk do the vital requests again with the ballast's room."""
        self._roll_back()  # first: out of an open transaction nothing can be put back
        misplaced = self._misplaced()
        if misplaced is not None and not misplaced.allows_vital:
            return [(request, misplaced) for request in group]
        failure: FreshdError = store_error(error, self._path)
        vital = [request for request in group if request.vital]
        has_room = bool(vital) and is_full(error) and self._room.release()  # first: reopening needs room too
        try:
            self._reopen()
            if not has_room:
                return [(request, failure) for request in group]
            rest: list[Outcome] = [(request, failure) for request in group if not request.vital]
            return [*rest, *self._prove(self._commit(vital))]
        except FreshdError as damage:
            failure = damage
        except Exception as again:  # noqa: BLE001 - the thread outlives it
            failure = store_error(again, self._path)
        return self._give_up(group, failure)

    def _roll_back(self) -> None:
        """End the transaction that failed, where SQLite has not done so itself."""
        with contextlib.suppress(sqlite3.Error):
            if self._writing is not None and self._writing.in_transaction:
                self._writing.execute("ROLLBACK")

    def _give_up(self, group: Sequence[Request], failure: FreshdError) -> list[Outcome]:
        self._close()
        return [(request, failure) for request in group]

    def _reopen(self) -> None:
        self._open_anew()
        schema.check(cast("sqlite3.Connection", self._writing), self._path)

    def _open_anew(self) -> None:
        self._close()
        self._open()

    def _open(self) -> None:
        self._writing = self._connect(self._path)
        self._proof = schema.connect_reading(self._path)
        self._footing.note()
        self.commits, highest = self._writing.execute("SELECT commits, high_water FROM tide").fetchone()
        self.high_water = max(self.high_water, highest)

    def _connection(self) -> sqlite3.Connection:
        if self._writing is None:  # an earlier try to open it anew did not succeed
            self._reopen()
        return cast("sqlite3.Connection", self._writing)

    def _end(self) -> None:
        """The last look: a journal that was deleted is put back before it is let go of.

        Where another lies in its place, that one was not closed in good order.
        """
        is_lost = self._misplaced() is not None and self._misplaced() is not None  # the first one may put it back
        is_whole = self._writing is not None and not is_lost
        self._close()
        if is_whole:
            self._footing.wrote(0)

    def _close(self) -> None:
        self._footing.forget()
        for connection in (self._proof, self._writing):
            with contextlib.suppress(sqlite3.Error):
                if connection is not None:
                    connection.close()
        self._writing = self._proof = None
