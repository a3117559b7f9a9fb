"""An old copy of the journal is noticed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import KeyringUnavailable
from freshd.vault import KeyFile, anchor
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import Bed, exchange, grant, put_back


@pytest.fixture(params=["file", "custodian"])
async def bed(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    (tmp_path / "elsewhere").mkdir()
    if request.param == "file":
        bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "elsewhere" / "anchor")
    else:
        bed = Bed(tmp_path / "state", "sealed", Drawer())
    yield bed
    await bed.aclose()


async def life(bed: Bed, token: str) -> None:
    vault = await bed.open()
    assert vault.rolled_back is None
    await exchange(vault, "a", Change("a", grant(token)))
    await vault.aclose()


async def test_a_journal_that_goes_on_is_trusted(bed: Bed) -> None:
    for token in ("one", "two", "three"):
        await life(bed, token)


async def test_an_old_copy_is_noticed_and_stays_noticed(bed: Bed, tmp_path: Path) -> None:
    await life(bed, "one")
    shutil.copy(bed.folder / "journal.db", tmp_path / "old")
    await life(bed, "two")
    shutil.copy(tmp_path / "old", bed.folder / "journal.db")
    for _ in range(2):
        vault = await bed.open()
        assert vault.rolled_back is not None
        assert "old copy" in vault.rolled_back
        assert (await vault.read("a")).grant == grant("one")
        await vault.anchor()
        await vault.aclose()
    vault = await bed.open()
    await vault.accept({"a"})
    await vault.aclose()
    await life(bed, "three")


async def test_another_machine_is_noticed(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "machine-id").write_text("11" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    await life(bed, "one")
    (tmp_path / "machine-id").write_text("22" * 16)
    assert (await bed.open()).rolled_back == "it was written on another machine"


async def test_a_new_journal_under_an_old_anchor_is_noticed(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "anchor")
    await life(bed, "one")
    shutil.rmtree(bed.folder)
    vault = await bed.open()
    assert "another journal" in (vault.rolled_back or "")
    await bed.aclose()


async def test_without_ground_nothing_is_known(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await vault.anchor()
    assert vault.rolled_back is None
    await bed.aclose()


async def test_an_anchor_that_cannot_be_written_spoils_neither_start_nor_stop(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "missing" / "anchor")
    await life(bed, "one")


async def test_an_anchor_that_cannot_be_looked_at_is_not_written_over(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be read at the start may say that this journal is an old copy."""
    await life(bed, "one")
    old = (bed.folder / "journal.db").read_bytes()
    await life(bed, "two")
    (bed.folder / "journal.db").write_bytes(old)
    with monkeypatch.context() as patch:
        for ground in (anchor.FileGround, anchor.CustodianGround):
            patch.setattr(ground, "get", unavailable)
        vault = await bed.open()
        assert vault.rolled_back is None
        await vault.aclose()
    vault = await bed.open()
    assert "old copy" in (vault.rolled_back or "")


def unavailable(_self: object) -> str:
    raise KeyringUnavailable("it hangs", "wait")


async def test_the_newest_journal_that_is_brought_back_before_anybody_decided_is_trusted(bed: Bed) -> None:
    await life(bed, "one")
    old = (bed.folder / "journal.db").read_bytes()
    await life(bed, "two")
    newest = (bed.folder / "journal.db").read_bytes()
    (bed.folder / "journal.db").write_bytes(old)
    vault = await bed.open()
    assert vault.rolled_back is not None
    await vault.aclose()
    (bed.folder / "journal.db").write_bytes(newest)
    await life(bed, "three")


async def test_of_two_copies_that_went_on_the_one_that_was_decided_for_is_known(bed: Bed) -> None:
    """Also where the other one has come further."""
    await life(bed, "one")
    old = (bed.folder / "journal.db").read_bytes()
    for token in ("two", "three", "four"):
        await life(bed, token)
    newest = (bed.folder / "journal.db").read_bytes()
    (bed.folder / "journal.db").write_bytes(old)
    vault = await bed.open()
    await vault.accept({"a"})
    assert vault.rolled_back is None
    await vault.aclose()
    await life(bed, "two again")
    (bed.folder / "journal.db").write_bytes(newest)
    vault = await bed.open()
    assert "another copy" in (vault.rolled_back or "")
    assert (await vault.open())["a"].held_back


async def test_another_machine_is_noticed_without_any_anchor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "machine-id").write_text("11" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    await life(bed, "one")
    (tmp_path / "machine-id").write_text("22" * 16)
    vault = await bed.open()
    assert vault.rolled_back == "it was written on another machine"
    await vault.accept({"a"})
    await vault.aclose()
    await life(bed, "two")
    await bed.aclose()


@pytest.mark.parametrize("name", ["", "uninitialized\n", "not hex at all, but 32 letters long"])
async def test_a_machine_without_a_name_is_not_taken_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "machine-id").write_text("11" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "anchor")
    await life(bed, "one")
    (tmp_path / "machine-id").write_text(name)
    await life(bed, "two")
    await bed.aclose()


async def test_I5_accounts_stay_held_over_restarts_until_each_is_decided(bed: Bed) -> None:
    await put_back(bed, "a", "b")
    vault = await bed.open()
    await vault.accept({"a"})
    await vault.aclose()
    for _ in range(2):
        vault = bed.vault()
        held = {name: bool(one.held_back) for name, one in (await vault.open()).items()}
        assert held == {"a": False, "b": True}
        assert "old copy" in (vault.rolled_back or "")
        await vault.aclose()
