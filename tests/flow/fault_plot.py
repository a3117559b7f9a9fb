"""The faults that are brought about on a real daemon while it renews, each a function of the stage.

Each brings its fault about, looks while it lasts, does what the alert advises, and returns what only it could see.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.crash.services import Sandbox
from tests.flow.fault_stage import Row, Seen, Stage

ACCESS_SECONDS: Final = 3600
HOLDS_SECONDS: Final = (0.3, 1.5, 6.0)
"""How long the service holds a call back, so that something can happen between intent and escrow."""
HALF_A_BALLAST: Final = 512 * 1024
Fault = Callable[[Stage], Seen]


# -- while a fault lasts -------------------------------------------------------------------------------------------


def unable(stage: Stage, fault: AbstractContextManager[object], *, healed: str = "by the remedy") -> Seen:
    """The fault is there before a refresh begins."""
    since, calls = stage.events(), stage.calls()
    with fault:
        stage.begin()
        stage.alert("refresh.unable", since)
        return Seen(healed, stage.is_served(), stage.calls() - calls)


def unsaved(
    stage: Stage, fault: Callable[[], AbstractContextManager[object]], *, healed: str = "by the remedy"
) -> Seen:
    """The fault comes between the intent and the escrow, with the answer under way.

    Where the answer was faster, it is done again with an answer that takes longer.
    """
    for hold in HOLDS_SECONDS:
        before = stage.generation()
        stage.begin_held(hold)
        since, calls = stage.events(), stage.calls()
        with fault():
            if stage.either("save.failed", since, before):
                return Seen(healed, stage.is_served(), stage.calls() - calls)
    raise AssertionError("the answer was always faster than the fault")


@contextlib.contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Not a block is left."""
    stage.fill()
    try:
        yield
    finally:
        stage.make_room()


# -- a full disk ---------------------------------------------------------------------------------------------------


def full_before(stage: Stage) -> Seen:
    return unable(stage, full(stage))


def full_in_flight(stage: Stage) -> Seen:
    """The ballast makes room for the escrow and the commit."""
    before = stage.generation()
    stage.begin_held(HOLDS_SECONDS[0])
    with full(stage):
        served = stage.is_served()
        stage.renewed(before)
    return Seen("by itself", served)


def full_without_ballast(stage: Stage) -> Seen:
    """Somebody else's write was faster than ours."""

    @contextlib.contextmanager
    def fault() -> Iterator[None]:
        (stage.bed.state / "ballast").unlink()
        with full(stage):
            yield

    return unsaved(stage, fault)


def full_at_commit(stage: Stage) -> Seen:
    """The escrow finds room, the commit does not."""
    before = stage.generation()
    stage.begin_held(HOLDS_SECONDS[0])
    with stage.failing("pwrite64,fdatasync", "delay_enter=1"):
        stage.renewed(before)
    writes = stage.traced().split("fdatasync")[0].count("pwrite64(")
    return unsaved(stage, lambda: stage.failing("pwrite64", f"error=ENOSPC:when={writes + 1}+"))


def full_for_the_ballast(stage: Stage) -> Seen:
    """The ballast was used up, and there is too little room to make it again."""
    before = stage.generation()
    stage.begin_held(HOLDS_SECONDS[0])
    stage.fill()
    stage.renewed(before)
    stage.make_room()

    @contextlib.contextmanager
    def fault() -> Iterator[None]:
        stage.fill(leave=HALF_A_BALLAST)
        try:
            yield
        finally:
            stage.make_room()

    return unable(stage, fault())


def full_at_start(stage: Stage) -> Seen:
    """Stopped in good order: what is left of a log gives no room back when it is opened."""
    stage.process.stop()
    stage.fill()
    stage.process = stage.bed.up()
    since, calls = stage.events(), stage.calls()
    stage.begin()
    stage.alert("refresh.unable", since)
    seen = Seen("by the remedy", stage.is_served(), stage.calls() - calls)
    stage.make_room()
    return seen


# -- calls that fail -----------------------------------------------------------------------------------------------


def failing(calls: str, how: str, *, healed: str = "by the remedy") -> Fault:
    """From before the intent."""
    return lambda stage: unable(stage, stage.failing(calls, how), healed=healed)


def failing_in_flight(calls: str, how: str, *, healed: str = "by the remedy") -> Fault:
    """From between intent and escrow."""
    return lambda stage: unsaved(stage, lambda: stage.failing(calls, how), healed=healed)


def slow(stage: Stage) -> Seen:
    """The readers' leases are in memory."""
    before = stage.generation()
    with stage.failing("fdatasync", "delay_enter=500ms"):
        stage.begin()
        served = stage.is_served(200)
        stage.renewed(before)
    return Seen("by itself", served)


# -- files that are taken away -------------------------------------------------------------------------------------


def deleted(*names: str, restarts: bool = True) -> Fault:
    """Before a refresh begins."""

    def fault(stage: Stage) -> Seen:
        since, calls, before = stage.events(), stage.calls(), stage.generation()
        for name in names:
            (stage.bed.state / name).unlink()
        stage.begin()
        stage.alert("refresh.unable", since)
        seen = Seen("by itself", stage.is_served(), stage.calls() - calls)
        stage.renewed(before)
        if restarts:
            stage.restart()
        return seen

    return fault


