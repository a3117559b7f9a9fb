"""The table of codes, and the forms in which a service says no; every code in every operation."""

import json
from dataclasses import replace
from typing import Any

import pytest

from freshd.core.model import Record, Secret
from freshd.core.outcome import Judged, Rejected, Remedy, Reply, Unreadable
from freshd.providers.futu.read import read
from freshd.providers.futu.refusal import ADVICE
from tests.unit.providers.futu_parts import LOGIN, SENT, TERMS, error, intent, plain, platform, reply
from tests.unit.providers.judged import rejected

LOGINS = ["refresh", "login-again"]
RUNGS = [*LOGINS, "device-check", "third-factor"]
TABLE = [(2, Remedy.PERSON), (11, Remedy.CONFIG), (15, Remedy.PERSON), (20, Remedy.PERSON), (21, Remedy.PERSON),
         (33, Remedy.PERSON), (45, Remedy.CONFIG)]  # fmt: skip
STEP: dict[str, Any] = {"uid": 90000001, "device_verify_sig": "DVS-77", "phone_no": "139****0000"}


def judge(answer: Reply, rung: str = "refresh", record: Record | None = None) -> Judged:
    known = platform() if record is None else record
    return read(rung, known, intent(rung, known), answer, TERMS)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize(("code", "remedy"), TABLE)
def test_a_known_code_has_its_remedy_whatever_the_status(code: int, remedy: Remedy, status: int, rung: str) -> None:
    found = rejected(judge(error(code, status), rung))
    assert (found.code, found.remedy, found.known, found.dead) == (str(code), remedy, True, frozenset())
    assert found.detail == ADVICE[code]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("code", [1, -3, 99, 990001, 990003, 20029, "17"])
def test_an_unknown_code_keeps_everything_and_waits(code: object, rung: str) -> None:
    found = rejected(judge(error(code, field_of_theirs=1), rung))
    assert (found.code, found.remedy, found.known) == (str(code), Remedy.WAIT, False)
    assert (found.drop, found.dead, dict(found.keep)) == (frozenset(), frozenset(), {})
    assert "field_of_theirs" in found.detail
    assert "canary" not in repr(found)


def test_an_unknown_code_under_a_status_of_500_is_an_error_page() -> None:
    assert isinstance(judge(error(99, 503)), Unreadable)


@pytest.mark.parametrize(("rung", "again"), [("refresh", (90.0,)), ("login-again", ()), ("device-check", ())])
def test_15_is_tried_once_more_by_freshd_and_never_where_a_person_stands(rung: str, again: tuple[float, ...]) -> None:
    found = rejected(judge(error(15), rung))
    assert found.again == again
    assert "another program" in found.detail


# -- what a refusal brings ------------------------------------------------------------------------------------------


def test_20_keeps_what_the_device_check_needs_and_when_it_came() -> None:
    found = rejected(judge(error(20, **STEP)))
    assert plain(found.keep) == {
        "device_verify_sig": "DVS-77", "device_verify_at": f"{SENT.wall:.0f}", "phone_no": "139****0000",
    }  # fmt: skip
    assert found.drop == {"third_factor_verify_sig", "third_factor_verify_at"}
    assert found.again == ()


def test_the_moment_is_never_later_than_the_login() -> None:
    late = replace(SENT, wall=SENT.wall + 0.9)
    note = replace(intent("refresh", platform()), sent=late)
    found = rejected(read("refresh", platform(), note, error(20, **STEP), TERMS))
    assert found.keep["device_verify_at"] == Secret(f"{SENT.wall:.0f}")


def test_33_keeps_what_the_third_factor_needs() -> None:
    found = rejected(judge(error(33, uid=90000001, third_factor_verify_sig="TFS")))
    assert plain(found.keep) == {"third_factor_verify_sig": "TFS", "third_factor_verify_at": f"{SENT.wall:.0f}"}
    assert found.drop == {"device_verify_sig", "device_verify_at", "phone_no"}


