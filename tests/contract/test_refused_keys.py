"""A custodian that does not do what it says it did with a new sealing key: nothing is lost, nothing is left lying."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from freshd.errors import FreshdError, KeyringUnavailable, VaultLocked
from freshd.vault import JournalVault, KeyFile, names
from freshd.vault.keys import KEY_ENTRY, entry_of
from freshd.vault.names import Names
from tests.contract.drawer import Drawer
from tests.contract.rekey_bed import Camera, World, check, fill, named_in, until_free


async def refused(vault: JournalVault) -> None:
    """A rotation that does not come to its end."""
    with contextlib.suppress(FreshdError):
        assert not (await vault.care.verbs["rotate-key"]({}))["done"]


def key_files(world: World) -> set[str]:
    return {path.name for path in world.folder.glob("key*")}


async def test_a_key_that_did_not_take_the_usual_place_keeps_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await world.open("sealed", world.key_file())
    await fill(world, vault)
    with monkeypatch.context() as patch:
        patch.setattr(KeyFile, "promote", lambda *_: None)
        await refused(vault)
        assert f"key.{named_in(world).id}" in key_files(world)
        await vault.aclose()
    again = await world.open("sealed", world.key_file())
    await until_free(again)
    await check(again, has_broken=False)
    assert key_files(world) == {"key"}


async def test_a_key_that_was_not_taken_is_not_in_force_at_the_next_start_either(world: World) -> None:
    vault = await world.open("sealed", world.drawer())
    await fill(world, vault)
    before = named_in(world).id or vault._open().seal.key_id.hex()
    world.drawer().forgetful = True
    await refused(vault)
    assert named_in(world).next is None
    world.drawer().forgetful = False
    await vault.aclose()
    again = await world.open("sealed", world.drawer())
    await until_free(again)
    assert again._open().seal.key_id.hex() == before


async def test_a_key_that_arrived_after_all_is_taken_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await world.open("sealed", world.drawer())
    await fill(world, vault)
    put = Drawer.put

    def late(self: Drawer, service: str, entry: str, value: str) -> None:
        put(self, service, entry, value)
        if entry.startswith(f"{KEY_ENTRY}-"):
            raise KeyringUnavailable("no answer", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(Drawer, "put", late)
        await refused(vault)
    await vault.aclose()
    again = await world.open("sealed", world.drawer())
    await until_free(again)
    await check(again, has_broken=False)
    keys = [entry for _, entry in world.drawer().entries if entry.startswith(KEY_ENTRY)]
    assert keys == [KEY_ENTRY]


async def test_a_key_that_a_kill_kept_from_its_custodian_is_thought_of_until_it_cannot_be_there(
    world: World, tmp_path: Path
) -> None:
    """The write may land after the next one was drawn."""
    world.trace = camera = Camera(world, tmp_path)
    vault = await world.open("sealed", world.drawer())
    await fill(world, vault)
    await vault.care.verbs["rotate-key"]({})
    await world.back_to(camera.shots["key-chosen"])
    lost = named_in(world).next
    assert lost is not None
    world.trace = camera = Camera(world, tmp_path / "again")
    again = await world.open("sealed", world.drawer())
    await until_free(again)
    await world.back_to(camera.shots["key-written"])
    assert lost in named_in(world).old


async def test_a_key_that_is_read_back_as_another_is_never_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are founded at once over one keyring."""
    put = Drawer.put
    with monkeypatch.context() as patch:
        patch.setattr(Drawer, "put", lambda self, service, entry, _value: put(self, service, entry, "77" * 32))
        with pytest.raises(VaultLocked, match="did not give back"):
            await world.open("sealed", world.drawer())
    assert world.rows("SELECT 1 FROM meta WHERE name = 'check'") == []


async def test_a_new_key_is_named_before_it_is_written_and_in_use_before_it_seals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await world.open("sealed", world.drawer())
    await fill(world, vault)
    seal, put, write = vault._open().seal, Drawer.put, names.write
    before, named, sealing = seal.key_id, list[bool](), set[bytes]()

    def watched(self: Drawer, service: str, entry: str, value: str) -> None:
        named.append(named_in(world).next is not None or entry == KEY_ENTRY)
        put(self, service, entry, value)

    def written(db: sqlite3.Connection, stands: Names) -> None:
        if stands.in_use:
            sealing.add(seal.key_id)
        write(db, stands)

    with monkeypatch.context() as patch:
        patch.setattr(Drawer, "put", watched)
        patch.setattr(names, "write", written)
        assert (await vault.care.verbs["rotate-key"]({}))["done"]
    assert named == [True, True]
    assert sealing == {before}
    assert seal.key_id != before


async def test_an_old_key_that_cannot_be_taken_away_now_is_taken_away_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await world.open("sealed", world.drawer())
    await fill(world, vault)
    old, drop = entry_of(vault._open().seal.key_id.hex()), Drawer.drop

    def locked(self: Drawer, service: str, entry: str) -> None:
        if entry == old:
            raise KeyringUnavailable("locked", "unlock it")
        drop(self, service, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Drawer, "drop", locked)
        with contextlib.suppress(FreshdError):
            await vault.care.verbs["rotate-key"]({})
        assert [entry_of(one.id) for one in named_in(world).old] == [old]
    await vault.aclose()
    again = await world.open("sealed", world.drawer())
    await until_free(again)
    assert named_in(world).old == ()


async def test_a_key_that_is_none_of_ours_stays_in_a_keyring_that_is_left(world: World, tmp_path: Path) -> None:
    world.trace = camera = Camera(world, tmp_path)
    left, there = world.drawer(), world.drawer("other")
    vault = await world.open("sealed", left, ("sealed", there))
    await fill(world, vault)
    assert (await vault.care.verbs["move"]({}))["done"]
    await world.back_to(camera.shots["key-turned"])
    usual = next(place for place in left.entries if place[1] == KEY_ENTRY)
    left.entries[usual] = "77" * 32
    await until_free(await world.open("sealed", there))
    assert left.entries[usual] == "77" * 32
