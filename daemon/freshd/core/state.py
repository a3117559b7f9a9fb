"""What one account can be, what can happen to it, and what may be done about it: the types of `core.lifecycle`.

Rules
-----
* Time is never a state: freshness is computed from `until`, a boot-time second fixed when a lease was obtained.
* `paused`, `retired` and unsettled are flags beside the phase, not phases.
* An event carries the attempt it belongs to; one of another attempt is late and changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Contract
from freshd.core.events import Event
from freshd.core.ladder import Ladder
from freshd.core.model import EMPTY, Binding, Earlier, Lease, Moment, Secret, Standing
from freshd.core.outcome import Rejected, Remedy
from freshd.core.settings import Margins

REFUSED_IN_A_ROW: Final = 2
"""Two fresh leases refused in a row: healing does not help, a person must look (design 5)."""


class Phase(enum.Enum):
    """Where an account stands."""

    VACANT = "vacant"
    LIVE = "live"
    SPENDING = "spending"
    UNSAVED = "unsaved"
    DOUBTFUL = "doubtful"
    CLIMBING = "climbing"
    PARKED = "parked"


class Want(enum.IntEnum):
    """Why a renewal is wanted before its time; a higher one wins."""

    NOTHING = 0
    DEMAND = 1
    HEAL = 2
    FORCE = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What does not change from event to event.  `draw`: this account's share of the jitter, 0 ≤ draw < 1."""

    account: str
    ladder: Ladder
    contract: Contract
    margins: Margins
    binding: Binding
    draw: float = 0.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call that may have spent the grant and whose answer nobody has.

    replays  how often the same secret was presented again since
    risky    how many of those could have done harm: neither in grace, nor reusable, nor proven unspent
    allowed  how many of those there may be
    harmless the replay in the air, or the last one, could do no harm
    spent    True: proven spent; False: proven unspent; None: not known
    earlier  doubts of upper rungs, oldest first, that stand again when this one is settled without a new grant
    told     it has been announced
    last     boot-time second at which the newest attempt was found lost; None after a restart
    """

    rung: str
    sent: Moment
    why: str
    replays: int = 0
    risky: int = 0
    allowed: int = 1
    harmless: bool = False
    spent: bool | None = None
    earlier: tuple[Earlier, ...] = ()
    told: bool = False
    last: float | None = None

    @property
    def stack(self) -> tuple[Earlier, ...]:
        """It and those below it, oldest first: what an attempt that is made over it takes along."""
        return (*self.earlier, Earlier(self.rung, self.sent, self.replays))

    def lost_again(self, why: str, replays: int, now: Moment) -> Doubt:
        """One more attempt came to nothing; `replays`: as counted in the journal."""
        more = int(replays > self.replays and not self.harmless)
        return replace(
            self, why=why, replays=max(replays, self.replays), risky=self.risky + more, spent=None, last=now.boot
        )


def doubt_of(stack: tuple[Earlier, ...], why: str) -> Doubt | None:
    """The newest doubt of a stack; None where there is none."""
    if not stack:
        return None
    last = stack[-1]
    return Doubt(last.rung, last.sent, why, last.replays, last.replays, earlier=stack[:-1])


@dataclass(frozen=True, slots=True)
class Parked:
    """Why nothing is tried.  `until`: boot-time second at which it is tried again, None without a date."""

    code: str
    remedy: Remedy
    advice: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One account at one instant.

    attempt     number of the newest flight; in the air while the phase is SPENDING or UNSAVED
    resting     the phase to return to when a flight changed nothing
    booted      the vault has told how the account stands; nothing flies before
    rung        the rung in the air, or the last one that was
    next_rung   the rung to be taken next while CLIMBING
    until       boot-time second at which the lease ends; `unproven` where the clock could not be trusted
    lagging     the OS keyring could not take the newest grant yet, and that was told
    not_before  boot-time second before which nothing is tried
    fresh       the lease came out of a heal and nobody has renewed since by schedule
    refused     such fresh leases refused in a row
    barren      answers in a row without a usable lease
    failures    attempts in a row that came to nothing
    """

    phase: Phase
    standing: Standing
    attempt: int = 0
    resting: Phase = Phase.VACANT
    booted: bool = False
    rung: str | None = None
    next_rung: str | None = None
    enrolling: bool = False
    until: float | None = None
    unproven: bool = False
    lagging: bool = False
    grant_until: float | None = None
    grant_life: float | None = None
    warned: float | None = None
    not_before: float = 0.0
    want: Want = Want.NOTHING
    suspect: str | None = None
    fresh: bool = False
    refused: int = 0
    barren: int = 0
    failures: int = 0
    doubt: Doubt | None = None
    parked: Parked | None = None
    paused: bool = False
    retired: bool = False
    last_outcome: str | None = None
    refreshes: int = 0
    heals: int = 0

    @property
    def lease(self) -> Lease | None:
        """The newest lease."""
        return self.standing.lease


