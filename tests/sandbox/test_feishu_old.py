"""Feishu's older endpoints: refresh of the first generation, tokens of apps and tenants, and the reissue rule."""

import json
from typing import Any

import pytest

from freshd.sandbox.direct import Said
from freshd.sandbox.feishu.apps import Brand, Standing
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.ledger import Generation
from freshd.sandbox.tokens import fingerprint
from tests.sandbox.feishu_bed import APP, APP_TOKEN, INTERNAL, OIDC, SCOPE, TENANT, V1, V2, V3, Bed, basic, refused


@pytest.fixture
def bed() -> Bed:
    return Bed()


def app_token(bed: Bed) -> str:
    token: str = bed.post(APP_TOKEN, INTERNAL).json["app_access_token"]
    return token


def rotate(bed: Bed, path: str, token: str, bearer: str | None = None, **more: str) -> Said:
    header = {"Authorization": f"Bearer {bearer if bearer is not None else app_token(bed)}"}
    asked = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return bed.post(path, asked, header if bearer != "" else {})


def old(bed: Bed, **more: Any) -> str:
    return bed.token(generation=Generation.V1, **more)


def test_v1_wraps_its_answer_and_names_the_person(bed: Bed) -> None:
    answer = rotate(bed, V1, old(bed)).json
    assert (answer["code"], answer["msg"]) == (0, "success")
    data = answer["data"]
    names = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert data.keys() == names | {"open_id", "name", "tenant_key"}
    assert (data["expires_in"], data["refresh_expires_in"], data["open_id"]) == (7140, 2591940, "ou_1")
    assert rotate(bed, V1, data["refresh_token"]).json["code"] == 0


def test_oidc_wraps_its_answer_and_names_the_scope(bed: Bed) -> None:
    data = rotate(bed, OIDC, old(bed)).json["data"]
    names = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert data.keys() == names | {"scope"}
    assert (data["expires_in"], data["refresh_expires_in"], data["scope"]) == (7199, 2591999, SCOPE)
    assert bed.info(data["access_token"]).json["code"] == 0


@pytest.mark.parametrize(
    ("path", "standing", "code"),
    [
        (path, standing, code)
        for path in (V1, OIDC)
        for standing, code in (
            (Standing.LEFT, 20021),
            (Standing.FROZEN, 20022),
            (Standing.UNREGISTERED, 20023),
            (Standing.REMOVED, 20008),
        )
    ],
)
def test_trouble_with_the_person(bed: Bed, path: str, standing: Standing, code: int) -> None:
    token = old(bed)
    bed.feishu.apps.people["ou_1"] = standing
    assert refused(rotate(bed, path, token)) == (200, code)


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        (V1, {"installed": False}, 20009),
        (V1, {"enabled": False}, 20028),
        (OIDC, {"enabled": False}, 20042),
        (V1, {"brand": Brand.LARK}, 20028),
        (OIDC, {"brand": Brand.LARK}, 20046),
    ],
)
def test_trouble_with_the_app(bed: Bed, path: str, fields: dict[str, Any], code: int) -> None:
    token, bearer = old(bed), app_token(bed)
    bed.app(**fields)
    assert refused(rotate(bed, path, token, bearer)) == (200, code)
    bed.app()
    assert rotate(bed, path, token, bearer).json["code"] == 0


@pytest.mark.parametrize(
    ("path", "bearer", "code"),
    [
        (V1, "", 20025),
        (V1, "a-unknown", 20028),
        (OIDC, "", 20014),
        (OIDC, "a-unknown", 20014),
        (OIDC, "t-unknown", 20013),
    ],
)
def test_a_header_that_names_no_app(bed: Bed, path: str, bearer: str, code: int) -> None:
    assert refused(rotate(bed, path, old(bed), bearer)) == (200, code)


def test_a_tenants_token_in_the_header_is_20013(bed: Bed) -> None:
    tenant = bed.post(TENANT, INTERNAL).json["tenant_access_token"]
    assert refused(rotate(bed, OIDC, old(bed), tenant)) == (200, 20013)


