"""The sealing key: fetched from its custodian, made there once, proven before use.

Rules
-----
* A key is made for a new journal only: one under which nothing was ever sealed.  It is written, read back, and only
  then used; its check value in the journal says from then on which key is right.
* No key for a journal that has a check value: LOCKED, however the custodian explains it.  Never a second key.
* Another key than the journal's: VaultForeign.
* The check value chooses among the entries in which the key may lie: its usual one, the one of its own that a rotation
  made, and those of the custodian that kept it before the configuration named another.
* Must not: keep the key longer than it takes to make a `Seal`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from freshd.errors import FreshdError, KeyringUnavailable, StoreError, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault.calls import Calls
from freshd.vault.names import Named, Names
from freshd.vault.seal import BadSeal, Key, Seal, new_key, parse_key

KEY_ENTRY: Final = "sealing-key"
NEXT_ENTRY: Final = f"{KEY_ENTRY}-next"
"""Where a custodian that only a person can write to is given the key that is to follow."""
RESTORE: Final = "bring back the right key, or give freshd another state directory; the journal is untouched"


def service_of(vault_id: str) -> str:
    """The service name under which a vault keeps its own entries, apart from every account's."""
    return f"freshd vault {vault_id}"


def entry_of(name: str) -> str:
    """The entry of its own that the key of that id has while it is not in the usual one."""
    return f"{KEY_ENTRY}-{name}"


@dataclass(frozen=True, slots=True)
class Places:
    """Where keys of one vault may be.  `recall` knows a custodian by its name, None where there is none such."""

    configured: Custodian
    recall: Callable[[str], Custodian | None]
    calls: Calls
    vault: str

    def named(self, name: str) -> Custodian | None:
        """The custodian of that name."""
        return self.configured if name == self.configured.name else self.recall(name) if name else None

    def among(self, *names: str) -> list[Custodian]:
        """Those that there are of the custodians named, and the configured one; that one first."""
        found = (self.named(name) for name in (self.configured.name, *names))
        return list({one.name: one for one in found if one is not None}.values())

    async def fetch(self, custodian: Custodian, entry: str) -> str | None:
        """What an entry holds.  Raises VaultLocked."""
        service = service_of(self.vault)
        try:
            return await self.calls.run(service, lambda: custodian.get(service, entry))
        except KeyringUnavailable as error:
            raise VaultLocked(f"the sealing key cannot be had: {error.cause}", error.remedy) from None

    async def put(self, custodian: Custodian, entry: str, key: str) -> str:
        """Write a key and read it back: what was read.  Raises VaultLocked."""
        service = service_of(self.vault)
        try:
            await self.calls.run(service, lambda: custodian.put(service, entry, key))
        except KeyringUnavailable as error:
            raise VaultLocked(f"the sealing key cannot be stored: {error.cause}", error.remedy) from None
        except FreshdError as error:
            raise VaultLocked(error.cause, error.remedy) from None
        found = await self.fetch(custodian, entry)
        if found is None or parse_key(found) != parse_key(key):
            raise VaultLocked(
                f"{custodian.name} did not give back the sealing key written to it", "use another custodian"
            )
        return found

    async def drop(self, custodian: Custodian, entry: str) -> None:
        """Delete an entry.  Raises KeyringUnavailable, or another FreshdError."""
        service = service_of(self.vault)
        await self.calls.run(service, lambda: custodian.drop(service, entry))

    async def keys(self, custodian: Custodian, entries: Iterable[str]) -> AsyncIterator[tuple[str, bytes | None]]:
        """Entry by entry, of those that hold something: the key in it, None where it is none.  Raises VaultLocked."""
        for entry in entries:
            text = await self.fetch(custodian, entry)
            if text is not None:
                yield entry, parse_key(text)

    async def find(self, custodian: Custodian, wanted: Named) -> bytes | None:
        """The key, wherever that custodian has it.  Raises VaultLocked."""
        async for _, key in self.keys(custodian, entries_for(custodian, wanted.id)):
            if key is not None and Key(key, self.vault).check == wanted.check:
                return key
        return None


def entries_for(custodian: Custodian, name: str) -> list[str]:
    """The entries in which a key may lie, the likeliest first.  `name`: its id, empty where it is not known."""
    of_its_own = [entry_of(name)] if name and custodian.writable else []
    return [KEY_ENTRY, *of_its_own, *([] if custodian.writable else [NEXT_ENTRY])]


