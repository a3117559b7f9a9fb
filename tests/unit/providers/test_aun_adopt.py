"""What another client's store comes to; what its codes and refusals mean; what an examination says."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from freshd.core.finding import CAUSES
from freshd.core.model import Change, Record, Secret
from freshd.core.outcome import Lost, Reply
from freshd.errors import NotPossible
from freshd.providers.aun.adopt import adopt
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.explain import CODES, explained
from freshd.providers.aun.refusal import FAULTS
from freshd.providers.aun.token import is_dead
from tests.unit.providers.aun_issuer import URLS, Issuer, StillClock, agent
from tests.unit.providers.aun_parts import (
    CERTIFICATE,
    LONG_OVER,
    NEXT,
    OLD_CERTIFICATE,
    OTHER,
    OVER_CERTIFICATE,
    OWN,
    PKI,
    RECORD,
    SENT,
    options,
    record,
)
from tests.unit.providers.aun_pki import AID, NOW, pem_of

GOOD = {"private_key": pem_of(OWN), "certificate": CERTIFICATE}


def adopted(**given: str) -> Change:
    return adopt("a", {name: Secret(value) for name, value in given.items()}, SENT, "line", options())


def held(change: Change) -> dict[str, str]:
    assert change.grant is not None
    return {name: secret.reveal() for name, secret in change.grant.secrets.items()}


@pytest.mark.parametrize(
    "given",
    [GOOD, {"private_key_pem": pem_of(OWN), "cert": CERTIFICATE, "curve": "P-256", "aid": AID},
     {"private_key": pem_of(OWN), "cert_pem": CERTIFICATE}],
)  # fmt: skip
def test_a_key_and_its_certificate_become_a_grant(given: dict[str, str]) -> None:
    change = adopted(**given)
    assert set(held(change)) == {"private_key", "certificate", "chain", "current_certificate"}
    assert change.grant is not None
    assert change.grant.absolute_for is not None
    assert change.lease is None


def test_tokens_come_along() -> None:
    change = adopted(**GOOD, refresh_token="rt-1", access_token="at-1", access_token_expires_at=f"{NOW + 600:.0f}")
    assert held(change)["refresh_token"] == "rt-1"
    assert change.lease is not None
    assert (change.lease.valid_for, change.lease.fields["aid"]) == (600.0, AID)


@pytest.mark.parametrize("end", ["", "soon", "0", str(NOW - 1), str(NOW + 10**8), "nan"])
def test_a_token_whose_end_is_not_believable_is_not_published(end: str) -> None:
    assert adopted(**GOOD, access_token="at-1", expires_at=end).lease is None


def test_a_key_without_certificate_waits_for_an_enrolment() -> None:
    assert "certificate" not in held(adopted(private_key=pem_of(OWN)))


ENCRYPTED = OWN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")).decode()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"refresh_token": "rt-1"},
        {**GOOD, "private_key": "text"},
        {**GOOD, "private_key": ENCRYPTED},
        {**GOOD, "private_key": pem_of(OTHER)},
        {**GOOD, "certificate": "text"},
        {**GOOD, "certificate": PKI.agent(OWN, "eve.example.test")},
        {**GOOD, "refresh_token": "two words"},
        {**GOOD, "aid": "bob02.example.test"},
    ],
)
def test_what_does_not_belong_together_is_refused_without_its_value(given: dict[str, str]) -> None:
    with pytest.raises(NotPossible) as told:
        adopted(**given)
    assert not any(len(value) > 6 and value in f"{told.value.cause} {told.value.remedy}" for value in given.values())


# -- refusals that others met, codes of the history -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "dead"),
    [(4001, "4001", True), (4001, None, True), (401, None, True), (None, "-32001", True), (None, "-32005", True),
     (None, "-32003", True), (4009, "4009", False), (4010, "4010", False), (403, None, False), (4001, "-32004", False),
     (4015, None, False), (None, None, False), (429, "-32029", False), (4001, "closed", True)],
)  # fmt: skip
def test_only_what_speaks_of_the_token_makes_it_dead(status: int | None, code: str | None, dead: bool) -> None:
    assert is_dead(status, code) is dead


@pytest.mark.parametrize("code", [*CODES, *FAULTS])
def test_every_code_that_is_explained_comes_with_a_remedy(code: str) -> None:
    found = explained("mine", code)
    assert found is not None
    assert found.cause in {"", *CAUSES}
    assert "{account}" not in found.remedy
    assert found.remedy


def test_other_codes_explain_nothing() -> None:
    assert explained("mine", "429") is None


# -- examinations, farewells -----------------------------------------------------------------------------------------


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(lambda: NOW, certificate=CERTIFICATE, latency=0.0)


@pytest.fixture
def provider(issuer: Issuer, tmp_path: Path) -> Aun:
    return agent(issuer, StillClock(NOW), tmp_path)


async def levels(provider: Aun, known: Record = RECORD) -> dict[str, int]:
    return {one.text: one.level for one in await provider.examine(known)}


async def test_an_agent_that_is_well(provider: Aun, issuer: Issuer) -> None:
    assert set((await levels(provider)).values()) == {0}
    assert issuer.calls == []


@pytest.mark.parametrize(
    ("certificate", "cause"), [(OVER_CERTIFICATE, "expired"), (LONG_OVER, "expired"), ("", "never-enrolled")]
)
async def test_a_certificate_that_is_over_is_found(provider: Aun, certificate: str, cause: str) -> None:
    found = await provider.examine(record(certificate))
    assert (found[0].level, found[0].cause) == (2, cause)


async def test_troubles_are_found_one_by_one(provider: Aun, issuer: Issuer) -> None:
    assert 1 in (await levels(provider, record(OLD_CERTIFICATE))).values()
    issuer.pages["/health"] = Reply(503, (), b"")
    assert any("not healthy" in text for text in await levels(provider))
    issuer.pages = {"/pki/chain": Lost("x"), "/pki/cert/" + AID: Lost("x")}
    told = await levels(provider)
    assert any("chain cannot be had" in text for text in told)
    assert any("cannot be told" in text for text in told)
    issuer.pages, issuer.down = {}, {URLS[0]}
    assert any("does not answer as one" in text for text in await levels(provider))
    issuer.certificate = None
    assert any("not registered" in text for text in await levels(provider))
    issuer.certificate = PKI.agent(OTHER)
    assert any("another key" in text for text in await levels(provider))
    issuer.certificate = PKI.agent(NEXT)
    pending = record(candidate_key=pem_of(NEXT), candidate_since="0")
    assert any("taken over" in text for text in await levels(provider, pending))
    issuer.pages["/.well-known/aun-gateway"] = Reply(404, (), b"")


async def test_a_clock_that_is_off_is_found_by_the_challenge(issuer: Issuer, tmp_path: Path) -> None:
    early = agent(issuer, StillClock(NOW - 90), tmp_path)
    found = [one for one in await early.examine(RECORD) if one.cause == "clock"]
    assert found
    assert "behind" in found[0].text


async def test_nothing_can_be_ended_at_the_service(provider: Aun) -> None:
    with pytest.raises(NotPossible):
        await provider.revoke(RECORD)
    with pytest.raises(NotPossible):
        await provider.ask("device", None, Record("a"))
    with pytest.raises(NotPossible):
        await provider.operate("dance", {}, RECORD)
    with pytest.raises(NotPossible, match="no key or no certificate"):
        await provider.operate("rekey", {}, Record("a"))
    assert await provider.probe(RECORD.lease) is None if RECORD.lease else False


async def test_a_certificate_that_is_over_for_good_is_not_adopted(provider: Aun, issuer: Issuer) -> None:
    issuer.certificate = LONG_OVER
    with pytest.raises(NotPossible, match="does not renew it any more"):
        await provider.ask("auto", None, record(LONG_OVER))
    issuer.pages["/pki/cert/" + AID] = Reply(500, (), b"")
    with pytest.raises(NotPossible, match="cannot be told"):
        await provider.ask("auto", None, RECORD)


async def test_a_new_key_that_is_under_way_is_used_again_and_one_that_is_registered_is_taken(
    provider: Aun, issuer: Issuer
) -> None:
    pending = record(candidate_key=pem_of(NEXT), candidate_since="0")
    asked = await provider.operate("rekey", {}, pending)
    assert getattr(asked, "rung", "") == "rekey"
    assert "candidate_key" not in getattr(asked, "keeps", {})
    issuer.certificate = PKI.agent(NEXT)
    asked = await provider.operate("rekey", {}, pending)
    assert getattr(asked, "rung", "") == "settle-key"
    asked = await provider.ask("auto", None, pending)
    assert getattr(asked, "rung", "") == "adopt-certificate"
