"""What leaves for the service, byte for byte: fields, form, place, signature; and when it does not leave."""

from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.errors import FreshdError, LeaseRefused, NotPossible
from freshd.ports import Asked, Operated, Provider, Succeeding
from freshd.providers.geniusauth.provider import GeniusAuth
from freshd.providers.geniusauth.signature import signature
from freshd.providers.http import Call
from tests.unit.providers.feishu_parts import SECRET
from tests.unit.providers.geniusauth_parts import (
    ACCESS,
    APP,
    DAY,
    LEASE,
    RECORD,
    REFRESH,
    WITH_PAYLOAD,
    body,
    form,
    intent,
    jwt,
    no,
    ok,
    provider,
    query,
    record,
)
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

BASE = "https://v.ncuos.com/api/v1"
SECRET_TEXT = "S3cret+app"
PROOF = {"appCode", "timeStamp", "signature"}
EMPTY = Record("a")


def dated(body: object, ahead: float, status: int = 200) -> Reply:
    return reply(body, status, {"Date": formatdate(SENT.wall + ahead, usegmt=True)})


async def performed(of: GeniusAuth, rung: str, record: Record = RECORD, **material: str) -> Performed:
    prepared = await of.prepare(rung, record)
    made = intent(rung, **material)
    return await of.perform(rung, record, replace(made, material={**prepared, **made.material}))


async def sent(rung: str, record: Record = RECORD, material: Mapping[str, str] | None = None, **keys: Any) -> Call:
    http = FakeHttp(ok(access_token=ACCESS))
    await performed(provider(http, **keys), rung, record, **(material or {}))
    [call] = http.calls
    return call


def is_signed(fields: Mapping[str, Any]) -> bool:
    return fields["signature"] == signature(fields, SECRET_TEXT) and type(fields["timeStamp"]) is int


# -- in the form of the service's program -----------------------------------------------------------------------------


async def test_a_renewal_is_signed_json_to_the_address_with_the_slash() -> None:
    call = await sent("refresh")
    assert (call.method, call.url) == ("POST", f"{BASE}/app/token/refresh/")
    assert call.headers == {"Content-Type": "application/json"}
    assert body(call) == {**body(call), "token": REFRESH, "appCode": APP, "timeStamp": SENT.wall}
    assert set(body(call)) == {"token", *PROOF}
    assert is_signed(body(call))


async def test_a_login_asks_for_a_refresh_token_of_the_greatest_life() -> None:
    call = await sent("login", EMPTY, {"code": "login.tok.en"})
    assert (call.method, call.url) == ("POST", f"{BASE}/public/login/verify")
    told = {"token": "login.tok.en", "grantType": "refresh_token", "valid": 2_592_000}
    assert {name: value for name, value in body(call).items() if name not in PROOF} == told
    assert is_signed(body(call))


async def test_what_is_set_goes_along_with_a_login_and_what_is_not_does_not() -> None:
    keys = {"payload": "门-01 a=b&c", "client_ip": "192.0.2.1", "valid": 604_800}
    told = body(await sent("login", EMPTY, {"code": "t"}, **keys))
    assert (told["payload"], told["clientIp"], told["valid"]) == ("门-01 a=b&c", "192.0.2.1", 604_800)
    assert is_signed(told)
    assert None not in told.values()


async def test_another_payload_is_written_and_an_access_token_asked_for_at_once() -> None:
    call = await sent("payload", material={"payload": "tenant-b"})
    assert (call.method, call.url) == ("PATCH", f"{BASE}/app/token/refresh/")
    told = {name: value for name, value in body(call).items() if name not in PROOF}
    assert told == {"token": REFRESH, "payload": "tenant-b", "accessToken": True}
    assert is_signed(body(call))


async def test_the_way_round_writes_the_payload_that_is_there() -> None:
    call = await sent("patch", record(WITH_PAYLOAD), patch_fallback=True)
    assert (call.method, body(call)["payload"], body(call)["accessToken"]) == ("PATCH", "tenant-a", True)