# -- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Booted:
    """The vault told how the account stands."""

    standing: Standing
    high_water: float


@dataclass(frozen=True, slots=True)
class Due:
    """The account's alarm rang, or the clock was found to have jumped."""


@dataclass(frozen=True, slots=True)
class HostBack:
    """The account's host answers again, as another account has found."""


@dataclass(frozen=True, slots=True)
class Demanded:
    """A reader needs a lease with at least `min_ttl` seconds left."""

    min_ttl: float


@dataclass(frozen=True, slots=True)
class Forced:
    """An operator wants a renewal now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A consumer says that a service refused this lease; `dead` is the provider's judgement of its words."""

    fingerprint: str
    dead: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """What a harmless call, made when `attempt` was the newest flight, said of the lease.  None: cannot tell."""

    fingerprint: str
    alive: bool | None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A person obtained something that founds a new lineage; it is exchanged once."""

    rung: str
    candidate: str
    material: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Committed:
    """The exchange ended well: durable and read back.  `notes`: what of the answer could not be used, by its name."""

    attempt: int
    standing: Standing
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service itself said no.  `standing`: after the intent was closed; None where nothing of it changed."""

    attempt: int
    rejected: Rejected
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Nobody knows what came of the call; the intent stays."""

    attempt: int
    why: str
    sent: Moment
    replays: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """Nothing left the machine."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """The pacer said not yet: `wait` seconds."""

    attempt: int
    wait: float


@dataclass(frozen=True, slots=True)
class Outdated:
    """The record was not what the flight had started from."""

    attempt: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Unable:
    """Our own side could not (vault locked, keyring away, disk full before the call); nothing was sent."""

    attempt: int
    type: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Broke:
    """A bug: an exception nobody expected.  `kind` is its class name."""

    attempt: int
    kind: str


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """Answered, and not durable yet."""

    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class Paused:
    """An operator wants no renewal for now."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """And now again."""


@dataclass(frozen=True, slots=True)
class Retired:
    """The account left the configuration; its record stays."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The account's configuration changed, or it came back."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The OS keyring holds the newest grant, or does not yet."""

    settled: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An operator has the account erased."""


Ending = Committed | Refusal | Doubted | Unsent | Held | Outdated | Unable | Broke
Happening = (
    Booted | Due | HostBack | Demanded | Forced | Refused | Probed | Enrolling | Ending | SaveFailed
    | Paused | Resumed | Retired | Reconfigured | Settled | Forgotten
)  # fmt: skip


# -- effects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fly:
    """Start the flight of this attempt.

    before   boot-time second after which its secret must not leave any more (the end of a grace period)
    earlier  doubts that it is made over
    """

    attempt: int
    rung: str
    replays: int = 0
    doubted: Moment | None = None
    before: float | None = None
    earlier: tuple[Earlier, ...] = ()
    candidate: str | None = None
    material: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Finish:
    """Finish, offline, the exchange whose reply rests in escrow."""

    attempt: int


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
class Tell:
    """Give an event to the outlets."""

    event: Event


Effect = Fly | Finish | Wake | Publish | Withdraw | Probe | SaveAgain | Tell
