"""Logins step by step: who answers is proven before anything is signed, and gateways take each other's place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from freshd.core.model import Intent, Record
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Rejected, Remedy, Reply
from freshd.errors import FreshdError
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.certificate import certificate_of
from tests.unit.providers.aun_issuer import URLS, Issuer, Refused, StillClock, Twist, agent, small
from tests.unit.providers.aun_parts import CERTIFICATE, LONG_OVER, OVER_CERTIFICATE, RECORD, record, secrets
from tests.unit.providers.aun_pki import DAY, ISSUER, NOW, Pki, key, signed
from tests.unit.providers.judged import lease


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


@pytest.fixture
def issuer(clock: StillClock) -> Issuer:
    return Issuer(lambda: clock.now().wall, certificate=CERTIFICATE, latency=0.0)


@pytest.fixture
def provider(issuer: Issuer, clock: StillClock, tmp_path: Path) -> Aun:
    return agent(issuer, clock, tmp_path)


async def exchange(provider: Aun, rung: str, known: Record = RECORD, candidate: str | None = None) -> Judged | str:
    material = await provider.prepare(rung, known)
    made = Intent("flight", "a", rung, "line", 3, provider._deps.clock.now(), material, candidate=candidate)
    performed = await provider.perform(rung, known, made)
    if isinstance(performed, Reply):
        return provider.read(rung, known, made, performed)
    return f"{type(performed).__name__}: {performed.reason}"


async def test_a_login_proves_the_service_and_then_signs(provider: Aun, issuer: Issuer) -> None:
    judged = await exchange(provider, "login")
    assert isinstance(judged, Answered)
    assert issuer.calls == ["auth.aid_login1", "auth.aid_login2"]
    assert [path.rpartition("/")[0] or path for path in issuer.looks] == [
        "/.well-known", "/pki", "/pki", "/pki/ocsp"
    ]  # fmt: skip
    assert lease(judged).fields["gateways"] == " ".join(URLS)


async def test_a_login_with_a_p256_service_and_an_ed25519_one(issuer: Issuer, provider: Aun) -> None:
    issuer.pki = Pki({"auth": {"key": key("small auth", is_small=True)}})
    assert isinstance(await exchange(provider, "login"), Answered)


def changed(**over: Any) -> dict[str, Any]:
    return {"auth": over}


FAULTS = [
    ("auth-cert-dates", Pki(changed(begins=NOW - 800 * DAY))),
    ("auth-cert-dates", Pki(changed(begins=NOW + DAY))),
    ("auth-cert-name", Pki(changed(name="mallory.example.test"))),
    ("auth-cert-name", Pki(changed(name="auth.example.com"))),
    ("auth-cert-issuer", Pki(changed(signer=Pki(label="else ").issuer))),
    ("auth-cert-issuer", Pki(changed(digest=hashes.SHA256()))),
    ("chain-dates", Pki({"Test Issuer": {"begins": NOW + DAY}})),
    ("chain-broken", Pki({"Test Issuer": {"digest": hashes.SHA256()}})),
]


@pytest.mark.parametrize(("word", "pki"), FAULTS)
async def test_nothing_is_signed_for_a_service_that_does_not_prove_itself(
    provider: Aun, issuer: Issuer, word: str, pki: Pki
) -> None:
    issuer.pki = pki
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy) == (word, Remedy.UNAVAILABLE)
    assert issuer.calls == ["auth.aid_login1"]


async def test_a_chain_that_ends_at_another_root_is_a_fault(provider: Aun, issuer: Issuer) -> None:
    issuer.pki = Pki(label="impostor ")
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert judged.code == "chain-root"


def _without(name: str) -> Twist:
    return lambda one: {key: value for key, value in one.items() if key != name}


@pytest.mark.parametrize(
    ("twist", "word"),
    [
        (_without("auth_cert"), "auth-cert-missing"),
        (_without("client_nonce_signature"), "auth-cert-missing"),
        (lambda one: {**one, "auth_cert": "text"}, "auth-cert-missing"),
        (lambda one: {**one, "client_nonce_signature": "!"}, "auth-cert-missing"),
        (lambda one: {**one, "client_nonce_signature": signed(key("else"), b"x")}, "auth-signature"),
        (lambda one: {**one, "client_nonce_signature": "AAAA"}, "auth-signature"),
    ],
)
async def test_an_answer_that_lacks_its_proof_is_a_fault(
    provider: Aun, issuer: Issuer, twist: Twist, word: str
) -> None:
    issuer.twist["auth.aid_login1"] = twist
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert judged.code == word
    assert "auth.aid_login2" not in issuer.calls


async def test_a_nonce_signed_with_the_wrong_hash_for_the_curve_is_a_fault(provider: Aun, issuer: Issuer) -> None:
    one, nonces = issuer.pki.auth.key, []
    honest = issuer._aid_login1

    def listen(params: Mapping[str, Any]) -> dict[str, Any]:
        import base64

        nonces.append(params["client_nonce"])
        wrong = one.sign(params["client_nonce"].encode(), ec.ECDSA(hashes.SHA256()))
        return {**honest(params), "client_nonce_signature": base64.b64encode(wrong).decode()}

    issuer._aid_login1 = listen  # type: ignore[method-assign]
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert judged.code == "auth-signature"
    await exchange(provider, "login")
    assert len(set(nonces)) == 2


async def test_the_name_of_the_service_may_be_another_one(issuer: Issuer, clock: StillClock, tmp_path: Path) -> None:
    issuer.pki = Pki(changed(name=f"id.{ISSUER}"))
    assert isinstance(await exchange(agent(issuer, clock, tmp_path), "login"), Rejected)
    again = agent(issuer, clock, tmp_path, auth_name=f"id.{ISSUER}")
    assert isinstance(await exchange(again, "login"), Answered)


def _serial(pki: Pki) -> str:
    return f"{pki.auth.raw.serial_number:x}"


async def test_a_revoked_service_is_a_fault_in_the_list_and_by_word(provider: Aun, issuer: Issuer) -> None:
    issuer.pages["/pki/crl.json"] = Reply(200, (), json.dumps({"revoked_serials": [_serial(issuer.pki)]}).encode())
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert judged.code == "auth-cert-revoked"
    issuer.pages = {f"/pki/ocsp/{_serial(issuer.pki)}": Reply(200, (), b'{"status": "revoked"}')}
    judged = await exchange(provider, "login")
    assert isinstance(judged, Rejected)
    assert judged.code == "auth-cert-revoked"
    assert "auth.aid_login2" not in issuer.calls


@pytest.mark.parametrize(
    "page", [Lost("x"), NotSent("x"), Reply(503, (), b"<html>"), Reply(200, (), b'{"status": "?"}')]
)
async def test_that_revocation_cannot_be_asked_for_stops_nothing(provider: Aun, issuer: Issuer, page: Reply) -> None:
    issuer.pages = {"/pki/crl.json": page, f"/pki/ocsp/{_serial(issuer.pki)}": page}
    assert isinstance(await exchange(provider, "login"), Answered)


@pytest.mark.parametrize("page", [Lost("timed out"), Reply(503, (), b"")])
async def test_without_the_issuers_chain_nothing_is_signed_and_nothing_is_wrong(
    provider: Aun, issuer: Issuer, page: Reply
) -> None:
    issuer.pages["/pki/chain"] = page
    assert str(await exchange(provider, "login")).startswith("NotSent: the issuer's chain cannot be had")
    assert issuer.calls == ["auth.aid_login1"]


async def test_roots_that_cannot_be_read_are_told_by_name(
    provider: Aun, issuer: Issuer, clock: StillClock, tmp_path: Path
) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    with pytest.raises(FreshdError, match="roots"):
        await exchange(provider, "login")
    (tmp_path / "roots.pem").unlink()
    with pytest.raises(FreshdError, match="cannot be read"):
        await exchange(provider, "login")


# -- refusals of the first half, gateways ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-32002, -32003, -32050, 429, -31000])
async def test_a_refusal_of_the_first_half_is_read_like_one_of_the_second(
    provider: Aun, issuer: Issuer, code: int
) -> None:
    issuer.script["auth.aid_login1"] = [Refused(code)]
    first = await exchange(provider, "login")
    issuer.script["auth.aid_login2"] = [Refused(code)]
    assert first == await exchange(provider, "login")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"result": {"nonce": "n"}}', b'{"result": {"request_id": 7}}'])
async def test_a_first_half_that_is_no_answer_costs_nothing(provider: Aun, issuer: Issuer, body: bytes) -> None:
    issuer.script["auth.aid_login1"] = [Reply(200, (), body)]
    assert str(await exchange(provider, "login")).startswith("NotSent:")


async def test_a_lost_first_half_costs_nothing_and_a_lost_second_half_is_lost(provider: Aun, issuer: Issuer) -> None:
    issuer.script["auth.aid_login1"] = [Lost("timed out")]
    assert await exchange(provider, "login") == "NotSent: timed out"
    issuer.script["auth.aid_login2"] = [Lost("timed out")]
    assert await exchange(provider, "login") == "Lost: timed out"


async def test_a_lost_renewal_is_no_doubt_and_a_lost_change_of_the_key_is(provider: Aun, issuer: Issuer) -> None:
    issuer.script = {"auth.renew_cert": [Lost("timed out")], "auth.rekey": [Lost("timed out")]}
    assert str(await exchange(provider, "renew")).startswith("NotSent:")
    from tests.unit.providers.aun_pki import pem_of

    pending = record(candidate_key=pem_of(small("candidate")))
    assert await exchange(provider, "rekey", pending, "new") == "Lost: timed out"


@pytest.mark.parametrize("rung", ["refresh", "login", "create", "settle-key"])
async def test_a_gateway_that_is_down_is_passed_over(provider: Aun, issuer: Issuer, rung: str) -> None:
    issuer.down = {URLS[0]}
    issuer.certificate = None if rung == "create" else CERTIFICATE
    known = record(refresh_token=issuer.token(), candidate_key="x", candidate_since="0", current_certificate=None)
    judged = await exchange(provider, rung, known, "new" if rung == "create" else None)
    assert isinstance(judged, Answered)
    issuer.certificate = CERTIFICATE
    again = await exchange(provider, "login")
    assert isinstance(again, Answered)
    if rung != "settle-key":
        assert lease(again).fields["gateways"].split()[0] == URLS[1]


async def test_what_was_written_to_one_gateway_is_not_written_to_the_next(provider: Aun, issuer: Issuer) -> None:
    issuer.script["auth.refresh_token"] = [Lost("closed")]
    assert await exchange(provider, "refresh", record(refresh_token=issuer.token())) == "Lost: closed"
    assert issuer.calls == ["auth.refresh_token"]


async def test_with_no_gateway_nothing_is_sent(provider: Aun, issuer: Issuer) -> None:
    issuer.down = set(URLS)
    for rung in ("refresh", "login", "renew"):
        assert await exchange(provider, rung) == "NotSent: connection refused"
    issuer.pages["/.well-known/aun-gateway"] = Reply(404, (), b"")
    assert issuer.calls == []


async def test_a_grant_of_another_agent_is_not_sent(issuer: Issuer, clock: StillClock, tmp_path: Path) -> None:
    other = agent(issuer, clock, tmp_path, gateway="wss://gw9.example.test/aun")
    assert "belongs to another" in str(await exchange(other, "refresh"))
    assert issuer.calls == []


async def test_a_certificate_that_is_over_is_renewed_for_ninety_days(
    provider: Aun, issuer: Issuer, clock: StillClock
) -> None:
    issuer.certificate = OVER_CERTIFICATE
    refused = await exchange(provider, "login", record(OVER_CERTIFICATE))
    assert isinstance(refused, Rejected)
    assert refused.remedy is Remedy.CLIMB
    judged = await exchange(provider, "renew", record(OVER_CERTIFICATE))
    assert isinstance(judged, Answered)
    made = certificate_of(secrets(judged)["certificate"])
    assert made is not None
    assert made.begins == NOW - 60
    issuer.certificate = LONG_OVER
    refused = await exchange(provider, "login", record(LONG_OVER))
    assert isinstance(refused, Rejected)
    assert refused.remedy is Remedy.PERSON


async def test_the_intent_of_a_login_holds_no_secret_of_ours(provider: Aun) -> None:
    material = await provider.prepare("login", RECORD)
    held = {secret.reveal() for secret in RECORD.grant.secrets.values()} if RECORD.grant else set()
    assert not held & {secret.reveal() for secret in material.values()}
