"""What a channel needs of the daemon: leases and what is said of them, time, chance, and somebody to tell."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from freshd.core.events import Event
from freshd.ports import Clock
from freshd.tokens import Published, Shortfall


class Leases(Protocol):
    """What a channel needs of the engine (`desk.Desk`)."""

    def lease(self, account: str) -> Published | None:
        """The newest lease."""

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        """A lease with at least `min_ttl` seconds left, waiting at most `wait` seconds."""

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None, by: str = "") -> str:
        """A service refused the lease: "newer-lease", "healing", "ignored", "stale" or "unknown"."""

    def accepted(self, account: str, fingerprint: str, by: str) -> None:
        """A service took the lease."""

    def is_suspect(self, account: str, fingerprint: str) -> bool:
        """Whether the lease was refused, and nothing has spoken for it since."""

    async def changed(self, account: str) -> None:
        """Return at the next change of how the account stands."""


@dataclass(frozen=True, slots=True)
class Links:
    """What a channel needs of the daemon.  `draw`: chance, from 0 to 1."""

    clock: Clock
    tell: Callable[[Event], None]
    leases: Leases
    draw: Callable[[], float] = random.random
