"""Agents of AUN against the stand-in: registered, logged in, refreshed, renewed, rekeyed, and what goes wrong."""

from pathlib import Path
from typing import Any

import pytest

from freshd.core.contract import Contract, Omitted
from freshd.core.model import EMPTY, Grant, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.core.profile import Margins
from freshd.providers.aun import gateways, side
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.options import Options, Schema
from freshd.providers.aun.signing import new_key
from freshd.sandbox.aun.levers import Minting
from freshd.sandbox.aun.pki import Curve, Flaw
from freshd.sandbox.server import Running
from tests.providers.conftest import Bench, Clock
from tests.unit.providers.judged import committed

CONTRACT = Contract(omitted=Omitted.DEAD, lease_life=3600)
AID = "alice01.sandbox.test"
DAY = 86_400.0
PATIENCE = 30.0
"""Seconds for whatever is waited for: a machine that stands still must not look like a gateway that does."""


@pytest.fixture
def provider(bench: Bench, sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aun:
    monkeypatch.setattr(gateways, "LOOK_SECONDS", PATIENCE)
    monkeypatch.setattr(side, "SIDE_SECONDS", PATIENCE)
    roots = tmp_path / "roots.pem"
    chain: str = sandbox.stands["aun"].aun.state.pki.chain
    roots.write_text("-----BEGIN" + chain.rpartition("-----BEGIN")[2])
    keys = {"aid": AID, "roots": str(roots), "discovery": sandbox.base_url, "deadline": PATIENCE}
    parsed = Schema().parse("a", keys)
    assert not parsed.problems, parsed.problems
    made: dict[str, Any] = dict(parsed.options)
    options = Options(**made)
    agent = Aun("a", options, options.terms(CONTRACT, Margins(0.45, 600)), bench.deps)
    agent._transport._connect = PATIENCE
    return agent


@pytest.fixture
def record(sandbox: Running, provider: Aun, clock: Clock) -> Record:
    return minted(sandbox, provider, clock)


def minted(sandbox: Running, provider: Aun, clock: Clock, **wish: Any) -> Record:
    kept: dict[str, Any] = sandbox.stands["aun"].levers.mint(Minting(aid=AID, **wish), clock())
    given = {name: Secret(str(kept[name])) for name in ("private_key", "cert", "refresh_token", "access_token")}
    change = provider.adopt(
        {**given, "expires_at": Secret(str(kept["expires_at"])), "aid": Secret(AID)}, clock.now(), "line"
    )
    return Record("a", 1, change.grant, change.lease)


def constants(sandbox: Running, **over: Any) -> None:
    sandbox.stands["aun"].aun.state.constants.change({f"AUN_SIM_{name}": value for name, value in over.items()})


def secret(known: Record, name: str) -> str | None:
    assert known.grant is not None
    held = known.grant.secrets.get(name)
    return None if held is None else held.reveal()


async def exchange(bench: Bench, provider: Aun, rung: str, known: Record) -> Judged:
    return await bench.exchange(provider, rung, known)


async def test_refresh_after_refresh_spends_each_token_once(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, clock: Clock
) -> None:
    for _ in range(4):
        clock.passed += 3000
        record = committed(record, await exchange(bench, provider, "refresh", record))
        assert record.lease is not None
        assert record.lease.valid_for == 3600
        assert record.lease.fields["gateways"].startswith("ws://127.0.0.1")
    assert sandbox.ledger.books.totals.spent_uses == 0


async def test_a_login_with_all_proofs(bench: Bench, provider: Aun, record: Record) -> None:
    judged = await exchange(bench, provider, "login", record)
    assert isinstance(judged, Answered), judged
    renewed = committed(record, judged)
    assert secret(renewed, "refresh_token") != secret(record, "refresh_token")
    assert isinstance(await exchange(bench, provider, "refresh", renewed), Answered)


async def test_an_agent_is_registered_and_then_adopted(bench: Bench, provider: Aun) -> None:
    asked = await provider.ask("auto", None, Record("a"))
    assert (asked.rung, asked.url, asked.prompt, set(asked.keeps)) == ("create", "", None, {"private_key"})
    now = bench.clock.now()
    bare = Record("a", 1, Grant("kept", provider.binding, asked.keeps, now, now))
    judged = await exchange(bench, provider, "create", bare)
    first = committed(bare, judged)
    assert isinstance(await exchange(bench, provider, "login", first), Answered)
    again = await provider.ask("auto", None, bare)
    assert (again.rung, again.keeps) == ("adopt-certificate", EMPTY)
    second = committed(bare, await exchange(bench, provider, "adopt-certificate", bare))
    assert secret(second, "certificate") == secret(first, "certificate")


async def test_a_certificate_is_renewed_also_after_its_end(
    bench: Bench, sandbox: Running, provider: Aun, clock: Clock
) -> None:
    over = minted(sandbox, provider, clock, cert_age_s=740 * DAY)
    refused = await exchange(bench, provider, "login", over)
    assert isinstance(refused, Rejected)
    assert refused.remedy is Remedy.CLIMB
    renewed = committed(over, await exchange(bench, provider, "renew", over))
    assert isinstance(await exchange(bench, provider, "login", renewed), Answered)


async def test_past_half_of_its_life_the_login_brings_a_certificate(
    bench: Bench, sandbox: Running, provider: Aun, clock: Clock
) -> None:
    old = minted(sandbox, provider, clock, cert_age_s=400 * DAY)
    renewed = committed(old, await exchange(bench, provider, "login", old))
    assert secret(renewed, "certificate") != secret(old, "certificate")
    assert secret(renewed, "current_certificate") == "0"


@pytest.mark.parametrize("kind", ["wrong_key", "foreign"])
async def test_a_certificate_that_is_not_ours_or_not_proven_is_not_taken(
    bench: Bench, sandbox: Running, provider: Aun, clock: Clock, kind: str
) -> None:
    old = minted(sandbox, provider, clock, cert_age_s=400 * DAY)
    constants(sandbox, NEW_CERT=kind, ACTIVE_CERT=False)
    judged = await exchange(bench, provider, "login", old)
    assert isinstance(judged, Answered), judged
    assert "new_cert" in judged.notes
    assert secret(committed(old, judged), "certificate") == secret(old, "certificate")
    assert secret(committed(old, judged), "current_certificate") is None


async def test_another_key_takes_over_and_the_older_one_is_refused(bench: Bench, provider: Aun, record: Record) -> None:
    asked = await provider.operate("rekey", {}, record)
    assert not isinstance(asked, dict)
    keeps = getattr(asked, "keeps", EMPTY)
    assert record.grant is not None
    pending = Record("a", 2, Grant("line", provider.binding, {**record.grant.secrets, **keeps},
                                   record.grant.obtained, record.grant.enrolled))  # fmt: skip
    changed = committed(pending, await exchange(bench, provider, "rekey", pending))
    assert isinstance(await exchange(bench, provider, "login", changed), Answered)
    refused = await exchange(bench, provider, "login", pending)
    assert isinstance(refused, Rejected)
    assert refused.remedy is Remedy.CLIMB
    settled = committed(pending, await exchange(bench, provider, "settle-key", pending))
    assert secret(settled, "private_key") == secret(changed, "private_key")
    assert isinstance(await exchange(bench, provider, "login", settled), Answered)


async def test_a_key_that_is_not_registered_is_told_apart(bench: Bench, provider: Aun, record: Record) -> None:
    assert record.grant is not None
    stranger = {**record.grant.secrets, "private_key": Secret(new_key())}
    wrong = Record("a", 1, Grant("line", provider.binding, stranger, record.grant.obtained, record.grant.enrolled))
    refused = await exchange(bench, provider, "login", wrong)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.remedy) == ("-32003", Remedy.CONFIG)
    told = await exchange(bench, provider, "settle-key", wrong)
    assert isinstance(told, Rejected)
    assert told.code == "other-key"


