"""Accounts of CloudBase against the stand-in: every way to sign in, every fault, every open question both ways."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freshd.core.contract import Contract
from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.core.settings import SecretRef, Way
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Asked, Provider
from freshd.providers.cloudbase.options import Options, Schema
from freshd.providers.cloudbase.rules import ISSUING
from freshd.providers.cloudbase.server import Server
from freshd.providers.cloudbase.user import User
from freshd.references import References
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.order import Order
from freshd.sandbox.cloudbase.user import Profile
from freshd.sandbox.server import Running
from tests.providers.conftest import Bench, Clock
from tests.unit.providers.judged import change, committed, lease, rejected

ENV = "sandbox-env"
CONTRACT = Contract(lease_life=7200, idle_life=2_592_000)
PASSWORD, KEY, ID, WORD, UP = (SecretRef(Way.FILE, (f"/{name}",)) for name in ("pw", "key", "id", "word", "up"))
WAYS: Mapping[str, dict[str, Any]] = {
    "password": {"username": "alice", "password": PASSWORD},
    "custom": {"uid": "bot-0001", "key_file": KEY},
    "anonymous": {},
    "provider": {"provider_id": "upstream", "provider_access_token": UP},
    "client-credentials": {"secret_id": ID, "secret_key": WORD},
    "sms": {"phone_number": "+86 13800000000"},
    "email": {"email": "alice@corp.example"},
    "import": {},
}
EMPTY = Record("a")


class Stand:
    """The stand-in, and accounts that speak to it."""

    def __init__(self, bench: Bench, sandbox: Running, clock: Clock) -> None:
        self.bench = bench
        self.sandbox = sandbox
        self.clock = clock
        self.environment: Environment = sandbox.stands["cloudbase"]
        self.levers = Levers(self.environment, clock)
        alice = Profile(label="alice", password="Right-1", email="alice@corp.example", phone_number="+86 13800000000")
        self.environment.users.register(alice)
        bench.secrets |= {PASSWORD: "Right-1", ID: "AKIDsandbox", WORD: "sandbox-secret",
                          KEY: json.dumps(self.levers.make_key())}  # fmt: skip

    def account(self, method: str = "password", **keys: Any) -> Provider:
        base = {"env": ENV, "base_url": self.sandbox.base_url, "method": method, "deadline": 5.0}
        parsed = Schema().parse("a", {**base, **WAYS[method], **keys})
        assert not parsed.problems, parsed.problems
        options: dict[str, Any] = dict(parsed.options)
        kind = Server if method in ISSUING else User
        return kind("a", Options(**options), CONTRACT, self.bench.deps)

    def constants(self, **over: Any) -> None:
        self.environment.constants.change({f"CLOUDBASE_SIM_{name}": value for name, value in over.items()})

    def order(self, error: str, operation: str = "*", **more: Any) -> None:
        self.environment.orders.add(Order(error=error, operation=operation, **more))

    def strike(self, **wish: Any) -> None:
        self.sandbox.faults.add_json({"count": 1, **wish})

    def calls(self, operation: str) -> int:
        return sum(call.grant_type == operation for call in self.noted)

    @property
    def noted(self) -> list[Any]:
        books = self.sandbox.ledger.books
        return [call for account in books.accounts.values() for call in account.calls]

    def challenges(self) -> int:
        return len(list(self.environment.captchas.challenges))

    async def exchange(self, provider: Provider, rung: str, record: Record, **given: Secret) -> Judged:
        prepared = await provider.prepare(rung, record)
        meant = self.bench.intent(rung, record, **{**prepared, **given})
        if rung in ("refresh", "renew", "signin", "issue"):
            meant = replace(meant, candidate=None)
        performed = await provider.perform(rung, record, meant)
        assert isinstance(performed, Reply), performed
        return provider.read(rung, record, meant, performed)

    async def signed_in(self, provider: Provider) -> Record:
        return after(EMPTY, await self.exchange(provider, "signin", EMPTY))


@pytest.fixture
def stand(bench: Bench, sandbox: Running, clock: Clock) -> Stand:
    return Stand(bench, sandbox, clock)


def after(record: Record, judged: Judged) -> Record:
    """The record once an answer was committed, or once what a refusal brought was kept."""
    if isinstance(judged, Rejected):
        blank = Grant("flight", BINDINGS.binding, {}, START, START)
        grant = record.grant or blank
        secrets = {name: one for name, one in {**grant.secrets, **judged.keep}.items() if name not in judged.drop}
        return replace(record, generation=record.generation + 1, grant=replace(grant, secrets=secrets))
    return committed(record, judged)


def secrets(record: Record) -> Mapping[str, Secret]:
    assert record.grant is not None
    return record.grant.secrets


START = Clock().now()
BINDINGS = Options(env=ENV, method="anonymous")


# -- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["password", "custom", "anonymous"])
async def test_freshd_signs_in_and_each_refresh_token_is_used_once(stand: Stand, method: str) -> None:
    provider = stand.account(method)
    record = await stand.signed_in(provider)
    sub = record.grant.binding.subject if record.grant else None
    for _ in range(5):
        stand.clock.passed += 6000
        judged = await stand.exchange(provider, "refresh", record)
        assert lease(judged).valid_for == 7200
        assert lease(judged).fields["login"] == method
        assert await provider.probe(lease(judged)) is True
        record = after(record, judged)
        assert record.grant is not None
        assert record.grant.binding.subject == sub
    totals = stand.sandbox.ledger.books.totals
    assert (totals.refreshes, totals.spent_uses) == (5, 0)


async def test_an_anonymous_user_stays_the_same_as_long_as_the_device_is_kept(stand: Stand) -> None:
    provider = stand.account("anonymous")
    record = await stand.signed_in(provider)
    again = after(record, await stand.exchange(stand.account("anonymous"), "signin", record))
    assert record.grant is not None
    assert again.grant is not None
    assert record.grant.binding.subject == again.grant.binding.subject


async def test_a_provider_vouches_and_no_user_is_created(stand: Stand) -> None:
    stand.environment.providers.vouches["provider_access_token"] = lambda text, _now: "carol" if text == "up" else None
    stand.bench.secrets[UP] = "up"
    provider = stand.account("provider")
    assert rejected(await stand.exchange(provider, "signin", EMPTY)).remedy is Remedy.CONFIG
    carol = Profile(label="carol", provider_id="upstream", provider_subject="carol")
    stand.environment.users.register(carol)
    assert lease(await stand.exchange(provider, "signin", EMPTY)).fields["login"] == "provider"
    stand.bench.secrets[UP] = "stale"
    with pytest.raises(NotPossible):
        await stand.exchange(provider, "signin", EMPTY)


@pytest.mark.parametrize("path", ["/auth/v1/token", "/auth/v1/token/clientCredential"])
async def test_client_credentials_are_had_again_and_again(stand: Stand, path: str) -> None:
    provider = stand.account("client-credentials", client_credentials_path=path)
    assert lease(await stand.exchange(provider, "issue", EMPTY)).valid_for == 432_000
    stand.bench.secrets[WORD] = "wrong"
    assert rejected(await stand.exchange(provider, "issue", EMPTY)).remedy is Remedy.CONFIG


async def test_an_imported_session_is_renewed_with_the_device_it_was_begun_on(stand: Stand) -> None:
    stand.constants(DEVICE_CHECKED_ON_REFRESH=True)
    kept = stand.levers.mint("alice", device_id="device-of-a-browser")
    provider = stand.account("import")
    given = {"refresh_token": str(kept["refresh_token"]), "device_id": "device-of-a-browser"}
    change_ = provider.adopt({name: Secret(one) for name, one in given.items()}, stand.clock.now(), "l")
    judged = await stand.exchange(provider, "refresh", Record("a", 1, change_.grant))
    assert lease(judged).fields["sub"] == kept["sub"]


async def test_a_wrong_password_is_presented_exactly_once(stand: Stand) -> None:
    stand.bench.secrets[PASSWORD] = "Wrong-1"
    provider = stand.account()
    judged = rejected(await stand.exchange(provider, "signin", EMPTY))
    assert (judged.remedy, judged.again) == (Remedy.PERSON, ())
    record = after(EMPTY, judged)
    for again in (provider, stand.account()):
        with pytest.raises(FreshdError, match="refused this password"):
            await again.prepare("signin", record)
    assert stand.calls("signin") == 1
    stand.bench.secrets[PASSWORD] = "Right-1"
    assert lease(await stand.exchange(provider, "signin", record)).valid_for == 7200


async def test_a_locked_user_is_waited_for_as_long_as_the_service_says(stand: Stand) -> None:
    stand.constants(CAPTCHA_AFTER=100, LOCK_AFTER=1, LOCK_S=900)
    stand.bench.secrets[PASSWORD] = "Wrong-1"
    await stand.exchange(stand.account(), "signin", EMPTY)
    stand.bench.secrets[PASSWORD] = "Right-1"
    judged = rejected(await stand.exchange(stand.account(), "signin", EMPTY))
    assert (judged.code, judged.remedy) == ("invalid_status", Remedy.PERSON)
    assert judged.again[0] == pytest.approx(900, abs=60)


@pytest.mark.parametrize("bits", [1024, 2048])
async def test_a_key_goes_on_for_two_hours_after_a_new_one_was_made(stand: Stand, bits: int) -> None:
    old = json.dumps(stand.levers.make_key(bits=bits))
    stand.bench.secrets[KEY] = old
    provider = stand.account("custom")
    await stand.signed_in(provider)
    fresh = json.dumps(stand.levers.make_key())
    stand.clock.passed += 7000
    await stand.signed_in(provider)
    stand.clock.passed += 300
    assert rejected(await stand.exchange(provider, "signin", EMPTY)).remedy is Remedy.CONFIG
    stand.bench.secrets[KEY] = fresh
    await stand.signed_in(provider)


COMMANDS = [
    ("/bin/sleep", "60"),
    ("/bin/echo", "Permission denied"),
    ("/usr/bin/printf", "k/@@/a.b.c\\nk/@@/a.b.c\\n"),
    ("/bin/false",),
    ("/nowhere/at/all",),
    ("/bin/true",),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_ticket_command_that_hangs_fails_or_prints_garbage_sends_nothing(
    stand: Stand, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand.bench, "resolve", References(deadline=0.5).resolve, raising=False)
    provider = stand.account("custom", key_file=None, ticket=SecretRef(Way.COMMAND, command))
    with pytest.raises(FreshdError) as caught:
        await provider.prepare("signin", EMPTY)
    assert "denied" not in caught.value.cause
    assert stand.calls("custom") == 0


async def test_a_ticket_lives_for_ten_minutes_of_a_right_clock(stand: Stand) -> None:
    provider = stand.account("custom")
    prepared = await provider.prepare("signin", EMPTY)
    stand.clock.passed += 700
    performed = await provider.perform("signin", EMPTY, stand.bench.intent("signin", EMPTY, **prepared))
    assert isinstance(performed, Reply)
    assert isinstance(provider.read("signin", EMPTY, stand.bench.intent("signin", EMPTY), performed), Rejected)


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["http_500", "html", "empty_200", "truncated"])
async def test_what_is_not_the_services_word_acts_as_a_lost_answer(stand: Stand, fault: str) -> None:
    faults: dict[str, dict[str, Any]] = {
        "http_500": {"fault": "status", "status": 502, "after_commit": True},
        "html": {"fault": "html", "after_commit": True},
        "empty_200": {"fault": "status", "status": 200, "body": ""},
        "truncated": {"fault": "cut_short", "bytes": 20},
    }
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.strike(**faults[fault])
    judged = await stand.exchange(provider, "refresh", record)
    assert isinstance(judged, Unreadable)


async def test_a_lost_reply_and_then_invalid_grant_is_one_sign_in(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.strike(fault="lost_after_commit")
    prepared = await provider.prepare("refresh", record)
    meant = replace(stand.bench.intent("refresh", record, **prepared), candidate=None)
    assert isinstance(await provider.perform("refresh", record, meant), Lost)
    replay = replace(meant, replays=1)
    await provider.prepare("refresh", record)
    performed = await provider.perform("refresh", record, replay)
    assert isinstance(performed, Reply)
    judged = rejected(provider.read("refresh", record, replay, performed))
    assert judged.remedy is Remedy.CLIMB
    assert "lost" in judged.detail
    assert after(record, await stand.exchange(provider, "signin", record)).lease is not None


@pytest.mark.parametrize("is_200", [False, True])
@pytest.mark.parametrize("speech", ["auth", "gateway", "rpc", "data"])
@pytest.mark.parametrize("number", ["number", "text", "absent"])
async def test_a_refusal_is_understood_in_every_form(stand: Stand, is_200: bool, speech: str, number: str) -> None:
    stand.constants(ERROR_CODE=number, SPEECH=speech, STATUS_ALWAYS_200=is_200)
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.order("resource_exhausted", retry_s=77.0)
    judged = rejected(await stand.exchange(provider, "refresh", record))
    assert (judged.remedy, judged.known) == (Remedy.WAIT, True)


@pytest.mark.parametrize("is_200", [False, True])
async def test_a_dead_refresh_token_is_one_whatever_the_status(stand: Stand, is_200: bool) -> None:
    stand.constants(STATUS_ALWAYS_200=is_200)
    provider = stand.account()
    record = await stand.signed_in(provider)
    await stand.exchange(provider, "refresh", record)
    judged = rejected(await stand.exchange(provider, "refresh", record))
    assert (judged.remedy, judged.dead) == (Remedy.CLIMB, frozenset({"refresh_token"}))


async def test_trouble_of_the_service_after_it_has_renewed_is_a_doubt(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.order("internal", "refresh_token", after_commit=True)
    assert isinstance(await stand.exchange(provider, "refresh", record), Unreadable)


async def test_a_renewal_without_a_refresh_token_goes_on_with_the_old_one_until_that_is_refused(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.strike(fault="no_refresh_token")
    record = after(record, await stand.exchange(provider, "refresh", record))
    assert "unconfirmed" in secrets(record)
    judged = rejected(await stand.exchange(provider, "refresh", record))
    assert judged.remedy is Remedy.CLIMB
    assert "unconfirmed" not in secrets(after(record, await stand.exchange(provider, "signin", record)))


async def test_a_way_that_brings_no_refresh_token_is_renewed_by_signing_in(stand: Stand) -> None:
    stand.constants(NO_REFRESH_TOKEN_FOR=["custom"])
    provider = stand.account("custom")
    record = await stand.signed_in(provider)
    assert "sessionless" in secrets(record)
    stand.constants(NO_REFRESH_TOKEN_FOR=[])
    record = after(record, await stand.exchange(provider, "renew", record))
    assert {"refresh_token", "sessionless"} & secrets(record).keys() == {"refresh_token"}


async def test_an_answer_for_another_user_is_withheld(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.strike(fault="wrong_subject", subject="1911111111111111111")
    judged = await stand.exchange(provider, "refresh", record)
    assert change(judged).withheld == "the answer is for another user"


@pytest.mark.parametrize("missing", [["expires_in"], ["scope"], ["sub"], ["token_type"]])
async def test_what_an_answer_lacks_is_known_otherwise(stand: Stand, missing: list[str]) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.strike(fault="missing_fields", fields=missing)
    made = lease(await stand.exchange(provider, "refresh", record))
    before = record.lease
    assert before is not None
    assert (made.valid_for, made.fields) == (before.valid_for, before.fields)


# -- somebody else --------------------------------------------------------------------------------------------------


async def test_a_stranger_is_healed_once_or_twice_and_then_not_fought(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    for _ in range(2):
        stand.clock.passed += 620
        stand.levers.stranger("alice", "stranger-device-000000")
        assert rejected(await stand.exchange(provider, "refresh", record)).remedy is Remedy.CLIMB
        judged = await stand.exchange(provider, "signin", record)
        assert isinstance(judged, Answered)
        assert "somebody else may sign in" in judged.notes["session"]
        record = after(record, judged)
    stand.clock.passed += 620
    stand.levers.stranger("alice", "stranger-device-000000")
    refused = rejected(await stand.exchange(provider, "refresh", record))
    assert (refused.code, refused.remedy) == ("session-pushed-out", Remedy.PERSON)
    assert "somebody else signs in with this account" in refused.detail
    record = after(record, refused)
    assert stand.calls("signin") == 3
    assert "refresh_token" not in secrets(record)


async def test_signing_out_ends_the_session(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    assert "signed out" in await provider.revoke(record)
    assert record.lease is not None
    assert await provider.probe(record.lease) is False
    assert rejected(await stand.exchange(provider, "refresh", record)).remedy is Remedy.CLIMB


@pytest.mark.parametrize("form", ["both", "bearer", "body"])
async def test_signing_out_is_understood_in_either_form(stand: Stand, form: str) -> None:
    stand.constants(REVOKE_FORM=form)
    provider = stand.account()
    record = await stand.signed_in(provider)
    await provider.revoke(record)
    assert record.lease is not None
    assert await provider.probe(record.lease) is False


# -- captcha --------------------------------------------------------------------------------------------------------


async def ask(provider: Provider, record: Record, **wishes: bool) -> tuple[Asked, Record]:
    asked = await provider.ask("auto", None, record, **wishes)
    grant = record.grant or Grant("l", provider.binding, {}, START, START)
    if asked.keeps:
        record = replace(record, generation=record.generation + 1,
                         grant=replace(grant, secrets={**grant.secrets, **asked.keeps}))  # fmt: skip
    return asked, record


async def step(stand: Stand, provider: Provider, record: Record, code: str | None = None) -> tuple[Judged, Record]:
    """One step of a person's dialogue."""
    asked, record = await ask(provider, record)
    given = {**asked.material, **({} if code is None else {"code": Secret(code)})}
    judged = await stand.exchange(provider, asked.rung, record, **given)
    return judged, after(record, judged)


