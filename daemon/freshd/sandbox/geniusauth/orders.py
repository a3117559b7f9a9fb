"""Refusals on demand: which code is said, to whom, how often. Pure.

An order stands in place of the operation, unless ``after_commit``: then the operation is done, and refused in words.
"""

import dataclasses
import enum

from freshd.sandbox import orders
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
class Order(orders.Ordered):
    """One order; what is None fits everybody. ``status`` 0: the code's own."""

    code: int
    status: int = 0
    operation: Operation | None = None
    app_code: str | None = None
    label: str | None = None
    after_commit: bool = False


class Orders(orders.Orders[Order]):
    """All orders in force."""

    def add(self, line: Order) -> Order:
        """Put an order in force; raises ValueError for what no answer can hold."""
        if not 0 < line.code <= MOST_CODE:
            raise ValueError(f"code: expected 1 to {MOST_CODE}")
        if line.status and not 200 <= line.status <= 599:
            raise ValueError("status: expected 200 to 599")
        return super().add(line)

    def take(self, operation: Operation, app_code: str, label: str) -> Order | None:
        """Return the first order that strikes a call, and charge it."""

        def fits(order: Order) -> bool:
            asked = ((order.operation, operation), (order.app_code, app_code), (order.label, label))
            return all(want in (None, have) for want, have in asked)

        return self.charge(fits)
