"""What is sent, step by step, and what is not sent again."""

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freshd.core import ladder
from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed
from freshd.errors import FreshdError, NeedsConsent, NotPossible
from freshd.ports import Asked, Provider
from freshd.providers.cloudbase.flow import REST_SECONDS, Flow, Ticket, flow_of
from freshd.providers.cloudbase.ways import PasswordRefused
from freshd.providers.form import claims_of
from tests.unit.providers.cloudbase_parts import (
    BASE,
    CONTRACT,
    DEVICE,
    ENV,
    GOOD,
    LEASE,
    OLD,
    RECORD,
    WAYS,
    Vaultless,
    after,
    exchange,
    intent,
    jwt,
    made,
    ref,
    with_secrets,
    without_secret,
)
from tests.unit.providers.judged import change, grant, lease, rejected
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

EMPTY = Record("a", 0)
YES = reply(GOOD)
CAPTCHA = reply({"error": "captcha_required", "error_code": 4001}, 400)
GIF = b"GIF89a" + bytes(40)
PICTURE = reply({"data": "data:image/gif;base64," + base64.b64encode(GIF).decode(), "type": "image", "token": "pic-1",
                 "expires_in": 300})  # fmt: skip
PASSED = reply({"captcha_token": "ct-FAKE-1", "expires_in": 300})
WRONG = reply({"error": "invalid_captcha", "error_code": 4001}, 400)


def query(http: FakeHttp, number: int = -1) -> dict[str, list[str]]:
    return parse_qs(urlsplit(http.calls[number].url).query)


def path(http: FakeHttp, number: int = -1) -> str:
    return urlsplit(http.calls[number].url).path


def said(asked: Asked, code: str) -> dict[str, Secret]:
    return {**asked.material, "code": Secret(code)}


# -- ladders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["custom", "password", "anonymous", "provider"])
def test_freshd_signs_in_by_itself_below_the_refresh(method: str) -> None:
    rungs = made(method).ladder
    assert [rung.name for rung in rungs][:3] == ["refresh", "renew", "signin"]
    signin = ladder.find(rungs, "signin")
    assert signin is not None
    assert signin.budgeted
    assert signin.ends_session
    assert not signin.is_free
    assert ladder.top(rungs, ()) == signin
    assert ladder.below(rungs, "refresh", {"refresh_token"}) == signin
    renew = ladder.top(rungs, {"sessionless"})
    assert renew is not None
    assert renew.name == "renew"


@pytest.mark.parametrize("marker", ["captcha", "pushed_out"])
def test_no_sign_in_of_its_own_while_a_person_must_look_and_a_live_session_goes_on(marker: str) -> None:
    rungs = made("custom").ladder
    assert ladder.top(rungs, {marker, "sessionless"}) is None
    top = ladder.top(rungs, {marker, "refresh_token"})
    assert top is not None
    assert top.name == "refresh"


@pytest.mark.parametrize("method", ["import", "sms", "email", "wechat", "qr"])
def test_what_needs_a_person_has_no_way_below_the_refresh(method: str) -> None:
    assert ladder.below(made(method).ladder, "refresh", {"refresh_token"}) is None


# -- refresh --------------------------------------------------------------------------------------------------------


async def test_a_refresh_is_sent_as_documented() -> None:
    http = FakeHttp(YES)
    await exchange(made(http=http), "refresh", RECORD)
    [call] = http.calls
    assert (call.method, path(http), query(http)) == ("POST", "/auth/v1/token", {"client_id": [ENV]})
    assert call.url.startswith(BASE)
    assert http.bodies == [
        {"grant_type": "refresh_token", "client_id": ENV, "client_secret": "", "refresh_token": "m.FAKE-r1"}
    ]
    assert call.headers["x-device-id"] == DEVICE
    assert len(call.headers["x-request-id"]) == 32
    assert call.headers["Accept-Language"] == "en-US"
    assert call.headers["User-Agent"].startswith("freshd/")
    assert "Authorization" not in call.headers


async def test_the_id_of_the_request_is_told_with_a_refusal_and_is_another_each_time() -> None:
    http = FakeHttp(*[reply({"error": "user_blocked"}, 403)] * 2)
    provider = made(http=http)
    details = [rejected(await exchange(provider, "refresh", RECORD)).detail for _ in range(2)]
    assert [call.headers["x-request-id"] in told for call, told in zip(http.calls, details, strict=True)] == [True] * 2
    assert details[0] != details[1]


