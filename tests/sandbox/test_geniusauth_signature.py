"""How GeniusAuth's stand-in checks a signature: vectors worked out by hand, and everything that is nearly right."""

import hashlib
import json
from typing import Any

import pytest

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.signature import Unsignable, is_signed, sign, text_to_sign
from tests.sandbox.geniusauth_bed import APP, JSON, KEYPAIR, LOGIN, REFRESH, SECRET, VERIFY, Bed, signature

AT = 1_700_000_000
VECTORS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"token": "hdr.body.sig"},
        "appCode=demoapp1&appSecret=not-a-real-secret&timeStamp=1700000000&token=hdr.body.sig",
        "6b88274edbf982882f4282453995dcb69aeffa97cca70f627d183ebba46f7728",
    ),
    (
        {"token": "hdr.body.sig", "payload": "门-01 a=b&c", "accessToken": True},
        (
            "accessToken=true&appCode=demoapp1&appSecret=not-a-real-secret&payload=门-01 a=b&c"
            "&timeStamp=1700000000&token=hdr.body.sig"
        ),
        "93937057f0141d2347c7d0548221f3ef082bce1b84d3fe2da88b268fc60e95c6",
    ),
    (
        {"token": "login.tok.en", "grantType": "refresh_token", "valid": 2592000, "payload": "tenant-a"},
        (
            "appCode=demoapp1&appSecret=not-a-real-secret&grantType=refresh_token&payload=tenant-a"
            "&timeStamp=1700000000&token=login.tok.en&valid=2592000"
        ),
        "d01a5099d3d978ecbbcdb1888af9a790668fb4375f0805470e212ab2315c7e72",
    ),
]


@pytest.fixture
def bed() -> Bed:
    bed = Bed()
    bed.at = float(AT)
    bed.state.apps.register(App(app_code="demoapp1", secret="not-a-real-secret"))
    return bed


@pytest.mark.parametrize(("fields", "text", "digest"), VECTORS)
def test_a_vector_is_signed_as_it_was_worked_out(fields: dict[str, Any], text: str, digest: str) -> None:
    whole = {"appCode": "demoapp1", "timeStamp": AT, **fields}
    assert text_to_sign(whole, "not-a-real-secret") == text
    assert sign(whole, "not-a-real-secret") == digest == hashlib.sha256(text.encode()).hexdigest()
    assert is_signed({**whole, "signature": digest}, "not-a-real-secret")


@pytest.mark.parametrize(("fields", "_text", "digest"), VECTORS)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_the_service_takes_a_vector_and_goes_on_to_the_token(
    bed: Bed, fields: dict[str, Any], _text: str, digest: str, method: str
) -> None:
    whole = {"appCode": "demoapp1", "timeStamp": AT, **fields, "signature": digest}
    wanted = (400, 1) if method == "PATCH" and "payload" not in fields else (403, 31)
    assert bed.json(method, REFRESH, whole).code == wanted
    assert bed.json(method, REFRESH, {**whole, "signature": digest[:-1] + "0"}).code == (401, 6)


def test_the_service_takes_the_vector_of_a_login(bed: Bed) -> None:
    fields, _, digest = VECTORS[2]
    whole = {"appCode": "demoapp1", "timeStamp": AT, **fields}
    good = bed.json("POST", LOGIN, {**whole, "signature": digest})
    bad = bed.json("POST", LOGIN, {**whole, "signature": digest.upper()})
    assert good.code == bad.code == (401, 6)
    assert good.answer["msg"] != bad.answer["msg"]


def spoiled() -> list[dict[str, Any]]:
    whole: dict[str, Any] = {"appCode": APP, "timeStamp": AT, "token": "x", "payload": "y", "accessToken": True}
    right = signature(whole, SECRET)
    python = hashlib.sha256(
        f"accessToken=True&appCode={APP}&appSecret={SECRET}&payload=y&timeStamp={AT}&token=x".encode()
    ).hexdigest()
    unsorted = hashlib.sha256(
        f"token=x&accessToken=true&appCode={APP}&appSecret={SECRET}&payload=y&timeStamp={AT}".encode()
    ).hexdigest()
    return [
        {**whole, "signature": right.upper()},
        {**whole, "signature": python},
        {**whole, "signature": unsorted},
        {**whole, "signature": signature(whole, "another-secret")},
        {**whole, "signature": right, "extra": "not signed"},
        {**whole, "signature": right, "payload": "z"},
        {**whole, "signature": right, "timeStamp": AT + 1},
    ]


@pytest.mark.parametrize("fields", spoiled())
def test_what_is_nearly_right_is_not_authorised(bed: Bed, fields: dict[str, Any]) -> None:
    assert bed.json("PATCH", REFRESH, fields).code == (401, 6)


def test_every_field_is_signed_unknown_ones_too(bed: Bed) -> None:
    fields = bed.signed(token="x", unknown="ß", other=5, flag=False)
    assert bed.json("POST", REFRESH, fields).code == (403, 31)


def test_upper_case_names_come_first(bed: Bed) -> None:
    fields: dict[str, Any] = {"appCode": APP, "timeStamp": AT, "token": "x", "Zebra": "1"}
    text = f"Zebra=1&appCode={APP}&appSecret={SECRET}&timeStamp={AT}&token=x"
    fields["signature"] = hashlib.sha256(text.encode()).hexdigest()
    assert bed.json("POST", REFRESH, fields).code == (403, 31)


def test_a_secret_that_is_sent_is_not_the_one_that_counts(bed: Bed) -> None:
    assert bed.json("POST", REFRESH, {**bed.signed(token="x"), "appSecret": "sent"}).code == (403, 31)


def test_null_is_signed_in_a_word_of_its_own(bed: Bed) -> None:
    fields: dict[str, Any] = {"appCode": APP, "timeStamp": AT, "token": "x", "clientIp": None}
    assert bed.json("POST", REFRESH, {**fields, "signature": signature(fields, SECRET)}).code == (401, 6)
    nil = {**fields, "clientIp": "<nil>"}
    assert bed.json("POST", REFRESH, {**fields, "signature": signature(nil, SECRET)}).code == (403, 31)


@pytest.mark.parametrize("value", [1.5, [], {}, ["a"]])
def test_a_fraction_a_list_and_an_object_cannot_be_signed(bed: Bed, value: object) -> None:
    with pytest.raises(Unsignable):
        sign({"a": value}, SECRET)
    fields: dict[str, Any] = {"appCode": APP, "timeStamp": AT, "token": "x", "a": value, "signature": "0" * 64}
    assert bed.json("POST", VERIFY, fields).code == (400, 1)


def test_in_a_query_the_first_of_several_values_is_signed(bed: Bed) -> None:
    import urllib.parse

    fields = bed.signed(note="门 a=b&c")
    query = urllib.parse.urlencode(fields)
    assert bed.send("GET", KEYPAIR, query=query + "&note=later").code == (200, 0)
    assert bed.send("GET", KEYPAIR, query="note=earlier&" + query).code == (401, 6)


def test_lone_surrogates_break_nothing(bed: Bed) -> None:
    body = json.dumps({**bed.signed(token="x"), "note": "\ud800"}).encode()
    assert bed.send("POST", REFRESH, body=body, headers=JSON).code == (401, 6)
