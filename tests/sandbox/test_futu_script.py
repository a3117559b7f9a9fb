"""Answers on order."""

from collections.abc import Callable
from typing import Any

import pytest

from freshd.sandbox.futu.script import OPERATIONS, Spoiler
from tests.sandbox.futu_bed import HK, UID, US, Bed, Said


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_the_next_so_many_are_refused_and_then_no_more(bed: Bed) -> None:
    bed.order("authority", code=15, count=2)
    codes = []
    for _ in range(3):
        codes.append(bed.login().code)
        bed.pass_(60)
    assert codes == [15, 15, 0]
    assert bed.page("futu").counters.errors == {"15": 2}


def test_without_a_count_it_goes_on_for_ever_on_the_one_broker(bed: Bed) -> None:
    bed.order("repull", code=20029, uid=UID, broker_id=HK)
    for _ in range(5):
        assert [bed.repull(HK).code, bed.repull(US).code] == [20029, 0]
        bed.pass_(10)
    assert bed.service.state.script.remove(operation="repull") == 1
    assert bed.repull(HK).code == 0


def test_an_order_for_another_uid_or_broker_does_not_count(bed: Bed) -> None:
    bed.order("repull", code=7, uid=5)
    bed.order("repull", code=7, broker_id=US)
    assert bed.repull(HK).code == 0


def test_an_ordered_refusal_keeps_the_clocks_of_haste_running(bed: Bed) -> None:
    bed.order("authority", code=2, count=1)
    bed.order("repull", code=990123, count=1)
    assert [bed.login().code, bed.login().code] == [2, 15]
    assert [bed.repull().code, bed.repull().code] == [990123, 990002]


@pytest.mark.parametrize("operation", ["authority", "repull", "broker_auth"])
@pytest.mark.parametrize("code", [2, 11, 15, 21, 45, 20029, 31337, -1])
def test_any_code_can_be_ordered_anywhere(bed: Bed, operation: str, code: int) -> None:
    bed.order(operation, code=code, count=1)
    asks: dict[str, Callable[[], Said]] = {"authority": bed.login, "repull": bed.repull, "broker_auth": bed.auth}
    assert asks[operation]().code == code
    assert not [*bed.page("hk").commits, *bed.page("futu").commits]


def test_an_ordered_device_check_can_be_passed(bed: Bed) -> None:
    bed.order("authority", code=20, count=1)
    dvs = bed.login().error["device_verify_sig"]
    bed.ask_sms(dvs)
    assert bed.verify(dvs, bed.phone[0]).code == 0


def test_an_ordered_third_factor_can_be_passed(bed: Bed) -> None:
    bed.order("authority", code=33, count=1)
    assert bed.third_factor(bed.login().error["third_factor_verify_sig"]).code == 0


def test_a_lie_after_the_commit_hides_what_was_done(bed: Bed) -> None:
    bed.order("broker_auth", code=7, after_commit=True, count=1)
    assert [bed.auth().code, bed.auth().code] == [7, 990004]
    assert len(bed.page("hk").commits) == 1


def test_an_answer_can_be_given_word_for_word(bed: Bed) -> None:
    bed.order("repull", answer={"result": {"auth_code": 5}}, count=1)
    assert bed.repull(lost_by="spoiled").answer == {"result": {"auth_code": 5}}
    assert bed.auth().code == 0


