"""SIGKILL at each step of init, backup, restore: the old state or the new one is whole; doing it again ends it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import FreshdError, StoreError
from freshd.vault import JournalVault, Placement, Setup
from freshd.vault.copies import looked_at
from freshd.vault.glance import glance
from tests.contract.copy_bed import KEY, copied, verdict_of
from tests.contract.vault_bed import Bed, enrolled, exchange, grant, lease
from tests.crash.vault_hammer import custodian, now

HALF_DONE = "a restore did not come to its end, or was refused the last step"


def run(verb: str, folder: Path, placement: Placement, step: str) -> int:
    command = [sys.executable, "-m", "tests.crash.vault_steps", verb, str(folder), placement, step]
    return subprocess.run(command, check=False, timeout=40).returncode


def setup(folder: Path, placement: Placement) -> Setup:
    return Setup(folder / "state", placement, custodian(folder, placement), now)


def grant_in(folder: Path, placement: Placement) -> str:
    """The refresh token that a start finds."""

    async def look() -> str:
        vault = JournalVault(setup(folder, placement))
        try:
            await vault.open()
            faults = [fault.what for fault in (await verdict_of(vault)).faults]
            assert faults == [HALF_DONE] * (folder / "state" / "journal.db.restoring").exists()
            held = (await vault.read("a")).grant
            return "" if held is None else held.secrets["refresh_token"].reveal()
        finally:
            await vault.aclose()

    return asyncio.run(look())


def scene(folder: Path, placement: Placement) -> None:
    """A vault whose account has gone on since its backup."""

    async def live() -> None:
        bed = Bed(folder / "state", placement, custodian(folder, placement))
        vault = await bed.open()
        await enrolled(bed, vault, "a", "backed-up")
        (folder / "copy").write_bytes(await copied(vault))
        await bed.rest(await exchange(vault, "a", Change("a", grant("newest"), lease("a"))))
        await vault.aclose()

    asyncio.run(live())


@pytest.mark.parametrize(
    ("placement", "step"), [("sealed", "journal"), ("keyring", "key"), ("sealed", "key"), ("sealed", "ballast")]
)
def test_init(tmp_path: Path, placement: Placement, step: str) -> None:
    assert run("init", tmp_path, placement, step) == -signal.SIGKILL
    assert run("init", tmp_path, placement, "-") == (1 if step == "ballast" else 0)
    seen = glance(tmp_path / "state")
    assert seen is not None
    assert seen.check is not None
    assert seen.ballast
    assert grant_in(tmp_path, placement) == ""


@pytest.mark.parametrize("step", ["proven", "named"])
def test_backup(tmp_path: Path, step: str) -> None:
    scene(tmp_path, "sealed")
    before = (tmp_path / "copy").read_bytes()
    assert run("backup", tmp_path, "sealed", step) == -signal.SIGKILL
    after = (tmp_path / "copy").read_bytes()
    assert (after == before) == (step != "named")
    looked_at(after).opened(KEY)
    assert run("backup", tmp_path, "sealed", "-") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "key", "state"]
    assert grant_in(tmp_path, "sealed") == "newest"


@pytest.mark.parametrize(
    ("placement", "step"), [("sealed", "written"), ("sealed", "aside"), ("keyring", "aside"), ("sealed", "placed")]
)
def test_restore_over_a_journal(tmp_path: Path, placement: Placement, step: str) -> None:
    scene(tmp_path, placement)
    assert run("restore", tmp_path, placement, step) == -signal.SIGKILL
    # With a keyring a later grant there is taken up again: nothing is lost by restoring.
    restored = {"backed-up"} if placement == "sealed" else {"backed-up", "newest"}
    assert grant_in(tmp_path, placement) in (restored if step == "placed" else {"newest"})
    assert run("restore", tmp_path, placement, "-") == 0
    assert grant_in(tmp_path, placement) in restored
    former = list((tmp_path / "state").glob("journal.db.replaced-*"))
    assert len(former) == (2 if step == "placed" else 1)
    assert not (tmp_path / "state" / "journal.db.restoring").exists()


@pytest.mark.parametrize("step", ["key", "written"])
def test_restore_where_nothing_is(tmp_path: Path, step: str) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    scene(tmp_path / "from", "sealed")
    (tmp_path / "from" / "copy").rename(tmp_path / "to" / "copy")
    assert run("restore", tmp_path / "to", "sealed", step) == -signal.SIGKILL
    if step == "written":
        with pytest.raises(StoreError, match="a restore did not come to its end"):
            grant_in(tmp_path / "to", "sealed")
    assert run("restore", tmp_path / "to", "sealed", "-") == 0
    assert grant_in(tmp_path / "to", "sealed") == "backed-up"


@pytest.mark.parametrize(
    ("placement", "step"),
    [("keyring", "key"), ("sealed", "written"), ("keyring", "aside"), ("sealed", "aside"), ("sealed", "placed")],
)
def test_restore_where_a_first_start_has_been(tmp_path: Path, placement: Placement, step: str) -> None:
    here = arrived(tmp_path, placement)
    first = vault_in(here)
    assert run("arrive", here, placement, step) == -signal.SIGKILL
    assert vault_in(here) != first if step == "placed" else vault_in(here) == first
    assert grant_in(here, placement) == ("backed-up" if step == "placed" else "")  # freshd starts between, as at a boot
    assert run("arrive", here, placement, "-") == (1 if step == "placed" else 0)  # then nothing is left to do
    assert grant_in(here, placement) == "backed-up"
    [aside] = (here / "state").glob("journal.db.replaced-*")
    aside.rename(tmp_path / "journal.db")
    assert vault_in(tmp_path, "") == first
    assert not (here / "state" / "journal.db.restoring").exists()


def test_restore_where_a_first_start_was_killed(tmp_path: Path) -> None:
    """Its log lies beside it, the lock file tells of its last commit; and the restore is killed as well."""
    here = arrived(tmp_path, "sealed", start=False)
    assert run("init", here, "sealed", "key") == -signal.SIGKILL
    assert (here / "state" / "journal.db-wal").stat().st_size
    first = vault_in(here)
    for step in ("written", "aside"):
        assert run("arrive", here, "sealed", step) == -signal.SIGKILL
        assert vault_in(here) == first
    assert run("arrive", here, "sealed", "-") == 0
    assert grant_in(here, "sealed") == "backed-up"
    assert len(list((here / "state").glob("journal.db.replaced-*"))) == 1


def arrived(folder: Path, placement: Placement, *, start: bool = True) -> Path:
    """Another folder, with a backup beside a vault that holds nothing."""
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    scene(there, placement)
    (there / "copy").rename(here / "copy")
    if start:
        assert run("init", here, placement, "-") == 0
    return here


def vault_in(folder: Path, state: str = "state") -> str:
    seen = glance(folder / state)
    assert seen is not None
    return seen.vault


def test_restore_over_a_damaged_journal(tmp_path: Path) -> None:
    scene(tmp_path, "sealed")
    (tmp_path / "state" / "journal.db").write_bytes(b"rot" * 5000)
    for step in ("written", "aside"):
        assert run("restore", tmp_path, "sealed", step) == -signal.SIGKILL
        with pytest.raises(FreshdError):
            grant_in(tmp_path, "sealed")
    assert run("restore", tmp_path, "sealed", "-") == 0
    assert grant_in(tmp_path, "sealed") == "backed-up"
    [former] = (tmp_path / "state").glob("journal.db.replaced-*")
    assert former.read_bytes() == b"rot" * 5000