async def test_what_ends_a_login_stands_in_the_address_and_in_no_text() -> None:
    http = FakeHttp(reply({"code": 0}))
    assert (await provider(http).revoke(RECORD)).startswith("revoked: ")
    [call] = http.calls
    assert (call.method, call.body) == ("DELETE", None)
    assert call.url.startswith(f"{BASE}/app/token/refresh/?")
    told = query(call)
    assert set(told) == {"token", *PROOF}
    assert told["signature"] == signature({**told, "timeStamp": int(told["timeStamp"])}, SECRET_TEXT)
    assert REFRESH not in repr(call)


async def test_an_odd_server_may_get_it_in_the_body() -> None:
    http = FakeHttp(reply({"code": 0}))
    await provider(http, delete_in_body=True).revoke(RECORD)
    [call] = http.calls
    assert call.url == f"{BASE}/app/token/refresh/"
    assert is_signed(body(call))


async def test_a_place_of_ones_own_is_used_for_all_of_it() -> None:
    call = await sent("login", EMPTY, {"code": "t"}, base_url="http://127.0.0.1:9/x/")
    assert call.url == "http://127.0.0.1:9/x/api/v1/public/login/verify"


# -- in the form of the service's page --------------------------------------------------------------------------------

WIKI: dict[str, Any] = {"dialect": "wiki", "app_secret": None}


@pytest.mark.parametrize(
    ("rung", "told"),
    [
        ("refresh", {"token": WITH_PAYLOAD}),
        ("login", {"token": "t", "grantType": "refresh_token", "valid": "2592000", "payload": "p"}),
        ("payload", {"token": WITH_PAYLOAD, "payload": "q", "accessToken": "true"}),
        ("patch", {"token": WITH_PAYLOAD, "payload": "tenant-a", "accessToken": "true"}),
    ],
)
async def test_the_page_has_forms_without_a_signature(rung: str, told: dict[str, str]) -> None:
    held = EMPTY if rung == "login" else record(WITH_PAYLOAD)
    material = {"login": {"code": "t"}, "payload": {"payload": "q"}}.get(rung)
    call = await sent(rung, held, material, payload="p", patch_fallback=True, **WIKI)
    assert call.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert form(call) == told


async def test_the_page_ends_a_login_by_a_form_too() -> None:
    http = FakeHttp(reply({"code": 0}))
    await provider(http, **WIKI).revoke(RECORD)
    [call] = http.calls
    assert (call.method, call.url, form(call)) == ("DELETE", f"{BASE}/app/token/refresh/", {"token": REFRESH})


async def test_the_page_knows_no_harmless_signed_call() -> None:
    http = FakeHttp()
    asked = await provider(http, **WIKI).ask("auto", None, EMPTY)
    assert "signed" not in asked.material
    assert await provider(http, **WIKI).examine(EMPTY) == []
    assert http.calls == []


# -- what does not leave ----------------------------------------------------------------------------------------------

FOREIGN: list[tuple[str, Record, dict[str, str]]] = [
    ("refresh", EMPTY, {}),
    ("refresh", record(jwt(appCode="another")), {}),
    ("payload", record(jwt(appCode="another")), {"payload": "p"}),
    ("payload", EMPTY, {"payload": "p"}),
    ("patch", RECORD, {}),
    ("login", EMPTY, {}),
    ("login", EMPTY, {"code": ""}),
    ("login", EMPTY, {"code": "two words"}),
    ("login", EMPTY, {"code": "http://127.0.0.1/back?other=1"}),
    ("login", EMPTY, {"code": "http://[::1/back?token=t"}),
    ("login", EMPTY, {"code": "http://127.0.0.1/back?token=a&token=b"}),
    ("elsewhere", RECORD, {}),
]


@pytest.mark.parametrize(("rung", "of", "material"), FOREIGN)
async def test_what_cannot_be_meant_is_not_sent(rung: str, of: Record, material: dict[str, str]) -> None:
    http = FakeHttp(ok(access_token=ACCESS))
    assert isinstance(await performed(provider(http), rung, of, **material), NotSent)
    assert http.calls == []


@pytest.mark.parametrize("keys", [{"app_code": "another"}, {"base_url": "https://v.ncuhome.club"}, {"subject": "9"}])
async def test_a_grant_of_elsewhere_is_not_sent(keys: dict[str, Any]) -> None:
    http = FakeHttp()
    assert isinstance(await performed(provider(http, **keys), "refresh"), NotSent)
    with pytest.raises(NotPossible):
        await provider(http, **keys).revoke(RECORD)
    assert http.calls == []


