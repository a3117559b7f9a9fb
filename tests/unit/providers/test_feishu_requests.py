"""What leaves for the platform, byte for byte, and what does not leave at all."""

import base64
import hashlib
import json
import urllib.parse
from typing import Any

import pytest

from freshd.core.model import Binding, Grant, Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed
from freshd.errors import FreshdError
from freshd.providers.http import Call
from tests.unit.providers.feishu_parts import LEASE, OLD, RECORD, app, intent, provider
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
APP_TOKEN = reply({"code": 0, "msg": "ok", "app_access_token": "a-APP-1", "tenant_access_token": "t-1", "expire": 9})
MATERIAL = {
    "code": "C-1",
    "state": "st",
    "expected_state": "st",
    "redirect_uri": "http://127.0.0.1:1/",
    "code_verifier": "v",
}


async def sent(
    rung: str, *answers: Performed, record: Record = RECORD, material: dict[str, str] | None = None, **keys: Any
) -> list[Call]:
    http = FakeHttp(*answers)
    made = provider(http, **keys)
    await made.prepare(rung, record)
    await made.perform(rung, record, intent(rung, **(material or {})))
    return http.calls


def body(call: Call) -> object:
    return json.loads(call.body or b"")


@pytest.mark.parametrize("generation", ["v3", "v2"])
async def test_a_refresh_presents_the_token_with_the_apps_secret_in_the_body_and_no_scope(generation: str) -> None:
    [call] = await sent("refresh", generation=generation, scope="im:chat offline_access")
    assert (call.method, call.headers) == ("POST", {"Content-Type": JSON})
    assert call.body == (
        b'{"grant_type": "refresh_token", "refresh_token": "ur-RT-0001",'
        b' "client_id": "cli_a1", "client_secret": "S3cret+app"}'
    )


async def test_one_of_the_older_generation_goes_to_its_own_endpoint_under_a_fresh_app_token() -> None:
    first, second = await sent("refresh-v1", APP_TOKEN)
    assert first.url == "https://open.feishu.cn/open-apis/auth/v3/app_access_token/internal"
    assert first.body == b'{"app_id": "cli_a1", "app_secret": "S3cret+app"}'
    assert second.url == "https://open.feishu.cn/open-apis/authen/v1/oidc/refresh_access_token"
    assert second.headers == {"Content-Type": JSON, "Authorization": "Bearer a-APP-1"}
    assert second.body == b'{"grant_type": "refresh_token", "refresh_token": "ur-V1-0001"}'


async def test_a_code_goes_with_its_verifier_and_its_redirect() -> None:
    [call] = await sent("authorize", material=MATERIAL)
    assert call.url == "https://accounts.feishu.cn/oauth/v3/token"
    assert call.headers == {"Content-Type": JSON}
    assert body(call) == {
        "grant_type": "authorization_code", "code": "C-1", "redirect_uri": "http://127.0.0.1:1/", "code_verifier": "v",
        "client_id": "cli_a1", "client_secret": "S3cret+app",
    }  # fmt: skip


async def test_a_device_is_polled_at_the_token_endpoint() -> None:
    [call] = await sent("device", material={"device_code": "D-1", "interval": "5"})
    assert body(call) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "D-1",
        "client_id": "cli_a1", "client_secret": "S3cret+app",
    }  # fmt: skip


APP_BODIES = [
    ({}, b'{"app_id": "cli_a1", "app_secret": "S3cret+app"}'),
    ({"token": "app"}, b'{"app_id": "cli_a1", "app_secret": "S3cret+app"}'),
    ({"form": "oauth"}, b'{"grant_type": "client_credentials", "client_id": "cli_a1", "client_secret": "S3cret+app"}'),
]


@pytest.mark.parametrize(("keys", "expected"), APP_BODIES)
async def test_an_apps_token_is_asked_for_with_one_proof(keys: dict[str, Any], expected: bytes) -> None:
    http = FakeHttp()
    made = app(http, **keys)
    await made.prepare("issue", Record("a"))
    await made.perform("issue", Record("a"), intent("issue"))
    [call] = http.calls
    assert (call.body, call.headers) == (expected, {"Content-Type": JSON})


@pytest.mark.parametrize("rung", ["refresh", "refresh-v1", "authorize", "device"])
async def test_nothing_is_sent_unprepared_and_a_preparation_counts_once(rung: str) -> None:
    http = FakeHttp(APP_TOKEN)
    made = provider(http)
    material = {**MATERIAL, "device_code": "D-1"}
    assert isinstance(await made.perform(rung, RECORD, intent(rung, **material)), NotSent)
    await made.prepare(rung, RECORD)
    await made.perform(rung, RECORD, intent(rung, **material))
    before = len(http.calls)
    assert isinstance(await made.perform(rung, RECORD, intent(rung, **material)), NotSent)
    assert len(http.calls) == before


