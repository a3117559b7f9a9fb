"""Refusals on demand: any error, in any form, for so many calls. Pure.

An order strikes before the service has changed anything, or ``after_commit``: then the change is made and only the
refusal is heard of it.
"""

import dataclasses
import itertools

from freshd.sandbox.cloudbase.constants import Speech
from freshd.sandbox.cloudbase.refusal import Strike

ANY = "*"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. ``operation`` is a call's name, ``label`` empty means everybody, ``count`` None for ever.

    ``status``, ``speech``, ``number``, ``retry_s`` (seconds) and ``limit_remaining`` are those of ``Strike``.
    """

    error: str
    operation: str = ANY
    label: str = ""
    count: int | None = 1
    after_commit: bool = False
    status: int = 0
    speech: Speech | None = None
    number: int | None = None
    retry_s: float | None = None
    limit_remaining: int | None = None

    def strike(self) -> Strike:
        """Return the refusal."""
        return Strike(
            error=self.error,
            status=self.status,
            speech=self.speech,
            number=self.number,
            retry_s=self.retry_s,
            limit_remaining=self.limit_remaining,
        )


@dataclasses.dataclass(slots=True, kw_only=True)
class _Standing:
    id: int
    order: Order
    left: int | None


class Orders:
    """All orders in force, in the order in which they came."""

    def __init__(self) -> None:
        """Start empty."""
        self._standing: list[_Standing] = []
        self._ids = itertools.count(1)

    def add(self, order: Order) -> int:
        """Put an order in force; return its id."""
        self._standing.append(_Standing(id=next(self._ids), order=order, left=order.count))
        return self._standing[-1].id

    def draw(self, operation: str, label: str) -> Order | None:
        """Return the first order that a call falls under, and charge it."""
        for one in self._standing:
            if one.order.operation in (ANY, operation) and one.order.label in ("", label):
                if one.left is not None:
                    one.left -= 1
                self._standing = [each for each in self._standing if each.left is None or each.left > 0]
                return one.order
        return None

    def remove(self, order_id: int | None = None) -> int:
        """Take one order back, or all; return how many."""
        kept = [one for one in self._standing if order_id not in (None, one.id)]
        gone = len(self._standing) - len(kept)
        self._standing = kept
        return gone

    def list(self) -> list[dict[str, object]]:
        """Return those in force."""
        return [{**dataclasses.asdict(one.order), "id": one.id, "left": one.left} for one in self._standing]
