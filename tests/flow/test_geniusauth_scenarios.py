"""What must come of each way in which GeniusAuth is known to go wrong: expectations first, then what was seen.

An expectation holds what the service's own program and page say, not what the code does.  A renewal spends nothing, so
nothing of it needs a person but the end of the login itself; a login is spent by being looked at, so it is never sent
twice.  Gaps are counted in reads (`watchman.Reader`): a busy machine makes both longer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.flow import geniusauth_days, geniusauth_plot
from tests.flow.scenarios import Row, Rows

pytestmark = pytest.mark.timeout(300)
GOOD = "refresh granted"
ADVISED = "mend it, in the configuration or at the service, then reload, or: freshd refresh {name}"
ENROL = "freshd enrol {name}"
REPORT = "freshd explain {name}; please report it"
MOST_MISSES = 20
"""Reads: three seconds of them where the machine is idle."""
HEAL_MISSES = 40
"""A reader tries what it holds at every fourth read, and then a refused lease is replaced by one call."""
LEASE_MISSES = 80
"""Reads in two lives of a lease."""
NEVER = "never enrolled"


@dataclass(frozen=True, slots=True)
class Expected:
    """healed: the rung of the next good lease, once mended where a person is needed; reason: None if nobody is needed;
    misses: reads without a good lease at most.
    """

    calls: tuple[str, ...]
    healed: str = "refresh"
    reason: str | None = None
    remedy: str = ENROL
    misses: int = MOST_MISSES


def once_more(first: str) -> Expected:
    """Asked again with the same token, and well."""
    return Expected((first, GOOD))


def stops(code: str, remedy: str, healed: str = "", misses: int = MOST_MISSES) -> Expected:
    """Asked once, and not again before somebody has done something."""
    return Expected((f"refresh {code}",), healed, code, remedy, misses)


def comes_again(call: str) -> Expected:
    """A login is sent once, whatever came of it; the person has to log in anew."""
    return Expected((call,), "login", NEVER)


FINE = Expected((GOOD,))
EXPECTED: Mapping[str, Expected] = {
    "refresh-lost-before": once_more("refresh lost_before_commit"),
    "refresh-lost-after": once_more("refresh granted (lost_after_commit)"),
    "refresh-slower-than-the-deadline": once_more("refresh granted (in_flight)"),
    "refresh-reset": once_more("refresh reset"),
    "refresh-cut-short": once_more("refresh granted (cut_short)"),
    "refresh-html": once_more("refresh html"),
    "refresh-502": once_more("refresh bad_gateway"),
    "refresh-redirected": once_more("refresh redirect"),
    "refresh-429": once_more("refresh rate_limited"),
    "refused-connection": FINE,
    # codes
    "database-4": once_more("refresh 4"),
    "remote-5-with-500": once_more("refresh 5"),
    "fault-8": once_more("refresh 8"),
    "stamp-9-once": once_more("refresh 9"),
    "stamp-9-again": Expected(("refresh 9", "refresh 9"), "", "9", ADVISED),
    "too-frequent-19": once_more("refresh 19"),
    "malformed-1": stops("1", REPORT),
    "not-authorised-5-with-401": stops("5", ADVISED),
    "no-group-7": stops("7", ENROL),
    "unknown-code-99": stops("99", ENROL),
    "secret-changed-6": stops("6", ADVISED, "refresh"),
    "app-deleted-3": stops("3", ADVISED, "refresh", LEASE_MISSES),  # its tokens die with it
    # odd answers
    "code-as-text": FINE,
    "access-token-by-another-name": FINE,
    "another-users-token": Expected((GOOD,), "login", "wrong-identity"),
    "lease-refused-31": Expected((GOOD,), misses=HEAL_MISSES),
    # the payload, and the end
    "payload-then-the-old-token": Expected(("payload granted", GOOD)),
    "payload-lost-before": Expected(("payload lost_before_commit", "payload granted"), "payload"),
    "payload-lost-after": Expected(("payload granted (lost_after_commit)", "payload granted"), "payload"),
    "revoked": Expected(("revoke answered",), "login", NEVER),
    "revoked-lost-before": Expected(("revoke lost_before_commit", "revoke answered"), "", NEVER),
    "revoked-lost-after": Expected(("revoke answered", "revoke 31"), "", NEVER),
    "revoked-in-the-body": Expected(("revoke 1",), ""),
    # a person logs in
    "login": Expected(("login granted",), "login"),
    "login-first": Expected(("login granted",), "login"),
    "login-empty-access-token": Expected(("login granted", GOOD)),
    "login-lost-before": comes_again("login lost_before_commit"),
    "login-lost-after": comes_again("login granted (lost_after_commit)"),
    "login-lost-beside-a-grant": Expected(("login granted (lost_after_commit)",)),
    "login-502-after": comes_again("login granted"),
    "login-fault-8": comes_again("login 8"),
    "login-used-up-6": Expected(("login granted", "login 6"), "login", NEVER),  # the first is somebody else's
    # as the service's page has it
    "wiki-without-a-way-round": Expected(("refresh answered",), "", "incompatible-server"),
    "wiki-with-patch": Expected(("refresh answered", "payload granted"), "patch"),
    "wiki-with-patch-and-no-payload": Expected(("refresh answered",), "", "incompatible-server"),
    "form-to-its-program-1": stops("1", REPORT),
}  # fmt: skip
BESIDE = frozenset({"payload-lost-before", "payload-lost-after"})
"""Where the operator waits for the pace, a renewal by schedule may lie between."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes, lived through once."""
    return geniusauth_plot.lived(tmp_path_factory.mktemp("geniusauth"))


