"""Signatures, by published vectors and by our own: both ways, each curve with its hash and no other."""

import base64
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from freshd.core.model import Secret
from freshd.core.outcome import NotSent
from freshd.providers.aun.signing import (
    is_signed,
    new_key,
    private_key_of,
    public_key_of,
    public_of,
    sign,
    unbase64,
)
from freshd.providers.aun.wire import public_text, request_of
from tests.unit.providers.aun_parts import CERTIFICATE, NEXT, OWN, RECORD, intent, options, record
from tests.unit.providers.aun_pki import AID, key, pem_of, public, spki_of

NONCE = "f00dfeed00112233"
IDENTITY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEifgdclPqekfqeS2qwADE3QSb4TWk0VBKQpmItcnLoweQqZcSBqxJwsDu0sM7rplGrkL9EhPJytWm"
    "dgDHrId5/A=="
)
NEW = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYQf9a4q/mf4ZQ/91LI9Q9qELxY3c+MvcSSg28cM3V7BwoJvmA7BRZInrYMLV24414fdacnkGGwfQ"
    "7BLq6KWBhA=="
)
AUTH = (
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVpzBUiqL1JEZRruiMjThY9FSrmJAyZmi0fcdcPuSWlEkYx+/WvemOXqtUorvPrp3kWAwh89n7OnVOid2"
    "EbRB3zt+Suu7/UkpRepodXHXaw9s8iZNCwVpmTWTekZ1rN7j"
)
LOGIN = "MEUCIFJrtF01oERUpEbC4GCEkonl/j7r2w+jylG3Fldc1j8gAiEA0eL+oSxs8Ui1rOjLsXC/JWUZuxjBoJH5R9dEgg0fM0E="
RENEW = "MEUCIDvX6DdZztXplR3PTUlYi/SuCC3o/OnDh5UEglC7sImQAiEA4X9Yb9XntHsOFmzyPB9ZxX4BTFb7FYZeQgpWTeFWnRU="
REKEY = "MEUCIF2p1CdDCAL2ydMw+ANBLX2ESmVx0fAP31WEuBHW/AO1AiEA+98Q1dWvPy5EgLITRPTdoktnXRXVnhXMi4jyZj4z//w="
CLIENT_NONCE = "AAECAwQFBgcICQoL"
SERVICE = (
    "MGUCMQDcmbYcJ9EG0a4E1cGnEqe2yrLIz/MCaiOCqetl932gi5RYxvAYt1lX8zwgZ97vSkICMBLtb/BQ3S23yPF9X0DQajaJ3RvTkfInnRP51ffo"
    "I7AzP3dKtK98hua/cJdAoGky+w=="
)
VECTORS = [
    pytest.param(IDENTITY, LOGIN, f"{NONCE}:1764000000", id="login"),
    pytest.param(IDENTITY, RENEW, NONCE, id="renew"),
    pytest.param(IDENTITY, REKEY, NONCE + NEW, id="rekey"),
    pytest.param(AUTH, SERVICE, CLIENT_NONCE, id="service"),
]


@pytest.mark.parametrize(("spki", "signature", "message"), VECTORS)
def test_a_vector_verifies_over_its_text_and_no_other(spki: str, signature: str, message: str) -> None:
    one, given = public_key_of(base64.b64decode(spki)), base64.b64decode(signature)
    assert is_signed(one, given, message.encode())
    assert not is_signed(one, given, (message + " ").encode())
    assert not is_signed(one, given[:-1], message.encode())
    other = public_key_of(base64.b64decode(NEW if spki != NEW else IDENTITY))
    assert not is_signed(other, given, message.encode())


def test_the_services_signature_is_over_the_text_and_not_over_what_it_encodes() -> None:
    one = public_key_of(base64.b64decode(AUTH))
    assert not is_signed(one, base64.b64decode(SERVICE), base64.b64decode(CLIENT_NONCE))


