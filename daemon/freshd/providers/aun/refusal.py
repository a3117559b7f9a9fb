"""Refusals: from a code to what it calls for, one table for refreshes and one for what is signed with the key.  Pure.

Rules
-----
* Only a code that judges the refresh token makes it dead.  No refusal makes key or certificate dead: they are kept.
* A refresh that ended in trouble at the service may have rotated the token, so it settles nothing: it counts as a lost
  answer, and the login that follows costs nothing.
* A login that is refused is made once more with a new first half; then the account stops and alerts.  But where a new
  key's registration was never answered, or the certificate is over, the reason is known: the ladder goes on downwards.
* What a renewal of the certificate for its own sake comes to stops nothing else: it rests, and is tried again.
* What did not prove true of the service parks the account and is looked at again after a while: an attack, a wrong
  clock and a new root look alike from here.
* An unknown code keeps everything, ends the round and is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from freshd.core.model import Secret
from freshd.core.outcome import Judged, Rejected, Remedy, Unreadable
from freshd.core.pace import RETRY_AFTER_CAP
from freshd.providers.aun.case import CANDIDATE_KEY, CURRENT, LOGIN, REFRESH, REFRESH_TOKEN, RENEW, UNREACHED, Case
from freshd.providers.aun.life import is_upkeep, own_certificate
from freshd.providers.aun.unknowns import HANDLER_TIMEOUT, RENEWABLE_SECONDS
from freshd.providers.form import number
from freshd.providers.oauth2.refusal import shown

AGAIN: Final = (1.0,)
"""One further try, with everything made anew."""
REST_SECONDS: Final = 3600.0
"""How long a certificate that could not be renewed waits before it is tried again."""
TROUBLE: Final = range(5000, 6000)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one code calls for.

    is_dead  the refresh token presented will never work again
    is_open  nobody knows whether the service acted
    again    seconds to wait before each further try, before the remedy
    by_key   what the registered key or certificate may explain: see the rules
    hint     what an operator should know
    """

    remedy: Remedy
    is_dead: bool = False
    is_open: bool = False
    again: tuple[float, ...] = ()
    by_key: bool = False
    hint: str = ""


BUG: Final = Verdict(Remedy.BUG, hint="the gateway does not take the request as it is: another version?")
VERSION: Final = Verdict(Remedy.BUG, hint="the gateway speaks no version of the protocol that freshd does")
NONCE: Final = Verdict(Remedy.UNAVAILABLE, again=AGAIN, hint="the gateway refuses what was begun a moment ago")
DENIED: Final = Verdict(Remedy.CONFIG, hint="the issuer does not allow it")
SESSION: Final = Verdict(Remedy.UNAVAILABLE, again=AGAIN, hint="the gateway is not ready for it")
WAIT: Final = Verdict(Remedy.WAIT)
OPEN: Final = Verdict(Remedy.WAIT, is_open=True)
CONFLICT: Final = Verdict(Remedy.PERSON, by_key=True, hint="another key is registered for the agent")
GONE: Final = Verdict(Remedy.CLIMB, is_dead=True)
LOGIN_TELLS: Final = Verdict(Remedy.CLIMB)
HALT: Final = Verdict(Remedy.CONFIG, again=AGAIN, by_key=True, hint="key and certificate do not convince the issuer")
STALE: Final = Verdict(Remedy.CLIMB, again=AGAIN, hint="the issuer does not take the certificate, or the nonce")
NOBODY: Final = Verdict(Remedy.PERSON, by_key=True, hint="the issuer does not know the agent")
REVOKED: Final = Verdict(Remedy.PERSON, by_key=True, hint="the certificate is revoked")

_BOTH: Final[Mapping[str, Verdict]] = {
    **dict.fromkeys(("4000", "-32600", "-32601", "-32602", "-32700"), BUG),
    "-32000": VERSION,
    "4010": NONCE,
    **dict.fromkeys(("-32004", "4030", "403"), DENIED),
    **dict.fromkeys(("-32010", "-32011", "-32013"), SESSION),
    **dict.fromkeys(("-32029", "4290", "429", "-32429"), WAIT),
    "4090": CONFLICT,
    "-32050": REVOKED,
}
REFRESHED: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **_BOTH,
        **dict.fromkeys(("4001", "401", "-32001", "-32005"), GONE),
        **dict.fromkeys(("-32002", "-32003", "-32008", "4040", "404"), LOGIN_TELLS),
        **dict.fromkeys(("-32603", "4500"), OPEN),
    }
)
"""What a refresh is refused with."""
SIGNED: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **_BOTH,
        **dict.fromkeys(("4001", "401", "-32001", "-32003", "-32005"), HALT),
        "-32002": STALE,
        **dict.fromkeys(("-32008", "4040", "404"), NOBODY),
        **dict.fromkeys(("-32603", "4500"), WAIT),
    }
)
"""What logins, renewals and changes of the key are refused with, in either half."""
DEAD_TEXTS: Final = frozenset({"missing refresh_token", "invalid_or_expired_refresh_token", "refresh not supported"})
"""What a refresh says in words where only a login helps."""
FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auth-cert-missing": "the login service did not show a certificate that can be read",
        "auth-cert-dates": "the login service's certificate is not in its time, or this clock is wrong",
        "auth-cert-issuer": "the login service's certificate is not of the issuer's making",
        "auth-cert-name": "the login service's certificate bears another name than auth_name says",
        "auth-cert-revoked": "the login service's certificate is revoked",
        "auth-signature": "the login service did not sign our nonce",
        "chain-missing": "the issuer shows no chain of certificates that can be read",
        "chain-dates": "the issuer's chain is not in its time, or this clock is wrong",
        "chain-no-ca": "the issuer's chain holds a certificate that must not issue others",
        "chain-broken": "the issuer's chain does not hang together",
        "chain-root": "the issuer's chain does not end at one of your roots",
    }
)
"""What did not prove true of the service."""


