"""Works: what is carried out on a vault in use: a rotation of its key, or a move.

Rules
-----
* `begin` refuses with nothing changed; what it began is in the journal.  `run` goes on from there, now or after the
  next start, and raises where it cannot go on at the moment.
* An open rotation comes first: there is one key that follows, never two.
* A move is what the configuration says when it begins: the key's custodian, and where grants rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from freshd.core.events import Event
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Custodian
from freshd.vault.custodians import KeyFile, SystemdCredential, remedies
from freshd.vault.moving import Homecoming, Leaving, must_keep_grants
from freshd.vault.names import Names
from freshd.vault.placing import Bench
from freshd.vault.rekey import Rekey
from freshd.vault.settle import Shelf

if TYPE_CHECKING:
    from freshd.vault.opening import Opening, Placement

Facts = Mapping[str, Any]
KEPT: Final = "something in the journal does not open, and still names the old key"
KEPT_REMEDY: Final = "freshd enrol or freshd forget the damaged accounts; then once more: freshd vault rotate-key"


class Work(Protocol):
    """One thing to carry out.  `verb`: by which operators ask for it."""

    verb: str

    async def begin(self) -> None:
        """Check, and write down that it is begun.  Raises with nothing changed."""

    async def run(self) -> None:
        """Everything that is left of it.  Raises FreshdError where it cannot go on now."""

    def facts(self) -> dict[str, Any]:
        """How far it has come."""

    def hear(self, account: str, *, settled: bool) -> None:
        """A grant came to rest in a keyring, or could not yet."""


def rekey_of(opening: Opening) -> Rekey:
    """A rotation of this vault's key, from wherever it stands."""
    unsealed, trace = opening.unsealed(), opening.setup.trace
    return Rekey(
        Bench(
            unsealed.seal,
            unsealed.places,
            opening.reader,
            opening.writer,
            opening.setup.wall,
            trace or (lambda _point: None),
        )
    )


class Rotation:
    """A new key, kept by the custodian that keeps the present one."""

    verb = "rotate-key"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._rekey = rekey_of(opening)
        self._stands = Names()
        self._commands: list[str] = []

    async def begin(self) -> None:
        stands = await self._rekey.names()
        if stands.next is None and stands.is_placed:
            await self._rekey.begin(self._custodian(stands))
        self._tell("vault.key-rotating", {"custodian": stands.custodian})

    async def run(self) -> None:
        before = await self._rekey.names()
        self._stands = await self._rekey.carry_on()
        custodian = self._custodian(self._stands)
        if not await self._rekey.is_usual(custodian):
            self._commands = remedies(custodian)
        if before.next is None and before.is_placed:
            return  # there were but old keys to let go of
        self._tell("vault.key-rotated", {"custodian": custodian.name, "resealed": self._rekey.resealed})
        if self._stands.kept:
            self._tell("vault.key-kept", {"keys": len(self._stands.kept)}, KEPT_REMEDY)

    def facts(self) -> dict[str, Any]:
        told: dict[str, Any] = {"custodian": self._stands.custodian, "resealed": self._rekey.resealed}
        told |= {"kept": len(self._stands.kept)}
        if self._stands.kept:
            told |= {"why": KEPT, "remedy": KEPT_REMEDY}
        return {**told, "commands": self._commands} if self._commands else told

    def hear(self, account: str, *, settled: bool) -> None:
        """Nothing: grants stay where they rest."""

    def _custodian(self, stands: Names) -> Custodian:
        found = self._opening.unsealed().places.named(stands.custodian)
        if found is None:
            raise NotPossible(f"{stands.custodian or 'the custodian'} is not to be had any more", "freshd vault move")
        return found

    def _tell(self, name: str, fields: Mapping[str, str | int], remedy: str = "") -> None:
        self._opening.setup.tell(Event(name, None, dict(fields), remedy))


