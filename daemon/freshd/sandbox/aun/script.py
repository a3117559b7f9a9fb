"""Answers that somebody ordered for AUN's gateway: the next N of a method, or all, for one AID or any.

Rules: lines are taken in the order in which they were added, one for each request. A line with a code or a result
stands in place of the method, which then changes nothing, unless ``after_commit``: it is done, and a lie is told about
it. A line that only lays members over the result, closes or keeps silent lets the method be done.
"""

import dataclasses
import itertools
from collections.abc import Mapping

from freshd.sandbox.aun.answer import Farewell, Fields, Told, error_of
from freshd.sandbox.shape import checked


@dataclasses.dataclass(slots=True, kw_only=True)
class Line:
    """One order; ``operation`` is the method; None means any AID, no end.

    ``result`` is said word for word; ``over`` is laid over the true result, null takes a member away. ``close`` ends
    the connection with that code afterwards, announced if ``event``; ``silent`` says nothing.
    """

    id: int = 0
    operation: str
    aid: str | None = None
    code: int | None = None
    message: str = "on demand"
    data: Fields | None = None
    result: Fields | None = None
    over: Fields | None = None
    after_commit: bool = False
    silent: bool = False
    close: int | None = None
    event: bool = False
    left: int | None = None
    used: int = 0

    @property
    def stands_in(self) -> bool:
        """Whether the method is not done at all."""
        return not self.after_commit and (self.code is not None or self.result is not None)

    def apply(self, told: Told) -> Told:
        """Change what is said."""
        if self.code is not None:
            told.result, told.error, told.outcome = None, error_of(self.code, self.message, self.data), str(self.code)
        elif self.result is not None:
            told.result, told.error = dict(self.result), None
        if self.over is not None and told.result is not None:
            laid = {**told.result, **self.over}
            told.result = {name: value for name, value in laid.items() if value is not None}
        told.is_answered = told.is_answered and not self.silent
        if self.close is not None:
            told.farewell = Farewell(code=self.close, reason=self.message, event=self.event)
        return told


class Script:
    """All lines in force."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.lines: list[Line] = []

    def add_json(self, wish: Mapping[str, object]) -> Line:
        """Put the line that a JSON object describes in force; raises ValueError or TypeError if it describes none."""
        objects = {name: wish.get(name) for name in ("data", "result", "over")}
        known = checked(_Wish, {name: value for name, value in wish.items() if name not in objects}, partial=False)
        for name, value in objects.items():
            if value is not None and not isinstance(value, dict):
                raise TypeError(f"{name}: expected a JSON object")
        known |= {**objects, "left": known.pop("count", None)}
        line = Line(id=next(self._ids), **known)
        says = (line.code, line.result, line.over, line.close)
        if not line.silent and all(one is None for one in says):
            raise ValueError("code, result, over, close, silent: expected one of them")
        self.lines.append(line)
        return line

    def take(self, operation: str, aid: str | None) -> Line | None:
        """Return the line for a request, charged, or None."""
        line = next((one for one in self.lines if one.operation == operation and one.aid in (None, aid)), None)
        if line is not None:
            line.used += 1
            if line.left is not None:
                line.left -= 1
            self.lines = [one for one in self.lines if one.left is None or one.left > 0]
        return line

    def remove(self, line_id: int | None = None, *, aid: str | None = None, operation: str | None = None) -> int:
        """Take lines away: one by id, those of an AID or an operation, or all; return how many."""

        def stays(line: Line) -> bool:
            wanted = ((line_id, line.id), (aid, line.aid), (operation, line.operation))
            return any(asked is not None and asked != have for asked, have in wanted)

        kept = [line for line in self.lines if stays(line)]
        gone = len(self.lines) - len(kept)
        self.lines = kept
        return gone


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wish:
    operation: str
    aid: str | None = None
    code: int | None = None
    message: str = "on demand"
    after_commit: bool = False
    silent: bool = False
    close: int | None = None
    event: bool = False
    count: int | None = None
