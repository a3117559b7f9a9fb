"""What scenes with real processes look at: the daemon's log as it grows, and readers that try what they are given.

Rules
-----
* A reader does what a good consumer does: it asks for the lease, tries it at the service, and reports a refusal.
* Its gap is the time in which it had no lease that the service took, from its first success on.  Tests judge by the
  reads in which that was so: where the machine is slow, reads are as well, and seconds would say nothing of freshd.
* Every thread started here is ended here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.crash.scene import Gone, Process, Told
from tests.flow.bed import Line, until
from tests.flow.door import Door
from tests.flow.shift import Shift

READ_SECONDS: Final = 0.15
TRY_SECONDS: Final = 0.6
"""How often a lease that was good is tried again; so a gap may have begun that much before it was seen."""


class Log:
    """The daemon's events, read once each, by many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines: list[Line] = []
        self._lock = threading.Lock()

    def events(self, account: str, since: int = 0) -> list[Line]:
        """An account's events from that line on, without those about readers."""
        with self._lock:
            self._catch_up()
            found = [line for line in self._lines[since:] if line.get("account") == account]
        return [line for line in found if not line["event"].startswith("access.")]

    def mark(self) -> int:
        """Where the log ends now."""
        with self._lock:
            self._catch_up()
            return len(self._lines)

    def _catch_up(self) -> None:
        with self._path.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        self._lines += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def moment(line: Line) -> float:
    """The wall-clock second of an event."""
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()


def knocked(door: Door, log: Log, account: str, times: int) -> None:
    """Shut the door until an account's calls were refused a connection so many times."""
    mark = log.mark()
    door.shut()
    until(
        f"{times} refused connections of {account}",
        lambda: sum(one["event"] == "refresh.not-sent" for one in log.events(account, mark)) >= times,
    )
    door.open()


Try = Callable[[Mapping[str, Any]], tuple[int, str] | None]
"""Tries a lease at the service: None where it is taken, else status and code."""


class Reader(Shift):
    """Somebody who reads one account all the while.  `min_ttl`: what is asked for.

    Where it is given nothing, it goes on with the lease it holds for as long as the service takes that.
    """

    def __init__(self, daemon: Process, account: str, attempt: Try, min_ttl: float = 0.0) -> None:
        super().__init__()
        self._daemon, self._account, self._try = daemon, account, attempt
        self._target = f"/v1/tokens/{account}?wait=0&min_ttl={min_ttl:g}"
        self._held: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._gaps: list[tuple[float, float | None]] = []
        self._missed: list[float] = []
        self._good_at = 0.0
        self._tried: tuple[str, float, bool] = ("", 0.0, False)
        self.leases: list[str] = []
        """Fingerprints, in order."""

    def gap(self, since: float, until: float) -> float:
        """Seconds between these wall-clock moments in which there was no good lease."""
        with self._lock:
            spans = [(begin, until if end is None else end) for begin, end in self._gaps]
        return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in spans)

    def misses(self, since: float, until: float) -> int:
        """How many reads between these wall-clock moments brought no good lease."""
        with self._lock:
            return sum(since <= moment <= until for moment in self._missed)

    def is_served_since(self, moment: float) -> bool:
        """Whether it has had a good lease after that wall-clock moment, and has one now."""
        with self._lock:
            return self._good_at > moment and not (self._gaps and self._gaps[-1][1] is None)

    def _work(self) -> None:
        while not self._ends.wait(READ_SECONDS):
            began = time.time()
            self._note(began, is_good=self._is_good())

    def _is_good(self) -> bool:
        try:
            lease = self._daemon.ask("GET", self._target)
        except (Told, Gone):
            return self._held is not None and self._is_taken(self._held)
        self._held = lease
        name, at, was_good = self._tried
        if lease["fingerprint"] != name:
            self.leases.append(lease["fingerprint"])
        elif time.monotonic() - at < TRY_SECONDS:
            return was_good
        try:
            refused = self._try(lease)
        except OSError:
            return was_good
        self._tried = lease["fingerprint"], time.monotonic(), refused is None
        if refused is not None:
            self._report(lease["fingerprint"], *refused)
        return refused is None

    def _is_taken(self, lease: Mapping[str, Any]) -> bool:
        try:
            return self._try(lease) is None
        except OSError:
            return False

    def _report(self, fingerprint: str, status: int, code: str) -> None:
        told = {"fingerprint": fingerprint, "status": status, "code": code}
        try:
            self._daemon.ask("POST", f"/v1/tokens/{self._account}/refused", told)
        except (Told, Gone):
            return

    def _note(self, began: float, *, is_good: bool) -> None:
        with self._lock:
            is_open = bool(self._gaps) and self._gaps[-1][1] is None
            self._good_at = began if is_good else self._good_at
            if is_good and is_open:
                self._gaps[-1] = self._gaps[-1][0], time.time()
            elif not is_good and not is_open and self.leases:
                self._gaps.append((began, None))
            if not is_good and self.leases:
                self._missed.append(began)