@pytest.mark.parametrize(("is_small", "digest"), [(True, hashes.SHA384()), (False, hashes.SHA256())])
def test_a_hash_of_the_other_curve_is_no_signature(is_small: bool, digest: hashes.HashAlgorithm) -> None:
    one = key("mixed", is_small=is_small)
    assert not is_signed(one.public_key(), one.sign(b"text", ec.ECDSA(digest)), b"text")
    right = base64.b64decode(sign(one, "text"))
    assert is_signed(one.public_key(), right, b"text")


def test_services_may_sign_with_ed25519_and_identities_may_not() -> None:
    one = ed25519.Ed25519PrivateKey.generate()
    assert is_signed(one.public_key(), one.sign(b"text"), b"text")
    assert not is_signed(one.public_key(), one.sign(b"text"), b"other")
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text = one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert private_key_of(text) is None


def test_what_is_no_key_signs_nothing_and_verifies_nothing() -> None:
    assert public_of("no key") is None
    assert public_key_of(b"no key") is None
    assert not is_signed(None, b"", b"")
    assert not is_signed(ec.generate_private_key(ec.SECP521R1()).public_key(), b"", b"")
    assert unbase64("not base64!") is None
    assert private_key_of(pem_of(ec.generate_private_key(ec.SECP521R1()))) is None


def test_a_new_key_is_one_that_can_be_used() -> None:
    made = private_key_of(new_key())
    assert made is not None
    assert made.curve.name == "secp256r1"


# -- what is sent, verified as the other side would ------------------------------------------------------------------


def told(rung: str, **held: Any) -> dict[str, object]:
    sent = request_of(options(), rung, record(**held), intent(rung))
    assert not isinstance(sent, NotSent), sent
    return dict(sent[1])


def proves(signature: object, message: str) -> bool:
    public(spki_of(OWN)).verify(base64.b64decode(str(signature)), message.encode(), ec.ECDSA(hashes.SHA256()))
    return True


def test_a_login_signs_the_nonce_and_the_seconds_as_they_are_sent() -> None:
    sent = told("login")
    assert sent["client_time"] == "1800000000"
    assert proves(sent["signature"], f"{NONCE}:{sent['client_time']}")
    with pytest.raises(InvalidSignature):
        proves(sent["signature"], NONCE)
    assert (sent["aid"], sent["request_id"], sent["nonce"], sent["cert"]) == (AID, "req-1", NONCE, CERTIFICATE)


def test_a_renewal_signs_the_nonce_alone() -> None:
    sent = told("renew")
    assert proves(sent["signature"], NONCE)
    assert sent["old_cert"] == CERTIFICATE
    assert "client_time" not in sent


def test_a_change_of_the_key_signs_nonce_and_new_key_with_the_older_key() -> None:
    sent = told("rekey", candidate_key=pem_of(NEXT))
    assert sent["new_public_key"] == spki_of(NEXT)
    assert proves(sent["signature"], NONCE + spki_of(NEXT))


def test_a_registration_sends_the_public_half_only() -> None:
    sent = told("create")
    assert sent == {"aid": AID, "public_key": spki_of(OWN), "curve": "P-256"}
    assert public_text(pem_of(OWN)) == spki_of(OWN)


def test_a_refresh_sends_the_refresh_token_and_what_the_account_says() -> None:
    assert told("refresh") == {"refresh_token": "rt-00000001"}
    sent = request_of(options(device_id="dev-1", slot="app/a"), "refresh", RECORD, intent("refresh"))
    assert sent == (
        "auth.refresh_token", {"refresh_token": "rt-00000001", "device_id": "dev-1", "slot_id": "app/a"}
    )  # fmt: skip


@pytest.mark.parametrize("rung", ["refresh", "login", "renew", "rekey", "create", "somewhere"])
def test_nothing_is_sent_without_what_it_needs(rung: str) -> None:
    bare = record(private_key="no key", refresh_token=None)
    assert isinstance(request_of(options(), rung, bare, intent(rung)), NotSent)
    assert isinstance(request_of(options(), "rekey", RECORD, intent("rekey")), NotSent)
    nothing = intent("login")
    empty = type(nothing)("f", "a", "login", "line", 3, nothing.sent, {"nonce": Secret("x")})
    assert isinstance(request_of(options(), "login", RECORD, empty), NotSent)
