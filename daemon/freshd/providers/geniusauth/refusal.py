"""Refusals of the service: from a code to what it calls for.  Pure and total.

Rules
-----
* The code decides; the HTTP status only for 429, for 5, and for a code that nobody knows.
* No refusal forgets anything.  31 is also said while the service's own store of tokens is down, and several accounts at
  once meet it when groups are edited; so a token whose end lies ahead is asked for again after 5 s, 30 s and 2 min, and
  only then a person is called.  Past its end, by a minute and more, it is believed at once.
* 5 was another code once: with 401 or 403 it means what 6 means now, and never kills a token.
* At a login everything from the form check on burns the person's token, so what would pass by itself elsewhere calls
  for a new login there.  6 means a dead login token where another signed call had just worked.
* A code that nobody knows keeps everything and is told: with a 4xx a person is called, with any other status it is
  tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from freshd.core.age import left
from freshd.core.outcome import Judged, Rejected, Remedy, Unreadable
from freshd.providers.form import retry_after
from freshd.providers.geniusauth.case import FINE, LOGIN, PATCH, REFRESH, REFRESH_TOKEN, SIGNED, Case
from freshd.providers.geniusauth.claims import claims
from freshd.providers.oauth2.refusal import shown

DEAD: Final = "31"
CLOCK: Final = "9"
NOT_AUTHORISED: Final = "6"
OLD_NOT_AUTHORISED: Final = "5"
NO_CODE: Final = "no-code"
"""Our own word: JSON that does not come from this service."""
DEAD_AGAIN_SECONDS: Final = (5.0, 30.0, 120.0)
CLOCK_AGAIN_SECONDS: Final = (1.0,)
"""Signed once more, with what the refusal told of the service's clock."""
OVER_SECONDS: Final = 60.0
"""How far clocks may differ before a token past its end is believed dead."""
MOST_FIELDS: Final = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a code calls for.  hint: what an operator should know; is_burnt: at a login a person has to come back."""

    remedy: Remedy
    hint: str = ""
    is_burnt: bool = False


BUG: Final = Verdict(Remedy.BUG, "the service does not take the request as it is")
RETRY: Final = Verdict(Remedy.WAIT, is_burnt=True)
PAIR: Final = Verdict(Remedy.CONFIG, "app_code and app_secret do not fit, or the token belongs to another application")
GROUP: Final = Verdict(Remedy.PERSON, "the user lacks a group, a role or a right: have that repaired, or enrol another")
FACTOR: Final = Verdict(Remedy.PERSON, "the service wants a step of the user: at its pages, then enrol again")
ELSEWHERE: Final = Verdict(Remedy.PERSON, "a code of another part of the service")
CODES: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "1": BUG,
        "2": Verdict(Remedy.CONFIG, "the callback is not on the application's list of sites"),
        "3": Verdict(Remedy.CONFIG, "there is no such application: look at app_code and base_url"),
        "4": RETRY,
        NOT_AUTHORISED: PAIR,
        "7": GROUP,
        "8": RETRY,
        CLOCK: Verdict(Remedy.CONFIG, "clock: the service finds the time stamp too old or ahead"),
        "10": BUG,
        "11": GROUP,
        "12": ELSEWHERE,
        "13": Verdict(Remedy.CONFIG, "a group of the application does not exist"),
        "14": Verdict(Remedy.CONFIG, "the application does not exist"),
        **dict.fromkeys(("15", "16", "17", "18"), FACTOR),
        "19": Verdict(Remedy.WAIT, "too many calls"),
        **dict.fromkeys(("20", "21", "22", "23", "24"), FACTOR),
        "25": ELSEWHERE,
        "26": GROUP,
        **dict.fromkeys(("27", "28", "29", "30"), FACTOR),
        "32": ELSEWHERE,
    }
)
"""All but 5 and 31, which are judged by more than their number."""


def refused(case: Case) -> Judged | None:
    """What the service's own no comes to; None where it said nothing."""
    code = case.code
    if case.reply.status == 429 and case.reply.complete:
        return Rejected(shown(code or "429", case), Remedy.WAIT, retry_after(case.reply), dead=frozenset())
    if code is None:
        return _without_code(case)
    if code == FINE:
        return None
    if code == DEAD:
        return _dead(case)
    verdict = _by_status(case) if code == OLD_NOT_AUTHORISED else CODES.get(code)
    return _unknown(case, code) if verdict is None else _judged(case, code, verdict)


def host_of(place: str) -> str:
    """What names the service where several of its accounts are refused at once."""
    return f"geniusauth {place}"


def _judged(case: Case, code: str, verdict: Verdict) -> Rejected:
    remedy, hint = verdict.remedy, verdict.hint
    if case.rung == LOGIN and verdict is PAIR and (SIGNED in case.intent.material or not case.terms.is_signed):
        remedy, hint = Remedy.PERSON, "the login is over or was used already"
    if case.rung == LOGIN and verdict.is_burnt:
        remedy, hint = Remedy.PERSON, "the login that was brought is used up"
    again = CLOCK_AGAIN_SECONDS if code == CLOCK else ()
    return Rejected(code, remedy, retry_after(case.reply), detail=hint, dead=frozenset(), again=again)


def _by_status(case: Case) -> Verdict | None:
    """5: a failure behind the service, or what was "not authorised" before the numbers moved."""
    if case.reply.status >= 500:
        return RETRY
    return PAIR if case.reply.status in (401, 403) else None


def _dead(case: Case) -> Rejected:
    """The refresh token is refused: over, ended by somebody, or the service cannot look it up."""
    if case.rung not in (REFRESH, PATCH):
        hint = "the token is refused; what is held stays as it is"
        return Rejected(DEAD, Remedy.PERSON, detail=hint, dead=frozenset())
    if _is_over(case):
        hint = "the login has come to its end"
        return Rejected(DEAD, Remedy.PERSON, detail=hint, dead=frozenset({REFRESH_TOKEN}))
    hint = "ended at the service, by a change of groups, or the service cannot look tokens up"
    return Rejected(
        DEAD, Remedy.PERSON, detail=hint, dead=frozenset(), again=DEAD_AGAIN_SECONDS, host=host_of(case.terms.place)
    )


def _is_over(case: Case) -> bool:
    """Whether the presented token's end has passed, with a minute to spare, when the call was sent."""
    sent, grant = case.intent.sent, case.old
    ends = claims(case.presented).ends
    if ends is not None:
        return ends + OVER_SECONDS < sent.wall
    if grant is None or grant.absolute_for is None:
        return False
    return left(grant.enrolled, grant.absolute_for, sent) < -OVER_SECONDS


def _without_code(case: Case) -> Judged | None:
    """JSON of something else.  On a renewal, which spends nothing, it is a refusal, so that an operator hears of it."""
    if case.foreign is not None or case.rung != REFRESH:
        return None
    if case.reply.status >= 500:
        return Unreadable(f"an error page in JSON (status {case.reply.status})", gateway=True)
    hint = f"what answers is not this service (status {case.reply.status}, no code)"
    return Rejected(NO_CODE, Remedy.WAIT, retry_after(case.reply), known=False, detail=hint, dead=frozenset())


def _unknown(case: Case, code: str) -> Rejected:
    names = ", ".join(sorted(shown(name, case) for name in case.answer)[:MOST_FIELDS])
    detail = f"unknown code; status {case.reply.status}, fields: {names}"
    is_final = case.reply.status in range(400, 500) or case.rung == LOGIN
    remedy = Remedy.PERSON if is_final else Remedy.WAIT
    return Rejected(shown(code, case), remedy, retry_after(case.reply), known=False, detail=detail, dead=frozenset())
