"""The key in force takes its place at its custodian, and the keys that nothing names go: the last step of a rotation.

Rules
-----
* A key that something still names is kept, under an entry of its own.
* Until the usual entry has been read back with the key in force, that key stays in its own entry.
* What cannot be let go of now is thought of in the journal, and tried again after the next start.
* A custodian that was left keeps no anchor.
* Must not: write over a key that the journal does not know.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from freshd.errors import FreshdError, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault import names
from freshd.vault.anchor import ANCHOR_ENTRY
from freshd.vault.keys import KEY_ENTRY, Places, entry_of, given_key, service_of
from freshd.vault.names import Named, Names
from freshd.vault.reader import Reader
from freshd.vault.seal import Key, Seal, parse_key
from freshd.vault.writer import Writer


@runtime_checkable
class Replacing(Protocol):
    """A custodian whose usual entry can be replaced whole or not at all."""

    def promote(self, service: str, entry: str) -> None:
        """Put what that entry holds in the place of the usual one."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a rotation works with.  `trace`: told of steps that no commit is, as `Setup.trace` is of commits."""

    seal: Seal
    places: Places
    reader: Reader
    writer: Writer
    wall: Callable[[], float]
    trace: Callable[[str], None]

    async def note(self, change: Callable[[Names], Names], step: str) -> Names:
        """Write what the journal says of its keys, as one commit, and return what it says then."""

        def apply(db: sqlite3.Connection) -> None:
            names.write(db, change(names.read(db)))

        return await self.writer.ask(apply, lambda db, _: names.read(db), wall=self.wall(), point=f"key-{step}")


class Placing:
    """The custodians of one vault, put in order."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._places = bench.places

    async def tidy(self, stands: Names) -> Names:
        """Place the key in force, and let go of what can go.  Raises where the former cannot be done now."""
        if not stands.is_placed:
            await self._place(stands)
            for one in stands.kept:
                await self._unanchor(one, stands)
        gone = [one for one in stands.old if await self._is_gone(one, stands)]
        if stands.is_placed and not gone:
            return stands
        return await self._bench.note(
            lambda now: replace(now, is_placed=True, old=tuple(one for one in now.old if one not in gone)), "settled"
        )

    async def _place(self, stands: Names) -> None:
        custodian = self._places.named(stands.custodian)
        if custodian is None or not custodian.writable:
            return
        usual = await self.usual(custodian)
        if usual != stands.id:
            await self._keep(custodian, stands, usual)
            await self._promote(custodian, stands.id)
            self._bench.trace("key-promoted")
            if await self.usual(custodian) != stands.id:
                raise VaultLocked(f"{custodian.name} did not give back the sealing key written to it", "freshd doctor")
        await self._places.drop(custodian, entry_of(stands.id))

    async def _keep(self, custodian: Custodian, stands: Names, usual: str | None) -> None:
        """What lies in the usual entry and is still named gets one of its own before it is replaced."""
        if usual is None or usual in {one.id for one in stands.old}:
            return
        if usual not in {one.id for one in stands.kept}:
            raise VaultForeign(
                f"the key in {custodian.name} is one that the journal does not know, and is not written over",
                "take it away from there; freshd goes on by itself",
            )
        text = await self._places.fetch(custodian, KEY_ENTRY)
        if text is not None and await self._places.fetch(custodian, entry_of(usual)) is None:
            await self._places.put(custodian, entry_of(usual), given_key(text, custodian).hex())
            self._bench.trace("key-kept")

    async def _promote(self, custodian: Custodian, name: str) -> None:
        entry, service = entry_of(name), service_of(self._places.vault)
        if isinstance(custodian, Replacing):
            await self._places.calls.run(service, lambda: custodian.promote(service, entry))
            return
        text = await self._places.fetch(custodian, entry)
        if text is None:
            raise VaultLocked(f"{custodian.name} does not show the sealing key", "unlock it; freshd goes on by itself")
        await self._places.put(custodian, KEY_ENTRY, text)

    async def usual(self, custodian: Custodian) -> str | None:
        """The id of the key in the usual entry; None where there is none."""
        text = await self._places.fetch(custodian, KEY_ENTRY)
        key = None if text is None else parse_key(text)
        return None if key is None else Key(key, self._places.vault).name

    async def _is_gone(self, old: Named, stands: Names) -> bool:
        """Let go of a key that nothing names; whether it need not be thought of any more."""
        custodian = self._places.named(old.custodian)
        if custodian is None or not custodian.writable:
            return True
        try:
            if old.custodian != stands.custodian and await self.usual(custodian) == old.id:
                await self._places.drop(custodian, KEY_ENTRY)
            await self._places.drop(custodian, entry_of(old.id))
            if old.custodian != stands.custodian:
                await self._places.drop(custodian, ANCHOR_ENTRY)
        except FreshdError:
            return False
        self._bench.trace("key-dropped")
        return True

    async def _unanchor(self, kept: Named, stands: Names) -> None:
        """A custodian that was left keeps this key, but no anchor."""
        custodian = self._places.named(kept.custodian)
        if custodian is not None and custodian.writable and kept.custodian != stands.custodian:
            with contextlib.suppress(FreshdError):
                await self._places.drop(custodian, ANCHOR_ENTRY)
