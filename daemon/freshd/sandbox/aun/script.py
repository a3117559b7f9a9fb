"""Answers that somebody ordered for AUN's gateway: the next N of a method, or all, for one AID or any.

Rules: one line is taken for each request. A line with a code or a result
stands in place of the method, which then changes nothing, unless ``after_commit``: it is done, and a lie is told about
it. A line that only lays members over the result, closes or keeps silent lets the method be done.
"""

import dataclasses
from collections.abc import Mapping

from freshd.sandbox.aun.answer import Farewell, Fields, Told, error_of
from freshd.sandbox.orders import Ordered, Orders
from freshd.sandbox.shape import shaped


@dataclasses.dataclass(slots=True, kw_only=True)
class Line(Ordered):
    """One order; ``operation`` is the method; None means any AID.

    ``result`` is said word for word; ``over`` is laid over the true result, null takes a member away. ``close`` ends
    the connection with that code afterwards, announced if ``event``; ``silent`` says nothing.
    """

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


class Script(Orders[Line]):
    """All lines in force."""

    def add_json(self, wish: Mapping[str, object]) -> Line:
        """Put the line that a JSON object describes in force; raises ValueError if it describes none."""
        line = shaped(Line, wish)
        says = (line.code, line.result, line.over, line.close)
        if not line.silent and all(one is None for one in says):
            raise ValueError("code, result, over, close, silent: expected one of them")
        return self.add(line)

    def take(self, operation: str, aid: str | None) -> Line | None:
        """Return the line for a request, charged, or None."""
        return self.charge(lambda line: line.operation == operation and line.aid in (None, aid))