async def unlock(places: Places, names: Names, check: str | None) -> tuple[Seal, Custodian]:
    """The seal of this vault, and who keeps its key.  `check` is the journal's, None while nothing was sealed.

    Raises VaultLocked; VaultForeign where the key is another journal's; StoreError.
    """
    if check is None:
        return await _first(places), places.configured
    key, custodian = await _in_force(places, names, check)
    seal = Seal(key, places.vault)
    if names.next is not None and names.in_use:
        seal.take(await _following(places, names.next))
        seal.turn(bytes.fromhex(names.next.id))
    for kept in names.kept:
        with contextlib.suppress(FreshdError):  # nothing that opens names it
            for keeper in places.among(kept.custodian):
                found = await places.find(keeper, kept)
                if found is not None:
                    seal.take(found)
    if names.digests is not None:
        _take_digests(seal, names.digests)
    return seal, custodian


def _take_digests(seal: Seal, digests: bytes) -> None:
    try:
        seal.digest_with(digests)
    except BadSeal:
        raise StoreError(
            "the journal's digest key does not open under the sealing key",
            "bring the journal back from a backup: freshd vault restore",
        ) from None


async def _in_force(places: Places, names: Names, check: str) -> tuple[bytes, Custodian]:
    trouble: FreshdError | None = None
    for custodian in places.among(names.custodian):
        try:
            found = await _checked(places, custodian, names.id, check)
        except FreshdError as error:
            trouble = trouble or error
            continue
        if found is not None:
            return found, custodian
    raise trouble or _lacking(places.configured, places.vault)


async def _checked(places: Places, custodian: Custodian, name: str, check: str) -> bytes | None:
    """The key that has this check value; None where there is none at all.  Raises VaultForeign for another."""
    wrong: list[bytes | None] = []
    async for _, key in places.keys(custodian, entries_for(custodian, name)):
        if key is not None and Key(key, places.vault).check == check:
            return key
        wrong.append(key)
    if not wrong:
        return None
    if None in wrong:
        raise _no_key(custodian)
    raise VaultForeign(f"the sealing key in {custodian.name} is not the one of vault {places.vault[:8]}", RESTORE)


async def _following(places: Places, wanted: Named) -> bytes:
    trouble: FreshdError | None = None
    for custodian in places.among(wanted.custodian):
        try:
            found = await places.find(custodian, wanted)
        except FreshdError as error:
            trouble = trouble or error
            continue
        if found is not None:
            return found
    raise trouble or VaultLocked(
        f"{wanted.custodian} does not hold the key with which vault {places.vault[:8]} is being sealed anew",
        "bring it back: part of the journal opens with nothing else; freshd goes on by itself",
    )


def _lacking(custodian: Custodian, vault: str) -> VaultLocked:
    return VaultLocked(
        f"{custodian.name} does not hold the sealing key of vault {vault[:8]}",
        "unlock the keyring, or bring back the key: freshd doctor; freshd goes on by itself"
        if custodian.writable
        else "bring it back, then restart the unit, for only then is it looked for: systemctl restart freshd",
    )


def _no_key(custodian: Custodian) -> VaultForeign:
    return VaultForeign(
        f"what {custodian.name} holds as sealing key is no key: 32 bytes as hex or base64 are needed",
        "bring back the right key; the journal is untouched",
    )


async def _first(places: Places) -> Seal:
    """The key of a new journal: the one that is there, else one made now."""
    custodian = places.configured
    text = await places.fetch(custodian, KEY_ENTRY)
    if text is None:
        if not custodian.writable:
            raise VaultLocked(
                f"{custodian.name} holds no sealing key, and freshd cannot write one there",
                "make one, NAME being [vault] credential: head -c 32 /dev/urandom | systemd-creds encrypt --name=NAME "
                "- /etc/credstore.encrypted/NAME; add LoadCredentialEncrypted=NAME to the unit, and restart it",
            )
        text = await places.put(custodian, KEY_ENTRY, new_key())
    key = parse_key(text)
    if key is None:
        raise _no_key(custodian)
    return Seal(key, places.vault)


def given_key(text: str, custodian: Custodian) -> bytes:
    """The key in a text.  Raises VaultForeign where it is none."""
    key = parse_key(text)
    if key is None:
        raise _no_key(custodian)
    return key
