"""A vault on a real gnome-keyring that is locked, hangs, comes back empty, or takes a write too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freshd.core.model import Change, Intent
from freshd.errors import KeyringUnavailable
from freshd.vault import JournalVault
from freshd.vault.keyring import OsKeyring
from tests.contract.vault_bed import (
    NOON,
    REPLY,
    Bed,
    enrolled,
    exchange,
    grant,
    journal_holds,
    line,
    retry,
    row,
    settles,
)
from tests.flow.bed import soon
from tests.host.keyring_bed import KeyringBed
from tests.host.wire import WRITE, Wire

pytestmark = pytest.mark.part("keyring")
DEADLINE_SECONDS = 1.0


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringBed]:
    with KeyringBed() as keyring:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring.env["DBUS_SESSION_BUS_ADDRESS"])
        yield keyring


@pytest.fixture
async def bed(keyring: KeyringBed, tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path / "state", "keyring", OsKeyring("secret-service"), deadline=DEADLINE_SECONDS)
    yield bed
    await bed.aclose()


@pytest.fixture
async def vault(bed: Bed) -> JournalVault:
    """With an account whose grant rests in the keyring."""
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    return vault


async def test_a_collection_that_comes_back_empty_is_unavailable_and_gets_none_of_the_later_grants(
    bed: Bed, vault: JournalVault, keyring: KeyringBed
) -> None:
    files = keyring.save_files()
    keyring.kill()
    keyring.lose_files()
    keyring.restart()
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("a")
    await exchange_blind(vault, "two")
    await bed.until_told("a", settled=False)
    assert journal_holds(bed, "a")
    assert (await vault.read("a")).grant == grant("two", "line-2")

    keyring.kill()
    keyring.bring_back(files)
    keyring.restart()
    retry(vault)
    await bed.until_told("a", settled=True)
    assert not journal_holds(bed, "a")
    assert (await vault.read("a")).grant == grant("two", "line-2")


async def exchange_blind(vault: JournalVault, token: str) -> None:
    """An exchange that needs not read what rests in the keyring: a person enrols anew."""
    intent = Intent("blind", "a", "authorize", "line-1", 1, NOON, candidate="line-2")
    await vault.intend(intent, {"a/refresh": row()})
    await vault.escrow(intent, REPLY)
    await vault.commit(intent, "a", [Change("a", grant(token, "line-2"))], {}, line())


async def test_a_hung_keyring_ends_a_read_at_its_deadline_and_holds_up_no_commit(
    bed: Bed, vault: JournalVault, keyring: KeyringBed
) -> None:
    with keyring.frozen():
        with pytest.raises(KeyringUnavailable, match="did not answer"):
            await vault.read("a")
        for number in range(3):
            await exchange(vault, "b", Change("b", grant(f"{number}")))
        assert (await vault.read("b")).grant == grant("2")
    await soon(lambda: settles(vault, bed, "b"))
    assert (await vault.read("a")).grant == grant("canary-refresh-1")


async def test_a_write_that_was_given_up_lands_and_buries_nothing(
    bed: Bed, vault: JournalVault, keyring: KeyringBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, pids = Wire(monkeypatch), list[int]()
    wire.before(WRITE, lambda: pids.append(keyring.freeze()))
    await exchange(vault, "a", Change("a", grant("two")))
    await bed.until_told("a", settled=False)
    for token in ("three", "four"):
        await exchange(vault, "a", Change("a", grant(token)))
    keyring.thaw(pids[0])
    await soon(lambda: settles(vault, bed, "a"))
    assert not journal_holds(bed, "a")
    assert (await vault.read("a")).grant == grant("four")
    await asyncio.to_thread(keyring.restart)
    assert (await vault.read("a")).grant == grant("four")


async def test_locked_and_unlocked_while_it_waits_the_grant_comes_to_rest(
    bed: Bed, vault: JournalVault, keyring: KeyringBed
) -> None:
    await enrolled(bed, vault, "b")
    keyring.lock()
    with pytest.raises(KeyringUnavailable, match="is locked"):
        await vault.read("a")
    await exchange_blind(vault, "two")
    await bed.until_told("a", settled=False)
    assert keyring.unlock()
    retry(vault)
    await bed.until_told("a", settled=True)
    assert (await vault.read("a")).grant == grant("two", "line-2")


async def test_without_a_default_collection_nothing_is_absent_and_none_is_made(
    vault: JournalVault, keyring: KeyringBed
) -> None:
    keyring.drop_alias()
    with pytest.raises(KeyringUnavailable, match="no default collection"):
        await vault.read("a")
