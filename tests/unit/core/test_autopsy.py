"""core.autopsy: why a grant does not renew, told without sending anything that spends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from freshd.core.autopsy import Body, examine, is_foreign
from freshd.core.contract import Contract
from freshd.core.finding import Found
from freshd.core.ladder import Rung
from freshd.core.model import Binding, Lease, Moment, Secret, Standing
from freshd.core.outcome import Reply
from freshd.ports import Line

NOW = Moment(1_790_000_000.0, 5_000_000.0, "boot-1")
DAY = 86_400.0
LADDER = (Rung("refresh", frozenset({"refresh_token"})), Rung("authorize", person=True))
CODES: Mapping[str, Found] = {
    "spent": Found(2, "no longer good", "freshd enrol mail", "used-twice"),
    "over": Found(2, "over", "freshd enrol mail", "expired"),
    "pair": Found(2, "the secret is of another app", "correct app_secret", "wrong-app"),
    "off": Found(2, "refreshing is switched off", "switch it on", "refresh-switched-off"),
}


def ago(seconds: float) -> Moment:
    return Moment(NOW.wall - seconds, NOW.boot - seconds, NOW.boot_id)


def line(outcome: str, before: float, rung: str = "refresh", generation: int = 3) -> Line:
    return Line(ago(before), rung, outcome, generation)


LIVE = Standing(
    "mail", 3, "one", Binding("toy", "https://a", "app"), frozenset({"refresh_token"}),
    Lease("mail", 3, Secret("at"), ago(600), 7200.0), ago(600), 7 * DAY, ago(30 * DAY), 365 * DAY,
)  # fmt: skip
DEAD = replace(LIVE, held=frozenset(), dead={"refresh_token": "spent"})
FINE = (line("ok", 9000), line("ok", 600))


def body(standing: Standing | None = LIVE, attempts: Sequence[Line] = FINE, **more: object) -> Body:
    made = Body("mail", LADDER, Contract(), standing, attempts, NOW.wall, CODES.get)
    return replace(made, **more)  # type: ignore[arg-type]


def cause(body: Body, now: Moment = NOW) -> str:
    return examine(body, now)[0].cause


CORPSES: Mapping[str, tuple[str, Body]] = {
    "an answer of ours was lost, the replay refused": (
        "used-twice", body(DEAD, (*FINE, line("lost", 300), line("spent", 100)))
    ),
    "another program used it, the token in hand works": (
        "used-twice", body(DEAD, (*FINE, line("spent", 100)), alive=True)
    ),
    "another program used it before we ever did": (
        "used-twice", body(DEAD, (line("ok", 600, "import"), line("spent", 100)), alive=False)
    ),
    "it was revoked": ("revoked", body(DEAD, (*FINE, line("spent", 100)), alive=False)),
    "seven days without use": (
        "expired", body(replace(DEAD, obtained=ago(8 * DAY)), (line("ok", 8 * DAY), line("over", 100)))
    ),
    "seven days, and a service that says only that it is bad": (
        "expired", body(replace(DEAD, obtained=ago(8 * DAY)), (line("ok", 8 * DAY), line("spent", 100)))
    ),
    "365 days since a person agreed": (
        "expired", body(replace(LIVE, enrolled=ago(366 * DAY)), (*FINE, line("over", 100)))
    ),
    "the app's secret is another app's": ("wrong-app", body(attempts=(*FINE, line("pair", 100)))),
    "refreshing is switched off": ("refresh-switched-off", body(attempts=(*FINE, line("off", 100)))),
    "a gateway answered": (
        "gateway",
        body(attempts=(*FINE, line("lost", 100)), reply=Reply(502, (("Content-Type", "text/html"),), b"<html>no")),
    ),
    "the clock is behind": ("clock", body(high_water=NOW.wall + 3600)),
    "the service's clock differs": ("clock", body(seen=(Found(2, "off by an hour", "timedatectl", "clock"),))),
    "the user has left, says a harmless call": ("user-gone", body(seen=(Found(2, "gone", "ask", "user-gone"),))),
    "there never was a refresh token": ("no-refresh-token", body(replace(LIVE, held=frozenset()))),
    "nobody ever enrolled": ("never-enrolled", body(Standing("mail"), ())),
    "a code that says nothing of the grant": ("unknown", body(attempts=(*FINE, line("weird", 100)))),
    "an answer was lost and that is all": ("unknown", body(attempts=(*FINE, line("lost", 100)))),
}  # fmt: skip


@pytest.mark.parametrize("corpse", CORPSES)
def test_each_corpse_has_its_cause_and_a_remedy(corpse: str) -> None:
    expected, given = CORPSES[corpse]
    found = examine(given, NOW)
    assert found[0].cause == expected, found
    assert found[0].remedy


def test_seven_days_and_365_are_told_apart_in_words() -> None:
    week, year = CORPSES["seven days without use"][1], CORPSES["365 days since a person agreed"][1]
    assert "obtained 8 d ago and lives for 7 d" in examine(week, NOW)[0].text
    assert "agreed 366 d ago" in examine(year, NOW)[0].text


def test_who_used_it_is_told_in_words() -> None:
    ours = examine(CORPSES["an answer of ours was lost, the replay refused"][1], NOW)
    theirs = examine(CORPSES["another program used it, the token in hand works"][1], NOW)
    assert "by freshd" in ours[0].text
    assert "another program" in theirs[0].text
    assert any("find the program" in found.remedy for found in theirs)


def test_a_clock_that_is_off_proves_no_age() -> None:
    old = replace(LIVE, obtained=Moment(NOW.wall - 90 * DAY, 5.0, "boot-0"))
    assert cause(body(old)) == "expired"
    off = body(old, seen=(Found(2, "a year ahead", "timedatectl", "clock"),))
    assert [found.cause for found in examine(off, NOW)] == ["clock"]


def test_a_refusal_before_the_last_success_says_nothing() -> None:
    found = examine(body(attempts=(line("spent", 9000), line("ok", 600))), NOW)
    assert [(one.level, one.cause) for one in found] == [(0, "")]


def test_a_healthy_grant_is_well_and_says_since_when() -> None:
    assert "obtained 10 min ago" in examine(body(), NOW)[0].text


def test_without_the_record_the_services_word_still_counts() -> None:
    assert cause(body(None, (*FINE, line("off", 100)))) == "refresh-switched-off"
    assert cause(body(None, (*FINE, line("spent", 100)))) == "used-twice"


def test_an_account_that_needs_no_grant_was_not_forgotten_by_anybody() -> None:
    given = replace(body(Standing("mail"), ()), ladder=(Rung("issue", spends=False),))
    assert examine(given, NOW)[0].level == 0


def test_one_cause_is_told_once() -> None:
    given = body(attempts=(*FINE, line("pair", 100)), seen=(Found(2, "refused", "look", "wrong-app"),))
    assert [found.cause for found in examine(given, NOW)] == ["wrong-app"]


@pytest.mark.parametrize(
    ("reply", "foreign"),
    [
        (Reply(502, (("content-type", "text/html"),), b"<html>"), True),
        (Reply(200, (), b"  <!DOCTYPE html>"), True),
        (Reply(407, (), b""), True),
        (Reply(503, (("content-type", "text/plain"),), b"upstream"), True),
        (Reply(500, (("content-type", "application/json"),), b'{"code":20050}'), False),
        (Reply(200, (), b'{"code":0}'), False),
    ],
)
def test_a_page_of_something_in_between_is_told_from_the_service(reply: Reply, foreign: bool) -> None:
    assert is_foreign(reply) is foreign
