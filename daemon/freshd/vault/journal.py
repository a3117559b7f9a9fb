"""The journal's transactions: what each point of the exchange writes.  THE dangerous file of the vault.

Rules
-----
* Each function is one request of the writer: it runs inside a savepoint, on the writer's thread, and may run twice
  (a failed fsync leaves open whether the first time counted).  So each must come to the same end when repeated; the
  end of an attempt is known by its flight (`ended`).
* A stale writer loses: an intent must name generation and lineage as they stand, a commit the generation its intent
  named, an escrow the flight whose intent stands.  Bytes of a reply are kept even then (I3).
* Nothing is deleted but what its caller names (I7); what is displaced goes to quarantine.
* Nothing reaches SQL unsealed but names and numbers; pace and history (`ledger`) hold no secrets.
* Must not: know the OS keyring, files, threads or clocks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from freshd.core.model import Change, Intent, Secret, Standing
from freshd.core.outcome import Reply
from freshd.core.pace import Row as PaceRow
from freshd.errors import Stale, StoreError
from freshd.vault import fingerprints, holds, ledger, quarantine, records, rows, upkeep
from freshd.vault.change import about_or_none, blank, changed, dropped, is_another_lineage
from freshd.vault.records import About, Broken, IntentRow, Row
from freshd.vault.request import Refusal
from freshd.vault.seal import Seal


class Room(Protocol):
    """What an intent needs of the ballast."""

    @property
    def folder(self) -> Path:
        """Where room is needed."""

    def holds(self, flights: int) -> bool:
        """Whether there is room for the escrows of so many flights."""


class Journal:
    """The transactions, under one seal.  `keyring`: grants come to rest in the OS keyring; a move turns it."""

    def __init__(self, seal: Seal, room: Room, *, keyring: bool) -> None:
        self._seal = seal
        self._room = room
        self.keyring = keyring

    # -- reading -------------------------------------------------------------------------------------------

    def standing(self, db: sqlite3.Connection, account: str) -> Standing:
        """How the account stands; generation 0 where it is unknown."""
        row, intent = rows.find(db, account), rows.intent(db, account)
        standing = records.standing_of(self._seal, row, intent, keyring=self.keyring)
        return replace(standing, account=account)

    def standings(self, db: sqlite3.Connection) -> dict[str, Standing]:
        """Every account the journal knows."""
        names = db.execute("SELECT account FROM records UNION SELECT account FROM intents")
        told = {name: self.standing(db, name) for (name,) in names.fetchall()}
        for name in upkeep.paused(db):
            told[name] = replace(told.get(name, Standing(name)), paused=True)
        return told

    # -- point 3 -------------------------------------------------------------------------------------------

    def intend(self, db: sqlite3.Connection, intent: Intent, paces: Mapping[str, PaceRow], wall: float) -> IntentRow:
        """Write the intent, charge the pace, make sure of room for the escrow (I2)."""
        self._must_be_fresh(rows.find(db, intent.account), intent)
        (flights,) = db.execute("SELECT count(*) FROM intents WHERE account <> ?", (intent.account,)).fetchone()
        if not self._room.holds(flights + 1):
            raise StoreError(
                f"no room is left in {self._room.folder} to keep the answer of a refresh, so none is asked for",
                f"make room on its disk: df -h {self._room.folder}; freshd goes on by itself",
            )
        old = rows.intent(db, intent.account)
        if old is not None and (old.flight != intent.flight or old.escrow is not None):
            quarantine.keep_attempt(db, self._seal, old, "replaced by a later attempt", wall)
        new = records.intent_row(self._seal, intent)
        db.execute(
            "INSERT OR REPLACE INTO intents (account, flight, intent, escrow) VALUES (?,?,?,NULL)",
            (new.account, new.flight, new.intent),
        )
        ledger.charge(db, paces)
        return new

    def _must_be_fresh(self, row: Row | None, intent: Intent) -> None:
        generation = 0 if row is None else row.generation
        if generation != intent.generation:
            raise rows.stale(intent.account, intent.generation, generation)
        if row is None or intent.candidate is not None:
            return
        lineage = self._about(row).lineage
        if lineage != intent.lineage:
            raise Stale(f"another enrolment replaced the grant of {intent.account}", "nothing: it is read again")

    def _about(self, row: Row) -> About:
        try:
            return records.about_of(self._seal, row)
        except Broken as broken:
            raise StoreError(
                f"the record of {row.account} is damaged: {broken}", f"freshd enrol {row.account}"
            ) from None

    # -- point 5 -------------------------------------------------------------------------------------------

    def escrow(self, db: sqlite3.Connection, intent: Intent, reply: Reply, wall: float) -> bytes | Refusal:
        """Keep the reply with its intent; where that is gone, in quarantine."""
        blob = records.sealed_reply(self._seal, intent.account, intent.flight, reply)
        known = db.execute(
            "UPDATE intents SET escrow = ? WHERE account = ? AND flight = ?", (blob, intent.account, intent.flight)
        )
        if known.rowcount == 1:
            return blob
        orphan = replace(records.intent_row(self._seal, intent), escrow=blob)
        quarantine.keep_attempt(db, self._seal, orphan, "its intent was gone", wall)
        return Refusal(Stale(f"the attempt {intent.flight} on {intent.account} was replaced", "freshd explain"))

    # -- point 6 -------------------------------------------------------------------------------------------

    def commit(
        self, db: sqlite3.Connection, intent: Intent | None, account: str, changes: Sequence[Change], wall: float
    ) -> dict[str, str]:
        """One generation more of every record touched; intent and escrow are cleared with it.

        Returns the account and why its answer was withheld without touching the record, where that is so.
        """
        if intent is not None:
            self._must_stand(db, intent)
            self._clear(db, intent)
        for change in changes:
            if change.account != account and change.grant is not None and not change.adds:
                self._supersede(db, change.account, wall)
        told = [change for change in changes if not (change.adds and self._is_answered(db, change.account))]
        aside = [(change.account, change.withheld) for change in told if not self._apply(db, change, wall)]
        for change in told:
            if change.grant is not None and not change.adds and change.account not in dict(aside):
                holds.renewed(db, change.account, None if intent is None else intent.flight)
        if intent is not None and self._leaves_doubt(intent, told, dict(aside)):
            self._stand_again(db, intent)
        return {name: why or "" for name, why in aside}

    @staticmethod
    def _leaves_doubt(intent: Intent, told: Sequence[Change], aside: Mapping[str, object]) -> bool:
        """Whether the attempt says nothing of what it was made over: set aside, or only something beside."""
        return intent.account in aside or any(change.adds and change.account == intent.account for change in told)

    def keep_broken(self, db: sqlite3.Connection, account: str, why: str, wall: float) -> None:
        """Keep a copy of what does not open; the rows themselves stay too."""
        quarantine.keep_broken(db, account, (rows.find(db, account), rows.intent(db, account)), why, wall)

    def _is_answered(self, db: sqlite3.Connection, account: str) -> bool:
        """Whether an answer of the account's own waits to be finished: it is worth more than what a relative adds."""
        own = rows.intent(db, account)
        return own is not None and own.escrow is not None

    def _supersede(self, db: sqlite3.Connection, account: str, wall: float) -> None:
        """A relative's answer is newer than what this account's own attempt was about."""
        old = rows.intent(db, account)
        if old is not None:
            quarantine.keep_attempt(db, self._seal, old, "superseded by a relative's answer", wall)
            db.execute("DELETE FROM intents WHERE account = ?", (account,))

    def ended(self, db: sqlite3.Connection, intent: Intent | None) -> bool:
        """Whether the end of this attempt is in the journal already: it is being repeated after a failed fsync."""
        if intent is None:
            return False
        found = db.execute("SELECT flight FROM ended WHERE account = ?", (intent.account,)).fetchone()
        return found is not None and found[0] == intent.flight

    def _must_stand(self, db: sqlite3.Connection, intent: Intent) -> None:
        old = rows.intent(db, intent.account)
        if old is None or old.flight != intent.flight:
            raise Stale(f"the attempt {intent.flight} on {intent.account} was replaced", "freshd explain")
        row = rows.find(db, intent.account)
        generation = 0 if row is None else row.generation
        if generation != intent.generation:
            raise rows.stale(intent.account, intent.generation, generation)

    def _apply(self, db: sqlite3.Connection, change: Change, wall: float) -> bool:
        """Write one change; False where it was only set aside."""
        row = rows.find(db, change.account)
        about = about_or_none(self._seal, row)
        if change.withheld is not None:
            quarantine.keep_withheld(db, self._seal, change, wall)
            if about is not None and is_another_lineage(about, change):
                return False
            change = replace(change, lease=None)
        row, about = row or blank(change.account), about or About()
        dead = self._still_dead(db, about, change)
        self._remember(db, row, about, change)
        rows.write(db, changed(self._seal, row, about, change, dead))
        return True

    def _still_dead(self, db: sqlite3.Connection, about: About, change: Change) -> Mapping[str, str]:
        """What was declared dead and comes back as it was beside something else, and what is declared dead with it."""
        given = change.grant.secrets if change.adds and change.grant is not None else {}
        old = {
            name: code
            for name, code in about.dead.items()
            if name in given and fingerprints.knows(db, self._seal, change.account, given[name])
        }
        held = {} if change.grant is None else change.grant.secrets
        return {**old, **{name: code for name, code in change.dead.items() if name in held}}

    def _remember(self, db: sqlite3.Connection, row: Row, about: About, change: Change) -> None:
        """What comes into the record is known from now on; of an older journal's record also what it held."""
        if change.grant is None:
            return
        old = records.grant_of(self._seal, row) if fingerprints.is_new_here(db, row.account) else None
        if old is not None:
            fingerprints.remember(db, self._seal, row.account, old, is_first=True)
        is_first = about.lineage != change.grant.lineage
        fingerprints.remember(db, self._seal, row.account, change.grant, is_first=is_first)

    def knows(self, db: sqlite3.Connection, account: str, secret: Secret) -> bool:
        """Whether the account ever held it, as far as is remembered."""
        return fingerprints.knows(db, self._seal, account, secret)

    # -- other ends of an attempt --------------------------------------------------------------------------

    def close(
        self, db: sqlite3.Connection, intent: Intent, drop: frozenset[str], dead: Mapping[str, str], *, ends_lease: bool
    ) -> None:
        """Clear intent and escrow; forget the secrets named by `drop`, mark those that the service declared dead.

        `ends_lease`: the lease goes with them.  Only what is of the generation that the attempt was about is touched.
        In the same transaction the doubt that the attempt was made over stands again (I5).
        """
        row = rows.find(db, intent.account)
        if (drop or dead or ends_lease) and row is not None:
            about = self._about(row)
            if ends_lease or about.held & (drop | dead.keys()):
                if (row.generation, about.lineage) != (intent.generation, intent.lineage):
                    raise rows.stale(intent.account, intent.generation, row.generation)
                row, about = dropped(self._seal, row, about, drop)
                about = replace(about, dead={**about.dead, **dead})
                row = records.with_about(self._seal, row, about, row.generation)
                rows.write(db, replace(row, lease_blob=None) if ends_lease else row)
        self._clear(db, intent)
        self._stand_again(db, intent)

    def _stand_again(self, db: sqlite3.Connection, intent: Intent) -> None:
        if intent.beneath is not None:
            old = records.intent_row(self._seal, intent.beneath)
            db.execute(
                "INSERT OR IGNORE INTO intents (account, flight, intent, escrow) VALUES (?,?,?,NULL)",
                (old.account, old.flight, old.intent),
            )

    def write_behind(self, db: sqlite3.Connection, change: Change) -> None:
        """Store a lease that cost nothing.  The generation stays: a flight in the air must not find itself stale."""
        row = rows.find(db, change.account)
        if row is None:
            row = records.with_about(self._seal, blank(change.account), About(), 0)
        if change.lease is not None:
            row = records.with_lease(self._seal, row, change.lease, row.generation)
        rows.write(db, row)

    @staticmethod
    def _clear(db: sqlite3.Connection, intent: Intent) -> None:
        db.execute("DELETE FROM intents WHERE account = ? AND flight = ?", (intent.account, intent.flight))
        db.execute("INSERT OR REPLACE INTO ended VALUES (?, ?)", (intent.account, intent.flight))
