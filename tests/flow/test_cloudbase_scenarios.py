"""What must come of each way in which CloudBase is known, or feared, to go wrong: expectations, then what was seen.

An expectation holds what is written of the service, not what the code does.  A refresh token works once; a sign-in ends
the oldest session of the user, so it is made where nothing else helps, and never again and again.  Gaps are bounds for
a busy machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.flow import cloudbase_days, cloudbase_plot
from tests.flow.scenarios import Row, Rows

pytestmark = pytest.mark.timeout(600)
REFRESH = "refresh_token"
GOOD = f"{REFRESH} granted"
SPENT = f"{REFRESH} invalid_grant"
IN = "signin granted"
ADVISED = "mend it, in the configuration or at the service, then reload, or: freshd refresh {name}"
ENROL = "freshd enrol {name}"
REPORT = "freshd explain {name}; please report it"
MOST_MISSES = 20
"""Reads: three seconds of them where the machine is idle."""


@dataclass(frozen=True, slots=True)
class Expected:
    """healed: the rung of the next good lease, once mended where a person is needed; reason: None if nobody is."""

    calls: tuple[str, ...]
    healed: str = "refresh"
    reason: str | None = None
    remedy: str = ENROL


def again(first: str) -> Expected:
    """Asked again with the same token, which the service had not taken yet."""
    return Expected((first, GOOD))


def lost(first: str) -> Expected:
    """The successor is lost, so the token is refused when it comes again: one sign-in."""
    return Expected((first, SPENT, IN), "signin")


def signs_in(code: str, way: str = IN) -> Expected:
    """The session is over: one sign-in."""
    return Expected((f"{REFRESH} {code}", way), "signin")


def stops(code: str, remedy: str, healed: str = "") -> Expected:
    """Asked once, and not again before somebody has done something."""
    return Expected((f"{REFRESH} {code}",), healed, code, remedy)


def no_entry(code: str, healed: str = "signin-again", remedy: str = ENROL) -> Expected:
    """The sign-in is made once, and then it is a person's."""
    return Expected((SPENT, f"signin {code}"), healed, code, remedy)


