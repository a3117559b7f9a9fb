"""What is held back, over restarts: accounts whose secrets may be spent because the journal is an old or copied one.

Rules
-----
* A hold stands beside the record, in the clear: an account, and the attempt that was open when it was put there.
* It ends by an operator's decision, by a grant that came after it, or with the record.  A grant that comes out of an
  answer as old as the journal ends nothing: what that answer brought may be spent as well.
* Until a grant came that is later than the journal, the present one is marked as dated, decision or not: what a keyring
  has of later is later than it (`claims`).  No clock is asked.
* Beside the holds stands why they were made, and which evidence: the same evidence makes none a second time.
* `branch` is drawn anew when holds are made.  Of two copies that both went on, each has its own.
* Each function is one request of the writer or the reader, as those of `journal`: it may run twice.
* Must not: judge whether a journal is old (`anchor`), or whose secrets can be presented again (the engine).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

WHY: Final = "held-back"
EVIDENCE: Final = "held-back-by"
BRANCH: Final = "branch"
MACHINE: Final = "machine"
RESTORED: Final = "backup "
"""How the evidence begins that a restore leaves."""
_PREFIX: Final = "held:"
_HELD: Final = f"substr(name, 1, {len(_PREFIX)}) = '{_PREFIX}'"
_DATED: Final = "dated:"


@dataclass(frozen=True, slots=True)
class Holds:
    """Everything that stands in the journal of this.

    why       None where nothing is held back
    accounts  those held back
    evidence  fingerprint of what the holds were made for; empty where there were never any
    branch    of the journal; empty until holds were made for the first time
    machine   mark of the machine that the journal belongs to; empty where none was known
    """

    why: str | None
    accounts: frozenset[str]
    evidence: str
    branch: str
    machine: str


@dataclass(frozen=True, slots=True)
class Stand:
    """What the holds mean for one account.

    is_branched   whether the journal was ever found to be an old or copied one
    is_held       whether nobody has decided about the account
    is_dated      whether its grant is as old as the journal was then
    is_under_way  whether an attempt that was begun since then has not ended
    """

    is_branched: bool
    is_held: bool
    is_dated: bool
    is_under_way: bool

    @property
    def is_ahead(self) -> bool:
        """Whether its grant came after holds were made, and so after everything that was elsewhere by then."""
        return self.is_branched and not self.is_dated


def read(db: sqlite3.Connection) -> Holds:
    """How it stands."""
    meta = _meta(db)
    accounts = frozenset(_accounts(db))
    why = meta.get(WHY, "it was an old copy") if accounts else None
    return Holds(why, accounts, meta.get(EVIDENCE, ""), meta.get(BRANCH, ""), meta.get(MACHINE, ""))


def hold(db: sqlite3.Connection, why: str, evidence: str) -> None:
    """Hold back every account that has a grant, or an attempt that did not end.  An earlier reason stays."""
    for account, flight in _at_stake(db).items():
        db.executemany(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            " WHERE excluded.value <> ''",
            [(_PREFIX + account, flight), (_DATED + account, flight)],
        )
    if not _meta(db).get(WHY) and _accounts(db):
        _write(db, WHY, why)
    _write(db, EVIDENCE, evidence)
    _write(db, BRANCH, secrets.token_hex(8))


def is_any_at_stake(db: sqlite3.Connection) -> bool:
    """Whether there is anything to hold back."""
    return bool(_at_stake(db))


def release(db: sqlite3.Connection, accounts: Collection[str]) -> bool:
    """Somebody decided about these accounts; whether any other is held back still."""
    db.executemany("DELETE FROM meta WHERE name = ?", [(_PREFIX + account,) for account in accounts])
    return _end(db)


def renewed(db: sqlite3.Connection, account: str, flight: str | None) -> None:
    """The account has a new grant, out of that attempt; None: out of none, a person brought it."""
    if flight is not None and _is_old(db, flight):
        return
    forget(db, account)


def forget(db: sqlite3.Connection, account: str) -> None:
    """Neither what the account was held back for is there any more, nor a grant that is as old."""
    db.execute("DELETE FROM meta WHERE name IN (?, ?)", (_PREFIX + account, _DATED + account))
    _end(db)


def settle_here(db: sqlite3.Connection, machine: str) -> None:
    """The journal belongs to this machine from now on."""
    if machine:
        _write(db, MACHINE, machine)


def is_held(db: sqlite3.Connection, account: str) -> bool:
    """Whether this account is held back."""
    return db.execute("SELECT 1 FROM meta WHERE name = ?", (_PREFIX + account,)).fetchone() is not None


def is_dated(db: sqlite3.Connection, account: str) -> bool:
    """Whether the account's grant is as old as the journal was when holds were made."""
    names = (_PREFIX + account, _DATED + account)
    return db.execute("SELECT 1 FROM meta WHERE name IN (?, ?)", names).fetchone() is not None


def stand(db: sqlite3.Connection, account: str) -> Stand:
    """How it stands for one account."""
    is_branched = bool(_meta(db).get(BRANCH))
    attempt = db.execute("SELECT flight FROM intents WHERE account = ?", (account,)).fetchone()
    is_under_way = is_branched and attempt is not None and not _is_old(db, attempt[0])
    return Stand(is_branched, is_held(db, account), is_dated(db, account), is_under_way)


def _at_stake(db: sqlite3.Connection) -> Mapping[str, str]:
    """Accounts with a grant or an open attempt, and the flight of that."""
    granted = db.execute("SELECT account FROM records WHERE grant_digest IS NOT NULL").fetchall()
    open_calls: Mapping[str, str] = dict(db.execute("SELECT account, flight FROM intents").fetchall())
    return {**{account: "" for (account,) in granted}, **open_calls}


def _end(db: sqlite3.Connection) -> bool:
    if _accounts(db):
        return True
    db.execute("DELETE FROM meta WHERE name = ?", (WHY,))
    db.execute("DELETE FROM meta WHERE name = ? AND value LIKE ?", (EVIDENCE, f"{RESTORED}%"))
    return False


def _is_old(db: sqlite3.Connection, flight: str) -> bool:
    """Whether that attempt was open when holds were made."""
    either = f"({_HELD} OR substr(name, 1, {len(_DATED)}) = '{_DATED}')"
    found = db.execute(f"SELECT 1 FROM meta WHERE {either} AND value = ?", (flight,)).fetchone()  # noqa: S608
    return found is not None


def _accounts(db: sqlite3.Connection) -> list[str]:
    held = db.execute(f"SELECT substr(name, {len(_PREFIX) + 1}) FROM meta WHERE {_HELD}")  # noqa: S608 - constants
    return [account for (account,) in held]


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    names = (WHY, EVIDENCE, BRANCH, MACHINE)
    return dict(db.execute("SELECT name, value FROM meta WHERE name IN (?, ?, ?, ?)", names).fetchall())


def _write(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
