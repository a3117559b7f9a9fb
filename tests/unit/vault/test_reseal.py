"""Whatever is written between the passes, in the end everything opens under the new key alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshd.core.model import Binding, Change, Grant, Intent, Lease, Moment, Secret
from freshd.core.outcome import Reply
from freshd.errors import Stale, StoreError
from freshd.vault import quarantine, reseal, rows, schema
from freshd.vault.journal import Journal
from freshd.vault.records import about_of, digest
from freshd.vault.seal import BadSeal, Seal

OLD, NEW, VAULT = bytes(range(32)), bytes(range(1, 33)), "vault-1"
NOW = Moment(1_790_000_000.0, 5_000.0, "boot-1")
BINDING = Binding("oauth2", "https://as.example", "client", "subject")
ACCOUNTS = ("a", "b", "c")


class Room:
    folder = Path("state")

    def holds(self, flights: int) -> bool:
        return True


@contextlib.contextmanager
def journal() -> Iterator[tuple[sqlite3.Connection, Seal, Journal]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(schema._TABLES + schema._SINCE_2)
        seal = Seal(OLD, VAULT)
        yield db, seal, Journal(seal, Room(), keyring=False)


def grant(token: str) -> Grant:
    return Grant("line", BINDING, {"refresh_token": Secret(token)}, NOW, NOW)


class Play:
    """One run: deeds by name, on accounts in turn."""

    def __init__(self, db: sqlite3.Connection, seal: Seal, book: Journal) -> None:
        self._db, self._seal, self._book = db, seal, book
        self._cursor: dict[str, str | int] = {table.name: reseal.first(table) for table in reseal.TABLES}
        self._count = 0

    def do(self, deed: str, account: str) -> None:
        self._count += 1
        getattr(self, f"_{deed}")(account)

    def _generation(self, account: str) -> int:
        row = rows.find(self._db, account)
        return 0 if row is None else row.generation

    def _intent(self, account: str) -> Intent:
        return Intent(
            f"flight-{self._count}", account, "refresh", None, self._generation(account), NOW, candidate="line"
        )

    def _commit(self, account: str) -> None:
        lease = Lease(account, 0, Secret(f"lease-{self._count}"), NOW, 60.0)
        self._book.commit(self._db, None, account, [Change(account, grant(f"t{self._count}"), lease)], 0.0)

    def _withhold(self, account: str) -> None:
        change = Change(account, grant(f"w{self._count}"), withheld="somebody else's")
        self._book.commit(self._db, None, account, [change], 0.0)

    def _intend(self, account: str) -> None:
        self._book.intend(self._db, self._intent(account), {}, 0.0)

    def _escrow(self, account: str) -> None:
        self._intend(account)
        found = rows.intent(self._db, account)
        assert found is not None
        reply = Reply(200, (), f"reply-{self._count}".encode(), complete=True)
        intent = Intent(found.flight, account, "refresh", None, self._generation(account), NOW, candidate="line")
        self._book.escrow(self._db, intent, reply, 0.0)

    def _break(self, account: str) -> None:
        self._book.keep_broken(self._db, account, f"as it was at {self._count}", 0.0)

    def _forget(self, account: str) -> None:
        for table in ("records", "intents", "quarantine"):
            self._db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))

    def _turn(self, _account: str) -> None:
        if not self._seal.others:
            self._seal.turn(self._seal.take(NEW).id)

    def _some(self, limit: int) -> None:
        for table in reseal.TABLES:
            done = reseal.turn(self._db, self._seal, table, self._cursor[table.name], limit)
            reseal.prove(self._db, self._seal, table, done.rows)
            self._cursor[table.name] = reseal.first(table) if done.after is None else done.after

    def _pass(self, _account: str) -> None:
        self._some(1 + self._count % 3)

    def finish(self) -> None:
        self._turn("")
        for table in reseal.TABLES:
            reseal.turn(self._db, self._seal, table, reseal.first(table), -1)


def opened(db: sqlite3.Connection, seal: Seal) -> int:
    """Open everything there is; how much that was."""
    count = 0
    for table in reseal.TABLES:
        for row in db.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}"):
            parts: Mapping[str, Any] = dict(zip(table.columns, row, strict=True))
            parts = reseal._whole(table, dict(parts))
            for column, place in reseal.places(parts["account"], parts):
                assert seal.open(parts[column], *place)
                count += 1
    return count


DEEDS = st.sampled_from(("commit", "withhold", "intend", "escrow", "break", "forget", "turn", "pass"))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(DEEDS, st.sampled_from(ACCOUNTS)), max_size=40))
def test_any_interleaving_of_commits_and_passes_opens_under_the_new_key_alone(deeds: list[tuple[str, str]]) -> None:
    with journal() as (db, seal, book):
        play = Play(db, seal, book)
        play.do("commit", "a")
        for deed, account in deeds:
            with contextlib.suppress(Stale):
                play.do(deed, account)
        play.finish()
        alone = Seal(NEW, VAULT)
        opened(db, alone)
        assert not reseal.is_named(db, Seal(OLD, VAULT).key_id)


def test_digests_outlive_the_key_that_they_were_made_under() -> None:
    old = Seal(OLD, VAULT)
    before = digest(old, "a", "rid", 1, b"plain")
    taken = old.take(NEW)
    sealed = old.digests(taken.id)
    alone = Seal(NEW, VAULT)
    assert digest(alone, "a", "rid", 1, b"plain") != before
    alone.digest_with(sealed)
    assert digest(alone, "a", "rid", 1, b"plain") == before
    with pytest.raises(BadSeal):
        Seal(OLD, VAULT).digest_with(sealed)


def test_what_does_not_open_is_left_and_told() -> None:
    with journal() as (db, seal, book):
        play = Play(db, seal, book)
        play.do("commit", "a")
        row = rows.find(db, "a")
        assert row is not None
        db.execute("UPDATE records SET about = ?", (row.about[:-1] + bytes([row.about[-1] ^ 1]),))
        seal.turn(seal.take(NEW).id)
        done = reseal.turn(db, seal, reseal.RECORDS, "", -1)
        assert [(one.account, one.column) for one in done.stuck] == [("a", "about")]
        assert done.stuck[0].key == Seal(OLD, VAULT).key_id
        assert reseal.is_named(db, Seal(OLD, VAULT).key_id)
        found = rows.find(db, "a")
        assert found is not None
        assert (found.about[:-1], found.grant_blob) == (row.about[:-1], found.grant_blob)
        assert found.grant_blob != row.grant_blob


def test_quarantine_that_nobody_can_read_is_passed_over() -> None:
    with journal() as (db, seal, book):
        book.commit(db, None, "a", [Change("a", grant("t"))], 0.0)
        quarantine.keep_withheld(db, seal, Change("a", grant("w"), withheld="x"), 0.0)
        (content,) = db.execute("SELECT content FROM quarantine").fetchone()
        db.execute("UPDATE quarantine SET content = ?", (content[:-9],))
        seal.turn(seal.take(NEW).id)
        assert reseal.turn(db, seal, reseal.QUARANTINE, 0, -1).rows == ()
        assert reseal.is_named(db, Seal(OLD, VAULT).key_id)


def test_a_value_that_would_not_open_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with journal() as (db, seal, book):
        book.commit(db, None, "a", [Change("a", grant("t"))], 0.0)
        seal.turn(seal.take(NEW).id)
        real = Seal.open

        def forgetful(self: Seal, sealed: bytes, *place: str | int) -> bytes:
            plain = real(self, sealed, *place)
            return plain[1:] if sealed[1:9] == self.key_id else plain

        monkeypatch.setattr(Seal, "open", forgetful)
        with pytest.raises(StoreError, match="did not open"):
            reseal.turn(db, seal, reseal.RECORDS, "", -1)
        monkeypatch.undo()
        row = rows.find(db, "a")
        assert row is not None
        assert about_of(Seal(OLD, VAULT), row).held == {"refresh_token"}


def test_a_value_that_is_read_back_otherwise_than_it_was_sealed_anew_is_damage() -> None:
    with journal() as (db, seal, book):
        book.commit(db, None, "a", [Change("a", grant("t"))], 0.0)
        seal.turn(seal.take(NEW).id)
        done = reseal.turn(db, seal, reseal.RECORDS, "", -1)
        reseal.prove(db, seal, reseal.RECORDS, done.rows)
        (blob,) = db.execute("SELECT grant_blob FROM records").fetchone()
        db.execute("UPDATE records SET grant_blob = ?", (blob[:-1] + bytes([blob[-1] ^ 1]),))
        with pytest.raises(StoreError, match="not read back"):
            reseal.prove(db, seal, reseal.RECORDS, done.rows)
