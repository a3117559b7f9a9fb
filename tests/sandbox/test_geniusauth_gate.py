"""GeniusAuth's stand-in: what is checked before anybody looks at what a call wants, and in which order."""

import json
from typing import Any

import pytest

from tests.sandbox.geniusauth_bed import APP, FORM, JSON, KEYPAIR, LOGIN, REFRESH, START, VERIFY, WEEK_S, Bed, signature

CALLS = [("POST", LOGIN), ("POST", REFRESH), ("PATCH", REFRESH), ("POST", VERIFY)]


@pytest.fixture
def bed() -> Bed:
    return Bed()


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b'{"timeStamp": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_malformed(bed: Bed, method: str, path: str, body: bytes) -> None:
    assert bed.send(method, path, body=body, headers=JSON).code == (400, 1)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_form_is_malformed(bed: Bed, method: str, path: str) -> None:
    assert bed.form(method, path, bed.signed(token="x")).code == (400, 1)


@pytest.mark.parametrize(("path", "wanted"), [(LOGIN, (400, 1)), (REFRESH, (403, 31))])
def test_the_header_decides_at_a_login_only(bed: Bed, path: str, wanted: tuple[int, int]) -> None:
    body = json.dumps(bed.signed(token="x")).encode()
    for headers in ({}, FORM, {"Content-Type": "text/plain"}):
        assert bed.send("POST", path, body=body, headers=headers).code == wanted
    bed.set(HEADER_DECIDES=True)
    assert bed.send("POST", path, body=body).code == (400, 1)


@pytest.mark.parametrize("gone", ["appCode", "timeStamp", "signature"])
def test_the_applications_fields_must_be_there(bed: Bed, gone: str) -> None:
    fields = bed.signed(token="x")
    del fields[gone]
    assert bed.json("POST", REFRESH, fields).code == (400, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"timeStamp": "1800000000"}, {"timeStamp": 1.8e9}, {"timeStamp": True}, {"appCode": 5}, {"signature": 5}],
)
def test_the_applications_fields_have_types(bed: Bed, wrong: dict[str, Any]) -> None:
    assert bed.json("POST", REFRESH, {**bed.signed(token="x"), **wrong}).code == (400, 1)


@pytest.mark.parametrize(("off_s", "code"), [(-301, 9), (-360, 9), (-300, 31), (0, 31), (10, 31), (11, 9), (3600, 9)])
def test_a_stamp_may_be_so_old_and_hardly_ahead(bed: Bed, off_s: int, code: int) -> None:
    fields = {"appCode": APP, "timeStamp": int(START) + off_s, "token": "x"}
    said = bed.json("POST", REFRESH, {**fields, "signature": signature(fields, "sandbox-secret")})
    assert said.code == (403, code)


def test_the_stamp_is_judged_before_the_application_and_the_application_before_the_signature(bed: Bed) -> None:
    fields: dict[str, Any] = {"appCode": "nobody", "timeStamp": 5, "token": "", "signature": "0"}
    assert bed.json("POST", REFRESH, fields).code == (403, 9)
    fields["timeStamp"] = int(START)
    assert bed.json("POST", REFRESH, fields).code == (404, 3)
    fields["appCode"] = APP
    assert bed.json("POST", REFRESH, fields).code == (401, 6)
    assert bed.json("POST", REFRESH, bed.signed(token="")).code == (400, 1)
    assert bed.json("POST", REFRESH, bed.signed(token="x")).code == (403, 31)


def test_the_token_is_judged_before_its_application(bed: Bed) -> None:
    from freshd.sandbox.geniusauth.apps import App

    bed.state.apps.register(App(app_code="other", secret="other-secret"))
    refresh, access = bed.mint()
    for path, token in ((REFRESH, refresh), (VERIFY, access)):
        assert bed.json("POST", path, bed.signed("other", "other-secret", token=token)).code == (401, 6)
    bed.at += WEEK_S + 4
    assert bed.json("POST", REFRESH, bed.signed("other", "other-secret", token=refresh)).code == (403, 31)


