"""Repull and the exchange of a code."""

from typing import Any

import pytest

from freshd.sandbox.futu.levers import Thing
from freshd.sandbox.tokens import fingerprint
from tests.sandbox.futu_bed import HK, UID, US, Bed


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_repull_brings_a_code_for_the_one_broker(bed: Bed) -> None:
    result = bed.repull().result
    code = bed.codes[HK]
    assert result == {"uid": UID, "broker_id": HK, "auth_code": code, "invalid_time": int(bed.at) + 2592000}
    assert bed.auth(US).code == 0
    assert bed.auth(HK).code == 0


def test_repulls_are_spaced_for_each_broker(bed: Bed) -> None:
    assert [bed.repull(HK).code, bed.repull(US).code, bed.repull(HK).code] == [0, 0, 990002]
    bed.pass_(10)
    assert bed.repull(HK).code == 0


@pytest.mark.parametrize("over", [{"device_id": ""}, {"broker_id": "1001"}, {"uid": 5}, {"uid": "90000001"}])
def test_an_incomplete_repull_is_refused(bed: Bed, over: dict[str, Any]) -> None:
    assert bed.repull(**over).code == 990008


@pytest.mark.parametrize("over", [{"web_sig": ""}, {"web_sig": "WS"}, {"device_id": "0f1e2d3c4b5a6978"}])
def test_a_repull_needs_the_web_sig_on_its_device(bed: Bed, over: dict[str, Any]) -> None:
    assert bed.repull(**over).code == 990001


def test_a_broker_that_is_not_there_has_no_valid_cid(bed: Bed) -> None:
    assert bed.repull(1008).code == 20029


def test_a_refused_repull_leaves_the_code_as_it_was(bed: Bed) -> None:
    bed.order("repull", code=20029, count=1)
    assert bed.repull().code == 20029
    assert bed.auth().code == 0


def test_a_login_voids_the_former_web_sig(bed: Bed) -> None:
    old = bed.kept["web_sig"]
    bed.login()
    assert bed.repull(US, web_sig=old).code == 990001
    assert bed.repull(HK).code == 0


def test_an_exchange_brings_customer_signature_and_key(bed: Bed) -> None:
    result = bed.auth().result
    assert set(result) == {"customer_id", "broker_client_sig", "broker_client_key", "cltsig_invalidtime"}
    assert result["cltsig_invalidtime"] == 1800
    bed.repull()
    assert bed.auth().result["customer_id"] == result["customer_id"]
    assert bed.auth(US).result["customer_id"] != result["customer_id"]


def test_a_code_works_once(bed: Bed) -> None:
    assert [bed.auth().code, bed.auth().code] == [0, 990004]


def test_a_code_that_was_replaced_or_invented_is_refused(bed: Bed) -> None:
    old = bed.codes[HK]
    bed.repull()
    assert bed.auth(code=old).code == 990004
    assert bed.auth(code="AC").code == 990004
    assert bed.auth(US, code=bed.codes[HK]).code == 990004
    assert bed.auth().code == 0


def test_a_code_has_an_end(bed: Bed) -> None:
    bed.pass_(2592000 - 1)
    assert bed.auth(US).code == 0
    bed.pass_(1)
    assert bed.auth(HK).code == 990003


def test_an_exchange_needs_a_device_that_was_seen(bed: Bed) -> None:
    bed.kept["device_id"] = "0f1e2d3c4b5a6978"
    assert bed.auth().code == 990008


def test_a_lost_answer_makes_the_next_presentation_a_doubtful_replay(bed: Bed) -> None:
    bed.auth(lost_by="lost_after_commit")
    assert bed.auth().code == 990004
    counters = bed.page("hk").counters
    assert (counters.spent_uses, counters.doubtful_replays) == (0, 1)
    assert counters.reasons == {"lost_after_commit": 1}


def test_a_delivered_and_vouched_answer_makes_it_a_spent_use(bed: Bed) -> None:
    sig = bed.auth().result["broker_client_sig"]
    assert bed.service.state.books.escrowed([fingerprint(sig)]) == 1
    assert bed.auth().code == 990004
    assert bed.page("hk").counters.spent_uses == 1
    assert bed.tally.spent_uses == {HK: 1}


def test_a_signature_that_was_shown_proves_that_the_answer_was_read(bed: Bed) -> None:
    bed.auth()
    assert bed.trade_login(bed.trade()) == 0
    bed.auth()
    assert bed.page("hk").counters.spent_uses == 1


def test_a_replaced_code_counts_as_void_use_only_if_its_heir_is_held(bed: Bed) -> None:
    old = bed.codes[HK]
    bed.repull(lost_by="lost_after_commit")
    assert bed.auth(code=old).code == 990004
    assert bed.tally.void_uses == {}
    bed.pass_(10)
    bed.repull()
    bed.auth()
    bed.auth(code=old)
    assert bed.tally.void_uses == {HK: 1}
    assert bed.page("hk").counters.spent_uses == 0


def test_the_books_name_what_was_presented_and_what_it_brought(bed: Bed) -> None:
    code = bed.codes[HK]
    sig = bed.auth().result["broker_client_sig"]
    page = bed.page("hk")
    (call,), (commit,) = page.calls, page.commits
    assert (call.grant_type, call.presented, call.outcome) == ("broker_auth", fingerprint(code), "granted")
    assert (commit.spent, commit.successor) == (fingerprint(code), fingerprint(sig))
    assert call.commit == commit.serial
    assert bed.tally.broker_auths == {HK: 1}


def test_repulls_are_counted_by_broker_and_day(bed: Bed) -> None:
    for _ in range(3):
        bed.repull()
        bed.pass_(12 * 3600)
    assert bed.tally.repulls == {HK: {"2027-01-15": 2, "2027-01-16": 1}}


def test_a_void_customer_id_shows_once_and_is_made_anew(bed: Bed) -> None:
    bed.auth()
    former = dict(bed.leases[HK])
    assert bed.levers.void(UID, Thing.CUSTOMER_ID, HK) == 1
    assert bed.trade_login(bed.trade()) == 990005
    assert bed.tally.trade_refusals == {HK: 1}
    assert bed.repull().code == 20029
    bed.pass_(10)
    assert bed.repull().code == 0
    assert bed.auth().result["customer_id"] != former["customer_id"]
    assert bed.trade_login(bed.trade()) == 0


def test_a_broker_that_was_added_has_its_first_code_from_the_next_login(bed: Bed) -> None:
    bed.levers.add_broker(UID, 1008, "sg")
    bed.login()
    assert bed.auth(1008).code == 0
    bed.levers.remove_broker(UID, 1008)
    assert bed.repull(1008).code == 20029
    assert bed.auth(1008).code == 990004
