"""Constants of CloudBase both ways: sessions, methods, clients. All others are in the files named after them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.sandbox.cloudbase.constants import CloudbaseConstants, Method
from freshd.sandbox.direct import Said
from tests.sandbox.cloudbase_bed import DEVICE, TOKEN, V1, Bed, outcome

SHOWN = {
    "ACCESS_TTL_S", "REFRESH_TTL_S", "REFRESH_LIFE_RENEWS", "ROTATES", "REFRESH_GRACE_S", "REUSE_ENDS_SESSION",
    "OLD_ACCESS_GRACE_S", "SESSION_LIMIT", "SAME_DEVICE_REPLACES", "PUSHED_OUT_ACCESS_LIVES",
    "DEVICE_CHECKED_ON_REFRESH", "DEVICE_REQUIRED_FOR", "NO_REFRESH_TOKEN_FOR", "CREDENTIALS_TTL_S",
    "CREDENTIALS_PATH", "CLIENT_ID_REQUIRED", "JSON_REQUIRED", "METHODS_OFF", "METHOD_OFF_ERROR",
    "ANONYMOUS_OFF_ERROR", "NO_USER_ERROR", "WRONG_PASSWORD_ERROR", "WRONG_CODE_ERROR", "DEAD_REFRESH_ERROR",
    "BAD_TICKET_ERROR", "BAD_TICKET_KEY_ERROR", "CAPTCHA_AFTER", "LOCK_AFTER", "LOCK_S", "CAPTCHA_FOR",
    "CAPTCHA_VARIANT", "CAPTCHA_PLACE", "CAPTCHA_DIRECT", "CAPTCHA_INIT_BASIC", "CAPTCHA_PAGE_TTL_S",
    "CAPTCHA_IMAGE_TTL_S", "CAPTCHA_TOKEN_TTL_S", "CAPTCHA_TOKEN_SINGLE_USE", "CAPTCHA_TRIES", "CAPTCHA_WORDS",
    "CAPTCHA_ANSWER", "KEY_OVERLAP_S", "TICKET_LIFE_S", "TICKET_SKEW_S", "TICKET_SINGLE_USE", "TICKET_CLAIMS_COUNT",
    "CODE_TTL_S", "CODE_TRIES", "CODE_INTERVAL_S", "CODE_TOO_SOON_ERROR", "VERIFICATION_TOKEN_TTL_S",
    "PROVIDER_TOKEN_TTL_S", "PROVIDER_TOKEN_SINGLE_USE", "REVOKE_FORM", "REVOKE_ENDS_SESSION", "RATE_PER_MIN",
    "RETRY_DELAY_S", "RETRY_AFTER", "SPEECH", "ERROR_CODE", "OTHER_NUMBER", "STATUS_ALWAYS_200", "STATUSES",
}  # fmt: skip
DAY = 86_400


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_every_constant_is_shown_here_or_beside() -> None:
    assert {f"CLOUDBASE_SIM_{name}" for name in SHOWN} == {f.name for f in dataclasses.fields(CloudbaseConstants)}


def test_a_labels_value_lies_over_everybodys(bed: Bed) -> None:
    bed.set("a", ACCESS_TTL_S=5, STATUSES={"invalid_grant": 418})
    bed.set(ACCESS_TTL_S=6, STATUSES={"not_found": 410})
    assert bed.signin().json["expires_in"] == 5
    assert bed.anonymously().json["expires_in"] == 6
    shown = bed.environment.constants.show("a")["CLOUDBASE_SIM_STATUSES"]
    assert isinstance(shown, dict)
    assert (shown["invalid_grant"], shown["not_found"], shown["aborted"]) == (418, 410, 409)


@pytest.mark.parametrize(
    "over",
    [
        {"NOPE": 1},
        {"ACCESS_TTL_S": -1},
        {"ACCESS_TTL_S": "long"},
        {"SESSION_LIMIT": 0},
        {"SPEECH": "french"},
        {"METHODS_OFF": ["flying"]},
        {"STATUSES": {"invalid_grant": 42}},
        {"STATUSES": []},
    ],
)
def test_an_impossible_value_changes_nothing(bed: Bed, over: dict[str, Any]) -> None:
    before = bed.environment.constants.show("")
    with pytest.raises(ValueError, match=next(iter(over))):
        bed.set(**over)
    assert bed.environment.constants.show("") == before


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_lives_of_new_tokens(bed: Bed) -> None:
    bed.set(ACCESS_TTL_S=2.5, REFRESH_TTL_S=60)
    answer = bed.signin().json
    assert answer["expires_in"] == 2.5
    bed.now += 60
    assert outcome(bed.refresh(answer["refresh_token"])) == "invalid_grant"
    assert bed.introspect(answer["access_token"]) == {}


@pytest.mark.parametrize(("renews", "said"), [(False, "invalid_grant"), (True, "ok")])
def test_a_refresh_may_begin_a_new_life(bed: Bed, renews: bool, said: str) -> None:
    bed.set(REFRESH_LIFE_RENEWS=renews)
    token = bed.token()
    bed.now += 20 * DAY
    token = bed.refresh(token).json["refresh_token"]
    bed.now += 20 * DAY
    assert outcome(bed.refresh(token)) == said


@pytest.mark.parametrize(("rotates", "said"), [(True, "invalid_grant"), (False, "ok")])
def test_a_refresh_token_may_stay(bed: Bed, rotates: bool, said: str) -> None:
    bed.set(ROTATES=rotates)
    token = bed.token()
    assert (bed.refresh(token).json["refresh_token"] == token) is not rotates
    assert outcome(bed.refresh(token)) == said
    assert bed.page().counters.doubtful_replays == int(rotates)


@pytest.mark.parametrize(
    ("grace_s", "after_s", "said"), [(0, 0, "invalid_grant"), (10, 10, "ok"), (10, 11, "invalid_grant")]
)
def test_an_old_refresh_token_may_have_a_grace(bed: Bed, grace_s: float, after_s: float, said: str) -> None:
    bed.set(REFRESH_GRACE_S=grace_s)
    token = bed.token()
    successor = bed.refresh(token).json["refresh_token"]
    bed.now += after_s
    again = bed.refresh(token)
    assert outcome(again) == said
    assert (again.json.get("refresh_token") == successor) is (said == "ok")
    assert bed.page().counters.in_grace == int(said == "ok")


def test_grace_is_over_once_the_successor_was_used(bed: Bed) -> None:
    bed.set(REFRESH_GRACE_S=10)
    token = bed.token()
    bed.refresh(bed.refresh(token).json["refresh_token"])
    assert outcome(bed.refresh(token)) == "invalid_grant"


@pytest.mark.parametrize(("ends", "said"), [(False, "ok"), (True, "invalid_grant")])
def test_reuse_may_end_the_session(bed: Bed, ends: bool, said: str) -> None:
    bed.set(REUSE_ENDS_SESSION=ends)
    token = bed.token()
    successor = bed.refresh(token).json["refresh_token"]
    bed.refresh(token)
    assert outcome(bed.refresh(successor)) == said


@pytest.mark.parametrize(("grace_s", "after_s", "lives"), [(None, 7199, True), (60, 59, True), (60, 60, False)])
def test_an_old_access_token_lives_on(bed: Bed, grace_s: float | None, after_s: float, lives: bool) -> None:
    bed.set(OLD_ACCESS_GRACE_S=grace_s)
    answer = bed.signin().json
    bed.refresh(answer["refresh_token"])
    bed.now += after_s
    assert bool(bed.introspect(answer["access_token"])) is lives


@pytest.mark.parametrize(
    ("limit", "said"), [(1, ["invalid_grant", "invalid_grant", "ok"]), (2, ["invalid_grant", "ok", "ok"])]
)
def test_how_many_sessions_a_user_has(bed: Bed, limit: int, said: list[str]) -> None:
    bed.set(SESSION_LIMIT=limit)
    tokens = [bed.token() for _ in range(3)]
    assert [outcome(bed.refresh(token)) for token in tokens] == said


@pytest.mark.parametrize(("replaces", "said"), [(False, "ok"), (True, "invalid_grant")])
def test_a_device_may_have_one_session(bed: Bed, replaces: bool, said: str) -> None:
    bed.set(SESSION_LIMIT=5, SAME_DEVICE_REPLACES=replaces)
    first = bed.anonymously().json["refresh_token"]
    bed.anonymously()
    assert outcome(bed.refresh(first)) == said


@pytest.mark.parametrize("lives", [True, False])
def test_the_access_token_of_a_session_that_was_pushed_out(bed: Bed, lives: bool) -> None:
    bed.set(PUSHED_OUT_ACCESS_LIVES=lives)
    access = bed.signin().json["access_token"]
    bed.levers.stranger("a")
    assert bool(bed.introspect(access)) is lives


@pytest.mark.parametrize(("checked", "said"), [(False, "ok"), (True, "invalid_grant")])
def test_the_device_may_be_looked_at_in_a_refresh(bed: Bed, checked: bool, said: str) -> None:
    bed.set(DEVICE_CHECKED_ON_REFRESH=checked)
    token = bed.anonymously().json["refresh_token"]
    assert outcome(bed.refresh(token, {"x-device-id": "f" * 32})) == said
    token = bed.anonymously().json["refresh_token"]
    assert outcome(bed.refresh(token, {"x-device-id": DEVICE})) == "ok"


@pytest.mark.parametrize(("methods", "said"), [([], "ok"), (["password"], "invalid_argument")])
def test_a_method_may_need_a_device(bed: Bed, methods: list[str], said: str) -> None:
    bed.set(DEVICE_REQUIRED_FOR=methods)
    assert outcome(bed.signin()) == said


def test_a_provider_sign_in_needs_a_device(bed: Bed) -> None:
    body = {"provider_token": bed.provider_token()}
    assert outcome(bed.post(f"{V1}/signin/with/provider", body)) == "invalid_argument"
    bed.set(DEVICE_REQUIRED_FOR=[])
    assert outcome(bed.post(f"{V1}/signin/with/provider", body)) == "ok"


def sign_in(bed: Bed, method: Method) -> Said:
    ways: dict[Method, Callable[[], Said]] = {
        Method.PASSWORD: bed.signin,
        Method.CODE: lambda: bed.by_code(bed.verification_token()),
        Method.ANONYMOUS: bed.anonymously,
        Method.CUSTOM: lambda: bed.custom(bed.ticket()),
        Method.PROVIDER: lambda: bed.with_provider(bed.provider_token()),
        Method.CREDENTIALS: bed.credentials,
    }
    return ways[method]()


@pytest.mark.parametrize("method", [one for one in Method if one is not Method.CREDENTIALS])
def test_a_method_may_bring_no_refresh_token(bed: Bed, method: Method) -> None:
    assert "refresh_token" in sign_in(bed, method).json
    bed.now += 60
    bed.set(NO_REFRESH_TOKEN_FOR=[method])
    assert "refresh_token" not in sign_in(bed, method).json


@pytest.mark.parametrize("method", list(Method))
def test_a_method_may_be_off(bed: Bed, method: Method) -> None:
    bed.set(METHODS_OFF=[method])
    assert outcome(sign_in(bed, method)) == ("unimplemented" if method is Method.ANONYMOUS else "failed_precondition")
    bed.now += 60
    bed.set(METHOD_OFF_ERROR="login_type_disabled", ANONYMOUS_OFF_ERROR="provider_not_enabled")
    said = "provider_not_enabled" if method is Method.ANONYMOUS else "login_type_disabled"
    assert outcome(sign_in(bed, method)) == said


@pytest.mark.parametrize(
    ("path", "said"), [("both", ["ok", "ok"]), ("token", ["ok", "unimplemented"]), ("own", ["unimplemented", "ok"])]
)
def test_where_cloud_keys_are_taken(bed: Bed, path: str, said: list[str]) -> None:
    bed.set(CREDENTIALS_PATH=path)
    assert [outcome(bed.credentials(TOKEN)), outcome(bed.credentials(f"{TOKEN}/clientCredential"))] == said


def test_the_life_of_an_administrators_token(bed: Bed) -> None:
    bed.set(CREDENTIALS_TTL_S=7200)
    assert bed.credentials().json["expires_in"] == 7200


def test_a_client_may_have_to_say_who_it_is(bed: Bed) -> None:
    assert outcome(bed.signin()) == "ok"
    bed.set(CLIENT_ID_REQUIRED=True)
    assert outcome(bed.signin()) == "invalid_argument"
    assert outcome(bed.signin(client_id="sandbox-env")) == "ok"


@pytest.mark.parametrize(("required", "said"), [(True, "invalid_argument"), (False, "ok")])
def test_json_may_have_to_be_called_so(bed: Bed, required: bool, said: str) -> None:
    bed.set(JSON_REQUIRED=required)
    assert outcome(bed.post(f"{V1}/signin", b'{"username": "ann", "password": "right"}')) == said
