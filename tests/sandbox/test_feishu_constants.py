"""Each constant of Feishu both ways: what the service does under the suggested value, and under another."""

import dataclasses
from typing import Any

import pytest

from freshd.sandbox.feishu.apps import Brand
from freshd.sandbox.feishu.constants import ConstantsBook, FeishuConstants
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.ledger import Generation
from tests.sandbox.feishu_bed import APP, APP_TOKEN, INTERNAL, OIDC, TENANT, USER_INFO, V1, V3, VERIFIER, Bed, basic

SHOWN_HERE = {
    "ACCESS_TTL_S", "REFRESH_TTL_S", "REAUTH_AFTER_S", "CODE_TTL_S", "OLD_ACCESS_GRACE_S", "OLD_REFRESH_GRACE_S",
    "CODE_ON_REUSE", "REUSE_REVOKES_FAMILY", "REAUTH_REVOKES_OLD_PAIR", "20050_AFTER_COMMIT", "CODE_AS_TEXT",
    "ERROR_CLASS", "V3_STRAY_VERIFIER_CODE", "TENANT_TTL_S", "TENANT_REISSUE_BELOW_S", "RATE_PER_MIN", "RATE_PER_S",
    "RATE_KEY", "RATE_STATUS", "REFUSAL_SPENDS", "REFRESH_LIFE_RENEWS", "TENANT_OAUTH_REISSUES",
    "TENANT_REFUSAL_STATUS", "OTHER_BRAND_CODE", "FAILURE_TEXT", "V1_CODE_ON_DEAD", "OIDC_CODE_ON_REUSE",
    "DEVICE_TTL_S", "DEVICE_INTERVAL_S", "DEVICE_CODE", "API_REFUSAL_STATUS", "CODE_ON_EXPIRED_ACCESS",
    "USER_INFO_SCOPE", "TOKEN_CHARS",
}  # fmt: skip


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_every_constant_is_shown_here() -> None:
    assert {f"FEISHU_SIM_{name}" for name in SHOWN_HERE} == {f.name for f in dataclasses.fields(FeishuConstants)}


def test_lives_of_new_tokens(bed: Bed) -> None:
    bed.set(ACCESS_TTL_S=2.5, REFRESH_TTL_S=60)
    answer = bed.refresh(bed.token()).json
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (2.5, 60)
    bed.set(ACCESS_TTL_S=7200, REFRESH_TTL_S=9000)
    bed.now += 60
    assert bed.refresh(answer["refresh_token"]).json["code"] == 20037
    assert bed.info(answer["access_token"]).json["code"] == 99991677


@pytest.mark.parametrize(("after_s", "code"), [(365 * 86400, 0), (3600, 20037)])
def test_the_life_of_an_authorization(bed: Bed, after_s: float, code: int) -> None:
    bed.set(REAUTH_AFTER_S=after_s)
    token = bed.token()
    bed.now += 3600
    assert bed.refresh(token).json["code"] == code


@pytest.mark.parametrize(("life_s", "code"), [(300, 0), (299, 20004)])
def test_the_life_of_a_code(bed: Bed, life_s: float, code: int) -> None:
    bed.set(CODE_TTL_S=life_s)
    text = bed.visit()["code"]
    bed.now += 299
    assert bed.redeem(text).json["code"] == code


@pytest.mark.parametrize(
    ("grace_s", "after_s", "code"),
    [(60, 59, 0), (60, 60, 99991677), (None, 7199, 0), (None, 7200, 99991677), (0, 0, 99991677)],
)
def test_an_old_access_token_lives_on(bed: Bed, grace_s: float | None, after_s: float, code: int) -> None:
    bed.set(OLD_ACCESS_GRACE_S=grace_s)
    access, refresh = bed.mint()
    bed.refresh(refresh)
    bed.now += after_s
    assert bed.info(access).json["code"] == code


def test_a_grace_never_lengthens_a_life(bed: Bed) -> None:
    access, refresh = bed.mint()
    bed.now += 7190
    bed.refresh(refresh)
    bed.now += 10
    assert bed.info(access).json["code"] == 99991677


@pytest.mark.parametrize(("grace_s", "after_s", "code"), [(0, 0, 20064), (10, 10, 0), (10, 11, 20064)])
def test_an_old_refresh_token_may_have_a_grace(bed: Bed, grace_s: float, after_s: float, code: int) -> None:
    bed.set(OLD_REFRESH_GRACE_S=grace_s)
    first = bed.token()
    second = bed.refresh(first).json["refresh_token"]
    bed.now += after_s
    again = bed.refresh(first).json
    assert again["code"] == code
    assert again.get("refresh_token", second) == second
    totals = bed.feishu.ledger.ledger.books.totals
    assert (totals.in_grace, totals.doubtful_replays) == (int(code == 0), 1)
    assert bed.live() == [int(code == 0)]