@pytest.mark.parametrize("extra", [{}, {"device_verify_sig": ""}, {"device_verify_sig": 7}, {**STEP, "uid": 90000002}])
def test_a_step_that_lacks_its_signature_or_is_another_accounts_needs_a_person_all_the_same(extra: Any) -> None:  # noqa: ANN401
    found = rejected(judge(error(20, **extra)))
    assert (found.remedy, dict(found.keep), found.drop) == (Remedy.PERSON, {}, frozenset())


def test_a_refusal_may_tell_the_accounts_number_first() -> None:
    found = rejected(judge(error(20, **STEP), record=platform(without=("uid",))))
    assert found.keep["uid"] == Secret("90000001")


def test_a_phone_number_that_is_no_text_is_left_out() -> None:
    assert "phone_no" not in rejected(judge(error(20, **{**STEP, "phone_no": 13900000000}))).keep


def test_wrong_codes_are_counted() -> None:
    assert plain(rejected(judge(error(21), "device-check")).keep) == {"wrong_codes": "1"}
    again = rejected(judge(error(21), "device-check", platform(wrong_codes="1")))
    assert plain(again.keep) == {"wrong_codes": "2"}


# -- what is no refusal ---------------------------------------------------------------------------------------------

FOREIGN = [
    b"", b"<html>", b"[]", b"null", b"5", b'"x"', b"{}", b'{"result": null}', b'{"result": {}}', b'{"result": []}',
    b'{"result": "ok"}', b'{"error": null}', b'{"error": {}}', b'{"error": "no"}', b'{"error": 20}',
    b'{"error": {"error_code": 0}}', b'{"error": {"error_code": true}}', b'{"error": {"error_code": 1.5}}',
    b'{"error": {"error_code": null}}', b'{"error": {"error_msg": "x"}}', b'{"error_code": 20}',
    b'{"result": {"uid": 1}',
]  # fmt: skip


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("status", [200, 502])
def test_what_is_not_the_services_own_word_acts_as_a_lost_answer(body: bytes, status: int) -> None:
    judged = judge(reply(body, status))
    assert isinstance(judged, Unreadable)
    assert judged.gateway is (status == 502)


@pytest.mark.parametrize("both", [{"error_code": 20}, {"error_code": 99}, {"error_msg": "x"}, "no"])
def test_a_result_beside_an_error_contradicts_itself(both: object) -> None:
    judged = judge(reply({"result": dict(LOGIN), "error": both}))
    assert judged == Unreadable("both a result and an error (status 200)")


def test_a_result_beside_code_zero_is_a_success() -> None:
    assert not isinstance(judge(reply({"result": dict(LOGIN), "error": {"error_code": 0}})), Rejected | Unreadable)


@pytest.mark.parametrize("status", [199, 302, 400, 500])
def test_a_result_under_a_bad_status_is_no_success(status: int) -> None:
    assert isinstance(judge(reply({"result": dict(LOGIN)}, status)), Unreadable)


def test_an_object_that_arrived_whole_counts_although_the_connection_ended_early() -> None:
    body = json.dumps({"result": dict(LOGIN)}).encode()
    assert not isinstance(judge(reply(body, complete=False)), Unreadable)
    assert isinstance(judge(reply(body[:-2], complete=False)), Unreadable)


def test_slow_down_is_obeyed_whoever_says_it() -> None:
    found = rejected(judge(reply(b"slow down", 429, Retry_After="120")))
    assert (found.remedy, found.retry_after, found.dead) == (Remedy.WAIT, 120.0, frozenset())


@pytest.mark.parametrize("name", ["TG-0001", "0f1e2d3c4b5a6978", "<b>", "\x1b[31m", "x" * 60])
def test_a_field_that_may_be_more_than_a_name_is_not_shown(name: str) -> None:
    found = rejected(judge(error(99, **{name: 1})))
    assert name not in repr(found)
    assert "(not shown)" in found.detail
