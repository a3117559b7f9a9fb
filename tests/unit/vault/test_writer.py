"""The writing thread on its own: what a request that fails leaves, and who gets the ballast's room."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from freshd.errors import Stale, StoreError
from freshd.vault import schema
from freshd.vault.footing import Footing
from freshd.vault.writer import Writer

Apply = Callable[[sqlite3.Connection], Any]


class Room:
    """A ballast that can be thrown overboard as often as anybody likes; `released` counts."""

    released = 0

    def release(self) -> bool:
        self.released += 1
        return True


class Lock:
    """Remembers which commits it was told to be durable."""

    commits = 0

    def __init__(self) -> None:
        self.told: list[int] = []

    def keep(self) -> None:
        """It is always ours."""

    def note(self, commits: int) -> None:
        self.told.append(commits)


class Failing(sqlite3.Connection):
    """A connection whose next commit fails."""

    fails = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.fails:
            self.fails = False
            raise trouble("SQLITE_IOERR_FSYNC")
        return super().execute(sql, *parameters)


def trouble(name: str) -> sqlite3.OperationalError:
    """An error as SQLite would raise it."""
    error = sqlite3.OperationalError("as SQLite words it")
    error.sqlite_errorname = name
    return error


class Bench:
    """A writer over a journal of its own."""

    def __init__(self, folder: Path) -> None:
        self.path, self.room, self.lock = folder / "journal.db", Room(), Lock()
        schema.make_file(self.path)
        schema.prepare(self.path)
        self.writer = Writer(self.path, self.room, footing=Footing(self.path, self.lock))

    async def ask(self, apply: Apply, *, vital: bool = False) -> None:
        await self.writer.ask(apply, lambda _db, _: None, wall=0.0, vital=vital)

    async def names(self) -> set[str]:
        """What was written by `note`."""

        def prove(db: sqlite3.Connection, _: object) -> set[str]:
            return {name for (name,) in db.execute("SELECT name FROM meta WHERE value = 'noted'")}

        return await self.writer.ask(lambda _db: None, prove, wall=0.0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    made.writer.start()
    yield made
    await made.writer.stop()


def note(db: sqlite3.Connection, name: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, 'noted')", (name,))


def failing_once(name: str, first: Callable[[], object], error: Exception) -> Apply:
    """Notes, and fails behind that the first time."""
    tries = iter([True])

    def apply(db: sqlite3.Connection) -> None:
        note(db, name)
        if next(tries, False):
            first()
            raise error

    return apply


async def test_what_a_request_had_written_before_it_was_refused_is_undone(bench: Bench) -> None:
    with pytest.raises(Stale):
        await bench.ask(failing_once("half", lambda: None, Stale("a stale writer", "nothing")))
    await bench.ask(lambda db: note(db, "whole"))
    assert await bench.names() == {"whole"}


async def test_what_sqlite_fails_at_within_a_request_is_trouble_of_the_store_and_leaves_nothing(bench: Bench) -> None:
    apply = failing_once("half", lambda: None, trouble("SQLITE_IOERR_READ"))
    with pytest.raises(StoreError, match="SQLITE_IOERR_READ"):
        await bench.ask(apply)
    assert await bench.names() == set()
    await bench.ask(apply)
    assert await bench.names() == {"half"}


async def test_I3_a_disk_that_is_full_in_the_midst_of_a_vital_request_gives_it_the_ballasts_room(bench: Bench) -> None:
    await bench.ask(failing_once("escrow", lambda: None, trouble("SQLITE_FULL")), vital=True)
    assert bench.room.released == 1
    assert await bench.names() == {"escrow"}


async def test_I2_what_begins_something_throws_no_ballast_overboard(bench: Bench) -> None:
    with pytest.raises(StoreError, match="is full"):
        await bench.ask(failing_once("intent", lambda: None, trouble("SQLITE_FULL")))
    assert bench.room.released == 0


async def test_I2_beside_what_ends_a_flight_nothing_is_begun_in_the_ballasts_room(bench: Bench) -> None:
    free = threading.Event()
    apply = failing_once("escrow", lambda: None, trouble("SQLITE_FULL"))
    asked = [
        asyncio.ensure_future(one)
        for one in (
            bench.ask(lambda _db: free.wait(), vital=True),  # the others wait behind it, and are one group
            bench.ask(lambda db: note(db, "intent")),
            bench.ask(apply, vital=True),
        )
    ]
    await asyncio.sleep(0)
    free.set()
    _, begun, ended = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(begun, StoreError)
    assert ended is None
    assert await bench.names() == {"escrow"}


async def test_the_lock_is_told_of_no_commit_that_is_not_durable(tmp_path: Path) -> None:
    bench, made = Bench(tmp_path), list[Failing]()

    def connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Failing)
        connection.execute("PRAGMA journal_mode = WAL")
        made.append(connection)
        return connection

    bench.writer._connect = connect
    bench.writer.start()
    await bench.ask(lambda db: note(db, "one"))
    made[-1].fails = True
    with pytest.raises(StoreError, match="SQLITE_IOERR_FSYNC"):
        await bench.ask(lambda db: note(db, "two"))
    assert bench.lock.told == [1]
    await bench.writer.stop()


@pytest.mark.parametrize("lost", ["journal.db", "journal.db-wal", "journal.db journal.db-wal journal.db-shm"])
async def test_I3_files_that_vanish_while_a_write_fails_take_nothing_with_them_and_bring_no_half(
    bench: Bench, lost: str
) -> None:
    await bench.ask(lambda db: note(db, "durable"))

    def vanish() -> None:
        for name in lost.split():
            bench.path.with_name(name).unlink()

    with pytest.raises(StoreError, match="written anew"):
        await bench.ask(failing_once("half", vanish, trouble("SQLITE_IOERR_WRITE")))
    assert await bench.names() == {"durable"}


async def test_what_waits_at_the_stop_is_written_and_the_thread_ends(bench: Bench) -> None:
    free = threading.Event()
    asked = [
        asyncio.ensure_future(bench.ask(apply)) for apply in (lambda _db: free.wait(), lambda db: note(db, "last"))
    ]
    await asyncio.sleep(0)
    stop = asyncio.ensure_future(bench.writer.stop())
    await asyncio.sleep(0)  # the sign to stop lies behind both now
    free.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*asked, stop)
    bench.writer.start()
    assert await bench.names() == {"last"}


async def test_a_crash_point_is_told_of_what_is_durable_only(bench: Bench) -> None:
    async def reach(apply: Apply, point: str) -> None:
        await bench.writer.ask(apply, lambda _db, _: None, wall=0.0, point=point)

    points: list[str] = []
    bench.writer._trace = points.append
    with pytest.raises(Stale):
        await reach(failing_once("half", lambda: None, Stale("a stale writer", "nothing")), "refused")
    await reach(lambda db: note(db, "whole"), "durable")
    assert points == ["durable"]
