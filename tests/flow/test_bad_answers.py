"""Whatever a service answers, the daemon knows what it knows, keeps what it was given, and leaves the others alone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.services import Sandbox
from tests.flow.bed import Bed
from tests.flow.storm import Aftermath, Case, Weather, weather

pytestmark = pytest.mark.timeout(120)
GROWTH_KIB = 40 * 1024
MEBIBYTE = 1 << 20

UNREADABLE: dict[str, tuple[dict[str, Any], str]] = {
    "html": ({"fault": "html"}, "not a JSON object (status 200)"),
    "gateway": ({"fault": "bad_gateway"}, "not a JSON object (status 502)"),
    "empty": ({"fault": "status", "status": 200, "body": ""}, "an empty body (status 200)"),
    "bomb": ({"fault": "gzip_bomb", "mebibytes": 100}, "too large once unpacked (status 200)"),
    "huge": ({"fault": "huge", "bytes": 200 * MEBIBYTE}, "incomplete: too large (status 200)"),
    "redirect": ({"fault": "redirect"}, "a redirect, which is not followed (status 307)"),
}
"""Not the service's own word: fault, and why the daemon says it is in doubt."""
CUT = "incomplete: the connection was closed (status 200)"
LOST: dict[str, tuple[dict[str, Any], str]] = {
    **{f"{name}-spent": ({**fault, "after_commit": True}, why) for name, (fault, why) in UNREADABLE.items()},
    "cut-at-0": ({"fault": "cut_short", "bytes": 0}, CUT),
    "cut-at-1": ({"fault": "cut_short", "bytes": 1}, CUT),
    "cut-in-token": ({"fault": "cut_short", "bytes": 80}, CUT),
    "no-tokens": (
        {"fault": "missing_fields", "fields": ["access_token", "refresh_token"]},
        "JSON with neither token nor error (status 200)",
    ),
}
"""The service has committed, and nothing of what it gave can be read."""
TOKENLESS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong-types": ({"fault": "wrong_types"}, "access_token: missing or unusable"),
    "no-access": ({"fault": "missing_fields"}, "access_token: missing or unusable"),
    "other-type": ({"fault": "token_type_case", "text": "mac"}, "token_type: not bearer"),
    "cut-behind": ({"fault": "cut_short", "bytes": -1}, "access_token: not taken from an error or a broken reply"),
    "cut-in-id": ({"fault": "cut_short", "bytes": -40}, "access_token: not taken from an error or a broken reply"),
}
"""The new refresh token arrived, and no lease beside it that can be handed out."""
USABLE: dict[str, tuple[dict[str, Any], float]] = {
    "no-type": ({"fault": "missing_fields", "fields": ["token_type"]}, 6),
    "no-life": ({"fault": "missing_fields", "fields": ["expires_in"]}, 3600),
    "upper-case": ({"fault": "token_type_case", "text": "BEARER"}, 6),
    "mixed-case": ({"fault": "token_type_case", "text": "bEaReR"}, 6),
    "numbers-as-text": ({"fault": "code_as_text"}, 6),
    "life-negative": ({"fault": "absurd_lifetime", "lifetime": "negative"}, 300),
    "life-zero": ({"fault": "absurd_lifetime", "lifetime": "zero"}, 300),
    "life-vast": ({"fault": "absurd_lifetime", "lifetime": "vast"}, 3600),
    "life-nan": ({"fault": "absurd_lifetime", "lifetime": "nan"}, 300),
}
"""A good answer in odd clothes: fault, and the longest life the lease may be given."""
ABSURD = [name for name in USABLE if name.startswith("life-")]
STRANGER, LIMITED, UNKNOWN = "stranger", "limited", "unknown-code"
RETRY_AFTER = 2

CASES = [
    *(Case(name, fault, "doubt.resolved") for name, (fault, _) in UNREADABLE.items()),
    *(Case(name, fault, "account.parked") for name, (fault, _) in LOST.items()),
    *(Case(name, fault, "refresh.without-token") for name, (fault, _) in TOKENLESS.items()),
    *(Case(name, fault, "refresh.succeeded") for name, (fault, _) in USABLE.items()),
    Case(STRANGER, {"fault": "wrong_subject"}, "account.parked"),
    Case(LIMITED, {"fault": "rate_limited", "retry_after": RETRY_AFTER}, "refresh.succeeded"),
    Case(UNKNOWN, {"fault": "oauth_error", "error": "20029"}, "code.unknown"),
]


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weather]:
    folder = tmp_path_factory.mktemp("storm")
    with Sandbox() as service, Sandbox() as other, Bed(folder) as bed:
        yield weather(service, other, CASES, bed)


def renews(storm: Weather, name: str) -> None:
    """The account renews again, and the service counts nothing against it, though it knows what we were given."""
    page = storm.service.page(name)
    storm.service.vouch(commit.successor for commit in page.commits if commit.successor is not None)
    before = storm.daemon.view(name)["generation"]
    assert storm.daemon.operate("refresh", name)["generation"] > before
    assert storm.service.page(name).spent_uses == 0


def presented_again(after: Aftermath) -> int:
    return sum(after.presented.values()) - len(after.presented)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_the_services_word_before_it_acted_is_a_doubt_and_passes(storm: Weather, name: str) -> None:
    after = storm.after[name]
    assert after.names[:3] == ["doubt.opened", "doubt.replayed", "doubt.resolved"]
    assert after.event("doubt.opened")["why"] == UNREADABLE[name][1]
    assert after.event("doubt.resolved")["spent"] is False
    assert presented_again(after) == after.names.count("doubt.replayed") == 1
    assert after.answer == ""
    assert after.view["phase"] == "live"
    renews(storm, name)


