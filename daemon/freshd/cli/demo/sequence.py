"""Calls that must follow each other, others in between.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from freshd.cli.demo.evidence import Arrival

YES: Final = frozenset({"granted", "ok"})
"""Outcomes of a call that brought what was asked for; the second where nothing was issued."""
Step = tuple[str, bool]
"""An operation, and whether it was granted."""


def follow(calls: Sequence[Arrival], since: float, steps: Sequence[Step]) -> bool:
    """Whether these calls came after a moment, in this order."""
    left = list(steps)
    for call in sorted(calls, key=lambda one: one.at):
        if left and call.at >= since and (call.operation, call.outcome in YES) == left[0]:
            left.pop(0)
    return not left


def granted(calls: Sequence[Arrival], operation: str, since: float = 0.0) -> int:
    """How many calls of this sort were granted after a moment."""
    return sum(1 for call in calls if call.operation == operation and call.outcome in YES and call.at >= since)
