"""Accounts of GeniusAuth over real sockets: against chosen bytes, and against the stand-in with its faults."""

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, Rejected, Remedy, Reply, Unreadable
from freshd.errors import LeaseRefused, NotPossible
from freshd.ports import Asked
from freshd.providers.geniusauth.options import Options, Schema
from freshd.providers.geniusauth.provider import GeniusAuth
from freshd.providers.http import Call
from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.levers import Mint
from freshd.sandbox.geniusauth.service import GeniusAuth as Stand
from freshd.sandbox.geniusauth.state import Broken
from freshd.sandbox.server import Running, Settings, start
from tests.providers.conftest import SECRET, Bench, Clock, Raw, Script, read_request, says
from tests.unit.providers.judged import committed, lease, rejected

APP = "sandboxapp"
DAY = 86_400.0
LIFE = 30 * DAY
CONTRACT = Contract(reuse=Reuse.REUSABLE, lease_life=300, absolute_life=LIFE)
STAND = "freshd.sandbox.geniusauth.service:mount"
Serve = Callable[[Script], Awaitable[Raw]]


def account(bench: Bench, url: str, **keys: Any) -> GeniusAuth:
    parsed = Schema().parse("a", {"app_code": APP, "app_secret": SECRET, "base_url": url, **keys})
    assert not parsed.problems
    options: dict[str, Any] = dict(parsed.options)
    return GeniusAuth("a", Options(**options), CONTRACT, bench.deps)


# -- chosen bytes -----------------------------------------------------------------------------------------------------


