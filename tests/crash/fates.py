"""What became of a killed exchange: decided by what server and journal hold, by arithmetic, without knowing the plan.

Counting
-----
Every answer that rotates adds one commit to the server's ledger and, once it is committed here, one generation to the
journal.  `unsaved` is the difference of the two since a quiet moment before the kill: an answer that the journal has
not taken in.  One account has one exchange in the air, so it is 0 or 1; anything else is ODD and counts against us.

Rules
-----
* The journal is the copy taken after the kill and before the restart; the server is asked once it is quiet.
* `lives` is proven by the server too: the restarted daemon has rotated once more and kept it.
* An account that heals (a broker, whose codes can be asked for anew) loses answers and never itself.
* No fate is ever replaced by a better one: what does not fit is ODD.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Fate(enum.Enum):
    """The classes of the kill table; the value is what the table shows."""

    RECOVERED = "recovered"
    IDLE = "recovered, nothing was in the air"
    NEVER_COMMITTED = "request never committed by the service"
    NEVER_ARRIVED = "committed, the answer never reached our socket"
    OURS = "answer reached our socket, not yet escrowed"
    HEALED = "answer lost; the account asked for another by itself"
    LOST_AFTER_ESCROW = "lost after escrow"
    LOST_UNSENT = "never committed, and lost"
    NOT_HEALED = "answer lost, and not healed"
    ODD = "evidence does not fit"


FORBIDDEN = frozenset({Fate.LOST_AFTER_ESCROW, Fate.LOST_UNSENT, Fate.NOT_HEALED, Fate.ODD})
"""Any of these is a defect."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A rotation at the service, with fingerprints and moments.

    operation   what was asked for, where an account asks for several things
    arrives_ns  before this moment nothing of the answer can have been in the client's socket
    arrived_ns  by then all of it may have been there; None where it certainly never was
    """

    spent: str | None
    successor: str | None
    received_ns: int
    committed_ns: int
    arrives_ns: int
    arrived_ns: int | None
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal holds of the account."""

    generation: int
    intent: bool
    escrow: bool


@dataclass(frozen=True, slots=True)
class Left:
    """What a kill left.  saved: how many of the commits, oldest first, the journal holds, one in escrow included."""

    commits: tuple[Commit, ...]
    saved: int
    kept: Kept

    @property
    def is_open(self) -> bool:
        """Whether something was promised and no answer is there."""
        return self.kept.intent and not self.kept.escrow


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a fate is told from.

    before_*    at the quiet moment before the kill
    commits     all of the account's rotations until the server was quiet again, oldest first
    last_point  the newest point passed; None where the victim ran no exchange at all
    in_air      the kill came at a point or between two, not after the last one of an exchange
    heals       a lost answer is no lost account
    restored    what the journal held was in the daemon's hands again; None where only `lives` tells
    spends      whether the exchange may use something up; else only its lease can be missing, and is asked for anew
    agrees      every account that an answer concerns has it, or none
    """

    before_generation: int
    before_commits: int
    kept: Kept
    commits: tuple[Commit, ...]
    killed_ns: int
    last_point: str | None
    in_air: bool
    lives: bool
    heals: bool = False
    restored: bool | None = None
    agrees: bool = True
    spends: bool = True

    @property
    def unsaved(self) -> int:
        """Answers the service has given and the journal has not taken in."""
        at_server = len(self.commits) - self.before_commits
        return at_server - (self.kept.generation - self.before_generation)


def judge(evidence: Evidence) -> Fate:
    """The fate that the evidence proves."""
    if not evidence.agrees:
        return Fate.ODD
    if not evidence.spends:
        return _of_free(evidence)
    match evidence.unsaved:
        case 0:
            return _of_saved(evidence)
        case 1:
            return _of_unsaved(evidence)
    return Fate.ODD


def _of_free(evidence: Evidence) -> Fate:
    """Nothing was used up, so the account must live; its lease is there again, or another one was asked for."""
    if not evidence.lives or evidence.kept.intent or evidence.kept.generation != evidence.before_generation:
        return Fate.LOST_UNSENT
    if not evidence.in_air:
        return Fate.IDLE
    if len(evidence.commits) == evidence.before_commits:
        return Fate.NEVER_COMMITTED
    return Fate.RECOVERED if evidence.restored else Fate.HEALED


def _of_unsaved(evidence: Evidence) -> Fate:
    if not evidence.kept.intent:
        return Fate.ODD
    if evidence.kept.escrow:
        return Fate.RECOVERED if _is_whole(evidence) else Fate.LOST_AFTER_ESCROW
    if evidence.restored is False:
        return Fate.LOST_AFTER_ESCROW
    if evidence.heals:
        return Fate.HEALED if evidence.lives else Fate.NOT_HEALED
    if evidence.lives:
        return Fate.ODD
    answer = evidence.commits[-1]
    may_have_arrived = answer.arrived_ns is not None and answer.arrives_ns <= evidence.killed_ns
    return Fate.OURS if may_have_arrived or evidence.last_point == "4" else Fate.NEVER_ARRIVED


def _of_saved(evidence: Evidence) -> Fate:
    if evidence.restored is False:
        return Fate.LOST_AFTER_ESCROW
    if evidence.kept.intent or evidence.last_point in ("1", "2"):
        return Fate.NEVER_COMMITTED if evidence.lives else Fate.LOST_UNSENT
    if not evidence.lives:
        return Fate.LOST_AFTER_ESCROW
    return Fate.RECOVERED if evidence.in_air else Fate.IDLE


def _is_whole(evidence: Evidence) -> bool:
    return evidence.lives and evidence.restored is not False
