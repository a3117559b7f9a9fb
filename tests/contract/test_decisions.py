"""What a decision about an old or copied journal leaves behind, and what the next finding makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.vault import KeyFile, anchor
from tests.contract.vault_bed import Bed, exchange, grant, line, put_back


async def life(bed: Bed, token: str) -> None:
    vault = await bed.open()
    await exchange(vault, "a", Change("a", grant(token)))
    await vault.aclose()


async def test_I5_a_decision_is_anchored_before_it_counts(tmp_path: Path) -> None:
    """Also where the process is killed right after it."""
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "anchor")
    await put_back(bed, "a")
    vault = await bed.open()
    assert vault.rolled_back is not None
    await vault.accept({"a"})
    shutil.copytree(bed.folder, tmp_path / "killed")
    shutil.copy(tmp_path / "anchor", tmp_path / "anchor of then")
    await bed.aclose()
    killed = Bed(tmp_path / "killed", "sealed", bed.custodian, anchor=tmp_path / "anchor of then")
    assert (await killed.open()).rolled_back is None
    await killed.aclose()


async def test_I5_a_third_machine_is_noticed_though_the_second_was_decided_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    (tmp_path / "machine-id").write_text("11" * 16)
    await life(bed, "one")
    for machine in ("22", "33"):
        (tmp_path / "machine-id").write_text(machine * 16)
        vault = await bed.open()
        assert (await vault.open())["a"].held_back == "it was written on another machine"
        await vault.accept({"a"})
        await vault.aclose()
        await life(bed, machine)


async def test_the_same_finding_holds_nobody_back_a_second_time(tmp_path: Path) -> None:
    """The account has a grant that came after the copy; the anchor may not have been to be had since."""
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "anchor")
    await put_back(bed, "b", "a")
    vault = await bed.open()
    await vault.commit(None, "a", [Change("a", grant("by a person", "line-2"))], {}, line())
    await vault.aclose()
    held = {name: bool(one.held_back) for name, one in (await bed.vault().open()).items()}
    assert held == {"a": False, "b": True}
    await bed.aclose()
