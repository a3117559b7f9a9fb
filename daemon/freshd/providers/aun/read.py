"""Reading what refreshes and logins bring: tokens, and now and then a certificate.  Pure and total.

Rules, in this order
-----
1. What did not prove true of the service is a fault, and nothing of its frame is used.
2. A refresh token that is not the one presented is kept, whatever else is wrong with the frame (I3).
3. A refusal is one: see `refusal`.
4. Everything else is unreadable, and acts as a lost answer; a success that holds no token is among it.

Of what is kept, the refresh token is let go of where the next renewal is to be a login: the chain of refreshes is used
up, the service says so, the certificate is past half of its life, or the lease it replaces was refused before its time.
The marker `current_certificate` is let go of where key or certificate need something done at once.
A login begins a new chain, so the older refresh token goes; an answer for another agent is kept and withheld.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Omitted
from freshd.core.model import EMPTY, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Reply
from freshd.providers.aun.case import (
    ADOPT,
    CANDIDATE_KEY,
    CERTIFICATE,
    CHAIN,
    CURRENT,
    GATEWAYS,
    LOGIN,
    PRIVATE_KEY,
    REFRESH,
    REFRESH_TOKEN,
    SETTLE,
    Case,
    Terms,
    case_of,
    held,
)
from freshd.providers.aun.certificate import Certificate
from freshd.providers.aun.certify import read_issued, read_registered
from freshd.providers.aun.issued import newest
from freshd.providers.aun.life import (
    Chain,
    chain_of,
    is_early,
    is_past_half,
    own_certificate,
    rests,
    seconds_left,
    wants_upkeep,
)
from freshd.providers.aun.refusal import faulted, refused
from freshd.providers.form import bearer, claims_of, plain, text
from freshd.providers.oauth2.life import lease_life
from freshd.providers.oauth2.refusal import unreadable

TOKENS: Final = ("access_token", "token", "kite_token")
"""Where the token is, in this order; one that is not a JWT goes into the same place of a session's login."""
KITE: Final = "kite_token"


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply."""
    case = case_of(rung, record, intent, reply, terms)
    if case.fault is not None:
        return faulted(case)
    if rung in (SETTLE, ADOPT):
        return read_registered(case)
    return _read_tokens(case) if rung in (REFRESH, LOGIN) else read_issued(case)


def _read_tokens(case: Case) -> Judged:
    successor = _successor(case)
    if successor is not None or (case.is_success and _token(case) is not None):
        return _answered(case, successor)
    return refused(case) or unreadable(case.reply, case.foreign or "a result without a token")


def _token(case: Case) -> str | None:
    return next(filter(None, (bearer(case.answer.get(name)) for name in TOKENS)), None)


def _successor(case: Case) -> str | None:
    """A refresh token to keep; where the answer is no success, the one presented may have been echoed, and is none."""
    token = plain(case.answer.get(REFRESH_TOKEN))
    if case.is_success or token is None:
        return token
    return None if token == held(case.secrets, REFRESH_TOKEN) else token


def _answered(case: Case, successor: str | None) -> Judged:
    notes: dict[str, str] = {}
    own = own_certificate(case.record)
    certificate, why = own, None
    if case.rung == LOGIN and case.is_success:
        certificate, why = newest(
            own, case.answer.get("new_cert"), case.answer.get("active_cert"), aid=case.limits.aid,
            key=held(case.secrets, PRIVATE_KEY), intent=case.intent,
        )  # fmt: skip
    if why is not None:
        notes["new_cert"] = why
    chain = _chain(case)
    lease = _lease(case, certificate, chain, notes)
    grant, drop = _grant(case, successor, certificate, chain, notes)
    withheld = _stranger(case)
    notes |= {} if withheld is None else {"withheld": withheld}
    return Answered((Change(case.record.account, grant, lease, drop, withheld),), MappingProxyType(notes))


def _chain(case: Case) -> Chain:
    sent = case.intent.sent
    return Chain(sent) if case.rung == LOGIN else chain_of(case.secrets, sent).grown(case.answer)


def _lease(case: Case, certificate: Certificate | None, chain: Chain, notes: dict[str, str]) -> Lease | None:
    token = _token(case)
    if not case.is_success or token is None:
        wrong = "missing or unusable" if case.is_success else "not taken from a refusal or a broken frame"
        notes["access_token"] = wrong
        return None
    life, odd = lease_life({**case.answer, "access_token": token}, case.reply, case.limits.contract)
    if odd is not None:
        notes["expires_in"] = odd
    kite = bearer(case.answer.get("token")) or bearer(case.answer.get(KITE))
    fields = {
        "aid": case.limits.aid,
        GATEWAYS: held(case.intent.material, GATEWAYS) or "",
        "refreshes": f"{chain.refreshes} of {case.limits.most_refreshes}",
        "certificate_until": _date(certificate),
    }
    return Lease(
        case.record.account, case.intent.generation + 1, Secret(token), case.intent.sent, life,
        MappingProxyType({name: value for name, value in fields.items() if value}),
        EMPTY if kite in (None, token) else MappingProxyType({KITE: Secret(kite or "")}),
    )  # fmt: skip


def _grant(
    case: Case, successor: str | None, certificate: Certificate | None, chain: Chain, notes: dict[str, str]
) -> tuple[Grant, frozenset[str]]:
    """The grant after this answer, and the secrets that it lets go of."""
    secrets = {**case.secrets, CHAIN: Secret(chain.text)}
    if successor is not None:
        secrets[REFRESH_TOKEN] = Secret(successor)
    elif case.rung == LOGIN or case.limits.contract.omitted is Omitted.DEAD:
        notes[REFRESH_TOKEN] = "omitted" if case.answer.get(REFRESH_TOKEN) in (None, "") else "unusable"
        secrets.pop(REFRESH_TOKEN, None)
    if case.rung == REFRESH and _logs_in_next(case, certificate, chain):
        secrets.pop(REFRESH_TOKEN, None)
    own = own_certificate(case.record)
    is_new = certificate is not None and (own is None or certificate.raw != own.raw)
    if certificate is not None and is_new:
        secrets[CERTIFICATE] = Secret(certificate.pem)
    _mark(case, secrets, certificate)
    old, intent = case.record.grant, case.intent
    grant = Grant(
        lineage=intent.candidate or (intent.flight if old is None else old.lineage),
        binding=case.limits.binding if old is None else old.binding,
        secrets=MappingProxyType(secrets),
        obtained=intent.sent,
        enrolled=intent.sent if old is None or is_new else old.enrolled,
        absolute_for=_life(case, certificate) if old is None or is_new else old.absolute_for,
    )
    return grant, frozenset(case.secrets) - frozenset(secrets)


def _logs_in_next(case: Case, certificate: Certificate | None, chain: Chain) -> bool:
    """Whether the next renewal is to be a login."""
    sent, life = case.intent.sent, lease_life(case.answer, case.reply, case.limits.contract)[0]
    is_due = is_past_half(certificate, sent) and not rests(case.secrets, sent)
    is_told = case.answer.get("relogin_required") is True
    return is_told or is_due or chain.is_over(case.limits, sent, life) or is_early(case.record.lease, sent, case.limits)


def _mark(case: Case, secrets: dict[str, Secret], certificate: Certificate | None) -> None:
    """Whether key and certificate need something done; a refresh leaves what a certificate needs to the next login."""
    wants = wants_upkeep(secrets, certificate, case.intent.sent)
    if wants and (case.rung == LOGIN or CANDIDATE_KEY in secrets):
        secrets.pop(CURRENT, None)
    elif case.rung == LOGIN and case.is_success:
        secrets.setdefault(CURRENT, Secret("0"))


def _life(case: Case, certificate: Certificate | None) -> float | None:
    return None if certificate is None else seconds_left(certificate, case.intent.sent)


def _stranger(case: Case) -> str | None:
    """Why the answer is not for us."""
    claims = claims_of(_token(case))
    named = (text(case.answer.get("aid")), text(claims.get("aid")), text(claims.get("sub")))
    is_other = any(name is not None and name != case.limits.aid for name in named)
    return "the answer is for another agent" if is_other else None


def _date(certificate: Certificate | None) -> str:
    if certificate is None:
        return ""
    return datetime.fromtimestamp(certificate.ends, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
