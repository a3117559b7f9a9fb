"""Refusals on demand: which code is said, to whom, how often. Pure.

An order stands in place of the operation, unless ``after_commit``: then the operation is done, and refused in words.
"""

import dataclasses
import enum
import itertools

from freshd.sandbox.geniusauth.codes import MOST_CODE


class Operation(enum.StrEnum):
    """What the service can be asked for."""

    LOGIN = "login"
    REFRESH = "refresh"
    PAYLOAD = "payload"
    REVOKE = "revoke"
    VERIFY = "verify"
    WHOAMI = "whoami"
    KEYPAIR = "keypair"
    USERS = "users"


@dataclasses.dataclass(slots=True, kw_only=True)
class Order:
    """One order; what is None fits everybody. ``left`` None: until it is taken back. ``status`` 0: the code's own."""

    code: int
    status: int = 0
    operation: Operation | None = None
    app_code: str | None = None
    label: str | None = None
    count: int | None = None
    after_commit: bool = False
    id: int = dataclasses.field(default=0, init=False)


class Orders:
    """All orders in force."""

    def __init__(self) -> None:
        """Start with none."""
        self.orders: list[Order] = []
        self._ids = itertools.count(1)

    def add(self, order: Order) -> Order:
        """Put an order in force; raises ValueError for what no answer can hold."""
        if not 0 < order.code <= MOST_CODE:
            raise ValueError(f"code: expected 1 to {MOST_CODE}")
        if order.status and not 200 <= order.status <= 599:
            raise ValueError("status: expected 200 to 599")
        order.id = next(self._ids)
        self.orders.append(order)
        return order

    def remove(self, order_id: int | None = None) -> int:
        """Take back one order, or all; return how many."""
        kept = [order for order in self.orders if order_id not in (None, order.id)]
        gone, self.orders = len(self.orders) - len(kept), kept
        return gone

    def take(self, operation: Operation, app_code: str, label: str) -> Order | None:
        """Return the first order that strikes a call, and charge it."""
        for order in self.orders:
            asked = (order.operation, order.app_code, order.label)
            fits = all(want in (None, have) for want, have in zip(asked, (operation, app_code, label), strict=True))
            if fits and order.count != 0:
                order.count = None if order.count is None else order.count - 1
                self.orders = [one for one in self.orders if one.count != 0]
                return order
        return None
