"""Accounts of Feishu against the stand-in: every rung, every fault, every open question both ways."""

import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Grant, Lease, Record, Secret
from freshd.core.outcome import Answered, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.errors import FreshdError
from freshd.providers.feishu.app import FeishuApp
from freshd.providers.feishu.app_options import AppOptions, AppSchema
from freshd.providers.feishu.options import Options, Schema
from freshd.providers.feishu.user import Feishu
from freshd.providers.http import Call
from freshd.sandbox.feishu.apps import Standing
from freshd.sandbox.feishu.ledger import Generation
from freshd.sandbox.server import Running
from freshd.sandbox.tokens import Holder
from tests.providers.conftest import SECRET, Bench, Clock, lease_of
from tests.unit.providers.judged import committed, lease

APP = "cli_sandbox"
SCOPE = "auth:user.id:read offline_access"
BACK = "http://127.0.0.1:7777/back"
DAY = 86_400.0
CONTRACT = Contract(omitted=Omitted.DEAD, lease_life=7200, idle_life=7 * DAY, absolute_life=365 * DAY)
FOR_USERS = {"refresh_token", "authorization_code"}


def user(bench: Bench, sandbox: Running, **keys: Any) -> Feishu:
    places = {"open_url": sandbox.base_url, "accounts_url": sandbox.base_url}
    parsed = Schema().parse("a", {"app_id": APP, "app_secret": SECRET, "scope": SCOPE, **places, **keys})
    assert not parsed.problems
    options: dict[str, Any] = dict(parsed.options)
    return Feishu("a", Options(**options), CONTRACT, bench.deps)


def app(bench: Bench, sandbox: Running, **keys: Any) -> FeishuApp:
    places = {"open_url": sandbox.base_url, "accounts_url": sandbox.base_url}
    parsed = AppSchema().parse("a", {"app_id": APP, "app_secret": SECRET, **places, **keys})
    assert not parsed.problems
    options: dict[str, Any] = dict(parsed.options)
    return FeishuApp("a", AppOptions(**options), Contract(lease_life=7200, reissue_left=1800), bench.deps)


def minted(sandbox: Running, clock: Clock, generation: Generation = Generation.V2) -> tuple[str, str]:
    """An access token and a refresh token, as if a person had just agreed."""
    holder = Holder(client_id=APP, subject="ou_alice", scope=SCOPE, label="a")
    access, refresh = sandbox.feishu.mint(holder, clock(), generation)
    return access.text, refresh.text


def change_app(sandbox: Running, **fields: Any) -> None:
    known = sandbox.feishu.apps.find(APP)
    assert known is not None
    sandbox.feishu.apps.register(replace(known, **fields))


def constants(sandbox: Running, **over: Any) -> None:
    sandbox.feishu.constants.change({f"FEISHU_SIM_{name}": value for name, value in over.items()})


def strike(sandbox: Running, **wish: Any) -> None:
    sandbox.faults.add_json({"count": 1, **wish})


@pytest.fixture(params=["v3", "v2"])
def provider(bench: Bench, sandbox: Running, request: pytest.FixtureRequest) -> Feishu:
    return user(bench, sandbox, generation=request.param)


@pytest.fixture
def record(bench: Bench, sandbox: Running, provider: Feishu, clock: Clock) -> Record:
    return bench.record(minted(sandbox, clock)[1], provider.binding)


@pytest.fixture
def older(sandbox: Running, provider: Feishu, clock: Clock) -> Record:
    """A record whose refresh token is of the older generation."""
    secrets = {"refresh_token_v1": Secret(minted(sandbox, clock, Generation.V1)[1])}
    now = clock.now()
    return Record("a", 1, Grant("line", provider.binding, secrets, obtained=now, enrolled=now))


def never_spent_twice(sandbox: Running) -> bool:
    return sandbox.ledger.books.totals.spent_uses == 0


async def works(provider: Feishu, token: str) -> bool | None:
    return await provider.probe(lease_of(Record("a"), token))


