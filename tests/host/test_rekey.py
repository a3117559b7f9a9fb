"""A rotation of the sealing key, and moves, with a real gnome-keyring: locked in the middle, and killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freshd.vault import KeyFile, OsKeyring, Placement
from freshd.vault.keys import KEY_ENTRY, entry_of, service_of
from tests.contract.rekey_bed import World, check, fill, heads, named_in, until_free
from tests.flow.bed import soon
from tests.host.keyring_bed import KeyringBed

pytestmark = pytest.mark.part("keyring")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    (tmp_path / "world").mkdir()
    with KeyringBed() as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        world = World(tmp_path / "world", bed=bed)
        yield world
        await world.aclose()


@pytest.mark.parametrize("placement", ["sealed", "keyring"])
async def test_the_new_key_takes_the_entry_of_the_old_one(world: World, placement: Placement) -> None:
    keyring = OsKeyring("secret-service")
    vault = await world.open(placement, keyring)
    await fill(world, vault)
    told = await vault.care.verbs["rotate-key"]({})
    assert told["done"]
    stands = named_in(world)
    assert heads(world) == {stands.id}
    await vault.aclose()
    assert keyring.get(service_of(vault_id(world)), KEY_ENTRY) is not None
    assert keyring.get(service_of(vault_id(world)), entry_of(stands.id)) is None
    await check(await world.open(placement, OsKeyring("secret-service")), has_broken=False)


async def test_grants_come_home_and_go_out_again_with_a_locked_keyring_in_between(world: World) -> None:
    keyring, file = OsKeyring("secret-service"), KeyFile(world.folder / "key")
    vault = await world.open("keyring", keyring, ("sealed", file))
    await fill(world, vault)
    await soon(lambda: not world.held())
    assert world.bed is not None
    world.bed.lock()
    told = await vault.care.verbs["move"]({})
    assert (told["done"], told["left"]) == (False, 4)
    world.bed.unlock()
    await until_free(vault)
    await check(vault, has_broken=False)
    assert named_in(world).custodian == file.name
    await vault.aclose()
    vault = await world.open("keyring", keyring)
    await until_free(vault)
    await soon(lambda: not world.held())
    await check(vault, has_broken=False)
    assert named_in(world).custodian == keyring.name


def vault_id(world: World) -> str:
    """The journal's own id."""
    return str(world.rows("SELECT value FROM meta WHERE name = 'vault'")[0][0])
