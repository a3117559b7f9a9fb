"""Reading the answer to a platform login, however it came about: refresh, device check, third factor.  Pure and total.

Rules
-----
* What came is kept, whatever else is missing: ticket, signature and codes are judged each for itself (I3).
* The ticket is renewed by `tgtgt_new` only, and its key with it.  A key that is not 32 bytes replaces none that is.
* A device signature that does not come is kept; a web signature that does not come is forgotten, for the login has
  voided the old one.
* Codes go to the brokers of the family in the same commit, each into a lineage of its own; a code of a broker that is
  not configured, or a useless one, is told of.
* An answer for another account is set aside under a lineage of its own: ours keeps the ticket it has.
* Which of two keys the signature's own key is sealed with is not known where the key has changed: readers get both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from freshd.core.model import Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Reply
from freshd.providers.form import Foreign, text
from freshd.providers.futu.broker_read import Fresh, stock
from freshd.providers.futu.case import (
    AUTH_CODE,
    DEVICE_SIG,
    MOOMOO_WEB_SIG,
    RAND_KEY,
    STEPS,
    TICKET,
    UID,
    WEB_SIG,
    BrokerTerms,
    Terms,
    lineage_of,
    uid_of,
)
from freshd.providers.futu.envelope import Refused, opened
from freshd.providers.futu.life import clock_off, code_life, service_time, signature_life, whole
from freshd.providers.futu.refusal import refused, slow_down, unreadable
from freshd.providers.futu.sealed import KEY_BYTES, is_key, is_sealed

MOOMOO: Final = ("moomoo_client_sig", "moomoo_client_key")
"""Came with overseas accounts; what they are for is not known, so readers get them as they are."""


@dataclass(frozen=True, slots=True)
class Case:
    """One success with everything that it is read against."""

    record: Record
    intent: Intent
    reply: Reply
    terms: Terms
    result: Mapping[str, Any]

    @property
    def now(self) -> float:
        """The service's own time."""
        return service_time(self.result, self.reply, self.intent)