async def test_a_grant_is_renewed_again_and_again_and_each_token_is_used_once(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, clock: Clock
) -> None:
    for _ in range(5):
        judged = await bench.exchange(provider, "refresh", record)
        assert lease(judged).valid_for == 7200
        assert lease(judged).fields["scope"] == SCOPE
        assert await provider.probe(lease(judged)) is True
        record = committed(record, judged)
        assert record.grant is not None
        assert (record.grant.valid_for, record.grant.absolute_for) == (7 * DAY, 365 * DAY)
        clock.passed += 6000
    totals = sandbox.ledger.books.totals
    assert (totals.refreshes, totals.spent_uses, totals.doubtful_replays) == (5, 0, 0)
    [grant] = sandbox.feishu.ledger.grants("a")
    assert sandbox.feishu.ledger.count_live(grant, clock()) == 1


async def test_a_grant_of_v2_goes_on_under_v3(bench: Bench, sandbox: Running, clock: Clock) -> None:
    second, third = user(bench, sandbox, generation="v2"), user(bench, sandbox, generation="v3")
    record = bench.record(minted(sandbox, clock)[1], second.binding)
    record = committed(record, await bench.exchange(second, "refresh", record))
    assert lease(await bench.exchange(third, "refresh", record)).valid_for > 0


async def test_a_person_enrols_with_a_code_and_the_grant_renews(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock
) -> None:
    material = await authorized(bench, provider)
    judged = await bench.exchange(provider, "authorize", Record("a"), **material)
    record = committed(Record("a"), judged)
    assert record.grant is not None
    assert (record.grant.lineage, record.grant.enrolled) == ("new", clock.now())
    assert record.grant.binding == provider.binding
    assert lease(await bench.exchange(provider, "refresh", record)).valid_for > 0
    assert never_spent_twice(sandbox)


async def authorized(bench: Bench, provider: Feishu, answer: str = "1") -> dict[str, Secret]:
    """The material after a person has decided in a browser."""
    asked = await provider.ask("auto", BACK, Record("a"))
    performed = await bench.http.call(Call("GET", f"{asked.url}&auto={answer}&subject=ou_alice&label=a"))
    assert isinstance(performed, Reply)
    back = urllib.parse.urlsplit(performed.header("Location") or "")
    given = dict(urllib.parse.parse_qsl(back.query))
    return {**asked.material, **{name: Secret(value) for name, value in given.items()}}


async def test_a_person_may_say_no(bench: Bench, sandbox: Running, provider: Feishu) -> None:
    material = await authorized(bench, provider, "deny")
    _, performed = await bench.perform(provider, "authorize", Record("a"), **material)
    assert performed == NotSent("the service said access_denied")
    assert sandbox.ledger.books.totals.calls == {}


WRONG_CODES: list[tuple[Mapping[str, str], float, str, Remedy]] = [
    ({"code": "unknown"}, 0, "20003", Remedy.PERSON),
    ({}, 301, "20004", Remedy.PERSON),
    ({"code_verifier": "x" * 50}, 0, "20049", Remedy.BUG),
    ({"redirect_uri": "http://127.0.0.1:7777/other"}, 0, "20071", Remedy.CONFIG),
]


@pytest.mark.parametrize(("wrong", "seconds", "code", "remedy"), WRONG_CODES)
async def test_a_code_that_is_not_taken(
    bench: Bench, provider: Feishu, clock: Clock, wrong: Mapping[str, str], seconds: float, code: str, remedy: Remedy
) -> None:
    material = await authorized(bench, provider)
    clock.passed += seconds
    material |= {name: Secret(value) for name, value in wrong.items()}
    judged = await bench.exchange(provider, "authorize", Record("a"), **material)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == (code, remedy)


async def test_a_code_works_once(bench: Bench, provider: Feishu) -> None:
    material = await authorized(bench, provider)
    await bench.exchange(provider, "authorize", Record("a"), **material)
    judged = await bench.exchange(provider, "authorize", Record("a"), **material)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == ("20065", Remedy.PERSON)


