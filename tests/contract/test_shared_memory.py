"""SQLite's shared memory on a file system with small blocks: it has room, and our locks on it outlive the taking."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from freshd.vault import KeyFile, schema, shared_memory
from freshd.vault.shared_memory import SHARED_BYTES, SharedMemory
from tests.contract.vault_bed import Bed, enrolled

LOOK: Final = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM records").fetchone()[0])
db.close()
"""


@pytest.fixture(params=["small blocks", "large blocks"])
def is_small(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this file system's blocks are smaller than what SQLite is said to touch."""
    small = str(request.param) == "small blocks"
    monkeypatch.setattr(shared_memory, "TOUCHED_BYTES", os.statvfs(tmp_path).f_frsize + small)
    return small


@contextmanager
def journal(folder: Path) -> Iterator[Path]:
    path = folder / "journal.db"
    schema.make_file(path)
    schema.prepare(path)
    with closing(schema.connect(path)) as connection:
        connection.execute("INSERT INTO pace VALUES ('host', '')")
        yield path


def room_of(path: Path) -> int:
    return path.with_name(f"{path.name}-shm").stat().st_blocks * 512


def test_all_of_it_has_room_where_blocks_are_small(tmp_path: Path, is_small: bool) -> None:
    with journal(tmp_path) as path:
        memory = SharedMemory(path)
        memory.make_room()
        assert (room_of(path) >= SHARED_BYTES) == is_small
        memory.close()


def test_a_disk_without_room_for_it_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_memory, "TOUCHED_BYTES", 2**20)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with journal(tmp_path) as path:
        memory = SharedMemory(path)
        memory.make_room()
        assert look(path) == "0"
        assert sqlite3.connect(path).execute("SELECT count(*) FROM pace").fetchone() == (1,)
        memory.close()


async def test_who_looks_from_another_process_finds_the_daemon_still_there(tmp_path: Path, is_small: bool) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    path = bed.folder / "journal.db"
    before = path.with_name("journal.db-shm").stat()
    for number in range(3):
        path.unlink()  # it is put back, and opened anew
        with pytest.raises(Exception, match="written anew"):
            await enrolled(bed, vault, f"b{number}")
        await enrolled(bed, vault, f"c{number}")
        shared = path.with_name("journal.db-shm").stat()
        assert int(look(path)) == number + 2
        after = path.with_name("journal.db-shm").stat()
        assert (after.st_ino, after.st_size) == (shared.st_ino, shared.st_size)
    assert before.st_size >= (SHARED_BYTES if is_small else 1)
    await bed.aclose()
    assert still_open(bed.folder) == []


def look(path: Path) -> str:
    """What another program finds that opens the journal and closes it again."""
    run = subprocess.run([sys.executable, "-c", LOOK, path], capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.strip()


def still_open(folder: Path) -> list[Path]:
    """The files of a folder that this process has open."""
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that this look needs
            found.append(name.readlink())
    return [path for path in found if path.is_relative_to(folder)]
