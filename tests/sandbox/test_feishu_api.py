"""Feishu around its tokens: the harmless call, revocation, the authorization page's rules, faults in-process."""

from typing import Any

import pytest

from freshd.sandbox.endings import BadGateway, CutShort, LostAfterCommit, LostBeforeCommit, RateLimited
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.faults import MissingFields, NoRefreshToken, Slow, WrongSubject
from freshd.sandbox.feishu.apps import Brand, Standing
from freshd.sandbox.feishu.codes import Refusal
from freshd.sandbox.feishu.faults import EmptyFields, FeishuCode, NarrowedScope
from tests.sandbox.feishu_bed import (
    APP,
    APP_TOKEN,
    AUTHORIZE,
    BACK,
    DEVICE,
    INTERNAL,
    REVOKE,
    TENANT,
    USER_INFO,
    V3,
    Bed,
    basic,
    refused,
)


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_the_harmless_call_names_the_person_and_changes_nothing(bed: Bed) -> None:
    access, refresh = bed.mint(open_id="ou_7")
    answer = bed.info(access).json
    assert (answer["code"], answer["data"]["open_id"]) == (0, "ou_7")
    assert bed.live() == [1]
    assert bed.refresh(refresh).json["code"] == 0


def test_each_way_in_which_a_token_is_no_good(bed: Bed) -> None:
    tenant, app = bed.post(TENANT, INTERNAL).json, bed.post(APP_TOKEN, INTERNAL).json
    access, _ = bed.mint()
    said = bed.call("GET", USER_INFO)
    assert said is not None
    assert refused(said) == (400, 99991661)
    assert refused(bed.info("nonsense")) == (400, 99991671)
    assert refused(bed.info("u-unknown")) == (400, 99991668)
    assert refused(bed.info("t-unknown")) == (400, 99991663)
    assert refused(bed.info(tenant["tenant_access_token"])) == (400, 99991663)
    assert refused(bed.info(app["app_access_token"])) == (400, 99991663)
    bed.now += 7200
    assert refused(bed.info(tenant["tenant_access_token"])) == (400, 99991664)
    assert refused(bed.info(access)) == (400, 99991677)


def test_a_token_is_refused_from_the_moment_somebody_says_so(bed: Bed) -> None:
    access, refresh = bed.mint()
    bed.feishu.ledger.ledger.revoke_access("a")
    assert refused(bed.info(access)) == (400, 99991668)
    assert bed.info(bed.refresh(refresh).json["access_token"]).json["code"] == 0


@pytest.mark.parametrize(("fields", "code"), [({"enabled": False}, 99991662), ({"installed": False}, 99991673)])
def test_an_app_that_may_not_reads_nothing(bed: Bed, fields: dict[str, Any], code: int) -> None:
    access, _ = bed.mint()
    bed.app(**fields)
    assert bed.info(access).json["code"] == code


def test_a_person_that_left_reads_nothing(bed: Bed) -> None:
    access, _ = bed.mint()
    bed.feishu.apps.people["ou_1"] = Standing.LEFT
    assert bed.info(access).json["code"] == 99991668


def test_any_code_of_the_api_can_be_had_on_demand(bed: Bed) -> None:
    access, _ = bed.mint()
    bed.faults.add(FeishuCode(code=99991543), Scope(endpoint="userinfo"), count=1)
    assert refused(bed.info(access)) == (400, 99991543)
    assert bed.info(access).json["code"] == 0


def test_revoking_a_refresh_token_ends_the_grant_without_a_word(bed: Bed) -> None:
    access, refresh = bed.mint()
    said = bed.form(REVOKE, token=refresh, token_type_hint="refresh_token", **APP)
    assert (said.status, said.body) == (200, b"")
    assert refused(bed.refresh(refresh)) == (400, 20064)
    assert refused(bed.info(access)) == (400, 99991668)


def test_revoking_an_access_token_leaves_the_grant(bed: Bed) -> None:
    access, refresh = bed.mint()
    assert bed.form(REVOKE, token=access, **APP).status == 200
    assert refused(bed.info(access)) == (400, 99991668)
    assert bed.refresh(refresh).json["code"] == 0


def test_what_revocation_refuses(bed: Bed) -> None:
    bed.app("cli_other", "s")
    token = bed.token()
    assert bed.form(REVOKE, token="ur-unknown", **APP).status == 200
    assert bed.form(REVOKE, token=token, client_id="cli_other", client_secret="s").status == 200
    assert refused(bed.form(REVOKE, token=token, client_id="cli_sandbox", client_secret="x")) == (400, 20002)
    assert refused(bed.form(REVOKE, **APP)) == (400, 20001)
    assert refused(bed.form(REVOKE, token=token, token_type_hint="id_token", **APP)) == (400, 20001)
    assert refused(bed.post(REVOKE, {"token": token, **APP})) == (400, 20063)
    assert bed.refresh(token).json["code"] == 0


