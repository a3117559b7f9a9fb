"""The two answers about a broker: a new code from the platform, a lease from the broker."""

import json
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.contract import Contract
from freshd.core.model import Grant, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply, Unreadable
from freshd.providers.futu.broker_read import read_auth, read_repull
from freshd.providers.futu.case import BrokerTerms
from tests.unit.providers.futu_parts import (
    DAY,
    HK,
    KEY,
    OLD_KEY,
    SENT,
    SIG,
    broker,
    done,
    error,
    first,
    intent,
    lease,
    plain,
    platform,
    reply,
)
from tests.unit.providers.judged import answered, rejected

CONTRACT = Contract(lease_life=1800.0)
PULLED: dict[str, Any] = {"uid": 90000001, "broker_id": 1001, "auth_code": "AC-1001-2", "invalid_time": 1_792_592_000}
AUTHED: dict[str, Any] = {
    "customer_id": 4711,
    "broker_client_sig": SIG,
    "broker_client_key": "YmtleQ==",
    "cltsig_invalidtime": 1700,
}


def pull(answer: Reply, record: Record | None = None, terms: BrokerTerms = HK) -> Judged:
    known = broker() if record is None else record
    return read_repull(known, intent("repull", known), answer, terms, platform())


def auth(answer: Reply, record: Record | None = None) -> Judged:
    known = broker(auth_code="AC-1001-1") if record is None else record
    return read_auth(known, intent("broker-auth", known), answer, HK, CONTRACT, platform())


# -- a new code -----------------------------------------------------------------------------------------------------


def test_a_new_code_is_kept_for_the_next_lease_and_lives_as_long_as_it_says() -> None:
    [change] = answered(pull(done(PULLED))).changes
    assert change.lease is None
    assert change.grant == Grant(
        "hk-line", HK.binding, {"auth_code": Secret("AC-1001-2")}, SENT, broker_enrolled(), 30 * DAY
    )


def broker_enrolled() -> Any:  # noqa: ANN401 - a moment
    found = broker().grant
    assert found is not None
    return found.enrolled


def test_a_broker_that_never_had_a_code_gets_a_lineage() -> None:
    change = first(pull(done(PULLED), Record("hk", kin={"main": platform()})))
    assert change.grant is not None
    assert (change.grant.lineage, change.grant.enrolled) == ("flight", SENT)


def test_a_code_to_hand_out_is_the_lease_itself() -> None:
    made = lease(pull(done(PULLED), terms=replace(HK, hands_out=True)))
    assert (made.token, made.valid_for, made.generation) == (Secret("AC-1001-2"), 30 * DAY, 8)
    assert made.fields == {"broker_id": "1001", "uid": "90000001"}
    assert plain(made.more_secrets) == {"device_id": "0f1e2d3c4b5a6978", "rand_key": OLD_KEY}
    emptied = first(pull(done(PULLED), terms=replace(HK, hands_out=True))).grant
    assert emptied is not None
    assert emptied.secrets == {}


@pytest.mark.parametrize(
    ("value", "life"),
    [(600, 600.0), (1_000_000_000, 30 * DAY), (1_790_000_600, 600.0), ("600", 600.0), (5 * 10**12, 30 * DAY)],
)
def test_a_moment_and_a_length_are_told_apart(value: object, life: float) -> None:
    change = first(pull(done(PULLED, invalid_time=value)))
    assert change.grant is not None
    assert change.grant.valid_for == life


def test_a_moment_is_measured_by_the_replys_own_date() -> None:
    body = {"result": {**PULLED, "invalid_time": 1_790_001_200}}
    judged = pull(reply(body, Date=formatdate(1_790_000_600, usegmt=True)))
    change = first(judged)
    assert change.grant is not None
    assert change.grant.valid_for == 600.0
    assert "behind" in answered(judged).notes["clock"]


