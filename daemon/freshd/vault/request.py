"""What the writer is asked for, and how its callers are told.

Rules
-----
* `apply` and `prove` run on the writer's thread, futures belong to the loop's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from freshd.errors import FreshdError

T = TypeVar("T")

Apply = Callable[[sqlite3.Connection], T]
Prove = Callable[[sqlite3.Connection, Any], T]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `apply` returns instead of raising when what it wrote must stay: the caller gets the error all the same."""

    error: FreshdError


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One thing to write.

    apply    runs inside the transaction, possibly more than once; a FreshdError undoes this request only
    prove    runs after COMMIT on the second connection: what it reads there is what the caller is told
    point    name of the crash point reached once it is durable
    vital    ends a flight: worth the ballast
    wall     wall clock of the moment it was asked for
    """

    apply: Apply[Any]
    prove: Prove[Any]
    point: str | None
    vital: bool
    wall: float
    future: asyncio.Future[Any]


Outcome = tuple[Request, object]
"""A request and its result, or the exception it ends with."""


def tell(outcomes: Sequence[Outcome]) -> None:
    """Give callers what came of their requests.  On the loop's thread."""
    for request, outcome in outcomes:
        if request.future.done():  # its caller stopped waiting
            continue
        if isinstance(outcome, Exception):
            request.future.set_exception(outcome)
        elif isinstance(outcome, Refusal):
            request.future.set_exception(outcome.error)
        else:
            request.future.set_result(outcome)
