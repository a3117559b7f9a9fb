"""A vault with everything in it that can be sealed, and copies of it at every step of a rotation or a move.

A copy at a step is what a kill at that step leaves: the writer stands still inside the trace, and what a custodian
holds is copied with the files.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freshd.core.events import Event
from freshd.core.model import Change
from freshd.errors import Stale
from freshd.ports import Custodian
from freshd.vault import JournalVault, KeyFile, OsKeyring, Placement, Setup, SystemdCredential, names
from freshd.vault.names import Names
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import NOON, REPLY, exchange, grant, intent_on, lease, line
from tests.flow.bed import soon
from tests.host.keyring_bed import KeyringBed

KEPT = ("a", "b", "e")
"""Accounts with a grant; `c` has an open call, `d` one with its answer, `z` a record that does not open."""


@dataclass
class World:
    """What a machine has: a state directory, key files, credentials, keyrings in memory."""

    folder: Path
    drawers: dict[str, Drawer] = field(default_factory=dict)
    trace: Callable[[str], None] | None = None
    events: list[Event] = field(default_factory=list)
    opened: list[JournalVault] = field(default_factory=list)
    bed: KeyringBed | None = None

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.db"

    def drawer(self, name: str = "drawer") -> Drawer:
        """A keyring of that name."""
        made = self.drawers.setdefault(name, Drawer())
        made.name = name
        return made

    def key_file(self, name: str = "key") -> KeyFile:
        return KeyFile(self.folder / name)

    def credential(self, name: str = "cred") -> SystemdCredential:
        (self.folder / "creds").mkdir(exist_ok=True)
        return SystemdCredential(name, {"CREDENTIALS_DIRECTORY": str(self.folder / "creds")})

    def give(self, name: str, key: bytes) -> None:
        """What the service manager hands over."""
        (self.folder / "creds").mkdir(exist_ok=True)
        (self.folder / "creds" / name).write_bytes(key)

    def custodian(self, kind: str) -> Custodian:
        """By a short word: "drawer", "file", "cred", or "other" for a second keyring."""
        if kind == "cred":
            if not (self.folder / "creds" / "cred").exists():
                self.give("cred", bytes(range(32)))
            return self.credential()
        if kind == "file":
            return self.key_file()
        return self.credential() if kind == "cred" else self.drawer("other" if kind == "other" else "drawer")

    def recall(self, name: str) -> Custodian | None:
        found: list[Custodian] = [self.drawer(), self.drawer("other"), self.key_file(), self.credential()]
        found += [] if self.bed is None else [OsKeyring("secret-service")]
        return next((one for one in found if one.name == name), None)

    async def open(
        self, placement: Placement, custodian: Custodian, meant: tuple[Placement, Custodian] | None = None
    ) -> JournalVault:
        """A running vault.  `meant`: what the configuration says by now."""
        setup = Setup(
            self.folder / "state", placement, custodian, lambda: NOON,
            trace=self.trace, recall=self.recall, tell=self.events.append,
            meant=None if meant is None else lambda: meant,
        )  # fmt: skip
        vault = JournalVault(setup)
        self.opened.append(vault)
        await vault.open()
        return vault

    async def aclose(self) -> None:
        for vault in self.opened:
            await vault.aclose()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the journal's file says."""
        with contextlib.closing(sqlite3.connect(self.journal)) as db:
            return db.execute(query).fetchall()

    def held(self) -> set[str]:
        """Accounts whose grant the journal holds."""
        return {account for (account,) in self.rows("SELECT account FROM records WHERE grant_blob IS NOT NULL")}

    def told(self, name: str) -> list[Mapping[str, Any]]:
        return [event.fields for event in self.events if event.name == name]

    def shot(self, folder: Path) -> Shot:
        """All that would survive the process."""
        shutil.copytree(self.folder, folder)
        return Shot(folder, {name: dict(drawer.entries) for name, drawer in self.drawers.items()})

    async def back_to(self, shot: Shot) -> None:
        """The machine after a kill at that moment: nothing runs, and everything is as it was then."""
        await self.aclose()
        self.opened.clear()
        self.events.clear()
        self.trace = None
        shutil.rmtree(self.folder)
        shutil.copytree(shot.folder, self.folder)
        for name, drawer in self.drawers.items():
            drawer.entries = dict(shot.entries.get(name, {}))


