"""What is put back under a running vault: durable, under the lock, over nothing of others; what the lock remembers."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from freshd.core.model import Change, Secret
from freshd.errors import AlreadyRunning, StoreError
from freshd.vault import JournalVault, KeyFile, statedir
from freshd.vault.guard import Guard
from tests.contract.vault_bed import Bed, enrolled, exchange, grant

STRANGER = b"somebody else's"


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))


@pytest.fixture
async def vault(bed: Bed) -> JournalVault:
    made = await bed.open()
    await enrolled(bed, made, "a", "canary-1")
    return made


async def found(bed: Bed) -> Secret | None:
    """The refresh token that the next start finds."""
    await bed.aclose()
    record = await (await bed.open()).read("a")
    await bed.aclose()
    return None if record.grant is None else record.grant.secrets["refresh_token"]


async def test_I3_what_is_written_anew_is_durable_before_it_has_its_name_and_so_is_the_name(
    bed: Bed, vault: JournalVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def linked(source: Path, target: Path) -> None:
        steps.append(f"link {target.name}")
        link(source, target)

    (bed.folder / "journal.db").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "link", linked)
        with pytest.raises(StoreError, match="written anew"):
            await vault.note({})
    assert steps == ["sync journal.db.rescued", "link journal.db", f"sync {bed.folder.name}"]
    assert await found(bed) == Secret("canary-1")


async def test_a_file_that_comes_in_between_is_not_written_over(
    bed: Bed, vault: JournalVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def synced(descriptor: int) -> None:
        (bed.folder / "journal.db").write_bytes(STRANGER)
        fsync(descriptor)

    (bed.folder / "journal.db").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        with pytest.raises(StoreError, match="cannot be written anew"):
            await vault.note({})
    assert (bed.folder / "journal.db").read_bytes() == STRANGER
    (bed.folder / "journal.db").unlink()
    assert await found(bed) == Secret("canary-1")


async def test_I1_nothing_is_put_back_in_a_directory_that_another_freshd_holds_by_now(
    bed: Bed, vault: JournalVault
) -> None:
    shutil.rmtree(bed.folder)
    bed.folder.mkdir(mode=0o700)
    with (bed.folder / "lock").open("w") as other:
        (bed.folder / "lock").chmod(0o600)
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match=r"the lock of .* was removed"):
            await vault.note({})
        assert [path.name for path in bed.folder.iterdir()] == ["lock"]
    assert await found(bed) == Secret("canary-1")


async def test_a_deleted_log_that_somebody_reads_is_kept_open_until_it_could_be_taken_in(
    bed: Bed, vault: JournalVault
) -> None:
    with closing(sqlite3.connect(bed.folder / "journal.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tide").fetchall()
        await exchange(vault, "a", Change("a", grant("canary-2")))
        (bed.folder / "journal.db-wal").unlink()
        writing = vault._writer._writing
        assert writing is not None
        writing.execute("PRAGMA busy_timeout = 20").fetchall()
        with pytest.raises(StoreError, match="the log is being read"):
            await vault.note({})
    with pytest.raises(StoreError, match="written anew"):
        await vault.note({})
    assert await found(bed) == Secret("canary-2")


# -- what the lock file says ---------------------------------------------------------------------------------------


async def test_a_journal_that_was_put_back_at_the_stop_was_closed_in_good_order(bed: Bed, vault: JournalVault) -> None:
    (bed.folder / "journal.db").unlink()
    await vault.aclose()
    assert statedir.last_commit(bed.folder) == 0


def test_a_lock_that_is_taken_again_still_knows_the_last_commit(tmp_path: Path) -> None:
    lock = statedir.Lock(tmp_path)
    lock.take()
    lock.note(7)
    (tmp_path / "lock").unlink()
    lock.keep()
    assert (lock.commits, statedir.last_commit(tmp_path)) == (7, 7)
    lock.release()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was synced."""
    names, fsync = list[str](), os.fsync

    def sync(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    return names


def test_the_name_of_a_new_lock_file_outlives_a_power_cut(tmp_path: Path, synced: list[str]) -> None:
    """Without it the next start would hold everything back."""
    lock = statedir.Lock(tmp_path)
    lock.take()
    assert synced == [tmp_path.name]
    lock.release()


def test_I5_what_a_missing_lock_file_means_outlives_a_power_cut(tmp_path: Path, synced: list[str]) -> None:
    lock = statedir.Lock(tmp_path)
    lock.take()
    synced.clear()
    for is_known in (False, True, True):
        lock.judge(is_known=is_known)
    assert synced == ["lock", "lock"]
    lock.release()


async def test_I1_whoever_holds_the_lock_is_told_before_anything_else_is_looked_at(
    bed: Bed, vault: JournalVault
) -> None:
    (bed.folder / "journal.db").unlink()
    with pytest.raises(AlreadyRunning):
        await bed.open()
    await bed.aclose()


async def test_I5_a_missing_lock_file_is_remembered_until_what_it_means_is_written(
    bed: Bed, vault: JournalVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.aclose()
    (bed.folder / "lock").unlink()

    async def fail(_self: Guard) -> None:
        raise StoreError("no room", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(Guard, "_write_holds", fail)
        first = bed.vault()
        assert (await first.open())["a"].held_back
        await first.aclose()
    assert (await bed.vault().open())["a"].held_back
    await bed.aclose()
