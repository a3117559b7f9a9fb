"""From a refusal to what it calls for.  The codes stand in `verdict`; pure and total.

Rules
-----
* A renewal that the service's own trouble has answered may have spent the refresh token: it acts as a lost answer.
* A refused refresh token means sign in again; but not where that would fight somebody who signs in with the same
  account: more than twice pushed out within one life of the access token, or so often in a day that no sign-in is
  left, or a session limit reached, and freshd stops until a person has looked.  The token is then put aside under
  another name, so that nothing presents it.
* A refusal of a token that was presented again after a lost answer says that the answer was lost, not that anybody
  took the session back.
* A wrong password is marked, so that the same one is never presented again.
* A code that nobody knows ends nothing: a renewal tries three times more, a sign-in asks a person at once.
* Every refusal names the id of its request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from freshd.core.age import left
from freshd.core.model import EMPTY, Secret
from freshd.core.outcome import Judged, Rejected, Remedy, Unreadable
from freshd.providers.cloudbase.case import (
    CAPTCHA,
    CAPTCHA_STEP,
    CODE_CHECK,
    PASSWORD_MARK,
    PUSHED_OUT,
    REFRESH,
    REFRESH_TOKEN,
    REFUSED_PASSWORD,
    REFUSED_TOKEN,
    REQUEST_ID,
    SIGNIN,
    SIGNIN_CODE,
    UNCONFIRMED,
    VERIFIED,
    Case,
    held,
)
from freshd.providers.cloudbase.envelope import pause_of, tries_left
from freshd.providers.cloudbase.flow import HEADER, QUERY, VERIFICATION, Flow, flow_of
from freshd.providers.cloudbase.pasted import token_in
from freshd.providers.cloudbase.times import count_since
from freshd.providers.cloudbase.unknowns import (
    ABORTED_SECONDS,
    ACCESS_SECONDS,
    LOCKED_SECONDS,
    UNKNOWN_AGAIN_SECONDS,
)
from freshd.providers.cloudbase.verdict import CODE_CHECKED, Act, Verdict, verdict_of
from freshd.providers.oauth2.refusal import shown

PUSHES_MOST: Final = 2
"""How often the session of our own sign-in may be pushed out within one life of the access token."""
PUSHED: Final = "session-pushed-out"
STRANGER: Final = "somebody else signs in with this account: end that, or raise its session limit"
LOST: Final = "the reply to an earlier call was lost after the service had renewed; nobody took the session back"
DAY_SECONDS: Final = 86_400.0
MOST_FIELDS: Final = 16
NOTHING: Final[frozenset[str]] = frozenset()
SIMPLE: Final[Mapping[Act, Remedy]] = {
    Act.WAIT: Remedy.WAIT,
    Act.PERSON: Remedy.PERSON,
    Act.CONFIG: Remedy.CONFIG,
    Act.SHARED: Remedy.CONFIG,
    Act.BUG: Remedy.BUG,
}


def refused(case: Case) -> Judged | None:
    """What the service's own no comes to; None where it said nothing."""
    if case.code is None:
        return None
    verdict = verdict_of(case.code)
    act = None if verdict is None else verdict.renewal if case.rung == REFRESH else verdict.signin
    if verdict is None or act is None:
        return _unknown(case)
    if _is_code_over(case):
        hint = "the checked code is over: begin again"
        return replace(_rejected(case, Remedy.PERSON, hint), drop=frozenset({VERIFIED}))
    if act in SIMPLE:
        host = case.terms.service if act is Act.SHARED and case.terms.service else None
        return replace(_rejected(case, SIMPLE[act], verdict.hint), host=host)
    return _special(case, act, verdict)


def detail_of(case: Case, *more: str) -> str:
    """Words for people, and the id of the request."""
    sent = case.intent.material.get(REQUEST_ID)
    told = [*more, "" if sent is None else f"request {sent.reveal()}"]
    return "; ".join(part for part in told if part)


def slow_down(case: Case) -> Rejected:
    """Too many requests, whoever says so: nobody answers that after having done what was asked."""
    return _rejected(case, Remedy.WAIT, "too many requests", code="429")


def renamed(case: Case, code: str, hint: str) -> Rejected:
    """Stop until a person has looked; the refresh token is kept under another name, where nothing presents it."""
    token = held(case.record, REFRESH_TOKEN)
    keep = {PUSHED_OUT: Secret(code), **({} if token is None else {REFUSED_TOKEN: token})}
    return replace(
        _rejected(case, Remedy.PERSON, hint, code=code), drop=frozenset({REFRESH_TOKEN, UNCONFIRMED}), keep=keep
    )


def _special(case: Case, act: Act, verdict: Verdict) -> Judged:
    match act:
        case Act.OPEN:
            return _open(case, verdict)
        case Act.RELOGIN:
            return _relogin(case, verdict)
        case Act.CROWDED:
            return renamed(case, shown(case.code or "", case), f"{verdict.hint}; {STRANGER}")
        case Act.PASSWORD:
            return _wrong_password(case, verdict)
        case Act.LOCKED:
            wait = max(pause_of(case.reply, case.answer) or LOCKED_SECONDS, 1.0)
            return replace(_rejected(case, Remedy.PERSON, verdict.hint), retry_after=wait, again=(wait,))
        case Act.LONG:
            return _aborted(case, verdict)
        case Act.CAPTCHA | Act.CAPTCHA_BAD:
            return _captcha(case, verdict, is_bad=act is Act.CAPTCHA_BAD)
    return replace(_rejected(case, Remedy.PERSON, verdict.hint), again=UNKNOWN_AGAIN_SECONDS)


