"""Grants and key move to where the configuration says, while they are served, and after a kill at any step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import ConfigError, NotPossible, VaultLocked
from freshd.vault import JournalVault, Placement
from freshd.vault.anchor import ANCHOR_ENTRY, Anchor
from freshd.vault.codec import to_bytes
from freshd.vault.keys import KEY_ENTRY
from tests.contract.rekey_bed import KEPT, Camera, World, check, fill, heads, named_in, spoil, until_free
from tests.contract.vault_bed import exchange, grant, lease
from tests.flow.bed import soon

Way = tuple[Placement, str]
MOVES: Sequence[tuple[Way, Way]] = [
    (("keyring", "drawer"), ("sealed", "drawer")),
    (("sealed", "drawer"), ("keyring", "drawer")),
    (("keyring", "drawer"), ("sealed", "file")),
    (("sealed", "file"), ("keyring", "drawer")),
    (("keyring", "drawer"), ("sealed", "cred")),
    (("sealed", "cred"), ("keyring", "drawer")),
    (("keyring", "drawer"), ("keyring", "other")),
    (("sealed", "file"), ("sealed", "cred")),
]
IDS = [f"{a}-{b}-to-{c}-{d}" for (a, b), (c, d) in MOVES]
SOME = [0, 2, 3, 6]
"""Where every step is looked at: home and out, with the key and without, and from keyring to keyring."""


def resting(world: World) -> set[str]:
    """Accounts that have entries in some keyring."""
    return {
        entry
        for drawer in world.drawers.values()
        for service, entry in drawer.entries
        if not service.startswith("freshd vault")
    }


def keys_in(world: World, kind: str) -> set[str]:
    """What that keyring holds of keys."""
    drawer = world.drawer("other" if kind == "other" else "drawer")
    return {entry for _, entry in drawer.entries if entry.startswith(KEY_ENTRY)}


async def filled(world: World, way: Way, meant: Way, *, spoilt: bool) -> JournalVault:
    """A vault with everything in it, running as it was set up, with another configuration by now."""
    placement, kind = way
    vault = await world.open(placement, world.custodian(kind))
    await fill(world, vault)
    if placement == "keyring":
        await soon(lambda: not world.held())
    await vault.aclose()
    if spoilt:
        spoil(world)
    return await world.open(placement, world.custodian(kind), (meant[0], world.custodian(meant[1])))


def is_there(world: World, meant: Way, *, spoilt: bool) -> None:
    """Nothing is left in the old place."""
    stands = named_in(world)
    assert stands.custodian == world.custodian(meant[1]).name
    broken = {"z"} if spoilt else set()
    grants = {*KEPT, "z"}
    assert {account for account in world.held() if account in grants} - broken == (
        set() if meant[0] == "keyring" else set(KEPT) | ({"z"} - broken)
    )
    if meant[0] == "sealed":
        assert resting(world) <= broken
    if meant[1] != "drawer" and not spoilt:  # what does not open keeps its key
        assert not keys_in(world, "drawer")


@pytest.mark.parametrize(("way", "meant"), MOVES, ids=IDS)
async def test_a_move_carries_out_what_the_configuration_says(world: World, way: Way, meant: Way) -> None:
    vault = await filled(world, way, meant, spoilt=False)
    told = await vault.care.verbs["move"]({})
    assert told["done"]
    assert (told["left"], told["custodian"]) == (0, world.custodian(meant[1]).name)
    if way[0] != meant[0]:
        assert told["moved"] == 4
    is_there(world, meant, spoilt=False)
    await check(vault, has_broken=False)
    await exchange(vault, "a", Change("a", grant("second-a"), lease("a", "lease-a")))
    await vault.aclose()
    again = await world.open(meant[0], world.custodian(meant[1]))
    await check(again, has_broken=False)
    assert again.care.busy is None
    assert heads(world) == {named_in(world).id or next(iter(heads(world)))}


@pytest.mark.parametrize(("way", "meant"), [MOVES[one] for one in SOME], ids=[IDS[one] for one in SOME])
async def test_killed_at_any_step_a_move_goes_on_by_itself(world: World, tmp_path: Path, way: Way, meant: Way) -> None:
    world.trace = camera = Camera(world, tmp_path)
    vault = await filled(world, way, meant, spoilt=True)
    camera.shots.clear()
    await vault.care.verbs["move"]({})
    assert camera.shots
    for point, shot in camera.shots.items():
        await world.back_to(shot)
        again = await world.open(meant[0], world.custodian(meant[1]))
        await check(again)
        await until_free(again)
        await soon(lambda: meant[0] == "sealed" or not world.held() - {"z"})
        await check(again)
        is_there(world, meant, spoilt=True)
        assert world.told("vault.waiting") == [], point


@pytest.mark.parametrize(("way", "meant"), [MOVES[one] for one in SOME[2:]], ids=[IDS[one] for one in SOME[2:]])
async def test_killed_at_any_step_a_move_can_be_turned_round(
    world: World, tmp_path: Path, way: Way, meant: Way
) -> None:
    world.trace = camera = Camera(world, tmp_path)
    vault = await filled(world, way, meant, spoilt=False)
    camera.shots.clear()
    await vault.care.verbs["move"]({})
    for shot in camera.shots.values():
        await world.back_to(shot)
        again = await world.open(way[0], world.custodian(way[1]))
        await check(again, has_broken=False)
        await until_free(again)
        await soon(lambda: way[0] == "sealed" or not world.held())
        await check(again, has_broken=False)
        is_there(world, way, spoilt=False)


@pytest.mark.parametrize(("way", "meant"), MOVES, ids=IDS)
async def test_a_start_with_another_configuration_moves_by_itself(world: World, way: Way, meant: Way) -> None:
    vault = await filled(world, way, meant, spoilt=False)
    await vault.aclose()
    vault = await world.open(meant[0], world.custodian(meant[1]))
    await check(vault, has_broken=False)
    await until_free(vault)
    await soon(lambda: meant[0] == "sealed" or not world.held())
    await check(vault, has_broken=False)
    is_there(world, meant, spoilt=False)


async def test_accounts_are_renewed_while_their_grants_move(world: World) -> None:
    vault = await filled(world, ("keyring", "drawer"), ("sealed", "file"), spoilt=False)
    moving = asyncio.ensure_future(vault.care.verbs["move"]({}))
    for number in range(20):
        account = KEPT[number % 3]
        await exchange(vault, account, Change(account, grant(f"second-{account}"), lease(account, f"lease-{account}")))
        assert (await vault.read(KEPT[(number + 1) % 3])).grant is not None
    assert (await moving)["done"]
    await check(vault, has_broken=False)
    assert not resting(world)


async def test_a_keyring_that_is_locked_keeps_what_it_has_until_it_is_not(world: World) -> None:
    vault = await filled(world, ("keyring", "drawer"), ("sealed", "file"), spoilt=False)
    world.drawer().locked = True
    told = await vault.care.verbs["move"]({})
    assert (told["done"], told["moved"], told["left"]) == (False, 0, 4)
    assert "locked" in told["why"]
    assert named_in(world).custodian == "drawer"
    world.drawer().locked = False
    await until_free(vault)
    await check(vault, has_broken=False)
    is_there(world, ("sealed", "file"), spoilt=False)


async def test_a_keyring_that_takes_nothing_is_told_and_waited_for(world: World) -> None:
    vault = await filled(world, ("sealed", "drawer"), ("keyring", "drawer"), spoilt=False)
    world.drawer().forgetful = True
    told = await vault.care.verbs["move"]({})
    assert (told["done"], told["left"]) == (False, 4)
    await check(vault, has_broken=False)
    world.drawer().forgetful = False
    await until_free(vault)
    await check(vault, has_broken=False)
    is_there(world, ("keyring", "drawer"), spoilt=False)


async def test_a_credential_that_is_not_given_refuses_and_changes_nothing(world: World) -> None:
    custodian = world.drawer()
    vault = await world.open("sealed", custodian, ("sealed", world.credential()))
    await fill(world, vault)
    before = world.journal.read_bytes(), dict(custodian.entries)
    with pytest.raises(NotPossible, match="no key was given") as refusal:
        await vault.care.verbs["move"]({})
    assert "--name=cred " in refusal.value.remedy
    assert (world.journal.read_bytes(), custodian.entries) == before
    world.give("cred", bytes(range(7, 39)))
    told = await vault.care.verbs["move"]({})
    assert told["done"]
    await check(vault, has_broken=False)


async def test_a_custodian_that_keeps_no_grants_is_refused(world: World) -> None:
    vault = await world.open("sealed", world.drawer(), ("keyring", world.key_file()))
    await fill(world, vault)
    with pytest.raises(ConfigError, match="no grants"):
        await vault.care.verbs["move"]({})
    assert vault.care.busy is None


async def test_a_move_that_waits_gives_way_to_another(world: World) -> None:
    vault = await filled(world, ("keyring", "drawer"), ("sealed", "file"), spoilt=False)
    world.drawer().locked = True
    assert not (await vault.care.verbs["move"]({}))["done"]
    world.drawer().locked = False
    assert (await vault.care.verbs["move"]({}))["done"]
    is_there(world, ("sealed", "file"), spoilt=False)


async def test_a_key_that_nobody_has_any_more_is_never_replaced(world: World) -> None:
    vault = await filled(world, ("sealed", "file"), ("sealed", "drawer"), spoilt=False)
    await vault.aclose()
    (world.folder / "key").unlink()
    with pytest.raises(VaultLocked):
        await world.open("sealed", world.drawer())
    assert not world.drawer().entries
    assert not (world.folder / "key").exists()


async def test_what_waited_to_settle_does_not_once_it_is_called_home(world: World) -> None:
    vault = await filled(world, ("keyring", "drawer"), ("sealed", "drawer"), spoilt=False)
    world.drawer().forgetful = True
    for account in KEPT:
        await exchange(vault, account, Change(account, grant(f"second-{account}"), lease(account, f"lease-{account}")))
    assert world.held() == set(KEPT)
    moving = asyncio.ensure_future(vault.care.verbs["move"]({}))
    await soon(lambda: not vault._open().journal.keyring)
    world.drawer().forgetful = False
    assert (await moving)["done"]
    settler = vault._open().settler
    assert settler is not None
    settler.retry()
    await soon(lambda: not settler._jobs)
    await check(vault, has_broken=False)
    is_there(world, ("sealed", "drawer"), spoilt=False)


# -- the anchor goes with the key --------------------------------------------------------------------------------------


def anchored_in(world: World) -> set[str]:
    """The keyrings that hold an anchor."""
    return {name for name, drawer in world.drawers.items() if ANCHOR_ENTRY in {entry for _, entry in drawer.entries}}


LEAVING: Sequence[tuple[Way, Way, bool]] = [
    (*MOVES[2], False),
    (*MOVES[6], False),
    (("sealed", "drawer"), ("sealed", "other"), False),
    (("sealed", "drawer"), ("sealed", "other"), True),
]
LEAVING_IDS = ["to-a-file", "to-another-keyring", "the-key-alone", "the-old-key-is-kept"]


@pytest.mark.parametrize(("way", "meant", "spoilt"), LEAVING, ids=LEAVING_IDS)
async def test_killed_at_any_step_a_move_leaves_no_anchor_behind(
    world: World, tmp_path: Path, way: Way, meant: Way, spoilt: bool
) -> None:
    world.trace = camera = Camera(world, tmp_path)
    vault = await filled(world, way, meant, spoilt=spoilt)
    assert anchored_in(world) == {"drawer"}
    camera.shots.clear()
    await vault.care.verbs["move"]({})
    expected = {meant[1]} & {"other"}
    assert anchored_in(world) == expected
    await vault.aclose()
    assert anchored_in(world) == expected
    for point, shot in camera.shots.items():
        await world.back_to(shot)
        await goes_on(world, meant, point)
        assert anchored_in(world) == expected, point
        assert (await world.open(meant[0], world.custodian(meant[1]))).rolled_back is None, point


async def goes_on(world: World, meant: Way, point: str) -> None:
    """A start goes on with the move, trusts the journal, and stops again."""
    again = await world.open(meant[0], world.custodian(meant[1]))
    assert again.rolled_back is None, point
    await until_free(again)
    await again.aclose()


async def test_an_anchor_that_was_left_behind_once_holds_nothing_back_when_the_key_returns(
    world: World, tmp_path: Path
) -> None:
    way, meant = MOVES[6]
    world.trace = camera = Camera(world, tmp_path)
    vault = await filled(world, way, meant, spoilt=False)
    service = next(service for service, entry in world.drawer().entries if entry == ANCHOR_ENTRY)
    (tmp_path / "again").mkdir()
    text = to_bytes(Anchor(vault._open().places.vault, 10**6, "", "another branch")).decode()
    world.drawer("other").put(service, ANCHOR_ENTRY, text)
    camera.shots.clear()
    await vault.care.verbs["move"]({})
    for point, shot in camera.shots.items():
        await world.back_to(shot)
        await goes_on(world, meant, point)
        assert (await world.open(meant[0], world.custodian(meant[1]))).rolled_back is None, point
    await world.back_to(camera.shots["key-chosen"])
    world.trace = second = Camera(world, tmp_path / "again")
    await until_free(await world.open(meant[0], world.custodian(meant[1])))
    for point, shot in second.shots.items():  # killed a second time
        await world.back_to(shot)
        assert (await world.open(meant[0], world.custodian(meant[1]))).rolled_back is None, point


async def test_an_anchor_that_cannot_be_taken_away_goes_with_a_later_start(world: World) -> None:
    way, meant = MOVES[6]
    vault = await filled(world, way, meant, spoilt=False)
    world.drawer().shut = {ANCHOR_ENTRY}
    assert (await vault.care.verbs["move"]({}))["done"]
    await vault.aclose()
    assert anchored_in(world) == {"drawer", "other"}
    world.drawer().shut = set()
    again = await world.open(meant[0], world.custodian(meant[1]))
    await until_free(again)
    assert anchored_in(world) == {"other"}
    await check(again, has_broken=False)


async def test_of_a_key_that_a_person_carried_the_old_keyring_keeps_nothing(world: World) -> None:
    vault = await filled(world, ("sealed", "drawer"), ("sealed", "cred"), spoilt=False)
    key = next(text for (_, entry), text in world.drawer().entries.items() if entry == KEY_ENTRY)
    world.give("cred", bytes.fromhex(key))
    assert (await vault.care.verbs["move"]({}))["done"]
    assert not world.drawer().entries
    await vault.aclose()
    await check(await world.open("sealed", world.credential()), has_broken=False)
    assert not world.drawer().entries
