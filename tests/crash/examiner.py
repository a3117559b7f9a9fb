"""An image opened as the next start would: the vault's own code, under the key, on the caller's thread.

What it finds is one `State`; two states with the same mark are the same to every table of the journal.  A rotation of
the key that the cut interrupted must then come to its end, and change nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from freshd.core.model import Intent, Moment, Record, Secret, Standing
from freshd.errors import FreshdError, KeyringUnavailable
from freshd.ports import Custodian
from freshd.vault import JournalVault, Placement, Setup, names, schema, wal
from freshd.vault.care import Care
from freshd.vault.names import Names
from tests.contract.copy_bed import verdict_of
from tests.crash import image

JOURNAL: Final = Path("state/journal.db")
TABLES: Final = ("records", "intents", "ended", "pace", "history", "quarantine", "known", "erasing")
PAUSES: Final = "SELECT name, value FROM meta WHERE name LIKE 'paused:%' ORDER BY name"
FAST: Final = Path("/dev/shm")
"""Images are opened in memory where there is such a place: no fsync of theirs has to be waited for."""
FRAMES_REMEMBERED: Final = 20_000
"""Images of one run have most frames of their logs in common; their checksums are pure, and slow in Python."""
NOON: Final = Moment(1_900_000_000.0, 5_000.0, "after the cut")


@dataclass(frozen=True, slots=True)
class Account:
    """What stands of one account.

    secrets  the grant's: what could be presented
    flight   of the intent that stands, None where none does
    escrow   the reply that is kept with it
    """

    generation: int
    secrets: frozenset[str]
    lease: str | None
    flight: str | None
    escrow: bytes | None


@dataclass(frozen=True, slots=True)
class State:
    """What a journal holds.  `mark` tells any two states apart."""

    mark: str
    accounts: Mapping[str, Account] = field(default_factory=dict)


class Unopened(Exception):
    """The vault did not open, or something in it did not."""


Made = Callable[[Path], Custodian]


class Examiner:
    """A context manager.  `custodian` makes the one for an image's folder; `anchor` is a name below it.

    opened, went_on  images that were looked at, and those with a rotation under way
    """

    def __init__(self, custodian: Made, placement: Placement = "sealed", anchor: str | None = None) -> None:
        self._custodian = custodian
        self._placement = placement
        self._anchor = anchor
        self._folder = Path(tempfile.mkdtemp(prefix="freshd-image-", dir=FAST if FAST.is_dir() else None))
        self._runner = asyncio.Runner()
        self.opened = self.went_on = 0

    def __enter__(self) -> Self:
        self._sums, self._go_on = wal._sums, Care.go_on
        Care.go_on = _wait  # type: ignore[method-assign]
        wal._sums = functools.lru_cache(FRAMES_REMEMBERED)(wal._sums)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wal._sums, Care.go_on = self._sums, self._go_on  # type: ignore[method-assign]
        self._runner.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def examine(self, found: image.Image, rubbish: bytes = b"") -> State:
        """What a start after the cut finds.  Raises Unopened."""
        self.opened += 1
        folder = self._folder / str(self.opened)
        image.put(found, folder, rubbish)
        try:
            return self._runner.run(self._open(folder))
        except FreshdError as error:
            raise Unopened(f"{type(error).__name__}: {error.cause}".replace(str(folder), "")) from None
        finally:
            shutil.rmtree(folder)

    async def _open(self, folder: Path) -> State:
        anchor = None if self._anchor is None else folder / self._anchor
        custodian = self._custodian(folder)  # in the journal it stands under the name that its own folder gave it
        setup = Setup(
            folder / "state", self._placement, custodian, lambda: NOON, inline=True, anchor=anchor,
            recall=lambda _name: custodian,
        )  # fmt: skip
        vault = JournalVault(setup)
        try:
            standings = await vault.open()
            if vault.rolled_back is not None:
                raise Unopened(f"taken for an old copy: {vault.rolled_back}")
            mark = _mark(folder / JOURNAL)  # before anything comes to rest elsewhere
            state = State(mark, {one.account: await _account(vault, one) for one in standings.values()})
            await self._goes_on(vault, state)
            return state
        finally:
            await vault.aclose()

    async def _goes_on(self, vault: JournalVault, found: State) -> None:
        """Let a rotation that was under way end."""
        stands = names.named_in(dict(await vault._opening.reader.ask(_meta)))
        if not stands.is_open:
            return
        self.went_on += 1
        self._go_on(vault.care, stands)
        while vault.care.busy:  # noqa: ASYNC110 - nothing waits for anything here: all is done on this thread
            await asyncio.sleep(0)
        standings = (await vault.open()).values()
        if {one.account: await _account(vault, one) for one in standings} != found.accounts:
            raise Unopened("the rotation that went on changed an account")
        if faults := (await verdict_of(vault)).faults:
            raise Unopened(f"after the rotation that went on: {faults[0].what}")


def _wait(self: Care, stands: Names) -> None:
    """What a start goes on with by itself is done once it is known what was found."""


def _meta(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return db.execute("SELECT name, value FROM meta").fetchall()


async def _account(vault: JournalVault, standing: Standing) -> Account:
    if standing.broken is not None:
        raise Unopened(f"the record of {standing.account} is broken: {standing.broken}")
    try:
        record = await vault.read(standing.account)
    except KeyringUnavailable:  # its grant came to rest in the OS keyring, of which an image has nothing
        record = Record(standing.account, standing.generation, lease=standing.lease)
    escrowed = await vault.escrowed(standing.account)
    intent: Intent | None = standing.intent if escrowed is None else escrowed[0]
    held = () if record.grant is None else record.grant.secrets.values()
    return Account(
        standing.generation,
        frozenset(map(Secret.reveal, held)),
        None if record.lease is None else record.lease.token.reveal(),
        None if intent is None else intent.flight,
        None if escrowed is None else escrowed[1].body,
    )


def _mark(path: Path) -> str:
    """A digest of all that the journal holds, but for what each opening may write."""
    digest = hashlib.sha256()
    with contextlib.closing(schema.connect_reading(path)) as db:
        for table in TABLES:
            for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
                digest.update(repr((table, row)).encode())
        digest.update(repr(db.execute(PAUSES).fetchall()).encode())
    return digest.hexdigest()[:16]
