"""The nouns of the ledger: refresh tokens, access tokens, lineages, and the commits that connect them.

Plain records without rules and without I/O; ``grants`` holds the rules. ``now`` is wall time in seconds.
"""

import collections
import dataclasses
import hashlib
import secrets


def fingerprint(token: str) -> str:
    """Return the name under which a token may be logged and looked up: 64 bits of its SHA-256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def fresh(kind: str) -> str:
    """Return a new opaque token of 256 random bits; ``kind`` (``rt``, ``at``, ``ac``, ``dc``) is its visible prefix."""
    return f"{kind}-{secrets.token_urlsafe(32)}"


@dataclasses.dataclass(slots=True, kw_only=True)
class Delivery:
    """What became of the bytes of one answer; times are ``time.monotonic_ns()`` of this machine.

    ``complete``: the kernel took every byte of a whole HTTP message while the peer's end was open.
    ``carried``: that message holds the successor in a readable place. ``reason`` says why either is false.
    ``peer_open_*``: whether TCP was still fully established just before and just after writing (None: cannot be
    told). A peer that has closed only its sending half counts as gone.
    """

    write_started_ns: int | None = None
    write_done_ns: int | None = None
    write_failed: bool = False
    bytes_written: int = 0
    complete: bool = False
    carried: bool = False
    peer_open_before: bool | None = None
    peer_open_after: bool | None = None
    reason: str | None = None

    @property
    def reached(self) -> bool:
        """Whether a whole answer, good or spoiled, lies in the client's socket."""
        return self.complete and not self.write_failed

    @property
    def is_whole(self) -> bool:
        """Whether the client could have read its new secret from this answer."""
        return self.reached and self.carried


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Commit:
    """One irreversible change at the service: what was spent, what was issued, and how the answer fared.

    ``delivery`` is None while the answer is still to be written. ``escrowed``: it is vouched for
    that the client keeps it.
    """

    serial: int
    grant_type: str
    label: str
    lineage: str | None
    committed_at: float
    spent: str | None
    successor: str | None
    access: str
    received_ns: int | None = None
    committed_ns: int | None = None
    delivery: Delivery | None = None
    escrowed: bool = False

    @property
    def doubt(self) -> str | None:
        """Return why a client may be without the successor, or None once it is proven to hold it."""
        if self.delivery is None:
            return "in_flight"
        if not self.delivery.is_whole:
            return self.delivery.reason or "not_carried"
        return None if self.escrowed else "unconfirmed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """For whom tokens are issued; ``label`` is the name under which everything is counted."""

    client_id: str
    label: str
    subject: str = "user"
    scope: str = ""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class RefreshToken:
    """One refresh token; ``answers`` are the commits that spent it, ``born`` the one that issued it.

    ``expires_at`` None: it has no end of its own, the policy in force decides.
    """

    text: str = dataclasses.field(repr=False)
    lineage: "Lineage"
    issued_at: float
    fingerprint: str = dataclasses.field(init=False)
    born: Commit | None = None
    expires_at: float | None = None
    spent_at: float | None = None
    presented: bool = False
    answers: list[Commit] = dataclasses.field(default_factory=list)
    successors: list["RefreshToken"] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.text)

    @property
    def has_known_successor(self) -> bool:
        """Whether its holder provably has what replaced it."""
        confirmed = any(commit.doubt is None for commit in self.answers)
        return confirmed or any(successor.presented for successor in self.successors)

    def present(self) -> None:
        """Note that somebody showed it, which proves that the answer that carried it was read."""
        self.presented = True
        if self.born is not None:
            self.born.escrowed = True


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class AccessToken:
    """One access token; ``expires_at`` moves nearer when a rotation shortens its life."""

    text: str = dataclasses.field(repr=False)
    holder: Holder
    lineage: "Lineage | None"
    issued_at: float
    expires_at: float
    fingerprint: str = dataclasses.field(init=False)
    revoked: bool = False
    born: Commit | None = None

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.text)

    def is_alive(self, now: float) -> bool:
        """Whether a resource would accept it at ``now``."""
        killed = self.lineage is not None and self.lineage.killed_by is not None
        return not self.revoked and not killed and now < self.expires_at


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Lineage:
    """One authorisation through all its rotations; ``killed_by`` names what ended it."""

    id: str
    holder: Holder
    started_at: float
    used_at: float
    head: RefreshToken | None = None
    spent: collections.deque[RefreshToken] = dataclasses.field(default_factory=collections.deque)
    access: collections.deque[AccessToken] = dataclasses.field(default_factory=collections.deque)
    killed_at: float | None = None
    killed_by: str | None = None
