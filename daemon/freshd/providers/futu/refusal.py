"""Refusals: the one table from the codes of platform and brokers to what they call for.  Pure and total.

Rules
-----
* A code means what it means in the operation that it was met in; one that stands in no table keeps every secret, stops
  the round and alerts.
* What a refusal brings for a person's next step is kept; what an older one had brought for another step is dropped.
* 20 is a branch and no failure, and no reason for another login: that one would be refused as abuse.
* Only codes and names of fields are told of what came.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freshd.core.model import Intent, Record, Secret
from freshd.core.outcome import Rejected, Remedy, Reply, Unreadable
from freshd.providers.form import retry_after, text
from freshd.providers.futu.case import (
    AUTH_CODE,
    BROKER_AUTH,
    DEVICE_CHECK,
    DEVICE_STEP,
    DEVICE_VERIFY,
    DEVICE_VERIFY_AT,
    LOGIN_AGAIN,
    PHONE_NO,
    REFRESH,
    REPULL,
    THIRD_FACTOR,
    THIRD_STEP,
    THIRD_VERIFY,
    THIRD_VERIFY_AT,
    UID,
    WRONG_CODES,
    held,
    uid_of,
)
from freshd.providers.futu.envelope import Refused
from freshd.providers.futu.life import whole
from freshd.providers.oauth2.refusal import CODE, SHORTEST_SECRET

WRONG_ACCOUNT: Final = 2
WRONG_HOST: Final = 11
LOGGED_OUT: Final = 15
DEVICE: Final = 20
WRONG_CODE: Final = 21
THIRD: Final = 33
TOO_OLD: Final = 45
NO_CID: Final = 20029
AGAIN_SECONDS: Final = 90.0
"""After 15: users are told to wait a minute; this much is surely one."""
ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        WRONG_ACCOUNT: "account and ticket do not belong together; also: the other of the two platforms (attribution), "
        "or a phone not written +COUNTRY-NUMBER",
        WRONG_HOST: "shown to people as a captcha; really the wrong host for the account's region (attribution, "
        "auth_url), or a device field that the service wants otherwise",
        LOGGED_OUT: "look, in this order, for: another program with this device id; logins in too quick a row; an "
        "account that wants a login in the vendor's app; a device id spoilt by wrong codes; a hold on the account",
        DEVICE: "the service wants this device checked: an SMS may be on its way already, and each new login voids "
        "the last one",
        WRONG_CODE: "the code is wrong or too old; several in a row can spoil the device id for good",
        THIRD: "the service wants a third factor",
        TOO_OLD: "the client's version is too low for the service: client_version",
        NO_CID: "the service knows no valid customer id for this broker",
    }
)
PLATFORM: Final[Mapping[int, Remedy]] = MappingProxyType(
    {
        WRONG_ACCOUNT: Remedy.PERSON,
        WRONG_HOST: Remedy.CONFIG,
        LOGGED_OUT: Remedy.PERSON,
        DEVICE: Remedy.PERSON,
        THIRD: Remedy.PERSON,
        TOO_OLD: Remedy.CONFIG,
    }
)
PERSONS: Final[Mapping[int, Remedy]] = MappingProxyType({**PLATFORM, WRONG_CODE: Remedy.PERSON})
KNOWN: Final[Mapping[str, Mapping[int, Remedy]]] = MappingProxyType(
    {
        REFRESH: PERSONS,
        LOGIN_AGAIN: PERSONS,
        DEVICE_CHECK: PERSONS,
        THIRD_FACTOR: PERSONS,
        REPULL: MappingProxyType({NO_CID: Remedy.RESET}),
        BROKER_AUTH: MappingProxyType({}),
    }
)
STRANGE: Final = "a code that no table of ours has"


def refused(rung: str, record: Record, intent: Intent, reply: Reply, said: Refused) -> Rejected | Unreadable:
    """What a refusal calls for."""
    remedy = KNOWN[rung].get(said.code) if rung in KNOWN else None
    if remedy is None and reply.status >= 500:
        return Unreadable(f"an error page in JSON (status {reply.status})", gateway=True)
    if rung == BROKER_AUTH:
        return _spent_in_vain(record, intent, reply, said)
    if remedy is None:
        return _unknown(rung, record, intent, reply, said)
    keep, drop = _brought(record, intent, said)
    return Rejected(
        str(said.code), remedy, retry_after(reply), drop=drop, detail=ADVICE[said.code], dead=frozenset(), keep=keep,
        again=(AGAIN_SECONDS,) if (rung, said.code) == (REFRESH, LOGGED_OUT) else (),
    )  # fmt: skip


def slow_down(reply: Reply) -> Rejected:
    """429, whoever says it: nobody answers so after having done what was asked."""
    return Rejected("429", Remedy.WAIT, retry_after(reply), dead=frozenset())


def unreadable(reply: Reply, reason: str) -> Unreadable:
    """Not the service's own word."""
    is_refusal = reply.complete and reply.status >= 300
    return Unreadable(f"{reason} (status {reply.status})", is_refusal, retry_after(reply) if is_refusal else None)