def test_an_app_that_is_gone_is_20028(bed: Bed) -> None:
    bearer = app_token(bed)
    bed.feishu.apps._known.clear()
    assert refused(rotate(bed, OIDC, old(bed), bearer)) == (200, 20028)


@pytest.mark.parametrize(("path", "code"), [(V1, 20001), (OIDC, 20036)])
def test_another_grant_type(bed: Bed, path: str, code: int) -> None:
    assert refused(rotate(bed, path, old(bed), grant_type="password")) == (200, code)


@pytest.mark.parametrize("path", [V1, OIDC])
def test_a_bad_request_is_20001_and_a_token_of_another_app_20024(bed: Bed, path: str) -> None:
    assert refused(bed.post(path, b"{", {"Content-Type": "application/json"})) == (200, 20001)
    assert refused(rotate(bed, path, "")) == (200, 20001)
    bed.app("cli_other", "s")
    assert refused(rotate(bed, path, old(bed, app_id="cli_other"))) == (200, 20024)


def test_dead_tokens_of_oidc_have_their_codes(bed: Bed) -> None:
    first = old(bed)
    assert refused(rotate(bed, OIDC, "ur-unknown")) == (200, 20038)
    assert refused(rotate(bed, OIDC, bed.token("v2"))) == (200, 20026)
    second = rotate(bed, OIDC, first).json["data"]["refresh_token"]
    assert refused(rotate(bed, OIDC, first)) == (200, 20038)
    assert refused(rotate(bed, OIDC, second)) == (200, 20026)
    idle = old(bed, label="idle")
    bed.now += 2591999
    assert refused(rotate(bed, OIDC, idle)) == (200, 20037)


def test_dead_tokens_of_v1_are_bad_requests(bed: Bed) -> None:
    first = old(bed)
    rotate(bed, V1, first)
    assert refused(rotate(bed, V1, first)) == (200, 20001)
    assert bed.feishu.ledger.ledger.books.totals.doubtful_replays == 1


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        *((path, code, 200) for path in (V1, OIDC) for code in (20007, 20002, 20029, 20013, 20037)),
        (V1, 20050, 500), (OIDC, 20050, 500),
    ],
)  # fmt: skip
def test_any_code_can_be_had_on_demand(bed: Bed, path: str, code: int, status: int) -> None:
    token, bearer = old(bed), app_token(bed)
    bed.faults.add(FeishuCode(code=code), count=1)
    said = rotate(bed, path, token, bearer)
    assert refused(said) == (status, code)
    assert said.json.keys() == {"code", "msg"}
    assert rotate(bed, path, token, bearer).json["code"] == 0


def test_the_tenants_token(bed: Bed) -> None:
    said = bed.post(TENANT, INTERNAL)
    assert (said.status, list(said.json)) == (200, ["code", "msg", "tenant_access_token", "expire"])
    assert (said.json["code"], said.json["msg"], said.json["expire"]) == (0, "ok", 7200)
    assert said.json["tenant_access_token"].startswith("t-")


def test_the_apps_token_brings_the_tenants_along(bed: Bed) -> None:
    tenant = bed.post(TENANT, INTERNAL).json["tenant_access_token"]
    bed.now += 100
    answer = bed.post(APP_TOKEN, INTERNAL).json
    assert list(answer) == ["code", "msg", "app_access_token", "tenant_access_token", "expire"]
    assert (answer["tenant_access_token"], answer["expire"]) == (tenant, 7100)


@pytest.mark.parametrize("path", [TENANT, APP_TOKEN])
def test_at_half_an_hour_exactly_the_same_token_comes_and_below_it_a_new_one(bed: Bed, path: str) -> None:
    name = path.split("/")[4]
    first = bed.post(path, INTERNAL).json
    bed.now += 7200 - 1800
    same = bed.post(path, INTERNAL).json
    assert (same[name], same["expire"]) == (first[name], 1800)
    bed.now += 1
    new = bed.post(path, INTERNAL).json
    assert (new[name] != first[name], new["expire"]) == (True, 7200)
    shelf = bed.feishu.ledger.ledger
    assert shelf.accepts(first[name], bed.now)
    assert shelf.accepts(new[name], bed.now)
    bed.now += 1799
    assert shelf.accepts(first[name], bed.now) is None
    assert shelf.accepts(new[name], bed.now)


