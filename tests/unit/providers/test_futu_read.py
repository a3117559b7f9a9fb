"""The answer to a platform login: what is kept of it, whatever is missing or wrong."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.model import Change, Grant, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Reply, Unreadable
from freshd.providers.futu.read import read
from tests.unit.providers import futu_parts as parts
from tests.unit.providers.futu_parts import (
    DAY,
    HELD,
    HK,
    KEY,
    LOGIN,
    OLD_KEY,
    SENT,
    SIG,
    TERMS,
    done,
    error,
    first,
    grant,
    intent,
    lease,
    plain,
    platform,
    reply,
)
from tests.unit.providers.judged import answered, rejected

RUNGS = ["refresh", "login-again", "device-check", "third-factor"]


def judge(
    answer: Reply, rung: str = "refresh", record: Record | None = None, *, candidate: str | None = None
) -> Judged:
    known = platform() if record is None else record
    return read(rung, known, intent(rung, known, candidate=candidate), answer, TERMS)


def notes(judged: Judged) -> dict[str, str]:
    return dict(answered(judged).notes)


def test_a_good_answer_renews_the_ticket_yields_a_lease_and_stocks_both_brokers() -> None:
    judged = judge(done(LOGIN))
    assert plain(grant(judged).secrets) == {
        **HELD, "tgtgt": "TG-0002", "rand_key": KEY, "device_sig": "DS-0002", "web_sig": "WS-0002",
    }  # fmt: skip
    assert (grant(judged).lineage, grant(judged).obtained, grant(judged).valid_for) == ("line", SENT, None)
    assert grant(judged).binding.subject == "90000001"
    assert (lease(judged).token, lease(judged).valid_for, lease(judged).sent) == (Secret(SIG), 172_800.0, SENT)
    assert plain(lease(judged).more_secrets) == {
        "client_key": "a2V5LTE=", "rand_key": KEY, "rand_key_before": OLD_KEY,
    }  # fmt: skip
    assert lease(judged).fields == {"uid": "90000001"}
    _, hk, us = answered(judged).changes
    assert (hk.account, us.account, hk.lease, us.withheld) == ("hk", "us", None, None)
    assert hk.grant == Grant("flight-1001", HK.binding, {"auth_code": Secret("AC-1001-1")}, SENT, SENT, 30 * DAY)
    assert notes(judged) == {}


def test_a_broker_with_a_lineage_keeps_it() -> None:
    record = replace(platform(), kin={"hk": parts.broker(auth_code="old")})
    stocked = answered(judge(done(LOGIN), record=record)).changes[1].grant
    assert stocked is not None
    assert (stocked.lineage, stocked.enrolled) == ("hk-line", parts.EARLIER)
    assert plain(stocked.secrets) == {"auth_code": "AC-1001-1"}


def test_a_broker_that_hands_out_codes_gets_a_lease_with_all_that_spending_it_takes() -> None:
    terms = replace(TERMS, brokers=(replace(HK, hands_out=True),))
    judged = read("refresh", platform(), intent("refresh", platform()), done(LOGIN), terms)
    made = answered(judged).changes[1].lease
    assert made is not None
    assert (made.token, made.valid_for) == (Secret("AC-1001-1"), 30 * DAY)
    assert made.fields == {"broker_id": "1001", "uid": "90000001"}
    assert plain(made.more_secrets) == {"device_id": HELD["device_id"], "rand_key": KEY}


@pytest.mark.parametrize("rung", ["device-check", "third-factor", "login-again"])
def test_a_person_founds_a_new_lineage_on_what_the_old_one_held(rung: str) -> None:
    record = platform(device_verify_sig="DVS", device_verify_at="1790000000", phone_no="1*", wrong_codes="1")
    judged = judge(done(LOGIN), rung, record, candidate="new")
    assert (grant(judged).lineage, grant(judged).enrolled) == ("new", SENT)
    assert grant(judged).secrets.keys() == HELD.keys()
    assert first(judged).drop == {"device_verify_sig", "device_verify_at", "phone_no", "wrong_codes"}


# -- what is missing ------------------------------------------------------------------------------------------------


def test_without_a_new_ticket_the_old_one_goes_on_with_its_key_and_everything_else_is_kept() -> None:
    judged = judge(done(LOGIN, tgtgt_new=None))
    assert plain(grant(judged).secrets) == {**HELD, "device_sig": "DS-0002", "web_sig": "WS-0002"}
    assert grant(judged).obtained == parts.EARLIER
    assert lease(judged).token == Secret(SIG)
    assert len(answered(judged).changes) == 3
    assert "tgtgt_new" in notes(judged)


def test_a_device_signature_that_does_not_come_is_kept_so_no_sms_is_needed_at_each_start() -> None:
    judged = judge(done(LOGIN, device_sig_new=None))
    assert plain(grant(judged).secrets)["device_sig"] == "DS-0001"
    assert notes(judged) == {}


@pytest.mark.parametrize("value", [None, "", 5, []])
def test_a_web_signature_that_does_not_come_is_forgotten(value: object) -> None:
    judged = judge(done(LOGIN, web_sig_new=value))
    assert "web_sig" not in grant(judged).secrets
    assert "web_sig" in first(judged).drop
    assert "web_sig_new" in notes(judged)


@pytest.mark.parametrize("value", ["c2hvcnQ=", "not base64", KEY + "AAAA", 5, KEY[:-4]])
def test_a_key_of_the_wrong_length_never_replaces_a_good_one(value: object) -> None:
    judged = judge(done(LOGIN, rand_key_new=value))
    assert plain(grant(judged).secrets)["rand_key"] == OLD_KEY
    assert plain(lease(judged).more_secrets)["rand_key"] == OLD_KEY
    assert "32 bytes" in notes(judged)["rand_key_new"]


def test_a_key_that_does_not_come_stays_as_it_is() -> None:
    judged = judge(done(LOGIN, rand_key_new=None))
    assert plain(grant(judged).secrets)["rand_key"] == OLD_KEY
    assert notes(judged) == {}


@pytest.mark.parametrize(
    "over", [{"client_sig": None}, {"client_key": ""}, {"client_sig": "no base 64"}, {"client_key": 7}]
)
def test_without_signature_and_key_there_is_no_lease_and_the_ticket_is_kept(over: dict[str, Any]) -> None:
    judged = judge(done(LOGIN, **over))
    assert first(judged).lease is None
    assert plain(grant(judged).secrets)["tgtgt"] == "TG-0002"
    assert "client_sig" in notes(judged)


@pytest.mark.parametrize("result", [{"uid": 90000001}, {"svr_time": 5, "auth_code_list": []}, {"tgtgt_new": ""}])
def test_a_success_that_brings_nothing_acts_as_a_lost_answer(result: dict[str, Any]) -> None:
    assert isinstance(judge(reply({"result": result})), Unreadable)


@pytest.mark.parametrize("only", ["tgtgt_new", "web_sig_new", "auth_code_list"])
def test_whatever_comes_alone_is_kept(only: str) -> None:
    assert isinstance(judge(reply({"result": {only: LOGIN[only]}})), Answered)


@pytest.mark.parametrize(
    ("value", "life", "odd"),
    [
        (None, DAY, False),
        (0, DAY, False),
        ("600", 600.0, False),
        (-1, DAY, True),
        (1.5, DAY, True),
        (2 * 10**9, DAY, True),
    ],
)
def test_a_signature_of_unknown_life_takes_the_contracts(value: object, life: float, odd: bool) -> None:
    judged = judge(done(LOGIN, cltsig_invalidtime=value))
    assert lease(judged).valid_for == life
    assert ("cltsig_invalidtime" in notes(judged)) is odd


def test_what_came_for_overseas_accounts_is_handed_on_and_kept() -> None:
    judged = judge(done(LOGIN, moomoo_client_sig="bW1z", moomoo_client_key="bW1r", moomoo_web_sig_new="MW"))
    more = plain(lease(judged).more_secrets)
    assert (more["moomoo_client_sig"], more["moomoo_client_key"]) == ("bW1z", "bW1r")
    assert plain(grant(judged).secrets)["moomoo_web_sig"] == "MW"


# -- codes ----------------------------------------------------------------------------------------------------------


def codes(*items: Any, **over: Any) -> Judged:
    return judge(done(LOGIN, auth_code_list=list(items), **over))


def lives(judged: Judged) -> dict[str, float | None]:
    return {one.account: None if one.grant is None else one.grant.valid_for for one in answered(judged).changes[1:]}


def code(broker_id: object = 1001, auth_code: object = "AC", invalid_time: object = 600) -> dict[str, Any]:
    return {"broker_id": broker_id, "auth_code": auth_code, "invalid_time": invalid_time}


def test_a_code_of_a_broker_that_is_not_configured_is_told_of() -> None:
    judged = codes(code(), code(1008))
    assert lives(judged) == {"hk": 600.0}
    assert notes(judged) == {"auth_code of 1008": "not kept: that broker is not configured"}


USELESS: list[dict[str, object]] = [
    {"auth_code": ""},
    {"auth_code": None},
    {"auth_code": 5},
    {"invalid_time": 0},
    {"invalid_time": None},
    {"invalid_time": -5},
    {"invalid_time": 1_789_999_999},
    {"invalid_time": "soon"},
]


@pytest.mark.parametrize("bad", USELESS)
def test_a_useless_code_is_told_of_and_the_others_are_kept(bad: dict[str, object]) -> None:
    judged = codes(code(**bad), code(1007))
    assert lives(judged) == {"us": 600.0}
    assert "unusable" in notes(judged)["auth_code of 1001"]


@pytest.mark.parametrize("bad", [None, 5, "x", [], {}, {"auth_code": "AC"}, code(True), code("x"), code(-1)])
def test_an_entry_that_is_none_harms_nobody(bad: object) -> None:
    assert lives(codes(bad, code())) == {"hk": 600.0}


@pytest.mark.parametrize("value", ["x", 5, {}, {"broker_id": 1001}])
def test_a_list_that_is_none_is_told_of(value: object) -> None:
    assert notes(judge(done(LOGIN, auth_code_list=value)))["auth_code_list"] == "no list"


def test_of_two_codes_for_one_broker_the_longer_one_is_kept() -> None:
    judged = codes(code(auth_code="A", invalid_time=600), code(auth_code="B", invalid_time=900), code(auth_code="C"))
    [_, hk] = answered(judged).changes
    assert hk.grant is not None
    assert plain(hk.grant.secrets) == {"auth_code": "B"}


def test_a_moment_is_measured_by_the_services_clock_and_a_wrong_clock_is_told() -> None:
    judged = codes(code(invalid_time=1_790_001_200), svr_time=1_790_000_600)
    assert lives(judged) == {"hk": 600.0}
    assert notes(judged)["clock"] == "this machine is 600 s behind"


def test_a_clock_that_is_right_enough_is_not_told() -> None:
    assert "clock" not in notes(judge(done(LOGIN, svr_time=1_790_000_030)))


# -- for somebody else ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rung", "candidate", "aside"), [("refresh", None, "flight"), ("device-check", "new", "new")])
def test_an_answer_for_another_account_is_set_aside_whole(rung: str, candidate: str | None, aside: str) -> None:
    judged = judge(done(LOGIN, uid=90000002), rung, candidate=candidate)
    [change] = answered(judged).changes
    assert change.withheld == "the answer is for another account"
    assert change.grant is not None
    assert change.grant.lineage == aside
    kept = plain(change.grant.secrets)
    assert (kept["tgtgt"], kept["uid"]) == ("TG-0002", "90000002")
    assert (kept["auth_code of 1001"], kept["auth_code of 1007"]) == ("AC-1001-1", "AC-1007-1")


def test_an_account_whose_number_is_not_known_learns_it() -> None:
    judged = judge(done(LOGIN), record=platform(without=("uid",)))
    assert plain(grant(judged).secrets)["uid"] == "90000001"
    assert first(judged).withheld is None


@pytest.mark.parametrize("value", [None, 0, "x", True, -1, 2**64])
def test_an_answer_that_does_not_say_for_whom_is_ours(value: object) -> None:
    judged = judge(done(LOGIN, uid=value))
    assert first(judged).withheld is None
    assert plain(grant(judged).secrets)["uid"] == "90000001"


# -- totality -------------------------------------------------------------------------------------------------------

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys([*LOGIN, "moomoo_client_sig"], JSON | st.just(KEY)))
ERRORS = st.fixed_dictionaries({"error_code": JSON | st.sampled_from([2, 11, 15, 20, 21, 33, 45])},
                               optional=dict.fromkeys(["device_verify_sig", "phone_no", "uid"], JSON))  # fmt: skip
BODIES = st.binary(max_size=60) | st.one_of(JSON, st.fixed_dictionaries({}, optional={"result": FIELDS | JSON,
    "error": ERRORS | JSON})).map(lambda body: json.dumps(body).encode())  # fmt: skip


@given(BODIES, st.integers(0, 599), st.booleans(), st.sampled_from(RUNGS), st.booleans())
def test_any_reply_comes_to_something_and_no_lease_leaves_an_error(
    body: bytes, status: int, complete: bool, rung: str, enrolling: bool
) -> None:
    judged = judge(Reply(status, (), body, complete), rung, candidate="new" if enrolling else None)
    assert isinstance(judged, Answered | Rejected | Unreadable)
    if isinstance(judged, Answered):
        assert status in range(200, 300)
        assert all(one.lease is None or one.lease.valid_for > 0 for one in judged.changes)
        assert all("auth_code" not in (one.grant or EMPTY).secrets or one.grant for one in judged.changes)
        assert _keeps_what_is_held(judged.changes[0])


EMPTY = Grant("", TERMS.binding, {}, SENT, SENT)


def _keeps_what_is_held(change: Change) -> bool:
    held = set() if change.grant is None else set(change.grant.secrets)
    return {"tgtgt", "rand_key", "device_id", "device_sig", "uid"} <= held


@given(st.text("QXZ\x1b<", min_size=8, max_size=30))
def test_nothing_that_a_person_reads_repeats_what_came(word: str) -> None:
    for said in (error(99, word=word), error(20, device_verify_sig=word), done(LOGIN, rand_key_new=word)):
        judged = judge(said)
        shown = repr(judged.notes if isinstance(judged, Answered) else replace(rejected(judged), keep={}))
        assert word not in shown
