"""SQLite finds the disk full: what ends a flight gets the ballast's room, and whatever begins something does not."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from freshd.core.model import Change, Intent
from freshd.errors import StoreError
from freshd.vault import JournalVault, KeyFile, schema
from tests.contract.vault_bed import REPLY, Bed, enrolled, grant, intent_on, lease, line

Ask = Callable[[JournalVault, Intent], Awaitable[object]]
ENDS: Final[dict[str, Ask]] = {
    "escrow": lambda vault, open_: vault.escrow(open_, REPLY),
    "commit": lambda vault, open_: vault.commit(open_, "a", [Change("a", grant("new"), lease("a"))], {}, line()),
    "close": lambda vault, open_: vault.close(open_, frozenset(), {}, line("refused"), {}),
    "doubt": lambda vault, open_: vault.doubt(open_, {}, line("lost")),
    "forget": lambda vault, _: vault.forget("a"),
    "pause": lambda vault, _: vault.pause("a", paused=True),
}
BEGINS: Final[dict[str, Ask]] = {
    "intend": lambda vault, open_: vault.intend(open_, {}),
    "note": lambda vault, _: vault.note({}),
    "write_behind": lambda vault, _: vault.write_behind(Change("a", lease=lease("a")), {}, line()),
}


class Disk(sqlite3.Connection):
    """The next commit finds no room."""

    full = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and Disk.full:
            Disk.full = False
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return super().execute(sql, *parameters)


def connect(path: Path) -> sqlite3.Connection:
    with pytest.MonkeyPatch.context() as patch:
        honest = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *args, **more: honest(*args, factory=Disk, **more))
        return schema.connect(path)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    made = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    yield made
    Disk.full = False
    await made.aclose()


async def begun(bed: Bed) -> tuple[JournalVault, Intent]:
    """A vault on such a disk, with a call under way."""
    vault = bed.vault()
    vault._writer._connect = connect
    await vault.open()
    await enrolled(bed, vault, "a")
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    Disk.full = True
    return vault, intent


@pytest.mark.parametrize("end", ENDS)
async def test_I3_what_ends_a_flight_finds_room(bed: Bed, end: str) -> None:
    vault, intent = await begun(bed)
    await ENDS[end](vault, intent)
    assert not Disk.full
    assert not (bed.folder / "ballast").exists()


@pytest.mark.parametrize("begin", BEGINS)
async def test_I2_what_begins_something_leaves_the_room_to_those_that_end(bed: Bed, begin: str) -> None:
    vault, intent = await begun(bed)
    with pytest.raises(StoreError, match="full"):
        await BEGINS[begin](vault, intent)
    assert (bed.folder / "ballast").exists()
