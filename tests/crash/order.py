"""The order of an exchange, proven from a trace: what was durable when something left, was written, or was shown.

Rules
-----
* Durable is what the vault's own code finds, under the key, in a copy of the disk that holds nothing but what was
  synced: the strongest form of "its fsync had returned".
* Of each request that spends: its intent was durable before its first byte left; the whole reply was received before
  the escrow was written, the escrow durable before the commit was written.
* Of each thing shown (a token on a socket or in a file, a generation told): its state was durable before.
* What is broken is told in words, all of it; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.crash import image
from tests.crash.disk import SYNCS
from tests.crash.examiner import Examiner, Unopened
from tests.crash.history import NO_DICE, History, Showing, Shown, Spends
from tests.crash.image import Way
from tests.crash.trace import Step

NEVER: Final = 1 << 60
"""A step behind all others."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that spent, and what became of it.  Numbers are steps, `intent` to `commit` states.

    spent    secrets that left with it and that its commit has no more
    syncs    calls of fsync and fdatasync on the state directory and its files, from the intent's first byte to the
             commit's durability
    seconds  from the last byte of the reply to the return of the escrow's fsync; strace's own time is in it
    """

    left: int
    flight: str
    spent: frozenset[str]
    intent: int
    escrow: int | None
    commit: int | None
    replied: int | None
    syncs: int
    seconds: float | None


class Order:
    """What one run kept to.  `breaches` is empty where it kept to everything."""

    def __init__(self, history: History, spends: Spends, examiner: Examiner) -> None:
        self._history = history
        self._steps = history.run.steps
        self._examiner = examiner
        self.breaches: list[str] = []
        # Of each state the step after which it is durable, whatever else is lost.
        self.durable = self._durably()
        self._syncs = [step.number for step in self._steps if self._is_sync(step)]
        self.shown = list(Showing(history, spends).all())
        for one in self.shown:
            self._check(one)
        self.exchanges = [self._exchange(one) for one in self.shown if one.is_request and one.index is not None]
        for exchange in self.exchanges:
            self._check_exchange(exchange)

    def _durably(self) -> Sequence[int]:
        """Of each state the step after which it is durable."""
        durable = [NEVER] * len(self._history.commits)
        disk, known = self._history.run.disk(), -1
        for step in self._steps:
            if not (disk.feed(step) and step.call in SYNCS) and known >= 0:
                continue
            try:
                state = self._examiner.examine(image.draw(disk, Way.KEPT, NO_DICE))
            except Unopened as error:
                self.breaches.append(f"after step {step.number} the durable part alone does not open: {error}")
                continue
            index = self._history.index(state, step.number)
            if index is None or index < known:
                self.breaches.append(f"after step {step.number} the durable part is old, or a state that never was")
                continue
            durable[known + 1 : index + 1] = [step.number] * (index - known)
            known = index
        return durable

    def _is_sync(self, step: Step) -> bool:
        return step.call in SYNCS and step.has_worked and step.place.startswith(f"{self._history.run.top}/state")

    def _check(self, shown: Shown) -> None:
        if shown.index is None:
            self.breaches.append(f"{shown.what} at step {shown.number}, and no state of the journal knows of it")
        elif self.durable[shown.index] > shown.number:
            self.breaches.append(f"{shown.what} at step {shown.number} before state {shown.index} is durable")

    def _exchange(self, shown: Shown) -> Exchange:
        intent = shown.index or 0
        flight = self._flight(intent)
        rest = self._history.commits[intent + 1 :]
        escrow = commit = None
        for one in rest:
            account = next((it for it in one.state.accounts.values() if it.flight == flight), None)
            if account is None:
                commit = one.index
                break
            if escrow is None and account.escrow is not None:
                escrow = one.index
        replied = self._replied(shown.number, escrow)
        ended = NEVER if commit is None else self.durable[commit]
        syncs = sum(self._history.commits[intent].first <= number <= ended for number in self._syncs)
        spent = frozenset() if commit is None else shown.secrets - self._secrets(commit)
        seconds = self._seconds(replied, escrow)
        return Exchange(shown.number, flight, spent, intent, escrow, commit, replied, syncs, seconds)

    def _secrets(self, index: int) -> set[str]:
        accounts = self._history.commits[index].state.accounts.values()
        return {secret for one in accounts for secret in one.secrets}

    def _flight(self, intent: int) -> str:
        """The intent that came with this state."""
        before = {one.flight for one in self._history.commits[intent - 1].state.accounts.values()}
        now = (one.flight for one in self._history.commits[intent].state.accounts.values())
        return next(flight for flight in now if flight is not None and flight not in before)

    def _received(self, left: int) -> list[Step]:
        """What came back on the connection that the request left by, up to its end."""
        steps = self._steps[left:]
        place = steps[0].place
        return [
            one for one in steps
            if one.call in ("recvfrom", "recvmsg") and one.place == place and one.has_worked and one.result
        ]  # fmt: skip

    def _replied(self, left: int, escrow: int | None) -> int | None:
        """The step with which the escrowed reply was whole; without an escrow, the last one that brought anything."""
        received = self._received(left)
        kept = None if escrow is None else self._body(escrow)
        so_far = b""
        for step in received:
            so_far += step.data
            if kept is not None and kept in so_far:
                return step.number
        return None if kept is not None or not received else received[-1].number

    def _body(self, escrow: int) -> bytes | None:
        accounts = self._history.commits[escrow].state.accounts.values()
        before = {one.escrow for one in self._history.commits[escrow - 1].state.accounts.values()}
        return next((one.escrow for one in accounts if one.escrow is not None and one.escrow not in before), None)

    def _seconds(self, replied: int | None, escrow: int | None) -> float | None:
        if replied is None or escrow is None or self.durable[escrow] == NEVER:
            return None
        return self._steps[self.durable[escrow]].at - self._steps[replied].at

    def _check_exchange(self, one: Exchange) -> None:
        where = f"the request at step {one.left}"
        if one.escrow is None:
            if one.replied is not None:
                self.breaches.append(f"{where} was answered, and no state keeps the reply as it came")
            return
        if one.replied is None or one.replied > self._history.commits[one.escrow].first:
            self.breaches.append(f"{where}: its escrow was written before the reply was whole, or is another one")
        if one.commit is not None and self.durable[one.escrow] > self._history.commits[one.commit].first:
            self.breaches.append(f"{where}: its commit was written before its escrow was durable")
