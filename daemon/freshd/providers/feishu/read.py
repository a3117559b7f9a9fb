"""Reading what a token endpoint for users answers: v3, v2, and the refresh of v1.  Pure and total.

Rules, in this order
-----
1. A refresh token that is not the one presented is kept, whatever else is wrong with the reply: its status, its code,
   the access token, the lives (I3); even if the reply broke off after it.
2. 429 means wait, whoever says it.
3. A code other than 0 is a refusal, whatever the status: see `feishu_refusal`.
4. Everything else is unreadable, and acts as a lost answer; a 200 that says yes and holds no token is among it.

A success that hands back the very token that was presented is taken at its word, and noted.  One without any refresh
token leaves a grant that cannot be renewed: the old token is spent, for that is what success means here.
Answers name no user, but those of v1 may: one for somebody else is kept and withheld.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Omitted
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Reply
from freshd.providers.feishu.case import FINE, PRESENTS, REFRESH_TOKEN, Case, Terms, case_of, log_id_of
from freshd.providers.feishu.refusal import is_clean, refused, slow_down
from freshd.providers.form import bearer, plain, text
from freshd.providers.oauth2.life import grant_life, lease_life
from freshd.providers.oauth2.refusal import shown, unreadable

LONGEST_FIELD: Final = 4096
MOST_SCOPES_NAMED: Final = 8


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply."""
    case = case_of(rung, record, intent, reply, terms)
    successor = _successor(case)
    if successor is not None or (case.is_success and bearer(case.answer.get("access_token")) is not None):
        return _answered(case, successor, terms.scope)
    if reply.status == 429 and reply.complete:
        return slow_down(case)
    return refused(case) or unreadable(reply, case.foreign or "JSON with neither token nor error")


def _successor(case: Case) -> str | None:
    """A refresh token to keep; where the answer is no success, the one presented may have been echoed, and is none."""
    token = plain(case.answer.get(REFRESH_TOKEN))
    if case.is_success or token is None:
        return token
    return None if _presented(case) == Secret(token) else token


def _presented(case: Case) -> Secret | None:
    return None if case.old is None else case.old.secrets.get(PRESENTS[case.rung])


def _answered(case: Case, successor: str | None, wanted: str) -> Judged:
    notes: dict[str, str] = {}
    lease = _lease(case, notes)
    grant, drop = _grant(case, successor, notes)
    withheld = _stranger(case)
    notes |= {} if withheld is None else {"withheld": withheld}
    notes |= _narrowed(case, wanted)
    found = log_id_of(case.reply)
    if notes and found is not None and is_clean(found, case):
        notes["log id"] = found
    return Answered((Change(case.record.account, grant, lease, drop, withheld),), MappingProxyType(notes))


def _lease(case: Case, notes: dict[str, str]) -> Lease | None:
    token = bearer(case.answer.get("access_token"))
    kind = case.answer.get("token_type")
    if not case.is_success and case.code not in (None, FINE):
        notes["code"] = shown(case.code or "", case)
    if not case.is_success or token is None:
        wrong = "missing or unusable" if case.is_success else "not taken from an error or a broken reply"
        notes["access_token"] = wrong
        return None
    if kind is not None and not (isinstance(kind, str) and kind.strip().lower() in case.terms.token_types):
        notes["token_type"] = "not bearer"
        return None
    life, odd = lease_life(case.answer, case.reply, case.terms.contract)
    if odd is not None:
        notes["expires_in"] = odd
    granted = text(case.answer.get("scope"))
    fields = {"scope": granted} if granted is not None and len(granted) <= LONGEST_FIELD else {}
    return Lease(
        case.record.account, case.intent.generation + 1, Secret(token), case.intent.sent, life,
        MappingProxyType({"token_type": "Bearer", **fields}),
    )  # fmt: skip


def _grant(case: Case, successor: str | None, notes: dict[str, str]) -> tuple[Grant | None, frozenset[str]]:
    """The grant after this answer, and the secrets that it ends."""
    if successor is not None:
        if _presented(case) == Secret(successor):
            notes[REFRESH_TOKEN] = "the one that was presented"
        return _renewed(case, successor), frozenset()
    notes[REFRESH_TOKEN] = "omitted" if case.answer.get(REFRESH_TOKEN) in (None, "") else "unusable"
    if case.old is None:
        return _renewed(case, None), frozenset()
    if case.terms.contract.omitted is Omitted.DEAD:
        return None, frozenset({PRESENTS[case.rung]})
    return replace(case.old, obtained=case.intent.sent), frozenset()


def _renewed(case: Case, successor: str | None) -> Grant:
    old, intent, ends = case.old, case.intent, case.terms.contract.absolute_life
    new = EMPTY if successor is None else {PRESENTS.get(case.rung, REFRESH_TOKEN): Secret(successor)}
    return Grant(
        lineage=old.lineage if old is not None else intent.candidate or intent.lineage or intent.flight,
        binding=_binding(case),
        secrets=MappingProxyType({**({} if old is None else old.secrets), **new}),
        obtained=intent.sent,
        enrolled=intent.sent if old is None else old.enrolled,
        valid_for=grant_life(case.answer),
        absolute_for=ends if old is None or old.absolute_for is None else old.absolute_for,
    )


def _binding(case: Case) -> Binding:
    """What the request was sent under, with the user if the answer names one."""
    material = case.intent.material
    bound = case.terms.binding if case.old is None else case.old.binding
    if case.old is None and "origin" in material and "client_id" in material:
        bound = replace(bound, origin=material["origin"].reveal(), client_id=material["client_id"].reveal())
    user = text(case.answer.get("open_id"))
    return bound if user is None else replace(bound, subject=user)


def _stranger(case: Case) -> str | None:
    """Why the answer is not for us."""
    known = None if case.record.grant is None else case.record.grant.binding.subject
    expected, user = case.terms.binding.subject or known, text(case.answer.get("open_id"))
    is_other = expected is not None and user is not None and user != expected
    return "the answer is for another user" if is_other else None


def _narrowed(case: Case, wanted: str) -> Mapping[str, str]:
    """Scopes that were asked for and not granted; told when that changes, not with every renewal."""
    granted = text(case.answer.get("scope"))
    before = None if case.record.lease is None or case.old is None else case.record.lease.fields.get("scope")
    if granted is None or granted == before:
        return {}
    lacking = [scope for scope in wanted.split() if scope not in granted.split()]
    return {"scope": "lacks " + " ".join(lacking[:MOST_SCOPES_NAMED])} if lacking else {}