@pytest.mark.parametrize(
    "record",
    [EMPTY, without_secret("refresh_token"), with_secrets(api_version="v2"),
     replace(RECORD, grant=replace(OLD, binding=replace(OLD.binding, client_id="x")))],
)  # fmt: skip
async def test_a_refresh_that_has_nothing_of_ours_to_present_sends_nothing(record: Record) -> None:
    http = FakeHttp(YES)
    provider = made(http=http)
    await provider.prepare("refresh", record)
    assert isinstance(await provider.perform("refresh", record, intent()), NotSent)
    assert http.calls == []


async def test_nothing_is_performed_that_was_not_prepared() -> None:
    for rung in ("refresh", "signin", "captcha", "captcha-check", "code-check", "signin-again", "else"):
        assert isinstance(await made().perform(rung, RECORD, intent(rung)), NotSent)


# -- sign-ins -------------------------------------------------------------------------------------------------------


async def test_a_custom_sign_in_sends_a_fresh_ticket_each_time() -> None:
    http, clock = FakeHttp(YES, YES), Clock()
    provider = made(http=http, clock=clock)
    await exchange(provider, "signin", EMPTY)
    clock.pass_by(60.0)
    judged = await exchange(provider, "signin", RECORD)
    first, second = http.bodies
    assert first.keys() == {"provider_id", "ticket"}
    assert (path(http), first["provider_id"]) == ("/auth/v1/signin/custom", "custom")
    ends = [claims_of(one["ticket"].partition("/@@/")[2])["exp"] for one in (first, second)]
    assert ends == [int(SENT.wall * 1000) + 600_000, int(SENT.wall * 1000) + 660_000]
    kept = repr({name: one.reveal() for name, one in grant(judged).secrets.items()})
    assert "/@@/" not in kept


async def test_the_device_is_drawn_once_and_kept_whatever_comes_of_the_first_sign_in() -> None:
    http = FakeHttp(reply({"error": "internal"}, 500), YES, YES)
    provider = made("anonymous", http=http)
    await exchange(provider, "signin", EMPTY)
    record = after(EMPTY, await exchange(provider, "signin", EMPTY))
    await exchange(made("anonymous", http=http), "refresh", replace(record, grant=replace(grant_in(record),
                   binding=made("anonymous").binding)))  # fmt: skip
    assert len({call.headers["x-device-id"] for call in http.calls}) == 1
    assert (path(http, 0), http.bodies[0]) == ("/auth/v1/signin/anonymously", {})


def grant_in(record: Record) -> Grant:
    assert record.grant is not None
    return record.grant


async def test_a_configured_device_is_for_new_sessions_and_an_old_one_keeps_its_own() -> None:
    http = FakeHttp(YES, YES)
    provider = made(http=http, device_id="configured-device-01")
    await exchange(provider, "refresh", RECORD)
    judged = await exchange(provider, "signin", RECORD)
    assert [call.headers["x-device-id"] for call in http.calls] == [DEVICE, "configured-device-01"]
    assert grant(judged).secrets["device_id"] == Secret("configured-device-01")


async def test_a_password_that_was_refused_is_never_presented_again_and_another_one_is() -> None:
    http = FakeHttp(reply({"error": "invalid_username_or_password"}, 400), YES)
    hidden = Vaultless()
    record = after(RECORD, await exchange(made("password", http, hidden=hidden), "signin", RECORD))
    for rung in ("signin", "signin-again"):
        with pytest.raises(PasswordRefused):
            await made("password", http, hidden=hidden).prepare(rung, record)
    assert len(http.calls) == 1
    assert "Fake-pass-1" not in repr(grant_in(record).secrets["refused_password"].reveal())
    hidden.values["password"] = "Fake-pass-2"
    judged = await exchange(made("password", http, hidden=hidden), "signin", record)
    assert http.bodies[-1] == {"username": "bot-0001", "password": "Fake-pass-2"}
    assert "refused_password" in change(judged).drop


async def test_a_providers_token_is_exchanged_first_and_creates_no_user() -> None:
    http = FakeHttp(reply({"provider_token": "pt-FAKE", "expires_in": 3600}), YES)
    await exchange(made("provider", http), "signin", EMPTY)
    assert [path(http, number) for number in (0, 1)] == ["/auth/v1/provider/token", "/auth/v1/signin/with/provider"]
    assert http.bodies == [
        {"provider_id": "corp", "provider_id_token": "up-FAKE-1"},
        {"provider_token": "pt-FAKE", "provider_id": "corp", "force_disable_sign_up": True},
    ]