@pytest.mark.parametrize("number", [None, 20999])
async def test_a_person_enrols_with_a_device(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock, number: int | None
) -> None:
    constants(sandbox, DEVICE_CODE=number)
    asked = await provider.ask("device", None, Record("a"))
    assert (asked.rung, asked.interval, asked.expires_in) == ("device", 5.0, 240.0)
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.retry_after) == ("authorization_pending", Remedy.WAIT, 5.0)
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.retry_after) == ("slow_down", 10.0)
    assert sandbox.feishu.consents.decide(asked.user_code or "", clock(), subject="ou_alice", label="a")
    clock.passed += 10
    record = committed(Record("a"), await bench.exchange(provider, "device", Record("a"), **asked.material))
    assert lease(await bench.exchange(provider, "refresh", record)).valid_for > 0


@pytest.mark.parametrize(("seconds", "allowed", "word"), [(0, False, "access_denied"), (241, True, "expired_token")])
async def test_a_device_that_nobody_lets_in(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock, seconds: float, allowed: bool, word: str
) -> None:
    asked = await provider.ask("device", None, Record("a"))
    sandbox.feishu.consents.decide(asked.user_code or "", clock(), subject="", label="", allowed=allowed)
    clock.passed += seconds
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == (word, Remedy.PERSON)


async def test_the_older_generation_renews_at_its_own_endpoint_until_a_person_moves_it_on(
    bench: Bench, sandbox: Running, provider: Feishu, older: Record, clock: Clock
) -> None:
    for _ in range(3):
        judged = await bench.exchange(provider, "refresh-v1", older)
        assert lease(judged).valid_for == 7199
        older = committed(older, judged)
        clock.passed += 6000
    assert older.grant is not None
    assert older.grant.valid_for == 2_591_999
    moved = committed(older, await bench.exchange(provider, "authorize", older, **await authorized(bench, provider)))
    assert moved.grant is not None
    assert set(moved.grant.secrets) == {"refresh_token"}
    assert lease(await bench.exchange(provider, "refresh", moved)).valid_for > 0
    assert never_spent_twice(sandbox)
    assert sandbox.ledger.books.totals.errors == {}


async def test_a_token_of_the_older_generation_is_never_presented_to_the_newer_endpoints(
    bench: Bench, sandbox: Running, provider: Feishu, older: Record
) -> None:
    _, performed = await bench.perform(provider, "refresh", older)
    assert performed == NotSent("there is no refresh token")
    await provider.revoke(older)
    assert sandbox.ledger.books.totals.calls == {}


@pytest.mark.parametrize("over", [{"OIDC_CODE_ON_REUSE": 20038}, {"OIDC_CODE_ON_REUSE": 20026}])
async def test_a_spent_token_of_the_older_generation_is_dead(
    bench: Bench, sandbox: Running, provider: Feishu, older: Record, over: dict[str, Any]
) -> None:
    constants(sandbox, **over)
    await bench.exchange(provider, "refresh-v1", older)
    judged = await bench.exchange(provider, "refresh-v1", older)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == (str(over["OIDC_CODE_ON_REUSE"]), Remedy.CLIMB)
    assert judged.dead == frozenset({"refresh_token_v1"})


@pytest.mark.parametrize("code", [20064, 20073])
@pytest.mark.parametrize("as_text", [False, True])
async def test_a_spent_token_is_dead_whatever_the_service_calls_it(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, code: int, as_text: bool
) -> None:
    constants(sandbox, CODE_ON_REUSE=code, CODE_AS_TEXT=as_text)
    await bench.exchange(provider, "refresh", record)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.dead) == (str(code), Remedy.CLIMB, frozenset({"refresh_token"}))
    assert judged.detail.startswith("log id ")


@pytest.mark.parametrize("days", [7, 365])
async def test_a_grant_ends_after_a_week_unused_and_a_year_used(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, clock: Clock, days: int
) -> None:
    passed = 0
    while passed + 6 <= days - 1:
        clock.passed += 6 * DAY
        passed += 6
        if days == 365:
            record = committed(record, await bench.exchange(provider, "refresh", record))
    clock.passed += (days - passed) * DAY
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.dead) == ("20037", Remedy.CLIMB, frozenset({"refresh_token"}))


