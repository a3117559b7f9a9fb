"""Chains of certificates, their dates and roots; revocation in its four forms; and texts that are nothing of it."""

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.outcome import Lost, Reply
from freshd.providers.aun.certificate import (
    Certificate,
    certificate_of,
    chain_of,
    chain_problem,
    is_issued_by,
)
from freshd.providers.aun.revocation import is_revoked, listed, serial_of
from freshd.providers.aun.side import registered_in
from tests.unit.providers.aun_parts import CERTIFICATE, OWN, PKI
from tests.unit.providers.aun_pki import AID, DAY, NOW, Pki


def roots(pki: Pki = PKI) -> tuple[Certificate, ...]:
    return chain_of(pki.root.pem)


def problem(chain: str, wall: float = NOW, pki: Pki = PKI) -> str | None:
    return chain_problem(chain_of(chain), roots(pki), wall)


def test_a_good_chain_ends_at_the_root() -> None:
    assert problem(PKI.chain) is None
    assert problem(PKI.root.pem) is None


@pytest.mark.parametrize(
    ("chain", "word"),
    [
        ("", "chain-missing"),
        ("no certificate", "chain-missing"),
        (PKI.chain * 3, "chain-missing"),
        (PKI.issuer.pem + PKI.registry.pem, "chain-broken"),
        (PKI.issuer.pem + PKI.root.pem, "chain-broken"),
        (PKI.registry.pem + PKI.issuer.pem + PKI.root.pem, "chain-no-ca"),
        (CERTIFICATE + PKI.chain, "chain-no-ca"),
        (Pki(label="other ").chain, "chain-root"),
    ],
)
def test_a_chain_that_does_not_hold(chain: str, word: str) -> None:
    assert problem(chain) == word


@pytest.mark.parametrize("name", ["Test Root", "Test Registry", "Test Issuer"])
@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({"begins": NOW - 8000 * DAY}, "chain-dates"),
        ({"begins": NOW + DAY}, "chain-dates"),
        ({"is_ca": False, "below": None}, "chain-no-ca"),
    ],
)
def test_every_element_must_be_in_its_time_and_a_ca(name: str, over: dict[str, object], word: str) -> None:
    pki = Pki({name: over})
    assert problem(pki.chain, pki=pki) == word


def test_no_ca_may_have_more_below_it_than_it_allows() -> None:
    pki = Pki({"Test Registry": {"below": 0}})
    assert problem(pki.chain, pki=pki) == "chain-no-ca"


@pytest.mark.parametrize("name", ["Test Registry", "Test Issuer"])
def test_a_signature_with_the_hash_of_the_other_curve_does_not_hold(name: str) -> None:
    pki = Pki({name: {"digest": hashes.SHA256()}})
    assert problem(pki.chain, pki=pki) == "chain-broken"


def test_clocks_may_be_off_by_minutes_and_no_more() -> None:
    pki = Pki({"Test Issuer": {"begins": NOW}})
    assert problem(pki.chain, NOW - 290, pki) is None
    assert problem(pki.chain, NOW - 310, pki) == "chain-dates"


def test_a_root_renewed_with_the_same_key_is_the_same_root() -> None:
    again = Pki({"Test Root": {"serial": 77}})
    assert problem(again.chain) is None


def test_who_issued_what() -> None:
    own, issuer, registry = (
        certificate_of(CERTIFICATE),
        certificate_of(PKI.issuer.pem),
        certificate_of(PKI.registry.pem),
    )
    assert own is not None
    assert issuer is not None
    assert registry is not None
    assert is_issued_by(own, issuer)
    assert not is_issued_by(own, registry)
    assert not is_issued_by(own, own)
    assert (own.name, own.is_ca, own.half) == (AID, False, (own.begins + own.ends) / 2)
    assert own.pem == CERTIFICATE


def _pem(raw: bytes) -> str:
    body = base64.encodebytes(raw).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


@given(st.text(max_size=200) | st.binary(max_size=200).map(_pem) | st.none() | st.integers())
def test_what_is_no_certificate_is_none(text: object) -> None:
    assert certificate_of(text) is None
    assert chain_of(str(text)) == ()