async def test_a_providers_refusal_is_not_asked_for_again_for_some_minutes() -> None:
    clock = Clock()
    http = FakeHttp(reply({"error": "provider_error", "error_code": 4019}, 400), reply({"error": "x"}, 400))
    provider = made("provider", http, clock)
    for _ in range(3):
        with pytest.raises(NotPossible, match="provider_error"):
            await provider.prepare("signin", EMPTY)
    assert len(http.calls) == 1
    clock.pass_by(601.0)
    with pytest.raises(NotPossible):
        await provider.prepare("signin", EMPTY)
    assert len(http.calls) == 2


BAD_KEYS = ["", "{}", json.dumps({"private_key_id": "k", "private_key": "s3cret", "env_id": "other"}), "garbage s3cret"]


@pytest.mark.parametrize("text", BAD_KEYS)
async def test_a_bad_key_file_is_told_before_any_request(text: str) -> None:
    http = FakeHttp(YES)
    with pytest.raises(NotPossible) as caught:
        await made(http=http, hidden=Vaultless(key=text)).prepare("signin", EMPTY)
    assert "s3cret" not in caught.value.cause
    assert http.calls == []


def ticket(clock: Clock, **over: Any) -> str:
    return "k/@@/" + jwt(env=ENV, uid="bot-0001", exp=int(clock.now().wall * 1000) + 1000, **over)


async def test_a_ticket_of_a_command_is_sent_as_it_is_and_garbage_is_not() -> None:
    clock, http, hidden = Clock(), FakeHttp(YES), Vaultless()
    keys: dict[str, Any] = {"key_file": None, "ticket": ref("ticket")}
    hidden.values["ticket"] = ticket(clock) + "\r"
    await exchange(made("custom", http, clock, hidden, **keys), "signin", EMPTY)
    assert http.bodies[0]["ticket"] == ticket(clock)
    for garbage in ("", "Traceback …", ticket(clock) + "\n" + ticket(clock)):
        hidden.values["ticket"] = garbage
        with pytest.raises(NotPossible):
            await made("custom", http, clock, hidden, **keys).prepare("signin", EMPTY)
    del hidden.values["ticket"]
    with pytest.raises(FreshdError):
        await made("custom", http, clock, hidden, **keys).prepare("signin", EMPTY)
    assert len(http.calls) == 1


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_ticket_of_an_address_is_fetched_for_each_sign_in(wrapped: bool) -> None:
    clock = Clock()
    one = ticket(clock)
    given = reply({"ticket": one}) if wrapped else reply(one.encode() + b"\n")
    http = FakeHttp(given, YES)
    keys: dict[str, Any] = {
        "key_file": None,
        "ticket_url": "https://tickets.example/mint",
        "ticket_url_token": ref("api_key"),
    }
    await exchange(made("custom", http, clock, **keys), "signin", EMPTY)
    assert http.calls[0].headers["Authorization"] == "Bearer eyJ.fake.KEY"
    assert http.bodies[1]["ticket"] == one


@pytest.mark.parametrize("answer", [reply(b"<html>", 502), reply({"ticket": 7}), Lost("silence"), reply(b"\xff\xfe")])
async def test_an_address_that_brings_no_ticket_is_told(answer: Performed) -> None:
    keys: dict[str, Any] = {"key_file": None, "ticket_url": "https://tickets.example/mint"}
    with pytest.raises(NotPossible):
        await made("custom", FakeHttp(answer), **keys).prepare("signin", EMPTY)


# -- captcha: a picture ---------------------------------------------------------------------------------------------


async def asked_for(provider: Provider, record: Record, **wishes: bool) -> tuple[Asked, Record]:
    """What a person is asked, and the record with what is kept of it."""
    asked = await provider.ask("auto", None, record, **wishes)
    kept = grant_in(record) if record.grant else None
    if asked.keeps and kept is not None:
        record = replace(record, generation=record.generation + 1,
                         grant=replace(kept, secrets={**kept.secrets, **asked.keeps}))  # fmt: skip
    return asked, record


async def test_a_captcha_is_shown_answered_and_the_same_sign_in_goes_on() -> None:
    http = FakeHttp(CAPTCHA, PICTURE, PASSED, YES)
    provider = made("password", http)
    record = after(EMPTY, await exchange(provider, "signin", EMPTY))
    assert len(http.calls) == 1, "no challenge before somebody asks for it"
    asked, record = await asked_for(provider, record)
    assert (asked.rung, asked.picture, asked.url, asked.prompt) == (
        "captcha-check",
        GIF,
        "",
        "the characters in the picture",
    )
    assert asked.expires_in == 300
    record = after(record, await exchange(provider, asked.rung, record, **said(asked, " aB3x ")))
    assert http.bodies[2] == {"token": "pic-1", "key": "aB3x"}
    asked, record = await asked_for(provider, record)
    assert (asked.rung, asked.url, asked.prompt) == ("captcha", "", None)
    judged = await exchange(provider, asked.rung, record, **asked.material)
    assert query(http)["captcha_token"] == ["ct-FAKE-1"]
    assert "x-captcha-token" not in http.calls[-1].headers
    assert (path(http), http.bodies[-1]) == ("/auth/v1/signin", http.bodies[0])
    assert grant(judged).secrets.keys() == {"refresh_token", "device_id", "api_version"}
    assert "captcha" in change(judged).drop
    assert len(http.calls) == 4