async def test_without_preparation_nothing_is_sent() -> None:
    http = FakeHttp()
    assert isinstance(await provider(http).perform("refresh", RECORD, intent()), NotSent)


async def test_a_secret_that_cannot_be_had_is_told_before_the_intent() -> None:
    with pytest.raises(FreshdError):
        await provider(app_secret=replace(SECRET, where=("/other",))).prepare("refresh", RECORD)


@pytest.mark.parametrize("brought", ["t.o.k", " t.o.k\n", "http://127.0.0.1:8714/back?token=t.o.k&x=1", "?token=t.o.k"])
async def test_a_login_token_may_come_by_itself_or_in_its_address(brought: str) -> None:
    assert body(await sent("login", EMPTY, {"code": brought}))["token"] == "t.o.k"


async def test_a_lost_answer_to_a_login_says_what_it_leaves_behind() -> None:
    found = await performed(provider(FakeHttp(Lost("the connection was closed"))), "login", EMPTY, code="t")
    assert isinstance(found, Lost)
    assert "used up" in found.reason
    assert await performed(provider(FakeHttp(Lost("gone"))), "refresh") == Lost("gone")


async def test_one_call_is_made_whatever_comes_of_it() -> None:
    for answer in (no(9, 403), no(31, 403), no(8, 500), Lost("gone"), reply(b"", 307, {"Location": "/x"})):
        http = FakeHttp(answer, ok(access_token=ACCESS))
        await performed(provider(http), "refresh")
        assert len(http.calls) == 1


# -- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "shift"), [(-360, -360), (11, 11), (1, 0)])
async def test_the_refusal_of_a_time_stamp_teaches_the_time_for_the_next_call(ahead: float, shift: float) -> None:
    http = FakeHttp(dated({"code": 9}, ahead, 403), ok(access_token=ACCESS))
    account = provider(http)
    await performed(account, "refresh")
    await performed(account, "refresh")
    assert [body(call)["timeStamp"] - SENT.wall for call in http.calls] == [0, shift]
    assert all(is_signed(body(call)) for call in http.calls)


async def test_a_page_of_something_in_between_teaches_no_time() -> None:
    http = FakeHttp(dated({"login": "here"}, 999), reply(b"<html>", 200, {"Date": formatdate(0, usegmt=True)}))
    account = provider(http)
    for _ in range(3):
        await performed(account, "refresh")
    assert {body(call)["timeStamp"] for call in http.calls} == {SENT.wall}


# -- asking a person --------------------------------------------------------------------------------------------------

UNGUESSABLE = "http://127.0.0.1:8714/2Qm7yXo1v0Jc5Zk8Rb3TtA/callback"
PLAIN = "http://127.0.0.1:8714/callback"
FINE = ok(jwt="x", ca="y")


async def asked(*answers: Performed, flow: str = "auto", of: Record = EMPTY, **keys: Any) -> Asked:
    return await provider(FakeHttp(*(answers or (FINE,))), **keys).ask(flow, "http://127.0.0.1:1/", of)


async def test_a_person_is_sent_to_the_login_page_of_the_application() -> None:
    found = await asked(app_code="front desk&x")
    assert found.url == "https://v.ncuos.com/?appCode=front+desk%26x"
    assert (found.rung, found.material) == ("login", {"signed": Secret("yes")})
    assert found.prompt is not None


LISTENED: list[tuple[str | None, Record, dict[str, str], bool]] = [
    (None, RECORD, {}, False),
    (PLAIN, EMPTY, {}, False),
    (UNGUESSABLE, EMPTY, {}, True),
    (PLAIN, EMPTY, {"subject": "8"}, True),
    (PLAIN, RECORD, {}, True),
    (PLAIN, record(subject=None), {}, False),
    ("https://app.example/2Qm7yXo1v0Jc5Zk8Rb3TtA/back", RECORD, {}, False),
    ("https://127.0.0.1/back", RECORD, {}, False),
]


@pytest.mark.parametrize(("callback", "of", "keys", "listens"), LISTENED)
async def test_a_listener_is_used_only_where_a_strangers_login_can_do_no_harm(
    callback: str | None, of: Record, keys: dict[str, str], listens: bool
) -> None:
    found = await asked(of=of, callback=callback, **keys)
    assert ("redirect_uri" in found.material) is listens
    assert (found.prompt is None) is listens
    pasted = await asked(of=of, callback=callback, flow="code", **keys)
    assert pasted.prompt is not None