def _open(case: Case, verdict: Verdict) -> Judged:
    """The service's own trouble.  A sign-in that may have been made all the same harms nobody when made again."""
    if case.rung != REFRESH:
        return _rejected(case, Remedy.WAIT, verdict.hint)
    said = f"the service says {shown(case.code or '', case)}, which may come after the spend"
    return Unreadable(detail_of(case, said), retry_after=pause_of(case.reply, case.answer))


def _relogin(case: Case, verdict: Verdict) -> Rejected:
    dead = replace(_rejected(case, Remedy.CLIMB, verdict.hint), dead=frozenset({REFRESH_TOKEN}))
    if case.intent.replays:
        return replace(dead, detail=detail_of(case, LOST))
    if held(case.record, UNCONFIRMED) is not None:
        return replace(dead, detail=detail_of(case, "an earlier renewal had brought no refresh token"))
    lease = case.record.lease
    life = ACCESS_SECONDS if lease is None else lease.valid_for
    pushed = count_since(case.record, life, case.intent.sent)
    if pushed > PUSHES_MOST or _is_fought_all_day(case):
        return renamed(case, PUSHED, STRANGER)
    return dead


def _is_fought_all_day(case: Case) -> bool:
    """Whether sessions ended before their time have used up a day's sign-ins: waiting would tell nobody why."""
    grant, sent = case.record.grant, case.intent.sent
    if grant is None or grant.valid_for is None or left(grant.obtained, grant.valid_for, sent) <= 0:
        return False
    return count_since(case.record, DAY_SECONDS, sent) >= case.terms.signin_daily


def _wrong_password(case: Case, verdict: Verdict) -> Rejected:
    """A person at once.  Where no password was presented, nothing is marked."""
    mark, left = case.intent.material.get(PASSWORD_MARK), tries_left(case.answer)
    told = verdict.hint if left is None else f"{verdict.hint}; the service takes {left} more"
    keep = EMPTY if mark is None else {REFUSED_PASSWORD: mark}
    return replace(_rejected(case, Remedy.PERSON, told), keep=keep)


def _aborted(case: Case, verdict: Verdict) -> Rejected:
    wait = max(pause_of(case.reply, case.answer) or 0.0, ABORTED_SECONDS)
    if case.rung == REFRESH:
        return replace(_rejected(case, Remedy.WAIT, verdict.hint), retry_after=wait)
    return replace(_rejected(case, Remedy.PERSON, verdict.hint), retry_after=wait, again=(wait, 2 * wait))


def _captcha(case: Case, verdict: Verdict, *, is_bad: bool) -> Rejected:
    """What holds the account up from here on; a token that was presented is never presented in the same way again."""
    flow, sent = flow_of(case.record) or Flow(_operation(case)), case.intent.sent
    is_presented = case.rung == CAPTCHA_STEP or (case.rung == REFRESH and flow.operation == REFRESH)
    token = token_in(case.intent.material, flow, sent) if is_presented else None
    if token is None:
        flow = replace(flow, operation=_operation(case), passed=None)
    elif is_bad:
        flow = flow.refused(sent)
    elif flow.way == QUERY and case.terms.tries_header:
        flow = replace(flow, passed=token, way=HEADER)
    else:
        flow = flow.ended(sent)
    hint = verdict.hint if flow.rests is None else f"{verdict.hint}; nothing is tried for some minutes"
    return replace(_rejected(case, Remedy.PERSON, hint), keep={CAPTCHA: flow.secret})


def _is_code_over(case: Case) -> bool:
    """Whether it is the checked code that a sign-in was refused for."""
    is_presented = case.rung in (SIGNIN_CODE, CAPTCHA_STEP) and held(case.record, VERIFIED) is not None
    return is_presented and (case.code or "").lower() in CODE_CHECKED


def _operation(case: Case) -> str:
    """The call that is held up."""
    if case.rung in (REFRESH, CODE_CHECK):
        return REFRESH if case.rung == REFRESH else VERIFICATION
    return SIGNIN_CODE if held(case.record, VERIFIED) is not None else SIGNIN


def _unknown(case: Case) -> Rejected:
    names = ", ".join(sorted(shown(name, case) for name in case.answer)[:MOST_FIELDS])
    hint = f"unknown code; status {case.reply.status}, fields: {names}"
    again = UNKNOWN_AGAIN_SECONDS if case.rung == REFRESH else ()
    return replace(_rejected(case, Remedy.PERSON, hint), known=False, again=again)


def _rejected(case: Case, remedy: Remedy, hint: str, code: str | None = None) -> Rejected:
    return Rejected(
        shown(code or case.code or "", case), remedy, pause_of(case.reply, case.answer),
        detail=detail_of(case, hint), dead=NOTHING,
    )  # fmt: skip
