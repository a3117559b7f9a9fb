"""What an account ever held, as keyed fingerprints: a secret that comes back from elsewhere is known again (I5).

Rules
-----
* Written in the transaction that brings the secret into the record; there is no instant at which one is held unknown.
* A fingerprint tells nothing without the vault's key (`Seal.digest`).
* Bounded per account: the newest of each sort, first secrets of lineages apart from those that came by rotation.  For
  what another program still has is what was once imported, however many rotations ago.
* A journal of version 1 knew none: what such a record held is taken in when it is first replaced, as far as it rests in
  the journal.
* Each function runs inside a transaction that somebody else began; none ends one.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from freshd.core.model import Grant, Secret
from freshd.vault.seal import Seal

MOST: Final = 512
"""Of each sort: about a month of rotations every hour and a half."""


def remember(db: sqlite3.Connection, seal: Seal, account: str, grant: Grant, *, is_first: bool) -> None:
    """Take in every secret of a grant.  `is_first`: it begins a lineage."""
    (last,) = db.execute("SELECT max(seq) FROM known WHERE account = ?", (account,)).fetchone()
    seq = (last or 0) + 1
    db.executemany(
        "INSERT OR IGNORE INTO known (account, fingerprint, seq, is_first) VALUES (?, ?, ?, ?)",
        [(account, _name(seal, account, secret), seq, int(is_first)) for secret in grant.secrets.values()],
    )
    db.execute(
        "DELETE FROM known WHERE account = ? AND is_first = ? AND fingerprint NOT IN"
        " (SELECT fingerprint FROM known WHERE account = ? AND is_first = ? ORDER BY seq DESC LIMIT ?)",
        (account, int(is_first), account, int(is_first), MOST),
    )


def is_new_here(db: sqlite3.Connection, account: str) -> bool:
    """Whether nothing of the account was ever taken in."""
    return db.execute("SELECT 1 FROM known WHERE account = ? LIMIT 1", (account,)).fetchone() is None


def knows(db: sqlite3.Connection, seal: Seal, account: str, secret: Secret) -> bool:
    """Whether the account ever held this secret, as far as is remembered."""
    name = _name(seal, account, secret)
    found = db.execute("SELECT 1 FROM known WHERE account = ? AND fingerprint = ?", (account, name)).fetchone()
    return found is not None


def _name(seal: Seal, account: str, secret: Secret) -> str:
    return seal.digest(secret.reveal().encode("utf-8", "surrogatepass"), "held", account)