async def test_there_is_no_device_flow() -> None:
    with pytest.raises(NotPossible):
        await asked(flow="device")


REFUSED: list[tuple[tuple[Performed, ...], str]] = [
    ((no(3, 404),), "app_code"),
    ((no(6, 401),), "app_secret"),
    ((no(9, 403), no(9, 403)), "timedatectl"),
    ((Lost("gone"),), "network"),
    ((NotSent("the host name cannot be resolved"),), "network"),
]


@pytest.mark.parametrize(("answers", "remedy"), REFUSED)
async def test_what_would_cost_a_persons_login_is_told_before_it(answers: tuple[Performed, ...], remedy: str) -> None:
    with pytest.raises(NotPossible) as caught:
        await asked(*answers)
    assert remedy in caught.value.remedy
    assert "c4nary" not in str(caught.value)


async def test_a_server_without_that_call_may_be_logged_in_at_all_the_same() -> None:
    assert "signed" not in (await asked(reply(b"404 page not found", 404))).material


async def test_the_harmless_call_is_signed_anew_once() -> None:
    http = FakeHttp(dated({"code": 9}, 400, 403), FINE)
    assert "signed" in (await provider(http).ask("auto", None, EMPTY)).material
    first, second = (query(call) for call in http.calls)
    assert int(second["timeStamp"]) - int(first["timeStamp"]) == 400
    assert {call.url.partition("?")[0] for call in http.calls} == {f"{BASE}/app/keypair/server"}


# -- operators' calls -------------------------------------------------------------------------------------------------


async def told(http: FakeHttp, operation: str, of: Record = RECORD, **given: str) -> object:
    sealed = {name: Secret(value) for name, value in given.items()}
    return await provider(http).operate(operation, sealed, of)


def test_it_is_what_it_says() -> None:
    assert isinstance(provider(), Operated)
    assert isinstance(provider(), Succeeding)
    account: Provider = provider()
    assert set(account.operations) == {"verify", "whoami", "payload"}  # type: ignore[attr-defined]


async def test_verify_tells_whose_the_token_is_and_what_it_carries() -> None:
    http = FakeHttp(ok(uid=8, payload="tenant-a"))
    assert await told(http, "verify") == {"uid": "8", "payload": "tenant-a"}
    [call] = http.calls
    assert (call.method, call.url, body(call)["token"]) == ("POST", f"{BASE}/app/token/access/verify", ACCESS)
    assert is_signed(body(call))
    assert await told(FakeHttp(ok(uid=8)), "verify") == {"uid": "8", "payload": ""}


async def test_whoami_tells_the_user() -> None:
    data: dict[str, Any] = {
        "userID": 8,
        "name": "Test User",
        "groups": ["ops", 7, ""],
        "avatarUrl": None,
        "token": "c4nary",
    }
    http = FakeHttp(ok(**data))
    facts = {"uid": "8", "name": "Test User", "groups": ["ops"], "avatar_url": None}
    assert await told(http, "whoami") == facts
    assert http.calls[0].url == f"{BASE}/app/token/access/user/info"
    assert await told(FakeHttp(ok()), "whoami") == {"uid": None, "name": None, "groups": [], "avatar_url": None}


@pytest.mark.parametrize("operation", ["verify", "whoami"])
async def test_a_refused_token_is_told_apart_from_every_other_no(operation: str) -> None:
    with pytest.raises(LeaseRefused):
        await told(FakeHttp(no(31, 403)), operation)
    with pytest.raises(LeaseRefused):
        await told(FakeHttp(), operation, replace(RECORD, lease=None))
    for answer in (no(6, 401), no(8, 500), Lost("gone"), reply(b"<html>c4nary", 502)):
        with pytest.raises(NotPossible) as caught:
            await told(FakeHttp(answer, answer), operation)
        assert "c4nary" not in str(caught.value)


async def test_another_payload_is_a_step_that_asks_nothing_of_anybody() -> None:
    found = await told(FakeHttp(FINE), "payload", payload="tenant-b")
    assert isinstance(found, Asked)
    assert (found.url, found.prompt, found.rung) == ("", None, "payload")
    assert found.material == {"payload": Secret("tenant-b"), "signed": Secret("yes")}


