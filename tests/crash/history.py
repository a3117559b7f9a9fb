"""What a journal came to hold, state after state, and what the world was shown of it: all from a trace.

Rules
-----
* A state is what the vault's own code finds on the disk when nothing is lost, taken wherever a commit's last page was
  written.  The states are in order; each image of a power cut must be one of them.
* A `Shown` is a moment at which bytes left the process that the journal must not be behind of, and the first state that
  is not.  It comes from the bytes alone: a request that spends, a token that somebody gets, a generation that is told.
* Must not: believe a mark, a log line or a stamp of the process.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import unquote_to_bytes

from tests.crash import image
from tests.crash.disk import WRITES, Disk
from tests.crash.examiner import Account, Examiner, State
from tests.crash.image import Way
from tests.crash.trace import Step

FRAME_HEAD: Final = 24
"""Bytes before each page in the -wal; 4 to 7 of them are zero but in the last frame of a commit."""
SENDS: Final = frozenset({"sendto", "sendmsg", "write", "writev"})

DONE: Final = b"everything so far is durable\n"
"""What a program says that has waited for each of its writes."""

Spends = Callable[[bytes], bool]
NO_DICE: Final = Random(0)
"""For ways that leave nothing to chance."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One state, and the steps between which its pages were written."""

    index: int
    first: int
    last: int
    state: State


@dataclass(frozen=True, slots=True)
class Shown:
    """From step `number` on the journal must be at state `index` at least; None where no state ever is enough."""

    number: int
    index: int | None
    what: str
    is_request: bool = False
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """One or more processes' steps after one another, on one folder; `standing` is what the folder held before."""

    top: str
    steps: Sequence[Step]
    standing: Mapping[str, bytes | None] = field(default_factory=dict)

    def disk(self) -> Disk:
        """The folder before the first step."""
        return Disk(self.top, self.standing)


class History:
    """The states of a run, in order; `before` is what stood at its beginning."""

    def __init__(self, run: Run, examiner: Examiner) -> None:
        self.run = run
        disk = run.disk()
        self.commits = [Commit(0, -1, -1, examiner.examine(image.draw(disk, Way.KEPT, NO_DICE)))]
        for first, last in self._committed(disk):
            state = examiner.examine(image.draw(disk, Way.WHOLE, NO_DICE))
            if state.mark != self.commits[-1].state.mark:
                self.commits.append(Commit(len(self.commits), first, last, state))
        self._lasts = [commit.last for commit in self.commits]
        self._of_mark: dict[str, list[int]] = {}
        for commit in self.commits:
            self._of_mark.setdefault(commit.state.mark, []).append(commit.index)

    def _committed(self, disk: Disk) -> Iterator[tuple[int, int]]:
        """The first and the last step of each commit, the disk standing right behind it."""
        first, is_last = -1, False
        for step in self.run.steps:
            is_page = step.has_worked and step.call in WRITES and step.place.endswith("-wal")
            disk.feed(step)
            if not is_page:
                continue
            first = step.number if first < 0 else first
            if len(step.data) == FRAME_HEAD:
                is_last = any(step.data[4:8])
            elif is_last:
                yield first, step.number
                first, is_last = -1, False

    def live(self, number: int) -> int:
        """The state written last before that step."""
        return bisect.bisect_right(self._lasts, number) - 1

    def index(self, state: State, number: int) -> int | None:
        """Which state this is, the latest of those that were written before that step; None where it is none."""
        found = [index for index in self._of_mark.get(state.mark, ()) if index <= self.live(number)]
        return found[-1] if found else None

    def account(self, index: int, name: str) -> Account | None:
        """How an account stood at a state."""
        return self.commits[index].state.accounts.get(name)


class Showing:
    """What a run showed to the world.

    spends  knows, from the bytes alone, a request that may spend something
    """

    def __init__(self, history: History, spends: Spends) -> None:
        self._history = history
        self._spends = spends
        self._leases: dict[str, int] = {}
        self._intents: dict[str, int] = {}
        self._secrets: set[str] = set()
        for commit in history.commits:
            for one in commit.state.accounts.values():
                self._secrets.update(secret for secret in one.secrets if len(secret) >= _LEAST)
                if one.lease is not None:
                    self._leases.setdefault(one.lease, commit.index)
                if one.flight is not None:
                    self._intents.setdefault(one.flight, commit.index)

    def all(self) -> Iterator[Shown]:
        """In order."""
        for step in self._history.run.steps:
            if step.moment == "begun" and step.call in SENDS and not self._is_journal(step):
                yield from self._of(step)

    def _is_journal(self, step: Step) -> bool:
        return step.place.startswith(f"{self._history.run.top}/state/")

    def _of(self, step: Step) -> Iterator[Shown]:
        if step.data.startswith(DONE):
            yield Shown(step.number, self._history.live(step.number), "everything so far is acknowledged")
        secrets = _among(self._secrets, step.data) if step.place.startswith("TCP") else frozenset()
        if secrets or (step.place.startswith("TCP") and self._spends(step.data)):
            yield self._spending(step, secrets)
        for lease in _among(self._leases, step.data):
            yield Shown(step.number, self._leases[lease], f"a token leaves by {step.call}")
        for account, generation in _told(step.data):  # 0: there is no such record yet
            index = self._reached(account, generation)
            yield Shown(step.number, index, f"generation {generation} of {account} is told")

    def _spending(self, step: Step, secrets: frozenset[str]) -> Shown:
        """The intent that stands when it leaves is what must be durable."""
        live = self._history.commits[self._history.live(step.number)].state
        flights = [one.flight for one in live.accounts.values() if one.flight is not None]
        first = max((self._intents[flight] for flight in flights), default=None)
        return Shown(step.number, first, "a request that spends leaves", is_request=True, secrets=secrets)

    def _reached(self, account: str, generation: int) -> int | None:
        for commit in self._history.commits:
            one = commit.state.accounts.get(account)
            if one is not None and one.generation >= generation:
                return commit.index
        return None


_LEAST: Final = 16
"""Shorter words are no secrets that rotate, and stand in many places."""


def _among(words: Iterable[str], data: bytes) -> frozenset[str]:
    """Those that the bytes hold, as they are or as forms and addresses write them."""
    plain = unquote_to_bytes(data)
    return frozenset(word for word in words if word.encode() in data or word.encode() in plain)


def _told(data: bytes) -> Iterator[tuple[str, int]]:
    """Accounts and generations in an answer of the socket."""
    if not data.startswith(b"HTTP/1.1 200"):
        return
    body = data.partition(b"\r\n\r\n")[2]
    try:
        found = json.loads(body) if body else None
    except ValueError:
        return
    if isinstance(found, dict) and found.get("generation") and "account" in found:
        yield str(found["account"]), int(found["generation"])