def _spent_in_vain(record: Record, intent: Intent, reply: Reply, said: Refused) -> Rejected:
    """At a broker any refusal proves the code useless: expired, spent, or for somebody else.  A new one is the way."""
    code, detail = _shown(str(said.code), record, intent), _names(record, intent, reply, said)
    dead = frozenset({AUTH_CODE})
    return Rejected(code, Remedy.CLIMB, retry_after(reply), detail=f"the code is useless; {detail}", dead=dead)


def _unknown(rung: str, record: Record, intent: Intent, reply: Reply, said: Refused) -> Rejected:
    """At the platform: wait.  For a new code: only a login brings the signature that may have been refused."""
    remedy = Remedy.CLIMB if rung == REPULL else Remedy.WAIT
    detail = f"{STRANGE}; {_names(record, intent, reply, said)}"
    code = _shown(str(said.code), record, intent)
    return Rejected(code, remedy, retry_after(reply), known=False, detail=detail, dead=frozenset())


def _brought(record: Record, intent: Intent, said: Refused) -> tuple[Mapping[str, Secret], frozenset[str]]:
    """What a person's next step needs, and what it makes void.  Nothing of somebody else's is kept."""
    if said.code == WRONG_CODE:
        return {WRONG_CODES: Secret(str((whole(held(record, WRONG_CODES)) or 0) + 1))}, frozenset()
    mine, theirs = uid_of(record), whole(said.extra.get("uid"))
    signature = text(said.extra.get(DEVICE_VERIFY if said.code == DEVICE else THIRD_VERIFY))
    if said.code not in (DEVICE, THIRD) or signature is None or (mine and theirs and mine != theirs):
        return {}, frozenset()
    at = Secret(str(max(0, int(intent.sent.wall))))
    named = {UID: Secret(str(theirs))} if theirs and not mine else {}
    if said.code == THIRD:
        return {THIRD_VERIFY: Secret(signature), THIRD_VERIFY_AT: at, **named}, DEVICE_STEP
    phone = text(said.extra.get("phone_no"))
    told = {} if phone is None else {PHONE_NO: Secret(phone)}
    return {DEVICE_VERIFY: Secret(signature), DEVICE_VERIFY_AT: at, **told, **named}, THIRD_STEP


def _names(record: Record, intent: Intent, reply: Reply, said: Refused) -> str:
    names = sorted(str(name) for name in said.extra)[:16]
    return f"status {reply.status}, fields: {', '.join(_shown(name, record, intent) for name in names)}"


def _shown(word: str, record: Record, intent: Intent) -> str:
    """A name from the reply that can be shown: short, of harmless characters, and no secret of the family."""
    grants = (one.grant for one in (record, *record.kin.values()) if one.grant is not None)
    secrets: list[Any] = [secret for grant in grants for secret in grant.secrets.values()]
    values = (secret.reveal() for secret in (*secrets, *intent.material.values()))
    hides = any(len(value) >= SHORTEST_SECRET and value in word for value in values)
    return word if CODE.fullmatch(word) is not None and not hides else "(not shown)"