KEPT: list[tuple[dict[str, Any], str]] = [
    ({"refreshing": False}, "20074"),
    ({"enabled": False}, "20069"),
    ({"installed": False}, "20009"),
    ({"secret": "another"}, "20002"),
]


@pytest.mark.parametrize(("fields", "code"), KEPT)
async def test_what_the_app_did_wrong_costs_the_user_nothing(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, fields: dict[str, Any], code: str
) -> None:
    change_app(sandbox, **fields)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.dead) == (code, Remedy.CONFIG, frozenset())
    change_app(sandbox, **{name: True if name != "secret" else "sandbox-secret" for name in fields})
    assert lease(await bench.exchange(provider, "refresh", record)).valid_for > 0


PEOPLE = [
    (Standing.FROZEN, "20066", Remedy.CONFIG),
    (Standing.LEFT, "20066", Remedy.CONFIG),
    (Standing.NOT_ALLOWED, "20010", Remedy.CONFIG),
    (Standing.REMOVED, "20008", Remedy.CLIMB),
]


@pytest.mark.parametrize(("standing", "code", "remedy"), PEOPLE)
async def test_how_the_user_stands_is_told(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, standing: Standing, code: str, remedy: Remedy
) -> None:
    sandbox.feishu.apps.people["ou_alice"] = standing
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, bool(judged.dead)) == (code, remedy, remedy is Remedy.CLIMB)


FAULTS: list[tuple[dict[str, Any], object]] = [
    ({"fault": "lost_before_commit"}, Lost),
    ({"fault": "lost_after_commit"}, Lost),
    ({"fault": "reset"}, Lost),
    ({"fault": "hang", "seconds": 0.01}, Lost),
    ({"fault": "html"}, Unreadable),
    ({"fault": "bad_gateway"}, Unreadable),
    ({"fault": "status", "status": 503}, Unreadable),
    ({"fault": "cut_short", "bytes": 10}, Unreadable),
    ({"fault": "huge"}, Unreadable),
    ({"fault": "redirect"}, Unreadable),
    ({"fault": "missing_fields", "fields": ["access_token", "refresh_token"]}, Unreadable),
    ({"fault": "empty_fields", "fields": ["access_token", "refresh_token"]}, Unreadable),
    ({"fault": "feishu_code", "code": 20050}, Unreadable),
    ({"fault": "feishu_code", "code": 20050, "after_commit": True}, Unreadable),
    ({"fault": "feishu_code", "code": 20072}, ("20072", Remedy.WAIT, None, True)),
    ({"fault": "feishu_code", "code": 99991400, "reset": 2.5}, ("99991400", Remedy.WAIT, 2.5, True)),
    ({"fault": "feishu_code", "code": 99991400, "reset": 2.5, "status": 400}, ("99991400", Remedy.WAIT, 2.5, True)),
    ({"fault": "feishu_code", "code": 20074, "status": 200}, ("20074", Remedy.CONFIG, None, True)),
    ({"fault": "feishu_code", "code": 31337}, ("31337", Remedy.WAIT, None, False)),
    ({"fault": "feishu_code", "code": 21000, "challenge_url": "https://accounts.feishu.cn/x", "cli_hint": "s3cret"},
     ("21000", Remedy.CONFIG, None, True)),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=lambda value: str(value) if isinstance(value, dict) else "")
async def test_a_fault_is_told_as_what_it_is(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, fault: dict[str, Any], expected: object
) -> None:
    strike(sandbox, **fault)
    intent, performed = await bench.perform(provider, "refresh", record)
    if expected is Lost:
        assert isinstance(performed, Lost)
        return
    assert isinstance(performed, Reply), performed
    judged = provider.read("refresh", record, intent, performed)
    if expected is Unreadable:
        assert isinstance(judged, Unreadable)
        return
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.retry_after, judged.known) == expected
    assert not judged.dead
    assert "s3cret" not in judged.detail
    assert lease(await bench.exchange(provider, "refresh", record)).valid_for > 0


