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

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Final, Protocol

from freshd.core.model import Change, Intent, Lease, Secret, Standing
from freshd.core.outcome import Reply
from freshd.core.pace import Row as PaceRow
from freshd.errors import Stale, StoreError
from freshd.vault import fingerprints, ledger, records
from freshd.vault.codec import to_bytes
from freshd.vault.records import About, Broken, IntentRow, Row
from freshd.vault.seal import Seal
from freshd.vault.writer import Refusal

FIRST_REFUSAL: Final = 300
"""Statuses from here on are no success."""
_READ_ROW: Final = f"SELECT {records.COLUMNS} FROM records WHERE account = ?"  # noqa: S608 - a constant
_WRITE_ROW: Final = f"INSERT OR REPLACE INTO records ({records.COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"  # noqa: S608


class Room(Protocol):
    """What an intent needs of the ballast."""

    def holds(self, flights: int) -> bool:
        """Whether there is room for the escrows of so many flights."""


class Journal:
    """The transactions, under one seal.  `keyring`: grants come to rest in the OS keyring."""

    def __init__(self, seal: Seal, room: Room, *, keyring: bool) -> None:
        self._seal = seal
        self._room = room
        self._keyring = keyring

    # -- reading -------------------------------------------------------------------------------------------

    @staticmethod
    def row(db: sqlite3.Connection, account: str) -> Row | None:
        """The account's row as it stands."""
        found = db.execute(_READ_ROW, (account,)).fetchone()
        return None if found is None else Row(*found)

    @staticmethod
    def intent(db: sqlite3.Connection, account: str) -> IntentRow | None:
        """The account's intent, with its escrow."""
        found = db.execute(
            "SELECT account, flight, intent, escrow FROM intents WHERE account = ?", (account,)
        ).fetchone()
        return None if found is None else IntentRow(*found)

    def standing(self, db: sqlite3.Connection, account: str) -> Standing:
        """How the account stands; generation 0 where it is unknown."""
        row, intent = self.row(db, account), self.intent(db, account)
        standing = records.standing_of(self._seal, row, intent, keyring=self._keyring)
        return replace(standing, account=account)

    def standings(self, db: sqlite3.Connection) -> dict[str, Standing]:
        """Every account the journal knows."""
        names = db.execute("SELECT account FROM records UNION SELECT account FROM intents")
        told = {name: self.standing(db, name) for (name,) in names.fetchall()}
        for name in self.paused(db):
            told[name] = replace(told.get(name, Standing(name)), paused=True)
        return told

    # -- point 3 -------------------------------------------------------------------------------------------

    def intend(self, db: sqlite3.Connection, intent: Intent, rows: Mapping[str, PaceRow], wall: float) -> IntentRow:
        """Write the intent, charge the pace, make sure of room for the escrow (I2)."""
        self._must_be_fresh(self.row(db, intent.account), intent)
        (flights,) = db.execute("SELECT count(*) FROM intents WHERE account <> ?", (intent.account,)).fetchone()
        if not self._room.holds(flights + 1):
            raise StoreError(
                "no room is left on the disk to keep the answer of a refresh, so none is asked for",
                "make room on the disk of the state directory: df -h",
            )
        old = self.intent(db, intent.account)
        if old is not None and (old.flight != intent.flight or old.escrow is not None):
            self._set_aside(db, old, f"replaced by a later attempt{self._refusal(old)}", wall)
        new = records.intent_row(self._seal, intent)
        db.execute(
            "INSERT OR REPLACE INTO intents (account, flight, intent, escrow) VALUES (?,?,?,NULL)",
            (new.account, new.flight, new.intent),
        )
        ledger.charge(db, rows)
        return new

    def _must_be_fresh(self, row: Row | None, intent: Intent) -> None:
        generation = 0 if row is None else row.generation
        if generation != intent.generation:
            raise _stale(intent.account, intent.generation, generation)
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
        self._set_aside(db, orphan, "its intent was gone", wall)
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
            if change.account != account and not change.adds:
                self._supersede(db, change.account, wall)
        told = [change for change in changes if not (change.adds and self._is_answered(db, change.account))]
        aside = [(change.account, change.withheld) for change in told if not self._apply(db, change, wall)]
        if intent is not None and self._leaves_doubt(intent, told, dict(aside)):
            self._stand_again(db, intent)
        return {name: why or "" for name, why in aside}

    @staticmethod
    def _leaves_doubt(intent: Intent, told: Sequence[Change], aside: Mapping[str, object]) -> bool:
        """Whether the attempt says nothing of what it was made over: set aside, or only something beside."""
        return intent.account in aside or any(change.adds and change.account == intent.account for change in told)

    def _is_answered(self, db: sqlite3.Connection, account: str) -> bool:
        """Whether an answer of the account's own waits to be finished: it is worth more than what a relative adds."""
        own = self.intent(db, account)
        return own is not None and own.escrow is not None

    def _supersede(self, db: sqlite3.Connection, account: str, wall: float) -> None:
        """A relative's answer is newer than what this account's own attempt was about."""
        old = self.intent(db, account)
        if old is not None:
            self._set_aside(db, old, f"superseded by a relative's answer{self._refusal(old)}", wall)
            db.execute("DELETE FROM intents WHERE account = ?", (account,))

    def ended(self, db: sqlite3.Connection, intent: Intent | None) -> bool:
        """Whether the end of this attempt is in the journal already: it is being repeated after a failed fsync."""
        if intent is None:
            return False
        found = db.execute("SELECT flight FROM ended WHERE account = ?", (intent.account,)).fetchone()
        return found is not None and found[0] == intent.flight

    def _must_stand(self, db: sqlite3.Connection, intent: Intent) -> None:
        old = self.intent(db, intent.account)
        if old is None or old.flight != intent.flight:
            raise Stale(f"the attempt {intent.flight} on {intent.account} was replaced", "freshd explain")
        row = self.row(db, intent.account)
        generation = 0 if row is None else row.generation
        if generation != intent.generation:
            raise _stale(intent.account, intent.generation, generation)

    def _apply(self, db: sqlite3.Connection, change: Change, wall: float) -> bool:
        """Write one change; False where it was only set aside."""
        row = self.row(db, change.account)
        about = self._about_or_none(row)
        if change.withheld is not None:
            self._keep_withheld(db, change, wall)
            if about is not None and self._is_another_lineage(about, change):
                return False
            change = replace(change, lease=None)
        row, about = row or _blank(change.account), about or About()
        dead = self._still_dead(db, about, change)
        self._remember(db, row, about, change)
        _write(db, self._changed(row, about, change, dead))
        return True

    def _still_dead(self, db: sqlite3.Connection, about: About, change: Change) -> Mapping[str, str]:
        """What was declared dead and comes back as it was, beside something else."""
        given = change.grant.secrets if change.adds and change.grant is not None else {}
        return {
            name: code
            for name, code in about.dead.items()
            if name in given and fingerprints.knows(db, self._seal, change.account, given[name])
        }

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

    def _about_or_none(self, row: Row | None) -> About | None:
        """None without a record, and for a damaged one: its copy rests in quarantine since the start."""
        try:
            return None if row is None else records.about_of(self._seal, row)
        except Broken:
            return None

    @staticmethod
    def _is_another_lineage(about: About, change: Change) -> bool:
        """An enrolment by the wrong person must not displace a grant that still works."""
        return change.grant is not None and about.lineage not in (None, change.grant.lineage)

    def _changed(self, row: Row, about: About, change: Change, dead: Mapping[str, str]) -> Row:
        generation = row.generation + 1
        grant = change.grant
        if grant is not None:
            grant = records.without(grant, frozenset(grant.secrets) - change.drop)
            row = records.with_grant(self._seal, row, grant, generation)
            about = replace(About.of(grant), dead=dead)
        elif change.drop:
            row, about = self._dropped(row, about, change.drop)
        if change.lease is not None:
            row = records.with_lease(self._seal, row, _numbered(change.lease, generation), generation)
        return records.with_about(self._seal, row, replace(about, withheld=change.withheld), generation)

    def _dropped(self, row: Row, about: About, drop: frozenset[str]) -> tuple[Row, About]:
        """Forget named secrets: at once in the journal's copy, in the keyring's with the next one that settles."""
        about = replace(about, held=about.held - drop)
        grant = records.grant_of(self._seal, row)
        if grant is not None:
            kept = records.without(grant, about.held)
            row = records.with_grant(self._seal, row, kept, row.grant_generation)
        return row, about

    def _keep_withheld(self, db: sqlite3.Connection, change: Change, wall: float) -> None:
        sealed = self._seal.seal(to_bytes(change), "withheld", change.account)
        ledger.set_aside(db, change.account, f"withheld: {change.withheld}", records.as_kept({"change": sealed}), wall)

    # -- other ends of an attempt --------------------------------------------------------------------------

    def close(
        self, db: sqlite3.Connection, intent: Intent, drop: frozenset[str], dead: Mapping[str, str], *, ends_lease: bool
    ) -> None:
        """Clear intent and escrow; forget the secrets named by `drop`, mark those that the service declared dead.

        In the same transaction the doubt that the attempt was made over stands again (I5).
        """
        row = self.row(db, intent.account)
        if (drop or dead) and row is not None:
            about = self._about(row)
            if about.held & (drop | dead.keys()):
                if (row.generation, about.lineage) != (intent.generation, intent.lineage):
                    raise _stale(intent.account, intent.generation, row.generation)
                row, about = self._dropped(row, about, drop)
                about = replace(about, dead={**about.dead, **dead})
                row = records.with_about(self._seal, row, about, row.generation)
                _write(db, row)
        if ends_lease and row is not None:
            _write(db, replace(row, lease_blob=None))
        self._clear(db, intent)
        self._stand_again(db, intent)

    def _stand_again(self, db: sqlite3.Connection, intent: Intent) -> None:
        if intent.beneath is not None:
            old = records.intent_row(self._seal, intent.beneath)
            db.execute(
                "INSERT OR IGNORE INTO intents (account, flight, intent, escrow) VALUES (?,?,?,NULL)",
                (old.account, old.flight, old.intent),
            )

    @staticmethod
    def pause(db: sqlite3.Connection, account: str, *, paused: bool) -> None:
        """Remember an operator's pause; it stands beside the record, for an account may have none yet."""
        db.execute("DELETE FROM meta WHERE name = ?", (f"paused:{account}",))
        if paused:
            db.execute("INSERT INTO meta VALUES (?, 'yes')", (f"paused:{account}",))

    @staticmethod
    def paused(db: sqlite3.Connection) -> set[str]:
        """The accounts that an operator paused."""
        found = db.execute("SELECT substr(name, 8) FROM meta WHERE name LIKE 'paused:%'")
        return {account for (account,) in found}

    def write_behind(self, db: sqlite3.Connection, change: Change) -> None:
        """Store a lease that cost nothing.  The generation stays: a flight in the air must not find itself stale."""
        row = self.row(db, change.account)
        if row is None:
            row = records.with_about(self._seal, _blank(change.account), About(), 0)
        if change.lease is not None:
            row = records.with_lease(self._seal, row, change.lease, row.generation)
        _write(db, row)

    def forget(self, db: sqlite3.Connection, account: str, *, shelf: bool) -> str | None:
        """Erase the account here; the record id whose keyring entries are still to be erased, if any (I7).

        `shelf`: there is a keyring at hand, so entries of an earlier placement are looked for too.
        """
        row = self.row(db, account)
        self.pause(db, account, paused=False)
        for table in ("records", "intents", "ended", "history", "quarantine", "known"):
            db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - constants
        if row is None or not (shelf or row.rests_in_keyring):
            return None
        db.execute("INSERT OR REPLACE INTO erasing VALUES (?, ?)", (account, row.rid))
        return row.rid

    # -- settling ------------------------------------------------------------------------------------------

    @staticmethod
    def settled(db: sqlite3.Connection, row: Row) -> bool:
        """The keyring's entry was read back: let go of the journal's copy, unless a newer one has come."""
        done = db.execute(
            "UPDATE records SET grant_blob = NULL"
            " WHERE account = ? AND rid = ? AND grant_generation = ? AND grant_digest = ?",
            (row.account, row.rid, row.grant_generation, row.grant_digest),
        )
        return done.rowcount == 1

    def adopt(self, db: sqlite3.Connection, row: Row, about: About, generation: int, digest: str) -> Row:
        """The keyring holds a later grant than the journal, which must be an old copy: the later one wins."""
        present = self.row(db, row.account)
        if present is None or (present.rid, present.generation) != (row.rid, row.generation):
            raise _stale(row.account, row.generation, 0 if present is None else present.generation)
        new = replace(row, grant_generation=generation, grant_digest=digest, grant_blob=None)
        new = records.with_about(self._seal, new, about, max(generation, row.generation))
        _write(db, new)
        return new

    @staticmethod
    def erased(db: sqlite3.Connection, account: str, rid: str) -> None:
        """The keyring's entries of a forgotten record are gone."""
        db.execute("DELETE FROM erasing WHERE account = ? AND rid = ?", (account, rid))

    @staticmethod
    def erasing(db: sqlite3.Connection) -> list[tuple[str, str]]:
        """Forgotten records whose keyring entries are not erased yet: account and record id."""
        return [(account, rid) for account, rid in db.execute("SELECT account, rid FROM erasing")]

    # -- what is set aside ---------------------------------------------------------------------------------

    def quarantine_broken(self, db: sqlite3.Connection, account: str, why: str, wall: float) -> None:
        """Keep a copy of what does not open; the rows themselves stay too."""
        row, intent = self.row(db, account), self.intent(db, account)
        kept: dict[str, object] = {} if row is None else dict(zip(_NAMES, astuple(row), strict=True))
        if intent is not None:
            kept |= {"intent_flight": intent.flight, "intent": intent.intent, "escrow": intent.escrow}
        ledger.set_aside(db, account, why, records.as_kept(kept), wall)

    def _set_aside(self, db: sqlite3.Connection, old: IntentRow, why: str, wall: float) -> None:
        """An intent without escrow or material carries nothing that is not in its successor."""
        if old.escrow is None and not self._has_material(old):
            return
        kept = {"intent_flight": old.flight, "intent": old.intent, "escrow": old.escrow}
        ledger.set_aside(db, old.account, why, records.as_kept(kept), wall)

    def _refusal(self, old: IntentRow) -> str:
        """The status of a whole reply that was no success, as part of a reason; empty for what may hold a grant."""
        try:
            reply = records.reply_of(self._seal, old)
        except Broken:
            return ""
        is_refusal = reply is not None and reply.complete and reply.status >= FIRST_REFUSAL
        return f": status {reply.status}" if reply is not None and is_refusal else ""

    def _has_material(self, old: IntentRow) -> bool:
        try:
            return bool(records.intent_of(self._seal, old).material)
        except Broken:
            return True

    @staticmethod
    def _clear(db: sqlite3.Connection, intent: Intent) -> None:
        db.execute("DELETE FROM intents WHERE account = ? AND flight = ?", (intent.account, intent.flight))
        db.execute("INSERT OR REPLACE INTO ended VALUES (?, ?)", (intent.account, intent.flight))


_NAMES: Final = tuple(name.strip() for name in records.COLUMNS.split(","))


def _blank(account: str) -> Row:
    """A record at the begin of its life; its id is drawn here."""
    return Row(account, secrets.token_hex(8), 0, b"", 0, None, None, 0, None)


def _write(db: sqlite3.Connection, row: Row) -> None:
    db.execute(_WRITE_ROW, astuple(row))


def _numbered(lease: Lease, generation: int) -> Lease:
    return lease if lease.generation == generation else replace(lease, generation=generation)


def _stale(account: str, expected: int, found: int) -> Stale:
    return Stale(
        f"the record of {account} is at generation {found}, not {expected} any more", "nothing: it is read again"
    )
