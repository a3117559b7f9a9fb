"""The signature over an application's calls, byte for byte; and the clock that its time stamps follow."""

import hashlib
from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.providers.geniusauth.moment import ServiceTime
from freshd.providers.geniusauth.signature import Value, signature, signed
from tests.unit.providers.parts import SENT, Clock, reply

APP, SECRET, AT = "demoapp1", "not-a-real-secret", 1_700_000_000
VECTORS: list[tuple[dict[str, Value], str]] = [
    ({"token": "hdr.body.sig"}, "6b88274edbf982882f4282453995dcb69aeffa97cca70f627d183ebba46f7728"),
    (
        {"token": "hdr.body.sig", "payload": "门-01 a=b&c", "accessToken": True},
        "93937057f0141d2347c7d0548221f3ef082bce1b84d3fe2da88b268fc60e95c6",
    ),
    (
        {"token": "login.tok.en", "grantType": "refresh_token", "valid": 2_592_000, "payload": "tenant-a"},
        "d01a5099d3d978ecbbcdb1888af9a790668fb4375f0805470e212ab2315c7e72",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), VECTORS)
def test_the_signature_is_the_one_of_the_vectors(fields: dict[str, Value], expected: str) -> None:
    sent = signed(fields, APP, SECRET, AT)
    assert sent == {**fields, "appCode": APP, "timeStamp": AT, "signature": expected}
    assert SECRET not in sent.values()


@pytest.mark.parametrize(("fields", "expected"), VECTORS)
def test_the_order_of_fields_and_a_signature_among_them_change_nothing(fields: dict[str, Value], expected: str) -> None:
    turned = dict(reversed([*fields.items(), ("appCode", APP), ("timeStamp", AT), ("signature", "x")]))
    assert signature(turned, SECRET) == expected


def test_capitals_are_sorted_before_small_letters() -> None:
    assert signature({"a": 3, "B": 2}, "s") == hashlib.sha256(b"B=2&a=3&appSecret=s").hexdigest()


def test_truth_is_written_as_the_service_writes_it() -> None:
    assert signature({"flag": True}, "s") == signature({"flag": "true"}, "s") != signature({"flag": "True"}, "s")
    assert signature({"flag": False}, "s") == signature({"flag": "false"}, "s") != signature({"flag": 0}, "s")


@pytest.mark.parametrize("value", [None, 1.0, [], {}, b"x"])
def test_what_the_service_would_render_its_own_way_is_not_signed(value: object) -> None:
    with pytest.raises(TypeError):
        signature({"x": value}, "s")  # type: ignore[dict-item]


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()), st.text(min_size=1))
def test_every_field_takes_part(fields: dict[str, Value], name: str) -> None:
    if name not in {"signature", "appSecret"} and name not in fields:
        assert signature({**fields, name: "more"}, "s") != signature(fields, "s")


def dated(offset: float) -> str:
    return formatdate(SENT.wall + offset, usegmt=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_an_answer_the_own_clock_counts(clock: Clock) -> None:
    assert ServiceTime(clock).stamp() == SENT.wall


@pytest.mark.parametrize(("ahead", "shift"), [(-360, -360), (-3, -3), (-2, 0), (0, 0), (2, 0), (3, 3), (400, 400)])
def test_the_clock_of_the_service_counts_where_they_differ_by_more_than_two_seconds(
    clock: Clock, ahead: float, shift: float
) -> None:
    time = ServiceTime(clock)
    time.learn(reply({}, headers={"Date": dated(ahead)}))
    assert (time.stamp(), time.offset) == (SENT.wall + shift, shift)


@pytest.mark.parametrize("written", ["", "yesterday", "Tue, 99 Jan 2026 00:00:00 GMT"])
def test_a_date_that_is_none_teaches_nothing(clock: Clock, written: str) -> None:
    time = ServiceTime(clock)
    time.learn(reply({}, headers={"Date": dated(-360)}))
    time.learn(reply({}, headers={"Date": written}))
    assert time.offset == -360


def test_a_step_of_the_own_clock_afterwards_moves_no_stamp(clock: Clock) -> None:
    time = ServiceTime(clock)
    time.learn(reply({}, headers={"Date": dated(0)}))
    clock.pass_by(100)
    clock.moment = replace(clock.moment, wall=clock.moment.wall + 3600)
    assert time.stamp() == SENT.wall + 100