async def test_the_state_of_a_challenge_cannot_be_guessed() -> None:
    http = FakeHttp(PICTURE, PICTURE)
    for _ in range(2):
        await made("password", http).ask("auto", None, with_secrets(captcha=Flow("signin").secret.reveal()))
    states = {body["state"] for body in http.bodies}
    assert len(states) == 2
    assert min(map(len, states)) * 6 >= 128


async def test_two_wrong_answers_are_two_challenges_and_then_ten_minutes_of_rest() -> None:
    clock = Clock()
    http = FakeHttp(CAPTCHA, PICTURE, WRONG, PICTURE, WRONG)
    provider = made("password", http, clock)
    record = after(EMPTY, await exchange(provider, "signin", EMPTY))
    for _ in range(2):
        asked, record = await asked_for(provider, record)
        record = after(record, await exchange(provider, asked.rung, record, **said(asked, "xxxx")))
    for name in (provider, made("password", http, clock)):
        with pytest.raises(NotPossible, match="wrongly twice"):
            await name.ask("auto", None, record)
    assert [path(http, number) for number in range(5)].count("/auth/v1/captcha/data") == 2
    clock.pass_by(601.0)
    http.answers.append(PICTURE)
    asked, record = await asked_for(provider, record)
    assert asked.picture == GIF
    assert flow_of(record) == Flow("signin")


@pytest.mark.parametrize("rung", ["captcha-check", "captcha"])
async def test_while_a_captcha_rests_no_answer_is_sent_whoever_was_asked_before(rung: str) -> None:
    clock, http = Clock(), FakeHttp()
    provider = made("password", http, clock)
    record = with_secrets(captcha=Flow("signin").refused(SENT).refused(SENT).secret.reveal())
    clock.pass_by(REST_SECONDS - 1.0)
    with pytest.raises(NotPossible, match="answered already"):
        await provider.prepare(rung, record)
    clock.pass_by(1.0)
    assert await provider.prepare(rung, record)
    assert http.calls == []


async def test_two_operators_get_one_challenge_and_the_second_answer_is_told_that_it_is_answered() -> None:
    http = FakeHttp(PICTURE, PASSED, YES)
    provider = made("password", http)
    record = with_secrets(without_secret("refresh_token"), captcha=Flow("signin").secret.reveal())
    first, record = await asked_for(provider, record)
    second, record = await asked_for(provider, record)
    assert (first.picture, first.material) == (second.picture, second.material)
    assert len(http.calls) == 1
    record = after(record, await exchange(provider, first.rung, record, **said(first, "good")))
    with pytest.raises(NotPossible, match="answered already"):
        await exchange(provider, second.rung, record, **said(second, "good"))
    asked, record = await asked_for(provider, record)
    record = after(record, await exchange(provider, asked.rung, record))
    with pytest.raises(NotPossible, match="answered already"):
        await exchange(provider, second.rung, record, **said(second, "good"))
    assert len(http.calls) == 3


async def test_an_answer_to_the_challenge_before_is_not_sent() -> None:
    http = FakeHttp(PICTURE, WRONG)
    provider = made("password", http)
    record = with_secrets(captcha=Flow("signin").secret.reveal())
    asked, record = await asked_for(provider, record)
    record = after(record, await exchange(provider, asked.rung, record, **said(asked, "bad")))
    meant = replace(intent(asked.rung), material=said(asked, "late"))
    await provider.prepare(asked.rung, record)
    assert await provider.perform(asked.rung, record, meant) == NotSent("another challenge is open by now")
    assert len(http.calls) == 2


async def test_a_challenge_that_is_over_is_replaced() -> None:
    clock, http = Clock(), FakeHttp(PICTURE, PICTURE)
    provider = made("password", http, clock)
    record = with_secrets(captcha=Flow("signin").secret.reveal())
    await provider.ask("auto", None, record)
    clock.pass_by(301.0)
    await provider.ask("auto", None, record)
    assert len(http.calls) == 2


