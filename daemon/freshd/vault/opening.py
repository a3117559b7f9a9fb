"""From a directory to an unsealed journal, and back: what a vault is made of, and the order it is put together in.

Rules
-----
* Directory, lock, file, writer, reader; then the key; then what needs it.  Closing goes the other way, the lock last.
* Where the configuration names another custodian or placement than the journal knows, the vault opens as it was left;
  what the configuration says is then carried out while everything is served (`care`).
* `begin` can be done without the key: the lock is held and the high-water mark known while the vault is locked.
* A disk too full to open the journal gives up its ballast once: leases must be served after a restart too (I9).
* Must not: answer the port's calls (`vault`).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from freshd.core.events import Event
from freshd.core.model import Moment
from freshd.errors import ConfigError, FreshdError, StoreError, VaultLocked
from freshd.ports import Custodian
from freshd.vault import keys, names, schema, statedir, upkeep
from freshd.vault.anchor import CustodianGround, FileGround, Ground, Watch
from freshd.vault.ballast import MEBIBYTE, Ballast
from freshd.vault.calls import DEADLINE_SECONDS, Calls
from freshd.vault.care import Care
from freshd.vault.footing import Footing
from freshd.vault.guard import Guard
from freshd.vault.journal import Journal
from freshd.vault.reader import Reader
from freshd.vault.seal import Seal
from freshd.vault.settle import Desk, Settler, Shelf
from freshd.vault.shared_memory import SHARED_BYTES
from freshd.vault.statedir import BALLAST_FILE, JOURNAL_FILE, RESTORING_FILE
from freshd.vault.writer import Writer

LAST_WORDS_SECONDS: Final = 2.0
"""How long a clean stop waits for the anchor: a hung keyring must not turn it into a kill."""

Placement = Literal["sealed", "keyring"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a vault is made of.

    on_settled  told of an account whose grant came to rest in the OS keyring (True) or could not yet (False)
    trace       told the name of each crash point once it is durable, on the writer's thread; tests may die there
    inline      do everything on the caller's thread: for simulations, whose clock must not run ahead of the disk
    deadline    seconds a call into the custodian may take
    anchor      a file in another directory that guards against old copies; None: the custodian, if it can
    recall      a custodian by its name, None where there is none such: for one that the configuration names no more
    meant       where grants rest and who keeps the key, as the configuration says now; raises ConfigError
    tell        told of what happens to the vault as a whole
    """

    state_dir: Path
    placement: Placement
    custodian: Custodian
    now: Callable[[], Moment]
    on_settled: Callable[[str, bool], None] | None = None
    trace: Callable[[str], None] | None = None
    inline: bool = False
    deadline: float = DEADLINE_SECONDS
    anchor: Path | None = None
    recall: Callable[[str], Custodian | None] = lambda _name: None
    meant: Callable[[], tuple[Placement, Custodian]] | None = None
    tell: Callable[[Event], None] = lambda _event: None

    def wall(self) -> float:
        """Wall clock, seconds."""
        return self.now().wall


@dataclass(slots=True)
class Unsealed:
    """What there is once the key is there.

    places   where its keys may be
    settler  None where no grant rests, or may come to rest, in a keyring
    guard    whether the journal is taken for an old or copied one
    """

    seal: Seal
    places: keys.Places
    journal: Journal
    settler: Settler | None
    guard: Guard