def http(status: str, body: str, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


async def test_a_redirect_is_not_followed_so_that_a_signed_body_goes_nowhere_else(bench: Bench, raw: Serve) -> None:
    other = await raw(says(http("200 OK", '{"code":0,"data":{"access_token":"t"}}')))
    server = await raw(says(http("307 Temporary Redirect", "", f"Location: {other.url}/api/v1/app/token/refresh/")))
    provider = account(bench, server.url)
    judged = await bench.exchange(provider, "refresh", bench.record("rt", provider.binding))
    assert isinstance(judged, Unreadable)
    assert (len(server.accepted), len(other.accepted)) == (1, 0)


async def test_what_ends_a_login_comes_in_the_query_and_without_a_body(bench: Bench, raw: Serve) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(http("200 OK", '{"code":0}'))

    server = await raw(script)
    provider = account(bench, server.url)
    await provider.revoke(bench.record("hdr.body.sig", provider.binding))
    [request] = seen
    line, head = request.split(b"\r\n", 1)
    method, target, _ = line.decode().split(" ")
    assert (method, target.partition("?")[0]) == ("DELETE", "/api/v1/app/token/refresh/")
    told = urllib.parse.parse_qs(target.partition("?")[2])
    assert set(told) == {"token", "appCode", "timeStamp", "signature"}
    assert head.endswith(b"\r\n\r\n")
    assert b"hdr.body.sig" not in head


async def test_a_login_whose_answer_is_lost_is_sent_once(bench: Bench, raw: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    server = await raw(script)
    _, performed = await bench.perform(account(bench, server.url), "login", Record("a"), code=Secret("t.o.k"))
    assert isinstance(performed, Lost)
    assert "used up" in performed.reason
    assert len(server.accepted) == 1


# -- the stand-in -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[Running]:
    async with await start(Settings(now=clock, seed=1, stands=(STAND,))) as running:
        yield running


@pytest.fixture
def stand(sandbox: Running) -> Stand:
    found = sandbox.stands["geniusauth"]
    assert isinstance(found, Stand)
    return found


@pytest.fixture
def provider(bench: Bench, sandbox: Running) -> GeniusAuth:
    return account(bench, sandbox.base_url)


def minted(bench: Bench, stand: Stand, provider: GeniusAuth, label: str = "a", **wish: Any) -> Record:
    """A record as if a person had just logged in."""
    given = Mint(label=label, **{"valid_s": LIFE, **wish})
    refresh, access = stand.levers.mint(given, label, bench.clock() + stand.state.offset_s)
    sealed = {"refresh_token": Secret(refresh.text)}
    change = provider.adopt({**sealed, "access_token": Secret(access.text)}, bench.clock.now(), "line")
    assert change.grant is not None
    return Record("a", 1, change.grant, change.lease)


def constants(stand: Stand, **over: Any) -> None:
    stand.state.constants.change({f"GENIUS_SIM_{name}": value for name, value in over.items()})


def held(record: Record) -> Grant:
    assert record.grant is not None
    return record.grant


def code(judged: Judged) -> str:
    refusal = rejected(judged)
    assert (refusal.drop, refusal.known) == (frozenset(), True)
    return refusal.code


async def logged_in(bench: Bench, provider: GeniusAuth, uid: str = "8") -> dict[str, Secret]:
    """The material after a person has logged in in a browser."""
    asked = await provider.ask("auto", None, Record("a"))
    performed = await bench.http.call(Call("GET", f"{asked.url}&auto=1&subject={uid}&label=a"))
    assert isinstance(performed, Reply), performed
    return {**asked.material, "code": Secret(performed.header("Location") or "")}


async def test_a_person_logs_in_and_the_grant_renews_until_its_fixed_end(
    bench: Bench, stand: Stand, provider: GeniusAuth, clock: Clock
) -> None:
    judged = await bench.exchange(provider, "login", Record("a"), **await logged_in(bench, provider))
    record = committed(Record("a"), judged)
    assert (held(record).binding.subject, held(record).absolute_for) == ("8", LIFE)
    for _ in range(4):
        clock.passed += 280
        judged = await bench.exchange(provider, "refresh", record)
        assert lease(judged).valid_for == 300
        assert await provider.probe(lease(judged)) is True
    assert stand.state.records.ledger.books.totals.spent_uses == 0
    clock.passed += LIFE
    found = await bench.exchange(provider, "refresh", record)
    assert code(found) == "31"
    assert isinstance(found, Rejected)
    assert (found.again, found.remedy) == ((), Remedy.PERSON)


async def test_a_login_lasts_and_carries_what_was_asked_for(bench: Bench, sandbox: Running, stand: Stand) -> None:
    provider = account(bench, sandbox.base_url, valid=604_800, payload="门-01 a=b&c", client_ip="192.0.2.1")
    judged = await bench.exchange(provider, "login", Record("a"), **await logged_in(bench, provider))
    record = committed(Record("a"), judged)
    assert held(record).absolute_for == 604_800
    assert held(record).secrets["payload"] == Secret("门-01 a=b&c")
    assert lease(await bench.exchange(provider, "refresh", record)).fields["payload"] == "门-01 a=b&c"


@pytest.mark.parametrize("keys", [{"payload": "p" * 33}, {"valid": 604_799}])
async def test_what_the_configuration_refuses_the_service_would_refuse_too(
    bench: Bench, stand: Stand, provider: GeniusAuth, keys: dict[str, Any]
) -> None:
    material = await logged_in(bench, provider)
    provider._options = provider._options.model_copy(update=keys)
    assert code(await bench.exchange(provider, "login", Record("a"), **material)) == "1"


async def test_a_login_token_works_once(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    material = await logged_in(bench, provider)
    assert isinstance(await bench.exchange(provider, "login", Record("a"), **material), Answered)
    found = await bench.exchange(provider, "login", Record("a"), **material)
    assert code(found) == "6"
    assert isinstance(found, Rejected)
    assert found.remedy is Remedy.PERSON


async def test_a_login_that_brings_no_access_token_renews(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    constants(stand, LOGIN_EMPTY_ACCESS=True)
    judged = await bench.exchange(provider, "login", Record("a"), **await logged_in(bench, provider))
    record = committed(Record("a"), judged)
    assert record.lease is None
    assert lease(await bench.exchange(provider, "refresh", record)).valid_for == 300


async def test_a_stranger_who_logs_in_is_withheld(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    from freshd.sandbox.geniusauth.people import Person

    stand.levers.put_person(Person(uid=9, name="other"), bench.clock())
    record = minted(bench, stand, provider)
    judged = await bench.exchange(provider, "login", record, **await logged_in(bench, provider, "9"))
    assert isinstance(judged, Answered)
    assert judged.changes[0].withheld == "the answer is for another user"


# -- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-11.0, 11.0, -400.0, 400.0])
async def test_a_clock_that_is_off_costs_one_refusal_at_most(
    bench: Bench, stand: Stand, provider: GeniusAuth, offset: float
) -> None:
    record = minted(bench, stand, provider)
    stand.state.offset_s = offset
    found = await bench.exchange(provider, "refresh", record)
    if isinstance(found, Rejected):
        assert (found.code, found.again) == ("9", (1.0,))
        found = await bench.exchange(provider, "refresh", record)
    assert lease(found).valid_for == 300


@pytest.mark.parametrize("offset", [-400.0, 400.0])
async def test_a_persons_login_is_not_risked_for_a_clock(
    bench: Bench, stand: Stand, provider: GeniusAuth, offset: float
) -> None:
    stand.state.offset_s = offset
    judged = await bench.exchange(provider, "login", Record("a"), **await logged_in(bench, provider))
    assert isinstance(judged, Answered)
    assert stand.state.counts.burnt == 0


async def test_a_wrong_secret_is_told_before_a_person_logs_in(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    bench.secrets[SECRET] = "wrong"
    with pytest.raises(NotPossible) as caught:
        await provider.ask("auto", None, Record("a"))
    assert "app_secret" in caught.value.remedy
    judged = await bench.exchange(provider, "refresh", minted(bench, stand, provider))
    assert (code(judged), isinstance(judged, Rejected) and judged.remedy) == ("6", Remedy.CONFIG)


# -- 31 ---------------------------------------------------------------------------------------------------------------


async def test_a_store_that_fails_takes_no_grant(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    record = minted(bench, stand, provider)
    stand.state.broken = Broken.STORE
    found = await bench.exchange(provider, "refresh", record)
    assert isinstance(found, Rejected)
    assert (found.code, found.again, found.host) == ("31", (5.0, 30.0, 120.0), f"geniusauth {provider._options.place}")
    assert found.dead == frozenset()
    stand.state.broken = Broken.NOTHING
    assert isinstance(await bench.exchange(provider, "refresh", record), Answered)


async def test_several_accounts_that_a_change_of_groups_ends_name_one_cause(
    bench: Bench, stand: Stand, provider: GeniusAuth
) -> None:
    records = [minted(bench, stand, provider, label) for label in ("a", "b", "c")]
    stand.levers.raise_oid(8, bench.clock())
    found = [await bench.exchange(provider, "refresh", record) for record in records]
    assert {code(one) for one in found} == {"31"}
    assert len({one.host for one in found if isinstance(one, Rejected)} - {None}) == 1


@pytest.mark.parametrize(("broken", "said"), [(Broken.DATABASE, "4"), (Broken.FAULT, "8")])
async def test_a_failure_behind_the_service_is_waited_for(
    bench: Bench, stand: Stand, provider: GeniusAuth, broken: Broken, said: str
) -> None:
    record = minted(bench, stand, provider)
    stand.state.broken = broken
    found = await bench.exchange(provider, "refresh", record)
    assert (code(found), isinstance(found, Rejected) and found.remedy) == (said, Remedy.WAIT)


async def test_a_deleted_application_is_a_matter_of_the_configuration(
    bench: Bench, stand: Stand, provider: GeniusAuth
) -> None:
    record = minted(bench, stand, provider)
    stand.levers.delete_app(APP, cached=False)
    found = await bench.exchange(provider, "refresh", record)
    assert (code(found), isinstance(found, Rejected) and found.remedy) == ("3", Remedy.CONFIG)


# -- payload, questions, the end --------------------------------------------------------------------------------------


async def test_another_payload_leaves_the_older_token_alive_and_the_end_where_it_was(
    bench: Bench, stand: Stand, provider: GeniusAuth, clock: Clock
) -> None:
    record = minted(bench, stand, provider, payload="tenant-a")
    clock.passed += DAY
    asked = await provider.operate("payload", {"payload": Secret("门 b")}, record)
    assert isinstance(asked, Asked)
    newer = committed(record, await bench.exchange(provider, asked.rung, record, **asked.material))
    assert held(newer).lineage == "new"
    assert (held(newer).enrolled, held(newer).absolute_for) == (held(record).enrolled, held(record).absolute_for)
    await provider.retire(held(record), held(newer))
    for one, payload in ((record, "tenant-a"), (newer, "门 b")):
        assert lease(await bench.exchange(provider, "refresh", one)).fields["payload"] == payload


async def test_operators_are_told_whose_the_token_is(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    record = minted(bench, stand, provider, payload="tenant-a")
    assert await provider.operate("verify", {}, record) == {"uid": "8", "payload": "tenant-a"}
    told = await provider.operate("whoami", {}, record)
    assert not isinstance(told, Asked)
    assert (told["uid"], told["name"]) == ("8", "user")
    stand.levers.raise_oid(8, bench.clock())
    with pytest.raises(LeaseRefused):
        await provider.operate("verify", {}, record)


async def test_a_login_is_ended_for_good_and_ending_it_again_is_no_failure(
    bench: Bench, stand: Stand, provider: GeniusAuth
) -> None:
    record = minted(bench, stand, provider)
    assert record.lease is not None
    assert await provider.probe(record.lease) is True
    for _ in range(2):
        assert (await provider.revoke(record)).startswith("revoked: ")
    assert await provider.probe(record.lease) is False
    assert code(await bench.exchange(provider, "refresh", record)) == "31"


async def test_a_login_that_was_replaced_is_ended_once_the_newer_one_is_kept(
    bench: Bench, stand: Stand, provider: GeniusAuth, clock: Clock
) -> None:
    old = minted(bench, stand, provider)
    clock.passed += 5
    new = committed(old, await bench.exchange(provider, "login", old, **await logged_in(bench, provider)))
    await provider.retire(held(old), held(new))
    assert code(await bench.exchange(provider, "refresh", old)) == "31"
    assert isinstance(await bench.exchange(provider, "refresh", new), Answered)


async def test_a_server_that_reads_the_body_gets_it_there(bench: Bench, sandbox: Running, stand: Stand) -> None:
    in_body = account(bench, sandbox.base_url, delete_in_body=True)
    with pytest.raises(NotPossible):
        await in_body.revoke(minted(bench, stand, in_body))
    constants(stand, DELETE_IN_BODY=True)
    assert (await in_body.revoke(minted(bench, stand, in_body))).startswith("revoked: ")


async def test_an_examination_finds_what_is_wrong_and_spends_nothing(
    bench: Bench, stand: Stand, provider: GeniusAuth
) -> None:
    record = minted(bench, stand, provider)
    assert [one.level for one in await provider.examine(record)] == [0, 0]
    stand.levers.raise_oid(8, bench.clock())
    assert [one.cause for one in await provider.examine(record)] == ["", "revoked"]
    stand.state.apps.register(App(app_code=APP, secret="another"))
    assert [one.cause for one in await provider.examine(replace(record, lease=None))] == ["app-refused"]
    assert stand.state.records.ledger.books.totals.refreshes == 0


# -- the service's page, to the letter --------------------------------------------------------------------------------


@pytest.fixture
def page(bench: Bench, sandbox: Running, stand: Stand) -> GeniusAuth:
    constants(stand, DIALECT="wiki", WIKI_TAKES_JSON=False)
    return account(bench, sandbox.base_url, dialect="wiki", app_secret=None, payload="tenant-a", patch_fallback=True)


async def test_by_its_page_a_login_and_the_way_round_work(bench: Bench, page: GeniusAuth) -> None:
    record = committed(Record("a"), await bench.exchange(page, "login", Record("a"), **await logged_in(bench, page)))
    assert held(record).binding.subject == "8"
    found = await bench.exchange(page, "refresh", record)
    assert (code(found), isinstance(found, Rejected) and found.remedy) == ("no-access-token", Remedy.CLIMB)
    judged = await bench.exchange(page, "patch", record)
    assert lease(judged).fields["payload"] == "tenant-a"
    newer = committed(record, judged)
    assert held(newer).lineage == held(record).lineage
    assert await page.operate("verify", {}, newer) == {"uid": "8", "payload": "tenant-a"}
    assert (await page.revoke(newer)).startswith("revoked: ")


async def test_by_its_page_a_renewal_alone_is_no_renewal(bench: Bench, sandbox: Running, stand: Stand) -> None:
    constants(stand, DIALECT="wiki")
    for keys in ({}, {"patch_fallback": True}):
        provider = account(bench, sandbox.base_url, **keys)
        found = await bench.exchange(provider, "refresh", minted(bench, stand, provider))
        assert (code(found), isinstance(found, Rejected) and found.remedy) == ("incompatible-server", Remedy.PERSON)


async def test_by_its_page_not_authorised_is_5_and_takes_nothing(bench: Bench, stand: Stand, page: GeniusAuth) -> None:
    material = await logged_in(bench, page)
    assert isinstance(await bench.exchange(page, "login", Record("a"), **material), Answered)
    found = await bench.exchange(page, "login", Record("a"), **material)
    assert (code(found), isinstance(found, Rejected) and found.remedy) == ("5", Remedy.PERSON)


async def test_forms_are_no_language_of_its_program(bench: Bench, sandbox: Running, stand: Stand) -> None:
    odd = account(bench, sandbox.base_url, dialect="wiki", app_secret=None)
    found = await bench.exchange(odd, "refresh", minted(bench, stand, odd))
    assert (code(found), isinstance(found, Rejected) and found.remedy) == ("1", Remedy.BUG)


# -- on the way -------------------------------------------------------------------------------------------------------

LOST = ("lost_before_commit", "lost_after_commit")


def strike(sandbox: Running, fault: str, **wish: Any) -> None:
    sandbox.faults.add_json({"fault": fault, "count": 1, **wish})


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_costs_nothing_where_nothing_is_spent(
    bench: Bench, sandbox: Running, stand: Stand, provider: GeniusAuth, fault: str
) -> None:
    record = minted(bench, stand, provider, payload="tenant-a")
    for rung, material in (("refresh", {}), ("payload", {"payload": Secret("b")})):
        strike(sandbox, fault)
        _, performed = await bench.perform(provider, rung, record, **material)
        assert isinstance(performed, Lost)
        assert isinstance(await bench.exchange(provider, rung, record, **material), Answered)
    assert stand.state.records.ledger.books.totals.spent_uses == 0


async def test_after_a_lost_answer_to_a_login_only_another_login_helps(
    bench: Bench, sandbox: Running, stand: Stand, provider: GeniusAuth
) -> None:
    material = await logged_in(bench, provider)
    strike(sandbox, "lost_after_commit")
    _, performed = await bench.perform(provider, "login", Record("a"), **material)
    assert isinstance(performed, Lost)
    assert "used up" in performed.reason
    judged = await bench.exchange(provider, "login", Record("a"), **await logged_in(bench, provider))
    assert isinstance(judged, Answered)


@pytest.mark.parametrize("fault", ["html", "bad_gateway", "redirect", "cut_short", "huge", "gzip_bomb"])
async def test_what_stands_in_between_is_no_refusal(
    bench: Bench, sandbox: Running, stand: Stand, provider: GeniusAuth, fault: str
) -> None:
    record = minted(bench, stand, provider)
    strike(sandbox, fault)
    assert isinstance(await bench.exchange(provider, "refresh", record), Unreadable | Rejected)
    assert isinstance(await bench.exchange(provider, "refresh", record), Answered)


async def test_an_answer_for_somebody_else_is_not_handed_out(
    bench: Bench, sandbox: Running, stand: Stand, provider: GeniusAuth
) -> None:
    record = minted(bench, stand, provider)
    strike(sandbox, "wrong_subject", subject="9")
    assert code(await bench.exchange(provider, "refresh", record)) == "wrong-identity"


async def test_a_code_may_come_as_text(bench: Bench, stand: Stand, provider: GeniusAuth) -> None:
    constants(stand, CODE_AS_TEXT=True)
    assert isinstance(await bench.exchange(provider, "refresh", minted(bench, stand, provider)), Answered)