async def test_a_token_that_is_over_is_not_presented() -> None:
    clock, http = Clock(), FakeHttp(PICTURE)
    flow = Flow("signin", 0, Ticket("ct-FAKE-1", SENT, 300.0))
    record, provider = with_secrets(captcha=flow.secret.reveal()), made("password", http, clock)
    clock.pass_by(291.0)
    asked = await provider.ask("auto", None, record)
    assert asked.rung == "captcha-check"
    prepared = await provider.prepare("captcha", record)
    meant = replace(intent("captcha", sent=clock.now()), material=prepared)
    assert isinstance(await provider.perform("captcha", record, meant), NotSent)


@pytest.mark.parametrize(("setting", "ways"), [("query-then-header", "qh"), ("query", "q"), ("header", "h")])
async def test_a_captchas_token_is_handed_over_as_configured(setting: str, ways: str) -> None:
    http = FakeHttp(*[CAPTCHA] * 3)
    flow = Flow("signin", 0, Ticket("ct-FAKE-1", SENT, 300.0))
    record = with_secrets(without_secret("refresh_token"), captcha=flow.secret.reveal())
    provider = made("password", http, captcha_token_in=setting)
    for _ in ways:
        asked, record = await asked_for(provider, record)
        assert asked.rung == "captcha"
        record = after(record, await exchange(provider, asked.rung, record))
    with pytest.raises(NotPossible, match="not taken"):
        await provider.ask("auto", None, record)
    seen = ["q" if "captcha_token" in query(http, number) else "h" for number in range(len(http.calls))]
    assert "".join(seen) == ways
    assert [call.headers.get("x-captcha-token") for call in http.calls] == [
        None if way == "q" else "ct-FAKE-1" for way in ways
    ]


async def test_the_first_session_goes_on_after_a_captcha_on_its_refresh() -> None:
    http = FakeHttp(CAPTCHA, PICTURE, PASSED, YES)
    provider = made("import", http)
    record = replace(RECORD, grant=replace(grant_in(RECORD), binding=provider.binding))
    record = after(record, await exchange(provider, "refresh", record))
    assert grant_in(record).secrets["refresh_token"] == Secret("m.FAKE-r1")
    asked, record = await asked_for(provider, record)
    record = after(record, await exchange(provider, asked.rung, record, **said(asked, "good")))
    with pytest.raises(NotPossible, match="passed") as caught:
        await provider.ask("auto", None, record)
    assert "freshd refresh" in caught.value.remedy
    judged = await exchange(provider, "refresh", record)
    assert query(http)["captcha_token"] == ["ct-FAKE-1"]
    assert "captcha" in change(judged).drop


# -- captcha: a page ------------------------------------------------------------------------------------------------

PAGE = reply({"url": "https://captcha.example/c?x=1", "expires_in": 600})


async def page(http: FakeHttp) -> tuple[Provider, Asked, Record]:
    provider = made("password", http, captcha="page")
    record = with_secrets(without_secret("refresh_token"), captcha=Flow("signin").secret.reveal())
    asked, record = await asked_for(provider, record)
    return provider, asked, record


async def test_a_page_is_opened_and_the_address_it_ends_at_goes_on_with_the_sign_in() -> None:
    http = FakeHttp(PAGE, YES)
    provider, asked, record = await page(http)
    assert (asked.url, asked.rung, asked.picture) == ("https://captcha.example/c?x=1", "captcha", None)
    assert asked.prompt is not None
    [body] = http.bodies
    state = body["state"]
    assert (path(http), body["redirect_uri"]) == ("/auth/v1/captcha/init", "http://127.0.0.1/captcha")
    assert http.calls[0].headers["Authorization"] == "Basic " + base64.b64encode(f"{ENV}:".encode()).decode()
    ended = f"http://127.0.0.1/captcha?state={state}&captcha_token=ct-FAKE-9&expires_in=600"
    await exchange(provider, asked.rung, record, **said(asked, ended))
    assert query(http)["captcha_token"] == ["ct-FAKE-9"]


TYPED = [
    ("http://127.0.0.1/captcha?state=other&captcha_token=ct-FAKE-9", "state differs"),
    ("http://127.0.0.1/captcha?captcha_token=ct-FAKE-9", "state differs"),
    ("http://127.0.0.1/captcha?state={state}", "no captcha_token"),
    ("http://127.0.0.1/captcha?state={state}&error=access_denied", "the page says access_denied"),
    ("http://127.0.0.1/captcha?state={state}&error=%3Cb%3E", "not passed"),
    ("http://[::1/captcha?state={state}", "state differs"),
    ("oops", "neither"),
    ("two words of garbage", "neither"),
]