@dataclass(frozen=True)
class Shot:
    """Files and entries at one moment."""

    folder: Path
    entries: Mapping[str, dict[tuple[str, str], str]]


async def until_free(vault: JournalVault) -> None:
    """Until nothing is under way."""
    await soon(lambda: vault.care.busy is None)


async def fill(world: World, vault: JournalVault) -> None:
    """Grants, an open call, an answer in escrow, and something of every sort in quarantine."""
    for account in ("a", "b", "e", "z"):
        await exchange(vault, account, Change(account, grant(f"first-{account}"), lease(account)))
        await exchange(vault, account, Change(account, grant(f"second-{account}"), lease(account, f"lease-{account}")))
    withheld = Change("e", grant("stranger", "line-2"), withheld="somebody else's")
    await vault.commit(None, "e", [withheld], {}, line())
    for account in ("c", "d"):
        await vault.intend(await intent_on(vault, account, f"flight-{account}"), {})
    lost = await intent_on(vault, "d", "flight-lost")
    with contextlib.suppress(Stale):
        await vault.escrow(lost, REPLY)
    await vault.escrow(await intent_on(vault, "d", "flight-d"), REPLY)


def spoil(world: World) -> None:
    """The record of `z` does not open from now on: a letter of what its grant says is another one."""
    with contextlib.closing(sqlite3.connect(world.journal)) as db, db:
        (about,) = db.execute("SELECT about FROM records WHERE account = 'z'").fetchone()
        db.execute("UPDATE records SET about = ? WHERE account = 'z'", (about[:-1] + bytes([about[-1] ^ 1]),))


async def check(vault: JournalVault, *, has_broken: bool = True) -> None:
    """Everything that `fill` put in is there, and can be read."""
    for account in KEPT:
        found = await vault.read(account)
        assert found.grant is not None
        assert found.grant.secrets["refresh_token"].reveal() == f"second-{account}"
        assert found.lease is not None
        assert found.lease.token.reveal() == f"lease-{account}"
        assert await vault.knew(account, grant(f"first-{account}").secrets["refresh_token"])
    assert await vault.escrowed("c") is None
    left = await vault.escrowed("d")
    assert left is not None
    assert (left[0].flight, left[1]) == ("flight-d", REPLY)
    standings = await vault.open()
    assert standings["c"].intent is not None
    assert (standings["z"].broken is not None) is has_broken


def named_in(world: World) -> Names:
    """What the journal says of its keys."""
    with contextlib.closing(sqlite3.connect(world.journal)) as db:
        return names.read(db)


def sealed_values(world: World) -> Iterator[bytes]:
    """Every sealed value that is not of the broken record."""
    with contextlib.closing(sqlite3.connect(world.journal)) as db:
        for row in db.execute("SELECT about, grant_blob, lease_blob FROM records WHERE account <> 'z'"):
            yield from (value for value in row if value is not None)
        for row in db.execute("SELECT intent, escrow FROM intents"):
            yield from (value for value in row if value is not None)


def heads(world: World) -> set[str]:
    """The ids of the keys that these values name."""
    return {value[1:9].hex() for value in sealed_values(world)}


@dataclass
class Camera:
    """Takes a copy of the world at each step that it is told of, the first time for each."""

    world: World
    folder: Path
    shots: dict[str, Shot] = field(default_factory=dict)

    def __call__(self, point: str) -> None:
        if point.startswith(("key-", "grant-", "home-", "sent-")) and point not in self.shots:
            self.shots[point] = self.world.shot(self.folder / point)
