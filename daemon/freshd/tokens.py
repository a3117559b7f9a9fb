"""What readers and operators ask of the engine, and what they are told: the port `Tokens`, and its few answers.

Leases as published, the reasons why there is none good enough, and how an account stands.  No other secret than a
lease's token is in any of them (I8, I12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from freshd.core.model import Lease


@dataclass(frozen=True, slots=True)
class Published:
    """A lease as readers see it.

    until      boot-time second at which its life ends on this machine
    expires_at wall-clock second of the same instant, as known at publication
    least_left seconds below which it is renewed first where somebody asks for it
    """

    lease: Lease
    until: float
    expires_at: float
    fingerprint: str
    least_left: float = 0.0


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why there is no lease good enough.  `kind` is the problem document's type."""

    kind: str
    detail: str
    remedy: str
    status: int
    retry_after: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """One account as an operator sees it.  No secrets; moments as wall-clock seconds; None: not known.

    renewable  "yes", "no" or "unknown"
    """

    account: str
    kind: str
    phase: str
    generation: int
    usable_until: float | None
    renewable: str
    reason: str | None
    remedy: str | None
    deadline: float | None
    next_refresh_at: float | None
    last_outcome: str | None
    fingerprint: str | None
    paused: bool
    retired: bool
    settled: bool
    doubtful_since: float | None
    refreshes: int
    heals: int
    more: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class Tokens(Protocol):
    """What the socket needs of the supervisor.  `lease` is a dictionary look-up: no lock, no await (I9, I11)."""

    def lease(self, account: str) -> Published | None:
        """The newest lease, expired or not; None where there never was one."""

    def knows(self, account: str) -> bool:
        """Whether the account is configured."""

    def locked(self) -> bool:
        """Whether the vault has no sealing key yet."""

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        """A lease with at least `min_ttl` seconds left, waiting at most `wait` seconds."""

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None) -> str:
        """A consumer's refusal: "newer-lease", "healing", "ignored", "stale" or "unknown"."""

    def health(self, account: str) -> Health:
        """How one account stands.  KeyError where unknown."""

    def accounts(self) -> Sequence[str]:
        """Every configured account, sorted."""

    async def operate(self, verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """One of the verbs in `api.routes`, or history.  Raises FreshdError."""

    async def tend(self, verb: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """One of the vault's verbs in `api.routes`.  Raises FreshdError."""
