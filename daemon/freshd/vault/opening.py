"""From a directory to an unsealed journal, and back: what a vault is made of, and the order it is put together in.

Rules
-----
* Directory, lock, file, writer, reader; then the key; then what needs it.  Closing goes the other way, the lock last.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from freshd.core.model import Moment
from freshd.errors import ConfigError, StoreError
from freshd.ports import Custodian
from freshd.vault import keys, schema, statedir
from freshd.vault.anchor import CustodianGround, FileGround, Ground, Watch
from freshd.vault.ballast import MEBIBYTE, Ballast
from freshd.vault.calls import DEADLINE_SECONDS, Calls
from freshd.vault.journal import Journal
from freshd.vault.reader import Reader
from freshd.vault.seal import Seal
from freshd.vault.settle import Desk, Settler, Shelf
from freshd.vault.writer import Writer

JOURNAL_FILE: Final = "journal.db"
BALLAST_FILE: Final = "ballast"
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

    def wall(self) -> float:
        """Wall clock, seconds."""
        return self.now().wall


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What there is once the key is there.

    settler      None where the custodian keeps no grants
    watch        None where there is no ground for an anchor
    rolled_back  why this journal is taken for an old or copied one, None where it is not
    """

    seal: Seal
    journal: Journal
    settler: Settler | None
    watch: Watch | None
    rolled_back: str | None


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
        self.writer = Writer(self._path, self._ballast, setup.trace, inline=setup.inline)
        self.reader = Reader(self._path, inline=setup.inline)

    @property
    def begun(self) -> bool:
        """Whether the lock is held and the writer runs."""
        return self._begun

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
        if ballast.exists() and not (self._path.exists() and self._path.stat().st_size):
            raise StoreError(
                f"{self._path} is gone or empty, though this state directory was in use",
                f"bring the journal back from a backup; or, to begin anew without its grants: rm {ballast}",
            )

    def _begin_journal(self) -> None:
        schema.make_file(self._path)
        schema.prepare(self._path)
        self.writer.start()

    async def unlock(self) -> Unsealed:
        """Fetch the key, or make it for a new journal.  Raises VaultLocked, VaultForeign."""
        setup = self._setup
        meta = await self.reader.ask(_meta)
        vault = meta["vault"]
        seal = await keys.unlock(setup.custodian, self._calls, vault, meta.get("check"))
        if "check" not in meta:
            await self.writer.ask(lambda db: _write_check(db, seal.check), lambda _db, _: None, wall=setup.wall())
        journal = Journal(seal, self._ballast, keyring=setup.placement == "keyring")
        ground = self._ground(vault)
        watch = None if ground is None else Watch(ground, self._calls, seal, vault)
        rolled_back = None if watch is None else await self._drop_anchor(watch)
        settler = None
        if isinstance(setup.custodian, Shelf):
            settler = Settler(self._desk(setup.custodian, seal, vault))
        return Unsealed(seal, journal, settler, watch, rolled_back)

    async def _drop_anchor(self, watch: Watch) -> str | None:
        rolled_back = await watch.compare(self.writer.commits)
        if rolled_back is None:
            await watch.try_write(self.writer.commits)
        return rolled_back

    def _ground(self, vault: str) -> Ground | None:
        if self._setup.anchor is not None:
            return FileGround(self._setup.anchor)
        custodian = self._setup.custodian
        return CustodianGround(custodian, vault) if isinstance(custodian, Shelf) else None

    def _desk(self, shelf: Shelf, seal: Seal, vault: str) -> Desk:
        return Desk(
            shelf=shelf,
            calls=self._calls,
            reader=self.reader,
            writer=self.writer,
            seal=seal,
            vault=vault,
            wall=self._setup.wall,
            on_settled=self._setup.on_settled or (lambda _account, _settled: None),
        )

    async def end(self, unsealed: Unsealed | None) -> None:
        """Finish what was asked for, anchor, close the files, let go of the lock."""
        if unsealed is not None:
            await self._seal_up(unsealed)
        if self._begun:
            await self.reader.stop()
            await self.writer.stop()
        self._begun = False
        self._lock.release()

    async def _seal_up(self, unsealed: Unsealed) -> None:
        if unsealed.settler is not None:
            await unsealed.settler.stop()
        if unsealed.watch is not None and unsealed.rolled_back is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await unsealed.watch.try_write(self.writer.commits)


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, value FROM meta").fetchall())


def _write_check(db: sqlite3.Connection, check: str) -> None:
    db.execute("INSERT INTO meta VALUES ('check', ?)", (check,))