def test_repeats_change_nothing_in_the_books(bed: Bed) -> None:
    for _ in range(3):
        bed.post(TENANT, INTERNAL)
    page = bed.feishu.ledger.ledger.books.account("cli_sandbox")
    assert (page.counters.commits, page.counters.early) == (1, 2)
    assert [call.outcome for call in page.calls] == ["granted", "early", "early"]
    assert page.counters.calls == {"tenant_access_token": 3}


def test_each_commit_of_one_answer_learns_how_it_fared(bed: Bed) -> None:
    bed.post(APP_TOKEN, INTERNAL)
    commits = bed.feishu.ledger.ledger.books.account("cli_sandbox").commits
    assert [commit.delivery is not None and commit.delivery.is_whole for commit in commits] == [True, True]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"app_id": "cli_sandbox"}, 10003),
        ({"app_secret": "sandbox-secret"}, 10003),
        ({**INTERNAL, "app_id": "sandbox"}, 10003),
        ({**INTERNAL, "app_secret": "wrong"}, 10014),
        ({**INTERNAL, "app_id": "cli_nobody"}, 10014),
    ],
)
def test_an_app_that_cannot_prove_itself(bed: Bed, asked: dict[str, str], code: int) -> None:
    for path in (TENANT, APP_TOKEN):
        assert refused(bed.post(path, asked)) == (200, code)


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"enabled": False}, 99991662), ({"installed": False}, 99991673), ({"brand": Brand.LARK}, 10014)],
)
def test_an_app_that_may_not(bed: Bed, fields: dict[str, Any], code: int) -> None:
    bed.app(**fields)
    assert bed.post(TENANT, INTERNAL).json["code"] == code


def test_a_tenants_token_in_the_oauth_form(bed: Bed) -> None:
    said = bed.post(V3, {"grant_type": "client_credentials", **APP})
    assert said.json.keys() == {"code", "access_token", "expires_in", "token_type"}
    assert said.json["access_token"].count(".") == 2
    assert len(said.json["access_token"]) <= 4096
    again = bed.form(V3, basic(), grant_type="client_credentials")
    assert again.json["access_token"] == said.json["access_token"]
    bed.now += 5401
    assert bed.form(V3, basic(), grant_type="client_credentials").json["expires_in"] == 7200


def test_the_oauth_form_refuses_in_its_own_words(bed: Bed) -> None:
    wrong = bed.post(V3, {"grant_type": "client_credentials", **APP, "client_secret": "x"})
    assert (refused(wrong), wrong.json["error"]) == ((400, 20002), "invalid_client")
    assert refused(bed.form(V3, basic(), grant_type="client_credentials", **APP)) == (400, 20070)
    assert refused(bed.post(V2, {"grant_type": "client_credentials", **APP})) == (400, 20036)
    bed.app(installed=False)
    assert refused(bed.post(V3, {"grant_type": "client_credentials", **APP})) == (400, 20009)


def test_a_revoked_tenants_token_is_not_repeated(bed: Bed) -> None:
    first = bed.post(TENANT, INTERNAL).json["tenant_access_token"]
    bed.feishu.ledger.ledger.revoke_access("cli_sandbox", fingerprint(first))
    assert bed.post(TENANT, INTERNAL).json["tenant_access_token"] != first


def test_the_bodies_must_be_objects(bed: Bed) -> None:
    assert refused(bed.form(TENANT, **INTERNAL)) == (200, 10003)
    headers = {"Content-Type": "application/json"}
    assert bed.post(TENANT, json.dumps(INTERNAL).encode(), headers).json["code"] == 0
