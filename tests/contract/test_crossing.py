"""What crosses: a copy and a rotation, a hold and what could not be written, an old journal and a keyring."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freshd.core.model import Change, Grant, Standing
from freshd.errors import KeyringUnavailable, NotPossible, StoreError, VaultLocked
from freshd.ports import Vault
from freshd.vault import JournalVault, KeyFile, holds, lookout, snapshot, still, succession, verification
from freshd.vault.backups import Backup, last_in
from freshd.vault.copies import looked_at
from freshd.vault.records import Row
from freshd.vault.request import Outcome
from freshd.vault.settle import Settler
from freshd.vault.statedir import last_commit
from freshd.vault.works import rekey_of
from tests.contract.copy_bed import HOW, KEY, copied, restore
from tests.contract.drawer import Drawer
from tests.contract.rekey_bed import Camera, World, until_free
from tests.contract.vault_bed import NOON, Bed, enrolled, exchange, grant, lease
from tests.flow.bed import soon


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Bed]:
    """A key file, and no anchor."""
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    yield bed
    await bed.aclose()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Bed]:
    """Grants rest in a keyring."""
    bed = Bed(tmp_path / "state", "keyring", Drawer())
    yield bed
    await bed.aclose()


def drawer_of(bed: Bed) -> Drawer:
    assert isinstance(bed.custodian, Drawer)
    return bed.custodian


async def token_of(vault: Vault, account: str) -> str:
    found = (await vault.read(account)).grant
    assert found is not None
    return found.secrets["refresh_token"].reveal()


async def renewed(vault: JournalVault, account: str, token: str, lineage: str = "line-1") -> Standing:
    return await exchange(vault, account, Change(account, grant(token, lineage), lease(account)))


def put_back(copy: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


# -- rotations ---------------------------------------------------------------------------------------------------------


async def test_a_backup_that_a_rotation_overtakes_holds_everything(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await world.open("sealed", world.drawer())
    await renewed(vault, "a", "latest")
    whole = snapshot._fetched

    async def slow(*given: Any) -> bool:
        await vault.care.verbs["rotate-key"]({})
        return await whole(*given)

    monkeypatch.setattr(snapshot, "_fetched", slow)
    content = await copied(vault)
    other = Bed(tmp_path / "other", "sealed", KeyFile(tmp_path / "other-key"))
    await restore(other, content)
    assert await token_of(await other.open(), "a") == "latest"
    await other.aclose()


async def test_an_examination_in_the_middle_of_a_rotation_finds_no_fault(world: World) -> None:
    vault = await world.open("sealed", world.drawer())
    await renewed(vault, "a", "latest")
    rekey = rekey_of(vault._opening)
    await rekey.begin(world.drawer())
    chosen = (await rekey.names()).next
    assert chosen is not None
    await rekey._provide(chosen)
    assert (await verification.verified(lookout.scope_of(vault._opening))).faults == []


async def test_what_was_read_before_a_rotation_opens_after_it(kept: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await kept.open()
    await enrolled(kept, vault, "a", "latest")
    fetch = Settler.fetch

    async def slow(settler: Settler, row: Row) -> tuple[Row, Grant]:
        await vault.care.verbs["rotate-key"]({})
        await until_free(vault)
        return await fetch(settler, row)

    monkeypatch.setattr(Settler, "fetch", slow)
    assert await token_of(vault, "a") == "latest"


async def test_an_old_key_is_let_go_of_in_memory_with_the_next_rotation(world: World) -> None:
    vault = await world.open("sealed", world.drawer())
    await renewed(vault, "a", "latest")
    seal = vault._opening.unsealed().seal
    first = seal.key_id
    for _ in range(2):
        await vault.care.verbs["rotate-key"]({})
        await until_free(vault)
    assert first not in seal.others


async def test_what_begins_while_the_vault_is_closed_is_not_carried_out(world: World) -> None:
    vault = await world.open("sealed", world.drawer())
    await renewed(vault, "a", "latest")
    world.drawer().hang()
    asked = asyncio.ensure_future(vault.care.verbs["rotate-key"]({}))
    await soon(lambda: vault.care.busy == "rotate-key")
    await vault.care.aclose()
    world.drawer().thaw()
    with pytest.raises(VaultLocked, match="closed"):
        await asked
    assert vault.care.busy is None
    assert "freshd-care" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_whoever_asked_is_told_something_when_the_vault_is_closed_meanwhile(world: World) -> None:
    vault = await world.open("sealed", world.drawer())
    started = vault.care._start

    def start(*given: Any, **more: Any) -> asyncio.Task[bool]:
        task = started(*given, **more)
        task.cancel()
        return task

    vault.care._start = start  # type: ignore[method-assign]
    assert (await vault.care.verbs["rotate-key"]({}))["done"] is False


async def test_what_step_two_of_a_rotation_wrote_counts_though_nobody_saw_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await world.open("sealed", world.drawer())
    prove, spoilt = vault._opening.writer._prove, list[bool]()

    def lying(outcomes: list[Outcome]) -> list[Outcome]:
        if not spoilt and any(request.point == "key-named" for request, _ in outcomes):
            spoilt.append(True)
            raise sqlite3.OperationalError("disk I/O error")
        return prove(outcomes)

    monkeypatch.setattr(vault._opening.writer, "_prove", lying)
    await vault.care.verbs["rotate-key"]({})
    await until_free(vault)
    assert spoilt
    await renewed(vault, "a", "latest")
    await vault.aclose()
    assert await token_of(await world.open("sealed", world.drawer()), "a") == "latest"


async def test_a_grant_that_is_fetched_home_does_not_take_the_place_of_one_that_came_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawer = world.drawer()
    vault = await world.open("keyring", drawer, meant=("sealed", drawer))
    await renewed(vault, "a", "older")
    await soon(lambda: not world.held())
    fetch, came = Settler.fetch, list[bool]()

    async def slow(settler: Settler, row: Row) -> tuple[Row, Grant]:
        found = await fetch(settler, row)
        if not came:
            came.append(True)
            await renewed(vault, "a", "latest")
        return found

    monkeypatch.setattr(Settler, "fetch", slow)
    await vault.care.verbs["move"]({})
    await until_free(vault)
    assert await token_of(vault, "a") == "latest"
    assert world.held() == {"a"}


# -- holds -------------------------------------------------------------------------------------------------------------


async def test_I5_holds_that_could_not_be_written_do_not_end_with_the_first_decision(
    kept: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await kept.open()
    for account in ("a", "b"):
        await enrolled(kept, vault, account)
    await vault.aclose()
    shutil.copytree(kept.folder, tmp_path / "old")
    vault = await kept.open()
    await enrolled(kept, vault, "c")
    await vault.aclose()
    put_back(tmp_path / "old", kept.folder)

    def broken(*_given: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(holds, "hold", broken)
        vault = await kept.open()
    assert (await vault.open())["b"].held_back
    await vault.accept({"a"})
    assert vault.rolled_back
    await vault.aclose()
    standings = await (await kept.open()).open()
    assert standings["b"].held_back
    assert not standings["a"].held_back


async def lose_the_last_commits(bed: Bed, tmp_path: Path) -> None:
    """A process was killed, and its log is gone."""
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await vault.aclose()
    vault = await bed.open()
    await renewed(vault, "a", "lost")
    shutil.copytree(bed.folder, tmp_path / "killed")
    await vault.aclose()
    put_back(tmp_path / "killed", bed.folder)
    (bed.folder / "journal.db-wal").unlink()
    (bed.folder / "journal.db-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("restarts", [False, True])
async def test_I5_a_commit_while_locked_does_not_wipe_out_that_the_lock_file_was_missing(
    sealed: Bed, tmp_path: Path, restarts: bool
) -> None:
    await lose_the_last_commits(sealed, tmp_path)
    (sealed.folder / "lock").unlink()
    (tmp_path / "key").rename(tmp_path / "away")
    vault = sealed.vault()
    with pytest.raises(VaultLocked):
        await vault.open()
    await vault.pause("b", paused=True)
    (tmp_path / "away").rename(tmp_path / "key")
    if restarts:
        await vault.aclose()
        vault = sealed.vault()
    assert (await vault.open())["a"].held_back


async def test_I5_a_missing_lock_file_holds_back_though_nobody_can_look_at_the_anchor(
    kept: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lose_the_last_commits(kept, tmp_path)
    (kept.folder / "lock").unlink()
    get = kept.custodian.get

    def shut(service: str, entry: str) -> str | None:
        if entry == "anchor":
            raise KeyringUnavailable("it does not answer", "unlock it")
        return get(service, entry)

    monkeypatch.setattr(kept.custodian, "get", shut)
    assert (await (await kept.open()).open())["a"].held_back


async def test_I5_a_restore_that_fails_leaves_what_a_killed_process_knew(
    sealed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await sealed.open()
    await enrolled(sealed, vault, "a")
    content = await copied(vault)
    await vault.aclose()
    await lose_the_last_commits(sealed, tmp_path)
    assert last_commit(sealed.folder)

    def full(*_given: Any) -> None:
        raise StoreError("no room", "make room")

    monkeypatch.setattr(succession, "_write", full)
    with pytest.raises(StoreError, match="no room"):
        await restore(sealed, content, replace=True)
    with pytest.raises(StoreError, match="lacks the last"):
        await sealed.vault().open()


@pytest.mark.parametrize("step", ["written", "aside", "placed"])
async def test_I5_a_restore_that_is_killed_leaves_whichever_journal_it_is_held_back(
    sealed: Bed, tmp_path: Path, step: str
) -> None:
    vault = await sealed.open()
    await enrolled(sealed, vault, "a")
    content = await copied(vault)
    await vault.aclose()
    await lose_the_last_commits(sealed, tmp_path)

    def trace(told: str) -> None:
        if told == step:
            shutil.copytree(sealed.folder, tmp_path / "half")

    sealed.trace = trace
    await restore(sealed, content, replace=True)
    sealed.trace = None
    put_back(tmp_path / "half", sealed.folder)
    assert (await sealed.vault().open())["a"].held_back


async def test_a_log_that_is_damaged_is_set_aside_as_it_is(sealed: Bed, tmp_path: Path) -> None:
    vault = await sealed.open()
    await enrolled(sealed, vault, "a")
    content = await copied(vault)
    await vault.aclose()
    vault = await sealed.open()
    for token in ("one", "two", "three"):
        await renewed(vault, "a", token)
    shutil.copytree(sealed.folder, tmp_path / "killed")
    await vault.aclose()
    put_back(tmp_path / "killed", sealed.folder)
    log = bytearray((sealed.folder / "journal.db-wal").read_bytes())
    log[200] ^= 1
    (sealed.folder / "journal.db-wal").write_bytes(log)
    done = await restore(sealed, content, replace=True)
    assert done.aside is not None
    assert done.aside.with_name(f"{done.aside.name}-wal").read_bytes() == log


async def test_I5_a_backup_at_rest_does_not_make_up_for_commits_that_are_missing(sealed: Bed, tmp_path: Path) -> None:
    await lose_the_last_commits(sealed, tmp_path)
    for _ in range(last_commit(sealed.folder) + 1):
        with contextlib.suppress(StoreError):
            async with still.at_rest(sealed.vault()._opening.setup) as vault:
                made = await lookout.sealed(await snapshot.taken(vault.source), NOON.wall, HOW, KEY)
                vault.note(made.header.at, made.header.commits)
    with pytest.raises(StoreError, match="lacks the last"):
        await sealed.vault().open()


async def with_another_journal_in_the_place(bed: Bed, tmp_path: Path, later: int) -> JournalVault:
    """An open vault whose files were replaced by a journal that is so many exchanges older."""
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await vault.aclose()
    shutil.copy(bed.folder / "journal.db", tmp_path / "old.db")
    vault = await bed.open()
    for _ in range(later):
        await renewed(vault, "a", "later")
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (bed.folder / name).unlink()
    shutil.copy(tmp_path / "old.db", bed.folder / "journal.db")
    return vault


async def test_I5_a_stop_does_not_call_another_journal_whole_that_lies_in_the_place(
    sealed: Bed, tmp_path: Path
) -> None:
    await (await with_another_journal_in_the_place(sealed, tmp_path, later=3)).aclose()
    with pytest.raises(StoreError, match="lacks the last"):
        await sealed.vault().open()


async def test_a_backup_is_none_of_a_journal_that_lies_in_the_place_of_the_open_one(
    sealed: Bed, tmp_path: Path
) -> None:
    vault = await with_another_journal_in_the_place(sealed, tmp_path, later=1)
    with pytest.raises(StoreError, match="another file"):
        await copied(vault)


def test_I5_an_attempt_that_was_open_at_the_second_hold_is_old_as_well() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);"
            "CREATE TABLE records (account, grant_digest); INSERT INTO records VALUES ('a', 'x');"
            "CREATE TABLE intents (account, flight);"
        )
        holds.hold(db, "old", "one")
        db.execute("INSERT INTO intents VALUES ('a', 'second')")
        holds.hold(db, "old", "two")
        holds.renewed(db, "a", "second")
        assert holds.is_held(db, "a")


# -- an old journal and its keyring ------------------------------------------------------------------------------------


async def test_I5_what_was_enrolled_after_a_backup_without_the_grant_is_not_followed_by_an_earlier_one(
    kept: Bed,
) -> None:
    vault = await kept.open()
    await enrolled(kept, vault, "x")
    content = await copied(vault, "x")
    for number in range(2, 6):
        await kept.rest(await renewed(vault, "x", f"spent-{number}"))
    await vault.aclose()
    await restore(kept, content, replace=True)
    vault = await kept.open()
    await kept.rest(await renewed(vault, "x", "enrolled", "line-2"))
    assert await token_of(vault, "x") == "enrolled"


async def test_I5_what_is_read_before_it_settled_is_the_latest(kept: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await kept.open()
    await enrolled(kept, vault, "x")
    content = await copied(vault)
    for number in range(2, 5):
        await kept.rest(await renewed(vault, "x", f"later-{number}"))
    await vault.aclose()
    await restore(kept, content, replace=True)
    monkeypatch.setattr(Settler, "want", lambda *_given: None)
    assert await token_of(await kept.open(), "x") == "later-4"


async def test_I7_an_old_journal_erases_nothing_that_it_had_called_home(world: World, tmp_path: Path) -> None:
    drawer = world.drawer()
    camera = world.trace = Camera(world, tmp_path)
    vault = await world.open("keyring", drawer)
    for token in ("one", "two"):
        await renewed(vault, "a", token)
    await soon(lambda: not world.held())
    for placement in ("sealed", "keyring"):
        vault._opening._setup = replace(vault._opening._setup, meant=lambda to=placement: (to, drawer))  # type: ignore[misc]
        await vault.care.verbs["move"]({})
        await until_free(vault)
    for token in ("three", "four"):
        await renewed(vault, "a", token)
    await soon(lambda: not world.held())
    await vault.aclose()
    newest = drawer.of("a")
    put_back(camera.shots["grant-home"].folder, world.folder)
    vault = await world.open("sealed", drawer)
    assert vault.rolled_back
    assert vault.care.busy is None  # what the configuration says is not carried out on a journal in question
    settler = vault._unsealed.settler if vault._unsealed is not None else None
    assert settler is not None
    await soon(lambda: not settler._jobs)
    await settler.stop()
    assert drawer.of("a") == newest


async def test_I7_an_old_journal_writes_over_no_later_life_of_an_account(kept: Bed, tmp_path: Path) -> None:
    drawer = drawer_of(kept)
    vault = await kept.open()
    await enrolled(kept, vault, "b")
    drawer.locked = True
    await renewed(vault, "a", "first life")
    await kept.until_told("a", settled=False)
    shutil.copytree(kept.folder, tmp_path / "old")
    drawer.locked = False
    await kept.until_told("a", settled=True)
    await vault.forget("a")
    for token in ("second life", "goes on"):
        await kept.rest(await renewed(vault, "a", token))
    await vault.aclose()
    newest = drawer.of("a")
    put_back(tmp_path / "old", kept.folder)
    kept.news.clear()
    vault = await kept.open()
    assert vault.rolled_back
    await kept.first_news("a")
    assert drawer.of("a") == newest


# -- what operators ask for --------------------------------------------------------------------------------------------


async def test_a_copy_that_nobody_comes_for_is_forgotten(sealed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "FORGOTTEN_SECONDS", 0.05)
    vault = await sealed.open()
    desk = vault.care._lookout
    how = {"way": HOW.way, "salt": b64encode(HOW.salt).decode()}
    await desk.verbs["backup"]({"key": KEY.hex(), "derivation": how})
    assert desk._backup is not None
    await soon(lambda: desk._backup is None)


def noted_in(bed: Bed) -> Backup | None:
    with contextlib.closing(sqlite3.connect(bed.folder / "journal.db")) as db:
        return last_in(dict(db.execute("SELECT name, value FROM meta").fetchall()))


async def test_a_backup_is_fetched_in_parts_and_counts_once_it_was_written(
    sealed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "PART_BYTES", 10_000)
    vault = await sealed.open()
    await enrolled(sealed, vault, "a", "latest")
    verbs = vault.care.verbs
    asked = {"key": KEY.hex(), "derivation": {"way": HOW.way, "salt": b64encode(HOW.salt).decode()}}
    first = (await verbs["backup"](asked))["session"]
    session = (await verbs["backup"](asked))["session"]
    with pytest.raises(NotPossible, match="another one took its place"):
        await verbs["backup-part"]({"session": first})
    content, size = b"", 1
    while len(content) < size:
        told = await verbs["backup-part"]({"session": session, "at": len(content)})
        content, size = content + b64decode(told["part"]), told["bytes"]
    for at in (-1, len(content) + 1, "0", True, None):
        with pytest.raises(NotPossible, match="no such part"):
            await verbs["backup-part"]({"session": session, "at": at})
    assert looked_at(content).opened(KEY)
    assert noted_in(sealed) is None
    done = await verbs["backup-done"]({"session": session})
    noted = noted_in(sealed)
    assert noted is not None
    assert noted.commits == done["commits"]
    with pytest.raises(NotPossible):
        await verbs["backup-part"]({"session": session})


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"key": "00"},
        {"key": KEY.hex()},
        {"key": KEY.hex(), "derivation": []},
        {"key": KEY.hex(), "derivation": {"way": "x", "salt": 7}},
        {"key": [KEY.hex()], "derivation": {"way": "x", "salt": ""}},
        {"key": KEY.hex(), "derivation": {"way": "x", "salt": ""}, "without": "a"},
        {"key": KEY.hex(), "derivation": {"way": "x", "salt": ""}, "without": [1]},
    ],
)
async def test_a_backup_that_is_asked_for_oddly_is_refused_without_a_word_of_the_key(
    sealed: Bed, args: dict[str, Any]
) -> None:
    vault = await sealed.open()
    with pytest.raises(NotPossible) as refused:
        await vault.care.verbs["backup"](args)
    assert KEY.hex() not in repr(refused.value) + refused.value.cause + refused.value.remedy


async def test_whoever_is_cancelled_waits_until_nobody_uses_the_copy_any_more() -> None:
    came, go_on, through = asyncio.Event(), asyncio.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(came.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        through.append("the thread")

    async def use() -> None:
        try:
            await snapshot.apart(work)
        finally:
            through.append("whoever waited")

    task = asyncio.ensure_future(use())
    await came.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert through == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert through == ["the thread", "whoever waited"]
