"""Grants at rest in an OS keyring, looked at and erased.

Rules
-----
* What counts is decided by `entries`: complete, genuine, and of this record.
* Calls for one entry never overlap (`calls`).
* Must not: write a grant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freshd.core.model import Grant
from freshd.ports import Custodian
from freshd.vault import entries
from freshd.vault.calls import Calls
from freshd.vault.entries import Found, Place
from freshd.vault.records import Row
from freshd.vault.seal import Seal


@dataclass(frozen=True, slots=True)
class Rest:
    """The entries of one vault in one keyring."""

    shelf: Custodian
    calls: Calls
    seal: Seal
    vault: str

    async def grant(self, row: Row) -> Grant | None:
        """The very grant that this row says rests here; None where it does not.  Raises KeyringUnavailable."""
        one = await self.look(self.place(row), entries.slot_of(row.grant_generation))
        if one is None or (one.generation, one.digest) != (row.grant_generation, row.grant_digest):
            return None
        return one.grant

    async def look(self, place: Place, slot: str) -> Found | None:
        """What an entry holds, None where that is not ours.  Raises KeyringUnavailable."""
        parts = await self.calls.run(key_of(place, slot), lambda: _parts(self.shelf, place, slot))
        return entries.found(self.seal, place, parts)

    async def life(self, place: Place, slot: str) -> str | None:
        """The record id that an entry names, None where that is none of this vault.  Raises KeyringUnavailable."""
        first = await self.calls.run(key_of(place, slot), lambda: self.shelf.get(place.service(slot, 0), place.account))
        about = None if first is None else entries.head(first)
        return about.rid if about is not None and about.vault == place.vault else None

    async def wipe(self, place: Place, slot: str) -> None:
        """Drop an entry, but not another life's.  Raises KeyringUnavailable."""
        await self.calls.run(key_of(place, slot), lambda: wipe(self.shelf, place, slot))

    def place(self, row: Row) -> Place:
        """Whose entries they are."""
        return Place(self.vault, row.account, row.rid)


def key_of(place: Place, slot: str) -> str:
    """By which calls for an entry are kept apart."""
    return place.service(slot, 0)


def wipe(shelf: Custodian, place: Place, slot: str) -> None:
    """Drop all parts of an entry, also those that a longer one left behind; but not another life's.  Blocks."""
    first = shelf.get(place.service(slot, 0), place.account)
    about = None if first is None else entries.head(first)
    if about is not None and about.rid != place.rid:
        return
    part = 0
    while part < (about.parts if about else 1) or shelf.get(place.service(slot, part), place.account) is not None:
        shelf.drop(place.service(slot, part), place.account)
        part += 1


def _parts(shelf: Custodian, place: Place, slot: str) -> Sequence[str | None]:
    """An entry's parts, as many as its head says.  Blocks."""
    first = shelf.get(place.service(slot, 0), place.account)
    about = None if first is None else entries.head(first)
    count = 1 if about is None else about.parts
    return [first, *(shelf.get(place.service(slot, part), place.account) for part in range(1, count))]