BAD: dict[str, list[object]] = {
    "auth_code": [None, "", 5, []],
    "invalid_time": [None, 0, -1, "soon", True, 1.5, 1_789_999_999],
    "broker_id": [None, 1007, "x", True],
    "uid": [None, "x", True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_success_that_lacks_something_or_is_for_another_broker_is_none(name: str, value: object) -> None:
    body = {"result": {key: one for key, one in {**PULLED, name: value}.items() if one is not None}}
    assert isinstance(pull(reply(body)), Unreadable)


def test_a_code_for_another_account_is_set_aside() -> None:
    change = first(pull(done(PULLED, uid=90000002)))
    assert change.withheld == "the code is for another account"
    assert change.grant is not None
    assert change.grant.lineage == "flight"


@pytest.mark.parametrize("status", [200, 400])
def test_20029_forgets_the_lease_and_no_code(status: int) -> None:
    found = rejected(pull(error(20029, status)))
    assert (found.code, found.remedy, found.known) == ("20029", Remedy.RESET, True)
    assert (found.drop, found.dead, dict(found.keep)) == (frozenset(), frozenset(), {})


@pytest.mark.parametrize("code", [990001, 990002, 2, 11, 15, 20, 33, 45, -1])
def test_any_other_refusal_keeps_everything_and_leads_to_the_platform_after_a_wait(code: int) -> None:
    found = rejected(pull(error(code, device_verify_sig="DVS")))
    assert (found.remedy, found.known, found.dead, dict(found.keep)) == (Remedy.CLIMB, False, frozenset(), {})


@pytest.mark.parametrize(
    "answer", [reply(b"<html>", 502), reply(b"", 500), error(99, 500), reply({"result": PULLED}, 500)]
)
def test_a_failure_of_http_says_nothing(answer: Reply) -> None:
    assert isinstance(pull(answer), Unreadable)


# -- a lease --------------------------------------------------------------------------------------------------------


def test_a_code_becomes_a_lease_and_is_forgotten_in_the_same_commit() -> None:
    [change] = answered(auth(done(AUTHED))).changes
    assert change.drop == {"auth_code"}
    assert change.grant is not None
    assert (change.grant.secrets, change.grant.valid_for, change.grant.lineage) == ({}, None, "hk-line")
    made = lease(auth(done(AUTHED)))
    assert (made.token, made.valid_for, made.generation) == (Secret(SIG), 1700.0, 8)
    assert made.fields == {"customer_id": "4711", "broker_id": "1001", "uid": "90000001"}
    assert plain(made.more_secrets) == {"broker_client_key": "YmtleQ==", "rand_key": OLD_KEY}


def test_the_other_names_that_signature_and_key_may_have_are_known() -> None:
    body = {"customer_id": 4711, "client_sig": SIG, "client_key": "YmtleQ=="}
    assert lease(auth(reply({"result": body}))).token == Secret(SIG)


@pytest.mark.parametrize("value", [None, 0, -5, "soon"])
def test_a_lease_of_unknown_life_takes_the_contracts(value: object) -> None:
    assert lease(auth(done(AUTHED, cltsig_invalidtime=value))).valid_for == 1800.0


@pytest.mark.parametrize("value", [None, 0, "x", True])
def test_a_customer_id_that_does_not_come_stays_as_it_was(value: object) -> None:
    judged = auth(done(AUTHED, customer_id=value))
    assert "customer_id" not in lease(judged).fields
    assert answered(judged).notes["customer_id"] == "missing"
    known = broker(auth_code="AC")
    before = replace(known, lease=Lease("hk", 7, Secret("s"), SENT, 1.0, {"customer_id": "4711"}))
    judged = auth(done(AUTHED, customer_id=value), before)
    assert lease(judged).fields["customer_id"] == "4711"
    assert answered(judged).notes["customer_id"] == "omitted"


@pytest.mark.parametrize("over", [{"broker_client_sig": None}, {"broker_client_key": ""}, {"broker_client_sig": 5},
                                  {"broker_client_key": "no base 64"}])  # fmt: skip
def test_a_success_without_signature_or_key_is_none(over: dict[str, object]) -> None:
    assert isinstance(auth(done(AUTHED, **over)), Unreadable)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", [990003, 990004, 2, 15, 20, 20029])
def test_any_refusal_of_a_broker_proves_the_code_useless(code: int, status: int) -> None:
    found = rejected(auth(error(code, status)))
    assert (found.remedy, found.known, found.dead) == (Remedy.CLIMB, True, frozenset({"auth_code"}))
    assert found.drop == frozenset()


@pytest.mark.parametrize("answer", [reply(b"<html>", 200), reply(b"", 502), error(99, 500)])
def test_what_is_not_the_brokers_word_says_nothing_of_the_code(answer: Reply) -> None:
    assert isinstance(auth(answer), Unreadable)


def test_slow_down_does_not_spend_a_code() -> None:
    assert rejected(auth(reply(b"", 429))).dead == frozenset()


# -- totality -------------------------------------------------------------------------------------------------------

JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([])
)
RESULTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*PULLED, *AUTHED], JSON | st.sampled_from([KEY, 1001, 90000001]))
)
BODIES = st.binary(max_size=40) | st.fixed_dictionaries(
    {}, optional={"result": RESULTS | JSON, "error": JSON | st.fixed_dictionaries({"error_code": JSON})}
).map(lambda body: json.dumps(body).encode())


@given(BODIES, st.integers(0, 599), st.booleans(), st.booleans())
def test_any_reply_comes_to_something_and_a_code_is_never_empty(
    body: bytes, status: int, complete: bool, pulls: bool
) -> None:
    answer = Reply(status, (), body, complete)
    judged = pull(answer) if pulls else auth(answer)
    assert isinstance(judged, Answered | Rejected | Unreadable)
    if isinstance(judged, Answered):
        [change] = judged.changes
        assert change.grant is not None
        assert all(secret.reveal() for secret in change.grant.secrets.values())
        assert change.grant.valid_for is None or change.grant.valid_for > 0
        assert (change.lease is None) is pulls
