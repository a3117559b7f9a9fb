"""What a refresh or access token is worth now. Pure.

Rules: it must be ours, of the right type, within its time (with a leeway), its user there and the operation id still
the one it was made under, its record in the store. While the store is broken nothing is worth anything.
"""

import dataclasses
import enum

from freshd.sandbox.geniusauth.codes import DATABASE_FAILED, FAULT, TOKEN_DEAD, Refusal
from freshd.sandbox.geniusauth.constants import GeniusConstants
from freshd.sandbox.geniusauth.jwt import BadToken, Claims
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.records import Record
from freshd.sandbox.geniusauth.state import Broken, State


class Kind(enum.StrEnum):
    """The types of tokens."""

    REFRESH = "Refresh"
    ACCESS = "Access"
    LOGIN = "Login"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A token that is worth something."""

    text: str = dataclasses.field(repr=False)
    claims: Claims = dataclasses.field(repr=False)
    record: Record
    person: Person

    @property
    def payload(self) -> str:
        """Its payload, empty where it has none."""
        return str(self.claims.get("payload", ""))


def check_whole(state: State, constants: GeniusConstants) -> None:
    """Raise the refusal of whatever is broken inside."""
    match state.broken:
        case Broken.STORE:
            raise Refusal(constants.GENIUS_SIM_STORE_FAILURE_CODE)
        case Broken.DATABASE:
            raise Refusal(DATABASE_FAILED)
        case Broken.FAULT:
            raise Refusal(FAULT)


def judge(state: State, kind: Kind, text: str, constants: GeniusConstants, now: float) -> Good:
    """Return what a token stands for; raises Refusal. ``now`` is the service's own clock."""
    check_whole(state, constants)
    try:
        claims = state.signer.claims(text)
    except BadToken as error:
        raise Refusal(TOKEN_DEAD) from error
    record, person = state.records.find(claims.get("id")), state.people.find(claims.get("uid"))
    if record is not None:
        state.records.present(record, text)
        person = state.people.find(record.uid)
    is_young = now < claims["exp"] + constants.GENIUS_SIM_LEEWAY_S
    if claims["type"] != kind or not is_young or person is None or person.oid != claims["oid"]:
        raise Refusal(TOKEN_DEAD)
    access = state.records.ledger.shelf.access_token(text)
    if record is None or not record.is_present(now) or (access is not None and access.revoked):
        raise Refusal(TOKEN_DEAD)
    return Good(text=text, claims=claims, record=record, person=person)
