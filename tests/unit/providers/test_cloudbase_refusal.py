"""Every row of the table of codes, whatever form a refusal has."""

import json
from typing import Any

import pytest

from freshd.core.model import Record, Secret
from freshd.core.outcome import Rejected, Remedy, Unreadable
from freshd.providers.cloudbase.envelope import NUMBERS
from freshd.providers.cloudbase.flow import Flow, flow_of
from freshd.providers.cloudbase.times import told
from tests.unit.providers.cloudbase_parts import RECORD, TERMS, after, at, judge, with_secrets
from tests.unit.providers.judged import rejected
from tests.unit.providers.parts import SENT, reply

OPEN = "open"
UNKNOWN = "unknown"
Row = tuple[str, str, str]
ROWS: list[Row] = [
    *((code, "climb", "person") for code in ("invalid_grant", "unauthenticated", "REFRESH_TOKEN_EXPIRED",
                                             "INVALID_REFRESH_TOKEN")),
    *((code, "config", "config") for code in (
        "unauthorized_client", "invalid_client", "permission_denied", "not_found", "user_not_found",
        "failed_precondition", "provider_not_enabled", "login_method_disabled", "login_type_disabled", "provider_error",
        "unimplemented", "LOGIN_MANNER_UNREGISTED", "SIGN_PARAM_INVALID", "PERMISSION_DENIED", "EXCEED_AUTHORITY",
        "INVALID_ENV", "INVALID_ENV_STATUS", "INVALID_REGION", "INVALID_HOST", "ENV_ABNORMAL", "ENV_NOT_READY")),
    *((code, "bug", "bug") for code in (
        "unsupported_grant_type", "invalid_scope", "invalid_request", "invalid_argument", "already_exists",
        "out_of_range", "unsupported_response_type", "invalid_request_uri", "invalid_request_object",
        "request_not_supported", "request_uri_not_supported", "registration_not_supported", "INVALID_PARAM",
        "INVALID_COMMON_PARAM", "INVALID_ACTION", "BAD_REQUEST", "INVALID_REQUEST")),
    ("password_not_set", UNKNOWN, "config"),
    *((code, UNKNOWN, "person") for code in (
        "invalid_password", "wrong_password", "invalid_username_or_password", "invalid_credentials", "invalid_status",
        "invalid_verification_code")),
    *((code, "person", "person") for code in (
        "user_pending", "user_blocked", "under_review", "two_factor_required", "invalid_two_factor",
        "invalid_two_factor_recovery", "mfa_phone_required", "phone_required", "captcha_required", "captcha_invalid",
        "access_denied", "login_required", "interaction_required", "account_selection_required", "consent_required",
        "REFRESH_TOKEN_EXHAUSTED", "ACCESS_TOKEN_EXPIRED", "CHECK_LOGIN_FAILED")),
    *((code, "wait", "wait") for code in (
        "resource_exhausted", "EXCEED_RATELIMIT", "EXCEED_REQUEST_LIMIT", "EXCEED_CONCURRENT_REQUEST_LIMIT",
        "RequestLimitExceeded")),
    ("aborted", "wait", "person"),
    *((code, OPEN, "wait") for code in (
        "internal", "server_error", "unavailable", "temporarily_unavailable", "deadline_exceeded", "data_loss",
        "unknown", "unreachable", "SYS_ERR", "SERVER_TIMEOUT", "REQUEST_CANCELED")),
    *((code, UNKNOWN, UNKNOWN) for code in ("cancelled", "local", "a_new_code")),
]  # fmt: skip


def shape(code: str) -> dict[str, Any]:
    """A refusal in the form of whoever says that code."""
    if code.isupper() or code == "RequestLimitExceeded":
        return {"code": code, "message": "words", "requestId": "r-1"}
    return {"error": code, "error_description": "words"}


