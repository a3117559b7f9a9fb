"""The nouns everybody shares: secrets, moments, grants, leases, records.

Rules
-----
* All values are frozen.  A change is a new value with a higher generation.
* A `Secret` never shows itself: its `repr` is a tag that only means something inside this process.
* Expiry is told as (moment of *sending*, seconds of life), never as a bare wall-clock date, so that a step of
  the wall clock can neither lengthen a life nor end one (see `core.age`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

FINGERPRINT_BYTES: Final = 12
"""How much of a SHA-256 names an access token: 96 bits, no collision among a lifetime's tokens (design 6)."""


class Secret:
    """A value that must not be seen.  `reveal()` is the only way out, so every use can be found by name.

    Equality takes constant time.  The `repr` is a tag: two equal secrets look alike within one process, and 32 bits
    of a hash over the value and a place in memory, which the kernel draws at every start, tell nothing outside of it.
    It cannot be copied into something else: pickle, `copy`, `dataclasses.asdict`, json and `vars` raise TypeError.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plain value.  Callers: vault and providers for grants, the socket for leases."""
        return self._value

    def __repr__(self) -> str:
        tag = hashlib.blake2b(self._bytes, key=f"{id(_PLACE):x}".encode(), digest_size=4)
        return f"Secret(#{tag.hexdigest()})"

    __str__ = __repr__

    @property
    def _bytes(self) -> bytes:
        return self._value.encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        msg = "a Secret is not pickled"
        raise TypeError(msg)

    def __getstate__(self) -> object:
        msg = "a Secret is not pickled"
        raise TypeError(msg)


_PLACE: Final = object()
EMPTY: Final[Mapping[str, Secret]] = MappingProxyType({})


def fingerprint(token: str) -> str:
    """The public name of an access token: truncated SHA-256 in hex (design 6).  Not for low-entropy values."""
    return hashlib.sha256(token.encode()).hexdigest()[: 2 * FINGERPRINT_BYTES]


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks.

    wall     seconds since 1970, UTC, as the machine believes it; may be wrong and may step
    boot     seconds since this boot, suspend included (CLOCK_BOOTTIME); never steps
    boot_id  the kernel's random id of this boot
    """

    wall: float
    boot: float
    boot_id: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What a grant belongs to.  A grant is never sent to another origin, client or kind (design 6)."""

    kind: str
    origin: str
    client_id: str
    subject: str | None = None

    def fits(self, other: Binding) -> bool:
        """Whether a grant bound to `self` may be used under `other`; an unknown subject fits any."""
        same = (self.kind, self.origin, self.client_id) == (other.kind, other.origin, other.client_id)
        return same and (None in (self.subject, other.subject) or self.subject == other.subject)


@dataclass(frozen=True, slots=True)
class Grant:
    """The renewable secret material of one account.

    lineage       random id of the enrolment it stems from; survives rotations
    secrets       by name: refresh_token, ticket, private_key …
    obtained      when the request that yielded it was sent
    valid_for     seconds of life counted from `obtained`, None where the service does not say
    enrolled      when the lineage began, for an absolute end of life
    absolute_for  seconds of life counted from `enrolled`
    """

    lineage: str
    binding: Binding
    secrets: Mapping[str, Secret]
    obtained: Moment
    enrolled: Moment
    valid_for: float | None = None
    absolute_for: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The short-lived thing a reader gets.  Immutable; a newer one replaces it whole.

    token       what is fingerprinted and refused by name (the access token)
    fields      everything else a reader needs, already public to it: token_type, scope …
    sent        when the request that yielded it was sent: the life counts from here
    valid_for   seconds
    """

    account: str
    generation: int
    token: Secret
    sent: Moment
    valid_for: float
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    more_secrets: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def fingerprint(self) -> str:
        """The lease's public name."""
        return fingerprint(self.token.reveal())


@dataclass(frozen=True, slots=True)
class Record:
    """What the vault keeps of one account.  Generation 0 without a grant: never enrolled.

    kin  the records of relatives that the account's provider asked for (`Provider.kin`), read under the family's lock
    """

    account: str
    generation: int = 0
    grant: Grant | None = None
    lease: Lease | None = None
    kin: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def lineage(self) -> str | None:
        """The lineage in force."""
        return None if self.grant is None else self.grant.lineage


@dataclass(frozen=True, slots=True)
class Change:
    """What one answered exchange changes in one record.  None keeps what was there; `drop` names secrets to forget."""

    account: str
    grant: Grant | None = None
    lease: Lease | None = None
    drop: frozenset[str] = frozenset()
    withheld: str | None = None
    """Why the answer must not be published (wrong identity): committed aside, never leased (design 4)."""
    adds: bool = False
    """Something besides what the account may be in doubt about, what is marked dead, or why it is withheld: all of that
    stands (I5)."""
    dead: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names of secrets that the service declared dead by the same word, with its code: kept, never presented again."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A call in doubt over which another one is made; in doubt again when that one ends without a new grant.

    sent  when its first call was sent; replays: how often its secret was presented again since
    """

    rung: str
    sent: Moment
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """The durable note written before a call that may spend (I2): all that reading its answer later needs.

    flight     random id of the attempt; events and answers carry it
    rung       which way of renewing was tried
    lineage    of the grant presented, None where none is
    generation of the record read before the call
    sent       when the call was about to leave
    material   generated secrets that the answer is useless without (PKCE verifier, candidate key)
    replays    how often this very secret had been presented in doubt before, this attempt included
    """

    flight: str
    account: str
    rung: str
    lineage: str | None
    generation: int
    sent: Moment
    material: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)
    replays: int = 0
    doubted: Moment | None = None
    """When the first call of this doubt was sent: what a grace period counts from.  None where `sent` is the first."""
    candidate: str | None = None
    """The new lineage an enrolment would found; adopted, never mixed with the old one, in one commit."""
    host: str = ""
    earlier: tuple[Earlier, ...] = ()
    """Doubts that this attempt is made over, oldest first: an enrolment or a lower rung settles them or leaves them."""

    @property
    def beneath(self) -> Intent | None:
        """The newest doubt that this attempt is made over, as an intent of its own; None where there is none."""
        if not self.earlier:
            return None
        *older, last = self.earlier
        return replace(
            self, rung=last.rung, sent=last.sent, replays=last.replays, doubted=None, candidate=None, material=EMPTY,
            earlier=tuple(older),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is kept of an account in memory outside vault and provider: the record without its secrets.

    held      names of the grant's secrets that may be presented
    dead      names of those that the service itself declared dead, with its code: kept, and never presented again
    paused    an operator's pause, which outlives the process
    settled   False while the OS keyring does not yet hold the newest grant (placement keyring)
    intent    left behind by an exchange that did not end, without its material
    escrowed  its reply was escrowed: the commit can be finished offline
    broken    why the record cannot be read under the right key; the family is parked, a copy is in quarantine
    withheld  why a committed answer is not published
    held_back why nothing is presented before an operator says so (the journal may be an old copy); leases are served
    """

    account: str
    generation: int = 0
    lineage: str | None = None
    binding: Binding | None = None
    held: frozenset[str] = frozenset()
    lease: Lease | None = None
    obtained: Moment | None = None
    valid_for: float | None = None
    enrolled: Moment | None = None
    absolute_for: float | None = None
    settled: bool = True
    intent: Intent | None = None
    escrowed: bool = False
    broken: str | None = None
    withheld: str | None = None
    held_back: str | None = None
    dead: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    paused: bool = False