async def test_a_picture_is_read_and_the_same_sign_in_goes_on(stand: Stand) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2")
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    assert stand.challenges() == 0
    asked, _ = await ask(provider, record)
    assert (asked.picture or b"").startswith(b"GIF8")
    _, record = await step(stand, provider, record, "a7k2")
    judged, _ = await step(stand, provider, record)
    assert lease(judged).valid_for == 7200
    assert stand.challenges() == 1
    assert stand.calls("signin") == 2


@pytest.mark.parametrize("words", ["own", "common"])
async def test_two_wrong_answers_are_exactly_two_challenges(stand: Stand, words: str) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2", CAPTCHA_WORDS=words)
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    for _ in range(2):
        judged, record = await step(stand, provider, record, "xxxx")
        assert rejected(judged).remedy is Remedy.PERSON
    with pytest.raises(NotPossible, match="wrongly twice"):
        await ask(provider, record)
    assert stand.challenges() == 2
    assert stand.calls("signin") == 1


async def test_an_answer_that_comes_too_late_counts_as_wrong(stand: Stand) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2")
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    asked, record = await ask(provider, record)
    stand.clock.passed += 301
    judged = await stand.exchange(provider, asked.rung, record, **asked.material, code=Secret("A7K2"))
    assert rejected(judged).code in ("captcha_expired", "captcha_invalid")