@pytest.mark.parametrize("name", LOST)
def test_an_answer_that_was_lost_is_asked_for_once_more_and_counted_then_parked_with_a_remedy(
    storm: Weather, name: str
) -> None:
    after = storm.after[name]
    assert [one for one in after.names if one != "refresh.rejected"] == [
        "doubt.opened", "doubt.replayed", "doubt.resolved", "account.parked",
    ]  # fmt: skip
    assert after.event("doubt.opened")["why"] == LOST[name][1]
    assert after.event("doubt.resolved")["spent"] is True
    assert presented_again(after) == after.counters["doubtful_replays"] == 1
    view = (after.view["phase"], after.view["renewable"], after.view["reason"], after.view["remedy"])
    assert view == ("parked", "no", "invalid_grant", f"freshd enrol {name}")
    assert "not refreshed: invalid_grant" in after.answer
    assert after.served in (after.held, None)


@pytest.mark.parametrize("name", TOKENLESS)
def test_a_new_refresh_token_is_kept_whatever_is_wrong_beside_it(storm: Weather, name: str) -> None:
    after = storm.after[name]
    assert after.names[0] == "refresh.without-token"
    assert after.event("refresh.without-token")["odd"] == TOKENLESS[name][1]
    assert "not refreshed: the last attempt ended with: no-token; next try in" in after.answer
    assert presented_again(after) == 0
    assert after.view["phase"] in ("live", "spending")
    renews(storm, name)


@pytest.mark.parametrize("name", USABLE)
def test_a_good_answer_in_odd_clothes_is_used_with_a_life_that_can_be_believed(storm: Weather, name: str) -> None:
    after = storm.after[name]
    assert after.names[0] == "refresh.succeeded"
    assert after.answer == ""
    assert presented_again(after) == 0
    assert after.served not in (after.held, None)
    assert after.view["usable_until"] - after.view["next_refresh_at"] > 0
    odd = [event["odd"] for event in after.events if event["event"] == "answer.odd"]
    assert odd == (["expires_in: unbelievable"] if name in ABSURD else [])
    renews(storm, name)


@pytest.mark.parametrize("name", ["no-life", *ABSURD])
def test_a_life_that_is_not_stated_or_absurd_is_replaced(storm: Weather, name: str) -> None:
    renewed = storm.after[name].event("refresh.succeeded")["timestamp"]
    assert renewed
    answer = storm.after[name].view
    longest = USABLE[name][1]
    assert longest - 60 < answer["usable_until"] - storm.began <= longest + 60


def test_an_answer_for_somebody_else_is_kept_and_never_published(storm: Weather) -> None:
    after = storm.after[STRANGER]
    assert after.names == ["identity.wrong", "account.parked"]
    assert after.view["reason"] == "wrong-identity"
    assert after.view["remedy"] == f"freshd enrol {STRANGER}"
    assert "not refreshed: wrong-identity" in after.answer
    assert after.served in (after.held, None)
    assert presented_again(after) == 0


def test_who_is_told_to_wait_waits_as_long_as_told(storm: Weather) -> None:
    after = storm.after[LIMITED]
    assert after.names[:2] == ["refresh.rejected", "refresh.succeeded"]
    assert (after.event("refresh.rejected")["code"], after.event("refresh.rejected")["needs"]) == ("slow_down", "wait")
    at = [call["at"] for call in after.calls]
    struck = next(index for index, call in enumerate(after.calls) if call["outcome"] == "rate_limited")
    assert at[struck + 1] - at[struck] >= RETRY_AFTER
    renews(storm, LIMITED)


def test_a_code_that_no_table_knows_stops_the_round_and_is_shown(storm: Weather) -> None:
    after = storm.after[UNKNOWN]
    assert after.names == ["refresh.rejected", "code.unknown"]
    assert after.event("code.unknown")["code"] == "20029"
    assert "the last attempt ended with: 20029; next try in" in after.answer
    assert after.view["phase"] == "live"
    assert after.view["reason"] == "the last attempt ended with: 20029"
    assert f"freshd explain {UNKNOWN}" in after.view["remedy"]
    assert after.served in (after.held, None)


def test_the_others_renew_and_are_read_meanwhile(storm: Weather) -> None:
    assert storm.bystander_renewals >= 2
    assert storm.bystander_misses == ()


def test_nothing_spent_is_presented_and_no_secret_follows_a_redirect(storm: Weather) -> None:
    counters = storm.service.ask("GET", "/counters")
    assert counters["total"]["spent_uses"] == 0
    assert counters["total"]["doubtful_replays"] == len(LOST)
    assert counters["leaked_posts"] == 0


def test_memory_stays_bounded_whatever_is_sent(storm: Weather) -> None:
    assert storm.grown_kib < GROWTH_KIB
    assert storm.daemon.runs


def test_I10_no_token_is_in_the_log(storm: Weather) -> None:
    log = "\n".join(storm.bed.lines())
    assert re.search(r"\b(?:rt|at)-[A-Za-z0-9_-]{12,}", log) is None
    assert not any(after.held in log for after in storm.after.values())
    assert not storm.bed.events("bug")