def faulted(case: Case) -> Rejected:
    """The service did not prove who it is, and nothing was signed for it; or it was not there, and nobody waits."""
    if case.fault == UNREACHED:
        return resting(case, UNREACHED, "the issuer could not be reached, or did not answer")
    word = case.fault if case.fault is not None and case.fault in FAULTS else "auth-unproven"
    detail = f"{FAULTS.get(word, 'the service is not proven')}; nothing was signed for it"
    if is_upkeep(case.rung, case.record, case.intent):
        return _resting(case, word, detail, None)
    remedy = Remedy.UNAVAILABLE if case.rung in (LOGIN, RENEW) else Remedy.PERSON
    return Rejected(word, remedy, detail=detail, dead=frozenset())


def refused(case: Case) -> Judged | None:
    """What the service's own no comes to; None where it said nothing."""
    if case.error is None:
        return None
    code, verdict = _code(case), _verdict(case)
    name, pause = shown(code, case), _pause(case)
    detail = _detail(case, verdict)
    if verdict is not None and verdict.is_open:
        return Unreadable(f"the service says {name}, which may come after it acted")
    if is_upkeep(case.rung, case.record, case.intent) and verdict is not REVOKED:
        return _resting(case, name, detail, pause)
    if verdict is None:
        return Rejected(name, Remedy.WAIT, pause, known=False, detail=detail, dead=frozenset())
    verdict = _explained(case, verdict)
    dead = frozenset({REFRESH_TOKEN}) if verdict.is_dead and case.rung == REFRESH else frozenset[str]()
    return Rejected(name, verdict.remedy, pause, detail=detail, dead=dead, again=verdict.again)


def resting(case: Case, word: str, detail: str) -> Rejected:
    """What came of a renewal cannot be used.  For its own sake it rests; else a person is needed."""
    if is_upkeep(case.rung, case.record, case.intent):
        return _resting(case, word, detail, None)
    return Rejected(word, Remedy.PERSON, detail=detail, dead=frozenset())


def _resting(case: Case, word: str, detail: str, pause: float | None) -> Rejected:
    until = case.intent.sent.wall + max(REST_SECONDS, pause or 0.0)
    keep = {CURRENT: Secret(f"{until:.0f}")}
    return Rejected(word, Remedy.WAIT, pause, detail=detail, dead=frozenset(), keep=keep)


def _verdict(case: Case) -> Verdict | None:
    error, code = case.error or {}, _code(case)
    table = REFRESHED if case.rung == REFRESH else SIGNED
    message = error.get("message")
    if table.get(code) is DENIED and isinstance(message, str) and message.strip().lower().startswith(HANDLER_TIMEOUT):
        return OPEN if case.rung == REFRESH else WAIT
    known = table.get(code)
    if known is not None:
        return known
    if _whole(code) in TROUBLE:
        return OPEN if case.rung == REFRESH else WAIT
    return _by_word(case, code) if case.answer.get("success") is False else None


def _by_word(case: Case, text: str) -> Verdict:
    """A result that says no success: with a text, and for refreshes with flags of its own."""
    if case.rung != REFRESH:
        return HALT
    answer = case.answer
    if answer.get("relogin_required") is True or text.lower() in DEAD_TEXTS:
        return GONE
    return WAIT if answer.get("retryable") is True else LOGIN_TELLS


def _explained(case: Case, verdict: Verdict) -> Verdict:
    """What key and certificate tell of a refused login; a person's step needs that person again."""
    if case.rung not in (REFRESH, LOGIN, RENEW):
        is_passing = verdict.remedy in (Remedy.WAIT, Remedy.UNAVAILABLE)
        return WAIT if is_passing else Verdict(Remedy.PERSON)
    if case.rung == RENEW:
        return Verdict(Remedy.PERSON, again=verdict.again) if verdict in (STALE, HALT) else verdict
    if not verdict.by_key and verdict is not STALE:
        return verdict
    if CANDIDATE_KEY in case.secrets:
        return Verdict(Remedy.CLIMB, again=verdict.again)
    own = own_certificate(case.record)
    over = 0.0 if own is None else case.intent.sent.wall - own.ends
    if case.rung == LOGIN and over > 0 and verdict is not REVOKED:
        return Verdict(Remedy.CLIMB if over <= RENEWABLE_SECONDS else Remedy.PERSON)
    return verdict


def _code(case: Case) -> str:
    code = (case.error or {}).get("code")
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int | str):
        return "(none)"
    return str(code).strip()[:64] if not isinstance(code, int) or abs(code) < 10**12 else "(odd)"


def _whole(code: str) -> int | None:
    return int(code) if code.isascii() and code.isdecimal() else None


def _pause(case: Case) -> float | None:
    """Seconds to wait, where the refusal says so."""
    error = case.error or {}
    data = error.get("data")
    for given in (data.get("retry_after") if isinstance(data, dict) else None, error.get("retry_after")):
        told = number(given)
        if told is not None and math.isfinite(told) and told >= 0:
            return min(told, RETRY_AFTER_CAP)
    return None


def _detail(case: Case, verdict: Verdict | None) -> str:
    """Words for people, and the number under which the service knows the call."""
    data = (case.error or {}).get("data")
    given = data.get("trace_id") if isinstance(data, dict) else None
    trace = shown(given, case) if isinstance(given, str) else "(not shown)"
    names = sorted(shown(str(name), case) for name in (case.error or {}))[:16]
    words = f"unknown code; fields: {', '.join(names)}" if verdict is None else verdict.hint
    return "; ".join(part for part in (words, "" if trace == "(not shown)" else f"trace id {trace}") if part)
