"""Accounts of kind `oauth2` against the sandbox: every rung, every fault."""

import asyncio
import json
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from freshd.core.contract import Contract, Omitted
from freshd.core.ladder import for_person, top
from freshd.core.model import Binding, Record, Secret
from freshd.core.outcome import Answered, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.core.settings import SecretRef, Way
from freshd.errors import FreshdError
from freshd.providers.discovery import Discovery
from freshd.providers.http import Call, Route
from freshd.providers.oauth2.provider import OAuth2
from freshd.sandbox.server import Running
from freshd.sandbox.tokens import Holder
from tests.providers.conftest import SECRET, Bench, Clock, Raw, Script, lease_of, read_request


def minted(sandbox: Running, *, scope: str = "", client_id: str = "freshd") -> str:
    holder = Holder(client_id=client_id, subject="alice", scope=scope, label="a")
    return sandbox.ledger.mint(holder, sandbox.service.now()).text


def strike(sandbox: Running, **wish: Any) -> None:
    sandbox.faults.add_json(wish)


@pytest.fixture
def provider(bench: Bench, sandbox: Running) -> OAuth2:
    return bench.provider(issuer=sandbox.base_url)


@pytest.fixture
def record(bench: Bench, sandbox: Running, provider: OAuth2) -> Record:
    return bench.record(minted(sandbox), provider.binding)


async def works(bench: Bench, provider: OAuth2, token: Secret) -> bool | None:
    return await provider.probe(lease_of(Record("a"), token.reveal()))


async def test_a_refresh_yields_a_successor_and_a_lease_that_works(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record
) -> None:
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.grant is not None
    assert record.grant is not None
    assert change.lease is not None
    assert change.grant.secrets["refresh_token"] != record.grant.secrets["refresh_token"]
    assert change.grant.lineage == "line"
    assert change.lease.valid_for == 3600
    assert change.lease.generation == 2
    assert await works(bench, provider, change.lease.token) is True
    assert sandbox.ledger.books.totals.spent_uses == 0


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
async def test_client_credentials_are_issued_without_a_grant(bench: Bench, sandbox: Running, auth: str) -> None:
    provider = bench.provider(
        issuer=sandbox.base_url,
        client_id="freshd-web",
        client_secret=SECRET,
        client_auth=auth,
        grant_type="client_credentials",
        scope="read",
    )
    rung = top(provider.ladder, ())
    assert rung is not None
    assert rung.is_free
    judged = await bench.exchange(provider, rung.name, Record("a"))
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.grant is None
    assert change.lease is not None
    assert change.lease.fields["scope"] == "read"
    assert await works(bench, provider, change.lease.token) is True


UNTOUCHED = [
    ({"fault": "lost_before_commit"}, Lost),
    ({"fault": "lost_after_commit"}, Lost),
    ({"fault": "reset"}, Lost),
    ({"fault": "hang", "seconds": 0.01}, Lost),
    ({"fault": "status", "status": 503}, Unreadable("not a JSON object (status 503)", gateway=True)),
    ({"fault": "html"}, Unreadable("not a JSON object (status 200)")),
    ({"fault": "bad_gateway"}, Unreadable("not a JSON object (status 502)", gateway=True)),
    ({"fault": "gzip_bomb", "mebibytes": 1}, Unreadable("too large once unpacked (status 200)")),
    ({"fault": "gzip_bomb", "mebibytes": 200}, Unreadable("too large once unpacked (status 200)")),
    ({"fault": "huge"}, Unreadable("incomplete: too large (status 200)")),
    ({"fault": "redirect"}, Unreadable("a redirect, which is not followed (status 307)", gateway=True)),
    ({"fault": "rate_limited", "retry_after": 7}, Rejected("slow_down", Remedy.WAIT, 7.0)),
    ({"fault": "rate_limited", "retry_after": 7, "as_date": True}, Rejected("slow_down", Remedy.WAIT, 7.0)),
    ({"fault": "cut_short", "bytes": 10}, Unreadable("incomplete: the connection was closed (status 200)")),
    ({"fault": "oauth_error", "error": "invalid_grant"}, Rejected("invalid_grant", Remedy.CLIMB)),
    ({"fault": "oauth_error", "error": "invalid_client", "status": 401}, Rejected("invalid_client", Remedy.CONFIG)),
    ({"fault": "oauth_error", "error": "server_error", "status": 500}, Rejected("server_error", Remedy.WAIT)),
    ({"fault": "oauth_error", "error": "Oops", "status": 500},
     Unreadable("an error page in JSON (status 500)", gateway=True)),
    ({"fault": "missing_fields", "fields": ["access_token", "refresh_token"]},
     Unreadable("JSON with neither token nor error (status 200)")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "expected"), UNTOUCHED, ids=lambda value: str(value.get("fault", "")) if isinstance(value, dict) else ""
)
async def test_a_fault_is_told_as_what_it_is(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record, fault: dict[str, Any], expected: object
) -> None:
    strike(sandbox, **fault)
    intent, performed = await bench.perform(provider, "refresh", record)
    if isinstance(expected, type):
        assert isinstance(performed, expected)
    else:
        assert isinstance(performed, Reply), performed
        assert provider.read("refresh", record, intent, performed) == expected
    assert sandbox.service.leaked_posts == 0


