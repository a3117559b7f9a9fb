"""A vault made without serving: whole, or nothing was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from freshd.errors import AlreadyRunning, FreshdError, NotPossible, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault import KeyFile
from freshd.vault.founding import founded
from tests.contract.copy_bed import ReadOnly, held_by, verdict_at_rest
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import Bed


@pytest.mark.parametrize("placement", ["sealed", "keyring"])
async def test_what_is_made_is_whole_and_serves(tmp_path: Path, placement: str) -> None:
    custodian: Custodian = KeyFile(tmp_path / "key") if placement == "sealed" else Drawer()
    bed = Bed(tmp_path / "state", placement, custodian)  # type: ignore[arg-type]
    done = await founded(bed.vault()._opening.setup)
    assert (done.journal.exists(), done.ballast.exists(), done.custodian) == (True, True, custodian.name)
    assert done.anchor == (None if placement == "sealed" else "drawer")
    assert (await verdict_at_rest(bed)).faults == []
    assert await (await bed.open()).paces() == {}
    await bed.aclose()


async def refused(bed: Bed) -> FreshdError:
    before = held_by(bed.folder.parent)
    with pytest.raises(FreshdError) as caught:
        await founded(bed.vault()._opening.setup)
    assert held_by(bed.folder.parent) == before
    assert caught.value.remedy
    return caught.value


async def test_a_vault_that_is_there_is_named_and_left_alone(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    done = await founded(bed.vault()._opening.setup)
    error = await refused(bed)
    assert isinstance(error, NotPossible)
    assert done.vault[:8] in error.cause


async def test_a_custodian_without_a_key_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", ReadOnly())
    assert "systemd-creds encrypt" in (await refused(bed)).remedy
    assert not bed.folder.exists()


@pytest.mark.parametrize("length", [0, 31, 33])
async def test_a_credential_of_the_wrong_length_is_told_and_nothing_is_made(tmp_path: Path, length: int) -> None:
    bed = Bed(tmp_path / "state", "sealed", ReadOnly(b"k" * length))
    assert isinstance(await refused(bed), VaultForeign)
    assert not bed.folder.exists()


async def test_a_locked_keyring_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    drawer = Drawer()
    drawer.locked = True
    bed = Bed(tmp_path / "state", "keyring", drawer)
    assert isinstance(await refused(bed), VaultLocked)
    assert not bed.folder.exists()


async def test_a_folder_that_was_there_is_left_as_it_was(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", ReadOnly())
    bed.folder.mkdir(mode=0o700)
    (bed.folder / "notes").write_text("mine")
    await refused(bed)
    assert [path.name for path in bed.folder.iterdir()] == ["notes"]


async def test_a_running_daemon_is_left_alone(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    assert isinstance(await refused(bed), AlreadyRunning)
    await vault.aclose()


async def test_a_lock_file_that_was_there_stays_where_nothing_is_founded(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", ReadOnly())
    bed.folder.mkdir(mode=0o700)
    (bed.folder / "lock").touch(0o600)
    assert isinstance(await refused(bed), VaultLocked)
    assert [path.name for path in bed.folder.iterdir()] == ["lock"]
