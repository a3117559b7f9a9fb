"""The vault's files where they should not be, or of a kind they should not be: nothing hangs, nothing is lost."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from freshd.core.model import Change, Secret
from freshd.errors import AlreadyRunning, StoreError, VaultForeign, VaultLocked
from freshd.vault import JournalVault, KeyFile, SystemdCredential
from freshd.vault.ballast import Ballast
from tests.contract.vault_bed import REPLY, Bed, enrolled, exchange, grant, intent_on, lease, line

HANG_SECONDS: Final = 8


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))


def seen(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Names, modes and contents."""
    return {
        path.name: (path.lstat().st_mode, path.read_bytes() if path.is_file() and not path.is_symlink() else None)
        for path in folder.iterdir()
    }


# -- of another kind, of somebody else, open to others -------------------------------------------------------------

KINDS: Final[dict[str, Callable[[Path], object]]] = {
    "a named pipe": os.mkfifo,
    "a symbolic link": lambda path: path.symlink_to("elsewhere"),
    "a directory": Path.mkdir,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm", "lock"])
async def test_what_is_no_plain_file_is_refused_and_holds_nobody_up(bed: Bed, name: str, kind: str) -> None:
    await enrolled(bed, await bed.open(), "a")
    await bed.aclose()
    (bed.folder / name).unlink(missing_ok=True)
    KINDS[kind](bed.folder / name)
    before = seen(bed.folder)
    async with asyncio.timeout(HANG_SECONDS):
        with pytest.raises(StoreError) as caught:
            await bed.open()
        await bed.aclose()
    assert name in caught.value.cause
    assert "ls -la" in caught.value.remedy or name == "journal.db"
    assert seen(bed.folder) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_I2_a_ballast_that_is_no_plain_file_is_none(bed: Bed, kind: str) -> None:
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    (bed.folder / "ballast").unlink()
    KINDS[kind](bed.folder / "ballast")
    async with asyncio.timeout(HANG_SECONDS):
        with pytest.raises(StoreError, match="no room is left"):
            await vault.intend(await intent_on(vault, "a", "f"), {})
        if kind != "a directory":  # what cannot be filled is removed, and made anew at the next try
            await vault.intend(await intent_on(vault, "a", "f"), {})
            assert (bed.folder / "ballast").stat().st_size >= 1 << 20
        await bed.aclose()


def test_a_ballast_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")
    assert ballast.holds(1)
    (tmp_path / "ballast").unlink()
    assert ballast.holds(1)
    assert (tmp_path / "ballast").stat().st_size == 1 << 20
    os.truncate(tmp_path / "ballast", 5)
    assert ballast.holds(1)
    assert (tmp_path / "ballast").stat().st_size == 1 << 20


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm", "lock"])
@pytest.mark.parametrize("mode", [0o644, 0o660])
async def test_files_open_to_others_are_refused(bed: Bed, name: str, mode: int) -> None:
    await (await bed.open()).aclose()
    (bed.folder / name).touch()
    (bed.folder / name).chmod(mode)
    before = seen(bed.folder)
    with pytest.raises(StoreError, match=f"{name} is open to other users") as caught:
        await bed.open()
    await bed.aclose()
    assert caught.value.remedy == f"chmod 600 {bed.folder / name}"
    assert seen(bed.folder) == before
    (bed.folder / name).chmod(0o600)  # the remedy
    await bed.open()
    await bed.aclose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("name", ["", "journal.db", "journal.db-wal", "journal.db-shm", "lock"])
async def test_files_of_somebody_else_are_refused(bed: Bed, name: str) -> None:
    await (await bed.open()).aclose()
    if name:
        (bed.folder / name).touch(0o600)
        (bed.folder / name).chmod(0o600)
    os.chown(bed.folder / name, 12345, -1)
    with pytest.raises(StoreError, match="belongs to user id 12345") as caught:
        await bed.open()
    await bed.aclose()
    assert f"chown 0 {bed.folder / name}" in caught.value.remedy


# -- under a vault that is open ------------------------------------------------------------------------------------


@pytest.fixture
async def vault(bed: Bed) -> JournalVault:
    made = await bed.open()
    await enrolled(bed, made, "a", "canary-1")
    return made


async def refused_once(vault: JournalVault, match: str) -> str:
    with pytest.raises(StoreError, match=match) as caught:
        await vault.note({})
    return caught.value.remedy


async def found(bed: Bed) -> Secret | None:
    """The refresh token that the next start finds."""
    await bed.aclose()
    record = await (await bed.open()).read("a")
    await bed.aclose()
    return None if record.grant is None else record.grant.secrets["refresh_token"]


@pytest.mark.parametrize("names", ["journal.db", "journal.db-wal", "journal.db journal.db-wal journal.db-shm"])
async def test_I2_a_deleted_file_is_noticed_before_the_next_intent_and_written_anew(
    bed: Bed, vault: JournalVault, names: str
) -> None:
    for name in names.split():
        (bed.folder / name).unlink()
    with pytest.raises(StoreError, match="was deleted under the running daemon; it was written anew"):
        await vault.intend(await intent_on(vault, "a", "f"), {})
    assert (bed.folder / "journal.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in bed.folder.glob("journal.db.*")) == []
    await exchange(vault, "a", Change("a", grant("canary-2"), lease("a")))
    assert (await vault.read("a")).generation == 2
    assert await found(bed) == Secret("canary-2")


async def test_I3_an_answer_survives_the_removal_of_the_whole_directory(bed: Bed, vault: JournalVault) -> None:
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    shutil.rmtree(bed.folder)
    with pytest.raises(StoreError, match="written anew"):
        await vault.escrow(intent, REPLY)
    await vault.escrow(intent, REPLY)
    await vault.commit(intent, "a", [Change("a", grant("canary-2"), lease("a"))], {}, line())
    with pytest.raises(AlreadyRunning):
        await bed.open()
    assert await found(bed) == Secret("canary-2")


async def test_a_journal_deleted_last_thing_is_put_back_at_the_stop(bed: Bed, vault: JournalVault) -> None:
    shutil.rmtree(bed.folder)
    assert await found(bed) == Secret("canary-1")


async def test_while_the_directory_is_elsewhere_nothing_counts_as_durable(bed: Bed, vault: JournalVault) -> None:
    aside = bed.folder.with_name("aside")
    bed.folder.rename(aside)
    for _ in range(2):
        remedy = await refused_once(vault, "was moved away under the running daemon")
        assert f"mv {aside} {bed.folder}" in remedy
    aside.rename(bed.folder)
    await exchange(vault, "a", Change("a", grant("canary-2")))
    assert await found(bed) == Secret("canary-2")


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_another_file_in_the_place_is_left_alone_until_a_person_moves_it(
    bed: Bed, vault: JournalVault, name: str
) -> None:
    stranger = bed.folder / "stranger"
    stranger.write_bytes(b"SQLite format 3\0 of somebody else")
    stranger.rename(bed.folder / name)
    remedy = await refused_once(vault, f"another file lies in the place of {bed.folder / name}")
    assert f"mv {bed.folder / name} {bed.folder / name}.other" in remedy
    assert (bed.folder / name).read_bytes() == b"SQLite format 3\0 of somebody else"
    (bed.folder / name).rename(bed.folder / f"{name}.other")
    await refused_once(vault, "written anew")
    await exchange(vault, "a", Change("a", grant("canary-2")))
    assert await found(bed) == Secret("canary-2")


async def test_a_directory_that_cannot_be_made_again_is_said_and_tried_again(bed: Bed, vault: JournalVault) -> None:
    shutil.rmtree(bed.folder)
    bed.folder.touch()
    remedy = await refused_once(vault, "cannot be written anew")
    assert "it holds the only copy" in remedy
    bed.folder.unlink()
    await refused_once(vault, "written anew")
    assert await found(bed) == Secret("canary-1")


async def test_I1_a_lock_that_was_deleted_is_taken_again(bed: Bed, vault: JournalVault) -> None:
    (bed.folder / "lock").unlink()
    await vault.note({})
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
        await bed.open()
    await bed.aclose()


async def test_I1_beside_another_holder_of_the_lock_nothing_begins_and_what_was_begun_ends(
    bed: Bed, vault: JournalVault
) -> None:
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    (bed.folder / "lock").unlink()
    with (bed.folder / "lock").open("w") as other:
        (bed.folder / "lock").chmod(0o600)
        fcntl.flock(other, fcntl.LOCK_EX)
        await vault.escrow(intent, REPLY)
        await vault.commit(intent, "a", [Change("a", grant("canary-2"), lease("a"))], {}, line())
        with pytest.raises(StoreError, match=r"lock .* was removed while this freshd ran") as caught:
            await vault.intend(await intent_on(vault, "a", "g"), {})
        assert "fuser -v" in caught.value.remedy
    await vault.intend(await intent_on(vault, "a", "g"), {})
    await bed.aclose()


# -- keys that do not fit ------------------------------------------------------------------------------------------

KEYS: Final[dict[str, bytes]] = {
    "empty": b"",
    "a byte short": bytes(31),
    "a byte long": bytes(33),
    "half of its digits": b"ab" * 16,
    "words": b"correct horse battery staple\n",
    "another one": bytes(range(1, 33)),
    "another one in base64": b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n",
}


@pytest.fixture
async def credential(tmp_path: Path) -> Bed:
    """A vault under a systemd credential."""
    (tmp_path / "vault-key").write_bytes(bytes(range(32)))
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    bed = Bed(tmp_path / "state", "sealed", SystemdCredential("vault-key", environ))
    await enrolled(bed, await bed.open(), "a", "canary-1")
    await bed.aclose()
    return bed


@pytest.mark.parametrize("content", KEYS)
async def test_a_credential_that_is_not_the_key_is_refused_and_changes_nothing(
    credential: Bed, tmp_path: Path, content: str
) -> None:
    (tmp_path / "vault-key").write_bytes(KEYS[content])
    before = (credential.folder / "journal.db").read_bytes()
    with pytest.raises((VaultForeign, VaultLocked)) as caught:
        await credential.open()
    await credential.aclose()
    assert "vault-key" in caught.value.cause
    assert caught.value.remedy
    assert (credential.folder / "journal.db").read_bytes() == before


@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n"])
@pytest.mark.parametrize("form", [bytes(range(32)).hex().encode(), b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="])
async def test_the_key_as_text_with_a_line_end_opens_it(
    credential: Bed, tmp_path: Path, form: bytes, end: bytes
) -> None:
    (tmp_path / "vault-key").write_bytes(form + end)
    assert await found(credential) == Secret("canary-1")
