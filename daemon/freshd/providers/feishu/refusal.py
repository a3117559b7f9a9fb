"""Refusals of the platform: from a code to what it calls for.  One table for each family of endpoints.  Pure and total.

Rules
-----
* The number decides; the HTTP status only for 429, and for a 5xx whose number nobody knows.
* Only a code that judges the very secret that was presented makes it dead.  A wrong app secret, refreshing switched
  off, a frozen user, a policy: all of them leave the grant as it was.
* All codes for a refresh token that is no longer good are handled alike: which of them comes for a second use differs
  from report to report.  The exchange has read the record again under its lock before it sent, so nobody else has
  renewed it in the meantime.
* 20050 may come after the token was rotated.  So it settles nothing, and counts as a lost answer.
* The number of a step that was not taken (a code's, on a refresh) is as good as unknown.
* An unknown number keeps everything, ends the round and is told.  A word in `error` speaks where there is no number;
  beside an unknown one only a word that takes nothing away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from freshd.core.outcome import Judged, Rejected, Remedy, Unreadable
from freshd.providers.feishu.case import DEVICE, FINE, ISSUE, PRESENTS, REFRESH_V1, Case, log_id_of, pause_of
from freshd.providers.oauth2 import refusal as oauth2
from freshd.providers.oauth2.refusal import SHORTEST_SECRET, shown

HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}\.){1,4}[a-z]{2,10}")
"""A host name that may be shown; long labels might be something else."""
AGAIN_SECONDS: Final = 1.0
MOST_FIELDS: Final = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one code calls for.

    is_dead   the secret presented will never work again.  On a person's rung, where none is, that person is asked again
    is_open   nobody knows whether the secret was spent
    at        "R": it can come of a refresh, "X": of a person's step
    again     seconds to wait before each further try that is worth it, before the remedy
    hint      what an operator should know
    """

    remedy: Remedy
    at: str = "XR"
    is_dead: bool = False
    is_open: bool = False
    again: tuple[float, ...] = ()
    hint: str = ""


def _gone(at: str, hint: str = "") -> Verdict:
    return Verdict(Remedy.CLIMB, at, is_dead=True, hint=hint)


BUG: Final = Verdict(Remedy.BUG)
WAIT: Final = Verdict(Remedy.WAIT)
OPEN: Final = Verdict(Remedy.WAIT, is_open=True)
ASK: Final = Verdict(Remedy.PERSON, "X")
PAIR: Final = Verdict(Remedy.CONFIG, hint="app_id and app_secret do not fit each other, or not this brand")
OFF: Final = Verdict(Remedy.CONFIG, hint="the app is disabled, or not installed in the tenant")
USER: Final = Verdict(Remedy.CONFIG, hint="the user has left or is frozen: have that repaired, or enrol another")
POLICY: Final = Verdict(Remedy.CONFIG, "R", hint="a policy blocks it until a person has passed its challenge")
NO_APP: Final = Verdict(Remedy.CONFIG, hint="there is no such app on this brand's platform")
BRAND: Final = Verdict(Remedy.CONFIG, hint="the app belongs to the other brand")
OURS: Final = Verdict(Remedy.CONFIG, hint="the platform does not take the request as it is")
OTHER_APP: Final = Verdict(Remedy.CONFIG, hint="the token belongs to another app")
RENEW_APP: Final = Verdict(Remedy.UNAVAILABLE, "R", again=(AGAIN_SECONDS,), hint="the app's own token was refused")

EVERYWHERE: Final[Mapping[str, Verdict]] = {
    "99991400": WAIT,
    "99991543": PAIR,
    "99991662": OFF,
    "99991673": OFF,
}
NEWER: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **EVERYWHERE,
        "20001": BUG,
        "20002": PAIR,
        "20003": ASK,
        "20004": ASK,
        "20008": _gone("XR", "the user does not exist: enrol another"),
        "20009": OFF,
        "20010": Verdict(Remedy.CONFIG, hint="the user may not use the app: an administrator decides that"),
        "20024": OTHER_APP,
        "20026": _gone("R"),
        "20036": BUG,
        "20037": _gone("R", "expired, or 365 days are over"),
        "20048": NO_APP,
        "20049": Verdict(Remedy.BUG, "X"),
        "20050": OPEN,
        "20063": BUG,
        "20064": _gone("R"),
        "20065": ASK,
        "20066": USER,
        "20067": BUG,
        "20068": Verdict(Remedy.CONFIG, hint="a scope that the user did not grant"),
        "20069": OFF,
        "20070": BUG,
        "20071": Verdict(Remedy.CONFIG, "X", hint="redirect_uri is not the one of the authorization"),
        "20072": WAIT,
        "20073": _gone("R"),
        "20074": Verdict(
            Remedy.CONFIG,
            "R",
            hint="refreshing is switched off in the app's security settings: switch it on, publish a version",
        ),
        "20138": ASK,
        "21000": POLICY,
        "21001": POLICY,
    }
)
"""Token endpoint v3 and v2."""
OLDER: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **EVERYWHERE,
        "20001": BUG,
        "20002": PAIR,
        "20007": WAIT,
        "20008": _gone("R", "the user does not exist: enrol another"),
        "20009": OFF,
        "20013": RENEW_APP,
        "20014": RENEW_APP,
        "20021": USER,
        "20022": USER,
        "20023": USER,
        "20024": OTHER_APP,
        "20025": BUG,
        "20026": _gone("R"),
        "20028": PAIR,
        "20029": Verdict(Remedy.CONFIG, hint="the app's redirect address is not valid"),
        "20036": BUG,
        "20037": _gone("R", "expired"),
        "20038": _gone("R"),
        "20042": OFF,
        "20046": BRAND,
        "20050": OPEN,
        "99991663": RENEW_APP,
        "99991664": RENEW_APP,
    }
)
"""The refresh of v1, plain and OIDC."""
APP: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **EVERYWHERE,
        "10003": PAIR,
        "10014": PAIR,
        "20001": OURS,
        "20002": PAIR,
        "20009": OFF,
        "20028": PAIR,
        "20036": OURS,
        "20046": BRAND,
        "20048": NO_APP,
        "20050": WAIT,
        "20063": OURS,
        "20067": OURS,
        "20068": OURS,
        "20069": OFF,
        "20070": OURS,
        "20072": WAIT,
    }
)
"""App and tenant tokens: they can always be had again from the app's secret, so no refusal is the end of anything."""
HARMLESS: Final = frozenset({"invalid_client", "temporarily_unavailable"})
PENDING: Final = frozenset({"authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant"})
"""What a device flow answers in words, whatever number stands beside them."""