async def test_an_unknown_code_keeps_everything_and_names_fields_only(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record
) -> None:
    strike(sandbox, fault="oauth_error", error="lunar_eclipse", description="s3cret")
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert not judged.known
    assert (judged.code, judged.remedy, judged.drop) == ("lunar_eclipse", Remedy.WAIT, frozenset())
    assert "error_description" in judged.detail
    assert "s3cret" not in judged.detail


GRANT_ONLY = [
    {"fault": "wrong_types"},
    {"fault": "missing_fields"},
    {"fault": "token_type_case", "text": "mac"},
    {"fault": "cut_short", "bytes": -1},
]


@pytest.mark.parametrize("fault", GRANT_ONLY, ids=lambda fault: fault["fault"])
async def test_a_successor_is_kept_when_the_rest_is_no_good(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record, fault: dict[str, Any]
) -> None:
    strike(sandbox, **fault, count=1)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.lease is None
    assert change.grant is not None
    assert judged.notes
    again = await bench.exchange(provider, "refresh", Record("a", 2, change.grant))
    assert isinstance(again, Answered)
    assert again.changes[0].lease is not None


LIVES = [("negative", 300.0), ("zero", 300.0), ("nan", 300.0), ("vast", 3600.0)]


@pytest.mark.parametrize(("lifetime", "life"), LIVES)
async def test_an_absurd_lifetime_shortens_the_lease_and_loses_nothing(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record, lifetime: str, life: float
) -> None:
    strike(sandbox, fault="absurd_lifetime", lifetime=lifetime)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.grant is not None
    assert change.lease is not None
    assert change.lease.valid_for == life
    assert judged.notes["expires_in"] == "unbelievable"


FINE = [{"fault": "token_type_case"}, {"fault": "code_as_text"}, {"fault": "skew", "seconds": 86_400}]


@pytest.mark.parametrize("fault", FINE, ids=lambda fault: fault["fault"])
async def test_harmless_oddities_change_nothing(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record, fault: dict[str, Any]
) -> None:
    strike(sandbox, **fault)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    assert not judged.notes
    lease = judged.changes[0].lease
    assert lease is not None
    assert lease.valid_for == 3600
    assert lease.fields["token_type"] == "Bearer"