@pytest.mark.parametrize(("typed", "told"), TYPED)
async def test_an_address_that_is_no_answer_to_this_challenge_is_not_sent(typed: str, told: str) -> None:
    http = FakeHttp(PAGE, YES)
    provider, asked, record = await page(http)
    typed = typed.replace("{state}", http.bodies[0]["state"])
    prepared = await provider.prepare(asked.rung, record)
    meant = replace(intent(asked.rung), material={**prepared, **said(asked, typed)})
    performed = await provider.perform(asked.rung, record, meant)
    assert isinstance(performed, NotSent)
    assert told in performed.reason
    assert len(http.calls) == 1


async def test_the_token_alone_may_be_typed_too() -> None:
    http = FakeHttp(PAGE, YES)
    provider, asked, record = await page(http)
    await exchange(provider, asked.rung, record, **said(asked, " ct-FAKE-8 "))
    assert query(http)["captcha_token"] == ["ct-FAKE-8"]


async def test_a_service_that_sees_no_need_of_a_check_gives_the_token_at_once() -> None:
    http = FakeHttp(reply({"captcha_token": "ct-FAKE-5", "expires_in": 600}), YES)
    provider, asked, record = await page(http)
    assert (asked.url, asked.prompt) == ("", None)
    await exchange(provider, asked.rung, record, **asked.material)
    assert query(http)["captcha_token"] == ["ct-FAKE-5"]


async def test_auto_takes_the_page_where_there_is_no_picture() -> None:
    http = FakeHttp(reply({"error": "unimplemented"}, 501), PAGE)
    asked = await made("password", http).ask("auto", None, with_secrets(captcha=Flow("signin").secret.reveal()))
    assert asked.url == "https://captcha.example/c?x=1"


NO_START: list[tuple[str, list[Any]]] = [
    ("auto", [reply({"error": "resource_exhausted"}, 429)]),
    ("auto", [Lost("silence")]),
    ("auto", [reply({"error": "unimplemented"}), reply({"error": "resource_exhausted"})]),
    ("image", [reply({"error": "unimplemented"})]),
    ("image", [reply({"token": "pic-1", "data": "data:text/html;base64,PGI+"})]),
    ("image", [reply({"token": "pic-1", "data": "data:image/gif;base64,%%%"})]),
    ("image", [reply({"data": "data:image/gif;base64,R0lGODlh"})]),
    ("image", [reply({"token": "pic-1", "data": 7})]),
    ("page", [reply({"url": "javascript:alert(1)"})]),
    ("page", [reply({"url": "http://captcha.example/"})]),
    ("page", [reply({"url": 7})]),
    ("page", [reply(b"<html>", 502)]),
]


@pytest.mark.parametrize(("variant", "answers"), NO_START)
async def test_a_challenge_that_does_not_start_is_told(variant: str, answers: list[Any]) -> None:
    http = FakeHttp(*answers)
    with pytest.raises(NotPossible, match="shows no captcha now"):
        await made("password", http, captcha=variant).ask("auto", None, with_secrets(captcha="{}"))
    assert len(http.calls) == len(answers)


# -- codes by SMS and e-mail ----------------------------------------------------------------------------------------

SENT_CODE = reply({"verification_id": "v-1", "expires_in": 600, "is_user": True})


async def test_a_person_signs_in_with_the_code_of_an_sms_after_agreeing_to_it() -> None:
    http = FakeHttp(SENT_CODE, reply({"error": "invalid_verification_code"}, 400),
                    reply({"verification_token": "vt-FAKE", "expires_in": 600}), YES)  # fmt: skip
    provider = made("sms", http)
    with pytest.raises(NeedsConsent, match=r"\+86 13\*\*\*\*00"):
        await provider.ask("auto", None, RECORD)
    assert http.calls == []
    asked = await provider.ask("auto", None, RECORD, consent=True)
    assert http.bodies == [{"phone_number": "+86 13800000000", "target": "USER"}]
    record = after(RECORD, await exchange(provider, asked.rung, RECORD, **said(asked, "111111")))
    asked = await provider.ask("auto", None, record)
    assert "1 wrong so far" in (asked.prompt or "")
    record = after(record, await exchange(provider, asked.rung, record, **said(asked, "123456")))
    assert http.bodies[-1] == {"verification_id": "v-1", "verification_code": "123456"}
    asked = await provider.ask("auto", None, record)
    assert (asked.rung, asked.prompt) == ("signin-code", None)
    judged = await exchange(provider, asked.rung, record)
    assert http.bodies[-1] == {"verification_token": "vt-FAKE", "username": "+86 13800000000"}
    assert grant(judged).lineage == "candidate"
    assert change(judged).drop >= {"verified", "wrong_codes"}
    assert len(http.calls) == 4