async def test_a_page_is_passed_and_the_same_sign_in_goes_on(stand: Stand) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_VARIANT="page", CAPTCHA_INIT_BASIC=True)
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    asked, record = await ask(provider, record)
    place = stand.levers.visit(parse_qs(urlsplit(asked.url).query)["challenge"][0])
    assert place is not None
    judged = await stand.exchange(provider, asked.rung, record, **asked.material, code=Secret(place))
    assert lease(judged).valid_for == 7200


async def test_a_page_that_was_not_passed_is_told_and_nothing_is_sent(stand: Stand) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_VARIANT="page")
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    asked, record = await ask(provider, record)
    place = stand.levers.visit(parse_qs(urlsplit(asked.url).query)["challenge"][0], allowed=False)
    material = {**await provider.prepare(asked.rung, record), **asked.material, "code": Secret(place or "")}
    meant = stand.bench.intent(asked.rung, record, **material)
    assert isinstance(await provider.perform(asked.rung, record, meant), NotSent)
    assert stand.calls("signin") == 1


async def test_no_check_needed_is_a_step_at_once(stand: Stand) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_VARIANT="page", CAPTCHA_DIRECT=True)
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    judged, _ = await step(stand, provider, record)
    assert lease(judged).valid_for == 7200


@pytest.mark.parametrize("place", ["both", "query", "header"])
async def test_a_token_is_found_wherever_the_service_looks_for_it(stand: Stand, place: str) -> None:
    stand.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2", CAPTCHA_PLACE=place)
    provider = stand.account()
    record = after(EMPTY, await stand.exchange(provider, "signin", EMPTY))
    _, record = await step(stand, provider, record, "A7K2")
    judged, record = await step(stand, provider, record)
    if place == "header":
        assert rejected(judged).code == "captcha_required"
        judged, record = await step(stand, provider, record)
    assert lease(judged).valid_for == 7200
    assert stand.challenges() == 1


