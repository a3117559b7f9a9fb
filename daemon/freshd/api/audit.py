"""Who was handed what, and who was denied (I12): the first time as an event, then as counts.

Rules
-----
* One line per caller (uid and unit), account and generation.  The count of a line is told when its generation ends,
  when it has to make room, and when the daemon stops.
* Memory is bounded: the oldest lines are told and dropped; what was dropped counts as new when it comes again.
* A denied account that exists is named; all names that do not exist share one line per caller, so inventing names
  fills neither memory nor log.
* Nothing here waits or raises: `on_audit` is an outlet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from freshd.core.access import Identity
from freshd.core.events import Event

MAX_LINES: Final = 65536

PREFIX: Final = "access."
GRANTED: Final = "access.granted"
GRANTED_AGAIN: Final = "access.granted-again"
DENIED: Final = "access.denied"
DENIED_AGAIN: Final = "access.denied-again"

Key = tuple[int, str | None, str | None, bool]


class Tally:
    """One line.  A holder may count on it itself while `generation` is the one it is about."""

    __slots__ = ("again", "generation", "pid")

    def __init__(self, generation: int, pid: int) -> None:
        self.generation = generation
        self.again = 0
        self.pid = pid


class Audit:
    """All lines.  Events go to `on_audit`."""

    def __init__(self, on_audit: Callable[[Event], None], max_lines: int = MAX_LINES) -> None:
        self._on_audit = on_audit
        self._max = max_lines
        self._lines: dict[Key, Tally] = {}

    def granted(self, who: Identity, account: str, generation: int) -> Tally:
        """A lease of that generation was handed out.  The caller may keep the tally and count on it."""
        return self._count((who.uid, who.unit, account, True), who, generation)

    def denied(self, who: Identity, account: str | None) -> None:
        """The caller asked for what it may not have; None: for what does not exist."""
        self._count((who.uid, who.unit, account, False), who, 0)

    def flush(self) -> None:
        """Tell all counts and start again from none."""
        for key in list(self._lines):
            self._retire(key)

    def _count(self, key: Key, who: Identity, generation: int) -> Tally:
        tally = self._lines.get(key)
        if tally is not None and tally.generation == generation:
            tally.again += 1
            return tally
        if tally is not None:
            self._retire(key)
        elif len(self._lines) >= self._max:
            self._retire(next(iter(self._lines)))
        tally = self._lines[key] = Tally(generation, who.pid)
        self._tell(GRANTED if key[3] else DENIED, key, tally)
        return tally

    def _retire(self, key: Key) -> None:
        tally = self._lines.pop(key)
        if tally.again:
            self._tell(GRANTED_AGAIN if key[3] else DENIED_AGAIN, key, tally)
        tally.generation = -1  # whoever still holds it must come back here

    def _tell(self, name: str, key: Key, tally: Tally) -> None:
        uid, unit, account, handed = key
        fields: dict[str, str | int | float | bool | None] = {"uid": uid, "unit": unit}
        if handed:
            fields["token_generation"] = tally.generation
        if name in (GRANTED, DENIED):
            fields["pid"] = tally.pid
        else:
            fields["count"] = tally.again
        self._on_audit(Event(name, account, fields))
