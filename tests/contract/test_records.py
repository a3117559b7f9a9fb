"""Records that were damaged and replaced, and secrets that died and were replaced: the new one is like any other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import StoreError
from freshd.vault import KeyFile
from tests.contract.vault_bed import Bed, enrolled, exchange, grant, intent_on, lease, line


def spoil(bed: Bed) -> None:
    with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
        (about,) = db.execute("SELECT about FROM records WHERE account = 'a'").fetchone()
        db.execute("UPDATE records SET about = ? WHERE account = 'a'", (about[:-1] + bytes([about[-1] ^ 1]),))


async def test_I7_damage_to_what_replaced_a_damaged_record_is_an_error_not_an_empty_record(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    await vault.aclose()
    spoil(bed)
    vault = await bed.open()
    assert (await vault.read("a")).grant is None
    await vault.commit(None, "a", [Change("a", grant("again", "line-2"), lease("a"))], {}, line())
    assert (await vault.read("a")).grant == grant("again", "line-2")
    spoil(bed)
    with pytest.raises(StoreError, match="damaged"):
        await vault.read("a")
    await bed.aclose()


async def test_I5_what_is_added_under_the_name_of_a_dead_secret_is_alive_unless_it_is_that_very_one(
    tmp_path: Path,
) -> None:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await exchange(vault, "a", Change("a", grant("canary-old", key="canary-key")))
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    dead = {"refresh_token": "invalid_grant", "key": "revoked"}
    await vault.close(intent, frozenset(), {}, line("invalid_grant"), dead)
    added = Change("a", grant("canary-old", key="canary-another-key"), adds=True)
    told = (await vault.commit(None, "a", [added], {}, line()))["a"]
    assert told.held == {"key"}
    assert dict(told.dead) == {"refresh_token": "invalid_grant"}
    await bed.aclose()
