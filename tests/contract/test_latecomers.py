"""Attempts that were displaced, and come to an end all the same: what stands by then is not theirs to touch."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freshd.core.model import Earlier, Intent
from freshd.errors import Stale
from freshd.vault import JournalVault, KeyFile
from tests.contract.vault_bed import REPLY, Bed, enrolled, intent_on, line


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[JournalVault]:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    made = await bed.open()
    await enrolled(bed, made, "a")
    yield made
    await bed.aclose()


async def attempt(vault: JournalVault, flight: str, *earlier: Earlier) -> Intent:
    intent = replace(await intent_on(vault, "a", flight), earlier=earlier)
    await vault.intend(intent, {})
    return intent


async def test_I3_the_end_of_a_displaced_attempt_leaves_the_newer_one_and_its_answer(vault: JournalVault) -> None:
    old = await attempt(vault, "old")
    newer = await attempt(vault, "newer")
    await vault.escrow(newer, REPLY)
    await vault.close(old, frozenset(), {}, line("refused"), {})
    assert await vault.escrowed("a") == (newer, REPLY)


async def test_I3_the_doubt_beneath_a_displaced_attempt_takes_no_place_of_a_newer_one(vault: JournalVault) -> None:
    doubt = await attempt(vault, "doubt")
    old = await attempt(vault, "old", Earlier("refresh", doubt.sent, 1))
    newer = await attempt(vault, "newer")
    await vault.escrow(newer, REPLY)
    await vault.close(old, frozenset(), {}, line("refused"), {})
    assert await vault.escrowed("a") == (newer, REPLY)


async def test_I7_an_attempt_on_another_lineage_forgets_nothing_though_the_generation_is_the_same(
    vault: JournalVault,
) -> None:
    intent = replace(await attempt(vault, "f"), lineage="line-9")
    with pytest.raises(Stale):
        await vault.close(intent, frozenset({"refresh_token"}), {}, line("refused"), {})
    assert (await vault.open())["a"].held == {"refresh_token"}


async def test_I3_an_attempt_that_does_not_open_any_more_is_set_aside_by_its_successor(
    vault: JournalVault, tmp_path: Path
) -> None:
    """Nobody can tell what it held."""
    await attempt(vault, "old")
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db, db:
        db.execute("UPDATE intents SET intent = substr(intent, 1, 40)")
    await attempt(vault, "newer")
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
        assert db.execute("SELECT why FROM quarantine").fetchall() == [("replaced by a later attempt",)]
