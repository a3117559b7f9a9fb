"""What codes come to: the tables, and that every value has a meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.channels.aun_codes import (
    CLOSES,
    ERRORS,
    LATER_SECONDS,
    LONGEST_WAIT_SECONDS,
    SOON_SECONDS,
    announced,
    answered,
    closed,
    is_the_gateways,
    number_of,
)
from freshd.channels.dialer import Ended, Why

ANSWERS = [
    (4000, Why.WRONG),
    (-32600, Why.WRONG),
    (-32601, Why.WRONG),
    (-32602, Why.WRONG),
    (4001, Why.REFUSED),
    (4010, Why.AGAIN),
    (-32000, Why.WRONG),
    (-32001, Why.REFUSED),
    (-32002, Why.REFUSED),
    (-32003, Why.REFUSED),
    (-32004, Why.WRONG),
    (4030, Why.WRONG),
    (403, Why.WRONG),
    (-32005, Why.REFUSED),
    (-32008, Why.WRONG),
    (4040, Why.WRONG),
    (404, Why.WRONG),
    (-32010, Why.LOST),
    (-32011, Why.LOST),
    (-32013, Why.LOST),
    (-32029, Why.LOST),
    (4290, Why.LOST),
    (429, Why.LOST),
    (-32429, Why.LOST),
    (-32050, Why.WRONG),
    (4090, Why.WRONG),
    (-32603, Why.LOST),
    (4500, Why.LOST),
    (5000, Why.LOST),
    (5999, Why.LOST),
    (4003, Why.WRONG),
    (4009, Why.KICKED),
    (4012, Why.LOST),
    (4015, Why.KICKED),
    (1000, Why.LOST),
    (77, Why.LOST),
]


@pytest.mark.parametrize(("code", "why"), ANSWERS)
def test_every_code_of_an_answer_has_its_meaning(code: int, why: Why) -> None:
    for form in (code, str(code), float(code)):
        ended = answered({"code": form, "message": "words"})
        assert (ended.why, ended.code) == (why, str(code))
        assert ended.status == (401 if why is Why.REFUSED else None)


def test_no_code_of_the_table_is_left_untested() -> None:
    assert set(ERRORS) <= {code for code, _ in ANSWERS}


@pytest.mark.parametrize("code", [-32029, 4290, 429, -32429])
def test_a_rate_limit_says_how_long_to_wait(code: int) -> None:
    assert answered({"code": code, "data": {"retry_after": 90}}).wait == 90.0
    assert answered({"code": code, "data": {"retry_after": "90"}}).wait == 90.0
    assert answered({"code": code, "data": {"retry_after": 1e99}}).wait == LONGEST_WAIT_SECONDS
    odds: list[object] = [None, 0, -1, "soon", [], True, float("nan"), float("inf")]
    for odd in odds:
        assert answered({"code": code, "data": {"retry_after": odd}}).wait == LATER_SECONDS
    assert answered({"code": code, "data": 7}).wait == LATER_SECONDS


@pytest.mark.parametrize("code", [-32004, 4030, 403])
def test_a_permission_error_may_be_a_timeout_in_disguise(code: int) -> None:
    assert answered({"code": code, "message": "RPC handler timeout: auth.connect"}).why is Why.LOST
    assert answered({"code": code, "message": "no rpc handler timeout"}).why is Why.WRONG


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("slot_requires_device_id", Why.WRONG),
        ("delivery_mode_conflict", Why.WRONG),
        ("device_singleton_conflict", Why.LOST),
        ("slot_conflict", Why.LOST),
    ],
)
def test_a_conflict_is_told_by_its_word_whatever_its_code(word: str, why: Why) -> None:
    for code in (4000, -32602, 4090, None):
        assert answered({"code": code, "message": f" {word.upper()} "}).why is why


def test_closes_without_a_cause_are_followed_up_sooner_than_trouble() -> None:
    assert {closed(code).wait for code in (1000, 1006)} == {SOON_SECONDS}
    assert {closed(code).wait for code in (1001, 1011, 1012, 1013, 4008, 4012, 4013, 4444)} == {LATER_SECONDS}


@pytest.mark.parametrize("code", sorted(CLOSES))
def test_an_announcement_leads_back_for_the_tokens_and_for_the_connections_sake_only(code: int) -> None:
    ended = announced(code)
    expected = {Why.REFUSED} if code == 4001 else {Why.LOST} if code < 2000 else {Why.KICKED, Why.WRONG}
    assert ended.why in expected
    assert ended.code == str(code)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 1999])
def test_an_announced_restart_of_the_gateway_is_followed_by_a_new_login(code: int) -> None:
    assert announced(code) == closed(code)


@pytest.mark.parametrize("code", [True, None, [], {}, "", "4001x", "٤٠٠١", 4001.5, float("nan"), float("inf"), 10**30])
def test_what_is_no_code_is_shown_as_none(code: object) -> None:
    assert number_of(code) is None
    assert answered({"code": code}) == Ended(
        Why.LOST, "(none)", "the gateway refused without a code", wait=LATER_SECONDS
    )
    assert announced(code).why is Why.KICKED


def test_only_trouble_of_a_gateway_itself_is_worth_another_gateway() -> None:
    assert all(is_the_gateways(closed(code)) for code in (1000, 1006, 1011))
    assert not any(is_the_gateways(closed(code)) for code in (4001, 4008, 4009, 4012, 4777))
    assert not any(is_the_gateways(answered({"code": code})) for code in (-32603, 5000, -32029, 77))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(error=st.dictionaries(st.sampled_from(["code", "message", "data"]), ANY), code=st.integers())
def test_anything_at_all_is_an_ending(error: dict[str, object], code: int) -> None:
    for ended in (answered(error), closed(code), announced(error.get("code"))):
        assert 0 <= ended.wait <= LONGEST_WAIT_SECONDS
