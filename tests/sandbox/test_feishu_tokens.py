"""Feishu's token endpoints v2 and v3: requests, replies, every code of their table, rotation and reuse."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import freshd.sandbox
from freshd.sandbox.feishu.apps import Brand, Standing
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.ledger import Generation
from tests.sandbox.feishu_bed import APP, DEVICE_GRANT, SCOPE, V2, V3, VERIFIER, Bed, basic, refused


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_the_rules_need_no_sockets_and_no_clock() -> None:
    folder = Path(freshd.sandbox.__file__).parent / "feishu"
    shell = {"routes.py", "front.py", "control.py", "direct.py", "faults.py"}
    pure = [path for path in folder.glob("*.py") if path.name not in shell]
    assert len(pure) > 10
    for path in pure:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            inside = {f"freshd.sandbox.feishu.{name[:-3]}" for name in shell}
            tainted = {"aiohttp", "asyncio", "time", "socket", "random"} | inside
            assert not tainted & set(named), path


@pytest.mark.parametrize("path", [V2, V3])
def test_a_refresh_answers_with_one_flat_object(bed: Bed, path: str) -> None:
    said = bed.refresh(bed.token(), path)
    answer = said.json
    assert said.status == 200
    assert said.headers["Content-Type"] == "application/json; charset=utf-8"
    names = ["code", "access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "token_type", "scope"]
    assert list(answer) == names
    fixed = {name: answer[name] for name in names if name not in ("access_token", "refresh_token")}
    assert fixed == {
        "code": 0, "expires_in": 7200, "refresh_token_expires_in": 604800, "token_type": "Bearer", "scope": SCOPE,
    }  # fmt: skip
    assert answer["access_token"].startswith("u-")
    assert answer["refresh_token"].startswith("ur-")
    assert 1024 <= len(answer["refresh_token"]) <= 4096


@pytest.mark.parametrize("path", [V2, V3])
def test_a_form_is_taken_like_an_object(bed: Bed, path: str) -> None:
    assert bed.form(path, grant_type="refresh_token", refresh_token=bed.token(), **APP).json["code"] == 0


def test_either_endpoint_takes_tokens_of_the_other(bed: Bed) -> None:
    second = bed.refresh(bed.token(), V2).json["refresh_token"]
    third = bed.refresh(second, V3).json["refresh_token"]
    assert bed.refresh(third, V2).json["code"] == 0


def test_a_refresh_token_works_once_and_one_is_alive_at_a_time(bed: Bed) -> None:
    first = bed.token()
    assert bed.live() == [1]
    second = bed.refresh(first).json["refresh_token"]
    assert (first != second, bed.live()) == (True, [1])
    assert refused(bed.refresh(first)) == (400, 20064)


def test_the_app_proves_itself_in_one_way_only(bed: Bed) -> None:
    asked = {"grant_type": "refresh_token", "refresh_token": bed.token()}
    assert refused(bed.post(V3, {**asked, **APP}, basic())) == (400, 20070)
    assert refused(bed.post(V2, {**asked, **APP}, basic())) == (400, 20070)
    assert refused(bed.post(V3, {**asked, "client_id": "cli_other"}, basic())) == (400, 20070)
    assert refused(bed.post(V2, {**asked, "client_id": "cli_sandbox"}, basic())) == (400, 20001)
    assert refused(bed.post(V3, asked, {"Authorization": "Basic !"})) == (400, 20001)
    assert bed.post(V3, {**asked, "client_id": "cli_sandbox"}, basic()).json["code"] == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"grant_type": 1}', "application/json"),
        (b'{"grant_type": "refresh_token", "grant_type": "x"}', "application/json"),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "refresh_token"}', "text/plain"),
    ],
)
def test_a_malformed_body_is_20063(bed: Bed, body: bytes, kind: str) -> None:
    assert refused(bed.post(V3, body, {"Content-Type": kind})) == (400, 20063)


def test_an_object_may_come_as_bytes(bed: Bed) -> None:
    body = json.dumps({"grant_type": "refresh_token", "refresh_token": bed.token(), **APP}).encode()
    assert bed.post(V2, body, {"content-type": "application/json; charset=utf-8"}).json["code"] == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"grant_type": ""}, 20001),
        ({"refresh_token": ""}, 20001),
        ({"client_id": ""}, 20001),
        ({"client_secret": ""}, 20001),
        ({"client_secret": "wrong"}, 20002),
        ({"grant_type": "password"}, 20036),
        ({"client_id": "cli_nobody"}, 20048),
        ({"refresh_token": "ur-unknown"}, 20026),
        ({"scope": "auth:user.id:read auth:user.id:read"}, 20067),
        ({"scope": "im:message"}, 20068),
    ],
)
def test_a_wrong_request_spends_nothing(bed: Bed, change: dict[str, str], code: int) -> None:
    token = bed.token()
    assert refused(bed.refresh(token, **change)) == (400, code)
    assert bed.refresh(token).json["code"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"installed": False}, 20009),
        ({"enabled": False}, 20069),
        ({"refreshing": False}, 20074),
        ({"secret": "changed"}, 20002),
        ({"brand": Brand.LARK}, 20048),
    ],
)
def test_trouble_with_the_app_has_its_code_and_spends_nothing(bed: Bed, fields: dict[str, Any], code: int) -> None:
    token = bed.token()
    bed.app(**fields)
    assert refused(bed.refresh(token)) == (400, code)
    bed.app()
    assert bed.refresh(token).json["code"] == 0


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (Standing.REMOVED, 20008),
        (Standing.UNREGISTERED, 20008),
        (Standing.NOT_ALLOWED, 20010),
        (Standing.LEFT, 20066),
        (Standing.FROZEN, 20066),
    ],
)
def test_trouble_with_the_person_has_its_code_and_spends_nothing(bed: Bed, standing: Standing, code: int) -> None:
    token = bed.token()
    code_text = bed.visit(login_hint="ou_1")["code"]
    bed.feishu.apps.people["ou_1"] = standing
    assert refused(bed.refresh(token)) == (400, code)
    assert refused(bed.redeem(code_text)) == (400, code)
    bed.feishu.apps.people["ou_1"] = Standing.ACTIVE
    assert bed.refresh(token).json["code"] == 0
    assert bed.redeem(code_text).json["code"] == 0


def test_a_token_of_another_app_is_20024(bed: Bed) -> None:
    bed.app("cli_other", "s")
    token = bed.token()
    assert refused(bed.refresh(token, client_id="cli_other", client_secret="s")) == (400, 20024)


def test_a_token_of_the_first_generation_is_20026(bed: Bed) -> None:
    assert refused(bed.refresh(bed.token(generation=Generation.V1))) == (400, 20026)


def test_a_revoked_token_is_20064_and_so_is_the_successor_of_a_reused_one(bed: Bed) -> None:
    first = bed.token()
    second = bed.refresh(first).json
    assert refused(bed.refresh(first)) == (400, 20064)
    assert refused(bed.refresh(second["refresh_token"])) == (400, 20064)
    assert refused(bed.info(second["access_token"])) == (400, 99991668)
    assert bed.live() == [0]


def test_an_idle_token_ends_after_seven_days(bed: Bed) -> None:
    token = bed.token()
    bed.now += 604800
    assert refused(bed.refresh(token)) == (400, 20037)
    bed.now -= 1
    assert bed.refresh(token).json["code"] == 0


def test_a_year_after_the_authorization_no_refresh_helps(bed: Bed) -> None:
    token = bed.token()
    for _ in range(72):
        bed.now += 5 * 86400
        token = bed.refresh(token).json["refresh_token"]
    bed.now += 5 * 86400 - 1
    token = bed.refresh(token).json["refresh_token"]
    bed.now += 1
    assert refused(bed.refresh(token)) == (400, 20037)
    assert bed.live() == [0]


def test_a_scope_without_the_offline_one_narrows_and_leaves_no_refresh_token(bed: Bed) -> None:
    first = bed.token(scope="a b offline_access")
    second = bed.refresh(first, scope="a offline_access").json
    assert second["scope"] == "a offline_access"
    third = bed.refresh(second["refresh_token"]).json
    assert third["scope"] == "a b offline_access"
    last = bed.refresh(third["refresh_token"], scope="b").json
    assert (last["scope"], "refresh_token" in last, "refresh_token_expires_in" in last) == ("b", False, False)
    assert bed.live() == [0]
    assert refused(bed.refresh(third["refresh_token"])) == (400, 20064)


def test_a_code_is_exchanged_once(bed: Bed) -> None:
    back = bed.visit(login_hint="ou_9", label="acc")
    assert back["state"] == "s t"
    answer = bed.redeem(back["code"]).json
    assert (answer["code"], answer["scope"]) == (0, SCOPE)
    assert bed.info(answer["access_token"]).json["data"]["open_id"] == "ou_9"
    assert bed.live("acc") == [1]
    assert refused(bed.redeem(back["code"])) == (400, 20065)
    assert bed.refresh(answer["refresh_token"]).json["code"] == 0


def test_a_code_is_refused_for_each_reason_with_its_code(bed: Bed) -> None:
    code = bed.visit()["code"]
    bed.app("cli_other", "s")
    assert refused(bed.redeem("")) == (400, 20001)
    assert refused(bed.redeem("ac-nobody")) == (400, 20003)
    assert refused(bed.redeem(code, client_id="cli_other", client_secret="s")) == (400, 20024)
    assert refused(bed.redeem(code, redirect_uri="http://127.0.0.1:9999/Back")) == (400, 20071)
    assert refused(bed.redeem(code, scope="x x")) == (400, 20067)
    assert refused(bed.redeem(code, scope="x")) == (400, 20068)
    bed.now += 300
    assert refused(bed.redeem(code)) == (400, 20004)


def test_a_code_may_be_narrowed(bed: Bed) -> None:
    answer = bed.redeem(bed.visit()["code"], scope="auth:user.id:read").json
    assert (answer["scope"], "refresh_token" in answer) == ("auth:user.id:read", False)


def test_no_refresh_token_comes_unless_the_offline_scope_was_granted(bed: Bed) -> None:
    assert "refresh_token" not in bed.redeem(bed.visit(scope="auth:user.id:read")["code"]).json
    assert bed.live("user") == [0]


def test_granted_scopes_add_up_over_authorizations(bed: Bed) -> None:
    bed.redeem(bed.visit(scope="a offline_access")["code"])
    assert bed.redeem(bed.visit(scope="b offline_access")["code"]).json["scope"] == "a b offline_access"


@pytest.mark.parametrize(
    ("asked", "sent", "path", "code"),
    [
        ({"code_challenge": "S", "code_challenge_method": "S256"}, {"code_verifier": VERIFIER}, V3, 0),
        ({"code_challenge": "S", "code_challenge_method": "S256"}, {"code_verifier": "w" * 43}, V3, 20049),
        ({"code_challenge": "S", "code_challenge_method": "S256"}, {}, V2, 20049),
        ({"code_challenge": VERIFIER}, {"code_verifier": VERIFIER}, V2, 0),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, {"code_verifier": VERIFIER}, V3, 0),
        ({"code_challenge": "S"}, {"code_verifier": VERIFIER}, V2, 20049),
        ({"code_challenge": "short"}, {"code_verifier": "short"}, V2, 20049),
        ({}, {"code_verifier": VERIFIER}, V2, 0),
        ({}, {"code_verifier": VERIFIER}, V3, 20049),
    ],
)
def test_pkce_is_optional_plain_by_default_and_strict_in_v3(
    bed: Bed, asked: dict[str, str], sent: dict[str, str], path: str, code: int
) -> None:
    from tests.sandbox.feishu_bed import CHALLENGE

    visited = {name: CHALLENGE if value == "S" else value for name, value in asked.items()}
    assert bed.redeem(bed.visit(**visited)["code"], path, **sent).json["code"] == code


def open_device(bed: Bed) -> dict[str, Any]:
    return bed.form("/oauth/v1/device_authorization", basic(), client_id="cli_sandbox", scope=SCOPE).json


@pytest.mark.parametrize("path", [V2, V3])
def test_a_device_polls_until_the_person_agrees(bed: Bed, path: str) -> None:
    asked = open_device(bed)
    assert (asked["expires_in"], asked["interval"]) == (240, 5)
    assert asked["verification_uri_complete"].endswith(asked["user_code"])

    def poll() -> dict[str, Any]:
        return bed.form(path, grant_type=DEVICE_GRANT, device_code=asked["device_code"], **APP).json

    assert poll()["error"] == "authorization_pending"
    bed.now += 4
    assert poll()["error"] == "slow_down"
    bed.now += 9
    assert poll()["error"] == "slow_down"
    bed.now += 15
    assert poll()["error"] == "authorization_pending"
    bed.feishu.consents.decide(asked["user_code"], bed.now, subject="ou_d", label="dev")
    answer = poll()
    assert (answer["code"], bed.live("dev")) == (0, [1])
    assert bed.info(answer["access_token"]).json["data"]["open_id"] == "ou_d"
    assert poll()["error"] == "invalid_grant"


@pytest.mark.parametrize(("allowed", "wait", "error"), [(False, 1, "access_denied"), (True, 240, "expired_token")])
def test_a_device_may_be_denied_or_too_late(bed: Bed, allowed: bool, wait: float, error: str) -> None:
    asked = open_device(bed)
    bed.feishu.consents.decide(asked["user_code"], bed.now, subject="u", label="u", allowed=allowed)
    bed.now += wait
    said = bed.form(V3, grant_type=DEVICE_GRANT, device_code=asked["device_code"], **APP)
    assert (said.status, said.json["error"], "code" in said.json) == (400, error, False)
    assert refused(bed.form(V3, grant_type=DEVICE_GRANT, **APP)) == (400, 20001)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((code, 400) for code in (20001, 20002, 20003, 20004, 20008, 20009, 20010, 20024, 20026, 20036, 20037)),
        *((code, 400) for code in (20048, 20049, 20063, 20064, 20065, 20066, 20067, 20068, 20069, 20070, 20071)),
        (20073, 400), (20074, 400), (20050, 500), (20072, 503), (20138, 200), (21000, 400), (21001, 400),
        (99991400, 429), (29999, 400),
    ],
)  # fmt: skip
def test_any_code_can_be_had_on_demand_before_the_commit(bed: Bed, code: int, status: int) -> None:
    token = bed.token()
    bed.faults.add(FeishuCode(code=code), count=1)
    said = bed.refresh(token)
    assert refused(said) == (status, code)
    assert bed.refresh(token).json["code"] == 0


def test_the_bodies_of_refusals_carry_class_and_text(bed: Bed) -> None:
    assert bed.refresh("ur-unknown").json.keys() == {"code", "error", "error_description"}
    assert bed.refresh("ur-unknown").json["error"] == "invalid_grant"
    bed.faults.add(FeishuCode(code=21000, challenge_url="https://x.test/c", cli_hint="go"), count=1)
    answer = bed.refresh(bed.token()).json
    assert (answer["challenge_url"], answer["cli_hint"], "error" in answer) == ("https://x.test/c", "go", False)


def test_the_status_of_a_code_on_demand_may_be_chosen(bed: Bed) -> None:
    bed.faults.add(FeishuCode(code=20064, status=200), count=1)
    assert refused(bed.refresh(bed.token())) == (200, 20064)


def test_too_many_requests_announce_when_to_come_back(bed: Bed) -> None:
    bed.set(RATE_PER_S=2)
    bed.now += 0.25
    token = bed.token()
    for _ in range(2):
        token = bed.refresh(token).json["refresh_token"]
    said = bed.refresh(token)
    assert refused(said) == (429, 99991400)
    assert (said.headers["x-ogw-ratelimit-limit"], said.headers["x-ogw-ratelimit-reset"]) == ("2", "0.750")
    bed.now += 0.75
    assert bed.refresh(token).json["code"] == 0


def test_a_minute_has_a_limit_of_its_own(bed: Bed) -> None:
    bed.set(RATE_PER_MIN=1)
    token = bed.refresh(bed.token()).json["refresh_token"]
    bed.now += 2
    assert bed.refresh(token).headers["x-ogw-ratelimit-reset"] == "58.000"
    bed.now += 58
    assert bed.refresh(token).json["code"] == 0


def test_a_code_and_a_grant_live_on_when_another_app_asks_too_often(bed: Bed) -> None:
    bed.app("cli_other", "s", tenant_key="tenant-2")
    bed.set(RATE_PER_S=0)
    bed.feishu.constants.change({"FEISHU_SIM_RATE_PER_S": 9}, app_id="cli_other")
    assert refused(bed.refresh(bed.token())) == (429, 99991400)
    other = bed.token("o", app_id="cli_other")
    assert bed.refresh(other, client_id="cli_other", client_secret="s").json["code"] == 0
