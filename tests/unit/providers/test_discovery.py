"""Where metadata is looked for, and what of it is believed."""

import json

import pytest

from freshd.core.outcome import Reply
from freshd.providers.discovery import Metadata, addresses, metadata_of

ISSUER = "https://id.example/tenant"
GOOD = {"issuer": ISSUER, "token_endpoint": "https://id.example/token"}


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, (), json.dumps(body).encode())


def test_metadata_lies_where_either_standard_puts_it() -> None:
    assert addresses(ISSUER) == (
        "https://id.example/.well-known/oauth-authorization-server/tenant",
        "https://id.example/tenant/.well-known/openid-configuration",
        "https://id.example/.well-known/openid-configuration/tenant",
    )


@pytest.mark.parametrize("issuer", ["https://id.example", "https://id.example/"])
def test_an_issuer_without_a_path_has_two_places(issuer: str) -> None:
    assert addresses(issuer) == (
        "https://id.example/.well-known/oauth-authorization-server",
        "https://id.example/.well-known/openid-configuration",
    )


def test_endpoints_are_taken_from_good_metadata() -> None:
    more = {"authorization_response_iss_parameter_supported": True, "jwks_uri": "https://id.example/jwks"}
    assert metadata_of(reply({**GOOD, **more}), ISSUER) == Metadata(
        {"token_endpoint": "https://id.example/token"}, names_issuer=True
    )


@pytest.mark.parametrize("url", ["http://id.example/token", 5, None, "javascript:x", "https://u:p@id.example/"])
def test_an_endpoint_that_must_not_get_a_secret_is_none(url: object) -> None:
    found = metadata_of(reply({**GOOD, "token_endpoint": url}), ISSUER)
    assert isinstance(found, Metadata)
    assert not found.endpoints


@pytest.mark.parametrize(
    "bad",
    [
        reply({**GOOD, "issuer": "https://evil.example"}),
        reply({**GOOD, "issuer": 5}),
        reply({"token_endpoint": "https://id.example/token"}),
        reply(GOOD, 404),
        reply([]),
        Reply(200, (), b"<html>"),
        Reply(200, (), b"", complete=False),
    ],
)
def test_metadata_of_anything_else_is_none(bad: Reply) -> None:
    assert isinstance(metadata_of(bad, ISSUER), str)
