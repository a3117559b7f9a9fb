"""How a client proves who it is."""

import base64
import urllib.parse

import pytest
from joserfc.jwk import RSAKey

from freshd.errors import FreshdError
from freshd.providers.oauth2.client import basic, sign


@pytest.mark.parametrize(("client_id", "secret"), [("app", "s3cret"), ("a:b", "p:w+ %ü&=/"), ("", "")])
def test_both_halves_are_form_encoded_before_they_are_joined(client_id: str, secret: str) -> None:
    scheme, _, encoded = basic(client_id, secret).partition(" ")
    halves = base64.b64decode(encoded).decode().split(":")
    assert scheme == "Basic"
    assert [urllib.parse.unquote_plus(half) for half in halves] == [client_id, secret]


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_key_of_another_type_is_told_without_a_word_of_it(algorithm: str) -> None:
    pem = RSAKey.generate_key(2048).as_pem(private=True).decode()
    with pytest.raises(FreshdError) as error:
        sign({}, pem, algorithm, None)
    assert pem[40:60] not in str(error.value.diagnostics())


@pytest.mark.parametrize(
    "key", ["", "{", "{}", "[]", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "\0"]
)
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_what_is_no_key_is_an_error_of_ours(key: str, algorithm: str) -> None:
    with pytest.raises(FreshdError):
        sign({}, key, algorithm, None)


def test_a_public_key_cannot_sign() -> None:
    pem = RSAKey.generate_key(2048).as_pem(private=False).decode()
    with pytest.raises(FreshdError):
        sign({}, pem, "RS256", None)
