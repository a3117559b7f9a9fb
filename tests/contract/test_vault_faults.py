"""What the vault does when the disk, the files or the machine are not as they should be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freshd.core.model import Change, Secret, Standing
from freshd.core.outcome import Reply
from freshd.errors import AlreadyRunning, StoreError, VaultForeign, VaultLocked
from freshd.vault import JournalVault, KeyFile, SystemdCredential, records, schema, statedir
from freshd.vault.ballast import PER_FLIGHT_BYTES, Ballast
from tests.contract.vault_bed import REPLY, Bed, enrolled, exchange, grant, intent_on, lease, line


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))


def pragma(bed: Bed, text: str) -> None:
    with contextlib.closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
        db.execute(f"PRAGMA {text}")


async def refused(bed: Bed, error: type[Exception], match: str) -> None:
    """Opening ends with that error and changes nothing."""
    before = (bed.folder / "journal.db").read_bytes()
    with pytest.raises(error, match=match):
        await bed.open()
    await bed.aclose()
    assert (bed.folder / "journal.db").read_bytes() == before


# -- the file ------------------------------------------------------------------------------------------------------


async def test_a_journal_of_a_newer_version_is_left_alone(bed: Bed) -> None:
    await (await bed.open()).aclose()
    pragma(bed, "user_version = 99")
    await refused(bed, VaultForeign, "version 99")


async def test_a_journal_of_version_1_gets_the_tables_it_lacks_and_remembers_from_then_on(bed: Bed) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a", "canary-1")
    await bed.aclose()
    with contextlib.closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
        db.executescript("DROP TABLE known; PRAGMA user_version = 1;")
    vault = await bed.open()
    assert await vault.knew("a", Secret("canary-1"))
    for number in (2, 3):
        await exchange(vault, "a", Change("a", grant(f"canary-{number}")))
    assert [await vault.knew("a", Secret(f"canary-{number}")) for number in (1, 2, 3, 4)] == [True, True, True, False]
    await bed.aclose()


@pytest.mark.parametrize("what", ["gone", "empty"])
async def test_a_journal_that_vanished_is_not_taken_for_a_new_vault(bed: Bed, what: str) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await bed.aclose()
    for name in ("journal.db-wal", "journal.db-shm", "journal.db"):
        (bed.folder / name).unlink(missing_ok=True)
    if what == "empty":
        (bed.folder / "journal.db").touch(mode=0o600)
    with pytest.raises(StoreError, match="gone or empty") as caught:
        await bed.open()
    await bed.aclose()
    (bed.folder / "ballast").unlink()
    assert str(bed.folder / "ballast") in caught.value.remedy
    assert await (await bed.open()).open() == {}
    await bed.aclose()


async def test_somebody_elses_database_is_left_alone(bed: Bed) -> None:
    await (await bed.open()).aclose()
    pragma(bed, "application_id = 7")
    await refused(bed, VaultForeign, "another program")


@pytest.mark.parametrize("content", [b"not a database at all", b"x" * 5000, b"SQLite format 3\0"])
async def test_a_file_that_is_no_journal_is_left_alone(bed: Bed, content: bytes) -> None:
    bed.folder.mkdir(mode=0o700)
    (bed.folder / "journal.db").touch(mode=0o600)
    (bed.folder / "journal.db").write_bytes(content)
    await refused(bed, StoreError, "damaged")


async def written(bed: Bed) -> Path:
    """The journal of a vault that was closed, with eight accounts in it."""
    vault = await bed.open()
    for name in "abcdefgh":
        await enrolled(bed, vault, name)
    await vault.aclose()
    return bed.folder / "journal.db"


async def test_a_torn_journal_is_refused_and_kept(bed: Bed) -> None:
    journal = await written(bed)
    os.truncate(journal, journal.stat().st_size * 2 // 3 // 4096 * 4096)
    await refused(bed, StoreError, "damaged")


async def test_an_overwritten_page_is_refused_and_kept(bed: Bed) -> None:
    with (await written(bed)).open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\x55" * 4096)
    await refused(bed, StoreError, "damaged")


async def test_a_file_made_but_never_filled_is_a_new_journal(bed: Bed) -> None:
    bed.folder.mkdir(mode=0o700)
    (bed.folder / "journal.db").touch(mode=0o600)
    assert await bed.vault().open() == {}
    await bed.aclose()


async def test_a_journal_open_to_others_is_refused(bed: Bed) -> None:
    await (await bed.open()).aclose()
    (bed.folder / "journal.db").chmod(0o644)
    await refused(bed, StoreError, "open to other users")


async def test_a_journal_that_is_a_link_is_refused(bed: Bed, tmp_path: Path) -> None:
    bed.folder.mkdir(mode=0o700)
    (tmp_path / "elsewhere").touch()
    (bed.folder / "journal.db").symlink_to(tmp_path / "elsewhere")
    await refused(bed, StoreError, "cannot be opened")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("name", ["", "journal.db"])
async def test_somebody_elses_file_is_refused(bed: Bed, name: str) -> None:
    await (await bed.open()).aclose()
    os.chown(bed.folder / name, 12345, -1)
    with pytest.raises(StoreError, match="belongs to user id 12345"):
        await bed.open()
    await bed.aclose()


async def test_a_folder_others_may_write_to_is_refused(bed: Bed) -> None:
    bed.folder.mkdir()
    bed.folder.chmod(0o770)
    with pytest.raises(StoreError, match="others may write"):
        await bed.open()
    await bed.aclose()


# -- where it lies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("system", "good"), [("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("btrfs", True)])
async def test_network_file_systems_are_refused(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, good: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    point = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:35 / {point} rw,relatime shared:9 - {system} server:/x rw\n"
    )
    monkeypatch.setattr(statedir, "MOUNTS", mounts)
    if good:
        await bed.open()
    else:
        with pytest.raises(StoreError, match=f"network file system \\({system}\\)"):
            await bed.open()
    await bed.aclose()


def test_the_innermost_and_latest_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 a rw\n"
        "2 1 8:1 / /srv rw - xfs a rw\n"
        "3 2 8:1 / /srv/with\\040blank rw master:1 - nfs a rw\n"
        "4 3 8:1 / /srv/with\\040blank rw - tmpfs a rw\n"
    )
    assert statedir.file_system(Path("/srv/with blank/x"), mounts) == "tmpfs"
    assert statedir.file_system(Path("/srv/with"), mounts) == "xfs"
    assert statedir.file_system(Path("/"), mounts) == "ext4"
    assert statedir.file_system(Path("/"), tmp_path / "absent") == ""


async def test_the_lock_ends_with_its_process(bed: Bed) -> None:
    bed.folder.mkdir(mode=0o700)
    script = (
        "import sys, pathlib; from freshd.vault.statedir import Lock\n"
        "Lock(pathlib.Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-c", script, str(bed.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
            await bed.open()
        holder.kill()
    await bed.open()
    await bed.aclose()


# -- the key -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [bytes(range(32)), bytes(range(32)).hex().encode()])
async def test_a_systemd_credential_opens_the_vault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vault-key").write_bytes(content)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    bed = Bed(tmp_path / "state", "sealed", SystemdCredential("vault-key", environ))
    await enrolled(bed, await bed.open(), "a")
    await bed.aclose()


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": "/nowhere"}])
async def test_no_credential_locks_the_vault(tmp_path: Path, environ: dict[str, str]) -> None:
    bed = Bed(tmp_path / "state", "sealed", SystemdCredential("vault-key", environ))
    with pytest.raises(VaultLocked, match="cannot write one there"):
        await bed.open()
    await bed.aclose()


async def test_a_key_that_is_no_key_is_refused(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text("correct horse battery staple\n")
    with pytest.raises(VaultForeign, match="is no key"):
        await bed.open()
    await bed.aclose()


# -- the disk ------------------------------------------------------------------------------------------------------


class Failing(sqlite3.Connection):
    """A connection on which chosen statements fail as they would on a bad disk."""

    plan: Callable[[str], str | None] = staticmethod(lambda _sql: None)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        fault = Failing.plan(sql)
        if fault == "after":
            super().execute(sql, *parameters)
        if fault is not None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return super().execute(sql, *parameters)


def failing_vault(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> JournalVault:
    original = sqlite3.connect

    def connect(path: Path) -> sqlite3.Connection:
        monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: original(*args, factory=Failing, **more))
        try:
            return schema.connect(path)
        finally:
            monkeypatch.setattr(sqlite3, "connect", original)

    vault = bed.vault()
    vault._writer._connect = connect
    return vault


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_failed_fsync_acknowledges_nothing_and_may_be_repeated(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    vault = failing_vault(bed, monkeypatch)
    await vault.open()
    await enrolled(bed, vault, "a")
    intent = await intent_on(vault, "a", "f")

    async def persist(write: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the write returns
        faults = iter([when])
        monkeypatch.setattr(Failing, "plan", staticmethod(lambda sql: next(faults, None) if sql == "COMMIT" else None))
        with pytest.raises(StoreError, match="SQLITE_IOERR_FSYNC"):
            await write()
        return await write()

    await persist(lambda: vault.intend(intent, {}))
    await persist(lambda: vault.escrow(intent, REPLY))
    told = await persist(lambda: vault.commit(intent, "a", [Change("a", grant("new"), lease("a"))], {}, line("second")))
    assert (told["a"].generation, told["a"].intent) == (2, None)
    assert [one.outcome for one in await vault.history("a")] == ["ok", "second"]
    assert (await vault.read("a")).grant == grant("new")
    await bed.aclose()


async def test_a_disk_that_is_gone_for_a_while_is_tried_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = failing_vault(bed, monkeypatch)
    await vault.open()
    monkeypatch.setattr(Failing, "plan", staticmethod(lambda _sql: "before"))
    for _ in range(3):
        with pytest.raises(StoreError):
            await vault.note({})
    monkeypatch.setattr(Failing, "plan", staticmethod(lambda _sql: None))
    await enrolled(bed, vault, "a")
    await bed.aclose()


async def test_damage_found_after_a_failure_is_told_to_all_and_the_writer_lives(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = failing_vault(bed, monkeypatch)
    await vault.open()

    def damaged(*_: object) -> None:
        raise StoreError("damaged", "restore")

    monkeypatch.setattr(Failing, "plan", staticmethod(lambda sql: "before" if sql == "COMMIT" else None))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "check", damaged)
        for _ in range(2):
            with pytest.raises(StoreError, match="damaged"):
                await vault.note({})
    monkeypatch.setattr(Failing, "plan", staticmethod(lambda _sql: None))
    await vault.note({})
    await bed.aclose()


@pytest.mark.parametrize("when", ["BEGIN IMMEDIATE", "COMMIT"])
async def test_what_is_no_error_of_sqlite_is_told_and_the_writer_lives(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    vault = failing_vault(bed, monkeypatch)
    await vault.open()

    def no_memory(sql: str) -> None:
        if sql == when:
            raise MemoryError

    monkeypatch.setattr(Failing, "plan", staticmethod(no_memory))
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="MemoryError"):
            await vault.note({})
        monkeypatch.setattr(Failing, "plan", staticmethod(lambda _sql: None))
        await enrolled(bed, vault, "a")
    await bed.aclose()


async def test_one_refused_request_undoes_only_itself(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    stale = await intent_on(vault, "a", "stale")
    await exchange(vault, "a", Change("a", grant("x")))
    good = [await intent_on(vault, name, name) for name in "abcd"]
    outcomes = await asyncio.gather(
        *(vault.intend(intent, {}) for intent in [good[0], good[1], stale, good[2], good[3]]), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "NoneType", "Stale", "NoneType", "NoneType"]
    await bed.aclose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system to fill")
class TestFullDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(disk)], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip("this root may not mount a tmpfs")
        yield disk
        subprocess.run(["umount", str(disk)], check=True)

    @pytest.fixture
    def bed(self, tmp_path: Path, disk: Path) -> Bed:
        return Bed(disk / "state", "sealed", KeyFile(tmp_path / "key"))

    async def test_what_was_begun_is_finished_and_nothing_is_begun(self, bed: Bed, disk: Path) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        await enrolled(bed, vault, "b")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        fill(disk)
        reply = Reply(200, (), os.urandom(64 * 1024))
        await vault.escrow(intent, reply)
        assert await vault.escrowed("a") == (intent, reply)
        told = await vault.commit(intent, "a", [Change("a", grant("new"), lease("a"))], {}, line())
        assert told["a"].generation == 2
        fill(disk)
        with pytest.raises(StoreError, match=r"no room|full"):
            await vault.intend(await intent_on(vault, "b", "g"), {})
        assert not (bed.folder / "ballast").exists()
        (disk / "filler").unlink()
        await exchange(vault, "b", Change("b", grant("later")))
        assert (bed.folder / "ballast").stat().st_size >= 1 << 20
        await bed.aclose()

    async def test_it_survives_a_restart_on_a_full_disk(self, bed: Bed, disk: Path) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        fill(disk)
        await vault.aclose()
        again = bed.vault()
        assert (await again.open())["a"].generation == 1
        assert (await again.read("a")).grant == grant("canary-refresh-1")
        await bed.aclose()


def fill(disk: Path) -> None:
    """Write until there is not one block left."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (65536, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_ballast_grows_with_the_flights_in_the_air(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")
    sizes = []
    for flights in (1, 8, 9, 30):
        assert ballast.holds(flights)
        sizes.append((tmp_path / "ballast").stat().st_size >> 20)
    assert sizes == [1, 1, 2, 4]
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= 4 << 20
    assert ballast.release()
    assert not ballast.release()
    assert not (tmp_path / "ballast").exists()