def seen(judged: object) -> str:
    if isinstance(judged, Unreadable):
        return OPEN
    assert isinstance(judged, Rejected), judged
    return judged.remedy.value if judged.known else UNKNOWN


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(("code", "renewal", "signin"), ROWS)
def test_every_code_calls_for_what_its_row_says_whatever_the_status(
    code: str, renewal: str, signin: str, status: int
) -> None:
    for rung, wanted in (("refresh", renewal), ("signin", signin)):
        judged = judge(reply(shape(code), status), rung)
        assert seen(judged) == wanted, rung
        if isinstance(judged, Rejected):
            is_end = rung == "refresh" and wanted == "climb"
            assert judged.dead == (frozenset({"refresh_token"}) if is_end else frozenset())


@pytest.mark.parametrize(("number", "name"), sorted(NUMBERS.items()))
@pytest.mark.parametrize("form", [int, str, float])
def test_a_number_counts_before_the_name_in_any_form(number: int, name: str, form: type) -> None:
    by_name = judge(reply({"error": name}), "refresh")
    for body in (
        {"error": "something_else", "error_code": form(number)},
        {"error_code": form(number)},
        {"code": form(number), "message": "words", "details": [{"@type": "x"}]},
        {"data": {"error": "something_else", "error_code": form(number)}},
    ):
        assert judge(reply(body), "refresh") == by_name


@pytest.mark.parametrize("number", [0, "0", None, 31337, "x", True, [], 1.5])
def test_a_number_that_stands_for_nothing_leaves_the_name(number: object) -> None:
    assert rejected(judge(reply({"error": "invalid_grant", "error_code": number}))).remedy is Remedy.CLIMB


@pytest.mark.parametrize("error", [True, 7, {"a": 1}, ["x"]])
def test_a_truthy_error_that_is_no_text_is_a_refusal_too(error: object) -> None:
    judged = rejected(judge(reply({"error": error, "access_token": "eyJ.fake.A2"})))
    assert (judged.known, judged.remedy) == (False, Remedy.PERSON)


def test_a_code_that_nobody_knows_is_tried_three_times_more_on_a_renewal_and_drops_nothing() -> None:
    judged = rejected(judge(reply({"error": "a_new_code"}, 418)))
    assert len(judged.again) == 3
    assert (judged.drop, judged.dead, judged.keep) == (frozenset(), frozenset(), {})
    assert "status 418, fields: error" in judged.detail
    assert rejected(judge(reply({"error": "a_new_code"}), "signin")).again == ()


def test_a_refusal_names_its_request_and_no_word_of_the_service() -> None:
    judged = rejected(judge(reply({"error": "user_blocked", "error_description": "Hans is out"}), request_id="ab12"))
    assert judged.detail == "the user is disabled; request ab12"
    hidden = rejected(judge(reply({"error": "m.FAKE-r1 is bad"})))
    assert hidden.code == "(not shown)"


DELAYS = [("1800s", 1800.0), ("1.5s", 1.5), (30, 30.0), ({"seconds": 60}, 60.0), ("9" * 9 + "s", 86_400.0)]


@pytest.mark.parametrize(("delay", "seconds"), DELAYS)
def test_a_delay_in_the_details_is_kept_to(delay: object, seconds: float) -> None:
    body = {"error": "resource_exhausted", "details": [{"@type": "x"}, {"retry_delay": delay}]}
    assert rejected(judge(reply(body), "signin")).retry_after == seconds


@pytest.mark.parametrize(
    "details", [None, 7, [7], [{"retry_delay": "soon"}], [{"retry_delay": -5}], {"retry_delay": []}]
)
def test_details_that_say_nothing_leave_it_to_retry_after(details: object) -> None:
    body = {"error": "resource_exhausted", "details": details}
    assert rejected(judge(reply(body, 429, {"Retry-After": "7"}), "signin")).retry_after == 7


def test_429_without_a_code_means_wait() -> None:
    assert rejected(judge(reply(b"slow down", 429))).remedy is Remedy.WAIT


def test_aborted_waits_long_and_after_three_in_a_row_is_a_persons() -> None:
    assert rejected(judge(reply({"error": "aborted"}))).retry_after == 600
    judged = rejected(judge(reply({"error": "aborted"}), "signin"))
    assert (judged.remedy, len(judged.again)) == (Remedy.PERSON, 2)
    assert min(judged.again) >= 600


