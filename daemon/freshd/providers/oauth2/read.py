"""Reading a token endpoint's reply (RFC 6749 sections 5.1 and 5.2, RFC 8628 section 3.5).  Pure and total.

Rules, in this order
-----
1. A refresh token that is not the one presented is kept, whatever else is wrong with the reply: its status, the access
   token, the lifetimes, the identity (I3); even if the reply broke off after it.  What is wrong only decides whether
   there is a lease beside it.
2. 429 means wait, whoever says it: nobody answers so after having done what was asked.
3. An error is the service's own word if it has the form of section 5.2; with a status of 500 or more only if it is a
   known code as well, for frameworks and gateways put an `error` member into their own pages.
4. Everything else is unreadable, and acts as a lost answer.

An access token is taken as text only: a number might have lost digits on its way, and would be published.  A refresh
token may be a whole number, for the one in hand is spent whatever form its successor has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from freshd.core.contract import Omitted
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply
from freshd.providers.form import Foreign, bearer, claims_of, fragment_of, object_of, plain, retry_after, text
from freshd.providers.oauth2.case import AUTHORIZE, ISSUE, REFRESH_TOKEN, Case, Terms
from freshd.providers.oauth2.life import grant_life, lease_life
from freshd.providers.oauth2.refusal import code_of, refused, shown, unreadable

LONGEST_FIELD: Final = 4096


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply of the token endpoint."""
    found = object_of(reply)
    is_broken = isinstance(found, Foreign) and not reply.complete
    answer = fragment_of(reply) if is_broken else {} if isinstance(found, Foreign) else found
    case = Case(
        rung, record, intent, reply, terms, answer, is_success=reply.status in range(200, 300) and not is_broken
    )
    successor = _successor(case)
    code = code_of(case.answer)
    has_token = bearer(case.answer.get("access_token")) is not None
    if successor is not None or (case.is_success and code is None and has_token):
        return _answered(case, successor)
    if reply.status == 429 and reply.complete:
        return Rejected(shown(code or "429", case), Remedy.WAIT, retry_after(reply))
    if code is not None:
        return refused(case, code)
    return unreadable(reply, found if isinstance(found, Foreign) else "JSON with neither token nor error")


def _successor(case: Case) -> str | None:
    """A refresh token to keep; outside 2xx the one presented may have been echoed, and is none."""
    if case.rung == ISSUE:
        return None
    given = case.answer.get(REFRESH_TOKEN)
    token = plain(given)
    if case.is_success or token is None:
        return token
    presented = None if case.old is None else case.old.secrets.get(REFRESH_TOKEN)
    return None if presented == Secret(token) else token


def _answered(case: Case, successor: str | None) -> Judged:
    notes: dict[str, str] = {}
    lease = _lease(case, notes)
    if lease is None and successor is None:
        return Rejected(
            "unsupported_token_type", Remedy.CONFIG, detail="the service answers with tokens other than bearer"
        )
    grant, drop = _grant(case, successor, notes)
    withheld = _stranger(case)
    if withheld is not None:
        notes["withheld"] = withheld
    change = Change(case.record.account, grant, lease, drop, withheld)
    return Answered((change,), MappingProxyType(notes))


def _lease(case: Case, notes: dict[str, str]) -> Lease | None:
    token = bearer(case.answer.get("access_token"))
    kind = case.answer.get("token_type")
    if not case.is_success or token is None:
        notes["access_token"] = (
            "missing or unusable" if case.is_success else "not taken from an error or a broken reply"
        )
        return None
    if kind is not None and not (isinstance(kind, str) and kind.strip().lower() in case.terms.token_types):
        notes["token_type"] = "not bearer"
        return None
    life, odd = lease_life(case.answer, case.reply, case.terms.contract)
    if odd is not None:
        notes["expires_in"] = odd
    before = case.record.lease.generation if case.rung == ISSUE and case.record.lease else case.intent.generation
    return Lease(case.record.account, before + 1, Secret(token), case.intent.sent, life, _fields(case))


def _fields(case: Case) -> Mapping[str, str]:
    """What readers get beside the token."""
    found = {name: text(case.answer.get(name)) for name in ("scope", *case.terms.lease_fields)}
    fitting = {name: value for name, value in found.items() if value and len(value) <= LONGEST_FIELD}
    for name in ("access_token", REFRESH_TOKEN):
        fitting.pop(name, None)
    return MappingProxyType({"token_type": "Bearer", **fitting})


def _grant(case: Case, successor: str | None, notes: dict[str, str]) -> tuple[Grant | None, frozenset[str]]:
    """The grant after this answer, and the secrets that it ends."""
    if case.rung == ISSUE:
        return None, frozenset()
    if successor is not None:
        return _renewed(case, successor), frozenset()
    notes[REFRESH_TOKEN] = "omitted" if case.answer.get(REFRESH_TOKEN) in (None, "") else "unusable"
    if case.old is None:
        return _renewed(case, None), frozenset()
    if case.terms.contract.omitted is Omitted.DEAD and notes[REFRESH_TOKEN] == "omitted":
        return None, frozenset({REFRESH_TOKEN})
    return _kept(case, case.old), frozenset()


def _renewed(case: Case, successor: str | None) -> Grant:
    old, intent = case.old, case.intent
    new = EMPTY if successor is None else {REFRESH_TOKEN: Secret(successor)}
    ends = case.terms.contract.absolute_life
    return Grant(
        lineage=old.lineage if old is not None else intent.candidate or intent.lineage or intent.flight,
        binding=_binding(case),
        secrets=MappingProxyType({**({} if old is None else old.secrets), **new}),
        obtained=intent.sent,
        enrolled=intent.sent if old is None else old.enrolled,
        valid_for=grant_life(case.answer),
        absolute_for=ends if old is None or old.absolute_for is None else old.absolute_for,
    )


def _kept(case: Case, old: Grant) -> Grant:
    """The refresh token goes on.  A life stated for it when it was obtained goes on too, unless it is stated anew."""
    life = grant_life(case.answer)
    if life is None and old.valid_for is not None:
        return replace(old, binding=_binding(case))
    return replace(old, binding=_binding(case), obtained=case.intent.sent, valid_for=life)


def _binding(case: Case) -> Binding:
    """What the request was sent under, with the subject if the answer tells it."""
    material = case.intent.material
    bound = case.terms.binding if case.old is None else case.old.binding
    if case.old is None and "origin" in material and "client_id" in material:
        bound = replace(bound, origin=material["origin"].reveal(), client_id=material["client_id"].reveal())
    subjects = _subjects(case.answer)
    return replace(bound, subject=subjects[0]) if subjects else bound


def _subjects(answer: Mapping[str, Any]) -> list[str]:
    found = (claims_of(answer.get("id_token")).get("sub"), answer.get("sub"))
    return [subject for subject in map(plain, found) if subject is not None]


def _stranger(case: Case) -> str | None:
    """Why the answer is not for us: another subject, another client, another request (id_token, unproven: TLS did)."""
    claims = claims_of(case.answer.get("id_token"))
    known = None if case.record.grant is None else case.record.grant.binding.subject
    expected = case.terms.binding.subject or known
    if expected is not None and any(subject != expected for subject in _subjects(case.answer)):
        return "the answer is for another subject"
    audience = claims.get("aud")
    clients = audience if isinstance(audience, list) else [audience]
    if audience is not None and _binding(case).client_id not in clients:
        return "the id_token is for another client"
    nonce = case.intent.material.get("nonce")
    if case.rung == AUTHORIZE and nonce is not None and claims and claims.get("nonce") != nonce.reveal():
        return "the id_token answers another request"
    return None
