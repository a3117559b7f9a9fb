"""Why a grant does not renew, told from what is known without sending anything that spends.  Pure.

Rules
-----
* The service's own word on the grant that is held counts most: what it said since the last renewal.  What that word
  means is the provider's (`Provider.explain`); here nothing is known of any one service.
* Services use one word for "used", "revoked" and sometimes "over".  Which it was is told by our own history (a lost
  answer before it), by ages, and by whether the token in hand still works.
* Ages are believed only while nothing speaks against the clock.
* The first finding is the likeliest cause; what cannot be told is said, not guessed.
* No finding holds a secret, and none repeats a reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from freshd.core import age
from freshd.core.contract import Contract
from freshd.core.finding import BROKEN, FINE, LOOK, Found
from freshd.core.ladder import Ladder
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Reply

CLOCK_SECONDS: Final = 120.0
"""Clocks of well-kept machines differ by less."""
SPENT: Final = "used-twice"
OURS: Final = frozenset({"ok", "lost", "not-sent", "no-token", "wrong-identity", "rolled-back"})
"""Outcomes that are freshd's own words, not codes of a service."""
DAY: Final = 86_400.0


class Attempt(Protocol):
    """One line of an account's history (`ports.Line`)."""

    @property
    def at(self) -> Moment: ...
    @property
    def rung(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def generation(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Body:
    """All there is to look at.

    standing    None where the record cannot be read now
    attempts    oldest first
    high_water  the highest wall time ever seen, seconds
    explain     what a code of the service means
    alive       what a harmless call said of the token in hand; None: it was not or cannot be asked
    reply       what an exchange without an end has left in escrow
    seen        what the provider's own harmless calls found
    """

    account: str
    ladder: Ladder
    contract: Contract
    standing: Standing | None
    attempts: Sequence[Attempt]
    high_water: float
    explain: Callable[[str], Found | None]
    alive: bool | None = None
    reply: Reply | None = None
    seen: Sequence[Found] = ()


def examine(body: Body, now: Moment) -> tuple[Found, ...]:
    """Findings, the likeliest cause first; there is at least one."""
    if body.standing is not None and body.standing.generation == 0 and not _can_renew(body):
        return (_person(body, "never-enrolled", "nobody has enrolled it yet: there is no grant"), *body.seen)
    clock = [found for found in (*_clock(body, now), *body.seen) if found.cause == "clock"]
    told = [*clock, *_verdict(body, now, is_proven=not clock)]
    rest = [found for found in body.seen if found.cause != "clock"]
    found = _ordered(told, rest)
    if not any(one.level for one in found):
        found = (Found(FINE, _well(body, now)), *found)
    return found


def _ordered(told: Sequence[Found], seen: Sequence[Found]) -> tuple[Found, ...]:
    """The worst first; of equals what we know ourselves.  One cause is told once, in the better words (ours)."""
    causes = {found.cause for found in told if found.cause}
    more = [found for found in seen if found.cause not in causes]
    return tuple(sorted((*told, *more), key=lambda found: -found.level))


# -- clocks and ages ------------------------------------------------------------------------------------------------


def _clock(body: Body, now: Moment) -> Iterator[Found]:
    behind = body.high_water - now.wall
    if behind > CLOCK_SECONDS:
        text = f"this machine's clock is {_span(behind)} behind what the journal has seen: ages cannot be trusted"
        yield Found(BROKEN, text, "set the clock: timedatectl; then freshd goes on by itself", "clock")


def _over(body: Body, now: Moment) -> Iterator[Found]:
    """Ends that have passed, going by the ages of the grant."""
    standing = body.standing
    if standing is None:
        return
    contract = body.contract
    valid_for, absolute_for = standing.valid_for or contract.idle_life, standing.absolute_for or contract.absolute_life
    for since, life, what in (
        (standing.enrolled, absolute_for, "a person agreed {age} ago, and has to agree again every {life}"),
        (standing.obtained, valid_for, "the refresh token was obtained {age} ago and lives for {life}"),
    ):
        if since is None or life is None:
            continue
        passed = age.age(since, now, body.high_water).seconds
        if passed >= life:
            yield _person(body, "expired", what.format(age=_span(passed), life=_span(life)))


# -- the service's word ---------------------------------------------------------------------------------------------


def _verdict(body: Body, now: Moment, *, is_proven: bool) -> Sequence[Found]:
    over = list(_over(body, now)) if is_proven else []
    code = _code(body)
    explained = None if code is None else body.explain(code)
    if explained is None or code is None:
        return [*over, *_unexplained(body, code)]
    if explained.cause == "expired":
        return over[:1] or [_told_with_age(body, explained, now)]
    if explained.cause == SPENT:
        return [*_spent(body, now, code, over)]
    return [explained]


def _told_with_age(body: Body, found: Found, now: Moment) -> Found:
    """Over, says the service, and not by the age of the secret: then it is the end that no renewal puts off."""
    standing = body.standing
    if standing is None or standing.obtained is None or standing.valid_for is None:
        return found
    since, life = _ago(standing.obtained, now), _span(standing.valid_for)
    return replace(found, text=f"{found.text}.  The secret itself was obtained {since} and lives for {life}")


def _code(body: Body) -> str | None:
    """What the service said of the grant that is held now: the mark on its secret, or the last refusal since."""
    if body.standing is not None and body.standing.dead:
        return next(iter(body.standing.dead.values()))
    said = [attempt.outcome for attempt in _since(body) if attempt.outcome not in OURS]
    return said[-1] if said else None


def _since(body: Body) -> Sequence[Attempt]:
    """The attempts since the last one that brought something."""
    fine = [index for index, attempt in enumerate(body.attempts) if attempt.outcome == "ok"]
    return body.attempts[fine[-1] + 1 :] if fine else body.attempts


def _spent(body: Body, now: Moment, code: str, over: Sequence[Found]) -> Iterator[Found]:
    """The secret was refused as no longer good: by whom was it used, or was it taken back, or is it over?"""
    lost = [attempt for attempt in _since(body) if attempt.outcome == "lost"]
    if lost:
        text = (
            f"used twice, by freshd: the answer to the call of {_ago(lost[0].at, now)} was lost on its way, and when"
            f" the secret was presented again the service said {code}: its successor was in the lost answer"
        )
        yield _person(body, SPENT, text)
    elif over:
        yield over[0]
    else:
        yield from _by_others(body, now, code)


def _by_others(body: Body, now: Moment, code: str) -> Iterator[Found]:
    find = f"find the program that still has a refresh token of {body.account}, and let it ask freshd for tokens"
    first = _first_use(body)
    if body.alive is False and first is None and _should_live(body, now):
        text = f"revoked: the service said {code}, and the token in hand was refused before its end"
        yield _person(body, "revoked", text)
        yield Found(LOOK, "it may also have been used by another program, a while ago", find)
        return
    if first is not None:
        text = f"it was imported {_ago(first.at, now)} and refused at its first use here ({code})"
    elif body.alive is True:
        text = f"the service said {code}, and yet the token in hand still works, so nobody took the grant back"
    else:
        text = f"the service said {code}; whether it was revoked instead cannot be told any more"
    yield _person(body, SPENT, f"used by another program: {text}")
    yield Found(LOOK, "before a person agrees again, the other program must stop", find)


def _first_use(body: Body) -> Attempt | None:
    """The import, where nothing was ever renewed since."""
    fine = [attempt for attempt in body.attempts if attempt.outcome == "ok"]
    return fine[-1] if fine and fine[-1].rung == "import" else None


def _should_live(body: Body, now: Moment) -> bool:
    lease = None if body.standing is None else body.standing.lease
    return lease is not None and age.left(lease.sent, lease.valid_for, now, body.high_water) > 0


# -- no word of the service that explains it --------------------------------------------------------------------------


def _unexplained(body: Body, code: str | None) -> Iterator[Found]:
    if code is not None:
        text = f"the service said {code}, which says nothing of the grant itself; everything is kept"
        yield Found(LOOK, text, f"freshd explain {body.account}", "unknown")
        return
    if body.standing is not None and not _can_renew(body):
        text = "the grant holds nothing to renew with: the service gave no refresh token"
        yield _person(body, "no-refresh-token", text)
    tail = _since(body)
    last = tail[-1].outcome if tail else None
    if body.reply is not None and is_foreign(body.reply):
        text = (
            f"what answered was not the service but something in between (status {body.reply.status}): nobody knows"
            " whether the call got through"
        )
        remedy = "look at proxy, VPN and captive portal on the way; freshd goes on as far as it safely can"
        yield Found(BROKEN, text, remedy, "gateway")
    elif last == "lost":
        text = "the answer to the last call was lost: nobody knows whether the secret was spent"
        yield Found(LOOK, text, f"nothing yet; freshd explain {body.account}", "unknown")
    elif last == "not-sent":
        yield Found(LOOK, "nothing could be sent lately", "look at the network; freshd goes on by itself")


def _can_renew(body: Body) -> bool:
    held = frozenset[str]() if body.standing is None else body.standing.held
    own = [frozenset(name for name in rung.needs if "/" not in name) for rung in body.ladder if not rung.person]
    return any(needs <= held for needs in own)


def is_foreign(reply: Reply) -> bool:
    """Whether a reply is a page of something in between: services of this sort answer in JSON."""
    body = reply.body.lstrip()[:1]
    kind = (reply.header("Content-Type") or "").lower()
    return body == b"<" or reply.status == 407 or (reply.status >= 400 and "json" not in kind and body != b"{")


# -- words ----------------------------------------------------------------------------------------------------------


def _person(body: Body, cause: str, text: str) -> Found:
    return Found(BROKEN, text, f"freshd enrol {body.account}", cause)


def _well(body: Body, now: Moment) -> str:
    obtained = None if body.standing is None else body.standing.obtained
    when = "" if obtained is None else f", obtained {_ago(obtained, now)}"
    return f"nothing speaks against the grant{when}"


def _ago(since: Moment, now: Moment) -> str:
    return f"{_span(age.age(since, now).seconds)} ago"


def _span(seconds: float) -> str:
    for length, unit in ((DAY, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
