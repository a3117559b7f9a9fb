"""The rules of macOS and of Windows, with a fault at every step: no committed grant is ever lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from freshd.core.model import Change, Grant
from freshd.errors import FreshdError, KeyringUnavailable, VaultLocked
from freshd.vault import JournalVault
from tests.contract.keychains import CredentialVault, Fault, Keychain, Kind, on
from tests.contract.vault_bed import Bed, exchange, grant

ROTATIONS = 3
ACCOUNTS = ("a",)
LONG = "x" * 700
"""Two entries on Windows."""
SYSTEMS: dict[str, type[Keychain | CredentialVault]] = {"macos": Keychain, "windows": CredentialVault}


def nth(number: int) -> Grant:
    return grant(f"canary-{number}-{LONG}")


async def live(bed: Bed) -> dict[str, Grant]:
    """A new vault, and a few rotations, until the keyring fails, and one rotation more.

    Returns what was committed by then.
    """
    committed: dict[str, Grant] = {}
    with contextlib.suppress(VaultLocked):
        vault = await bed.open()
        for number in range(ROTATIONS):
            for account in ACCOUNTS:
                if not await rotated(bed, vault, account, number, committed):
                    await rotated(bed, vault, account, number + 1, committed, waits=False)
                    return committed
    return committed


async def rotated(
    bed: Bed, vault: JournalVault, account: str, number: int, committed: dict[str, Grant], *, waits: bool = True
) -> bool:
    """One rotation; whether it came to rest in the keyring."""
    try:
        standing = await exchange(vault, account, Change(account, nth(number)))
    except KeyringUnavailable:  # what is to be spent cannot be had: nothing is spent
        return False
    committed[account] = nth(number)
    return standing.settled or (waits and await bed.first_news(account))


async def come_back(bed: Bed, system: Keychain | CredentialVault, committed: dict[str, Grant]) -> None:
    """Another process over what is left: every committed grant is there, and the next one too."""
    await bed.aclose()
    bed.news.clear()
    system.steps.revive()
    vault = await bed.open()
    for account, kept in committed.items():
        assert (await vault.read(account)).grant == kept
    for account in ACCOUNTS:
        await bed.rest(await exchange(vault, account, Change(account, nth(9))))
        assert (await vault.read(account)).grant == nth(9)
    await bed.aclose()


async def steps_of(folder: Path, name: str) -> int:
    """How many steps an undisturbed life has."""
    system = SYSTEMS[name]()
    bed = Bed(folder, "keyring", on(system))
    assert set(await live(bed)) == set(ACCOUNTS)
    await bed.aclose()
    return system.steps.count


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("name", SYSTEMS)
async def test_I3_no_committed_grant_is_lost_whatever_goes_wrong_at_any_step(
    tmp_path: Path, name: str, kind: Kind
) -> None:
    steps = await steps_of(tmp_path / "undisturbed", name)
    assert steps >= 2 * ROTATIONS * len(ACCOUNTS)
    for at in range(steps):
        system = SYSTEMS[name]()
        system.steps.fault = Fault(at, kind)
        bed = Bed(tmp_path / f"{at}", "keyring", on(system))
        committed = await live(bed)
        await come_back(bed, system, committed)


@pytest.mark.parametrize("name", SYSTEMS)
async def test_an_entry_that_was_deleted_and_not_added_again_is_made_up_for_by_the_other(
    tmp_path: Path, name: str
) -> None:
    """Between deletion and addition the grant before is in the other entry, and the newest in the journal."""
    system = SYSTEMS[name]()
    bed = Bed(tmp_path / "state", "keyring", on(system))
    vault = await bed.open()
    committed: dict[str, Grant] = {}
    for number in range(2):
        assert await rotated(bed, vault, "a", number, committed)
    system.steps.fault = Fault(system.steps.count + 1, Kind.DIES)
    assert not await rotated(bed, vault, "a", 2, committed)
    assert committed["a"] == nth(2)
    await come_back(bed, system, committed)


async def test_no_entry_moves_another_about_on_windows(tmp_path: Path) -> None:
    system = CredentialVault()
    bed = Bed(tmp_path / "state", "keyring", on(system))
    await live(bed)
    await bed.aclose()
    assert system.moved == 0
    assert all(len(value) <= 1200 for _, value in system.targets.values())


async def test_what_is_too_long_for_windows_is_cut_and_put_together_again() -> None:
    system = CredentialVault()
    keyring = on(system)
    with pytest.raises(KeyringUnavailable, match="Trouble"):
        keyring.put("s", "e", "x" * 1280)
    assert keyring.longest is not None
    keyring.put("s", "e", "x" * keyring.longest)
    assert keyring.get("s", "e") == "x" * keyring.longest


async def test_two_entries_of_one_service_do_not_meet_on_windows() -> None:
    keyring = on(CredentialVault())
    keyring.put("freshd vault v", "sealing-key", "key")
    keyring.put("freshd vault v", "anchor", "one")
    keyring.put("freshd vault v", "anchor", "two")
    assert (keyring.get("freshd vault v", "sealing-key"), keyring.get("freshd vault v", "anchor")) == ("key", "two")
    keyring.drop("freshd vault v", "anchor")
    assert keyring.get("freshd vault v", "sealing-key") == "key"


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("name", SYSTEMS)
async def test_a_sealing_key_that_was_not_written_whole_is_made_anew_and_never_a_second_one(
    tmp_path: Path, name: str, kind: Kind
) -> None:
    system = SYSTEMS[name]()
    system.steps.fault = Fault(0, kind)
    bed = Bed(tmp_path / "state", "keyring", on(system))
    with contextlib.suppress(FreshdError):
        await bed.open()
    await come_back(bed, system, {})