async def test_a_lost_tail_of_the_log_loses_only_what_was_not_yet_durable(bed: Bed, tmp_path: Path) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a", "one")
    wal = bed.folder / "journal.db-wal"
    durable = wal.stat().st_size
    await exchange(vault, "a", Change("a", grant("two")))
    torn = tmp_path / "torn"
    torn.mkdir(mode=0o700)
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(bed.folder / name, torn / name)
    os.truncate(torn / "journal.db-wal", durable + 1234)
    await bed.aclose()
    other = Bed(torn, "sealed", bed.custodian)
    found = await (await other.open()).read("a")
    assert (found.generation, found.grant) == (1, grant("one"))
    await other.aclose()


async def test_I2_room_is_reserved_for_the_answer_of_every_flight_in_the_air(bed: Bed) -> None:
    vault = await bed.open()
    for number in range(9):
        account = f"a{number}"
        await enrolled(bed, vault, account)
        await vault.intend(await intent_on(vault, account, account), {})
    assert (bed.folder / "ballast").stat().st_size >= 9 * PER_FLIGHT_BYTES
    await bed.aclose()


async def test_I4_a_commit_that_is_not_read_back_whole_is_no_commit(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    standing_of = records.standing_of

    def damaged(*args: Any, **more: Any) -> Standing:
        return replace(standing_of(*args, **more), broken="about")

    with monkeypatch.context() as patch:
        patch.setattr(records, "standing_of", damaged)
        with pytest.raises(StoreError, match="not read back"):
            await vault.commit(intent, "a", [Change("a", grant("new"), lease("a"))], {}, line())
    told = await vault.commit(intent, "a", [Change("a", grant("new"), lease("a"))], {}, line())
    assert (told["a"].generation, told["a"].broken) == (2, None)
    await bed.aclose()


async def test_I2_an_intent_that_is_read_back_otherwise_is_none(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    intent = await intent_on(vault, "a", "f")
    intent_of = records.intent_of
    with monkeypatch.context() as patch:
        patch.setattr(records, "intent_of", lambda *args: replace(intent_of(*args), replays=7))
        with pytest.raises(StoreError, match="not read back"):
            await vault.intend(intent, {})
    await vault.intend(intent, {})
    await bed.aclose()


async def test_I4_what_is_told_was_read_on_another_connection_than_it_was_written_on(bed: Bed) -> None:
    vault = await bed.open()
    assert await vault._writer.ask(lambda db: db, lambda db, written: db is not written, wall=0.0)
    await bed.aclose()
