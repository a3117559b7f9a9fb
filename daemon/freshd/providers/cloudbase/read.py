"""Reading what CloudBase answers: renewals, sign-ins, and the checks of what a person typed.  Pure and total.

Rules, in this order
-----
1. A refresh token that is not the one presented is kept, whatever else is wrong with the reply (I3); even if the reply
   broke off after it.
2. The body counts before the status: a refusal is one at HTTP 200 too (`refusal`).
3. 429 means wait, whoever says it.
4. Everything else is unreadable, and acts as a lost answer.

What an answer lacks is kept: the refresh token (marked as unconfirmed: it may be over), scope, groups and user.  A life
that is not stated is the token's own `exp - iat`, else two hours.  The refresh token's life is a setting, for no answer
states it.  An answer for another user is committed withheld.
A check that succeeds yields no lease but a token for the next step, so it is kept as what a refusal brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.age import age, left
from freshd.core.contract import Omitted
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply
from freshd.providers.cloudbase import unknowns
from freshd.providers.cloudbase.case import (
    API_VERSION,
    AUTOMATIC,
    CAPTCHA,
    CAPTCHA_CHECK,
    CODE_CHECK,
    DEVICE_ID,
    ISSUE,
    PUSHED_OUT,
    REFRESH,
    REFRESH_TOKEN,
    REFUSED_PASSWORD,
    REFUSED_TOKEN,
    SESSIONLESS,
    SIGN_INS,
    UNCONFIRMED,
    VERIFIED,
    WRONG_CODES,
    Case,
    Terms,
    case_of,
    held,
)
from freshd.providers.cloudbase.checked import check_of
from freshd.providers.cloudbase.flow import flow_of
from freshd.providers.cloudbase.refusal import detail_of, refused, slow_down
from freshd.providers.cloudbase.times import count_since, with_one_more
from freshd.providers.form import bearer, claims_of, plain, text
from freshd.providers.oauth2.life import lease_life
from freshd.providers.oauth2.refusal import shown, unreadable

LONGEST_FIELD: Final = 4096
MOST_SCOPES_NAMED: Final = 8
MARKERS: Final = frozenset(
    {
        CAPTCHA,
        PUSHED_OUT,
        REFUSED_PASSWORD,
        REFUSED_TOKEN,
        SESSIONLESS,
        SIGN_INS,
        UNCONFIRMED,
        VERIFIED,
        REFRESH_TOKEN,
        WRONG_CODES,
    }
)
"""What a sign-in makes void.  The device goes on: the service knows the user by it."""


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply."""
    case = case_of(rung, record, intent, reply, terms)
    if rung in (CAPTCHA_CHECK, CODE_CHECK):
        return check_of(case)
    successor = None if rung == ISSUE else _successor(case)
    if successor is not None or (case.is_success and bearer(case.answer.get("access_token")) is not None):
        return _answered(case, successor)
    if reply.status == 429 and reply.complete and case.code is None:
        return slow_down(case)
    return refused(case) or unreadable(reply, case.foreign or "JSON with neither token nor error")


def _successor(case: Case) -> str | None:
    """A refresh token to keep; where the answer is no success, the one presented may have been echoed, and is none."""
    token = plain(case.answer.get(REFRESH_TOKEN))
    if case.is_success or token is None:
        return token
    return None if held(case.record, REFRESH_TOKEN) == Secret(token) else token


def _answered(case: Case, successor: str | None) -> Judged:
    notes: dict[str, str] = {}
    lease = _lease(case, notes)
    if lease is None and successor is None:
        return Rejected("token_type", Remedy.CONFIG, detail=detail_of(case, "tokens other than bearer"))
    grant, drop = (None, frozenset[str]()) if case.rung == ISSUE else _grant(case, successor, notes)
    withheld = _stranger(case)
    notes |= {} if withheld is None else {"withheld": withheld}
    notes |= {**_narrowed(case), **_history(case)}
    return Answered((Change(case.record.account, grant, lease, frozenset(drop), withheld),), MappingProxyType(notes))


# -- the lease ------------------------------------------------------------------------------------------------------


def _lease(case: Case, notes: dict[str, str]) -> Lease | None:
    token, kind = bearer(case.answer.get("access_token")), case.answer.get("token_type")
    if not case.is_success:
        notes["code"] = "none" if case.code is None else shown(case.code, case)
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
    before = case.record.lease.generation if case.rung == ISSUE and case.record.lease else case.intent.generation
    return Lease(case.record.account, before + 1, Secret(token), case.intent.sent, life, _fields(case))


def _fields(case: Case) -> Mapping[str, str]:
    """What readers and operators see; what a renewal does not repeat goes on."""
    groups = case.answer.get("groups")
    known = case.record.lease.fields if case.rung == REFRESH and case.record.lease is not None else {}
    found = {
        "scope": text(case.answer.get("scope")),
        "sub": next(_subjects(case), None),
        "groups": " ".join(groups) if isinstance(groups, list) and all(text(one) for one in groups) else None,
    }
    fitting = {name: value for name, value in found.items() if value and len(value) <= LONGEST_FIELD}
    kept = {name: known[name] for name in found if name in known}
    return MappingProxyType({**kept, **fitting, "token_type": "Bearer", "login": case.terms.method})


# -- the grant ------------------------------------------------------------------------------------------------------