def read(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Judged:
    """Judge a reply of the platform."""
    said = opened(reply)
    if isinstance(said, Foreign):
        return slow_down(reply) if reply.status == 429 and reply.complete else unreadable(reply, said)
    if isinstance(said, Refused):
        return refused(rung, record, intent, reply, said)
    return _answered(Case(record, intent, reply, terms, said.fields))


def _answered(case: Case) -> Judged:
    notes: dict[str, str] = {}
    lease = _lease(case, notes)
    codes = tuple(_codes(case, notes))
    renews = text(case.result.get("tgtgt_new")) is not None
    if lease is None and not codes and not renews and text(case.result.get("web_sig_new")) is None:
        return unreadable(case.reply, "a success that brings nothing")
    grant = _grant(case, notes)
    off = clock_off(case.now, case.intent)
    if off is not None:
        notes["clock"] = off
    told, known = whole(case.result.get("uid")), uid_of(case.record)
    if told and known and told != known:
        return Answered((_set_aside(case, grant, lease, codes, told),), {"uid": "another account's"})
    if told is None:
        notes["uid"] = "omitted"
    forgotten = STEPS if case.record.grant is None else STEPS & frozenset(case.record.grant.secrets)
    dropped = forgotten if WEB_SIG in grant.secrets else forgotten | {WEB_SIG}
    change = Change(case.record.account, grant, lease, dropped)
    return Answered(
        (change, *(_stocked(case, broker, code, life, grant) for broker, code, life in codes)), _frozen(notes)
    )


def _grant(case: Case, notes: dict[str, str]) -> Grant:
    """The ticket after this login, with what belongs to it."""
    old, intent = case.record.grant, case.intent
    secrets = _secrets(case, notes)
    ticket = text(case.result.get("tgtgt_new"))
    if ticket is None:
        notes["tgtgt_new"] = "missing, so the ticket in hand goes on"
    else:
        secrets |= {TICKET: Secret(ticket), **_new_key(case, notes)}
    kept = old if ticket is None else None
    binding, number = case.terms.binding if old is None else old.binding, secrets.get(UID)
    return Grant(
        lineage=intent.candidate or lineage_of(case.record, intent),
        binding=binding if number is None else replace(binding, subject=number.reveal()),
        secrets=MappingProxyType(secrets),
        obtained=intent.sent if kept is None else kept.obtained,
        enrolled=intent.sent if old is None or intent.candidate is not None else old.enrolled,
        valid_for=None if kept is None else kept.valid_for,
        absolute_for=None if old is None else old.absolute_for,
    )


def _secrets(case: Case, notes: dict[str, str]) -> dict[str, Secret]:
    """What is held beside ticket and key: kept, replaced, or forgotten."""
    old, given = case.record.grant, case.result
    secrets = {} if old is None else {name: one for name, one in old.secrets.items() if name not in {*STEPS, WEB_SIG}}
    for name, key in ((DEVICE_SIG, "device_sig_new"), (WEB_SIG, "web_sig_new"), (MOOMOO_WEB_SIG, "moomoo_web_sig_new")):
        value = text(given.get(key))
        if value is not None:
            secrets[name] = Secret(value)
    if WEB_SIG not in secrets:
        notes["web_sig_new"] = "missing, so no code can be asked for before the next login"
    told = whole(given.get("uid"))
    if told and not uid_of(case.record):
        secrets[UID] = Secret(str(told))
    return secrets


def _new_key(case: Case, notes: dict[str, str]) -> Mapping[str, Secret]:
    given = case.result.get("rand_key_new")
    if is_key(given):
        return {RAND_KEY: Secret(str(given))}
    if given not in (None, ""):
        notes["rand_key_new"] = f"not {KEY_BYTES} bytes, so the key in hand goes on"
    return {}


def _lease(case: Case, notes: dict[str, str]) -> Lease | None:
    """What logs in at the platform's own connection."""
    signature, key = case.result.get("client_sig"), case.result.get("client_key")
    if not (is_sealed(signature) and is_sealed(key)):
        notes["client_sig"] = "missing or unusable, or its key is"
        return None
    life, odd = signature_life(case.result.get("cltsig_invalidtime"), case.terms.contract)
    if odd is not None:
        notes["cltsig_invalidtime"] = odd
    more = {"client_key": Secret(str(key)), **_keys(case)}
    more |= {name: Secret(str(case.result[name])) for name in MOOMOO if is_sealed(case.result.get(name))}
    uid = whole(case.result.get("uid")) or uid_of(case.record)
    fields = MappingProxyType({"uid": str(uid)} if uid else {})
    generation = case.intent.generation + 1
    return Lease(case.record.account, generation, Secret(str(signature)), case.intent.sent, life, fields, _frozen(more))


def _keys(case: Case) -> Mapping[str, Secret]:
    """The key in force, and the one before where it has changed."""
    before = None if case.record.grant is None else case.record.grant.secrets.get(RAND_KEY)
    given = case.result.get("rand_key_new")
    new = Secret(str(given)) if is_key(given) else before
    if new is None:
        return {}
    return {RAND_KEY: new} if before is None or before == new else {RAND_KEY: new, "rand_key_before": before}


def _codes(case: Case, notes: dict[str, str]) -> Iterator[tuple[BrokerTerms, Secret, float]]:
    """The codes for brokers of the family; of two for the same broker, the one that lives longer."""
    brokers = {broker.broker_id: broker for broker in case.terms.brokers}
    listed = case.result.get("auth_code_list")
    found: dict[int, tuple[Secret, float]] = {}
    for item in listed if isinstance(listed, list) else []:
        number = whole(item.get("broker_id")) if isinstance(item, dict) else None
        if number is None:
            notes["auth_code_list"] = "an entry without a broker"
        elif number not in brokers:
            notes[f"auth_code of {number}"] = "not kept: that broker is not configured"
        else:
            code, life = text(item.get("auth_code")), code_life(item.get("invalid_time"), case.now)
            if code is None or life is None:
                notes[f"auth_code of {number}"] = "unusable: empty, or over"
            elif number not in found or found[number][1] < life:
                found[number] = (Secret(code), life)
    if listed is not None and not isinstance(listed, list):
        notes["auth_code_list"] = "no list"
    yield from ((brokers[number], *kept) for number, kept in found.items())


def _stocked(case: Case, broker: BrokerTerms, code: Secret, life: float, above: Grant) -> Change:
    """What a broker of the family gets of this login."""
    record = case.record.kin.get(broker.account, Record(broker.account))
    lineage = record.lineage or f"{case.intent.flight}-{broker.broker_id}"
    return stock(record, broker, Fresh(code, life, case.intent.sent), lineage, above)


def _set_aside(
    case: Case, grant: Grant, lease: Lease | None, codes: tuple[tuple[BrokerTerms, Secret, float], ...], told: int
) -> Change:
    """All that came for another account, under a lineage of its own, so that ours is not replaced."""
    theirs = {f"{AUTH_CODE} of {broker.broker_id}": code for broker, code, _ in codes}
    apart = replace(
        grant,
        lineage=case.intent.candidate or case.intent.flight,
        binding=replace(grant.binding, subject=str(told)),
        secrets=MappingProxyType({**grant.secrets, **theirs, UID: Secret(str(told))}),
    )
    return Change(case.record.account, apart, lease, withheld="the answer is for another account")


def _frozen(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(found))