async def test_an_omitted_successor_means_what_the_contract_says(
    bench: Bench, sandbox: Running, record: Record
) -> None:
    strike(sandbox, fault="no_refresh_token")
    sandbox.policies.change({"rotation": "reusable"})
    keeping = bench.provider(issuer=sandbox.base_url)
    judged = await bench.exchange(keeping, "refresh", record)
    assert isinstance(judged, Answered)
    assert record.grant is not None
    [change] = judged.changes
    assert change.grant is not None
    assert change.grant.secrets == record.grant.secrets
    assert not change.drop
    dying = bench.provider(Contract(omitted=Omitted.DEAD), issuer=sandbox.base_url)
    judged = await bench.exchange(dying, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.lease is not None
    assert change.grant is None
    assert change.drop == {"refresh_token"}


@pytest.mark.parametrize("scope", ["", "openid"])
async def test_an_answer_for_somebody_else_is_kept_and_withheld(bench: Bench, sandbox: Running, scope: str) -> None:
    provider = bench.provider(issuer=sandbox.base_url, subject="alice")
    record = bench.record(minted(sandbox, scope=scope), provider.binding)
    strike(sandbox, fault="wrong_subject", count=1)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.withheld == "the answer is for another subject"
    assert change.grant is not None
    assert change.grant.binding.subject == "somebody-else"


async def test_the_subject_is_learnt_from_the_id_token(bench: Bench, sandbox: Running, provider: OAuth2) -> None:
    record = bench.record(minted(sandbox, scope="openid"), provider.binding)
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    grant = judged.changes[0].grant
    assert grant is not None
    assert grant.binding.subject == "alice"
    assert provider.binding.subject is None


async def test_a_stated_life_of_the_refresh_token_is_kept(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record
) -> None:
    sandbox.policies.change({"refresh_expires_in_present": True, "refresh_idle_s": 7200.0})
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    grant = judged.changes[0].grant
    assert grant is not None
    assert grant.valid_for == 7200


async def test_a_person_enrols_with_a_code_and_the_grant_renews(bench: Bench, sandbox: Running, clock: Clock) -> None:
    provider = bench.provider(issuer=sandbox.base_url, scope="openid offline_access")
    material = await authorized(bench, provider)
    judged = await bench.exchange(provider, "authorize", Record("a"), **material)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.withheld is None
    assert change.grant is not None
    assert change.lease is not None
    assert change.grant.lineage == "new"
    assert change.grant.enrolled == clock.now()
    assert change.grant.binding == Binding("oauth2", sandbox.base_url, "freshd", "user")
    assert await works(bench, provider, change.lease.token) is True
    again = await bench.exchange(provider, "refresh", Record("a", 1, change.grant))
    assert isinstance(again, Answered)
    assert sandbox.ledger.books.totals.calls["refresh_token"] == 1


async def authorized(bench: Bench, provider: OAuth2) -> dict[str, Secret]:
    """The material after a person has approved in a browser."""
    asked = await provider.ask("code", "http://127.0.0.1:7777/", Record("mail"))
    performed = await bench.http.call(Call("GET", asked.url + "&auto=1"))
    assert isinstance(performed, Reply)
    back = urllib.parse.urlsplit(performed.header("Location") or "")
    given = dict(urllib.parse.parse_qsl(back.query))
    return {**asked.material, **{name: Secret(value) for name, value in given.items()}}


FORGED = [
    ({"state": "other"}, "state"),
    ({"iss": "https://evil.example"}, "iss"),
    ({"error": "access_denied"}, "access_denied"),
]


@pytest.mark.parametrize(("forged", "word"), FORGED)
async def test_a_forged_redirect_sends_nothing(
    bench: Bench, sandbox: Running, provider: OAuth2, forged: dict[str, str], word: str
) -> None:
    material = await authorized(bench, provider)
    material |= {name: Secret(value) for name, value in forged.items()}
    _, performed = await bench.perform(provider, "authorize", Record("a"), **material)
    assert isinstance(performed, NotSent)
    assert word in performed.reason
    assert sandbox.ledger.books.totals.calls == {}


async def test_a_redirect_that_must_name_its_issuer_and_does_not_is_refused(bench: Bench, provider: OAuth2) -> None:
    material = await authorized(bench, provider)
    del material["iss"]
    _, performed = await bench.perform(provider, "authorize", Record("a"), **material)
    assert isinstance(performed, NotSent)


async def test_an_answer_to_another_request_is_withheld(bench: Bench, sandbox: Running) -> None:
    provider = bench.provider(issuer=sandbox.base_url, scope="openid")
    material = await authorized(bench, provider) | {"nonce": Secret("another")}
    judged = await bench.exchange(provider, "authorize", Record("a"), **material)
    assert isinstance(judged, Answered)
    assert judged.changes[0].withheld == "the id_token answers another request"
    assert judged.changes[0].grant is not None


async def test_a_person_enrols_with_a_device(bench: Bench, sandbox: Running, provider: OAuth2, clock: Clock) -> None:
    asked = await provider.ask("device", None, Record("mail"))
    assert asked.rung == "device"
    assert asked.user_code
    assert asked.interval == 5.0
    assert asked.user_code in asked.url
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert judged == Rejected("authorization_pending", Remedy.WAIT, 5.0)
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert judged == Rejected("slow_down", Remedy.WAIT, 10.0)
    assert sandbox.service.consents.decide(asked.user_code, clock(), subject="alice", label="a")
    clock.passed += 10
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert isinstance(judged, Answered)
    assert judged.changes[0].grant is not None


async def test_a_person_may_say_no(bench: Bench, sandbox: Running, provider: OAuth2, clock: Clock) -> None:
    asked = await provider.ask("device", None, Record("mail"))
    assert sandbox.service.consents.decide(asked.user_code or "", clock(), subject="", label="", allowed=False)
    judged = await bench.exchange(provider, "device", Record("a"), **asked.material)
    assert judged == Rejected("access_denied", Remedy.PERSON)


async def test_a_flow_the_account_does_not_have_is_refused(bench: Bench, sandbox: Running) -> None:
    provider = bench.provider(issuer=sandbox.base_url, flows=["device"])
    rung = for_person(provider.ladder)
    assert rung is not None
    assert rung.name == "device"
    with pytest.raises(FreshdError):
        await provider.ask("code", "http://127.0.0.1:1/", Record("mail"))


async def test_revoking_ends_the_grant_and_its_tokens(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record
) -> None:
    judged = await bench.exchange(provider, "refresh", record)
    assert isinstance(judged, Answered)
    [change] = judged.changes
    assert change.lease is not None
    done = await provider.revoke(Record("a", 2, change.grant, change.lease))
    assert done == "revoked: refresh_token, access_token"
    assert await works(bench, provider, change.lease.token) is False
    assert sandbox.ledger.books.totals.killed_by["revoked"] == 1


async def test_a_grant_is_not_sent_to_another_service(bench: Bench, sandbox: Running, record: Record) -> None:
    elsewhere = bench.provider(issuer="http://127.0.0.1:1", token_endpoint=f"{sandbox.base_url}/token")
    _, performed = await bench.perform(elsewhere, "refresh", record)
    assert isinstance(performed, NotSent)
    with pytest.raises(FreshdError):
        await elsewhere.revoke(record)
    assert sandbox.ledger.books.totals.calls == {}


async def test_nothing_is_sent_unprepared_and_a_preparation_counts_once(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record
) -> None:
    intent = bench.intent("refresh", record)
    assert isinstance(await provider.perform("refresh", record, intent), NotSent)
    await bench.exchange(provider, "refresh", record)
    assert isinstance(await provider.perform("refresh", record, intent), NotSent)
    assert sandbox.ledger.books.totals.calls["refresh_token"] == 1


async def test_metadata_is_looked_up_once_for_all_who_ask_and_again_after_an_hour(
    bench: Bench, raw: Callable[[Script], Awaitable[Raw]], clock: Clock
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        body = json.dumps({"issuer": server.url, "token_endpoint": server.url + "/t"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = await raw(script)
    discovery = Discovery(bench.http, clock)
    found = await asyncio.gather(*(discovery.find(server.url, Route()) for _ in range(50)))
    assert {metadata.endpoints["token_endpoint"] for metadata in found} == {server.url + "/t"}
    assert len(server.accepted) == 1
    clock.passed += 3601
    await discovery.find(server.url, Route())
    assert len(server.accepted) == 2


async def test_metadata_outlives_an_outage(
    bench: Bench, sandbox: Running, provider: OAuth2, record: Record, clock: Clock
) -> None:
    await provider.prepare("refresh", record)
    strike(sandbox, fault="bad_gateway", endpoint="metadata")
    await provider.prepare("refresh", record)
    clock.passed += 4000
    await provider.prepare("refresh", record)
    fresh = bench.provider(issuer=sandbox.base_url)
    with pytest.raises(FreshdError):
        await fresh.prepare("refresh", record)


async def test_metadata_of_another_issuer_is_not_believed(bench: Bench, sandbox: Running, record: Record) -> None:
    provider = bench.provider(issuer=sandbox.base_url + "/tenant")
    with pytest.raises(FreshdError):
        await provider.prepare("refresh", record)


async def test_a_refresh_sends_what_was_configured(bench: Bench, sandbox: Running) -> None:
    sandbox.policies.change({"access_s": 60})
    provider = bench.provider(issuer=sandbox.base_url, scope="read", scope_on_refresh=True)
    wide = bench.record(minted(sandbox, scope="write"), provider.binding)
    judged = await bench.exchange(provider, "refresh", wide)
    assert judged == Rejected("invalid_scope", Remedy.CONFIG)


async def test_a_dead_token_is_told_from_a_narrow_one(provider: OAuth2) -> None:
    dead = [(401, None), (None, "invalid_token"), (403, "invalid_token"), (401, "token_expired")]
    alive = [
        (403, None),
        (None, None),
        (403, "insufficient_scope"),
        (401, "insufficient_scope"),
        (500, None),
        (429, None),
    ]
    assert all(provider.is_dead(*refusal) for refusal in dead)
    assert not any(provider.is_dead(*refusal) for refusal in alive)


async def test_a_probe_that_cannot_tell_says_so(bench: Bench, sandbox: Running, provider: OAuth2) -> None:
    strike(sandbox, fault="bad_gateway", endpoint="userinfo")
    assert await works(bench, provider, Secret("x")) is None
    unknown = bench.provider(token_endpoint=f"{sandbox.base_url}/token")
    assert await works(bench, unknown, Secret("x")) is None
    gone = bench.provider(issuer="http://127.0.0.1:1")
    assert await works(bench, gone, Secret("x")) is None


async def test_paces_are_kept_per_host_client_and_rung(provider: OAuth2, sandbox: Running) -> None:
    place = sandbox.base_url.removeprefix("http://")
    keys = [key for key, _ in provider.paces("refresh")]
    assert keys == [f"host:{place}", f"app:{place}/freshd", "account:a/refresh"]
    assert dict(provider.paces("refresh"))["account:a/refresh"].interval == 1.0


@pytest.mark.parametrize("as_jwk", [False, True])
async def test_a_client_may_prove_itself_with_a_key(
    bench: Bench, raw: Callable[[Script], Awaitable[Raw]], clock: Clock, *, as_jwk: bool
) -> None:
    key = ECKey.generate_key("P-256")
    reference = SecretRef(Way.FILE, ("/key",))
    bench.secrets[reference] = json.dumps(key.as_dict(private=True)) if as_jwk else key.as_pem(private=True).decode()
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b'HTTP/1.1 400 No\r\nContent-Length: 27\r\n\r\n{"error": "invalid_client"}')

    server = await raw(script)
    provider = bench.provider(
        token_endpoint=server.url + "/token",
        client_key=reference,
        client_key_id="k1",
        client_key_algorithm="ES256",
        grant_type="client_credentials",
    )
    judged = await bench.exchange(provider, "issue", Record("a"))
    assert judged == Rejected("invalid_client", Remedy.CONFIG)
    form = dict(urllib.parse.parse_qsl(seen[0].partition(b"\r\n\r\n")[2].decode()))
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    proof = jwt.decode(form["client_assertion"], key, algorithms=["ES256"])
    assert proof.header["kid"] == "k1"
    assert (proof.claims["iss"], proof.claims["aud"]) == ("freshd", server.url + "/token")
    assert proof.claims["exp"] == clock() + 60


async def test_a_key_that_is_none_is_told_without_a_word_of_it(bench: Bench) -> None:
    reference = SecretRef(Way.FILE, ("/key",))
    bench.secrets[reference] = "c4nary"
    provider = bench.provider(token_endpoint="https://service.invalid/", client_key=reference)
    with pytest.raises(FreshdError) as error:
        await provider.prepare("refresh", Record("a"))
    assert "c4nary" not in str(error.value.diagnostics())
    assert error.value.__cause__ is None