async def test_a_captcha_before_a_refresh_leaves_the_session_as_it_is(stand: Stand) -> None:
    provider = stand.account()
    record = await stand.signed_in(provider)
    stand.constants(CAPTCHA_FOR=["refresh"], CAPTCHA_ANSWER="A7K2")
    record = after(record, await stand.exchange(provider, "refresh", record))
    _, record = await step(stand, provider, record, "A7K2")
    record = after(record, await stand.exchange(provider, "refresh", record))
    assert "captcha" not in secrets(record)


# -- codes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "to"), [("sms", "+86 13800000000"), ("email", "alice@corp.example")])
async def test_a_person_signs_in_with_a_code(stand: Stand, method: str, to: str) -> None:
    provider = stand.account(method)
    asked = await provider.ask("auto", None, EMPTY, consent=True)
    judged = await stand.exchange(provider, asked.rung, EMPTY, **asked.material, code=Secret("000"))
    record = after(EMPTY, judged)
    [code] = stand.environment.verifications.mailbox(to)
    _, record = await step(stand, provider, record, code)
    judged, record = await step(stand, provider, record)
    assert lease(judged).fields["login"] == method
    assert stand.environment.verifications.mailbox(to) == [code]
    assert lease(await stand.exchange(provider, "refresh", record)).valid_for == 7200


async def test_a_code_too_soon_after_another_wants_a_captcha_first(stand: Stand) -> None:
    stand.constants(CAPTCHA_ANSWER="A7K2")
    await stand.account("email").ask("auto", None, EMPTY)
    provider = stand.account("email")
    _, record = await step(stand, provider, EMPTY, "A7K2")
    asked, record = await ask(provider, record)
    assert asked.rung == "code-check"
    code = stand.environment.verifications.mailbox("alice@corp.example")[-1]
    judged = await stand.exchange(provider, asked.rung, record, **asked.material, code=Secret(code))
    assert rejected(judged).code == "code-checked"
