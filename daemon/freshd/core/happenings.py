"""What can happen to an account: every event that `core.lifecycle` takes, in any phase.

Rules
-----
* A flight's ending carries the attempt it belongs to; one of another attempt is late and changes nothing.
* An event says what has become true, never what is to be done about it.
* None carries a grant's secret but `Enrolling`: what a person obtained, on its way to the one exchange that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from freshd.core.model import EMPTY, Moment, Secret, Standing
from freshd.core.outcome import Rejected, Tried


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
class Shared:
    """Others of the same service meet the same refusal: it is the service's until this boot-time second.

    host  None: not any more, for the service has answered one of them
    """

    host: str | None
    until: float


@dataclass(frozen=True, slots=True)
class Demanded:
    """A reader needs a lease with at least `min_ttl` seconds left."""

    min_ttl: float


@dataclass(frozen=True, slots=True)
class Forced:
    """An operator wants a renewal now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A consumer says that a service refused this lease; `dead` is the provider's judgement of its words.

    by  the login that freshd itself holds and that says so; "" for a reader
    """

    fingerprint: str
    dead: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A login that freshd itself holds was had with this lease: what the same login refused before is over."""

    fingerprint: str
    by: str = ""


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
    others: Mapping[str, Standing] = field(default_factory=lambda: MappingProxyType({}))
    """Relatives that the same answer brought something; the keeper tells them (`Relieved`)."""
    added: frozenset[str] = frozenset()
    """Those of them whom it brought something besides what they may wait for, or be in doubt about."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service itself said no.

    standing  after the intent was closed; None where nothing of it changed
    tried     what the exchange measured the refusal by; None: as the state says
    """

    attempt: int
    rejected: Rejected
    standing: Standing | None = None
    tried: Tried | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Nobody knows what came of the call; the intent stays."""

    attempt: int
    why: str
    sent: Moment
    replays: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """Nothing came of it and nothing was spent: nothing left the machine, or (`was_sent`) what left cost nothing."""

    attempt: int
    reason: str
    was_sent: bool = False


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
    """Answered, and not durable yet.  `remedy`: what the store itself advises."""

    attempt: int
    cause: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Relieved:
    """A relative's answer brought this account something new: it is durable and read back.

    adds  something besides: whatever it was parked for, in doubt about, or held back by, stands
    """

    standing: Standing
    adds: bool = False


@dataclass(frozen=True, slots=True)
class KinChanged:
    """How a relative stands.

    held      names of the secrets it holds
    helpless  why it cannot renew by itself just now; None where it can
    renewed   it has just renewed, and this account was not among those that got something
    """

    account: str
    held: frozenset[str]
    helpless: str | None
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Needed:
    """A relative cannot go on unless this account renews."""


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
    Booted | Due | HostBack | Shared | Demanded | Forced | Refused | Accepted | Probed | Enrolling | Ending
    | SaveFailed | Relieved | KinChanged | Needed | Paused | Resumed | Retired | Reconfigured | Settled | Forgotten
)  # fmt: skip
