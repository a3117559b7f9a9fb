"""What is signed in AUN, and how: against fixed vectors, and against another implementation of tokens."""

import json

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from freshd.sandbox.aun import bearer
from freshd.sandbox.aun.pki import Curve
from freshd.sandbox.aun.signature import is_signed, login_text, read_key, rekey_text, sign, spki_of
from tests.sandbox.aun_bed import AID, HOUR, Bed, new_key

NONCE, TIME = "f00dfeed00112233", "1764000000"
IDENTITY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEifgdclPqekfqeS2qwADE3QSb4TWk0VBKQpmItcnLoweQqZcSBqxJwsDu0sM7rplGrkL9EhPJytWmdgDH"
    "rId5/A=="
)
NEW = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYQf9a4q/mf4ZQ/91LI9Q9qELxY3c+MvcSSg28cM3V7BwoJvmA7BRZInrYMLV24414fdacnkGGwfQ7BLq"
    "6KWBhA=="
)
AUTH = (
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVpzBUiqL1JEZRruiMjThY9FSrmJAyZmi0fcdcPuSWlEkYx+/WvemOXqtUorvPrp3kWAwh89n7OnVOid2EbRB"
    "3zt+Suu7/UkpRepodXHXaw9s8iZNCwVpmTWTekZ1rN7j"
)
LOGIN2 = "MEUCIFJrtF01oERUpEbC4GCEkonl/j7r2w+jylG3Fldc1j8gAiEA0eL+oSxs8Ui1rOjLsXC/JWUZuxjBoJH5R9dEgg0fM0E="
RENEW = "MEUCIDvX6DdZztXplR3PTUlYi/SuCC3o/OnDh5UEglC7sImQAiEA4X9Yb9XntHsOFmzyPB9ZxX4BTFb7FYZeQgpWTeFWnRU="
REKEY = "MEUCIF2p1CdDCAL2ydMw+ANBLX2ESmVx0fAP31WEuBHW/AO1AiEA+98Q1dWvPy5EgLITRPTdoktnXRXVnhXMi4jyZj4z//w="
CLIENT_NONCE = "AAECAwQFBgcICQoL"
CLIENT_NONCE_SIGNATURE = (
    "MGUCMQDcmbYcJ9EG0a4E1cGnEqe2yrLIz/MCaiOCqetl932gi5RYxvAYt1lX8zwgZ97vSkICMBLtb/BQ3S23yPF9X0DQajaJ3RvTkfInnRP51ffoI7Az"
    "P3dKtK98hua/cJdAoGky+w=="
)
VECTORS = [
    pytest.param(IDENTITY, LOGIN2, login_text(NONCE, TIME), id="login2"),
    pytest.param(IDENTITY, RENEW, NONCE, id="renew"),
    pytest.param(IDENTITY, REKEY, rekey_text(NONCE, NEW), id="rekey"),
    pytest.param(AUTH, CLIENT_NONCE_SIGNATURE, CLIENT_NONCE, id="client_nonce"),
]


@pytest.mark.parametrize(("key", "signature", "text"), VECTORS)
def test_the_vectors_verify_over_exactly_their_text(key: str, signature: str, text: str) -> None:
    assert is_signed(read_key(key), signature, text)
    assert not is_signed(read_key(key), signature, text + " ")
    assert not is_signed(read_key(NEW), signature, text)


@pytest.mark.parametrize("signature", ["", "?", "AAAA", LOGIN2[:-4], LOGIN2.replace("+", "-")])
def test_what_is_no_signature_verifies_nothing(signature: str) -> None:
    assert not is_signed(read_key(IDENTITY), signature, login_text(NONCE, TIME))


def test_keys_are_read_as_they_are_written() -> None:
    assert spki_of(read_key(IDENTITY)) == IDENTITY
    for text in ("", "AAAA", "no base64"):
        with pytest.raises(ValueError, match=r".*"):
            read_key(text)


def test_a_signature_made_here_verifies_here() -> None:
    key = new_key()
    assert is_signed(key.public_key(), sign(key, "text"), "text")


@pytest.mark.parametrize(("curve", "alg"), [(Curve.P384, "ES384"), (Curve.P256, "ES256")])
def test_a_token_is_a_standard_one_by_the_curve_of_the_auth_key(curve: Curve, alg: str) -> None:
    bed = Bed()
    bed.aun.state.pki.roll(bed.at, curve=curve)
    client = bed.mint("bob0001.sandbox.test")
    key = ECKey.import_key(bed.aun.state.pki.signer.key)
    read = jwt.decode(client.access, key, algorithms=[alg])
    assert read.header == {
        "alg": alg,
        "typ": "JWT",
        "kid": format(bed.aun.state.pki.signer.certificate.serial_number, "x"),
    }
    aid = "bob0001.sandbox.test"
    at = int(bed.at)
    claims = {"aid": aid, "sub": aid, "iss": "auth.sandbox.test", "aud": "aun", "iat": at, "exp": at + int(HOUR)}
    assert read.claims == claims


def test_tokens_of_an_old_key_verify_until_it_is_retired() -> None:
    bed = Bed()
    pki = bed.aun.state.pki
    pki.roll(bed.at)
    assert bearer.read(pki, bed.me.access, bed.at)["aid"] == AID
    pki.roll(bed.at, retires_old=True)
    with pytest.raises(bearer.BadToken):
        bearer.read(pki, bed.me.access, bed.at)


def test_a_token_ends_to_the_second_and_never_after_its_certificate() -> None:
    bed = Bed(ACCESS_TTL_S=4000 * 86400)
    pki = bed.aun.state.pki
    ends_at = bearer.read(pki, bed.me.access, bed.at)["exp"]
    assert ends_at <= pki.signer.ends_at
    with pytest.raises(bearer.BadToken, match="expired"):
        bearer.read(pki, bed.me.access, ends_at)
    assert bearer.read(pki, bed.me.access, ends_at + 1, leeway_s=2)["aid"] == AID


@pytest.mark.parametrize("text", ["", "a.b.c", "..", "é.é.é", json.dumps({}), "e30.e30.e30"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(bearer.BadToken):
        bearer.read(Bed().aun.state.pki, text, 0)


def test_a_changed_token_is_refused() -> None:
    bed = Bed()
    head, body, signature = bed.me.access.split(".")
    other = bed.mint("bob0001.sandbox.test").access.split(".")[1]
    for text in (f"{head}.{other}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}"):
        with pytest.raises(bearer.BadToken):
            bearer.read(bed.aun.state.pki, text, bed.at)
