"""How a grant is written in the OS keyring, and recognised there.

Rules
-----
* One line of ASCII: mark, journal id, record id, generation, number of parts, digest, grant as base64.  The digest is
  keyed with the vault's key and bound to account, record and generation: an entry that is cut, mixed of two writes,
  somebody else's, or of an earlier life of the account does not count.
* Even generations are written to slot A, odd ones to B: a write never touches the entry it follows.
* Longer than the back end allows, the line is cut into parts.  Each part has a service name of its own, because
  Windows moves entries about when two share one.
* Must not: call a keyring.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshd.core.model import Grant
from freshd.errors import KeyringUnavailable
from freshd.vault import records
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.seal import Seal

MARK: Final = "freshd1"
SLOTS: Final = ("A", "B")
HEAD_FIELDS: Final = 5
"""Mark, journal id, record id, generation, number of parts: they stand in the first part, however short that is."""
PARTS_MOST: Final = 64
"""More parts than any grant has: bounds what a damaged head can make us ask for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose entry it is: journal, account, and the life of its record."""

    vault: str
    account: str
    rid: str

    def service(self, slot: str, part: int) -> str:
        """The service name of one part.  The record id is not in it: what is there must be seen to be judged."""
        return f"freshd {self.vault[:12]} {self.account} {slot}{part or ''}"


@dataclass(frozen=True, slots=True)
class Head:
    """What an entry's first part tells of it before it is proven."""

    vault: str
    rid: str
    generation: int
    parts: int


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that proved to be ours."""

    generation: int
    digest: str
    grant: Grant


def slot_of(generation: int) -> str:
    """The slot a generation rests in."""
    return SLOTS[generation % 2]


def written(seal: Seal, place: Place, generation: int, grant: Grant, longest: int | None) -> tuple[str, ...]:
    """The entry's parts.  Raises KeyringUnavailable where they are too many."""
    plain = to_bytes(grant)
    proof = records.digest(seal, place.account, place.rid, generation, plain)
    body = base64.b64encode(plain).decode("ascii")
    line = f"{MARK} {place.vault} {place.rid} {generation} %s {proof} {body}"
    size = longest or len(line)
    count = -(-len(line) // size)
    if count > PARTS_MOST:
        raise KeyringUnavailable(
            f"the grant of {place.account} is too long for this keyring: {count} entries",
            'set [vault] placement = "sealed"',
        )
    line %= f"{count:02d}"  # as long as the mark it replaces
    return tuple(line[at : at + size] for at in range(0, len(line), size))


def head(first: str) -> Head | None:
    """The head of an entry, None where the text is no entry of ours."""
    fields = first.split(" ", HEAD_FIELDS)
    if len(fields) <= HEAD_FIELDS or fields[0] != MARK or not (fields[3].isdecimal() and fields[4].isdecimal()):
        return None
    parts = int(fields[4])
    return Head(fields[1], fields[2], int(fields[3]), parts) if 1 <= parts <= PARTS_MOST else None


def found(seal: Seal, place: Place, parts: Sequence[str | None]) -> Found | None:
    """The grant in an entry's parts, None where it is not complete, not genuine or not of this record."""
    if any(part is None for part in parts):
        return None
    line = "".join(part for part in parts if part is not None)
    about = head(line)
    if about is None or (about.vault, about.rid) != (place.vault, place.rid) or about.parts != len(parts):
        return None
    *_, proof, body = line.split(" ")
    try:
        plain = base64.b64decode(body, validate=True)
        expected = records.digest(seal, place.account, place.rid, about.generation, plain)
        if not hmac.compare_digest(proof.encode(), expected.encode()):
            return None
        return Found(about.generation, expected, from_bytes(Grant, plain))
    except (binascii.Error, ValueError, CodecError):
        return None
