"""What may be done about an account: the effects that `core.lifecycle` hands to the keeper, which performs them.

Rules
-----
* An effect is an order, complete in itself: whoever performs it decides nothing.
* `Fly` alone lets a grant's secret leave; `Finish` works offline, `Probe` shows a service its own lease.
* None forgets a grant's secret: `Withdraw` takes a lease from readers, no more (I7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from freshd.core.events import Event
from freshd.core.model import EMPTY, Earlier, Lease, Moment, Secret
from freshd.core.outcome import UNTRIED, Tried


@dataclass(frozen=True, slots=True)
class Fly:
    """Start the flight of this attempt.

    before   boot-time second after which its secret must not leave any more (the end of a grace period)
    earlier  doubts that it is made over
    tried    what a refusal is measured by
    """

    attempt: int
    rung: str
    replays: int = 0
    doubted: Moment | None = None
    before: float | None = None
    earlier: tuple[Earlier, ...] = ()
    candidate: str | None = None
    material: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)
    tried: Tried = UNTRIED


@dataclass(frozen=True, slots=True)
class Finish:
    """Finish, offline, the exchange whose reply rests in escrow."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Let a relative renew; it decides when, and what it sends."""

    relative: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Set the account's alarm to this boot-time second; None: no alarm."""

    at: float | None


@dataclass(frozen=True, slots=True)
class Publish:
    """Swap the lease that readers see."""

    lease: Lease
    until: float


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Readers see no lease of this account any more (forgotten)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Try the lease on a harmless call."""

    lease: Lease
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class SaveAgain:
    """Let the flight in the air try its write again."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A service refused this account in a way that others may share; `over`: it has answered the account since."""

    host: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Give an event to the outlets."""

    event: Event


Effect = Fly | Finish | Ask | Wake | Publish | Withdraw | Probe | SaveAgain | Compare | Tell
