"""Reading what the service answers on every rung.  Pure and total.

Rules, in this order
-----
1. A login and a change of the payload may bring a refresh token: it is kept whatever else is wrong with the reply, its
   code, its status, even if the reply broke off after it (I3).
2. A renewal brings an access token and nothing to keep: the refresh token that was presented works on.  Should one come
   along all the same, that is told, and the old one stays.
3. A code other than 0 is a refusal: see `refusal`.
4. A success without an access token comes of a server that renews otherwise: where the account allows it, the same
   payload is written once more, which brings one; else a person has to look.
5. Everything else is unreadable, and acts as a lost answer.

An answer for another user than the one of the login is never published: a login or a change is withheld, a renewal,
which holds nothing worth keeping, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.model import Binding, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply
from freshd.providers.form import text
from freshd.providers.geniusauth.case import (
    FINE,
    PATCH,
    PAYLOAD,
    REFRESH,
    REFRESH_TOKEN,
    Case,
    Terms,
    case_of,
    present_payload,
)
from freshd.providers.geniusauth.claims import LONGEST_GRANT_SECONDS, LONGEST_LEASE_SECONDS, claims
from freshd.providers.geniusauth.refusal import refused
from freshd.providers.oauth2.refusal import shown, unreadable

LEASE_SECONDS: Final = 300.0
"""Life of an access token that does not tell it."""
SAME_END_SECONDS: Final = 60.0
INCOMPATIBLE: Final = "incompatible-server"
NO_ACCESS_TOKEN: Final = "no-access-token"
WRONG_IDENTITY: Final = "wrong-identity"
STRANGER: Final = "the answer is for another user"
LONGEST_FIELD: Final = 256


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply."""
    case = case_of(rung, record, intent, reply, terms)
    found = _renewed(case) if rung == REFRESH else _changed(case)
    return found or refused(case) or unreadable(reply, case.foreign or "JSON with neither token nor refusal")


def _renewed(case: Case) -> Judged | None:
    """A renewal that the service calls one; None where it does not."""
    if not case.is_success:
        return None
    if case.access_token is None:
        return _without_token(case)
    if _is_stranger(case):
        return Rejected(WRONG_IDENTITY, Remedy.PERSON, detail=STRANGER, dead=frozenset())
    notes: dict[str, str] = {}
    if case.refresh_token not in (None, case.presented):
        notes[REFRESH_TOKEN] = "brought by a renewal, which this service never does; the old one stays"
    before = case.intent.generation if case.record.lease is None else case.record.lease.generation
    lease = _lease(case, before + 1, notes)
    return Answered((Change(case.record.account, lease=lease),), MappingProxyType(notes))


def _without_token(case: Case) -> Rejected:
    if case.rung == REFRESH and case.terms.patch_fallback and present_payload(case.old):
        hint = "renewed without an access token; the same payload is written once more, which brings one"
        return Rejected(NO_ACCESS_TOKEN, Remedy.CLIMB, detail=hint, dead=frozenset())
    hint = "the server renews without an access token, as its page has it: see patch_fallback"
    return Rejected(INCOMPATIBLE, Remedy.PERSON, detail=hint, dead=frozenset())


def _changed(case: Case) -> Judged | None:
    """A login or a change of the payload: what it brought; None where it brought nothing."""
    successor = _successor(case)
    has_lease = case.is_success and case.access_token is not None
    if successor is None and (not has_lease or case.rung == PAYLOAD):
        return _without_token(case) if case.is_success and case.rung == PATCH else None
    notes: dict[str, str] = {}
    lease = _lease(case, case.intent.generation + 1, notes)
    grant = _grant(case, successor, notes)
    withheld = STRANGER if _is_stranger(case) else None
    notes |= {} if withheld is None else {"withheld": withheld}
    return Answered((Change(case.record.account, grant, lease, withheld=withheld),), MappingProxyType(notes))


def _successor(case: Case) -> str | None:
    """A refresh token to keep; where the answer is no success, what was sent may have been echoed, and is none."""
    token = case.refresh_token
    if case.is_success or token is None:
        return token
    sent = [case.presented, *(secret.reveal() for secret in case.intent.material.values())]
    return None if token in sent else token