@pytest.mark.parametrize("is_late", [False, True])
async def test_after_20050_one_replay_tells_whether_it_was_spent(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, is_late: bool
) -> None:
    constants(sandbox, **{"20050_AFTER_COMMIT": is_late})
    strike(sandbox, fault="feishu_code", code=20050)
    assert isinstance(await bench.exchange(provider, "refresh", record), Unreadable)
    judged = await bench.exchange(provider, "refresh", record)
    if is_late:
        assert isinstance(judged, Rejected)
        assert (judged.code, judged.dead) == ("20064", frozenset({"refresh_token"}))
    else:
        assert lease(judged).valid_for > 0
    assert never_spent_twice(sandbox)


KEEPING: list[dict[str, Any]] = [
    {"fault": "empty_fields"},
    {"fault": "missing_fields", "fields": ["access_token"]},
    {"fault": "token_type_case", "text": "mac"},
    {"fault": "cut_short", "bytes": -1},
]


@pytest.mark.parametrize("fault", KEEPING, ids=lambda fault: str(fault["fault"]))
async def test_a_successor_is_kept_when_the_rest_is_no_good(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, fault: dict[str, Any]
) -> None:
    strike(sandbox, **fault)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    assert judged.changes[0].lease is None
    assert lease(await bench.exchange(provider, "refresh", committed(record, judged))).valid_for > 0
    assert never_spent_twice(sandbox)


WITHOUT: list[dict[str, Any]] = [{"fault": "no_refresh_token"}, {"fault": "empty_fields", "fields": ["refresh_token"]}]


@pytest.mark.parametrize("fault", WITHOUT, ids=lambda fault: str(fault["fault"]))
async def test_a_success_without_a_successor_leaves_a_grant_that_cannot_be_renewed(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record, fault: dict[str, Any]
) -> None:
    strike(sandbox, **fault)
    judged = await bench.exchange(provider, "refresh", record)
    assert await provider.probe(lease(judged)) is True
    left = committed(record, judged)
    assert left.grant is not None
    assert left.grant.secrets == {}
    _, performed = await bench.perform(provider, "refresh", left)
    assert isinstance(performed, NotSent)
    assert never_spent_twice(sandbox)


async def test_a_scope_that_was_narrowed_is_noted_and_the_successor_kept(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record
) -> None:
    strike(sandbox, fault="narrowed_scope")
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    assert judged.notes["scope"] == "lacks offline_access"
    assert lease(await bench.exchange(provider, "refresh", committed(record, judged))).valid_for > 0


@pytest.mark.parametrize("grace", [60, None])
async def test_how_long_the_old_token_works_on_is_the_services_affair(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock, grace: float | None
) -> None:
    constants(sandbox, OLD_ACCESS_GRACE_S=grace)
    access, refresh = minted(sandbox, clock)
    await bench.exchange(provider, "refresh", bench.record(refresh, provider.binding))
    assert await works(provider, access) is True
    clock.passed += 61
    assert await works(provider, access) is (grace is None)


async def test_a_probe_tells_the_dead_from_what_it_cannot_tell(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock
) -> None:
    access, _ = minted(sandbox, clock)
    assert await works(provider, "u-unknown") is False
    silent: list[dict[str, Any]] = [{"fault": "bad_gateway"}, {"fault": "lost_before_commit"}]
    for fault in (*silent, {"fault": "feishu_code", "code": 99991400}):
        strike(sandbox, endpoint="userinfo", **fault)
        assert await works(provider, access) is None
    constants(sandbox, USER_INFO_SCOPE="contact:all")
    assert await works(provider, access) is None
    clock.passed += 7201
    assert await works(provider, access) is False


async def test_revoking_ends_the_grant_and_its_tokens(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record
) -> None:
    held = committed(record, await bench.exchange(provider, "refresh", record))
    assert await provider.revoke(held) == "revoked: refresh_token, access_token"
    assert held.lease is not None
    assert await provider.probe(held.lease) is False
    judged = await bench.exchange(provider, "refresh", held)
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == ("20064", Remedy.CLIMB)