FINE = Expected((GOOD,))
EXPECTED: Mapping[str, Expected] = {
    "refresh-lost-before": again(f"{REFRESH} lost_before_commit"),
    "refresh-lost-after": lost(f"{GOOD} (lost_after_commit)"),
    "refresh-reset-before": again(f"{REFRESH} reset"),
    "refresh-cut-short": lost(f"{GOOD} (cut_short)"),
    "refresh-502-before": again(f"{REFRESH} bad_gateway"),
    "refresh-502-after": lost(GOOD),
    "refresh-html-before": again(f"{REFRESH} html"),
    "refresh-empty-after": lost(GOOD),
    "refresh-slower-than-the-deadline": lost(f"{GOOD} (in_flight)"),
    "internal-before": again(f"{REFRESH} internal"),
    "internal-after": lost(GOOD),
    "unavailable-before": again(f"{REFRESH} unavailable"),
    "refused-connection": FINE,
    "import-lost-before": again(f"{REFRESH} lost_before_commit"),
    "import-lost-after": Expected((f"{GOOD} (lost_after_commit)", SPENT), "refresh", "invalid_grant"),
    "import-spent-elsewhere": Expected((GOOD, SPENT), "refresh", "invalid_grant"),
    # the service's no
    "invalid-grant": signs_in("invalid_grant"),
    "unauthenticated": signs_in("unauthenticated"),
    "invalid-grant-in-200": signs_in("invalid_grant"),
    "invalid-grant-of-the-gateway-form": signs_in("invalid_grant"),
    "invalid-grant-inside-data": signs_in("invalid_grant"),
    "error-code-as-text": signs_in("invalid_grant"),
    "error-code-of-grpc-as-number": again(f"{REFRESH} resource_exhausted"),
    "status-200-for-all": signs_in("invalid_grant"),
    "too-frequent": again(f"{REFRESH} resource_exhausted"),
    "client-refused": stops("unauthorized_client", ADVISED),
    "permission-denied": stops("permission_denied", ADVISED),
    "malformed": stops("invalid_argument", REPORT),
    "user-blocked": stops("user_blocked", ENROL, "signin-again"),
    "gateway-refresh-token-expired": signs_in("REFRESH_TOKEN_EXPIRED"),
    "gateway-invalid-refresh-token": signs_in("INVALID_REFRESH_TOKEN"),
    "gateway-refresh-token-exhausted": stops("REFRESH_TOKEN_EXHAUSTED", ENROL),
    "gateway-login-manner-unregisted": stops("LOGIN_MANNER_UNREGISTED", ADVISED),
    "gateway-sign-param-invalid": stops("SIGN_PARAM_INVALID", ADVISED),
    "gateway-exceed-authority": stops("EXCEED_AUTHORITY", ADVISED),
    "gateway-invalid-env": stops("INVALID_ENV", ADVISED),
    "gateway-invalid-param": stops("INVALID_PARAM", REPORT),
    "gateway-exceed-ratelimit": again(f"{REFRESH} EXCEED_RATELIMIT"),
    "gateway-sys-err": again(f"{REFRESH} SYS_ERR"),
    "gateway-server-timeout": again(f"{REFRESH} SERVER_TIMEOUT"),
    # odd answers
    "no-refresh-token": lost(GOOD),
    "no-expires-in": FINE,
    "wrong-sub": Expected((GOOD,), "signin-again", "wrong-identity"),
    "code-as-text": FINE,
    # sessions
    "stranger-once": signs_in("invalid_grant"),
    "limit-of-two": FINE,
    "two-daemons-with-one-state": FINE,
    # a sign-in
    "signin-lost-after": Expected((SPENT, "signin granted (lost_after_commit)", IN), "signin"),
    "signin-502": Expected((SPENT, "signin bad_gateway", IN), "signin"),
    "wrong-password": no_entry("invalid_password"),
    "wrong-password-from-the-start": Expected(("signin invalid_password",), "signin-again", "invalid_password"),
    "second-factor": no_entry("two_factor_required"),
    "method-off": no_entry("login_type_disabled", "signin", ADVISED),
    "signin-unknown-code": no_entry("something_new"),
    # captchas
    "captcha-image": no_entry("captcha_required", "captcha"),
    "captcha-page": no_entry("captcha_required", "captcha"),
    "captcha-two-operators": no_entry("captcha_required", "captcha"),
    "captcha-before-the-first-session": Expected(("signin captcha_required",), "captcha", "captcha_required"),
    # other ways in
    "ticket-after-a-stranger": signs_in("invalid_grant", "custom granted"),
    "ticket-garbage": Expected((), "", "not-possible", "have it print one line: private_key_id/@@/jwt"),
    "ticket-command-hangs": Expected(
        (), "", "secret-missing", "see why it hangs; freshd asks again at the next exchange"
    ),
    "ticket-command-fails": Expected((), "", "secret-missing", "run the command by hand as the user of freshd"),
    "anonymous-again": signs_in("invalid_grant", "anonymously granted"),
    "anonymous-without-refresh-token": Expected(("anonymously granted",), "renew"),
    "provider-again": signs_in("invalid_grant", "with_provider granted"),
    "client-credentials": Expected(("client_credentials granted",), "issue"),
}  # fmt: skip
"""A captcha stands before the sign-in, and the refresh token is dead."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes, lived through once."""
    return cloudbase_plot.lived(tmp_path_factory.mktemp("cloudbase"))


