"""One record as the journal's row, and back.

Rules
-----
* What `Standing` needs (`About`) is sealed apart from the grant, so that an account's standing is known without
  touching its renewable secrets, and without the OS keyring where they rest there.
* `About.held` is the truth about which secrets are kept: a grant read from anywhere is cut down to it.
* A row is opened only at its place: account, record id, generation, column.
* Must not: run SQL.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Standing
from freshd.core.outcome import Reply
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.seal import BadSeal, Seal

T = TypeVar("T")

COLUMNS = "account, rid, generation, about, grant_generation, grant_digest, grant_blob, lease_generation, lease_blob"


DOES_NOT_OPEN = "does not open under the sealing key"


class Broken(ValueError):
    """A row that does not open under the right key.  `column` says which part."""

    def __init__(self, column: str) -> None:
        super().__init__(f"{column} {DOES_NOT_OPEN}")


@dataclass(frozen=True, slots=True)
class About:
    """What is told of a grant without its secrets."""

    lineage: str | None = None
    binding: Binding | None = None
    held: frozenset[str] = frozenset()
    obtained: Moment | None = None
    valid_for: float | None = None
    enrolled: Moment | None = None
    absolute_for: float | None = None
    withheld: str | None = None
    dead: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def of(grant: Grant) -> About:
        """What there is to tell of this grant."""
        return About(
            lineage=grant.lineage,
            binding=grant.binding,
            held=frozenset(grant.secrets),
            obtained=grant.obtained,
            valid_for=grant.valid_for,
            enrolled=grant.enrolled,
            absolute_for=grant.absolute_for,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table `records`, in the order of its columns.

    rid               random id of this life of the record: after `forget` an account begins another
    grant_generation  at which the grant came; its parity names the keyring entry
    grant_digest      of the grant's bytes, None without a grant
    grant_blob        the sealed grant; None without one, and once it is settled in the OS keyring
    """

    account: str
    rid: str
    generation: int
    about: bytes
    grant_generation: int
    grant_digest: str | None
    grant_blob: bytes | None
    lease_generation: int
    lease_blob: bytes | None

    @property
    def rests_in_keyring(self) -> bool:
        """Whether the journal has let go of the grant."""
        return self.grant_digest is not None and self.grant_blob is None


def about_of(seal: Seal, row: Row) -> About:
    """Raises Broken."""
    return _open(seal, About, row.about, "about", row.account, row.rid, row.generation)


def grant_of(seal: Seal, row: Row) -> Grant | None:
    """The grant whose copy the journal holds, None where it holds none.  Raises Broken."""
    if row.grant_blob is None:
        return None
    return _open(seal, Grant, row.grant_blob, "grant", row.account, row.rid, row.grant_generation)


def lease_of(seal: Seal, row: Row) -> Lease | None:
    """Raises Broken."""
    if row.lease_blob is None:
        return None
    return _open(seal, Lease, row.lease_blob, "lease", row.account, row.rid, row.lease_generation)


def with_about(seal: Seal, row: Row, about: About, generation: int) -> Row:
    """The row at that generation, telling `about`."""
    place = ("about", row.account, row.rid, generation)
    return replace(row, generation=generation, about=seal.seal(to_bytes(about), *place))


def with_grant(seal: Seal, row: Row, grant: Grant, generation: int) -> Row:
    """The row with another grant, its copy in the journal."""
    plain = to_bytes(grant)
    return replace(
        row,
        grant_generation=generation,
        grant_digest=digest(seal, row.account, row.rid, generation, plain),
        grant_blob=seal.seal(plain, "grant", row.account, row.rid, generation),
    )


def with_lease(seal: Seal, row: Row, lease: Lease, generation: int) -> Row:
    """The row with another lease."""
    blob = seal.seal(to_bytes(lease), "lease", row.account, row.rid, generation)
    return replace(row, lease_generation=generation, lease_blob=blob)


def digest(seal: Seal, account: str, rid: str, generation: int, plain: bytes) -> str:
    """The keyed fingerprint by which a grant is known in the OS keyring."""
    return seal.digest(plain, "grant", account, rid, generation)


def without(grant: Grant, held: frozenset[str]) -> Grant:
    """The grant with the secrets still held, and no others."""
    if held >= grant.secrets.keys():
        return grant
    kept = {name: value for name, value in grant.secrets.items() if name in held}
    return replace(grant, secrets=MappingProxyType(kept))


def record_of(seal: Seal, row: Row, grant: Grant | None) -> Record:
    """The record, with the grant wherever it came from."""
    held = about_of(seal, row).held
    return Record(row.account, row.generation, None if grant is None else without(grant, held), lease_of(seal, row))


@dataclass(frozen=True, slots=True)
class IntentRow:
    """A line of the table `intents`."""

    account: str
    flight: str
    intent: bytes
    escrow: bytes | None


def intent_row(seal: Seal, intent: Intent) -> IntentRow:
    """An intent without an escrow yet."""
    blob = seal.seal(to_bytes(intent), "intent", intent.account, intent.flight)
    return IntentRow(intent.account, intent.flight, blob, None)


def intent_of(seal: Seal, row: IntentRow) -> Intent:
    """Raises Broken."""
    return _open(seal, Intent, row.intent, "intent", row.account, row.flight)


def sealed_reply(seal: Seal, account: str, flight: str, reply: Reply) -> bytes:
    """The escrow's bytes."""
    return seal.seal(to_bytes(reply), "escrow", account, flight)


def reply_of(seal: Seal, row: IntentRow) -> Reply | None:
    """Raises Broken."""
    return None if row.escrow is None else _open(seal, Reply, row.escrow, "escrow", row.account, row.flight)


def _open(seal: Seal, kind: type[T], blob: bytes, column: str, *place: str | int) -> T:
    try:
        return from_bytes(kind, seal.open(blob, column, *place))
    except (BadSeal, CodecError):
        raise Broken(column) from None


def standing_of(seal: Seal, row: Row | None, intent: IntentRow | None, *, keyring: bool) -> Standing:
    """What the engine is told of an account.  A part that does not open makes it broken, never absent."""
    account = row.account if row is not None else intent.account if intent is not None else ""
    standing = Standing(account)
    try:
        if row is not None:
            standing = _told(seal, row, keyring=keyring)
        if intent is not None:
            left = replace(intent_of(seal, intent), material=MappingProxyType({}))
            reply_of(seal, intent)
            standing = replace(standing, intent=left, escrowed=intent.escrow is not None)
    except Broken as broken:
        return replace(standing, generation=0 if row is None else row.generation, broken=str(broken))
    return standing


def _told(seal: Seal, row: Row, *, keyring: bool) -> Standing:
    about = about_of(seal, row)
    grant_of(seal, row)
    return Standing(
        account=row.account,
        generation=row.generation,
        lineage=about.lineage,
        binding=about.binding,
        held=about.held - about.dead.keys(),
        dead=about.dead,
        lease=lease_of(seal, row),
        obtained=about.obtained,
        valid_for=about.valid_for,
        enrolled=about.enrolled,
        absolute_for=about.absolute_for,
        settled=not (keyring and row.grant_blob is not None),
        withheld=about.withheld,
    )


def as_kept(parts: Mapping[str, Any]) -> str:
    """Column values as one line of text for quarantine: sealed bytes stay sealed, as base64."""
    plain = {
        name: {"base64": base64.b64encode(value).decode("ascii")} if isinstance(value, bytes) else value
        for name, value in parts.items()
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))