def test_the_grace_ends_when_the_successor_was_presented(bed: Bed) -> None:
    bed.set(OLD_REFRESH_GRACE_S=10)
    first = bed.token()
    bed.refresh(bed.refresh(first).json["refresh_token"])
    assert bed.refresh(first).json["code"] == 20064
    assert bed.feishu.ledger.ledger.books.totals.spent_uses == 1


@pytest.mark.parametrize("code", [20064, 20073])
@pytest.mark.parametrize("family", [True, False])
def test_reuse_has_its_code_and_may_revoke_the_family(bed: Bed, code: int, family: bool) -> None:
    bed.set(CODE_ON_REUSE=code, REUSE_REVOKES_FAMILY=family)
    first = bed.token()
    second = bed.refresh(first).json
    assert bed.refresh(first).json["code"] == code
    assert bed.info(second["access_token"]).json["code"] == (99991668 if family else 0)
    assert bed.refresh(second["refresh_token"]).json["code"] == (20064 if family else 0)
    assert bed.live() == [int(not family)]


@pytest.mark.parametrize(("revokes", "code"), [(False, 0), (True, 20064)])
def test_a_new_authorization_may_revoke_the_old_pair(bed: Bed, revokes: bool, code: int) -> None:
    bed.set(REAUTH_REVOKES_OLD_PAIR=revokes)
    mine, others = bed.token(open_id="ou_1"), bed.token("b", open_id="ou_2")
    bed.redeem(bed.visit(login_hint="ou_1", label="a")["code"])
    assert bed.live() == [int(not revokes), 1]
    assert bed.refresh(mine).json["code"] == code
    assert bed.refresh(others).json["code"] == 0


@pytest.mark.parametrize(("late", "next_code"), [(False, 0), (True, 20064)])
def test_20050_may_come_after_the_commit(bed: Bed, late: bool, next_code: int) -> None:
    bed.set(**{"20050_AFTER_COMMIT": late})
    token = bed.token()
    bed.faults.add(FeishuCode(code=20050), count=1)
    said = bed.refresh(token)
    assert (said.status, said.json["code"], said.json["error"]) == (500, 20050, "server_error")
    assert bed.refresh(token).json["code"] == next_code
    assert len(bed.feishu.ledger.ledger.books.account("a").commits) == 1


def test_codes_may_come_as_text(bed: Bed) -> None:
    bed.set(CODE_AS_TEXT=True)
    answer = bed.refresh(bed.token()).json
    assert (answer["code"], answer["expires_in"]) == ("0", 7200)
    assert bed.refresh("ur-x").json["code"] == "20026"
    assert bed.post(TENANT, INTERNAL).json["code"] == "0"
    assert bed.info("u-x").json["code"] == "99991668"
    assert bed.info(answer["access_token"]).json["code"] == "0"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((code, "invalid_grant") for code in (20003, 20004, 20024, 20026, 20037, 20049, 20064, 20065, 20071, 20073)),
        *((code, "invalid_client") for code in (20002, 20048, 20069)),
        *((code, "invalid_scope") for code in (20067, 20068)),
        *((code, "invalid_request") for code in (20001, 20063, 20070)),
        *((code, "access_denied") for code in (20008, 20009, 20010, 20066)),
        (20036, "unsupported_grant_type"), (20050, "server_error"), (20072, "temporarily_unavailable"),
        (20074, "unauthorized_client"), (21000, None), (99991400, None),
    ],
)  # fmt: skip
def test_each_code_has_its_class_unless_told_otherwise(bed: Bed, code: int, error: str | None) -> None:
    bed.faults.add(FeishuCode(code=code))
    assert bed.refresh("ur-x").json.get("error") == error
    bed.set(ERROR_CLASS={str(code): "odd"})
    assert bed.refresh("ur-x").json["error"] == "odd"
    bed.set(ERROR_CLASS={str(code): None})
    assert "error" not in bed.refresh("ur-x").json


@pytest.mark.parametrize("code", [20049, 20063])
def test_a_verifier_without_a_challenge(bed: Bed, code: int) -> None:
    bed.set(V3_STRAY_VERIFIER_CODE=code)
    assert bed.redeem(bed.visit()["code"], code_verifier=VERIFIER).json["code"] == code


