"""What one account can be; with `core.happenings` and `core.effects` the types of `core.lifecycle`.

Rules
-----
* Time is never a state: freshness is computed from `until`, a boot-time second fixed when a lease was obtained.
* `paused`, `retired` and unsettled are flags beside the phase, not phases.
* What outlives the process stands in `standing`; all else begins anew with the next `Booted`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Contract
from freshd.core.ladder import Ladder
from freshd.core.model import Binding, Earlier, Lease, Moment, Standing
from freshd.core.outcome import UNTRIED, Remedy, Tried
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
    """Why nothing is tried.  `until`: boot-time second at which it is tried again, None without a date.

    detail  what the provider's table says of the code, for people
    """

    code: str
    remedy: Remedy
    advice: str
    until: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What one enrolment came to.

    outcome  "ok", or why not: a code, or the name of an ending
    brought  the refusal brought what the next step needs
    excuse   why it could not be sent, and what helps
    """

    attempt: int
    outcome: str
    brought: bool = False
    excuse: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One account at one instant.

    attempt     number of the newest flight; in the air while the phase is SPENDING or UNSAVED
    resting     the phase to return to when a flight changed nothing
    booted      the vault has told how the account stands; nothing flies before
    rung        the rung in the air, or the last one that was
    next_rung   the rung to be taken next while CLIMBING
    until       boot-time second at which the lease ends; `unproven` where the clock could not be trusted
    lagging     the OS keyring could not take the newest grant yet
    lag_told    seconds that the lease was good for when that was last said; None where it has not been said
    alone       grants committed meanwhile, which rest in the journal alone
    kin_held    "ACCOUNT/NAME" of every secret that relatives hold
    helpless    relatives that cannot help just now, with the reason
    asked       a relative was asked to renew; nothing is sent until it has
    unhelped    renewals of that relative in a row that brought us nothing; `ask_from`: boot-time second before which
                it is not asked again
    climbs      rungs refused since the last lease
    tried       which refusal was given further tries before its remedy applies, and how many
    refused_by  who said last that the lease was refused: "" a reader, else the login that freshd itself holds
    shared      the service whose refusal this account shares with others, and the boot-time second until which that is
                taken for one cause (`shared_until`)
    resets      refusals in a row that made us forget what the lease was made of
    not_before  boot-time second before which nothing is tried; `barred`: only that rung, None: any
    fresh       the lease came out of a heal and nobody has renewed since by schedule
    refused     such fresh leases refused in a row
    barren      answers in a row without a usable lease
    failures    attempts in a row that came to nothing
    enrolled    what the newest enrolment came to
    short_since since when readers have been without a lease, and whether that was told (`overdue`)
    grant_until, grant_life, warned  boot-time second at which the grant dies unused, its whole life, last announcement
    final_until, final_life, final_warned  the same of the end that no renewal puts off
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
    lag_told: float | None = None
    alone: int = 0
    grant_until: float | None = None
    grant_life: float | None = None
    warned: float | None = None
    short_since: float | None = None
    overdue: bool = False
    final_until: float | None = None
    final_life: float | None = None
    final_warned: float | None = None
    not_before: float = 0.0
    barred: str | None = None
    want: Want = Want.NOTHING
    suspect: str | None = None
    fresh: bool = False
    refused: int = 0
    barren: int = 0
    failures: int = 0
    kin_held: frozenset[str] = frozenset()
    helpless: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    asked: bool = False
    unhelped: int = 0
    ask_from: float = 0.0
    climbs: int = 0
    resets: int = 0
    tried: Tried = UNTRIED
    refused_by: str = ""
    shared: str | None = None
    shared_until: float = 0.0
    doubt: Doubt | None = None
    parked: Parked | None = None
    paused: bool = False
    retired: bool = False
    last_outcome: str | None = None
    enrolled: Enrolled | None = None
    refreshes: int = 0
    heals: int = 0

    @property
    def lease(self) -> Lease | None:
        """The newest lease."""
        return self.standing.lease

    @property
    def held(self) -> frozenset[str]:
        """Names of all secrets that may be presented, those of relatives among them."""
        return self.standing.held | self.kin_held
