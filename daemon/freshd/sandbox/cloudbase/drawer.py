"""Secrets that are found by their fingerprint: codes, challenges and one-time tokens. The oldest are forgotten."""

import dataclasses
from collections.abc import Iterator
from typing import Generic, TypeVar

from freshd.sandbox.tokens import Commit, fingerprint

Thing = TypeVar("Thing")
_KEPT = 1024


class Drawer(Generic[Thing]):
    """What lies under each secret."""

    def __init__(self, keep: int = _KEPT) -> None:
        """``keep`` bounds how many."""
        self._keep = keep
        self._things: dict[str, Thing] = {}

    def put(self, text: str, thing: Thing) -> None:
        """Put ``thing`` under the secret ``text``."""
        self._things[fingerprint(text)] = thing
        if len(self._things) > self._keep:
            del self._things[next(iter(self._things))]

    def find(self, text: str) -> Thing | None:
        """Return what lies there."""
        return self._things.get(fingerprint(text)) if text else None

    def __iter__(self) -> Iterator[Thing]:
        """Return all, oldest first."""
        return iter(self._things.values())


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Once:
    """A secret good for one sign-in until ``expires_at`` (wall seconds); ``answer`` is what it was used for."""

    expires_at: float
    answer: Commit | None = None