def test_lives_of_tenants_tokens(bed: Bed) -> None:
    bed.set(TENANT_TTL_S=100, TENANT_REISSUE_BELOW_S=40)
    first = bed.post(TENANT, INTERNAL).json
    bed.now += 60
    assert bed.post(TENANT, INTERNAL).json["tenant_access_token"] == first["tenant_access_token"]
    bed.now += 1
    assert bed.post(TENANT, INTERNAL).json["expire"] == 100


@pytest.mark.parametrize(
    ("rule", "same_tenant", "same_app"), [("app+tenant", 0, 429), ("tenant", 429, 429), ("app", 0, 429)]
)
def test_whose_requests_are_counted_together(bed: Bed, rule: str, same_tenant: int, same_app: int) -> None:
    bed.app("cli_other", "s")
    bed.set(RATE_KEY=rule, RATE_PER_S=1, RATE_PER_MIN=1000)
    bed.refresh("ur-x")
    assert bed.refresh("ur-x").status == same_app
    other = bed.refresh("ur-x", client_id="cli_other", client_secret="s")
    assert other.status == (same_tenant or 400)


@pytest.mark.parametrize("status", [429, 400])
def test_the_status_of_too_many_requests(bed: Bed, status: int) -> None:
    bed.set(RATE_STATUS=status, RATE_PER_MIN=0)
    said = bed.refresh(bed.token())
    assert (said.status, said.json["code"]) == (status, 99991400)
    assert said.headers["x-ogw-ratelimit-limit"] == "0"


@pytest.mark.parametrize(("spends", "code"), [(False, 0), (True, 20064)])
@pytest.mark.parametrize("trouble", ["secret", "switch"])
def test_a_refusal_for_the_apps_reasons_may_spend(bed: Bed, spends: bool, code: int, trouble: str) -> None:
    bed.set(REFUSAL_SPENDS=spends)
    token = bed.token()
    more = {"client_secret": "wrong"} if trouble == "secret" else {}
    bed.app(refreshing=trouble != "switch")
    assert bed.refresh(token, **more).json["code"] == (20002 if trouble == "secret" else 20074)
    bed.app()
    assert bed.live() == [int(not spends)]
    assert bed.refresh(token).json["code"] == code


@pytest.mark.parametrize(("renews", "left"), [(True, 604800), (False, 604700)])
def test_a_refresh_may_renew_the_refresh_tokens_life(bed: Bed, renews: bool, left: int) -> None:
    bed.set(REFRESH_LIFE_RENEWS=renews)
    token = bed.token()
    bed.now += 100
    assert bed.refresh(token).json["refresh_token_expires_in"] == left


@pytest.mark.parametrize("reissues", [True, False])
def test_the_oauth_form_may_make_a_new_token_each_time(bed: Bed, reissues: bool) -> None:
    bed.set(TENANT_OAUTH_REISSUES=reissues)
    first, second = (bed.post(V3, {"grant_type": "client_credentials", **APP}).json["access_token"] for _ in range(2))
    assert (first == second) is reissues


@pytest.mark.parametrize("status", [200, 400])
def test_the_status_of_a_refused_tenants_token(bed: Bed, status: int) -> None:
    bed.set(TENANT_REFUSAL_STATUS=status)
    assert bed.post(TENANT, {**INTERNAL, "app_secret": "x"}).status == status


@pytest.mark.parametrize("code", [20048, 20046])
def test_an_app_of_the_other_brand(bed: Bed, code: int) -> None:
    token = bed.token()
    bed.app(brand=Brand.LARK)
    bed.set(OTHER_BRAND_CODE=code)
    assert bed.refresh(token).json["code"] == code
    bed.feishu.apps.brand = Brand.LARK
    assert bed.refresh(token).json["code"] == 0


@pytest.mark.parametrize("name", ["error_description", "msg"])
def test_the_name_of_the_sentence(bed: Bed, name: str) -> None:
    bed.set(FAILURE_TEXT=name)
    assert bed.refresh("ur-x").json.keys() == {"code", "error", name}


@pytest.mark.parametrize(
    ("path", "constant", "code"),
    [(V1, "V1_CODE_ON_DEAD", 20001), (V1, "V1_CODE_ON_DEAD", 20007), (OIDC, "OIDC_CODE_ON_REUSE", 20026)],
)
def test_dead_tokens_of_the_first_generation(bed: Bed, path: str, constant: str, code: int) -> None:
    bed.set(**{constant: code})
    token = bed.token(generation=Generation.V1)
    header = {"Authorization": "Bearer " + bed.post(APP_TOKEN, INTERNAL).json["app_access_token"]}
    asked = {"grant_type": "refresh_token", "refresh_token": token}
    assert bed.post(path, asked, header).json["code"] == 0
    assert bed.post(path, asked, header).json["code"] == code