def test_every_scene_is_expected_to_come_to_something(rows: Rows) -> None:
    assert rows.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_service_is_asked_no_more_than_that_and_that_rung_heals(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    assert row.calls == expected.calls
    assert row.healed == expected.healed


@pytest.mark.parametrize("name", EXPECTED)
def test_a_person_is_asked_only_where_nobody_else_can_help_and_told_what_to_do(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    reason = row.reason
    assert reason == expected.reason
    assert row.remedy == (None if expected.reason is None else expected.remedy.format(name=name))


@pytest.mark.parametrize("name", EXPECTED)
def test_I9_readers_are_served_until_it_is_healed_or_told(rows: Rows, name: str) -> None:
    assert rows[name].missed <= MOST_MISSES


@pytest.mark.parametrize("name", EXPECTED)
def test_I5_no_spent_token_is_presented(rows: Rows, name: str) -> None:
    assert rows[name].spent == 0


def test_a_session_that_somebody_else_ended_is_noted(rows: Rows) -> None:
    assert "answer.odd" in rows["stranger-once"].told
    assert "somebody else signs in" in rows["gateway-refresh-token-exhausted"].detail


# -- minutes and months -------------------------------------------------------------------------------------------

LOOK = 60.0
HOUR = 3600.0
NO_GAP = {
    "stranger-once", "two-machines-limit-2", "refresh-lost-before", "refresh-lost-after",
    "refresh-lost-before-5-times", "aborted-twice", "unknown-code-twice", "access-token-expired-of-the-gateway",
    "key-rotated-and-stored", "90-days-password", "35-days-import-that-slides", "90-days-client-credentials",
    "90-days-api-key", "a-day-without-refresh-tokens",
}  # fmt: skip
MOST_GAP = {
    "import-lost-before-5-times": 60.0 + 120.0 + 300.0 + 300.0 + 2 * LOOK,
    "signin-locked": 1800.0 - 1584.0 + 2 * LOOK, "too-frequent-half-an-hour": 1800.0 - 1584.0 + 2 * LOOK,
    "key-rotated-and-forgotten": 0.0, "captcha-right": 0.0, "captcha-wrong-twice": 0.0, "captcha-late": 0.0,
    "captcha-token-in-the-header": 0.0,
}  # fmt: skip
"""Where it takes longer than the rest of the access token's life, or a person has come."""
STRANGERS = "session-pushed-out"
PERSON = {
    "stranger-every-hour-for-a-day": (STRANGERS, 0.0), "stranger-every-5-min-for-a-day": (STRANGERS, 2 * HOUR),
    "stranger-and-restarts": ("pushed-out", 42 * LOOK), "two-machines-a-day": (STRANGERS, 0.0),
    "signin-aborted-for-ever": ("aborted", HOUR), "signin-locked-for-ever": ("invalid_status", 6 * LOOK),
    "unknown-code-for-ever": ("something_new", 0.0), "wrong-password-and-restarts": ("invalid_password", 0.0),
    "90-days-import": ("invalid_grant", 0.0), "revoked": ("never enrolled", 0.0),
}  # fmt: skip
"""By name: why, and seconds until that is told."""


@pytest.fixture(scope="module")
def months() -> Rows:
    """What takes minutes and months, on virtual time."""
    return cloudbase_days.lived()


def calls(row: Row) -> Counter[str]:
    return Counter(row.calls)


def test_every_scenario_of_months_is_expected_to_come_to_something(months: Rows) -> None:
    assert months.keys() == NO_GAP | MOST_GAP.keys() | PERSON.keys()


@pytest.mark.parametrize("name", sorted(NO_GAP | MOST_GAP.keys()))
def test_what_is_healed_needs_nobody_any_more_and_leaves_no_longer_gap(months: Rows, name: str) -> None:
    row = months[name]
    assert row.healed
    assert row.reason is None
    assert row.gap <= MOST_GAP.get(name, 0.0)
    assert row.parks == () or name in MOST_GAP


@pytest.mark.parametrize("name", PERSON)
def test_where_a_person_must_come_that_is_told_in_time(months: Rows, name: str) -> None:
    row, (reason, gap) = months[name], PERSON[name]
    assert (row.reason, row.remedy) == (reason, "freshd enrol a")
    assert row.gap <= gap


def test_I5_no_spent_token_is_presented_in_all_these_months(months: Rows) -> None:
    assert {name: row.spent for name, row in months.items() if row.spent} == {}


def test_a_stranger_who_comes_once_costs_one_sign_in_and_is_noted(months: Rows) -> None:
    row = months["stranger-once"]
    assert (calls(row)[SPENT], calls(row)[IN]) == (1, 1)
    assert row.told.count("answer.odd") == 1


@pytest.mark.parametrize(
    ("name", "most"),
    [("stranger-every-hour-for-a-day", 4), ("stranger-every-5-min-for-a-day", 2), ("stranger-and-restarts", 2)],
)
def test_a_stranger_who_comes_again_and_again_is_not_fought(months: Rows, name: str, most: int) -> None:
    assert calls(months[name])[IN] <= most
    assert "account.parked" in months[name].told


def test_of_two_machines_one_gives_way_and_says_so(months: Rows) -> None:
    found = calls(months["two-machines-a-day"])
    assert found["0 signin granted"] <= 4
    assert found["1 signin granted"] <= 5
    assert not [call for call in months["two-machines-limit-2"].calls if "signin" in call]


def test_a_lost_answer_costs_one_more_presentation_and_then_one_sign_in(months: Rows) -> None:
    found = calls(months["refresh-lost-after"])
    assert (found[f"{REFRESH} lost"], found[SPENT], found[IN]) == (1, 1, 1)
    assert calls(months["refresh-lost-before"])[IN] == 0


def test_a_wrong_password_is_presented_once_whatever_is_restarted_and_a_changed_one_is_tried(months: Rows) -> None:
    found = calls(months["wrong-password-and-restarts"])
    assert (found["signin invalid_password"], found[IN]) == (1, 1)
    assert months["wrong-password-and-restarts"].healed == "signin"


@pytest.mark.parametrize(
    ("name", "call", "count"),
    [
        ("signin-aborted-for-ever", "signin aborted", 3), ("signin-locked-for-ever", "signin invalid_status", 2),
        ("signin-locked", "signin invalid_status", 1), ("unknown-code-for-ever", f"{REFRESH} something_new", 4),
        ("aborted-twice", f"{REFRESH} aborted", 2), ("key-rotated-and-forgotten", "custom permission_denied", 1),
    ],
)  # fmt: skip
def test_what_is_refused_is_asked_for_so_often_and_no_more(months: Rows, name: str, call: str, count: int) -> None:
    assert calls(months[name])[call] == count


@pytest.mark.parametrize(
    ("name", "pictures"),
    [("captcha-right", 1), ("captcha-wrong-twice", 3), ("captcha-late", 2), ("captcha-token-in-the-header", 1)],
)
def test_so_many_challenges_are_asked_for_and_the_sign_in_is_made_with_the_last(
    months: Rows, name: str, pictures: int
) -> None:
    row = months[name]
    assert calls(row)["captcha_data granted"] == pictures
    assert row.calls[-1] == IN
    assert row.healed == "captcha"


def test_two_wrong_answers_are_two_challenges_and_the_third_comes_after_a_rest(months: Rows) -> None:
    assert calls(months["captcha-wrong-twice"])["captcha_verify invalid_captcha"] == 2


def test_in_ninety_days_the_session_ends_twice_and_one_sign_in_follows_each_time(months: Rows) -> None:
    found = calls(months["90-days-password"])
    assert (found[SPENT], found[IN]) == (2, 2)


def test_the_end_of_a_session_that_only_a_person_can_begin_is_told_long_before(months: Rows) -> None:
    for name in ("90-days-import", "35-days-import-that-slides"):
        assert months[name].detail == "14.00, 7.00, 3.00, 1.00, 0.25, 0.04"
    assert months["90-days-import"].told.index("grant.ending") < months["90-days-import"].told.index("account.parked")


def test_tokens_of_the_server_are_asked_for_before_they_end_and_a_keys_age_is_told(months: Rows) -> None:
    assert calls(months["90-days-client-credentials"]) == {"client_credentials granted": 19}
    assert months["90-days-api-key"].calls == ()
    assert months["90-days-api-key"].detail.startswith("30.00, 14.00")


def test_anonymously_without_refresh_tokens_it_is_the_same_user_all_day(months: Rows) -> None:
    assert set(months["a-day-without-refresh-tokens"].calls) == {"anonymously granted"}
    assert "identity.wrong" not in months["a-day-without-refresh-tokens"].told
