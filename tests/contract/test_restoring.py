"""A restore asks again once it holds the lock, and until then changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from freshd.errors import AlreadyRunning, FreshdError, NotPossible, VaultForeign
from freshd.vault import KeyFile
from freshd.vault.statedir import Lock
from tests.contract.copy_bed import copied, held_by, restore
from tests.contract.vault_bed import Bed, enrolled


class Slow(KeyFile):
    """Something happens while the key is fetched."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def get(self, service: str, entry: str) -> str | None:
        found = super().get(service, entry)
        self.meanwhile()
        return found


async def lived(folder: Path) -> Bed:
    bed = Bed(folder / "state", "sealed", KeyFile(folder / "key"))
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    return bed


@pytest.mark.parametrize(("whose", "error"), [("another", VaultForeign), ("the same", NotPossible)])
async def test_I1_a_journal_that_came_before_the_lock_was_taken_is_refused_like_one_that_was_there(
    tmp_path: Path, whose: str, error: type[FreshdError]
) -> None:
    ours, other = await lived(tmp_path / "ours"), await lived(tmp_path / "another")
    content = await copied(ours.opened[0])
    await ours.aclose()
    await other.aclose()
    came = (ours if whose == "the same" else other).folder
    custodian = Slow(tmp_path / "key")
    there = Bed(tmp_path / "there" / "state", "sealed", custodian)
    there.folder.parent.mkdir()
    custodian.meanwhile = lambda: shutil.copytree(came, there.folder)
    with pytest.raises(error):
        await restore(there, content)
    assert held_by(there.folder) == held_by(came)
    assert not (tmp_path / "key").exists()


async def test_I1_a_daemon_that_starts_while_the_key_is_fetched_is_left_alone(tmp_path: Path) -> None:
    ours = await lived(tmp_path / "ours")
    content = await copied(ours.opened[0])
    await ours.aclose()
    lock, custodian = Lock(ours.folder), Slow(tmp_path / "ours" / "key")
    bed = Bed(ours.folder, "sealed", custodian)
    before = held_by(ours.folder)
    custodian.meanwhile = lock.take
    with pytest.raises(AlreadyRunning):
        await restore(bed, content, replace=True)
    assert held_by(ours.folder) == before
    lock.release()