@pytest.mark.parametrize(
    ("over", "remedy"),
    [
        ({"REFRESH_REFUSAL": "result"}, Remedy.CLIMB),
        ({"REFRESH_REFUSAL": "error"}, Remedy.CLIMB),
        ({"REFRESH_REFUSAL": "result", "RELOGIN_FLAG": False, "REFRESH_REFUSAL_TEXT": "odd words"}, Remedy.CLIMB),
        ({"REFRESH_REFUSAL": "error", "REFRESH_REFUSAL_CODE": -32004}, Remedy.CONFIG),
    ],
)
async def test_a_refresh_token_that_is_over_is_refused_in_every_form(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, clock: Clock, over: dict[str, Any], remedy: Remedy
) -> None:
    constants(sandbox, **over)
    clock.passed += 8 * DAY
    judged = await exchange(bench, provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert judged.remedy is remedy


@pytest.mark.parametrize("form", ["error", "result"])
async def test_the_end_of_the_chain_leads_to_a_login(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, form: str
) -> None:
    constants(sandbox, CHAIN_REFRESHES=0, CHAIN_END=form)
    judged = await exchange(bench, provider, "refresh", record)
    assert isinstance(judged, Rejected)
    assert judged.remedy is Remedy.CLIMB
    assert isinstance(await exchange(bench, provider, "login", record), Answered)


@pytest.mark.parametrize("kind", ["early_frame", "not_json"])
async def test_a_gateway_that_does_not_challenge_first_gets_nothing(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, kind: str
) -> None:
    constants(sandbox, CHALLENGE=kind)
    _, performed = await bench.perform(provider, "refresh", record)
    assert isinstance(performed, NotSent)
    assert "before the challenge" in performed.reason


UNKNOWNS: list[dict[str, Any]] = [
    {"STRAY_FRAMES": True},
    {"UNKNOWN_FIELDS": True},
    {"CRL": "absent", "OCSP": "absent"},
    {"CRL": "pem", "OCSP": "standard"},
    {"CRL": "json", "OCSP": "not_der"},
    {"OCSP": "whole_key"},
    {"JWT_SIGNATURE": "der"},
    {"LOGIN_TOKENS": "no_refresh"},
    {"LOGIN_TOKENS": "token_only"},
    {"OLD_CERT_REQUIRED": True, "LOGIN_CERT_REQUIRED": True},
    {"EXPIRES_IN_FORM": "text"},
    {"EXPIRES_IN_FORM": "missing"},
    {"KITE_TOKEN": True},
]


@pytest.mark.parametrize("over", UNKNOWNS, ids="+".join)
async def test_what_nobody_knows_may_be_one_way_or_the_other(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, over: dict[str, Any]
) -> None:
    constants(sandbox, **over)
    judged = await exchange(bench, provider, "login", record)
    assert isinstance(judged, Answered), judged
    made = judged.changes[0].lease
    assert made is not None
    assert made.valid_for == 3600
    assert isinstance(await exchange(bench, provider, "renew", record), Answered)


def strike(sandbox: Running, **wish: Any) -> None:
    sandbox.faults.add_json({"count": 1, "endpoint": "auth.refresh_token", **wish})


@pytest.mark.parametrize("fault", ["html", "cut_short", "reset"])
async def test_what_comes_in_place_of_an_answer_is_none(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, fault: str
) -> None:
    strike(sandbox, fault=fault)
    intent, performed = await bench.perform(provider, "refresh", record)
    if isinstance(performed, Reply):
        assert isinstance(provider.read("refresh", record, intent, performed), Unreadable)
    else:
        assert isinstance(performed, Lost)


@pytest.mark.parametrize(
    ("flaw", "word"),
    [
        (Flaw.EXPIRED, "auth-cert-dates"),
        (Flaw.EARLY, "auth-cert-dates"),
        (Flaw.OTHER_NAME, "auth-cert-name"),
        (Flaw.REVOKED, "auth-cert-revoked"),
        (Flaw.FOREIGN, None),
    ],
)
async def test_a_login_service_that_is_not_proven_gets_no_signature(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, clock: Clock, flaw: Flaw, word: str | None
) -> None:
    sandbox.stands["aun"].aun.state.pki.roll(clock(), flaw=flaw)
    judged = await exchange(bench, provider, "login", record)
    assert isinstance(judged, Rejected)
    assert judged.remedy is Remedy.UNAVAILABLE
    assert judged.code == (word or judged.code)
    assert "nothing was signed" in judged.detail
    sandbox.stands["aun"].aun.state.pki.roll(clock())
    assert isinstance(await exchange(bench, provider, "login", record), Answered)


@pytest.mark.parametrize("curve", list(Curve))
async def test_a_login_service_may_have_either_curve(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, clock: Clock, curve: Curve
) -> None:
    sandbox.stands["aun"].aun.state.pki.roll(clock(), curve=curve)
    assert isinstance(await exchange(bench, provider, "login", record), Answered)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_refresh_is_lost_and_a_login_still_works(
    bench: Bench, sandbox: Running, provider: Aun, record: Record, when: str
) -> None:
    strike(sandbox, fault=f"lost_{when}_commit")
    _, performed = await bench.perform(provider, "refresh", record)
    assert isinstance(performed, Lost)
    assert isinstance(await exchange(bench, provider, "login", record), Answered)
    assert sandbox.ledger.books.totals.spent_uses == 0


async def test_an_examination_finds_what_is_good_and_spends_nothing(
    bench: Bench, sandbox: Running, provider: Aun, record: Record
) -> None:
    found = await provider.examine(record)
    assert [one.text for one in found if one.level] == []
    assert len(found) >= 4
    clock_off = await provider.examine(Record("a"))
    assert any(one.cause == "never-enrolled" for one in clock_off)
    assert isinstance(await exchange(bench, provider, "refresh", record), Answered)
    assert sandbox.ledger.books.totals.spent_uses == 0


async def test_operators_are_told_facts(provider: Aun, record: Record) -> None:
    told = await provider.operate("certificate", {}, record)
    assert isinstance(told, dict)
    assert (told["registered"], told["state"]) == ("this certificate", "good")


async def test_too_many_calls_are_answered_with_a_wait(
    bench: Bench, sandbox: Running, provider: Aun, record: Record
) -> None:
    constants(sandbox, PREAUTH_PER_MIN=1, RETRY_AFTER_S=7)
    outcomes = [await exchange(bench, provider, "refresh", record) for _ in range(2)]
    last = outcomes[-1]
    assert isinstance(last, Rejected | Unreadable)
    assert isinstance(last, Rejected)
    assert (last.remedy, last.retry_after) == (Remedy.WAIT, 7.0)


async def test_an_answer_is_escrowed_as_it_came(bench: Bench, provider: Aun, record: Record) -> None:
    intent, performed = await bench.perform(provider, "refresh", record)
    assert isinstance(performed, Reply)
    assert b'"jsonrpc"' in performed.body
    assert provider.read("refresh", record, intent, performed) == provider.read("refresh", record, intent, performed)
