"""One daemon on a disk of its own, that renews while something is wrong with it; and what was seen of that.

Rules
-----
* The service is strict: whoever presents a spent token loses the grant.  So a refresh that succeeds after a fault shows
  that the newest secret was kept.
* Nothing is judged here: what is expected stands in the tests.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.crash.scene import ACCOUNT
from tests.crash.services import Sandbox
from tests.flow import faulty_disk
from tests.flow.bed import Bed, Line, account, lease_of, until

ALERTS: Final = frozenset({"refresh.unable", "save.failed", "vault.unusable", "bug", "account.parked"})


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one fault.

    alerts   names of the alerts it gave, in their order, once each
    cause    of the first alert, or what the daemon said when it did not start
    remedy   likewise
    healed   "by itself", "by the remedy" or "by a restart"
    cleared  whether every alert was cleared by what followed
    served   whether readers had the lease all the while; None where no daemon ran
    asked    calls at the service while its answer could not have been kept
    lost     answers of the service that the journal lacks in the end
    spent    spent secrets presented; doubtful replays count, too
    """

    name: str
    alerts: tuple[str, ...]
    cause: str
    remedy: str
    healed: str
    cleared: bool = True
    served: bool | None = True
    asked: int = 0
    lost: int = 0
    spent: int = 0


class Stage:
    """A context manager: a daemon with one account, its state directory on a file system of six mebibytes."""

    def __init__(self, folder: Path, service: Sandbox, label: str) -> None:
        folder.mkdir()
        self.bed, self.service, self.label = Bed(folder), service, label
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ends:
            self.disk = ends.enter_context(faulty_disk.small(self.bed.folder / "disk"))
            self.bed.state = self.disk / "state"
            ends.enter_context(self.bed)
            self.bed.write(*account(ACCOUNT, self.service))
            self.process = self.bed.up()
            self.process.operate("import", secrets={"refresh_token": self.service.mint(self.label)})
            until("the first lease", lambda: self.process.view()["usable_until"])
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    @property
    def journal(self) -> Path:
        return self.bed.state / "journal.db"

    @property
    def files(self) -> tuple[Path, Path]:
        """Journal and log."""
        return self.journal, self.log

    @property
    def log(self) -> Path:
        return self.bed.state / "journal.db-wal"

    # -- what is done ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def failing(self, calls: str, how: str) -> Iterator[None]:
        """System calls on journal and log go wrong."""
        with faulty_disk.failing(self.process, calls, how, *self.files, said=self.bed.folder / "strace"):
            yield

    def traced(self) -> str:
        """What strace saw the last time."""
        return (self.bed.folder / "strace").read_text()

    def fill(self, *, leave: int = 0) -> None:
        faulty_disk.fill(self.disk, leave=leave)

    def make_room(self) -> None:
        faulty_disk.make_room(self.disk)

    def begin(self) -> None:
        """Ask for a refresh, and wait for nothing."""
        self.process.begin("refresh").close()

    def begin_held(self, seconds: float) -> None:
        """Ask for a refresh whose answer the service holds back, and wait until it was sent."""
        before = self.calls()
        self.service.delay(self.label, seconds, 0.0)
        self.begin()
        until("the call at the service", lambda: self.calls() > before)
        self.service.delay(self.label, 0.0, 0.0)

    def restart(self) -> None:
        """SIGKILL, and a daemon that finds what is left."""
        self.process.kill()
        self.process = self.bed.up()

    # -- what is seen ------------------------------------------------------------------------------------------------

    def alert(self, name: str, since: int) -> Line:
        """The first alert of that name after so many events."""
        return until(name, lambda: [one for one in self.bed.events()[since:] if one["event"] == name])[0]

    def either(self, name: str, since: int, generation: int) -> bool:
        """Whether that alert comes; False where the account gets beyond a generation without it."""

        def told() -> bool:
            return any(one["event"] == name for one in self.bed.events()[since:])

        until(name, lambda: told() or self.generation() > generation)
        return told()

    def events(self) -> int:
        return len(self.bed.events())

    def renewed(self, generation: int) -> None:
        """Wait until the account has got beyond a generation."""
        until("a renewal", lambda: self.process.view()["generation"] > generation)

    def escrowed(self) -> bool:
        """Whether an answer lies in the journal and is not committed."""
        address = f"file:{self.journal}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM intents WHERE escrow IS NOT NULL").fetchone())

    def generation(self) -> int:
        return int(self.process.view()["generation"])

    def calls(self) -> int:
        """How often the service was asked for a token."""
        return len(self.service.told_of(self.label)["calls"])

    def is_served(self, many: int = 20) -> bool:
        """Whether the lease in hand is had each time."""
        return len({lease_of(self.process, ACCOUNT) for _ in range(many)}) == 1

    # -- one fault ---------------------------------------------------------------------------------------------------

    def row(self, name: str, fault: Callable[[Stage], Seen]) -> Row:
        """Live through one fault, and prove afterwards that nothing is missing."""
        since, before, earlier = self.events(), self.generation(), self.service.page(self.label)
        seen = fault(self)
        self.renewed(before)
        until("no call under way", lambda: not self.service.page(self.label).pending)
        settled = self.generation()
        until("the refresh that proves it", lambda: self.process.operate("refresh")["generation"] > settled)
        page = self.service.page(self.label)
        lost = (len(page.commits) - len(earlier.commits)) - (self.generation() - before)
        spent = page.spent_uses + page.doubtful_replays - earlier.spent_uses - earlier.doubtful_replays
        told = self.bed.events()[since:]
        alerts = tuple(dict.fromkeys(one["event"] for one in told if one["event"] in ALERTS))
        first = next((one for one in told if one["event"] in ALERTS), {})
        return Row(
            name, alerts, str(first.get("cause", "")), str(first.get("remedy", "")), seen.healed, _all_cleared(told),
            seen.served, seen.asked, lost, spent,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What only the one who brings the fault about can see; see `Row`."""

    healed: str
    served: bool | None = True
    asked: int = 0


def _all_cleared(told: Sequence[Line]) -> bool:
    open_ones: set[str] = set()
    for one in told:
        open_ones -= set(str(one.get("clears", "")).split())
        if one["event"] in ALERTS:
            open_ones.add(one["event"])
    return not open_ones
