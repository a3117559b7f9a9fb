"""What answers come to: merge rules, lives, users, and that no new refresh token is ever lost."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Grant, Lease, Record, Secret
from freshd.core.outcome import Answered, Rejected, Reply, Unreadable
from freshd.providers.cloudbase.flow import REST_SECONDS, Flow, Ticket, flow_of, verified, verified_of
from freshd.providers.cloudbase.times import count_since, sign_ins, told
from tests.unit.providers.cloudbase_parts import (
    BINDING,
    DEVICE,
    EARLIER,
    FIELDS,
    GOOD,
    LEASE,
    OLD,
    RECORD,
    TERMS,
    after,
    at,
    judge,
    jwt,
    with_secrets,
    without_secret,
)
from tests.unit.providers.judged import change, grant, lease, rejected
from tests.unit.providers.parts import SENT, reply

EMPTY = Record("a", 0)


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in names}


@pytest.mark.parametrize("status", [200, 201, 400, 500])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_answer_renews_the_grant_whatever_the_status(status: int, wrapped: bool) -> None:
    judged = judge(reply({"data": GOOD} if wrapped else GOOD, status))
    assert lease(judged) == Lease("a", 4, Secret("eyJ.fake.A2"), SENT, 7200.0, FIELDS)
    secrets = {**OLD.secrets, "refresh_token": Secret("m.FAKE-r2")}
    assert grant(judged) == replace(OLD, secrets=secrets, obtained=SENT, valid_for=2_592_000.0)
    assert isinstance(judged, Answered)
    assert judged.notes == {}


def test_the_first_sign_in_founds_the_grant_with_its_device_and_its_time() -> None:
    judged = judge(reply(GOOD), "signin", record=EMPTY, device_id=DEVICE)
    secrets = {
        "refresh_token": Secret("m.FAKE-r2"), "device_id": Secret(DEVICE), "api_version": Secret("v1"),
        "sign_ins": Secret(json.dumps([told(SENT)])),
    }  # fmt: skip
    assert grant(judged) == Grant("line", BINDING, secrets, SENT, SENT, 2_592_000.0)


def test_a_sign_in_of_our_own_goes_on_with_the_lineage_and_ends_what_was_before() -> None:
    record = with_secrets(refused_password="s:d", unconfirmed="1", wrong_codes="[]")
    judged = judge(reply(GOOD), "signin", record=record, device_id="another-device-0001")
    made = grant(judged)
    assert (made.lineage, made.enrolled) == ("line", SENT)
    assert made.secrets.keys() == {"refresh_token", "device_id", "api_version", "sign_ins"}
    assert made.secrets["device_id"] == Secret("another-device-0001")
    assert change(judged).drop == {"refused_password", "unconfirmed", "wrong_codes"}


@pytest.mark.parametrize("rung", ["signin-again", "signin-code", "captcha"])
def test_a_persons_sign_in_begins_a_lineage_and_forgets_the_guard(rung: str) -> None:
    record = with_secrets(without_secret("refresh_token"), pushed_out="1", refused_refresh_token="m.FAKE-r1",
                          captcha=Flow("signin").secret.reveal(), sign_ins=json.dumps([told(EARLIER)]))  # fmt: skip
    judged = judge(reply(GOOD), rung, record=record, origin="https://then.example", client_id="then")
    made = grant(judged)
    assert (made.lineage, made.binding.origin, made.binding.client_id) == ("candidate", "https://then.example", "then")
    assert made.secrets.keys() == {"refresh_token", "device_id", "api_version"}
    assert change(judged).drop == {"pushed_out", "refused_refresh_token", "captcha", "sign_ins"}


def test_the_end_of_a_persons_session_counts_from_the_sign_in_and_our_own_has_none() -> None:
    person = replace(TERMS, method="sms", has_signin=False, refresh_life=1000.0)
    made = grant(judge(reply(GOOD), "signin-code", person))
    assert (made.enrolled, made.absolute_for, made.valid_for) == (SENT, 1000.0, 1000.0)
    renewed = grant(judge(reply(GOOD), terms=person, record=replace(RECORD, grant=replace(OLD, absolute_for=1000.0))))
    assert (renewed.enrolled, renewed.absolute_for) == (OLD.enrolled, 1000.0)
    assert grant(judge(reply(GOOD), "signin")).absolute_for is None


# -- what an answer lacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lacking", ["absent", None, ""])
def test_a_renewal_without_a_refresh_token_keeps_the_old_one_unconfirmed(lacking: object) -> None:
    body = without(GOOD, "refresh_token") if lacking == "absent" else {**GOOD, "refresh_token": lacking}
    judged = judge(reply(body))
    secrets = grant(judged).secrets
    assert (secrets["refresh_token"], secrets["unconfirmed"]) == (Secret("m.FAKE-r1"), Secret("1"))
    assert grant(judged).obtained == OLD.obtained
    assert isinstance(judged, Answered)
    assert judged.notes["refresh_token"].startswith("omitted")
    assert "unconfirmed" not in grant(judge(reply(GOOD), record=after(RECORD, judged))).secrets


def test_where_the_contract_says_so_a_missing_refresh_token_is_the_end_of_the_old_one() -> None:
    judged = judge(reply(without(GOOD, "refresh_token")), terms=replace(TERMS, contract=Contract(omitted=Omitted.DEAD)))
    assert change(judged).grant is None
    assert change(judged).drop == {"refresh_token"}


def test_a_sign_in_without_a_refresh_token_is_renewed_by_signing_in() -> None:
    judged = judge(reply(without(GOOD, "refresh_token")), "signin")
    assert "refresh_token" not in grant(judged).secrets
    assert grant(judged).secrets["sessionless"] == Secret("1")
    assert grant(judged).valid_for is None
    assert change(judged).drop == {"refresh_token"}
    assert "sessionless" not in grant(judge(reply(GOOD), "renew", record=after(RECORD, judged))).secrets


def test_scope_user_and_groups_that_are_not_repeated_go_on() -> None:
    known = replace(RECORD, lease=replace(LEASE, fields={**FIELDS, "groups": "ops"}))
    fields = lease(judge(reply(without(GOOD, "scope", "sub")), record=known)).fields
    assert fields == {**FIELDS, "groups": "ops"}
    assert lease(judge(reply({**GOOD, "groups": ["a", "b"]}), record=known)).fields["groups"] == "a b"
    assert "groups" not in lease(judge(reply(GOOD), "signin", record=known)).fields


LIVES = [
    (7200, None, 7200.0), ("7200", None, 7200.0), (600, 7200, 600.0), (9000, 7200, 7200.0), (None, 3600, 3600.0),
    ("absent", 3600, 3600.0), ("absent", None, 7200.0), (0, None, 300.0), (-1, None, 300.0), ("x", 3600, 3600.0),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "whole", "life"), LIVES)
def test_a_life_is_the_stated_one_else_the_tokens_own_else_two_hours(
    stated: object, whole: int | None, life: float
) -> None:
    token = "eyJ.fake.A2" if whole is None else jwt(iat=1000, exp=1000 + whole)
    body = {**GOOD, "access_token": token, "expires_in": stated}
    assert lease(judge(reply(without(body, "expires_in") if stated == "absent" else body))).valid_for == life


def test_the_token_presented_handed_back_is_taken_at_its_word() -> None:
    judged = judge(reply({**GOOD, "refresh_token": "m.FAKE-r1"}))
    assert isinstance(judged, Answered)
    assert judged.notes["refresh_token"] == "the one that was presented"


def test_scopes_that_are_expected_and_not_granted_are_told_once() -> None:
    terms = replace(TERMS, scope="user sso admin")
    judged = judge(reply({**GOOD, "scope": "user sso files"}), terms=terms)
    assert isinstance(judged, Answered)
    assert judged.notes["scope"] == "lacks admin"
    again = judge(reply({**GOOD, "scope": "user sso files"}), terms=terms, record=after(RECORD, judged))
    assert isinstance(again, Answered)
    assert "scope" not in again.notes


# -- whose it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rung", ["refresh", "signin", "signin-again"])
@pytest.mark.parametrize(
    "body", [{**GOOD, "sub": "1900000000000000002"}, {**without(GOOD, "sub"), "access_token": jwt(sub="19-2")}]
)
def test_an_answer_for_another_user_is_kept_and_withheld(rung: str, body: dict[str, Any]) -> None:
    made = change(judge(reply(body), rung))
    assert made.withheld == "the answer is for another user"
    assert made.grant is not None
    assert made.grant.secrets["refresh_token"] == Secret("m.FAKE-r2")
    assert made.grant.binding.subject in (None, BINDING.subject)  # the right user can come back
    assert isinstance(made.drop, frozenset)  # what is withheld is set aside as it is


def test_the_configured_user_counts_before_the_known_one() -> None:
    terms = replace(TERMS, binding=replace(TERMS.binding, subject="other"))
    assert change(judge(reply(GOOD), terms=terms)).withheld is not None


# -- what a sign-in says of the session before it -------------------------------------------------------------------


def notes(record: Record, rung: str = "signin") -> Any:  # noqa: ANN401
    judged = judge(reply(GOOD), rung, record=record)
    assert isinstance(judged, Answered)
    return judged.notes.get("session")


def test_a_session_that_was_pushed_out_once_is_healed_and_noted() -> None:
    soon = with_secrets(replace(RECORD, grant=replace(OLD, enrolled=at(SENT, -600.0))),
                        sign_ins=json.dumps([told(at(SENT, -600.0))]))  # fmt: skip
    assert notes(soon) == "ended 600 s after our sign-in: somebody else may sign in with this account"
    assert notes(RECORD) == "the last one ended before its time; begun anew"
    assert notes(replace(RECORD, grant=replace(OLD, valid_for=10.0))) is None
    assert notes(without_secret("refresh_token"), "renew") is None
    assert notes(soon, "signin-again") is None


def test_only_the_last_sign_ins_are_kept() -> None:
    record = RECORD
    for number in range(12):
        judged = judge(reply(GOOD), "signin", record=record, sent=at(SENT, 1000.0 * number))
        record = after(record, judged)
    assert len(sign_ins(record)) == 8
    assert count_since(record, 2500.0, at(SENT, 11_000.0)) == 3


@pytest.mark.parametrize("kept", ["", "{}", "[7]", '[{"wall": "x"}]', '[{"wall": 1, "boot": 1e999, "boot_id": "b"}]'])
def test_damaged_times_are_none(kept: str) -> None:
    assert sign_ins(with_secrets(sign_ins=kept)) == ()


# -- captcha --------------------------------------------------------------------------------------------------------


def held_up(flow: Flow) -> Record:
    return with_secrets(captcha=flow.secret.reveal())


def test_right_characters_bring_a_token_for_the_same_operation() -> None:
    judged = rejected(judge(reply({"captcha_token": "ct-FAKE-1", "expires_in": 600}), "captcha-check",
                            record=held_up(Flow("signin", 1))))  # fmt: skip
    assert judged.code == "captcha-passed"
    assert flow_of(after(RECORD, judged)) == Flow("signin", 1, Ticket("ct-FAKE-1", SENT, 600.0))
    assert "ct-FAKE-1" not in repr(judged)


CHECKS = [
    {"error": "invalid_captcha", "error_code": 4001}, {"error": "captcha_expired", "error_code": 4002},
    {"error": "captcha_invalid"}, {"error": "captcha_required"}, {"data": {"error": "captcha_expired"}},
]  # fmt: skip


@pytest.mark.parametrize("body", CHECKS)
def test_wrong_or_late_characters_are_counted_and_the_second_time_is_the_last(body: dict[str, Any]) -> None:
    record = held_up(Flow("signin"))
    record = after(record, judge(reply(body), "captcha-check", record=record))
    flow = flow_of(record)
    assert flow is not None
    assert (flow.used, flow.rests) == (1, None)
    flow = flow_of(after(record, judge(reply(body), "captcha-check", record=record)))
    assert flow is not None
    assert (flow.used, flow.rest(at(SENT, 1.0))) == (2, REST_SECONDS - 1.0)
    assert flow.rest(at(SENT, REST_SECONDS)) <= 0


PASSED = Flow("signin", 0, Ticket("ct-FAKE-1", SENT, 300.0))


def test_a_fresh_token_that_was_not_seen_in_the_query_goes_into_the_header_once() -> None:
    record = held_up(PASSED)
    record = after(record, judge(reply({"error": "captcha_required"}), "captcha", record=record))
    assert flow_of(record) == replace(PASSED, way="header")
    flow = flow_of(after(record, judge(reply({"error": "captcha_required"}), "captcha", record=record)))
    assert flow is not None
    assert flow.rest(SENT) == REST_SECONDS
    assert flow.passed is None


def test_where_only_one_way_is_configured_the_flow_ends_at_once() -> None:
    terms = replace(TERMS, tries_header=False)
    judged = judge(reply({"error": "captcha_required"}), "captcha", terms, held_up(PASSED))
    flow = flow_of(after(RECORD, judged))
    assert flow is not None
    assert flow.rest(SENT) == REST_SECONDS


def test_a_token_that_is_refused_leads_to_a_new_challenge_once() -> None:
    record = held_up(PASSED)
    record = after(record, judge(reply({"error": "captcha_invalid"}), "captcha", record=record))
    assert flow_of(record) == Flow("signin", 1)
    record = held_up(replace(PASSED, used=1))
    flow = flow_of(after(record, judge(reply({"error": "captcha_invalid"}), "captcha", record=record)))
    assert flow is not None
    assert flow.rest(SENT) == REST_SECONDS


def test_the_address_of_a_page_holds_the_token_that_was_presented() -> None:
    judged = judge(reply({"error": "captcha_required"}), "captcha", record=held_up(Flow("signin")), captcha_state="s1",
                   code="http://127.0.0.1/captcha?state=s1&captcha_token=ct-FAKE-7&expires_in=120")  # fmt: skip
    flow = flow_of(after(RECORD, judged))
    assert flow is not None
    assert (flow.passed, flow.way) == (Ticket("ct-FAKE-7", SENT, 120.0), "header")


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"operation": 7, "used": "x", "passed": 7}', "[" * 9999])
def test_a_damaged_flow_still_stops_sign_ins(kept: str) -> None:
    assert flow_of(with_secrets(captcha=kept)) == Flow("signin")


# -- codes ----------------------------------------------------------------------------------------------------------


def test_a_right_code_brings_a_token_for_the_sign_in() -> None:
    judged = rejected(judge(reply({"verification_token": "vt-FAKE", "expires_in": 600}), "code-check"))
    assert judged.code == "code-checked"
    assert verified_of(after(RECORD, judged)) == Ticket("vt-FAKE", SENT, 600.0)


@pytest.mark.parametrize("code", ["invalid_argument", "invalid_verification_code", "permission_denied"])
def test_wrong_codes_are_counted_for_their_verification(code: str) -> None:
    record = RECORD
    for count in (1, 2):
        judged = judge(reply({"error": code}), "code-check", record=record, verification_id="v-1")
        record = after(record, judged)
        assert rejected(judged).keep["wrong_codes"] == Secret(json.dumps(["v-1", count]))
    judged = judge(reply({"error": code}), "code-check", record=record, verification_id="v-2")
    assert rejected(judged).keep["wrong_codes"] == Secret(json.dumps(["v-2", 1]))


def test_a_checked_code_that_is_over_is_forgotten_and_a_persons() -> None:
    record = with_secrets(verified=verified(Ticket("vt-FAKE", SENT, 600.0)).reveal())
    judged = rejected(judge(reply({"error": "invalid_argument"}), "signin-code", record=record))
    assert judged.remedy.value == "person"
    assert judged.drop == {"verified"}


def test_a_captcha_before_the_sign_in_with_a_code_holds_that_up() -> None:
    record = with_secrets(verified=verified(Ticket("vt-FAKE", SENT, 600.0)).reveal())
    judged = judge(reply({"error": "captcha_required"}), "signin-code", record=record)
    assert flow_of(after(record, judged)) == Flow("signin-code")


# -- anything at all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 200), (b"<html>", 502), (b"{", 200), (b"[]", 200), (b"{}", 200), (b'{"sub": "x"}', 404), (b"null", 500)],
)
def test_what_is_not_the_services_word_acts_as_a_lost_answer(body: bytes, status: int) -> None:
    for rung in ("refresh", "signin", "captcha-check", "code-check"):
        assert isinstance(judge(reply(body, status), rung), Unreadable)


def test_tokens_other_than_bearer_are_the_configurations() -> None:
    assert rejected(judge(reply(without({**GOOD, "token_type": "mac"}, "refresh_token")))).code == "token_type"


@pytest.mark.parametrize("rung", ["refresh", "signin"])
def test_a_token_that_comes_back_with_a_refusal_is_no_successor(rung: str) -> None:
    echo = {"error": "invalid_grant", "error_description": "m.FAKE-r1", "refresh_token": "m.FAKE-r1"}
    assert isinstance(judge(reply(echo, 400), rung), Rejected)
    broken = json.dumps({"refresh_token": "m.FAKE-r1", "token_type": "Bearer"}).encode()[:-3]
    assert isinstance(judge(reply(broken, complete=False), rung), Unreadable)


SPOILED: list[tuple[dict[str, Any], int]] = [
    ({"error": "internal", "error_code": 13}, 500), ({"error": "invalid_grant"}, 400), ({"code": "SYS_ERR"}, 200),
    ({"error_code": "8"}, 429), ({"access_token": None}, 200), ({"token_type": "mac"}, 200), ({"error": ["x"]}, 200),
]  # fmt: skip


@pytest.mark.parametrize(("over", "status"), SPOILED)
def test_I3_a_new_refresh_token_is_kept_whatever_else_is_wrong(over: dict[str, Any], status: int) -> None:
    judged = judge(reply({**GOOD, **over}, status))
    assert grant(judged).secrets["refresh_token"] == Secret("m.FAKE-r2")
    assert change(judged).lease is None


@pytest.mark.parametrize("end", range(0, 150, 7))
def test_I3_a_new_refresh_token_that_arrived_whole_is_kept_of_a_broken_reply(end: int) -> None:
    whole = json.dumps({"refresh_token": "m.FAKE-r2", **without(GOOD, "refresh_token")}).encode()
    judged = judge(reply(whole[:end], complete=False))
    if b'"m.FAKE-r2"' in whole[:end]:
        assert grant(judged).secrets["refresh_token"] == Secret("m.FAKE-r2")
        assert change(judged).lease is None
    else:
        assert isinstance(judged, Unreadable)


RUNGS = ["refresh", "renew", "signin", "signin-again", "signin-code", "captcha-check", "captcha", "code-check",
         "issue"]  # fmt: skip
NAMES = ["error", "error_code", "code", "data", "details", "access_token", "refresh_token", "expires_in", "sub",
         "scope", "groups", "captcha_token", "verification_token", "token_type", "message"]  # fmt: skip
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["invalid_grant", "captcha_required", "4001", "m.FAKE-r2", "m.FAKE-r1", "eyJ.fake.A2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(RUNGS), st.integers(100, 599), JSONS | st.binary(max_size=80), st.booleans(), st.text(max_size=9)
)
@example("refresh", 200, {"error": "invalid_grant", "data": {"refresh_token": 7}}, True, "")
@example("captcha", 200, b'{"error_code": 1e400, "details": [{"retry_delay": "1e9s"}]}', True, "x")
@example("refresh", 200, b'{"sub": "\\ud800", "access_token": "\\ud800", "error": "\\ud800"}', True, "\ud800")
def test_reading_is_total_and_no_secret_is_told(rung: str, status: int, body: object, whole: bool, odd: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    record = with_secrets(sign_ins=odd, captcha=odd, verified=odd, wrong_codes=odd)
    judged = judge(Reply(status, (("Retry-After", odd),), content, whole), rung, record=record, code=odd,
                   captcha_state=odd)  # fmt: skip
    if isinstance(judged, Rejected):
        assert "m.FAKE-r1" not in f"{judged.code}{judged.detail}"
