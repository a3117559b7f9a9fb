"""What the tests of backups share: a key that costs nothing, a copy of a bed's vault, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

from freshd.ports import Custodian
from freshd.vault import JournalVault, lookout, snapshot, still, verification
from freshd.vault.copies import Copy, Derivation, key_of, looked_at
from freshd.vault.restoring import Restored, Site, restored
from freshd.vault.verification import Verdict
from tests.contract.vault_bed import NOON, Bed

SECRET = b"k" * 32
HOW = Derivation("key-file", b"s" * 32)
KEY = key_of(SECRET, HOW)


async def copied(vault: JournalVault, *without: str) -> bytes:
    """A backup of an open vault, as the daemon makes it."""
    return (await lookout.copied(vault._opening, KEY, HOW, frozenset(without))).content


async def copied_at_rest(bed: Bed) -> bytes:
    """The same of one that nobody has open."""
    async with still.at_rest(bed.vault()._opening.setup) as vault:
        return (await lookout.sealed(await snapshot.taken(vault.source), NOON.wall, HOW, KEY)).content


async def restore(bed: Bed, content: bytes, *, replace: bool = False, key: bytes = KEY) -> Restored:
    """Restore into a bed's folder and custodian."""
    copy: Copy = looked_at(content)
    site = Site(bed.folder, bed.custodian, lambda: NOON.wall, trace=bed.trace or (lambda _step: None))
    return await restored(site, copy, key, replace=replace)


async def verdict_of(vault: JournalVault) -> Verdict:
    """What an examination of an open vault says."""
    return await verification.verified(lookout.scope_of(vault._opening))


async def verdict_at_rest(bed: Bed) -> Verdict:
    """The same of one that nobody has open."""
    async with still.at_rest(bed.vault()._opening.setup) as vault:
        return await verification.verified(vault.scope)


def held_by(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by name; a lock that nobody holds counts as none."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} if folder.is_dir() else {}
    return {name: content for name, content in found.items() if name != "lock"}


class ReadOnly:
    """A custodian that only a person can write to, such as a systemd credential."""

    name = "systemd credential test"
    writable = False

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key

    def get(self, service: str, entry: str) -> str | None:
        return self.key.hex() if self.key is not None and entry == "sealing-key" else None

    def put(self, service: str, entry: str, value: str) -> None:
        raise AssertionError("nobody writes here")

    def drop(self, service: str, entry: str) -> None:
        raise AssertionError("nobody deletes here")


def another(tmp_path: Path, custodian: Custodian, name: str = "other") -> Bed:
    """A bed of another machine."""
    folder = tmp_path / name
    folder.mkdir(parents=True, exist_ok=True)
    return Bed(folder / "state", "keyring" if hasattr(custodian, "longest") else "sealed", custodian)