async def test_after_three_wrong_codes_another_one_needs_consent_again() -> None:
    http = FakeHttp(SENT_CODE, *[reply({"error": "invalid_argument"}, 400)] * 3)
    provider, record = made("sms", http), RECORD
    asked = await provider.ask("auto", None, record, consent=True)
    for _ in range(3):
        record = after(record, await exchange(provider, asked.rung, record, **said(asked, "1")))
    with pytest.raises(NeedsConsent):
        await provider.ask("auto", None, record)


async def test_an_e_mail_needs_no_consent_and_is_sent_once_while_its_code_lives() -> None:
    clock, http = Clock(), FakeHttp(SENT_CODE, SENT_CODE)
    provider = made("email", http, clock)
    for _ in range(2):
        assert "o…@corp.example" in ((await provider.ask("auto", None, RECORD)).prompt or "")
    assert len(http.calls) == 1
    clock.pass_by(601.0)
    await provider.ask("auto", None, RECORD)
    assert len(http.calls) == 2


async def test_a_captcha_before_the_code_comes_first_and_the_code_is_sent_with_its_token() -> None:
    http = FakeHttp(CAPTCHA, PICTURE, PASSED, SENT_CODE)
    provider = made("email", http)
    asked, record = await asked_for(provider, RECORD)
    assert (asked.rung, flow_of(record)) == ("captcha-check", Flow("verification"))
    record = after(record, await exchange(provider, asked.rung, record, **said(asked, "good")))
    asked, record = await asked_for(provider, record)
    assert asked.rung == "code-check"
    assert query(http)["captcha_token"] == ["ct-FAKE-1"]


@pytest.mark.parametrize("answer", [reply({"error": "resource_exhausted"}), reply({"is_user": True}), Lost("silence")])
async def test_a_code_that_is_not_sent_is_told(answer: Performed) -> None:
    with pytest.raises(NotPossible):
        await made("email", FakeHttp(answer)).ask("auto", None, RECORD)


async def test_a_code_that_is_none_is_not_sent() -> None:
    for typed in ("", "  ", "1" * 99):
        meant = replace(intent("code-check"), material={"verification_id": Secret("v-1"), "code": Secret(typed)})
        assert isinstance(await made("sms").perform("code-check", RECORD, meant), NotSent)


@pytest.mark.parametrize("method", ["import", "wechat", "qr"])
async def test_who_signs_in_elsewhere_is_told_to_import(method: str) -> None:
    with pytest.raises(NotPossible) as caught:
        await made(method).ask("auto", None, EMPTY)
    assert "--import" in caught.value.remedy


async def test_other_flows_are_none_of_this_kind() -> None:
    for method in WAYS:
        with pytest.raises(NotPossible):
            await made(method).ask("device", None, EMPTY)


async def test_a_person_may_order_a_sign_in_whoever_pushed_out_whom() -> None:
    http = FakeHttp(YES)
    provider = made(http=http)
    record = with_secrets(without_secret("refresh_token"), pushed_out="session-pushed-out")
    asked = await provider.ask("auto", None, record)
    assert (asked.rung, asked.url, asked.prompt) == ("signin-again", "", None)
    assert "pushed_out" in change(await exchange(provider, asked.rung, record)).drop


# -- keys of the server ---------------------------------------------------------------------------------------------

ISSUED = reply({"token_type": "Bearer", "access_token": "eyJ.fake.ADM", "expires_in": 432_000})


@pytest.mark.parametrize("where", ["/auth/v1/token/clientCredential", "/auth/v1/token"])
async def test_client_credentials_are_asked_for_under_basic_and_spend_nothing(where: str) -> None:
    http = FakeHttp(ISSUED)
    provider = made("client-credentials", http, client_credentials_path=where)
    [rung] = provider.ladder
    assert not rung.spends
    judged = await exchange(provider, "issue", EMPTY)
    assert path(http) == where
    assert http.bodies == [{"grant_type": "client_credentials", "client_id": ENV}]
    assert http.calls[0].headers["Authorization"] == "Basic " + base64.b64encode(b"AKIDfakefake:fakefakefake").decode()
    assert (change(judged).grant, lease(judged).valid_for) == (None, 432_000.0)
    assert lease(judged).fields["login"] == "client-credentials"


async def test_client_credentials_may_be_signed_instead() -> None:
    http = FakeHttp(ISSUED)
    await exchange(
        made("client-credentials", http, client_credentials_auth="tc3", session_token=ref("upstream")), "issue", EMPTY
    )
    said_ = http.calls[0].headers["Authorization"]
    assert said_.startswith("TC3-HMAC-SHA256 Credential=AKIDfakefake/2027-01-15/tcb/tc3_request, ")
    assert said_.endswith(", Timestamp=1799999999, Token=up-FAKE-1")


