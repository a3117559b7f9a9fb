"""Answers and refusals that somebody ordered from a stand-in, in the order in which they came. Pure.

Rules: of the orders that fit a request only the first is charged; one that is used up goes. What an order says, and
which requests it fits, each service decides.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Generic, TypeVar


@dataclasses.dataclass(slots=True, kw_only=True)
class Ordered:
    """What every order has. ``count``: for how many requests; None: until it is taken back.

    ``left`` is what remains of that, ``used`` how many requests it has struck.
    """

    count: int | None = None
    id: int = dataclasses.field(default=0, init=False)
    left: int | None = dataclasses.field(init=False)
    used: int = dataclasses.field(default=0, init=False)

    def __post_init__(self) -> None:
        self.left = self.count


Kind = TypeVar("Kind", bound=Ordered)


class Orders(Generic[Kind]):
    """All orders in force."""

    def __init__(self) -> None:
        """Start with none."""
        self._ids = itertools.count(1)
        self.lines: list[Kind] = []

    def add(self, line: Kind) -> Kind:
        """Put an order in force under the next id."""
        line.id = next(self._ids)
        self.lines.append(line)
        return line

    def charge(self, fits: Callable[[Kind], bool]) -> Kind | None:
        """Return the first order that fits, charged, or None."""
        line = next((one for one in self.lines if fits(one)), None)
        if line is not None:
            line.used += 1
            if line.left is not None:
                line.left -= 1
            self.lines = [one for one in self.lines if one.left is None or one.left > 0]
        return line

    def remove(self, line_id: int | None = None, **members: object) -> int:
        """Take back one order by id, those whose ``members`` have these values (None: any), or all; return how many."""
        wanted = {name: value for name, value in {"id": line_id, **members}.items() if value is not None}
        kept = [one for one in self.lines if any(getattr(one, name) != value for name, value in wanted.items())]
        gone, self.lines = len(self.lines) - len(kept), kept
        return gone
