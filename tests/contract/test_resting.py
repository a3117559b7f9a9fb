"""What changes while a grant is on its way to the keyring: the journal's copy goes only where nothing has."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from freshd.core.model import Change
from freshd.errors import KeyringUnavailable, Stale
from freshd.vault import JournalVault, entries, records, rows, upkeep
from freshd.vault.entries import Place
from freshd.vault.records import Row
from freshd.vault.seal import Seal
from freshd.vault.settle import Settler
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import Bed, exchange, grant, intent_on, lease, line


class Watched(Drawer):
    """Tells of each grant that was written, before the caller knows."""

    written: Callable[[], object] = staticmethod(lambda: None)

    def put(self, service: str, entry: str, value: str) -> None:
        super().put(service, entry, value)
        if value.startswith("freshd1 "):
            self.written()


@pytest.fixture
def drawer() -> Watched:
    return Watched()


@pytest.fixture
async def bed(tmp_path: Path, drawer: Watched) -> AsyncIterator[Bed]:
    made = Bed(tmp_path / "state", "keyring", drawer)
    yield made
    await made.aclose()


def settler_of(vault: JournalVault) -> Settler:
    settler = vault._open().settler
    assert settler is not None
    return settler


async def test_I7_grants_that_are_called_home_while_they_are_written_stay_in_the_journal(
    bed: Bed, drawer: Watched
) -> None:
    vault = await bed.open()
    settler = settler_of(vault)

    def turn() -> None:
        settler.takes = False

    drawer.written = turn
    await exchange(vault, "a", Change("a", grant("canary-1"), lease("a")))
    await bed.until_told("a", settled=True)
    assert drawer.of("a")
    with closing(sqlite3.connect(bed.folder / "journal.db")) as db:
        assert db.execute("SELECT grant_blob IS NOT NULL FROM records WHERE account = 'a'").fetchone() == (1,)


async def test_a_bug_with_one_account_holds_up_no_other(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    written = entries.written

    def buggy(seal: Seal, place: Place, *given: Any) -> tuple[str, ...]:
        if place.account == "a":
            raise RuntimeError("a bug")
        return written(seal, place, *given)

    vault = await bed.open()
    with monkeypatch.context() as patch:
        patch.setattr(entries, "written", buggy)
        await exchange(vault, "a", Change("a", grant("canary-a")))
        await bed.until_told("a", settled=False)
        await exchange(vault, "b", Change("b", grant("canary-b")))
        await bed.until_told("b", settled=True)
    settler_of(vault).retry()
    await bed.until_told("a", settled=True)


async def test_two_failures_with_a_success_between_them_are_not_the_keyrings(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, written, bad = await bed.open(), entries.written, {"first"}
    await bed.rest(await exchange(vault, "waits", Change("waits", grant("canary-w"))))

    def buggy(seal: Seal, place: Place, *given: Any) -> tuple[str, ...]:
        if place.account == "second":
            settler_of(vault).want("waits")  # it would be told too if the keyring were at fault
        if place.account in bad:
            raise RuntimeError("a bug")
        return written(seal, place, *given)

    with monkeypatch.context() as patch:
        patch.setattr(entries, "written", buggy)
        await exchange(vault, "first", Change("first", grant("canary-first")))
        await bed.until_told("first", settled=False)
        bad = {"second"}
        settler_of(vault).retry()
        await bed.until_told("first", settled=True)
        await exchange(vault, "second", Change("second", grant("canary-second")))
        await bed.until_told("second", settled=False)
        assert await bed.first_news("waits")


async def unsettled(bed: Bed, drawer: Watched) -> tuple[JournalVault, Row]:
    """A grant of two secrets that the journal still holds, and its row."""
    vault = await bed.open()
    drawer.forgetful = True
    await exchange(vault, "a", Change("a", grant("canary-1", key="canary-key"), lease("a")))
    row = await vault._reader.ask(lambda db: rows.find(db, "a"))
    assert row is not None
    return vault, row


async def test_I7_an_entry_of_before_a_secret_was_forgotten_costs_the_journal_no_copy(
    bed: Bed, drawer: Watched
) -> None:
    """The generation is the same, and what the keyring holds is not what the journal will look for."""
    vault, row = await unsettled(bed, drawer)
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    await vault.close(intent, frozenset({"key"}), {}, line("refused"), {})
    assert not await vault._writer.ask(lambda db: upkeep.settled(db, row), lambda _db, done: done, wall=0.0)
    assert (await vault.read("a")).grant == grant("canary-1")


async def test_I7_a_later_grant_of_the_keyrings_takes_no_place_of_one_that_came_meanwhile(
    bed: Bed, drawer: Watched
) -> None:
    vault = await bed.open()
    await bed.rest(await exchange(vault, "a", Change("a", grant("canary-1"))))
    row = await vault._reader.ask(lambda db: rows.find(db, "a"))
    assert row is not None
    settler, seal = settler_of(vault), vault._open().seal
    place = settler.rest.place(row)
    [entry] = entries.written(seal, place, 2, grant("canary-of-another-course"), None)
    drawer.forgetful = True
    await exchange(vault, "a", Change("a", grant("canary-2")))
    drawer.entries[place.service(entries.slot_of(2), 0), "a"] = entry
    with pytest.raises(Stale):
        await settler.fetch(row)
    assert (await vault.read("a")).grant == grant("canary-2")


async def test_an_entry_of_the_same_generation_counts_only_by_its_digest(bed: Bed) -> None:
    vault = await bed.open()
    await bed.rest(await exchange(vault, "a", Change("a", grant("canary-1"))))
    with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
        db.execute("UPDATE records SET grant_digest = 'of another life'")
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("a")


async def test_what_is_left_of_a_longer_entry_goes_with_the_account(tmp_path: Path) -> None:
    drawer = Watched(longest=120)
    bed = Bed(tmp_path / "state", "keyring", drawer)
    vault = await bed.open()
    for token in ("canary-" + 900 * "x", "canary-1", "canary-2"):
        await bed.rest(await exchange(vault, "a", Change("a", grant(token))))
    assert len({slot[0] for slot in drawer.of("a")}) == 2
    await vault.forget("a")
    assert drawer.of("a") == {}
    await bed.aclose()


async def test_I7_what_is_forgotten_is_forgotten_in_the_journals_own_copy(bed: Bed, drawer: Watched) -> None:
    vault, _ = await unsettled(bed, drawer)
    assert await kept_after_forgetting(vault) == {"refresh_token"}


async def test_I7_what_was_forgotten_while_at_rest_does_not_come_home(bed: Bed) -> None:
    vault = await bed.open()
    await bed.rest(await exchange(vault, "a", Change("a", grant("canary-1", key="canary-key"))))
    assert await kept_after_forgetting(vault) is None
    row = await vault._reader.ask(lambda db: rows.find(db, "a"))
    assert row is not None
    found, seal = await settler_of(vault).rest.grant(row), vault._open().seal
    assert found is not None
    assert found.secrets.keys() == {"refresh_token", "key"}
    assert await vault._writer.ask(lambda db: upkeep.come_home(db, seal, row, found), lambda _db, done: done, wall=0.0)
    assert await kept(vault) == {"refresh_token"}


async def kept_after_forgetting(vault: JournalVault) -> set[str] | None:
    intent = await intent_on(vault, "a", "f")
    await vault.intend(intent, {})
    await vault.close(intent, frozenset({"key"}), {}, line("refused"), {})
    return await kept(vault)


async def kept(vault: JournalVault) -> set[str] | None:
    """The names in the journal's own copy of the grant; None where it has none."""
    row = await vault._reader.ask(lambda db: rows.find(db, "a"))
    assert row is not None
    found = records.grant_of(vault._open().seal, row)
    return None if found is None else set(found.secrets)


async def test_I11_a_keyring_that_hangs_holds_up_no_stop(tmp_path: Path) -> None:
    drawer = Watched()
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=60.0)
    vault = await bed.open()
    drawer.hang()
    try:
        async with asyncio.timeout(20):
            await vault.aclose()
    finally:
        drawer.thaw()
