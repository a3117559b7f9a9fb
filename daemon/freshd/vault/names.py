"""The names of keys: what the journal says of its sealing keys, in the clear.

Rules
-----
* One row beside "check", written whole, so that a rotation stands at one of its steps and never between two.
* A name tells nothing of the key: its id, its check value, and the name of its custodian.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freshd.errors import StoreError
from freshd.vault.codec import CodecError, from_bytes, to_bytes

NAMES: Final = "keys"


@dataclass(frozen=True, slots=True)
class Named:
    """A key as it is named in the clear: its id in hex, what proves it, and who keeps it."""

    id: str
    check: str
    custodian: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the journal says of its keys, beside the check value of the one in force.

    id         of the key in force, in hex; empty in a journal that never had another
    custodian  who keeps it; empty where an older freshd did not write it down
    is_placed  whether it lies in its usual entry there
    shelf      the keyring in which grants rest or rested; empty where none do
    next       the key that is to follow
    in_use     whether values may be sealed with that already
    kept       earlier keys that something which does not open still names
    old        keys that nothing names, to be let go of where they are kept
    digests    the digest key, sealed; None until the first rotation
    """

    id: str = ""
    custodian: str = ""
    is_placed: bool = True
    shelf: str = ""
    next: Named | None = None
    in_use: bool = False
    kept: tuple[Named, ...] = ()
    old: tuple[Named, ...] = ()
    digests: bytes | None = None

    @property
    def is_open(self) -> bool:
        """Whether a rotation has not come to its end."""
        return self.next is not None or bool(self.old) or not self.is_placed


def named_in(meta: Mapping[str, str]) -> Names:
    """The journal's row about keys; raises StoreError where it cannot be read."""
    try:
        return from_bytes(Names, meta[NAMES].encode()) if NAMES in meta else Names()
    except CodecError:
        raise StoreError(
            "what the journal says of its keys is damaged", "bring the journal back from a backup: freshd vault restore"
        ) from None


def write(db: sqlite3.Connection, names: Names) -> None:
    """Put it in the place of what stood there."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (NAMES, to_bytes(names).decode("ascii")))


def read(db: sqlite3.Connection) -> Names:
    """As it stands.  Raises StoreError."""
    return named_in(dict(db.execute("SELECT name, value FROM meta WHERE name = ?", (NAMES,)).fetchall()))
