"""What a judgement holds, for tests that know what it must be; and the record once it was committed.  Pure."""

from dataclasses import replace

from freshd.core.model import Change, Grant, Lease, Record
from freshd.core.outcome import Answered, Rejected


def answered(judged: object) -> Answered:
    assert isinstance(judged, Answered), judged
    return judged


def rejected(judged: object) -> Rejected:
    assert isinstance(judged, Rejected), judged
    return judged


def change(judged: object) -> Change:
    """The only one of the answer."""
    [made] = answered(judged).changes
    return made


def lease_in(made: Change) -> Lease:
    assert made.lease is not None
    return made.lease


def grant_in(made: Change) -> Grant:
    assert made.grant is not None
    return made.grant


def lease(judged: object) -> Lease:
    """That of the only change."""
    return lease_in(change(judged))


def grant(judged: object) -> Grant:
    """That of the only change."""
    return grant_in(change(judged))


def committed(record: Record, judged: object) -> Record:
    """The record once the only change of the answer was committed; none that is withheld is."""
    made = change(judged)
    assert made.withheld is None
    held = made.grant or record.grant
    if held is not None and made.drop:
        held = replace(held, secrets={name: one for name, one in held.secrets.items() if name not in made.drop})
    return Record(record.account, record.generation + 1, held, made.lease or record.lease)