def removed_in_flight(stage: Stage) -> Seen:
    """The whole directory, with an answer under way."""
    before = stage.generation()
    stage.begin_held(HOLDS_SECONDS[0])
    since, calls = stage.events(), stage.calls()
    shutil.rmtree(stage.bed.state)
    stage.alert("save.failed", since)
    seen = Seen("by itself", stage.is_served(), stage.calls() - calls)
    stage.renewed(before)
    stage.restart()
    return seen


@contextlib.contextmanager
def moved(stage: Stage) -> Iterator[None]:
    aside = stage.disk / "aside"
    stage.bed.state.rename(aside)
    yield
    aside.rename(stage.bed.state)


@contextlib.contextmanager
def replaced(stage: Stage) -> Iterator[None]:
    """A copy is put in the journal's place, as a careless restore does."""
    copy, other = stage.disk / "copy", stage.disk / "other"
    shutil.copy(stage.journal, copy)
    copy.rename(stage.journal)
    yield
    stage.journal.rename(other)
    other.unlink()


def with_restart(fault: Fault) -> Fault:
    """And what was put right is found by the next start."""

    def after(stage: Stage) -> Seen:
        before = stage.generation()
        seen = fault(stage)
        stage.renewed(before)
        stage.restart()
        return seen

    return after


def lock_deleted(stage: Stage) -> Seen:
    """Nobody else can start beside it once it has written again."""
    before = stage.generation()
    (stage.bed.state / "lock").unlink()
    stage.begin()
    stage.renewed(before)
    said = stage.bed.run("run")
    assert said.code == os.EX_CANTCREAT, said.text
    return Seen("by itself", stage.is_served())


@contextlib.contextmanager
def lock_taken(stage: Stage) -> Iterator[None]:
    lock = stage.bed.state / "lock"
    lock.unlink()
    with lock.open("w") as file:
        lock.chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ballast_deleted(stage: Stage) -> Seen:
    before, ballast = stage.generation(), stage.bed.state / "ballast"
    ballast.unlink()
    stage.begin()
    stage.renewed(before)
    assert ballast.stat().st_size >= 1 << 20
    return Seen("by itself", stage.is_served())


FSYNC: Final = "fsync,fdatasync"
FAULTS: Final[Mapping[str, Fault]] = {
    "disk full before a refresh": full_before,
    "disk full between intent and escrow": full_in_flight,
    "the same, and the ballast gone": full_without_ballast,
    "no room at the commit": full_at_commit,
    "too little room to make the ballast again": full_for_the_ballast,
    "disk full at the start": full_at_start,
    "fsync EIO once, at the intent": failing(FSYNC, "error=EIO:when=1", healed="by itself"),
    "fsync EIO for ever, at the intent": failing(FSYNC, "error=EIO"),
    "fsync EIO once, at the escrow": failing_in_flight(FSYNC, "error=EIO:when=1", healed="by itself"),
    "fsync EIO for ever, at the escrow": failing_in_flight(FSYNC, "error=EIO"),
    "fsync EIO once, at the commit": failing_in_flight(FSYNC, "error=EIO:when=2", healed="by itself"),
    "fsync EIO for ever, at the commit": failing_in_flight(FSYNC, "error=EIO:when=2+"),
    "write EIO, at the intent": failing("pwrite64", "error=EIO"),
    "write EIO, at the escrow": failing_in_flight("pwrite64", "error=EIO"),
    "write ENOSPC, at the intent": failing("pwrite64", "error=ENOSPC"),
    "write ENOSPC, at the escrow": failing_in_flight("pwrite64", "error=ENOSPC"),
    "write EROFS (read-only), at the intent": failing("pwrite64", "error=EROFS"),
    "write EROFS (read-only), at the escrow": failing_in_flight("pwrite64", "error=EROFS"),
    "read EIO": failing("pread64", "error=EIO"),
    "each fdatasync takes 0.5 s": slow,
    "journal deleted": deleted("journal.db", restarts=False),
    "log (-wal) deleted": deleted("journal.db-wal"),
    "journal, log and shared memory deleted": deleted("journal.db", "journal.db-wal", "journal.db-shm"),
    "state directory removed, with an answer under way": removed_in_flight,
    "state directory moved away": lambda stage: unable(stage, moved(stage)),
    "state directory moved away, with an answer under way": lambda stage: unsaved(stage, lambda: moved(stage)),
    "another file in the journal's place": with_restart(lambda stage: unable(stage, replaced(stage))),
    "lock file deleted": lock_deleted,
    "lock file deleted, and taken by another": lambda stage: unable(stage, lock_taken(stage)),
    "ballast deleted": ballast_deleted,
}


def lived(folder: Path) -> dict[str, Row]:
    """Every row."""
    with Sandbox() as service:
        service.ask("PATCH", "/policy", {"access_s": ACCESS_SECONDS})
        with Stage(folder / "stage", service, "disk") as stage:
            return {name: stage.row(name, fault) for name, fault in FAULTS.items()}