def test_a_devices_patience(bed: Bed) -> None:
    bed.set(DEVICE_TTL_S=10, DEVICE_INTERVAL_S=2, DEVICE_CODE=20099)
    asked = bed.form("/oauth/v1/device_authorization", basic(), client_id="cli_sandbox").json
    assert (asked["expires_in"], asked["interval"]) == (10, 2)
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    answer = bed.form(V3, grant_type=grant, device_code=asked["device_code"], **APP).json
    assert (answer["code"], answer["error"]) == (20099, "authorization_pending")


@pytest.mark.parametrize("status", [400, 401])
def test_the_status_of_refused_api_calls(bed: Bed, status: int) -> None:
    bed.set(API_REFUSAL_STATUS=status)
    said = bed.call("GET", USER_INFO)
    assert said is not None
    assert said.status == status


@pytest.mark.parametrize("code", [99991677, 99991668])
def test_the_code_of_an_expired_access_token(bed: Bed, code: int) -> None:
    bed.set(CODE_ON_EXPIRED_ACCESS=code)
    access, _ = bed.mint()
    bed.now += 7200
    assert bed.info(access).json["code"] == code


def test_what_the_harmless_call_needs(bed: Bed) -> None:
    wide, narrow = bed.mint(scope="s offline_access"), bed.mint("b", open_id="ou_2")
    narrowed = bed.refresh(wide[1], scope="offline_access").json["access_token"]
    assert bed.info(narrow[0]).json["code"] == 0
    bed.set(USER_INFO_SCOPE="s")
    assert bed.info(wide[0]).json["code"] == 0
    assert bed.info(narrowed).json["code"] == 99991676
    missing = bed.info(narrow[0]).json
    assert (missing["code"], missing["error"]["permission_violations"][0]["subject"]) == (99991679, "s")
    bed.app(scopes=("auth:user.id:read",))
    assert bed.info(narrow[0]).json["code"] == 99991672


@pytest.mark.parametrize(("chars", "least"), [(0, 40), (1200, 1200), (4096, 4096)])
def test_the_length_of_tokens(bed: Bed, chars: int, least: int) -> None:
    bed.set(TOKEN_CHARS=chars)
    answer = bed.refresh(bed.token()).json
    assert all(least <= len(answer[name]) <= least + 10 for name in ("access_token", "refresh_token"))


def test_a_labels_constants_lie_over_its_apps_and_those_over_the_servers() -> None:
    book = ConstantsBook()
    book.change({"FEISHU_SIM_ACCESS_TTL_S": 1, "FEISHU_SIM_ERROR_CLASS": {"1": "server", "2": "server"}})
    book.change({"FEISHU_SIM_ACCESS_TTL_S": 2, "FEISHU_SIM_ERROR_CLASS": {"2": "app", "3": "app"}}, app_id="a")
    book.change({"FEISHU_SIM_ACCESS_TTL_S": 3, "FEISHU_SIM_ERROR_CLASS": {"3": "label"}}, label="l")
    found = [book.of(*key).FEISHU_SIM_ACCESS_TTL_S for key in (("", ""), ("a", ""), ("a", "l"), ("b", "l"))]
    assert found == [1, 2, 3, 3]
    classes = book.of("a", "l").FEISHU_SIM_ERROR_CLASS
    assert [classes[code] for code in (1, 2, 3, 20050)] == ["server", "app", "label", "server_error"]


@pytest.mark.parametrize(
    "wish",
    [
        {"FEISHU_SIM_NONSENSE": 1},
        {"FEISHU_SIM_ACCESS_TTL_S": "long"},
        {"FEISHU_SIM_ACCESS_TTL_S": -1},
        {"FEISHU_SIM_RATE_KEY": "planet"},
        {"FEISHU_SIM_ERROR_CLASS": {"x": "y"}},
        {"FEISHU_SIM_ERROR_CLASS": {"1": 2}},
        {"FEISHU_SIM_ERROR_CLASS": "y"},
    ],
)
def test_a_constant_that_does_not_fit_changes_nothing(wish: dict[str, Any]) -> None:
    book = ConstantsBook()
    with pytest.raises(ValueError, match="FEISHU_SIM"):
        book.change({"FEISHU_SIM_RATE_PER_S": 1, **wish})
    assert book.of("", "") == FeishuConstants()