async def test_a_revocation_under_a_wrong_secret_is_told(
    bench: Bench, sandbox: Running, provider: Feishu, record: Record
) -> None:
    change_app(sandbox, secret="another")
    with pytest.raises(FreshdError) as error:
        await provider.revoke(record)
    assert "20002" in error.value.cause


APPS: list[tuple[dict[str, Any], str]] = [({}, "t-"), ({"token": "app"}, "a-"), ({"form": "oauth"}, "eyJ")]


@pytest.mark.parametrize(("keys", "prefix"), APPS)
async def test_an_apps_token_is_the_same_until_half_an_hour_is_left(
    bench: Bench, sandbox: Running, clock: Clock, keys: dict[str, Any], prefix: str
) -> None:
    provider = app(bench, sandbox, **keys)
    first = lease(await bench.exchange(provider, "issue", Record("a")))
    assert first.token.reveal().startswith(prefix)
    assert first.valid_for == 7200
    clock.passed += 5400
    again = lease(await bench.exchange(provider, "issue", Record("a")))
    assert (again.token, again.valid_for) == (first.token, 1800)
    clock.passed += 300
    new = lease(await bench.exchange(provider, "issue", Record("a")))
    assert (new.token != first.token, new.valid_for) == (True, 7200)


@pytest.mark.parametrize(("keys", "_"), APPS)
@pytest.mark.parametrize("fields", [{"secret": "another"}, {"enabled": False}, {"installed": False}])
@pytest.mark.parametrize("status", [200, 400])
async def test_an_app_that_is_refused_waits_for_its_operator(
    bench: Bench, sandbox: Running, keys: dict[str, Any], _: str, fields: dict[str, Any], status: int
) -> None:
    constants(sandbox, TENANT_REFUSAL_STATUS=status)
    change_app(sandbox, **fields)
    judged = await bench.exchange(app(bench, sandbox, **keys), "issue", Record("a"))
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.known) == (Remedy.CONFIG, True)


def corpse(provider: Feishu, access: str, clock: Clock) -> Record:
    now = clock.now()
    held = Grant("line", provider.binding, {"refresh_token": Secret("ur-dead")}, obtained=now, enrolled=now)
    return Record("a", 1, held, Lease("a", 1, Secret(access), now, 7200.0))


async def test_an_examination_names_the_cause_and_asks_no_token_endpoint_for_users(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock
) -> None:
    access, refresh = minted(sandbox, clock)
    record = corpse(provider, access, clock)

    async def causes(provider: Feishu = provider) -> set[str]:
        return {found.cause for found in await provider.examine(record)} - {""}

    assert await causes() == set()
    for endpoint in ("token", "userinfo"):
        strike(sandbox, fault="bad_gateway", endpoint=endpoint)
    assert await causes() == {"gateway"}
    strike(sandbox, fault="skew", seconds=600)
    assert "clock" in await causes()
    change_app(sandbox, secret="another")
    assert await causes() == {"app-refused"}
    change_app(sandbox, secret="sandbox-secret")
    found = sandbox.feishu.ledger.find(refresh)
    assert found is not None
    sandbox.ledger.kill(found[1], "revoked", clock())
    assert await causes() == {"revoked"}
    calls = sandbox.ledger.books.totals.calls
    assert not calls.keys() & FOR_USERS


async def test_a_lease_of_an_import_is_served_and_its_grant_renews(
    bench: Bench, sandbox: Running, provider: Feishu, clock: Clock
) -> None:
    access, refresh = minted(sandbox, clock)
    given = {"refresh_token": refresh, "access_token": access, "expires_at": f"{clock() + 7200}"}
    change = provider.adopt({name: Secret(value) for name, value in given.items()}, clock.now(), "line")
    assert change.lease is not None
    assert change.lease.valid_for == 7200
    assert await provider.probe(change.lease) is True
    assert lease(await bench.exchange(provider, "refresh", Record("a", 1, change.grant, change.lease))).valid_for > 0
    assert never_spent_twice(sandbox)
