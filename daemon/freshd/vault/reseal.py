"""Sealing anew: every sealed value of the journal, where it lies, and the passes that give it the key in force.

Rules
-----
* A pass is one request of the writer: bounded, so that no exchange waits long, and good to be done twice.
* What is sealed anew is opened again before it takes the place of what was there: that may be the only copy there is.
* Looked for is what names a key that the seal holds beside the one in force.  What does not open under it is left as it
  is, and told: whoever can repair it needs that key.
* Settled grants are not touched: they rest in the OS keyring, known by digests, which no rotation changes.
* Must not: change what a value says, or the generation of a record.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freshd.errors import StoreError
from freshd.vault import records
from freshd.vault.seal import BadSeal, Seal, head_of

BATCH: Final = 32
"""Rows in one pass: a few milliseconds of the journal's thread."""
Parts = Mapping[str, Any]
"""Columns of a row, by name."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with sealed columns.  `key`: the column along which passes go."""

    name: str
    key: str
    columns: tuple[str, ...]
    sealed: tuple[str, ...]


RECORDS: Final = Table(
    "records",
    "account",
    ("account", "rid", "generation", "about", "grant_generation", "grant_blob", "lease_generation", "lease_blob"),
    ("about", "grant_blob", "lease_blob"),
)
INTENTS: Final = Table("intents", "account", ("account", "flight", "intent", "escrow"), ("intent", "escrow"))
QUARANTINE: Final = Table("quarantine", "id", ("id", "account", "content"), ())
TABLES: Final = (RECORDS, INTENTS, QUARANTINE)


@dataclass(frozen=True, slots=True)
class Stuck:
    """A value that names a key and does not open under it.  `key`: the key's id."""

    account: str
    column: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found: rows sealed anew by key, what is stuck, and where the next one begins (None: at the end)."""

    rows: tuple[str | int, ...]
    stuck: tuple[Stuck, ...]
    after: str | int | None


def places(account: str, parts: Parts) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The sealed columns among these, each with the place that its value is bound to."""
    rid = parts.get("rid", "")
    flight = parts.get("flight", parts.get("intent_flight", ""))
    bound: dict[str, tuple[str | int, ...]] = {
        "about": ("about", account, rid, parts.get("generation", 0)),
        "grant_blob": ("grant", account, rid, parts.get("grant_generation", 0)),
        "lease_blob": ("lease", account, rid, parts.get("lease_generation", 0)),
        "intent": ("intent", account, flight),
        "escrow": ("escrow", account, flight),
        "change": ("withheld", account),
    }
    return ((column, place) for column, place in bound.items() if isinstance(parts.get(column), bytes))


def first(table: Table) -> str | int:
    """Where the first pass over a table begins."""
    return 0 if table.key == "id" else ""


def turn(db: sqlite3.Connection, seal: Seal, table: Table, after: str | int, limit: int) -> Pass:
    """Seal anew what names another key, in at most so many rows behind `after`.  Raises StoreError."""
    heads = [head_of(key) for key in sorted(seal.others)]
    found = [] if not heads else _naming(db, table, heads, after, limit)
    rows, stuck = list[str | int](), list[Stuck]()
    for parts in found:
        fresh = _anew(seal, parts["account"], parts, heads, stuck)
        if fresh:
            rows.append(parts[table.key])
            _write(db, table, parts, fresh)
    return Pass(tuple(rows), tuple(stuck), found[-1][table.key] if len(found) == limit else None)


def is_named(db: sqlite3.Connection, key: bytes) -> bool:
    """Whether anything still names the key of that id."""
    return any(_naming(db, table, [head_of(key)], first(table), 1) for table in TABLES)


def prove(db: sqlite3.Connection, seal: Seal, table: Table, keys: Sequence[str | int]) -> None:
    """What a pass has written, read back: each value opens as it stands.  Raises StoreError."""
    marks = ", ".join("?" * len(keys))
    query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {table.key} IN ({marks})"  # noqa: S608
    for row in db.execute(query, (*keys,)).fetchall():
        parts = _whole(table, dict(zip(table.columns, row, strict=True)))
        for column, place in places(parts["account"], parts):
            if parts[column].startswith(head_of(seal.key_id)):
                _must_open(seal, parts[column], place)


def _must_open(seal: Seal, value: bytes, place: tuple[str | int, ...]) -> None:
    try:
        seal.open(value, *place)
    except BadSeal:
        raise StoreError("what was sealed anew was not read back as written", "look at the disk: dmesg") from None


def _naming(
    db: sqlite3.Connection, table: Table, heads: Sequence[bytes], after: str | int, limit: int
) -> list[dict[str, Any]]:
    """Rows behind `after` in which something begins so; what quarantine holds is taken apart."""
    if table.sealed:
        marks = ", ".join("?" * len(heads))
        where = " OR ".join(f"substr({column}, 1, {len(heads[0])}) IN ({marks})" for column in table.sealed)
        values: list[object] = [*heads] * len(table.sealed)
    else:
        where = " OR ".join("instr(content, ?) > 0" for _ in heads)
        values = [_told(head) for head in heads]
    found = db.execute(
        f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {table.key} > ? AND ({where})"  # noqa: S608 - constants
        f" ORDER BY {table.key} LIMIT ?",
        (after, *values, limit),
    )
    rows = [dict(zip(table.columns, row, strict=True)) for row in found.fetchall()]
    return [_whole(table, row) for row in rows]


def _whole(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return row if table.sealed else {**apart(row["content"]), **row}


def _told(head: bytes) -> str:
    """How a value that begins so begins in the text that quarantine keeps: nine bytes are twelve letters."""
    return '{"base64":"' + base64.b64encode(head).decode("ascii")


def apart(content: str) -> dict[str, Any]:
    """What quarantine keeps, sealed values as bytes again.  Empty where it is no longer readable."""
    try:
        kept = json.loads(content)
        return {name: _bytes(value) for name, value in kept.items()}
    except (ValueError, AttributeError, binascii.Error):
        return {}


def _bytes(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    is_sealed = isinstance(value, dict) and value.keys() == {"base64"}
    return base64.b64decode(value["base64"], validate=True) if is_sealed else value


def _anew(seal: Seal, account: str, parts: Parts, heads: Sequence[bytes], stuck: list[Stuck]) -> dict[str, bytes]:
    """The values of a row that have the key in force now."""
    fresh = {}
    for column, place in places(account, parts):
        old: bytes = parts[column]
        if not old.startswith(tuple(heads)):
            continue
        try:
            plain = seal.open(old, *place)
        except BadSeal:
            stuck.append(Stuck(account, column, old[1 : len(heads[0])]))
            continue
        fresh[column] = seal.seal(plain, *place)
        if seal.open(fresh[column], *place) != plain:
            raise StoreError("a value did not open as it was sealed anew", "look at the machine's memory: dmesg")
    return fresh


def _write(db: sqlite3.Connection, table: Table, parts: Parts, fresh: Mapping[str, bytes]) -> None:
    if table.sealed:
        new: Mapping[str, object] = fresh
    else:
        kept = {name: value for name, value in parts.items() if name not in ("id", "content")}
        stood = apart(parts["content"]).keys()
        new = {"content": records.as_kept({name: value for name, value in {**kept, **fresh}.items() if name in stood})}
    columns = ", ".join(f"{name} = ?" for name in new)
    db.execute(
        f"UPDATE {table.name} SET {columns} WHERE {table.key} = ?",  # noqa: S608 - names of columns
        (*new.values(), parts[table.key]),
    )