@given(st.integers(0, 900), st.integers(0, 255))
def test_a_damaged_certificate_is_none_or_harmless(at: int, value: int) -> None:
    der = bytearray(base64.b64decode("".join(CERTIFICATE.splitlines()[1:-1])))
    der[at % len(der)] = value
    one, issuer = certificate_of(_pem(bytes(der))), chain_of(PKI.chain)[0]
    if one is not None and one.pem != CERTIFICATE:
        assert not is_issued_by(one, issuer) or one.raw.tbs_certificate_bytes == certificate_bytes()


def certificate_bytes() -> bytes:
    one = certificate_of(CERTIFICATE)
    assert one is not None
    return one.raw.tbs_certificate_bytes


# -- revocation ------------------------------------------------------------------------------------------------------


def says(**members: object) -> Reply:
    return Reply(200, (), json.dumps(members).encode())


def crl(*serials: int) -> str:
    start = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Issuer")]))
        .last_update(start)
        .next_update(start + dt.timedelta(days=1))
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(PKI.issuer.key, hashes.SHA384()).public_bytes(Encoding.PEM).decode()


def test_lists_name_serial_numbers_in_either_form() -> None:
    assert listed(says(revoked_serials=["0A", "ff", 7, True, None, "zz"])) == {10, 255, 7}
    assert listed(says(crl_pem=crl(10, 11), revoked_serials=["1"])) == {1, 10, 11}


@pytest.mark.parametrize(
    "answer",
    [Lost("x"), Reply(200, (), b"<html>"), Reply(404, (), b'{"revoked_serials": ["1"]}'), says(revoked_serials="1"),
     says(crl_pem="no list"), Reply(200, (), b'{"revoked_serials": ["1"]}', complete=False)],
)  # fmt: skip
def test_what_is_no_list_names_nobody(answer: Reply) -> None:
    assert listed(answer) == frozenset()


@pytest.mark.parametrize("told", [("00ff", 255), ("FF", 255), (3, 3), (True, None), ("", None), (None, None)])
def test_a_serial_number_is_read_as_it_comes(told: tuple[object, int | None]) -> None:
    assert serial_of(told[0]) == told[1]


def word(status: ocsp.OCSPCertStatus) -> str:
    start = dt.datetime.fromtimestamp(NOW, dt.UTC)
    revoked = start if status is ocsp.OCSPCertStatus.REVOKED else None
    own, issuer = certificate_of(CERTIFICATE), certificate_of(PKI.issuer.pem)
    assert own is not None
    assert issuer is not None
    made = ocsp.OCSPResponseBuilder().add_response(
        own.raw, issuer.raw, hashes.SHA256(), status, start, start + dt.timedelta(days=1), revoked, None
    )
    signed = made.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.raw).sign(PKI.issuer.key, hashes.SHA384())
    return base64.b64encode(signed.public_bytes(Encoding.DER)).decode()


def test_the_word_on_one_certificate_counts_in_either_form() -> None:
    revoked, good = word(ocsp.OCSPCertStatus.REVOKED), word(ocsp.OCSPCertStatus.GOOD)
    assert is_revoked(says(status="revoked"))
    assert is_revoked(says(status="good", ocsp_response=revoked))
    assert is_revoked(says(status="revoked", ocsp_response=good))
    assert not is_revoked(says(status="good", ocsp_response=good))


@pytest.mark.parametrize(
    "answer",
    [
        Lost("x"),
        says(status="unknown"),
        says(status=1, ocsp_response="bm8gREVS"),
        says(ocsp_response=7),
        Reply(503, (), b""),
    ],
)
def test_no_word_is_no_revocation(answer: Reply) -> None:
    assert not is_revoked(answer)


@given(st.binary(max_size=120), st.sampled_from([200, 404, 500]))
def test_whatever_comes_about_a_registration_is_told_as_one_of_three(body: bytes, status: int) -> None:
    said = registered_in(Reply(status, (), body))
    assert said.certificate is None
    assert (said.why is None) == (status == 404)


def test_a_registered_certificate_is_found() -> None:
    said = registered_in(Reply(200, (), CERTIFICATE.encode()))
    assert said.certificate is not None
    assert said.certificate.name == AID
    assert OWN.curve.name == "secp256r1"