@pytest.mark.parametrize("payload", ["", "p" * 32, "p" * 33, "\ud800"])
async def test_a_payload_that_the_service_would_not_take_is_not_sent(payload: str) -> None:
    http = FakeHttp(FINE)
    with pytest.raises(NotPossible):
        await told(http, "payload", payload=payload)
    with pytest.raises(NotPossible):
        await told(http, "payload", value="x")
    with pytest.raises(NotPossible):
        await told(http, "payload", EMPTY, payload="x")
    assert http.calls == []


async def test_another_payload_waits_for_a_good_signature() -> None:
    with pytest.raises(NotPossible):
        await told(FakeHttp(no(6, 401)), "payload", payload="x")


async def test_there_are_no_other_calls() -> None:
    with pytest.raises(NotPossible):
        await told(FakeHttp(), "drop")


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [reply({"code": 0}), no(31, 403)])
async def test_a_login_that_is_gone_is_gone(answer: Performed) -> None:
    assert (await provider(FakeHttp(answer)).revoke(RECORD)).startswith("revoked: ")


@pytest.mark.parametrize("answer", [no(6, 401), no(8, 500), Lost("gone"), reply(b"", 307), reply({}, 200)])
async def test_a_login_that_may_still_stand_is_told(answer: Performed) -> None:
    with pytest.raises(NotPossible) as caught:
        await provider(FakeHttp(answer)).revoke(RECORD)
    assert REFRESH not in str(caught.value)


async def test_nothing_is_revoked_where_nothing_is_held() -> None:
    http = FakeHttp()
    assert await provider(http).revoke(EMPTY) == "there was nothing to revoke"
    assert http.calls == []


async def test_ending_a_login_is_signed_anew_once() -> None:
    http = FakeHttp(dated({"code": 9}, -400, 403), reply({"code": 0}))
    await provider(http).revoke(RECORD)
    assert [int(query(call)["timeStamp"]) - SENT.wall for call in http.calls] == [0, -400]


def grant(token: str) -> Grant:
    found = record(token).grant
    assert found is not None
    return found


OLD = grant(jwt(id=1))
RETIRED: list[tuple[Grant, Grant, bool]] = [
    (OLD, grant(jwt(id=2)), True),
    (OLD, grant(jwt(id=1, payload="p")), False),
    (OLD, OLD, False),
    (grant(jwt(id=1, ends=SENT.wall - 1)), grant(jwt(id=2)), False),
    (grant("opaque"), grant("opaque"), False),
]


@pytest.mark.parametrize(("old", "new", "ends"), RETIRED)
async def test_the_older_login_is_ended_only_where_it_is_another_one(old: Grant, new: Grant, ends: bool) -> None:
    http = FakeHttp(reply({"code": 0}))
    await provider(http).retire(old, new)
    assert len(http.calls) == ends
    if ends:
        assert query(http.calls[0])["token"] == old.secrets["refresh_token"].reveal()


@pytest.mark.parametrize("tokens", [("opaque", jwt(id=2)), (jwt(id=1), "opaque"), (jwt(id=None), jwt(id=2))])
async def test_a_login_that_cannot_be_told_from_the_newer_one_is_left_alone_and_told(tokens: tuple[str, str]) -> None:
    http = FakeHttp(reply({"code": 0}))
    with pytest.raises(NotPossible):
        await provider(http).retire(grant(tokens[0]), grant(tokens[1]))
    assert http.calls == []


# -- whether a token works --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "works"),
    [
        (ok(uid=8), True),
        (no(31, 403), False),
        (no(6, 401), None),
        (no(8, 500), None),
        (reply({}, 200), None),
        (Lost("gone"), None),
        (reply(b"", 403), None),
    ],
)
async def test_a_probe_tells_only_what_the_service_says_of_the_token(answer: Performed, works: bool | None) -> None:
    assert await provider(FakeHttp(answer)).probe(LEASE) is works


async def test_a_clock_far_off_is_no_reason_to_doubt_a_token() -> None:
    clock = Clock()
    clock.pass_by(10 * DAY)
    http = FakeHttp(dated({"code": 9}, 0, 403), ok(uid=8))
    assert await provider(http, clock).probe(LEASE) is True