def test_every_scene_is_expected_to_come_to_something(rows: Rows) -> None:
    assert rows.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_service_is_asked_no_more_than_that_and_that_rung_heals(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    calls = tuple(call for call in row.calls if call != GOOD) if name in BESIDE else row.calls
    assert calls == expected.calls
    assert row.healed == expected.healed


@pytest.mark.parametrize("name", EXPECTED)
def test_a_person_is_asked_only_where_nobody_else_can_help_and_told_what_to_do(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    assert row.reason == expected.reason
    assert row.remedy == (None if expected.reason is None else expected.remedy.format(name=name))


@pytest.mark.parametrize("name", EXPECTED)
def test_I9_readers_are_served_until_it_is_healed_or_told(rows: Rows, name: str) -> None:
    assert rows[name].missed <= EXPECTED[name].misses


@pytest.mark.parametrize("name", EXPECTED)
def test_I5_nothing_spent_is_presented(rows: Rows, name: str) -> None:
    assert rows[name].spent == 0


LOGINS = {name for name in EXPECTED if name.startswith("login") and name != "login-used-up-6"}
TAKEN = {"login", "login-first", "login-empty-access-token"}


@pytest.mark.parametrize("name", sorted(LOGINS))
def test_a_person_is_told_whether_the_login_was_taken(rows: Rows, name: str) -> None:
    assert (geniusauth_plot.SAID[rows[name].name] == "") is (name in TAKEN)


def test_a_login_that_came_to_nothing_leaves_the_one_in_force_alone(rows: Rows) -> None:
    assert rows["login-lost-beside-a-grant"].told == ("enrolment.failed",)


def test_a_code_that_no_table_knows_is_told(rows: Rows) -> None:
    assert "code.unknown" in rows["unknown-code-99"].told


# -- minutes and days ---------------------------------------------------------------------------------------------

LOOK = 20.0
"""Readers look that often."""
CONFIRMED = 5.0 + 30.0 + 120.0
"""Seconds over which 31 is asked again before it is believed."""
RARELY = 600.0
HOUR, DAY = 3600.0, 86_400.0
EXACTLY = {
    "our-clock-11-s-ahead", "our-clock-6-min-behind", "their-clock-11-s-behind", "their-clock-6-min-ahead",
}  # fmt: skip
NO_GAP = {
    *EXACTLY, "twice-31", "our-clock-set-an-hour-ahead", "login-clock-six-minutes-ahead",
    "login-token-six-minutes-old-6", "killed-and-started-again", "on-demand-a-day", "on-demand-a-day-unread",
    "keep-warm-a-day", "enrolled-anew-before-the-end",
}  # fmt: skip
MOST_GAP = {
    "31-with-a-4-between": 2 * CONFIRMED + 2 * LOOK, "unknown-code-99-with-500": 300.0,
    "store-failure-15-min": 15 * 60 + RARELY, "store-failure-45-s-one-account": CONFIRMED,
    "database-4-half-an-hour": HOUR / 2 + 80.0, "fault-8-half-an-hour": HOUR / 2 + 80.0,
    "no-answer-for-half-an-hour": HOUR / 2 + 80.0,
}  # fmt: skip
PERSON = {
    "ended-on-the-dashboard-31": ("31", CONFIRMED + 2 * LOOK), "user-removed-31": ("31", CONFIRMED + 2 * LOOK),
    "fixed-end-after-30-days": ("31", CONFIRMED + 2 * LOOK), "fixed-end-met-an-hour-later": ("31", 2 * LOOK),
    "groups-of-the-user-changed": ("31", HOUR + RARELY), "groups-of-the-app-edited": ("31", HOUR + RARELY),
    "app-deleted-and-cached-3": ("3", 2 * LOOK),
}  # fmt: skip
"""By name: the code, and seconds until it is told that a person must come."""
HERDS = ("groups-of-the-user-changed", "groups-of-the-app-edited")


@pytest.fixture(scope="module")
def days() -> Rows:
    """What takes minutes and days, on virtual time."""
    return geniusauth_days.lived()


def calls(row: Row) -> Counter[str]:
    return Counter(row.calls)


def test_every_scenario_of_days_is_expected_to_come_to_something(days: Rows) -> None:
    assert days.keys() == NO_GAP | MOST_GAP.keys() | PERSON.keys() | {"store-failure-one-account-by-hand"}


@pytest.mark.parametrize("name", sorted(NO_GAP | MOST_GAP.keys()))
def test_what_heals_by_itself_asks_nobody_and_leaves_no_longer_gap(days: Rows, name: str) -> None:
    row = days[name]
    assert (row.reason, row.parks) == (None, ())
    assert row.gap <= MOST_GAP.get(name, 0.0)
    assert row.healed or name == "on-demand-a-day-unread"


@pytest.mark.parametrize("name", PERSON)
def test_where_a_person_must_come_that_is_told_in_time(days: Rows, name: str) -> None:
    row, (code, gap) = days[name], PERSON[name]
    assert (row.healed, row.reason) == ("", code)
    assert row.remedy == (ADVISED if code == "3" else ENROL).format(name="a")
    assert row.gap <= gap


def test_I5_nothing_spent_is_presented_in_all_these_days(days: Rows) -> None:
    assert {name: row.spent for name, row in days.items() if row.spent} == {}


@pytest.mark.parametrize("name", ["ended-on-the-dashboard-31", "user-removed-31", "fixed-end-after-30-days"])
def test_31_is_asked_again_three_times_before_it_is_believed(days: Rows, name: str) -> None:
    assert calls(days[name])["refresh 31"] == 4


def test_31_long_past_the_end_is_believed_at_once(days: Rows) -> None:
    assert calls(days["fixed-end-met-an-hour-later"]) == {"refresh 31": 1}


def test_an_answer_or_another_code_between_begins_the_count_anew(days: Rows) -> None:
    assert calls(days["twice-31"])["refresh 31"] == 2
    row = calls(days["31-with-a-4-between"])
    assert (row["refresh 31"], row["refresh 4"]) == (6, 1)


@pytest.mark.parametrize("name", [*HERDS, "store-failure-15-min"])
def test_several_accounts_that_are_refused_at_once_make_one_alert(days: Rows, name: str) -> None:
    assert days[name].told.count("service.refusing") == 1


@pytest.mark.parametrize("name", HERDS)
def test_for_an_hour_they_are_asked_for_rarely_and_then_each_needs_its_person(days: Rows, name: str) -> None:
    row = days[name]
    assert sorted(row.parks) == ["a 31", "b 31", "c 31"]
    assert row.told.index("service.refusing") < row.told.index("account.parked")
    for account in "abc":
        assert 6 <= calls(row)[f"{account} refresh 31"] <= 4 + HOUR / RARELY


def test_a_store_that_fails_destroys_nothing_and_its_return_is_told_once(days: Rows) -> None:
    row = days["store-failure-15-min"]
    assert row.told.count("service.accepting") == 1
    assert row.told.count("lease.healed") == 3


def test_what_was_believed_dead_is_kept_and_can_be_tried_by_hand(days: Rows) -> None:
    row = days["store-failure-one-account-by-hand"]
    assert (row.parks, row.reason, row.healed) == (("a 31",), None, "refresh")
    assert calls(row) == {"refresh 31": 4, GOOD: 1}


@pytest.mark.parametrize("name", EXACTLY)
def test_a_wrong_clock_costs_one_call_signed_anew_and_no_more(days: Rows, name: str) -> None:
    assert calls(days[name])["refresh 9"] == 1


def test_a_clock_that_is_set_costs_nothing(days: Rows) -> None:
    assert set(days["our-clock-set-an-hour-ahead"].calls) == {GOOD}


def test_a_login_is_not_risked_for_a_clock_and_the_one_before_is_ended(days: Rows) -> None:
    assert days["login-clock-six-minutes-ahead"].calls == ("login granted", "revoke granted")


def test_a_login_token_that_is_over_is_shown_once(days: Rows) -> None:
    row = days["login-token-six-minutes-old-6"]
    assert calls(row)["login 6"] == 1
    assert row.told.count("enrolment.failed") == 1


@pytest.mark.parametrize("name", [name for name in MOST_GAP if "half-an-hour" in name])
def test_a_service_that_fails_is_asked_about_once_a_minute(days: Rows, name: str) -> None:
    failed = sum(count for call, count in calls(days[name]).items() if call != GOOD)
    assert 25 <= failed <= 40


def test_a_new_process_goes_on_with_the_token_in_hand(days: Rows) -> None:
    assert calls(days["killed-and-started-again"]) == {GOOD: 1}


def test_a_token_is_made_when_somebody_needs_one_or_kept_warm_where_that_is_wanted(days: Rows) -> None:
    assert days["on-demand-a-day-unread"].calls == ()
    assert len(days["on-demand-a-day"].calls) <= DAY / 240
    assert DAY / 240 <= len(days["keep-warm-a-day"].calls) <= DAY / 220


def test_the_end_is_told_long_before_and_again_and_again(days: Rows) -> None:
    row = days["fixed-end-after-30-days"]
    assert "14.00, 7.00, 3.00, 1.00, 0.25, 0.04 days before" in row.detail
    assert row.told.index("grant.ending") < row.told.index("account.parked")


def test_a_person_who_logs_in_in_time_puts_the_end_off_and_ends_the_login_before(days: Rows) -> None:
    row = days["enrolled-anew-before-the-end"]
    assert calls(row)["login granted"] == calls(row)["revoke granted"] == 1
    assert "grant.ending" not in row.told