def test_a_locked_user_is_waited_for_once_and_then_a_persons() -> None:
    body = {"error": "invalid_status", "details": [{"retry_delay": "900s"}]}
    judged = rejected(judge(reply(body), "signin"))
    assert (judged.remedy, judged.retry_after, judged.again) == (Remedy.PERSON, 900.0, (900.0,))


def test_a_wrong_password_is_a_persons_at_once_and_marked() -> None:
    body = {"error": "invalid_password", "details": [{"limit_remaining": 4}]}
    judged = rejected(judge(reply(body), "signin", password_mark="salt:digest"))
    assert (judged.remedy, judged.again) == (Remedy.PERSON, ())
    assert judged.keep == {"refused_password": Secret("salt:digest")}
    assert "the service takes 4 more" in judged.detail


def test_an_environment_that_does_not_run_is_no_single_accounts_trouble() -> None:
    assert rejected(judge(reply({"code": "ENV_NOT_READY"}))).host == "cloudbase v.example"
    assert rejected(judge(reply({"code": "INVALID_ENV"}))).host is None


def test_a_refusal_after_a_lost_answer_says_that_it_was_lost() -> None:
    judged = rejected(judge(reply({"error": "invalid_grant"}), replays=1, record=pushed(0.0, 1000.0, 2000.0)))
    assert judged.remedy is Remedy.CLIMB
    assert "lost" in judged.detail


def test_a_token_that_a_renewal_did_not_replace_is_just_over() -> None:
    record = with_secrets(pushed(0.0, 1000.0, 2000.0), unconfirmed="1")
    assert rejected(judge(reply({"error": "invalid_grant"}), record=record)).remedy is Remedy.CLIMB


def pushed(*before: float) -> Record:
    """A record with automatic sign-ins so many seconds before the call."""
    return with_secrets(RECORD, sign_ins=json.dumps([told(at(SENT, -seconds)) for seconds in sorted(before)[::-1]]))


@pytest.mark.parametrize(
    ("before", "stops"),
    [((), False), ((600.0,), False), ((600.0, 1200.0), False), ((600.0, 1200.0, 1800.0), True),
     ((600.0, 1200.0, 7300.0), False), ((8000.0, 9000.0, 10_000.0), False)],
)  # fmt: skip
def test_who_is_pushed_out_more_than_twice_within_one_life_does_not_fight(
    before: tuple[float, ...], stops: bool
) -> None:
    judged = rejected(judge(reply({"error": "invalid_grant"}), record=pushed(*before)))
    assert (judged.code, judged.remedy) == (
        ("session-pushed-out", Remedy.PERSON) if stops else ("invalid_grant", Remedy.CLIMB)
    )
    if stops:
        assert "somebody else signs in with this account" in judged.detail
        kept = after(pushed(*before), judged).grant
        assert kept is not None
        assert "refresh_token" not in kept.secrets
        assert kept.secrets["refused_refresh_token"] == Secret("m.FAKE-r1")
        assert "pushed_out" in kept.secrets


def test_a_reached_session_limit_stops_at_once() -> None:
    judged = rejected(judge(reply({"code": "REFRESH_TOKEN_EXHAUSTED", "message": "x"})))
    assert (judged.code, judged.remedy) == ("REFRESH_TOKEN_EXHAUSTED", Remedy.PERSON)
    assert judged.keep.keys() == {"pushed_out", "refused_refresh_token"}


@pytest.mark.parametrize(("rung", "operation"), [("refresh", "refresh"), ("signin", "signin"), ("renew", "signin")])
@pytest.mark.parametrize("code", ["captcha_required", "captcha_invalid"])
def test_a_captcha_is_remembered_with_what_it_holds_up(rung: str, operation: str, code: str) -> None:
    judged = rejected(judge(reply({"error": code}), rung))
    assert (judged.remedy, judged.dead) == (Remedy.PERSON, frozenset())
    assert flow_of(after(RECORD, judged)) == Flow(operation)


def test_the_terms_are_those_of_the_tests() -> None:
    assert TERMS.has_signin