def test_another_applications_token_may_be_changed_and_revoked_unless_that_is_checked(bed: Bed) -> None:
    from freshd.sandbox.geniusauth.apps import App

    bed.state.apps.register(App(app_code="other", secret="other-secret"))
    refresh, _ = bed.mint()
    changed = bed.signed("other", "other-secret", token=refresh, payload="p")
    ended = bed.signed("other", "other-secret", token=refresh)
    bed.set(PATCH_CHECKS_APP=True, DELETE_CHECKS_APP=True)
    assert bed.json("PATCH", REFRESH, changed).code == (401, 6)
    assert bed.query("DELETE", REFRESH, ended).code == (401, 6)
    bed.set(PATCH_CHECKS_APP=False, DELETE_CHECKS_APP=False)
    assert bed.json("PATCH", REFRESH, changed).code == (200, 0)
    assert bed.query("DELETE", REFRESH, ended).code == (200, 0)


def test_delete_reads_the_query_and_no_body_unless_it_is_told_to(bed: Bed) -> None:
    refresh, _ = bed.mint()
    fields = bed.signed(token=refresh)
    assert bed.json("DELETE", REFRESH, fields).code == (400, 1)
    assert bed.refresh(refresh).code == (200, 0)
    bed.set(DELETE_IN_BODY=True)
    assert bed.json("DELETE", REFRESH, fields).code == (200, 0)
    assert bed.refresh(refresh).code == (403, 31)
    other, _ = bed.mint()
    assert bed.revoke(other).code == (200, 0)


def test_get_reads_the_query_and_no_body(bed: Bed) -> None:
    assert bed.json("GET", KEYPAIR, bed.signed()).code == (400, 1)
    assert bed.query("GET", KEYPAIR, bed.signed()).code == (200, 0)
    assert bed.query("GET", KEYPAIR, {**bed.signed(), "timeStamp": "1e9"}).code == (400, 1)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_without_its_slash_the_refresh_route_is_elsewhere(bed: Bed, method: str) -> None:
    refresh, _ = bed.mint()
    bare = REFRESH.removesuffix("/")
    said = bed.send(method, bare, query="a=b", body=json.dumps(bed.signed(token=refresh)).encode(), headers=JSON)
    assert (said.status, said.headers["Location"]) == (307, REFRESH + "?a=b")
    assert bed.page().counters.calls == {}
    bed.set(REDIRECT_STATUS=308)
    assert bed.send(method, bare).status == 308


def test_with_a_slash_the_other_routes_are_elsewhere(bed: Bed) -> None:
    said = bed.send("GET", KEYPAIR + "/")
    assert (said.status, said.headers["Location"]) == (301, KEYPAIR)
    assert bed.send("POST", LOGIN + "/").status == 307
    assert bed.send("PUT", REFRESH).status == 404


def test_the_service_lives_on_a_clock_of_its_own(bed: Bed) -> None:
    refresh, access = bed.mint()
    bed.state.offset_s = -11
    assert bed.refresh(refresh).code == (403, 9)
    bed.state.offset_s = 301
    assert bed.refresh(refresh).code == (403, 9)
    bed.state.offset_s = 290
    assert bed.refresh(refresh).code == (200, 0)
    assert bed.verify(access).code == (200, 0)
    bed.at += 14
    assert bed.verify(access).code == (403, 31)


def test_a_deleted_application_is_believed_until_its_secret_leaves_the_cache(bed: Bed) -> None:
    refresh, _ = bed.mint()
    assert bed.refresh(refresh).code == (200, 0)
    bed.levers.delete_app(APP, cached=True)
    bed.at += 3600
    assert bed.refresh(refresh).code == (200, 0)
    bed.at += 3601
    assert bed.refresh(refresh).code == (404, 3)


def test_a_deletion_may_empty_the_cache_as_well(bed: Bed) -> None:
    refresh, _ = bed.mint()
    assert bed.refresh(refresh).code == (200, 0)
    bed.levers.delete_app(APP, cached=False)
    assert bed.refresh(refresh).code == (404, 3)


def test_the_numbers_of_the_gate_are_constants(bed: Bed) -> None:
    refresh, _ = bed.mint()
    bed.set(STAMP_OLDEST_S=5, STAMP_AHEAD_S=0, SECRET_CACHE_S=0)
    stamped = bed.signed(token=refresh)
    bed.at += 5
    assert bed.json("POST", REFRESH, stamped).code == (200, 0)
    bed.at += 1
    assert bed.json("POST", REFRESH, stamped).code == (403, 9)
    bed.at -= 7
    assert bed.json("POST", REFRESH, stamped).code == (403, 9)
    bed.levers.delete_app(APP, cached=True)
    bed.at += 7
    assert bed.refresh(refresh).code == (404, 3)