def _lease(case: Case, generation: int, notes: dict[str, str]) -> Lease | None:
    token = case.access_token
    if not case.is_success or token is None:
        if case.code not in (None, FINE):
            notes["code"] = shown(case.code or "", case)
        notes["access_token"] = "missing or unusable" if case.is_success else "not taken from an error"
        return None
    told = claims(token)
    life = told.life(LONGEST_LEASE_SECONDS) or min(LEASE_SECONDS, case.terms.contract.lease_life)
    return Lease(case.record.account, generation, Secret(token), case.intent.sent, life, _facts(case))


def _facts(case: Case) -> Mapping[str, str]:
    """What readers and operators are told beside the token."""
    told = claims(case.access_token)
    payload = text(case.answer.get("payload")) or told.payload
    facts = {"token_type": "Bearer", "uid": next(iter(case.users), ""), "payload": payload}
    return MappingProxyType({name: fact for name, fact in facts.items() if 0 < len(fact) <= LONGEST_FIELD})


def _grant(case: Case, successor: str | None, notes: dict[str, str]) -> Grant | None:
    """The grant after this answer; None: as it was."""
    old, intent = case.old, case.intent
    if successor is None:
        notes[REFRESH_TOKEN] = "omitted"
        if old is not None:
            return None
    lineage = old.lineage if old is not None and case.rung == PATCH else intent.candidate or intent.flight
    token = {} if successor is None else {REFRESH_TOKEN: Secret(successor)}
    payload = _payload(case, successor)
    kept = {} if old is None else {name: secret for name, secret in old.secrets.items() if name != PAYLOAD}
    secrets = {**kept, **token, **({PAYLOAD: Secret(payload)} if payload else {})}
    grant = Grant(lineage, _binding(case), MappingProxyType(secrets), obtained=intent.sent, enrolled=intent.sent)
    return _ending(case, grant, successor)


def _ending(case: Case, grant: Grant, successor: str | None) -> Grant:
    """The grant with its end: by the token itself, else by what was asked for at the login.

    A change of the payload puts the end off for nobody, so that where both tokens name one end its counting goes on.
    """
    old, told = case.old, claims(successor)
    if old is not None and _is_same_end(case, told.ends):
        return replace(grant, enrolled=old.enrolled, absolute_for=old.absolute_for)
    life = told.life(LONGEST_GRANT_SECONDS)
    if life is None:
        return replace(grant, absolute_for=_asked_for(case))
    ahead = 0.0 if told.ends is None else told.ends - case.intent.sent.wall
    return replace(grant, absolute_for=min(life, ahead) if old is not None and ahead > 0 else life)


def _is_same_end(case: Case, ends: float | None) -> bool:
    if case.old is None or case.old.absolute_for is None:
        return False
    before = claims(case.presented).ends
    return ends is None or (before is not None and abs(ends - before) <= SAME_END_SECONDS)


def _asked_for(case: Case) -> float:
    """The seconds asked for at the login, as they were sent."""
    sent = case.intent.material.get("valid")
    written = "" if sent is None else sent.reveal()
    return float(written) if written.isascii() and written.isdecimal() and len(written) < 12 else case.terms.valid


def _payload(case: Case, successor: str | None) -> str:
    """What the tokens of this grant carry; "" for nothing."""
    told = claims(successor)
    if told.is_readable or (successor is None and case.old is None):
        return told.payload
    sent = case.intent.material.get(PAYLOAD)
    return present_payload(case.old) if sent is None else sent.reveal()


def _binding(case: Case) -> Binding:
    """What the request was sent under, with the user."""
    material = case.intent.material
    bound = case.terms.binding if case.old is None else case.old.binding
    if case.old is None and "origin" in material and "client_id" in material:
        bound = replace(bound, origin=material["origin"].reveal(), client_id=material["client_id"].reveal())
    return replace(bound, subject=case.users[0]) if case.users else bound


def _is_stranger(case: Case) -> bool:
    """Whether the answer is for somebody else than the user of the login, or for two users at once."""
    known = None if case.record.grant is None else case.record.grant.binding.subject
    expected = case.terms.binding.subject or known
    return len(case.users) > 1 or (expected is not None and any(user != expected for user in case.users))