async def test_a_refused_cloud_key_is_the_configurations() -> None:
    http = FakeHttp(reply({"code": "SIGN_PARAM_INVALID", "message": "x"}, 401))
    assert rejected(await exchange(made("client-credentials", http), "issue", EMPTY)).remedy.value == "config"


async def test_an_api_key_becomes_a_lease_without_any_call() -> None:
    http = FakeHttp()
    provider = made("api-key", http, lease_life=3600.0)
    assert not provider.ladder[0].spends
    judged = await exchange(provider, "issue", EMPTY)
    assert (lease(judged).token, lease(judged).valid_for) == (Secret("eyJ.fake.KEY"), 3600.0)
    assert (change(judged).grant, http.calls) == (None, [])
    with pytest.raises(FreshdError):
        await made("api-key", hidden=Vaultless(api_key="two words")).prepare("issue", EMPTY)


async def test_the_age_of_an_api_key_is_told_by_a_grant_that_holds_no_secret() -> None:
    provider = made("api-key", key_created="2026-10-17", key_days=90.0)
    [rung] = provider.ladder
    assert rung.spends
    assert rung.is_free
    kept = grant(await exchange(provider, "issue", EMPTY))
    assert kept.secrets == {}
    assert (kept.enrolled.wall, kept.absolute_for) == (1_792_195_200.0, 90 * 86_400.0)


async def test_what_needs_no_person_says_so() -> None:
    for method in ("client-credentials", "api-key"):
        provider = made(method)
        with pytest.raises(NotPossible):
            await provider.ask("auto", None, EMPTY)
        with pytest.raises(NotPossible):
            provider.adopt({}, SENT, "l")
        assert "console" in await provider.revoke(EMPTY)


# -- signing out, and the token in hand -----------------------------------------------------------------------------


async def test_revoking_signs_out_in_both_forms_at_once() -> None:
    http = FakeHttp(reply({}))
    provider = made(http=http)
    assert "signed out" in await provider.revoke(RECORD)
    assert (path(http), http.bodies) == ("/auth/v1/revoke", [{"token": "eyJ.fake.A1"}])
    assert http.calls[0].headers["Authorization"] == "Bearer eyJ.fake.A1"


@pytest.mark.parametrize(
    "answer", [reply({"error": "internal"}, 200), reply(b"<html>", 502), Lost("silence"), NotSent("no route")]
)
async def test_a_sign_out_that_did_not_happen_is_told(answer: Performed) -> None:
    with pytest.raises(FreshdError, match="did not sign out"):
        await made(http=FakeHttp(answer)).revoke(RECORD)


async def test_without_a_token_there_is_nothing_to_sign_out_with() -> None:
    with pytest.raises(NotPossible):
        await made().revoke(replace(RECORD, lease=None))


PROBES: list[tuple[Any, bool | None]] = [
    (reply({}), False), (reply({"token_type": "Bearer", "client_id": ENV, "sub": "19"}), True),
    (reply({"error": "unauthenticated", "error_code": 16}, 401), False), (reply({"error": "internal"}, 500), None),
    (reply({"code": "ACCESS_TOKEN_EXPIRED"}, 401), False), (reply(b"<html>", 200), None), (reply({}, 500), None),
    (Lost("silence"), None), (reply({}, complete=False), None), (reply({"x": 1}), None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "alive"), PROBES)
async def test_only_an_empty_object_means_that_the_token_is_dead(answer: Performed, alive: bool | None) -> None:
    http = FakeHttp(answer)
    assert await made(http=http).probe(LEASE) is alive
    assert (http.calls[0].method, path(http)) == ("GET", "/auth/v1/token/introspect")


DEAD: list[tuple[int | None, str | None, bool]] = [
    (401, None, True), (None, "ACCESS_TOKEN_EXPIRED", True), (200, "CHECK_LOGIN_FAILED", True), (403, "16", True),
    (401, "unauthenticated", True), (403, None, False), (401, "PERMISSION_DENIED", False), (403, "7", False),
    (401, "EXCEED_RATELIMIT", False), (500, None, False), (None, None, False), (400, "INVALID_PARAM", False),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "dead"), DEAD)
def test_a_consumers_refusal_is_the_tokens_end_only_where_it_is_about_the_token(
    status: int | None, code: str | None, dead: bool
) -> None:
    assert made().is_dead(status, code) is dead


def test_the_contract_is_that_of_the_profile() -> None:
    assert made().contract == CONTRACT
