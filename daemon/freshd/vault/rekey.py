"""A new sealing key in the place of the old one, step by step.  THE other dangerous file of the vault.

1. The key is chosen: the journal names it, and nothing is sealed with it.  It is written to its custodian under an
   entry of its own, and read back.
2. One commit puts it in use, the digest key sealed with it: from then on everything new is sealed with it.
3. Every value that names another key is sealed anew, pass by pass (`reseal`).
4. One commit: whatever is left is sealed anew, the check value is the new key's, and it is looked at what still names
   another key.
5. At the custodian the new key takes the usual entry, then those go that hold keys which nothing names, and the anchor
   of a custodian that was left (`placing`).

Rules
-----
* Each step is durable before the next begins, and the journal says which: `carry_on` goes on from there, after
  whatever ended the process, and does a step twice as well as once.
* Until 4 the old key is where it was; until 5 has been read back the new one is in its own entry.
* In memory an old key opens until the next rotation: somebody may have read a row before the turn and open it after.
* A custodian that nobody but a person can write to is given the new key by that person, and told the rest (`remedies`).
* A new key for the same custodian and a new key for another one differ in nothing: the way into step 1 chooses.
* Must not: hold the writer for more than a pass, or keep a plain key between two steps.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Final

from freshd.errors import FreshdError, NotPossible, VaultLocked
from freshd.ports import Custodian
from freshd.vault import names, reseal
from freshd.vault.custodians import makings, remedies
from freshd.vault.keys import KEY_ENTRY, NEXT_ENTRY, entry_of, given_key
from freshd.vault.names import Named, Names
from freshd.vault.placing import Bench, Placing
from freshd.vault.reseal import Pass, Table
from freshd.vault.seal import Key, new_key

NO_LIMIT: Final = -1


class Rekey:
    """One rotation, from wherever the journal says that it stands.  `resealed`: rows sealed anew by this object."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._seal = bench.seal
        self._places = bench.places
        self._placing = Placing(bench)
        self.resealed = 0

    # -- what is asked of it -------------------------------------------------------------------------------

    async def names(self) -> Names:
        """What the journal says now."""
        return await self._bench.reader.ask(names.read)

    async def must_be_possible(self, target: Custodian) -> None:
        """Raises where `target` can be given no key, or what it was given will not do."""
        await self._given(target, await self.names())

    async def begin(self, target: Custodian) -> None:
        """Step 1, for a key that `target` will keep.  Raises with nothing changed where there can be none."""
        stands = await self.names()
        given = await self._given(target, stands)
        if given is not None and Key(given, self._places.vault).check == await self._check():
            carried = Named(self._seal.key_id.hex(), await self._check(), stands.custodian)  # by a person
            await self._bench.note(
                lambda now: replace(now, custodian=target.name, old=(*now.old, carried)), "handed-over"
            )
            return
        await self._choose(target, given or bytes.fromhex(new_key()), is_given=given is not None)

    async def is_usual(self, custodian: Custodian) -> bool:
        """Whether the key in force lies where it is looked for first."""
        return await self._placing.usual(custodian) in (None, self._seal.key_id.hex())

    async def carry_on(self) -> Names:
        """Every step that is left.  Raises FreshdError where it cannot go on now; it stands where it stood then."""
        stands = await self.names()
        if stands.next is not None and not stands.in_use:
            await self._provide(stands.next)
            stands = await self.names()
        if stands.next is not None:
            await self._take(stands.next)
            await self._reseal()
            stands = await self._turn()
        return await self._placing.tidy(stands)

    # -- step 1 --------------------------------------------------------------------------------------------

    async def _given(self, target: Custodian, stands: Names) -> bytes | None:
        """The key that lies at the target already, None where one is to be made.  Raises where it will not do."""
        stays = target.name == stands.custodian
        entry = NEXT_ENTRY if stays else KEY_ENTRY
        text = None if stays and target.writable else await self._places.fetch(target, entry)
        if text is None:
            if target.writable:
                return None
            raise _not_given(target, stays=stays)
        key = given_key(text, target)
        if stays and Key(key, self._places.vault).check == await self._check():
            raise NotPossible(
                f"the key that is to follow in {target.name} is the present one already",
                "; ".join(remedies(target) or ["freshd vault status"]),
            )
        return key

    async def _check(self) -> str:
        """The check value of the key in force."""
        return await self._bench.reader.ask(_check)

    async def _choose(self, target: Custodian, key: bytes, *, is_given: bool) -> None:
        ready, kept = Key(key, self._places.vault), (await self.names()).kept
        for last in self._seal.others - {bytes.fromhex(one.id) for one in kept}:
            self._seal.drop(last)
        named = Named(ready.name, ready.check, target.name)
        await self._bench.note(
            lambda stands: replace(stands, id=self._seal.key_id.hex(), next=named, in_use=False), "chosen"
        )
        if not is_given:
            try:
                await self._places.put(target, entry_of(named.id), key.hex())
            except FreshdError:
                await self._bench.note(lambda stands: replace(stands, next=None, old=(*stands.old, named)), "given-up")
                raise
        self._bench.trace("key-written")

    async def _provide(self, chosen: Named) -> None:
        """Step 2.  A key that did not get to its custodian before the process ended is drawn anew."""
        target = self._places.named(chosen.custodian)
        if target is None:
            raise VaultLocked(f"{chosen.custodian} is not to be had any more", "freshd vault rotate-key")
        key = await self._places.find(target, chosen)
        if key is None and not target.writable:
            raise _not_given(target, stays=True)
        if key is None:
            await self._bench.note(lambda stands: replace(stands, next=None, old=(*stands.old, chosen)), "given-up")
            await self._choose(target, bytes.fromhex(new_key()), is_given=False)
            again = (await self.names()).next
            assert again is not None  # noqa: S101 - just written
            return await self._provide(again)
        taken = self._seal.take(key)
        digests = self._seal.digests(taken.id)
        await self._bench.note(lambda stands: replace(stands, in_use=True, digests=digests), "named")
        self._seal.turn(taken.id)
        return None

    async def _take(self, chosen: Named) -> None:
        """Seal with the key that is in use.  Step 2 may have counted without anybody seeing it."""
        wanted = bytes.fromhex(chosen.id)
        if wanted not in self._seal.others | {self._seal.key_id}:
            for custodian in self._places.among(chosen.custodian):
                key = await self._places.find(custodian, chosen)
                if key is not None:
                    self._seal.take(key)
                    break
            else:
                raise VaultLocked(f"{chosen.custodian} does not show the sealing key in use", "unlock it")
        self._seal.turn(wanted)

    # -- steps 3 and 4 -------------------------------------------------------------------------------------

    async def _reseal(self) -> None:
        for table in reseal.TABLES:
            after: str | int | None = reseal.first(table)
            while after is not None:
                done = await self._pass(table, after)
                self.resealed += len(done.rows)
                after = done.after

    async def _pass(self, table: Table, after: str | int) -> Pass:
        seal = self._seal

        def apply(db: sqlite3.Connection) -> Pass:
            return reseal.turn(db, seal, table, after, reseal.BATCH)

        def prove(db: sqlite3.Connection, done: Pass) -> Pass:
            reseal.prove(db, seal, table, done.rows)
            return done

        return await self._bench.writer.ask(apply, prove, wall=self._bench.wall(), point="key-pass")

    async def _turn(self) -> Names:
        """Step 4.  What was sealed with the old key since its table was passed is sealed anew in here."""
        seal = self._seal

        def apply(db: sqlite3.Connection) -> Names:
            for table in reseal.TABLES:
                reseal.turn(db, seal, table, reseal.first(table), NO_LIMIT)
            stands = names.read(db)
            if stands.next is None:  # done already: it is being repeated
                return stands
            present = Named(stands.id, _check(db), stands.custodian)
            before = [one for one in (*stands.kept, *stands.old, present) if one.id != stands.next.id]
            kept = tuple(one for one in before if reseal.is_named(db, bytes.fromhex(one.id)))
            turned = replace(
                stands,
                id=stands.next.id,
                custodian=stands.next.custodian,
                is_placed=False,
                next=None,
                in_use=False,
                kept=kept,
                old=tuple(one for one in before if one not in kept),
            )
            db.execute("UPDATE meta SET value = ? WHERE name = 'check'", (stands.next.check,))
            names.write(db, turned)
            return turned

        return await self._bench.writer.ask(
            apply, lambda db, _: names.read(db), wall=self._bench.wall(), point="key-turned"
        )


def _check(db: sqlite3.Connection) -> str:
    (check,) = db.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()
    return str(check)


def _not_given(target: Custodian, *, stays: bool) -> NotPossible:
    what = "key that is to follow" if stays else "key"
    return NotPossible(
        f"{target.name} can be written by you alone, and no {what} was given there; nothing was changed",
        "; ".join(makings(target, follows=stays)),
    )
