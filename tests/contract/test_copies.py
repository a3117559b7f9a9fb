"""A backup and its restoring, in both placements, here and on another machine."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from freshd.core.model import Change, Secret
from freshd.errors import (
    AlreadyRunning,
    FreshdError,
    KeyringUnavailable,
    NotPossible,
    StoreError,
    VaultForeign,
    VaultLocked,
)
from freshd.ports import Custodian
from freshd.vault import KeyFile, Placement, anchor, schema
from freshd.vault.copies import looked_at
from tests.contract.copy_bed import (
    KEY,
    ReadOnly,
    another,
    copied,
    copied_at_rest,
    held_by,
    restore,
    verdict_of,
)
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import CANARIES, REPLY, Bed, enrolled, exchange, grant, intent_on, lease, row


@pytest.fixture(params=["sealed", "keyring"])
async def bed(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    placement: Placement = request.param
    custodian: Custodian = KeyFile(tmp_path / "key") if placement == "sealed" else Drawer()
    bed = Bed(tmp_path / "state", placement, custodian)
    yield bed
    await bed.aclose()


def elsewhere(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """The same placement on another machine, with nothing there yet."""
    (tmp_path / "machine-id").write_text("22" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    (tmp_path / "there").mkdir()
    return another(tmp_path, KeyFile(tmp_path / "there" / "key") if bed.placement == "sealed" else Drawer())


async def full(bed: Bed) -> bytes:
    """A vault with a grant at rest, an answer in escrow, an attempt without one; and its backup."""
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await enrolled(bed, vault, "b", "canary-refresh-b")
    await enrolled(bed, vault, "c", "canary-refresh-c")
    await vault.intend(await intent_on(vault, "b", "open"), {"b/refresh": row()})
    answered = await intent_on(vault, "c", "answered")
    await vault.intend(answered, {})
    await vault.escrow(answered, REPLY)
    await vault.pause("a", paused=True)
    content = await copied(vault)
    await vault.aclose()
    return content


async def test_what_a_backup_holds_is_there_on_another_machine(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await full(bed)
    there = elsewhere(bed, tmp_path, monkeypatch)
    done = await restore(there, content)
    assert (done.made_key, done.aside, done.held) == (True, None, frozenset("abc"))
    vault = there.vault()
    standings = await vault.open()
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    assert (await vault.read("a")).lease == lease("a", generation=1)
    assert standings["a"].paused
    assert await vault.knew("a", Secret("canary-refresh-1"))
    assert (await vault.history("a"))[0].outcome == "ok"
    left = await vault.escrowed("c")
    assert left is not None
    assert left[1] == REPLY
    open_call = standings["b"].intent
    assert open_call is not None
    assert open_call.flight == "open"
    assert (await verdict_of(vault)).faults == []
    await there.aclose()


async def test_a_backup_without_a_daemon_is_the_same(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await full(bed)
    before = held_by(bed.folder)
    content = await copied_at_rest(bed)
    assert held_by(bed.folder) == before
    there = elsewhere(bed, tmp_path, monkeypatch)
    await restore(there, content)
    vault = await there.open()
    assert (await vault.read("b")).grant == grant("canary-refresh-b")
    await there.aclose()


async def test_no_secret_lies_open_in_a_backup_nor_in_what_it_says_of_itself(bed: Bed) -> None:
    content = await full(bed)
    assert not any(canary in content for canary in CANARIES)
    assert bed.folder.name.encode() not in content


@pytest.mark.parametrize("by", ["accept", "enrol", "forget"])
async def test_I5_each_account_is_held_until_somebody_decides_about_it_over_restarts(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    content = await full(bed)
    there = elsewhere(bed, tmp_path, monkeypatch)
    await restore(there, content)
    for _ in range(2):
        vault = there.vault()
        standings = await vault.open()
        assert "restored from a backup of 20" in (vault.rolled_back or "")
        assert [name for name, one in standings.items() if one.held_back] == ["a", "b", "c"]
        await vault.aclose()
    vault = await there.open()
    if by == "accept":
        await vault.accept({"a"})
    elif by == "enrol":
        await exchange(vault, "a", Change("a", grant("fresh", "line-2"), lease("a")))
    else:
        await vault.forget("a")
    await vault.aclose()
    vault = there.vault()
    standings = await vault.open()
    assert [name for name, one in standings.items() if one.held_back] == ["b", "c"]
    await vault.accept({"b", "c"})
    assert vault.rolled_back is None
    await vault.aclose()
    vault = there.vault()
    assert not any(one.held_back for one in (await vault.open()).values())
    await there.aclose()


async def test_I5_what_an_answer_as_old_as_the_backup_brings_is_held_back_too(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await full(bed)
    there = elsewhere(bed, tmp_path, monkeypatch)
    await restore(there, content)
    vault = await there.open()
    left = await vault.escrowed("c")
    assert left is not None
    await vault.commit(left[0], "c", [Change("c", grant("from-escrow"), lease("c"))], {}, (await vault.history("c"))[0])
    await vault.aclose()
    assert (await there.vault().open())["c"].held_back
    await there.aclose()


async def test_restoring_twice_needs_to_be_said_and_deletes_nothing(bed: Bed) -> None:
    content = await full(bed)
    vault = await bed.open()
    await exchange(vault, "a", Change("a", grant("canary-newer"), lease("a")))
    await vault.aclose()
    before = held_by(bed.folder)
    with pytest.raises(NotPossible, match="same vault"):
        await restore(bed, content)
    assert held_by(bed.folder) == before
    done = await restore(bed, content, replace=True)
    assert done.aside is not None
    assert done.aside.name.startswith("journal.db.replaced-20")
    assert done.aside.read_bytes() == before["journal.db"]
    assert not done.made_key
    vault = bed.vault()
    standings = await vault.open()
    assert standings["a"].held_back
    await vault.aclose()


async def test_a_later_grant_in_the_keyring_is_taken_up_not_written_over(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "keyring", Drawer())
    content = await full(bed)
    vault = await bed.open()
    for number in range(2):  # the second one lies where the backup's grant would be written
        standing = await exchange(vault, "a", Change("a", grant(f"newer-{number}"), lease("a")))
        await bed.rest(standing)
    await vault.aclose()
    await restore(bed, content, replace=True)
    bed.news.clear()
    vault = bed.vault()
    assert (await vault.open())["a"].held_back
    await bed.until_told("a", settled=True)
    assert (await vault.read("a")).grant == grant("newer-1")
    await bed.aclose()


async def test_a_grant_that_cannot_be_had_stops_a_backup_and_is_named(tmp_path: Path) -> None:
    drawer = Drawer()
    bed = Bed(tmp_path / "state", "keyring", drawer)
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await enrolled(bed, vault, "b")
    drawer.locked = True
    with pytest.raises(KeyringUnavailable, match="the grant of a cannot be had") as caught:
        await copied(vault)
    assert "--without a" in caught.value.remedy
    content = await copied(vault, "a", "b")
    assert looked_at(content).header.without == ("a", "b")
    drawer.locked = False
    await vault.aclose()
    there = another(tmp_path, Drawer())
    await restore(there, content)
    vault = there.vault()
    standings = await vault.open()
    assert (standings["a"].held, standings["a"].generation) == (frozenset(), 1)
    assert standings["a"].lease is not None
    assert (await vault.read("a")).grant is None
    await there.aclose()


async def test_an_account_that_goes_on_meanwhile_means_another_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = Bed(tmp_path / "state", "keyring", Drawer())
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    unsealed = vault._opening.unsealed()
    assert unsealed.settler is not None
    look, first = unsealed.settler.rest.grant, True

    async def slowly(_self: object, row: object) -> object:
        nonlocal first
        if first:
            first = False
            for number in range(2):
                standing = await exchange(vault, "a", Change("a", grant(f"newer-{number}"), lease("a")))
                await bed.rest(standing)
        return await look(row)  # type: ignore[arg-type]

    monkeypatch.setattr(type(unsealed.settler.rest), "grant", slowly)
    content = await copied(vault)
    monkeypatch.undo()
    await vault.aclose()
    there = another(tmp_path, Drawer())
    await restore(there, content)
    vault = await there.open()
    assert (await vault.read("a")).grant == grant("newer-1")
    await there.aclose()


async def test_everything_is_sealed_under_the_key_of_the_place_it_comes_to(bed: Bed, tmp_path: Path) -> None:
    content = await full(bed)
    there = another(tmp_path, ReadOnly(b"m" * 32))
    done = await restore(there, content)
    assert not done.made_key
    vault = await there.open()
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    assert await vault.knew("a", Secret("canary-refresh-1"))
    assert (await verdict_of(vault)).faults == []
    await there.aclose()


async def test_a_damaged_record_stops_no_backup(bed: Bed, tmp_path: Path) -> None:
    await full(bed)
    with sqlite3.connect(bed.folder / "journal.db") as db:
        db.execute("UPDATE records SET about = ? WHERE account = 'b'", (b"\x01" * 80,))
    db.close()
    content = await copied_at_rest(bed)
    there = another(tmp_path, KeyFile(tmp_path / "other-key") if bed.placement == "sealed" else Drawer())
    await restore(there, content)
    vault = there.vault()
    standings = await vault.open()
    assert standings["b"].broken
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    await there.aclose()


# -- refused, with nothing changed -----------------------------------------------------------------------------------


async def refused(bed: Bed, content: bytes, *, key: bytes = KEY, replace: bool = False) -> FreshdError:
    before = held_by(bed.folder.parent)
    with pytest.raises(FreshdError) as caught:
        await restore(bed, content, replace=replace, key=key)
    assert held_by(bed.folder.parent) == before
    assert caught.value.remedy
    return caught.value


async def test_a_backup_of_another_vault_is_refused(tmp_path: Path) -> None:
    mine = Bed(tmp_path / "mine" / "state", "sealed", KeyFile(tmp_path / "key"))
    content = await full(mine)
    theirs = Bed(tmp_path / "theirs" / "state", "sealed", KeyFile(tmp_path / "key"))
    await full(theirs)
    for replace_ in (False, True):
        error = await refused(theirs, content, replace=replace_)
        assert isinstance(error, VaultForeign)
        assert "backup of another vault" in error.cause


async def test_a_key_that_does_not_fit_is_refused(bed: Bed, tmp_path: Path) -> None:
    content = await full(bed)
    error = await refused(another(tmp_path, ReadOnly(b"m" * 32)), content, key=b"x" * 32)
    assert "not the one of this copy" in error.cause


async def test_a_credential_of_the_wrong_length_is_refused(bed: Bed, tmp_path: Path) -> None:
    content = await full(bed)
    error = await refused(another(tmp_path, ReadOnly(b"m" * 31)), content)
    assert isinstance(error, VaultForeign)
    assert "32 bytes" in error.cause


async def test_a_custodian_without_a_key_that_only_a_person_can_put_there_is_refused(bed: Bed, tmp_path: Path) -> None:
    content = await full(bed)
    there = another(tmp_path, ReadOnly())
    error = await refused(there, content)
    assert isinstance(error, VaultLocked)
    assert "systemd-creds encrypt" in error.remedy
    assert not there.folder.exists()


async def test_a_locked_keyring_is_refused(tmp_path: Path) -> None:
    content = await full(Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key")))
    drawer = Drawer()
    drawer.locked = True
    there = another(tmp_path, drawer)
    assert isinstance(await refused(there, content), VaultLocked)
    assert not there.folder.exists()


async def test_a_journal_of_a_newer_version_is_refused(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await full(bed)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "VERSION", schema.VERSION - 1)
        error = await refused(another(tmp_path, ReadOnly(b"m" * 32)), content)
        assert "newer freshd" in error.remedy
    db = sqlite3.connect(bed.folder / "journal.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "of a newer version" in (await refused(bed, content, replace=True)).cause


async def test_somebody_elses_database_is_refused(bed: Bed, tmp_path: Path) -> None:
    content = await full(bed)
    there = another(tmp_path, ReadOnly(b"m" * 32))
    there.folder.mkdir(mode=0o700)
    db = sqlite3.connect(there.folder / "journal.db")
    db.execute("CREATE TABLE theirs (one)")
    db.execute("PRAGMA application_id = 7")
    db.close()
    (there.folder / "journal.db").chmod(0o600)
    assert "another program" in (await refused(there, content, replace=True)).cause


async def test_a_running_daemon_is_left_alone(bed: Bed) -> None:
    content = await full(bed)
    vault = await bed.open()
    with pytest.raises(AlreadyRunning):
        await restore(bed, content, replace=True)
    with pytest.raises(AlreadyRunning):
        await copied_at_rest(bed)
    await vault.aclose()


async def test_a_journal_that_cannot_be_read_is_set_aside_when_that_is_asked_for(bed: Bed) -> None:
    content = await full(bed)
    (bed.folder / "journal.db").write_bytes(b"rot" * 5000)
    (bed.folder / "journal.db-wal").write_bytes(b"its log")
    assert isinstance(await refused(bed, content), StoreError)
    done = await restore(bed, content, replace=True)
    assert done.aside is not None
    assert done.aside.read_bytes() == b"rot" * 5000
    assert done.aside.with_name(f"{done.aside.name}-wal").read_bytes() == b"its log"
    assert not (bed.folder / "journal.db-wal").exists()
    vault = await bed.open()
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    await bed.aclose()


async def test_a_log_that_a_kill_has_left_goes_with_its_journal(bed: Bed, tmp_path: Path) -> None:
    """It would be applied to whatever journal lies beside it."""
    content = await full(bed)
    vault = await bed.open()
    await exchange(vault, "a", Change("a", grant("in-the-log"), lease("a")))
    kept = {name: (bed.folder / name).read_bytes() for name in ("journal.db", "journal.db-wal")}
    await vault.aclose()
    for name, held in kept.items():
        (bed.folder / name).write_bytes(held)
        (bed.folder / name).chmod(0o600)
    (bed.folder / "lock").write_text(f"{1:>10}\n{10**6:>20}\n")
    done = await restore(bed, content, replace=True)
    assert not (bed.folder / "journal.db-wal").exists()
    assert done.aside is not None
    old = replace(bed, folder=tmp_path / "old", news=[], opened=[])
    old.folder.mkdir(mode=0o700)
    done.aside.rename(old.folder / "journal.db")
    former = await old.open()
    assert (await former.read("a")).generation == 2
    await former.aclose()
    vault = await bed.open()
    assert (await vault.read("a")).lease == lease("a", generation=1)
    await asyncio.gather(vault.aclose())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm", "ballast"])
async def test_a_named_pipe_in_the_way_holds_no_restore_up(tmp_path: Path, name: str) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    content = await full(bed)
    (bed.folder / name).unlink(missing_ok=True)
    os.mkfifo(bed.folder / name, 0o600)
    await restore(bed, content, replace=True)
    vault = await bed.open()
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    await bed.aclose()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["lock", "journal.db.restoring"])
async def test_a_named_pipe_where_a_restore_must_write_is_named_and_left(tmp_path: Path, name: str) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    content = await full(bed)
    (bed.folder / name).unlink(missing_ok=True)
    os.mkfifo(bed.folder / name, 0o600)
    error = await refused(bed, content, replace=True)
    assert isinstance(error, StoreError)
    assert f"{name} is a named pipe" in error.cause
    assert (bed.folder / name).is_fifo()


async def test_a_backup_from_after_a_rotation_of_the_key_opens_elsewhere(bed: Bed, tmp_path: Path) -> None:
    """Also what was digested under the first key is known there."""
    await full(bed)
    vault = await bed.open()
    assert (await vault.care.verbs["rotate-key"]({}))["done"]
    content = await copied(vault)
    await vault.aclose()
    there = another(tmp_path, ReadOnly(b"m" * 32))
    await restore(there, content)
    vault = await there.open()
    assert (await vault.read("b")).grant == grant("canary-refresh-b")
    assert await vault.knew("a", Secret("canary-refresh-1"))
    assert (await verdict_of(vault)).faults == []
    await there.aclose()


async def test_a_vault_made_of_a_backup_goes_on_like_any_other(bed: Bed, tmp_path: Path) -> None:
    """It is backed up, restored and rotated again."""
    content = await full(bed)
    there = another(tmp_path, KeyFile(tmp_path / "key-2") if bed.placement == "sealed" else Drawer())
    await restore(there, content)
    vault = await there.open()
    await vault.accept({"a", "b", "c"})
    standing = await exchange(vault, "a", Change("a", grant("later"), lease("a")))
    await there.rest(standing)
    content = await copied(vault)
    await vault.aclose()
    third = another(tmp_path, ReadOnly(b"t" * 32), "third")
    await restore(third, content)
    vault = await third.open()
    assert (await vault.read("a")).grant == grant("later")
    assert "restored" in (vault.rolled_back or "")
    await third.aclose()