def _grant(case: Case, successor: str | None, notes: dict[str, str]) -> tuple[Grant | None, frozenset[str]]:
    """The grant after this answer, and the secrets that it ends."""
    if case.rung == REFRESH:
        return _renewed(case, successor, notes)
    known = {} if case.record.grant is None else dict(case.record.grant.secrets)
    secrets = {name: secret for name, secret in known.items() if name not in MARKERS}
    secrets |= {API_VERSION: Secret(unknowns.API_VERSION)}
    device = case.intent.material.get(DEVICE_ID)
    secrets |= {} if device is None else {DEVICE_ID: device}
    secrets |= {SIGN_INS: with_one_more(case.record, case.intent.sent)} if case.rung in AUTOMATIC else {}
    if successor is None:
        notes[REFRESH_TOKEN] = "omitted"
        secrets[SESSIONLESS] = Secret("1")
    else:
        secrets[REFRESH_TOKEN] = Secret(successor)
    return _founded(case, secrets, has_token=successor is not None), frozenset(known) - secrets.keys()


def _founded(case: Case, secrets: Mapping[str, Secret], *, has_token: bool) -> Grant:
    """The grant that a sign-in begins; one of freshd's own goes on with the lineage."""
    old, intent, life = case.old, case.intent, case.terms.refresh_life
    is_final = has_token and not (case.terms.has_signin or unknowns.SLIDES)
    return Grant(
        lineage=old.lineage if old is not None else intent.candidate or intent.lineage or intent.flight,
        binding=_binding(case),
        secrets=MappingProxyType(dict(secrets)),
        obtained=intent.sent,
        enrolled=intent.sent,
        valid_for=life if has_token else None,
        absolute_for=life if is_final else case.terms.contract.absolute_life,
    )


def _renewed(case: Case, successor: str | None, notes: dict[str, str]) -> tuple[Grant | None, frozenset[str]]:
    old = case.record.grant
    if old is None:
        secrets = EMPTY if successor is None else {REFRESH_TOKEN: Secret(successor)}
        return _founded(case, secrets, has_token=successor is not None), frozenset()
    over = frozenset({UNCONFIRMED})
    flow = flow_of(case.record)
    if flow is not None and flow.operation == REFRESH:
        over |= {CAPTCHA}
    if successor is not None:
        if old.secrets.get(REFRESH_TOKEN) == Secret(successor):
            notes[REFRESH_TOKEN] = "the one that was presented"
        secrets = {**{name: one for name, one in old.secrets.items() if name not in over},
                   REFRESH_TOKEN: Secret(successor)}  # fmt: skip
        life = case.terms.refresh_life
        new = replace(old, binding=_binding(case), secrets=MappingProxyType(secrets), obtained=case.intent.sent,
                      valid_for=life)  # fmt: skip
        return new, over & old.secrets.keys()
    if case.terms.contract.omitted is Omitted.DEAD:
        notes[REFRESH_TOKEN] = "omitted"
        return None, frozenset({REFRESH_TOKEN})
    notes[REFRESH_TOKEN] = "omitted: the one in hand goes on, and may be over"
    over -= {UNCONFIRMED}
    secrets = {**{name: one for name, one in old.secrets.items() if name not in over}, UNCONFIRMED: Secret("1")}
    return replace(old, binding=_binding(case), secrets=MappingProxyType(secrets)), over & old.secrets.keys()


def _binding(case: Case) -> Binding:
    """What the request was sent under, with the user if the answer names one; a stranger does not take the place."""
    material = case.intent.material
    bound = case.terms.binding if case.old is None else case.old.binding
    if case.rung != REFRESH and "origin" in material and "client_id" in material:
        bound = replace(bound, origin=material["origin"].reveal(), client_id=material["client_id"].reveal())
    subject = next(_subjects(case), None)
    return bound if subject is None or _stranger(case) is not None else replace(bound, subject=subject)


# -- whose it is, and what is odd -----------------------------------------------------------------------------------


def _subjects(case: Case) -> Iterator[str]:
    """The user, as the answer and as the token name it.  The token is not proven: TLS did."""
    told = (case.answer.get("sub"), claims_of(case.answer.get("access_token")).get("sub"))
    yield from (subject for subject in map(plain, told) if subject is not None)


def _stranger(case: Case) -> str | None:
    """Why the answer is not for us."""
    known = None if case.record.grant is None else case.record.grant.binding.subject
    expected = case.terms.binding.subject or known
    is_other = expected is not None and any(subject != expected for subject in _subjects(case))
    return "the answer is for another user" if is_other and case.rung != ISSUE else None


def _narrowed(case: Case) -> Mapping[str, str]:
    """Scopes that are expected and were not granted; told when that changes, not with every renewal."""
    granted = text(case.answer.get("scope"))
    before = None if case.record.lease is None or case.rung != REFRESH else case.record.lease.fields.get("scope")
    if granted is None or granted == before:
        return {}
    lacking = [scope for scope in case.terms.scope.split() if scope not in granted.split()]
    return {"scope": "lacks " + " ".join(lacking[:MOST_SCOPES_NAMED])} if lacking else {}


def _history(case: Case) -> Mapping[str, str]:
    """What a sign-in of our own says of the session before it."""
    old, lease = case.record.grant, case.record.lease
    if case.rung not in AUTOMATIC or old is None or REFRESH_TOKEN not in old.secrets or not case.is_success:
        return {}
    if case.intent.earlier:
        return {"session": "begun anew after a lost reply"}
    life = unknowns.ACCESS_SECONDS if lease is None else lease.valid_for
    if count_since(case.record, life, case.intent.sent):
        since = age(old.enrolled, case.intent.sent).seconds
        return {"session": f"ended {since:.0f} s after our sign-in: somebody else may sign in with this account"}
    if old.valid_for is not None and left(old.obtained, old.valid_for, case.intent.sent) > 0:
        return {"session": "the last one ended before its time; begun anew"}
    return {}
