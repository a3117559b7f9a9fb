"""Reading what concerns key and certificate: what was issued to us, and what is registered.  Pure and total.

Rules
-----
* A certificate that is not ours and proven (`issued`) is not taken; the keys stay as they are.
* No key is let go of before another one is registered: a new key whose registration was never answered stays until the
  registered one is it, or until nothing of that call can be under way any more.
* Only a renewal for its own sake leaves the refresh token.  Whatever else changes key or certificate was done because
  tokens were refused, in doubt, or may have ended with the older key: a login follows.
* What is registered under another key than ours is somebody else's: a person must look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.age import age
from freshd.core.model import Change, Grant, Lease, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy
from freshd.providers.aun.case import (
    CANDIDATE_KEY,
    CANDIDATE_SINCE,
    CERTIFICATE,
    CHAIN,
    CURRENT,
    PRIVATE_KEY,
    REFRESH_TOKEN,
    REKEY,
    RENEW,
    SETTLE,
    Case,
    held,
)
from freshd.providers.aun.certificate import Certificate, certificate_of
from freshd.providers.aun.issued import not_ours, wrong_with
from freshd.providers.aun.life import is_upkeep, own_certificate, seconds_left
from freshd.providers.aun.refusal import refused, resting
from freshd.providers.aun.side import registered_in
from freshd.providers.aun.unknowns import IN_FLIGHT_SECONDS, KEEPS_TOKENS
from freshd.providers.form import number
from freshd.providers.oauth2.refusal import unreadable

LOOK_AGAIN_SECONDS: Final = 60.0
ANYTIME: Final = Secret("0")
TOKENS: Final = (REFRESH_TOKEN, CHAIN)
NEW_KEY: Final = (CANDIDATE_KEY, CANDIDATE_SINCE)


def read_issued(case: Case) -> Judged:
    """The answer to a renewal, to a change of the key, or to a registration."""
    if not case.is_success:
        said = refused(case)
        if said is not None:
            return said
        why = case.foreign or "a frame that was cut"
        return resting(case, "no-certificate", why) if case.rung == RENEW else unreadable(case.reply, why)
    key = held(case.secrets, CANDIDATE_KEY if case.rung == REKEY else PRIVATE_KEY)
    one = certificate_of(case.answer.get("cert") or case.answer.get("cert_pem"))
    wrong = wrong_with(one, case.limits.aid, key, case.intent)
    if wrong is not None or one is None:
        return resting(case, "certificate-unusable", f"the certificate that came is {wrong}")
    if is_upkeep(case.rung, case.record, case.intent):
        return _changed(case, {**case.secrets, CERTIFICATE: Secret(one.pem), CURRENT: ANYTIME}, one)
    return _founded(case, key, one)


def read_registered(case: Case) -> Judged:
    """What is registered for the agent, compared with the keys in hand."""
    said = registered_in(case.reply)
    if said.why is not None:
        detail = "what is registered for the agent could not be read"
        if is_upkeep(case.rung, case.record, case.intent):
            return resting(case, "certificate-unknown", detail)
        return Rejected("certificate-unknown", Remedy.WAIT, LOOK_AGAIN_SECONDS, detail=detail, dead=frozenset())
    one, aid = said.certificate, case.limits.aid
    if one is None:
        return Rejected("not-registered", Remedy.PERSON, detail="the agent is not registered", dead=frozenset())
    for name in (CANDIDATE_KEY, PRIVATE_KEY):
        key = held(case.secrets, name)
        if not_ours(one, aid, key) is None:
            is_theirs_still = name == PRIVATE_KEY and case.rung == SETTLE
            return _kept(case, one) if is_theirs_still else _founded(case, key, one)
    detail = "another key is registered for the agent than the one in hand"
    return Rejected("other-key", Remedy.PERSON, detail=detail, dead=frozenset())


def _kept(case: Case, registered: Certificate) -> Judged:
    """The older key is registered still.

    With the marker in hand a refused login led here: the ladder goes on downwards.  Without it nobody waits, and the
    new key stays for as long as its registration may still come to pass.
    """
    if CURRENT in case.secrets and case.intent.candidate is None:
        detail = "the older key is registered still"
        return Rejected("older-key", Remedy.CLIMB, detail=detail, dead=frozenset())
    sent = case.intent.sent
    since = number(held(case.secrets, CANDIDATE_SINCE))
    own = own_certificate(case.record)
    newer = registered if own is None or registered.ends > own.ends else own
    secrets = {**case.secrets, CERTIFICATE: Secret(newer.pem)}
    if since is None or sent.wall - since >= IN_FLIGHT_SECONDS:
        secrets = {name: secret for name, secret in secrets.items() if name not in NEW_KEY}
        return _changed(case, {**secrets, CURRENT: ANYTIME}, newer)
    until = min(since + IN_FLIGHT_SECONDS, sent.wall + IN_FLIGHT_SECONDS)
    return _changed(case, {**secrets, CURRENT: Secret(f"{until:.0f}")}, newer)


def _founded(case: Case, key: str | None, one: Certificate) -> Judged:
    """Key and certificate that belong together begin a lineage of their own; the lease in hand stays."""
    gone = () if case.rung == RENEW else NEW_KEY  # a renewed certificate says nothing of a new key's registration
    gone = gone if KEEPS_TOKENS else (*gone, *TOKENS)
    secrets = {name: secret for name, secret in case.secrets.items() if name not in gone}
    fresh = {PRIVATE_KEY: Secret(key or ""), CERTIFICATE: Secret(one.pem), CURRENT: ANYTIME}
    return _changed(case, {**secrets, **fresh}, one)


def _changed(case: Case, secrets: Mapping[str, Secret], one: Certificate) -> Judged:
    old, intent = case.record.grant, case.intent
    if intent.candidate is not None or intent.earlier:  # what is in doubt must not pass for good
        secrets = {name: secret for name, secret in secrets.items() if name not in TOKENS}
    grant = Grant(
        lineage=intent.candidate or (intent.flight if old is None else old.lineage),
        binding=case.limits.binding if old is None else old.binding,
        secrets=MappingProxyType(dict(secrets)),
        obtained=intent.sent,
        enrolled=intent.sent,
        absolute_for=seconds_left(one, intent.sent),
    )
    drop = frozenset(case.secrets) - frozenset(secrets)
    return Answered((Change(case.record.account, grant, _lease(case), drop),))


def _lease(case: Case) -> Lease | None:
    """The lease in hand goes over into a new lineage: nothing says that it ended."""
    lease, sent = case.record.lease, case.intent.sent
    if case.intent.candidate is None or lease is None or age(lease.sent, sent).seconds >= lease.valid_for:
        return None
    return replace(lease, generation=case.intent.generation + 1)
