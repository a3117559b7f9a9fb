"""What the control port tells of the token endpoint: the shapes that ledger.mjs writes.

Tokens appear as fingerprints only (`fingerprint`). Moments are on the clock of `time.monotonic_ns()`.
"""

import hashlib
from typing import Literal, TypedDict

Stage = Literal["received", "consumed", "rotated", "answered", "finished", "aborted"]
TokenState = Literal["live", "spent", "revoked", "unknown"]


class Call(TypedDict):
    """One request to the token endpoint; tokens are fingerprints. See ledger.mjs for the moments."""

    seq: int
    grant_type: str | None
    grant_id: str | None
    presented: str | None
    issued: str | None
    reuse: bool
    status: int | None
    error: str | None
    received_ns: int
    consumed_ns: int | None
    rotated_ns: int | None
    answered_ns: int | None
    finished_ns: int | None
    aborted_ns: int | None


class IssuedToken(TypedDict):
    """A refresh token the provider stored: `consumed_ns` is None while it may be presented."""

    fingerprint: str
    grant_id: str
    issued_ns: int
    consumed_ns: int | None
    presented: int


class Rotation(TypedDict):
    """A commit: `spent` was exchanged for `issued` by call `seq`."""

    seq: int
    spent: str
    issued: str
    consumed_ns: int
    rotated_ns: int


class Reuse(TypedDict):
    """A spent token presented again; `still_known` is False once the grant had been revoked."""

    seq: int
    fingerprint: str
    at_ns: int
    still_known: bool


class Grant(TypedDict):
    """A lineage of refresh tokens from its first to its end."""

    grant_id: str
    client_id: str
    account_id: str
    opened_ns: int
    live: str | None
    tokens: list[IssuedToken]
    rotations: list[Rotation]
    reuses: list[Reuse]
    revoked_ns: int | None
    revoked_because: Literal["reuse", "revocation", "control"] | None


class Counters(TypedDict):
    """Requests by path; those to the token endpoint by grant_type once answered, and all once received."""

    requests: dict[str, int]
    token_by_grant_type: dict[str, int]
    token_calls: int


def fingerprint(token: str) -> str:
    """The name of a token in the ledger."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