SPOILED: dict[Spoiler, tuple[str, Any]] = {
    Spoiler.EMPTY_AUTH_CODE: ("repull", lambda said: said["result"]["auth_code"] == ""),
    Spoiler.ZERO_INVALID_TIME: ("repull", lambda said: said["result"]["invalid_time"] == 0),
    Spoiler.OTHER_BROKER: ("repull", lambda said: said["result"]["broker_id"] == HK + 1),
    Spoiler.OTHER_UID: ("repull", lambda said: said["result"]["uid"] == UID + 1),
    Spoiler.NO_CODE_LIST: ("authority", lambda said: "auth_code_list" not in said["result"]),
    Spoiler.EMPTY_WEB_SIG: ("authority", lambda said: said["result"]["web_sig_new"] == ""),
    Spoiler.NO_WEB_SIG: ("authority", lambda said: "web_sig_new" not in said["result"]),
    Spoiler.NO_TICKET: ("authority", lambda said: "tgtgt_new" not in said["result"]),
    Spoiler.NO_DEVICE_SIG: ("authority", lambda said: "device_sig_new" not in said["result"]),
    Spoiler.SHORT_RAND_KEY: ("authority", lambda said: len(said["result"]["rand_key_new"]) == 8),
    Spoiler.NO_LIFETIME: ("authority", lambda said: "cltsig_invalidtime" not in said["result"]),
    Spoiler.EMPTY_BROKER_SIG: ("broker_auth", lambda said: said["result"]["broker_client_sig"] == ""),
    Spoiler.NO_CUSTOMER_ID: ("broker_auth", lambda said: "customer_id" not in said["result"]),
    Spoiler.NO_KEYS: ("repull", lambda said: said == {}),
    Spoiler.NULL_RESULT: ("repull", lambda said: said == {"result": None}),
    Spoiler.LIST_RESULT: ("repull", lambda said: said == {"result": []}),
    Spoiler.ZERO_CODE: ("repull", lambda said: said["result"] is None and said["error"]["error_code"] == 0),
    Spoiler.ZERO_CODE_BESIDE: ("repull", lambda said: said["result"]["uid"] and said["error"]["error_code"] == 0),
    Spoiler.CODE_BESIDE: ("repull", lambda said: said["result"]["uid"] and said["error"]["error_code"] == 15),
    Spoiler.CODE_AS_TEXT: ("repull", lambda said: said["error"]["error_code"] == "20029"),
}


@pytest.mark.parametrize("spoiler", Spoiler)
def test_an_answer_can_be_spoiled_in_every_way_once(bed: Bed, spoiler: Spoiler) -> None:
    operation, holds = SPOILED[spoiler]
    code = {"code": 20029} if spoiler is Spoiler.CODE_AS_TEXT else {}
    bed.order(operation, spoil=spoiler.value, count=1, **code)
    asks: dict[str, Callable[[], Said]] = {
        "authority": lambda: bed.login(lost_by="spoiled"),
        "repull": lambda: bed.repull(lost_by="spoiled"),
        "broker_auth": lambda: bed.auth(lost_by="spoiled"),
    }
    assert holds(asks[operation]().answer)
    assert not bed.service.state.script.lines


def test_the_codes_in_a_logins_list_are_spoiled_too(bed: Bed) -> None:
    bed.order("authority", spoil="empty_auth_code", count=1)
    assert [one["auth_code"] for one in bed.login().result["auth_code_list"]] == ["", ""]


def test_a_trade_login_can_be_refused(bed: Bed) -> None:
    bed.auth()
    bed.order("trade_login", code=990005, broker_id=HK, count=1)
    assert [bed.trade_login(bed.trade()) for _ in range(2)] == [990005, 0]
    assert (bed.tally.trade_refusals, bed.tally.trade_logins) == ({HK: 1}, {HK: 1})


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"operation": "none", "code": 1}, "|".join(OPERATIONS)),
        ({"operation": "repull"}, "code, spoil, answer"),
        ({"operation": "repull", "spoil": "x"}, "spoil: expected one of"),
        ({"operation": "repull", "code": "1"}, "code: expected a whole number"),
        ({"code": 1}, "operation: required"),
        ({"operation": "repull", "answer": 5}, "answer"),
    ],
)
def test_an_order_that_means_nothing_is_refused(bed: Bed, wish: dict[str, Any], word: str) -> None:
    with pytest.raises((ValueError, TypeError), match=word):
        bed.service.state.script.add_json(wish)
