"""What a change makes of a record: rows in, rows out, all under one seal.  Reads and writes nothing.

A change raises the generation; what it does not name stays as it was, and only what it names is forgotten (I7).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from freshd.core.model import Change, Lease
from freshd.vault import records
from freshd.vault.records import About, Broken, Row
from freshd.vault.seal import Seal


def changed(seal: Seal, row: Row, about: About, change: Change, dead: Mapping[str, str]) -> Row:
    """The row one generation on.  `dead`: names that stay marked, with the code."""
    generation = row.generation + 1
    grant = change.grant
    withheld = about.withheld if change.adds else change.withheld
    if grant is not None:
        grant = records.without(grant, frozenset(grant.secrets) - change.drop)
        row = records.with_grant(seal, row, grant, generation)
        about = replace(About.of(grant), dead=dead)
    elif change.drop:
        row, about = dropped(seal, row, about, change.drop)
    if change.lease is not None:
        row = records.with_lease(seal, row, _numbered(change.lease, generation), generation)
    return records.with_about(seal, row, replace(about, withheld=withheld), generation)


def dropped(seal: Seal, row: Row, about: About, drop: frozenset[str]) -> tuple[Row, About]:
    """Forget named secrets: at once in the journal's copy, in the keyring's with the next one that settles."""
    about = replace(about, held=about.held - drop)
    grant = records.grant_of(seal, row)
    if grant is not None:
        kept = records.without(grant, about.held)
        row = records.with_grant(seal, row, kept, row.grant_generation)
    return row, about


def is_another_lineage(about: About, change: Change) -> bool:
    """An enrolment by the wrong person must not displace a grant that still works."""
    return change.grant is not None and about.lineage not in (None, change.grant.lineage)


def about_or_none(seal: Seal, row: Row | None) -> About | None:
    """None without a record, and for a damaged one: its copy rests in quarantine since the start."""
    try:
        return None if row is None else records.about_of(seal, row)
    except Broken:
        return None


def blank(account: str) -> Row:
    """A record at the begin of its life; its id is drawn here."""
    return Row(account, secrets.token_hex(8), 0, b"", 0, None, None, 0, None)


def _numbered(lease: Lease, generation: int) -> Lease:
    return lease if lease.generation == generation else replace(lease, generation=generation)