@pytest.mark.parametrize("rung", ["refresh", "refresh-v1"])
@pytest.mark.parametrize(
    "record",
    [
        Record("a"),
        Record("a", 1, Grant("line", OLD.binding, {}, SENT, SENT)),
        Record(
            "a", 1, Grant("line", Binding("feishu", "https://open.larksuite.com", "cli_a1"), OLD.secrets, SENT, SENT)
        ),
        Record("a", 1, Grant("line", Binding("feishu", "https://open.feishu.cn", "cli_b2"), OLD.secrets, SENT, SENT)),
    ],
)
async def test_a_secret_that_is_absent_or_belongs_elsewhere_is_not_sent(rung: str, record: Record) -> None:
    calls = await sent(rung, APP_TOKEN, record=record)
    assert all(call.url.endswith("app_access_token/internal") for call in calls)


@pytest.mark.parametrize(
    "forged", [{"state": "other"}, {"error": "access_denied"}, {"code": None}, {"expected_state": None}]
)
async def test_a_forged_redirect_sends_nothing(forged: dict[str, Any]) -> None:
    material = {name: value for name, value in {**MATERIAL, **forged}.items() if value is not None}
    assert await sent("authorize", material=material) == []


REFUSED_APP = [
    (reply({"code": 10014, "msg": "c4nary"}), "the service said 10014 (status 200)"),
    (reply(b"<html>c4nary", 502), "not a JSON object (status 502)"),
    (reply({"code": 0, "app_access_token": ""}), "the service said 0 (status 200)"),
    (NotSent("cannot connect"), "cannot connect"),
    (Lost("the connection was closed"), "the connection was closed"),
]


@pytest.mark.parametrize(("answer", "why"), REFUSED_APP)
async def test_without_an_app_token_nothing_is_presented_and_the_service_is_left_alone_for_a_minute(
    answer: Performed, why: str
) -> None:
    http, clock = FakeHttp(answer, APP_TOKEN), Clock()
    made = provider(http, clock)
    for _ in range(5):
        with pytest.raises(FreshdError) as error:
            await made.prepare("refresh-v1", RECORD)
        assert error.value.cause == f"there is no app token to renew with: {why}"
        assert isinstance(await made.perform("refresh-v1", RECORD, intent("refresh-v1")), NotSent)
    assert len(http.calls) == 1
    clock.pass_by(61)
    await made.prepare("refresh-v1", RECORD)
    assert len(http.calls) == 2