def test_who_may_open_a_device_authorization(bed: Bed) -> None:
    assert refused(bed.form(DEVICE, basic(secret="x"), client_id="cli_sandbox")) == (400, 20002)
    assert refused(bed.form(DEVICE, client_id="cli_sandbox")) == (400, 20001)
    assert refused(bed.form(DEVICE, basic(), **APP)) == (400, 20070)
    bed.app(scopes=("a",))
    assert refused(bed.form(DEVICE, basic(), scope="b")) == (400, 20027)
    assert bed.form(DEVICE, basic(), scope="a offline_access").status == 200


def test_the_page_sends_back_a_code_or_a_refusal(bed: Bed) -> None:
    back = bed.visit()
    assert back.keys() == {"code", "state"}
    assert set(back["code"]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert bed.visit(auto="deny") == {"error": "access_denied", "state": "s t"}


def test_a_fragment_comes_back_behind_the_query(bed: Bed) -> None:
    query = {"client_id": "cli_sandbox", "redirect_uri": BACK + "?x=1#top", "auto": "1"}
    said = bed.call("GET", AUTHORIZE, **query)
    assert said is not None
    assert said.headers["Location"].startswith(BACK + "?x=1&code=")
    assert said.headers["Location"].endswith("#top")


@pytest.mark.parametrize(
    ("app", "asked", "code"),
    [
        ({}, {"client_id": "cli_nobody"}, 20048),
        ({"brand": Brand.LARK}, {}, 20046),
        ({"enabled": False}, {}, 20069),
        ({"redirect_uris": (BACK + "2",)}, {}, 20029),
        ({}, {"redirect_uri": "https://elsewhere.test/"}, 20029),
        ({}, {"response_type": "token"}, 20001),
        ({}, {"code_challenge_method": "S512"}, 20001),
        ({}, {"scope": " ".join(f"s{n}" for n in range(51))}, 20001),
        ({"scopes": ("a",)}, {"scope": "a b"}, 20027),
    ],
)
def test_the_page_stops_with_a_number(bed: Bed, app: dict[str, Any], asked: dict[str, str], code: int) -> None:
    bed.app(**app)
    with pytest.raises(Refusal) as told:
        bed.visit(**asked)
    assert told.value.code == code


def test_in_process_an_answer_can_be_lost_before_or_after_the_commit(bed: Bed) -> None:
    token = bed.token()
    bed.faults.add(LostBeforeCommit(), count=1)
    asked = {"grant_type": "refresh_token", "refresh_token": token, **APP}
    assert bed.call("POST", V3, asked) is None
    bed.faults.add(LostAfterCommit(), count=1)
    assert bed.call("POST", V3, asked) is None
    assert bed.refresh(token).json["code"] == 20064
    totals = bed.feishu.ledger.ledger.books.totals
    assert (totals.spent_uses, totals.reasons) == (0, {"lost_after_commit": 1})
    outcomes = [call.outcome for call in bed.feishu.ledger.ledger.books.account("a").calls]
    assert outcomes == ["lost_before_commit", "granted", "20064"]


def test_in_process_a_body_can_be_cut_replaced_spoiled_and_late(bed: Bed) -> None:
    bed.faults.add(CutShort(bytes=10), count=1)
    cut = bed.refresh(bed.token())
    assert (len(cut.body), cut.whole) == (10, False)
    bed.faults.add(MissingFields(), count=1)
    bed.faults.add(Slow(seconds=40), count=1)
    spoiled = bed.refresh(bed.token("b"))
    assert ("access_token" in spoiled.json, spoiled.waits_s) == (False, 40)
    bed.faults.add(NoRefreshToken(), count=1)
    bed.faults.add(EmptyFields(), count=1)
    bed.faults.add(NarrowedScope(), count=1)
    empty = bed.refresh(bed.token("c")).json
    assert ("refresh_token" in empty, empty["access_token"], empty["scope"]) == (False, "", "auth:user.id:read")
    bed.faults.add(EmptyFields(fields=("nothing",)), count=1)
    assert bed.refresh(bed.token("e")).json["access_token"]
    bed.faults.add(BadGateway(after_commit=True), Scope(label="d"), count=1)
    said = bed.call("POST", V3, {"grant_type": "refresh_token", "refresh_token": bed.token("d"), **APP})
    assert said is not None
    assert said.status == 502
    reasons = [bed.feishu.ledger.ledger.books.account(name).commits[0].doubt for name in "abcd"]
    assert reasons == ["cut_short", "unconfirmed", "no_refresh_token,empty_fields,narrowed_scope", "bad_gateway"]


def test_in_process_another_identity_can_answer(bed: Bed) -> None:
    bed.faults.add(WrongSubject(subject="ou_x"), count=1)
    access = bed.refresh(bed.token()).json["access_token"]
    assert bed.info(access).json["data"]["open_id"] == "ou_x"


def test_a_gateways_own_limit_is_no_word_of_the_service(bed: Bed) -> None:
    bed.faults.add(RateLimited(retry_after=7), count=1)
    said = bed.call("POST", V3, {"grant_type": "refresh_token", "refresh_token": bed.token(), **APP})
    assert said is not None
    assert (said.status, said.headers["Retry-After"], "X-Tt-Logid" in said.headers) == (429, "7", False)


def test_every_answer_has_a_number_of_its_own(bed: Bed) -> None:
    said = [bed.info("u-x").headers["X-Tt-Logid"] for _ in range(3)]
    assert len(set(said)) == 3