class Opening:
    """The parts that are there without the key, and the making of those that need it."""

    def __init__(self, setup: Setup) -> None:
        if setup.placement == "keyring" and not isinstance(setup.custodian, Shelf):
            raise ConfigError(
                f"{setup.custodian.name} keeps a sealing key, no grants", 'set [vault] placement = "sealed"'
            )
        self._setup = setup
        self._path = setup.state_dir / JOURNAL_FILE
        self._lock = statedir.Lock(setup.state_dir)
        self._calls = Calls(setup.deadline, inline=setup.inline)
        self._ballast = Ballast(setup.state_dir / BALLAST_FILE)
        self._begun = False
        self._unsealed: Unsealed | None = None
        self._footing = Footing(self._path, self._lock)
        self.writer = Writer(self._path, self._ballast, setup.trace, inline=setup.inline, footing=self._footing)
        self.reader = Reader(self._path, inline=setup.inline, footing=self._footing)
        self.care = Care(self)

    @property
    def begun(self) -> bool:
        """Whether the lock is held and the writer runs."""
        return self._begun

    @property
    def setup(self) -> Setup:
        """What the vault is made of."""
        return self._setup

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self._path

    def unsealed(self) -> Unsealed:
        """What there is once the key is there.  Raises VaultLocked before."""
        if self._unsealed is None:
            raise VaultLocked("the vault is locked: its sealing key is not there yet", "unlock the keyring")
        return self._unsealed

    async def begin(self) -> None:
        """Take the lock, check the file, start the threads.  Raises AlreadyRunning, StoreError, VaultForeign."""
        if self._begun:
            return
        if self._setup.inline:
            self._begin()
        else:
            await asyncio.to_thread(self._begin)
        self._begun = True

    def _begin(self) -> None:
        statedir.prepare(self._setup.state_dir)
        self._lock.take()
        self._must_not_have_vanished()
        if shutil.disk_usage(self._setup.state_dir).free < SHARED_BYTES:
            self._ballast.release()
        try:
            self._begin_journal()
        except StoreError:
            if shutil.disk_usage(self._setup.state_dir).free > MEBIBYTE or not self._ballast.release():
                raise
            self._begin_journal()
        self.reader.start()

    def _must_not_have_vanished(self) -> None:
        """The ballast is made after the journal's first commit: where it lies alone, a journal was here."""
        ballast = self._setup.state_dir / BALLAST_FILE
        if self._path.exists() and self._path.stat().st_size:
            return
        if (self._setup.state_dir / RESTORING_FILE).exists():
            raise StoreError(
                f"{self._path} is not there: a restore did not come to its end",
                "run it again: freshd vault restore FILE",
            )
        if ballast.exists():
            raise StoreError(
                f"{self._path} is gone or empty, though this state directory was in use",
                f"freshd vault restore FILE; or, to begin anew without its grants: rm {ballast}",
            )

    def _begin_journal(self) -> None:
        schema.make_file(self._path)
        schema.prepare(self._path)
        self.writer.start()

    async def unlock(self) -> Unsealed:
        """Fetch the key, or make it for a new journal.  Raises VaultLocked, VaultForeign."""
        setup = self._setup
        meta, resting = await self.reader.ask(lambda db: (_meta(db), upkeep.resting(db)))
        stands, check = names.named_in(meta), meta.get("check")
        places = keys.Places(setup.custodian, setup.recall, self._calls, meta["vault"])
        seal, keeper = await keys.unlock(places, stands, check)
        shelf = stands.shelf or (setup.custodian.name if resting and isinstance(setup.custodian, Shelf) else "")
        is_as_meant = keeper is setup.custodian and shelf in ("", keeper.name)
        keyring = setup.placement == "keyring" and is_as_meant
        known = replace(stands, custodian=keeper.name, shelf=keeper.name if keyring else shelf)
        if known != stands:
            new_check = seal.check if check is None else None
            await self.writer.ask(
                lambda db: _note(db, known, new_check, live=keyring), lambda _db, _: None, wall=setup.wall()
            )
        guard = Guard(self.watch(keeper, places.vault), self.reader, self.writer, setup.wall)
        if await guard.look(without_lock=self._lock.was_missing):
            self._lock.judge(is_known=True)
        rests_at = places.named(known.shelf) if known.shelf else keeper
        settler = self.settler(rests_at, seal, places.vault, takes=keyring) if isinstance(rests_at, Shelf) else None
        journal = Journal(seal, self._ballast, keyring=keyring)
        self._unsealed = Unsealed(seal, places, journal, settler, guard)
        self.care.go_on(known)
        return self._unsealed

    def watch(self, keeper: Custodian, vault: str) -> Watch:
        """The anchor of a vault whose key that custodian keeps."""
        ground: Ground | None = None
        if self._setup.anchor is not None:
            ground = FileGround(self._setup.anchor)
        elif isinstance(keeper, Shelf):
            ground = CustodianGround(keeper, vault)
        return Watch(ground, self._calls, vault)

    def settler(self, shelf: Shelf, seal: Seal, vault: str, *, takes: bool) -> Settler:
        """What moves grants between the journal and that keyring.  `takes`: whether they come to rest there."""
        desk = Desk(
            shelf=shelf,
            calls=self._calls,
            reader=self.reader,
            writer=self.writer,
            seal=seal,
            vault=vault,
            wall=self._setup.wall,
            on_settled=self._on_settled,
        )
        return Settler(desk, takes=takes)

    def tell_settled(self, account: str) -> None:
        """The account's grant is where it is to rest."""
        if self._setup.on_settled is not None:
            self._setup.on_settled(account, True)  # noqa: FBT003 - the vault's callback

    def _on_settled(self, account: str, settled: bool) -> None:  # noqa: FBT001 - the vault's callback
        if self._setup.on_settled is not None:
            self._setup.on_settled(account, settled)
        self.care.hear(account, settled=settled)

    async def end(self, unsealed: Unsealed | None) -> None:
        """Finish what was asked for, anchor, close the files, let go of the lock."""
        await self.care.aclose()
        self._unsealed = None
        if unsealed is not None:
            await self._seal_up(unsealed)
        if self._begun:
            await self.reader.stop()
            await self.writer.stop()
        self._footing.close()
        self._begun = False
        self._lock.release()

    async def _seal_up(self, unsealed: Unsealed) -> None:
        if unsealed.settler is not None:
            await unsealed.settler.stop()
        with contextlib.suppress(TimeoutError, FreshdError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await unsealed.guard.anchor()


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, value FROM meta").fetchall())


def _note(db: sqlite3.Connection, known: names.Names, check: str | None, *, live: bool) -> None:
    """Who keeps the key, and where grants rest; `check` for a new journal.  `live`: grants come to rest again."""
    if check is not None:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('check', ?)", (check,))
    names.write(db, known)
    if live:
        upkeep.keep_entries(db)
