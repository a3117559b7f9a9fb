"""Reading the two answers about a broker: a new code from the platform, a lease from the broker.  Pure and total.

Rules
-----
* A new code counts if it is not empty, has a life, and is for the account and the broker that were asked for.  One for
  another account is set aside; one for another broker, and every success that lacks something, acts as a lost answer.
* 20029 forgets the lease, and a code in stock with it: both belong to the customer id that is not valid any more.
* A code is spent by its answer, whatever that is, and goes with the same commit that brings the lease.
* A lease is signature and key; a customer id that does not come stays as it was, and where none was, that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from freshd.core.contract import Contract
from freshd.core.model import Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, Reply
from freshd.providers.form import Foreign, text
from freshd.providers.futu import unknowns
from freshd.providers.futu.case import (
    AUTH_CODE,
    BROKER_AUTH,
    DEVICE_ID,
    RAND_KEY,
    REPULL,
    UID,
    WEB_SIG,
    BrokerTerms,
    lineage_of,
    uid_of,
)
from freshd.providers.futu.envelope import Refused, opened
from freshd.providers.futu.life import clock_off, code_life, service_time, signature_life, whole
from freshd.providers.futu.refusal import refused, slow_down, unreadable
from freshd.providers.futu.sealed import is_sealed


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new code.  `life`: seconds from `sent` on."""

    code: Secret
    life: float
    sent: Moment


def read_repull(record: Record, intent: Intent, reply: Reply, broker: BrokerTerms, platform: Record) -> Judged:
    """Judge the platform's answer to a request for a new code."""
    result = _result(REPULL, record, intent, reply)
    if not isinstance(result, Mapping):
        return result
    now = service_time(result, reply, intent)
    code, life = text(result.get(AUTH_CODE)), code_life(result.get("invalid_time"), now)
    if code is None or life is None:
        return unreadable(reply, "a success without a code, or with one that is over")
    if whole(result.get("broker_id")) != broker.broker_id:
        return unreadable(reply, "a code for another broker, or for none that is named")
    told = whole(result.get("uid"))
    if told is None:
        return unreadable(reply, "a code for an account that is not named")
    new = Fresh(Secret(code), life, intent.sent)
    if told != uid_of(platform):
        apart = stock(Record(record.account), broker, new, intent.flight, platform.grant)
        change = Change(record.account, apart.grant, apart.lease, withheld="the code is for another account")
        return Answered((change,), {"uid": "another account's"})
    off = clock_off(now, intent)
    change = stock(record, broker, new, lineage_of(record, intent), platform.grant)
    return Answered((change, *_signed_anew(result, platform)), {} if off is None else {"clock": off})


def read_auth(
    record: Record, intent: Intent, reply: Reply, broker: BrokerTerms, contract: Contract, platform: Record
) -> Judged:
    """Judge a broker's answer to its code."""
    result = _result(BROKER_AUTH, record, intent, reply)
    if not isinstance(result, Mapping):
        return result
    signature, key = _first(result, unknowns.BROKER_SIGNATURES), _first(result, unknowns.BROKER_KEYS)
    if signature is None or key is None:
        return unreadable(reply, "a success without signature or key")
    notes: dict[str, str] = {}
    customer = _customer(result, record, notes)
    life, odd = signature_life(result.get("cltsig_invalidtime"), contract)
    if odd is not None:
        notes["cltsig_invalidtime"] = odd
    fields = {"broker_id": str(broker.broker_id), UID: str(uid_of(platform)), **customer}
    more = {"broker_client_key": Secret(key)}
    rand_key = None if platform.grant is None else platform.grant.secrets.get(RAND_KEY)
    more |= {} if rand_key is None else {RAND_KEY: rand_key}
    lease = Lease(
        record.account, intent.generation + 1, Secret(signature), intent.sent, life, MappingProxyType(fields),
        MappingProxyType(more),
    )  # fmt: skip
    change = Change(record.account, _emptied(record, intent, broker), lease, frozenset({AUTH_CODE}))
    return Answered((change,), MappingProxyType(notes))


def stock(record: Record, broker: BrokerTerms, new: Fresh, lineage: str, above: Grant | None) -> Change:
    """A new code of a broker: kept for the next lease, or handed out as one with what spending it takes.

    `above`: the platform's grant.
    """
    began = new.sent if record.grant is None else record.grant.enrolled
    if not broker.hands_out:
        grant = Grant(lineage, broker.binding, {AUTH_CODE: new.code}, new.sent, began, new.life)
        return Change(record.account, grant)
    secrets = {} if above is None else above.secrets
    fields = {"broker_id": str(broker.broker_id), **({UID: secrets[UID].reveal()} if UID in secrets else {})}
    more = {name: secrets[name] for name in (DEVICE_ID, RAND_KEY) if name in secrets}
    lease = Lease(
        record.account, record.generation + 1, new.code, new.sent, new.life, MappingProxyType(fields),
        MappingProxyType(more),
    )  # fmt: skip
    return Change(record.account, Grant(lineage, broker.binding, {}, new.sent, began), lease)


def _result(rung: str, record: Record, intent: Intent, reply: Reply) -> Mapping[str, Any] | Judged:
    """The fields of a success, else what the reply comes to."""
    said = opened(reply)
    if isinstance(said, Foreign):
        return slow_down(reply) if reply.status == 429 and reply.complete else unreadable(reply, said)
    return refused(rung, record, intent, reply, said) if isinstance(said, Refused) else said.fields


def _signed_anew(result: Mapping[str, Any], platform: Record) -> tuple[Change, ...]:
    """A web signature beside the code: nobody expects one, and if one comes the old one may be worthless."""
    new = text(result.get("web_sig_new"))
    if new is None or platform.grant is None:
        return ()
    secrets = MappingProxyType({**platform.grant.secrets, WEB_SIG: Secret(new)})
    return (Change(platform.account, replace(platform.grant, secrets=secrets), adds=True),)


def _emptied(record: Record, intent: Intent, broker: BrokerTerms) -> Grant:
    """The grant once its code is spent: nothing that could end."""
    old = record.grant
    secrets = {} if old is None else {name: one for name, one in old.secrets.items() if name != AUTH_CODE}
    began = intent.sent if old is None else old.enrolled
    return Grant(lineage_of(record, intent), broker.binding, secrets, intent.sent, began)


def _customer(result: Mapping[str, Any], record: Record, notes: dict[str, str]) -> Mapping[str, str]:
    """Who the account is at the broker; as it was before where the answer does not say."""
    told = whole(result.get("customer_id"))
    known = None if record.lease is None else record.lease.fields.get("customer_id")
    if not told:
        notes["customer_id"] = "missing" if known is None else "omitted"
    found = str(told) if told else known
    return {} if found is None else {"customer_id": found}


def _first(result: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(result[name]) for name in names if is_sealed(result.get(name))), None)