class Move:
    """Grants and key to where the configuration says.  `worry`: told of what does not go on now."""

    verb = "move"

    def __init__(
        self, opening: Opening, placement: Placement, target: Custodian, worry: Callable[[FreshdError], None]
    ) -> None:
        self._opening = opening
        self._placement = placement
        self._target = target
        self._worry = worry
        self._rekey = rekey_of(opening)
        self._home: Homecoming | None = None
        self._out: Leaving | None = None
        self._commands: list[str] = []

    async def begin(self) -> None:
        stands = await self._rekey.names()
        if self._placement == "keyring":
            must_keep_grants(self._target)
        if stands.custodian != self._target.name and stands.next is None:
            await self._rekey.must_be_possible(self._target)
        fields = {"placement": self._placement, "custodian": self._target.name}
        self._opening.setup.tell(Event("vault.moving", None, fields))

    async def run(self) -> None:
        stands = await self._finish_rotation()
        keyring = self._placement == "keyring"
        if stands.shelf and (not keyring or stands.shelf != self._target.name):
            self._home = Homecoming(self._opening)
            await self._home.run()
        if stands.custodian != self._target.name:
            await self._hand_over(stands)
        await self._release_shelf()
        if keyring and not self._opening.unsealed().journal.keyring:
            self._out = Leaving(self._opening, self._target, self._worry)
            await self._out.run()
        told = {"placement": self._placement, "custodian": self._target.name, "moved": self.facts()["moved"]}
        self._opening.setup.tell(Event("vault.moved", None, told))

    def facts(self) -> dict[str, Any]:
        parts = [part for part in (self._home, self._out) if part is not None]
        told: dict[str, Any] = {"placement": self._placement, "custodian": self._target.name}
        told |= {"moved": sum(part.moved for part in parts), "left": sum(part.left for part in parts)}
        told |= {"resealed": self._rekey.resealed}
        return {**told, "commands": self._commands} if self._commands else told

    def hear(self, account: str, *, settled: bool) -> None:
        if self._out is not None:
            self._out.hear(account, settled=settled)

    async def _finish_rotation(self) -> Names:
        """There may be one open.  A custodian that is to be left need not take its key any more."""
        stands = await self._rekey.names()
        await self._anchor_at((stands.next or stands).custodian)
        try:
            return await self._rekey.carry_on()
        except FreshdError:
            stands = await self._rekey.names()
            if stands.next is not None or stands.custodian == self._target.name:
                raise
            return stands

    async def _hand_over(self, stands: Names) -> None:
        """The key of the new custodian takes the place of the old one's."""
        keeper = self._opening.unsealed().places.named(stands.custodian)
        await self._rekey.begin(self._target)
        await self._anchor_at(self._target.name)
        await self._rekey.carry_on()
        self._commands = [*self._commands, *left_behind(keeper)]

    async def _anchor_at(self, name: str) -> None:
        """The anchor lies where the key will be, before that is: one of an earlier stay there is of no journal now."""
        unsealed = self._opening.unsealed()
        keeper = unsealed.places.named(name)
        if keeper is not None:
            unsealed.guard.stand_on(self._opening.watch(keeper, unsealed.places.vault))
            with contextlib.suppress(FreshdError):
                await unsealed.guard.anchor()

    async def _release_shelf(self) -> None:
        """The keyring that neither holds grants nor will."""
        unsealed = self._opening.unsealed()
        settler = unsealed.settler
        if settler is None or settler.shelf.name in (self._target.name, (await self._rekey.names()).shelf):
            return
        unsealed.settler = None
        if isinstance(self._target, Shelf):
            unsealed.settler = self._opening.settler(self._target, unsealed.seal, unsealed.places.vault, takes=False)
        await settler.stop()


def left_behind(keeper: Custodian | None) -> list[str]:
    """What a person has to take away where the old key was: freshd deletes nothing that a person put there."""
    if isinstance(keeper, SystemdCredential):
        name = keeper.credential
        return [f"rm /etc/credstore.encrypted/{name}, and LoadCredentialEncrypted={name} out of the unit"]
    return [f"rm {keeper.path}"] if isinstance(keeper, KeyFile) else []
