"""A new sealing key in the place of the old one: with every custodian, and after a kill at any step."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import FreshdError, KeyringUnavailable, NotPossible, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault import JournalVault, Placement
from freshd.vault.keys import KEY_ENTRY, entry_of, service_of
from tests.contract.rekey_bed import Camera, World, check, fill, heads, named_in, spoil, until_free
from tests.contract.vault_bed import exchange, grant, lease
from tests.flow.bed import soon

WAYS: list[tuple[Placement, str]] = [
    ("sealed", "drawer"),
    ("keyring", "drawer"),
    ("sealed", "file"),
    ("sealed", "cred"),
]
NEXT = bytes(range(1, 33))
STEPS = ("key-chosen", "key-written", "key-named", "key-pass", "key-turned", "key-settled")


async def filled(
    world: World, placement: Placement, kind: str, *, spoilt: bool = True
) -> tuple[JournalVault, Custodian]:
    """A vault with everything in it, opened anew; a credential has its successor beside it."""
    custodian = world.custodian(kind)
    vault = await world.open(placement, custodian)
    await fill(world, vault)
    await vault.aclose()
    if spoilt:
        spoil(world)
    if kind == "cred":
        world.give("cred-next", NEXT)
    return await world.open(placement, custodian), custodian


def entries_of_keys(world: World, custodian: Custodian) -> set[str]:
    """What a custodian holds of keys."""
    if custodian.name == "drawer":
        return {entry for service, entry in world.drawer().entries if entry.startswith(KEY_ENTRY)}
    return {path.name for path in world.folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(("placement", "kind"), WAYS)
async def test_a_rotation_seals_everything_with_the_new_key_and_lets_go_of_the_old(
    world: World, placement: Placement, kind: str
) -> None:
    vault, custodian = await filled(world, placement, kind, spoilt=False)
    (old,) = heads(world)
    told = await vault.care.verbs["rotate-key"]({})
    assert told["done"]
    assert heads(world) == {named_in(world).id} != {old}
    assert not named_in(world).is_open
    await check(vault, has_broken=False)
    await exchange(vault, "a", Change("a", grant("second-a"), lease("a", "lease-a")))
    await vault.aclose()
    if kind == "cred":
        assert "systemd-creds" in told["commands"][0]
        world.give("cred", NEXT)
        (world.folder / "creds" / "cred-next").unlink()
    else:
        assert "commands" not in told
        assert entries_of_keys(world, custodian) == {KEY_ENTRY if kind == "drawer" else "key"}
    await check(await world.open(placement, custodian), has_broken=False)
    assert [event.name for event in world.events] == ["vault.key-rotating", "vault.key-rotated"]


@pytest.mark.parametrize(("placement", "kind"), WAYS)
async def test_killed_at_any_step_everything_is_there_and_the_rotation_goes_on_by_itself(
    world: World, tmp_path: Path, placement: Placement, kind: str
) -> None:
    world.trace = camera = Camera(world, tmp_path)
    vault, _ = await filled(world, placement, kind)
    (old,) = heads(world)
    await vault.care.verbs["rotate-key"]({})
    assert set(STEPS) <= camera.shots.keys()
    for point, shot in camera.shots.items():
        await world.back_to(shot)
        again = await world.open(placement, world.custodian(kind))
        await check(again)
        await until_free(again)
        await check(again)
        assert heads(world) == {named_in(world).id} != {old}, point
        assert not named_in(world).is_open, point
        await again.aclose()
        once_more = await world.open(placement, world.custodian(kind))
        await check(once_more)
        assert once_more.care.busy is None


@pytest.mark.parametrize(("placement", "kind"), WAYS[:3])
async def test_what_does_not_open_keeps_its_key_until_it_is_gone(world: World, placement: Placement, kind: str) -> None:
    vault, custodian = await filled(world, placement, kind)
    (old,) = heads(world)
    told = await vault.care.verbs["rotate-key"]({})
    assert (told["done"], told["kept"]) == (True, 1)
    assert [one.id for one in named_in(world).kept] == [old]
    names = {KEY_ENTRY, entry_of(old)} if kind == "drawer" else {"key", f"key.{old}"}
    assert entries_of_keys(world, custodian) == names
    assert world.told("vault.key-kept") == [{"keys": 1}]
    await vault.forget("z")
    told = await vault.care.verbs["rotate-key"]({})
    assert (told["done"], told["kept"]) == (True, 0)
    assert entries_of_keys(world, custodian) == {KEY_ENTRY if kind == "drawer" else "key"}


async def test_a_credential_without_its_successor_refuses_and_changes_nothing(world: World) -> None:
    vault = await world.open("sealed", world.custodian("cred"))
    await fill(world, vault)
    before = world.journal.read_bytes(), named_in(world)
    with pytest.raises(NotPossible, match="no key that is to follow") as refusal:
        await vault.care.verbs["rotate-key"]({})
    assert "systemd-creds encrypt --with-key=host --name=cred-next" in refusal.value.remedy
    world.give("cred-next", b"no key at all")
    with pytest.raises(VaultForeign, match="no key"):
        await vault.care.verbs["rotate-key"]({})
    world.give("cred-next", bytes(range(32)))
    with pytest.raises(NotPossible, match="present one already"):
        await vault.care.verbs["rotate-key"]({})
    assert (world.journal.read_bytes(), named_in(world)) == before
    assert vault.care.busy is None


@pytest.mark.parametrize("first", ["old", "new"])
async def test_a_credential_opens_in_whatever_order_the_two_are_handed_over(world: World, first: str) -> None:
    vault, custodian = await filled(world, "sealed", "cred", spoilt=False)
    await vault.care.verbs["rotate-key"]({})
    await vault.aclose()
    if first == "new":
        world.give("cred", NEXT)
        world.give("cred-next", bytes(range(32)))
    await check(await world.open("sealed", custodian), has_broken=False)


async def test_a_custodian_that_does_not_take_the_key_refuses_and_the_old_one_stays(world: World) -> None:
    vault, custodian = await filled(world, "sealed", "drawer", spoilt=False)
    world.drawer().forgetful = True
    with pytest.raises(VaultLocked, match="did not give back"):
        await vault.care.verbs["rotate-key"]({})
    world.drawer().forgetful = False
    await vault.aclose()
    vault = await world.open("sealed", custodian)
    await until_free(vault)
    await check(vault, has_broken=False)
    assert entries_of_keys(world, custodian) == {KEY_ENTRY}
    assert (named_in(world).next, named_in(world).old) == (None, ())
    assert (await vault.care.verbs["rotate-key"]({}))["done"]


async def test_two_at_once_are_one_and_a_refusal(world: World) -> None:
    vault, _ = await filled(world, "sealed", "drawer", spoilt=False)
    world.drawer().hang()
    verb = vault.care.verbs["rotate-key"]
    first = vault.care.verbs["rotate-key"]({})
    task = asyncio.ensure_future(first)
    await soon(lambda: vault.care.busy)
    with pytest.raises(NotPossible, match="under way"):
        await verb({})
    with pytest.raises(NotPossible, match="under way"):
        await vault.care.verbs["move"]({})
    await check(vault, has_broken=False)
    world.drawer().thaw()
    assert (await task)["done"]


async def test_exchanges_go_on_while_the_key_is_turned(world: World) -> None:
    vault, _ = await filled(world, "sealed", "drawer", spoilt=False)
    turning = asyncio.ensure_future(vault.care.verbs["rotate-key"]({}))
    for number in range(30):
        await exchange(vault, f"n{number % 5}", Change(f"n{number % 5}", grant(f"t{number}"), lease(f"n{number % 5}")))
    assert (await turning)["done"]
    assert heads(world) == {named_in(world).id}
    await check(vault, has_broken=False)


async def test_a_locked_keyring_in_the_middle_is_waited_for(world: World, tmp_path: Path) -> None:
    """The key is in use and sealed with; only its place is still to be taken."""
    world.trace = camera = Camera(world, tmp_path)
    vault, custodian = await filled(world, "sealed", "drawer", spoilt=False)
    await vault.care.verbs["rotate-key"]({})
    await world.back_to(camera.shots["key-turned"])
    again = await world.open("sealed", custodian)
    world.drawer().locked = True
    await soon(lambda: world.told("vault.waiting"))
    with pytest.raises(NotPossible, match="it waits"):
        await again.care.verbs["rotate-key"]({})
    await check(again, has_broken=False)
    world.drawer().locked = False
    await until_free(again)
    assert entries_of_keys(world, custodian) == {KEY_ENTRY}


async def test_a_key_by_hand_in_the_usual_place_is_not_written_over(world: World, tmp_path: Path) -> None:
    world.trace = camera = Camera(world, tmp_path)
    vault, _ = await filled(world, "sealed", "file", spoilt=False)
    await vault.care.verbs["rotate-key"]({})
    await world.back_to(camera.shots["key-turned"])
    (world.folder / "key").write_text("77" * 32)
    again = await world.open("sealed", world.custodian("file"))
    await soon(lambda: world.told("vault.waiting"))
    await check(again, has_broken=False)
    assert (world.folder / "key").read_text() == "77" * 32


async def test_a_rolled_back_journal_is_left_as_it_is(world: World) -> None:
    vault, custodian = await filled(world, "sealed", "drawer", spoilt=False)
    await vault.anchor()
    await vault.aclose()
    old = world.journal.read_bytes()
    vault = await world.open("sealed", custodian)
    await exchange(vault, "a", Change("a", grant("second-a"), lease("a", "lease-a")))
    await vault.anchor()
    await vault.aclose()
    world.journal.write_bytes(old)
    vault = await world.open("sealed", custodian)
    with pytest.raises(NotPossible, match="old copy"):
        await vault.care.verbs["rotate-key"]({})


async def test_no_verb_takes_what_it_does_not_know(world: World) -> None:
    vault, _ = await filled(world, "sealed", "drawer", spoilt=False)
    for verb in ("rotate-key", "move"):
        with pytest.raises(FreshdError, match="takes nothing"):
            await vault.care.verbs[verb]({"custodian": "somebody"})


async def test_a_vault_that_is_locked_is_not_touched(world: World) -> None:
    vault, custodian = await filled(world, "sealed", "drawer", spoilt=False)
    await vault.aclose()
    world.drawer().locked = True
    with pytest.raises((VaultLocked, KeyringUnavailable)):
        await world.open("sealed", custodian)
    with pytest.raises(VaultLocked):
        await world.opened[-1].care.verbs["rotate-key"]({})
    assert service_of("x") == "freshd vault x"
