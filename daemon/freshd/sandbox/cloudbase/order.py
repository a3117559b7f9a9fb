"""Refusals on demand: any error, in any form, for so many calls. Pure.

An order strikes before the service has changed anything, or ``after_commit``: then the change is made and only the
refusal is heard of it.
"""

import dataclasses

from freshd.sandbox import orders
from freshd.sandbox.cloudbase.constants import Speech
from freshd.sandbox.cloudbase.refusal import Strike

ANY = "*"


@dataclasses.dataclass(slots=True, kw_only=True)
class Order(orders.Ordered):
    """One order. ``operation`` is a call's name, ``label`` empty means everybody.

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


class Orders(orders.Orders[Order]):
    """All orders in force."""

    def draw(self, operation: str, label: str) -> Order | None:
        """Return the first order that a call falls under, and charge it."""
        return self.charge(lambda order: order.operation in (ANY, operation) and order.label in ("", label))
