"""How grants come to rest in the OS keyring, and that nothing it does can lose one or hold anybody up."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from freshd.core.model import Change, Record
from freshd.errors import ConfigError, KeyringUnavailable
from freshd.vault import JournalVault, KeyFile, Setup, rows, upkeep
from freshd.vault.calls import MOST_AT_ONCE
from freshd.vault.keys import KEY_ENTRY
from freshd.vault.settle import Erasure
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import NOON, Bed, enrolled, exchange, grant, journal_holds, lease, line, retry, settles
from tests.flow.bed import soon


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
async def bed(tmp_path: Path, drawer: Drawer) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path / "state", "keyring", drawer)
    yield bed
    drawer.locked = False
    drawer.thaw()
    await bed.aclose()


@pytest.fixture
async def vault(bed: Bed) -> JournalVault:
    return await bed.open()


async def test_the_journal_keeps_its_copy_until_the_entry_was_read_back(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    drawer.hang()
    standing = await exchange(vault, "a", Change("a", grant()))
    assert not standing.settled
    assert journal_holds(bed, "a")
    drawer.thaw()
    await bed.until_told("a", settled=True)
    assert not journal_holds(bed, "a")
    assert (await vault.read("a")).grant == grant()


async def test_even_generations_rest_in_a_and_odd_ones_in_b(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    await enrolled(bed, vault, "a", "one")
    first = drawer.of("a")
    assert list(first) == ["B"]
    await bed.rest(await exchange(vault, "a", Change("a", grant("two"))))
    second = drawer.of("a")
    assert second["B"] == first["B"]
    assert sorted(second) == ["A", "B"]
    await bed.rest(await exchange(vault, "a", Change("a", grant("three"))))
    third = drawer.of("a")
    assert (third["A"], third["B"] != first["B"]) == (second["A"], True)


async def test_a_hung_keyring_holds_up_no_commit(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    drawer.hang()
    for number in range(6):
        told = await asyncio.gather(*(exchange(vault, name, Change(name, grant(f"{number}"))) for name in "abcdefgh"))
        assert {one.generation for one in told} == {number + 1}
    assert (await vault.read("a")).grant == grant("5")


async def test_a_locked_keyring_is_said_once_and_settles_when_it_opens(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    drawer.locked = True
    await exchange(vault, "a", Change("a", grant("one")))
    await bed.until_told("a", settled=False)
    await exchange(vault, "a", Change("a", grant("two")))
    drawer.locked = False
    retry(vault)
    await bed.until_told("a", settled=True)
    assert bed.news == []
    assert (await vault.read("a")).grant == grant("two")


async def test_a_grant_that_rests_in_a_locked_keyring_is_unavailable_never_absent(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    await enrolled(bed, vault, "a")
    drawer.locked = True
    with pytest.raises(KeyringUnavailable):
        await vault.read("a")
    drawer.locked = False
    kept = dict(drawer.entries)
    drawer.entries.clear()  # a back end that says None while it is locked
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("a")
    drawer.entries |= kept
    assert (await vault.read("a")).grant == grant("canary-refresh-1")


async def test_a_hung_read_ends_at_its_deadline(tmp_path: Path, drawer: Drawer) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.5)
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    drawer.hang()
    with pytest.raises(KeyringUnavailable, match="did not answer"):
        await vault.read("a")
    drawer.thaw()
    await bed.aclose()


async def test_settling_goes_on_after_a_restart(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    drawer.locked = True
    await exchange(vault, "a", Change("a", grant()))
    await vault.aclose()
    drawer.locked = False
    again = bed.vault()
    assert not (await again.open())["a"].settled
    await bed.until_told("a", settled=True)
    assert not journal_holds(bed, "a")


async def test_a_start_reads_no_grants(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    for name in "abc":
        await enrolled(bed, vault, name)
    await vault.aclose()
    drawer.asked.clear()
    await bed.open()
    assert set(drawer.asked) == {"sealing-key", "anchor"}


async def test_a_write_that_lands_late_does_not_bury_a_newer_grant(tmp_path: Path, drawer: Drawer) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.5)
    vault = await bed.open()
    drawer.hang()
    await exchange(vault, "a", Change("a", grant("one")))
    await drawer_reached(drawer)
    await bed.until_told("a", settled=False)  # given up, and still on its way
    for token in ("two", "three"):
        await exchange(vault, "a", Change("a", grant(token)))
    drawer.thaw()
    retry(vault)
    await bed.until_told("a", settled=True)
    assert (await vault.read("a")).grant == grant("three")
    await bed.aclose()


async def test_I11_a_hung_keyring_costs_one_thread_for_each_key_at_most_and_delays_no_commit(
    tmp_path: Path, drawer: Drawer
) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.2)
    vault = await bed.open()
    names = [f"account-{number}" for number in range(100)]
    drawer.hang()
    for token in ("one", "two"):
        await asyncio.gather(*(exchange(vault, name, Change(name, grant(token))) for name in names))
    await bed.until_told(names[0], settled=False)
    reads = (vault.read(name) for name in names[:20])  # the journal has them all: nobody waits for the keyring
    assert {one.generation for one in await asyncio.gather(*reads)} == {2}
    custodians = [thread for thread in threading.enumerate() if thread.name == "freshd-custodian"]
    assert len(custodians) <= MOST_AT_ONCE
    drawer.thaw()
    for name in names:
        await soon(partial(settles, vault, bed, name))
    assert not any(journal_holds(bed, name) for name in names)
    await bed.aclose()


async def test_after_two_failures_in_a_row_all_who_wait_are_told(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    drawer.locked = True
    for name in "abc":
        await exchange(vault, name, Change(name, grant()))
    for _ in range(2):
        retry(vault)
        await bed.first_news("a" if ("a", False) in bed.news else "b")
    for name in "c":
        await bed.until_told(name, settled=False)


async def test_what_one_account_alone_has_is_said_of_it_alone(tmp_path: Path) -> None:
    drawer = Drawer(longest=120)
    bed = Bed(tmp_path / "state", "keyring", drawer)
    vault = await bed.open()
    await exchange(vault, "long", Change("long", grant("x" * 8000)))
    await bed.until_told("long", settled=False)
    for name in "ab":
        await enrolled(bed, vault, name)
    assert bed.news == []
    settler = vault._open().settler
    assert settler is not None
    settler._jobs = {"long": None, "a": None}
    assert settler._next() == "a"  # it goes before the one that failed
    await bed.aclose()


async def test_a_keyring_that_lost_the_sealing_key_gets_no_grant_for_good(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    """Its files are gone, or it is another one: what is written there may go with it when the right one is back."""
    await enrolled(bed, vault, "a")
    kept = dict(drawer.entries)
    for key in [one for one in drawer.entries if one[1] == KEY_ENTRY]:
        del drawer.entries[key]
    await exchange(vault, "a", Change("a", grant("two")))
    await bed.until_told("a", settled=False)
    assert journal_holds(bed, "a")
    drawer.entries = dict(kept)
    retry(vault)
    await bed.until_told("a", settled=True)
    assert (await vault.read("a")).grant == grant("two")


async def test_it_is_noticed_too_where_nothing_had_come_to_rest_since_the_start(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    await enrolled(bed, vault, "a")
    await vault.aclose()
    drawer.asked.clear()
    again = await bed.open()
    await soon(lambda: drawer.asked.count(KEY_ENTRY) > 1)
    drawer.entries = {key: value for key, value in drawer.entries.items() if key[1] != KEY_ENTRY}
    await exchange(again, "b", Change("b", grant("two")))
    await bed.until_told("b", settled=False)
    assert journal_holds(bed, "b")


async def test_a_failure_is_told_though_a_newer_grant_has_come_meanwhile(tmp_path: Path, drawer: Drawer) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.5)
    vault = await bed.open()
    drawer.hang()
    for token in ("one", "two"):
        await exchange(vault, "a", Change("a", grant(token)))
        await drawer_reached(drawer)
    await bed.until_told("a", settled=False)
    drawer.thaw()
    await bed.aclose()


async def drawer_reached(drawer: Drawer) -> None:
    assert await asyncio.to_thread(drawer.reached.wait, 10)


async def test_a_write_that_landed_after_all_is_not_repeated(tmp_path: Path, drawer: Drawer) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.5)
    vault = await bed.open()
    drawer.hang()
    await exchange(vault, "a", Change("a", grant()))
    await bed.until_told("a", settled=False)
    before = drawer.puts
    drawer.thaw()
    retry(vault)
    await bed.until_told("a", settled=True)
    assert drawer.puts == before + 1
    await bed.aclose()


async def test_a_keyring_that_drops_writes_never_gets_the_only_copy(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    drawer.forgetful = True
    await exchange(vault, "a", Change("a", grant()))
    await bed.until_told("a", settled=False)
    assert journal_holds(bed, "a")


async def test_the_keyring_wins_over_an_old_copy_of_the_journal(bed: Bed, vault: JournalVault, tmp_path: Path) -> None:
    await enrolled(bed, vault, "a", "one")
    await vault.aclose()
    shutil.copy(bed.folder / "journal.db", tmp_path / "old")
    newer = await bed.open()
    for token in ("two", "three", "four"):
        await bed.rest(await exchange(newer, "a", Change("a", grant(token))))
    await newer.aclose()
    shutil.copy(tmp_path / "old", bed.folder / "journal.db")
    restored = bed.vault()
    assert (await restored.open())["a"].generation == 1
    found = await restored.read("a")
    assert (found.generation, found.grant) == (4, grant("four"))
    told = await exchange(restored, "a", Change("a", grant("five")))
    assert told.generation == 5


async def test_an_entry_of_another_journal_or_account_does_not_count(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    await enrolled(bed, vault, "a", "of-a")
    await enrolled(bed, vault, "b", "of-b")
    services = {entry: service for service, entry in drawer.entries if entry in "ab"}
    drawer.entries[services["a"], "a"] = drawer.entries[services["b"], "b"]
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("a")


async def test_a_cut_entry_does_not_count(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    await enrolled(bed, vault, "a")
    for key, value in drawer.entries.items():
        if key[1] == "a":
            drawer.entries[key] = value[:-4]
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("a")


async def test_secrets_dropped_while_at_rest_are_gone_for_readers(bed: Bed, vault: JournalVault) -> None:
    await bed.rest(await exchange(vault, "a", Change("a", grant("r", ticket="t"))))
    told = await exchange(vault, "a", Change("a", lease=lease("a"), drop=frozenset({"ticket"})))
    record = await vault.read("a")
    assert record.grant is not None
    assert set(record.grant.secrets) == told.held == {"refresh_token"}


async def test_I7_an_entry_that_was_read_back_late_costs_no_newer_copy(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    drawer.hang()
    await exchange(vault, "a", Change("a", grant("one")))
    old = await vault._reader.ask(lambda db: rows.find(db, "a"))
    assert old is not None
    await exchange(vault, "a", Change("a", grant("two")))
    let_go = await vault._writer.ask(lambda db: upkeep.settled(db, old), lambda _db, done: done, wall=0.0)
    assert not let_go
    assert journal_holds(bed, "a")
    assert (await vault.read("a")).grant == grant("two")


async def test_I7_an_erasure_leaves_the_entries_of_another_life_alone(
    bed: Bed, vault: JournalVault, drawer: Drawer
) -> None:
    await enrolled(bed, vault, "a")
    before = dict(drawer.entries)
    settler = vault._open().settler
    assert settler is not None
    await settler.erase(Erasure("a", "0123456789abcdef"))
    assert drawer.entries == before


async def test_the_first_part_of_an_entry_is_written_last(tmp_path: Path) -> None:
    drawer = Drawer(longest=120)
    bed = Bed(tmp_path / "state", "keyring", drawer)
    await enrolled(bed, await bed.open(), "a")
    written = list(drawer.of("a"))
    assert len(written) > 2
    assert written[-1] == "B"
    await bed.aclose()


async def test_forget_erases_both_entries(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    for token in ("one", "two"):
        await bed.rest(await exchange(vault, "a", Change("a", grant(token))))
    assert len(drawer.of("a")) == 2
    await vault.forget("a")
    assert drawer.of("a") == {}


async def test_forget_is_kept_in_mind_until_the_keyring_can_do_it(tmp_path: Path, drawer: Drawer) -> None:
    bed = Bed(tmp_path / "state", "keyring", drawer, deadline=0.5)
    vault = await bed.open()
    await enrolled(bed, vault, "a", "old")
    drawer.locked = True
    with pytest.raises(KeyringUnavailable, match="has not erased"):
        await vault.forget("a")
    assert await vault.read("a") == Record("a")
    await vault.aclose()
    drawer.locked = False
    again = await bed.open()
    await again.forget("nobody")
    while drawer.of("a"):
        retry(again)
        await asyncio.to_thread(lambda: None)
    await bed.aclose()


async def test_entries_of_an_earlier_life_do_not_count(bed: Bed, vault: JournalVault, drawer: Drawer) -> None:
    for token in ("one", "two", "three"):
        await bed.rest(await exchange(vault, "a", Change("a", grant(token))))
    old = dict(drawer.entries)
    await vault.forget("a")
    drawer.entries |= old
    await enrolled(bed, vault, "a", "new")
    assert (await vault.read("a")).grant == grant("new")


async def test_grants_of_a_sealed_journal_move_when_the_placement_does(tmp_path: Path, drawer: Drawer) -> None:
    sealed = Bed(tmp_path / "state", "sealed", drawer)
    vault = await sealed.open()
    await enrolled(sealed, vault, "a")
    await vault.aclose()
    bed = Bed(tmp_path / "state", "keyring", drawer)
    moved = await bed.open()
    await bed.until_told("a", settled=True)
    await moved.aclose()
    back = await sealed.open()
    assert (await back.read("a")).grant == grant("canary-refresh-1")
    told = await exchange(back, "a", Change("a", grant("home")))
    assert (told.settled, journal_holds(sealed, "a")) == (True, True)
    await sealed.aclose()


def test_a_custodian_that_keeps_no_grants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        JournalVault(Setup(tmp_path, "keyring", KeyFile(tmp_path / "key"), lambda: NOON))


async def test_everything_happens_on_the_callers_thread_if_asked(tmp_path: Path, drawer: Drawer) -> None:
    vault = JournalVault(Setup(tmp_path / "state", "keyring", drawer, lambda: NOON, inline=True))
    await vault.open()
    told = await exchange(vault, "a", Change("a", grant(), lease("a")))
    assert told.generation == 1
    assert [one.outcome for one in await vault.history("a")] == [line().outcome]
    await vault.aclose()