def refused(case: Case) -> Judged | None:
    """What the service's own no comes to; None where it said nothing."""
    verdict = _table(case).get(case.code or "")
    if verdict is not None and ("R" if case.rung in (*PRESENTS, ISSUE) else "X") in verdict.at:
        return _judged(case, verdict)
    word = oauth2.code_of(case.answer)
    if word is not None and (case.code in (None, FINE) or word.lower() in _speaking(case)):
        return _by_word(case, word)
    if case.code in (None, FINE):
        return None
    if case.reply.status >= 500:
        return Unreadable(f"an error page in JSON (status {case.reply.status})", gateway=case.reply.complete)
    return _unknown(case)


def detail_of(case: Case, *more: str) -> str:
    """Words for people, and the request id."""
    found = log_id_of(case.reply)
    told = [*more, f"log id {found}" if found is not None and is_clean(found, case) else ""]
    return "; ".join(part for part in told if part)


def is_clean(text: str, case: Case) -> bool:
    """Whether a text from outside holds none of our secrets."""
    held = {} if case.record.grant is None else case.record.grant.secrets
    lease = () if case.record.lease is None else (case.record.lease.token,)
    secrets = (secret.reveal() for secret in (*held.values(), *case.intent.material.values(), *lease))
    return not any(len(secret) >= SHORTEST_SECRET and secret in text for secret in secrets)


def slow_down(case: Case) -> Rejected:
    """Too many requests, whoever says so: nobody answers that after having done what was asked."""
    code = shown(case.code or "429", case)
    return Rejected(code, Remedy.WAIT, pause_of(case.reply), detail=detail_of(case), dead=frozenset())


def _table(case: Case) -> Mapping[str, Verdict]:
    return APP if case.rung == ISSUE else OLDER if case.rung == REFRESH_V1 else NEWER


def _judged(case: Case, verdict: Verdict) -> Judged:
    code, detail = case.code or "", detail_of(case, verdict.hint, *_challenge(case, verdict))
    if verdict.is_open:
        return Unreadable(detail_of(case, f"the service says {code}, which may come after the spend"))
    remedy, presented = verdict.remedy, PRESENTS.get(case.rung)
    if verdict.is_dead and presented is None:
        remedy = Remedy.PERSON
    dead = frozenset({presented}) if verdict.is_dead and presented is not None else frozenset[str]()
    return Rejected(code, remedy, pause_of(case.reply), detail=detail, dead=dead, again=verdict.again)


def _challenge(case: Case, verdict: Verdict) -> Iterator[str]:
    """Where a person passes the challenge: the host alone, for the rest of the address is for that person's eyes."""
    given = case.answer.get("challenge_url")
    if verdict is not POLICY or not isinstance(given, str):
        return
    try:
        parts = urlsplit(given.strip(" `"))
        host = parts.hostname or ""
    except ValueError:
        return
    if parts.scheme == "https" and HOST.fullmatch(host) and is_clean(host, case):
        yield f"challenge at {host}"


def _speaking(case: Case) -> frozenset[str]:
    return HARMLESS | PENDING if case.rung == DEVICE else HARMLESS


def _by_word(case: Case, word: str) -> Judged:
    if word.lower() == "server_error":
        return Unreadable(detail_of(case, "the service says server_error, which may come after the spend"))
    judged = oauth2.refused(case, word)
    if not isinstance(judged, Rejected):
        return judged
    pause = max((wait for wait in (judged.retry_after, pause_of(case.reply)) if wait is not None), default=None)
    presented = PRESENTS.get(case.rung)
    dead = {presented} if judged.remedy is Remedy.CLIMB and presented is not None else set[str]()
    return replace(judged, retry_after=pause, dead=frozenset(dead), detail=detail_of(case, judged.detail))


def _unknown(case: Case) -> Rejected:
    names = ", ".join(sorted(shown(name, case) for name in case.answer)[:MOST_FIELDS])
    detail = detail_of(case, f"unknown code; status {case.reply.status}, fields: {names}")
    return Rejected(
        shown(case.code or "", case), Remedy.WAIT, pause_of(case.reply), known=False, detail=detail, dead=frozenset()
    )