async def test_a_browser_is_sent_with_s256_a_state_and_every_scope() -> None:
    asked = await provider(brand="lark", scope="im:chat  offline_access").ask("code", "http://127.0.0.1:7/x", RECORD)
    parts = urllib.parse.urlsplit(asked.url)
    query = dict(urllib.parse.parse_qsl(parts.query, strict_parsing=True))
    verifier = asked.material["code_verifier"].reveal()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert (
        f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://accounts.larksuite.com/open-apis/authen/v1/authorize"
    )
    assert query == {
        "client_id": "cli_a1", "response_type": "code", "redirect_uri": "http://127.0.0.1:7/x",
        "scope": "im:chat offline_access", "state": asked.material["expected_state"].reveal(),
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    assert 43 <= len(verifier) <= 128
    assert verifier not in asked.url
    assert asked.rung == "authorize"


async def test_the_redirect_on_the_apps_list_wins_and_there_must_be_one() -> None:
    asked = await provider(redirect_uri="http://127.0.0.1:9/cb").ask("auto", "http://127.0.0.1:7/", RECORD)
    assert asked.material["redirect_uri"] == Secret("http://127.0.0.1:9/cb")
    with pytest.raises(FreshdError):
        await provider().ask("code", None, RECORD)
    with pytest.raises(FreshdError):
        await provider(flows=["device"]).ask("code", "http://127.0.0.1:7/", RECORD)


DEVICE = {"device_code": "D-1", "user_code": "AB-CD", "verification_uri": "https://accounts.feishu.cn/device"}


@pytest.mark.parametrize(
    ("more", "interval", "life"), [({}, 5.0, 240.0), ({"interval": 7, "expires_in": 99}, 7.0, 99.0)]
)
async def test_a_device_is_announced_under_http_basic_with_a_form(
    more: dict[str, Any], interval: float, life: float
) -> None:
    http = FakeHttp(reply({**DEVICE, **more}))
    asked = await provider(http, flows=["device"], scope="im:chat offline_access").ask("auto", None, RECORD)
    [call] = http.calls
    assert call.url == "https://accounts.feishu.cn/oauth/v1/device_authorization"
    assert call.headers == {
        "Content-Type": FORM,
        "Authorization": "Basic " + base64.b64encode(b"cli_a1:S3cret%2Bapp").decode(),
    }
    assert call.body == b"client_id=cli_a1&scope=im%3Achat+offline_access"
    assert (asked.user_code, asked.interval, asked.expires_in, asked.rung) == ("AB-CD", interval, life, "device")


@pytest.mark.parametrize(
    "answer",
    [
        NotSent("x"),
        Lost("x"),
        reply(b"<html>", 502),
        reply({"error": "c4nary"}, 400),
        reply({**DEVICE, "user_code": ""}),
    ],
)
async def test_a_device_that_cannot_be_announced_is_told_without_a_word_of_the_reply(answer: Performed) -> None:
    with pytest.raises(FreshdError) as error:
        await provider(FakeHttp(answer)).ask("device", None, RECORD)
    assert "c4nary" not in str(error.value.diagnostics())


async def test_revoking_names_the_newer_tokens_and_never_one_of_the_older_generation() -> None:
    http = FakeHttp(reply(b"", 200), reply({"code": 0}, 200))
    assert await provider(http).revoke(RECORD) == "revoked: refresh_token, access_token"
    first, second = http.calls
    assert first.url == "https://accounts.feishu.cn/oauth/v1/revoke"
    assert first.headers == {"Content-Type": FORM}
    proof = b"client_id=cli_a1&client_secret=S3cret%2Bapp"
    assert first.body == proof + b"&token=ur-RT-0001&token_type_hint=refresh_token"
    assert second.body == proof + b"&token=u-AT-0001&token_type_hint=access_token"


async def test_there_may_be_nothing_to_revoke() -> None:
    older = Record("a", 1, Grant("line", OLD.binding, {"refresh_token_v1": Secret("ur-V1")}, SENT, SENT))
    http = FakeHttp()
    assert await provider(http).revoke(older) == "there was nothing to revoke"
    assert "end by themselves" in await app(http).revoke(Record("a", 1, None, LEASE))
    assert http.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        reply({"code": 20002, "msg": "c4nary"}),
        reply(b"", 400),
        reply(b"<html>"),
        NotSent("x"),
        reply({"error": "c4nary"}),
    ],
)
async def test_a_revocation_that_failed_is_told(answer: Performed) -> None:
    with pytest.raises(FreshdError) as error:
        await provider(FakeHttp(answer)).revoke(RECORD)
    assert "did not revoke the refresh_token" in error.value.cause


PROBES = [
    (reply({"code": 0, "msg": "ok", "data": {"open_id": "ou_1"}}), True),
    (reply({"code": "0"}), True),
    (reply({"code": 99991668}, 401), False),
    (reply({"code": "99991677"}, 400), False),
    (reply({"code": 99991663}, 200), False),
    (reply({"code": 99991679}, 400), None),
    (reply({"code": 99991400}, 429), None),
    (reply({"code": 20008}), None),
    (reply({}, 401), None),
    (reply(b"<html>", 401), None),
    (reply({"code": 0}, 502), None),
    (Lost("x"), None),
]


@pytest.mark.parametrize(("answer", "expected"), PROBES)
async def test_a_probe_asks_with_the_token_in_hand_and_believes_the_service_only(
    answer: Performed, expected: bool | None
) -> None:
    http = FakeHttp(answer)
    assert await provider(http).probe(LEASE) is expected
    [call] = http.calls
    assert (call.method, call.url) == ("GET", "https://open.feishu.cn/open-apis/authen/v1/user_info")
    assert call.headers == {"Authorization": "Bearer u-AT-0001"}
    assert await app(http).probe(LEASE) is None


DEAD = [(400, "99991663"), (400, "99991664"), (400, "99991668"), (401, " 99991677 "), (401, None), (401, "12345"),
        (None, "99991668")]  # fmt: skip
ALIVE = [(401, code) for code in ("99991661", "99991671", "99991672", "99991676", "99991679", "99991543", "99991662",
                                  "99991673", "99991400")]  # fmt: skip


def test_only_a_refusal_of_the_token_itself_is_worth_a_renewal() -> None:
    for made in (provider(), app()):
        assert all(made.is_dead(*refusal) for refusal in DEAD)
        assert not any(
            made.is_dead(*refusal) for refusal in [*ALIVE, (403, None), (400, None), (None, None), (429, None)]
        )


def test_no_secret_is_seen_in_a_request() -> None:
    call = Call("POST", "https://x", {"Authorization": "Bearer c4nary"}, b"c4nary")
    assert "c4nary" not in repr(call)
