"""What an account may say, what it comes to, and that everything wrong is told at once and without a value."""

from typing import Any

import pytest

from freshd.core.contract import Contract
from freshd.core.model import Binding
from freshd.core.outcome import Remedy
from freshd.core.settings import SecretRef, Way
from freshd.providers.oauth2.options import Options, Schema
from freshd.providers.registry import KINDS, Schemas

SECRET = SecretRef(Way.FILE, ("/secret",))
LEAST: dict[str, Any] = {"client_id": "app", "issuer": "https://id.example/"}


def problems(**keys: Any) -> list[tuple[str, str]]:
    found = Schema().parse("a", keys).problems
    return [(".".join(map(str, problem.key)), f"{problem.wrong}; {problem.write}") for problem in found]


def wrong(**keys: Any) -> set[str]:
    return {key for key, _ in problems(**{**LEAST, **keys})}


def options(**keys: Any) -> Options:
    parsed = Schema().parse("a", {**LEAST, **keys})
    assert not parsed.problems
    values: dict[str, Any] = dict(parsed.options)
    return Options(**values)


def test_the_least_that_can_be_said_is_a_client_and_an_issuer() -> None:
    made = options()
    assert (made.auth, made.grant_type, made.flows) == ("none", "refresh_token", ("code", "device"))
    assert made.binding == Binding("oauth2", "https://id.example", "app")


def test_a_trailing_slash_makes_no_other_service() -> None:
    assert options().binding == options(issuer="https://id.example").binding


def test_without_an_issuer_the_token_endpoint_tells_the_origin() -> None:
    parsed = Schema().parse("a", {"client_id": "app", "token_endpoint": "https://ID.example:8443/x/token"})
    assert parsed.binding == Binding("oauth2", "https://id.example:8443", "app")


def test_client_credentials_hold_no_grant_to_be_bound() -> None:
    raw = {**LEAST, "grant_type": "client_credentials", "client_secret": SECRET}
    assert Schema().parse("a", raw).binding is None


@pytest.mark.parametrize(
    ("keys", "auth"),
    [
        ({"client_secret": SECRET}, "client_secret_basic"),
        ({"client_key": SECRET}, "private_key_jwt"),
        ({"client_secret": SECRET, "client_auth": "client_secret_post"}, "client_secret_post"),
        ({"client_secret": SECRET, "client_auth": "none"}, "none"),
    ],
)
def test_the_client_proves_itself_with_what_it_has(keys: dict[str, Any], auth: str) -> None:
    assert options(**keys).auth == auth


def test_everything_wrong_is_told_at_once() -> None:
    found = {key for key, _ in problems(issuer=5, min_interval="soon", flows=["telepathy"], scoope="x")}
    assert found == {"client_id", "issuer", "min_interval", "flows.0", "scoope"}


def test_what_contradicts_itself_is_told_at_once() -> None:
    found = wrong(
        client_auth="private_key_jwt",
        grant_type="refresh_token",
        flows=[],
        token_parameters={"code": "x", "fine": "y"},
        authorize_parameters={"state": "x"},
        redirect_uri="https://evil.example/",
        ca_file="relative.pem",
        revocation_endpoint="http://id.example/",
    )
    assert found == {
        *("client_key", "flows", "token_parameters.code", "authorize_parameters.state"),
        *("redirect_uri", "ca_file", "revocation_endpoint"),
    }


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "https://u:p@id.example",
        "https://id.example/#x",
        "id.example",
        "ftp://x",
        "https://a b",
        "https://[x",
    ],
)
def test_a_secret_is_never_sent_to_such_an_address(url: str) -> None:
    assert wrong(issuer=url) == {"issuer"}
    assert wrong(token_endpoint=url) == {"token_endpoint"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1/"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert not wrong(issuer=url, redirect_uri=url)


def test_a_proxy_may_be_spoken_to_in_plain_http_but_holds_no_password() -> None:
    assert not wrong(proxy="http://proxy.example:3128")
    assert wrong(proxy="http://u:p@proxy.example:3128") == {"proxy"}


@pytest.mark.parametrize("grant_type", ["client_credentials"])
def test_client_credentials_need_some(grant_type: str) -> None:
    assert wrong(grant_type=grant_type) == {"client_secret"}
    assert not wrong(grant_type=grant_type, client_key=SECRET)


def test_no_problem_repeats_a_value() -> None:
    told = str(problems(client_id=["c4nary"], issuer="http://c4nary", client_secret="c4nary", scope={"c4nary": 1}))
    assert "c4nary" not in told
    assert "c4nary" not in str(problems(**LEAST, token_endpoint="http://c4nary.example", ca_file="c4nary"))


def test_an_accounts_own_words_reach_the_reading() -> None:
    made = options(error_remedies={"Bad_Token": "climb"}, token_types=["BOT"], lease_fields=["team"])
    contract = Contract()
    terms = made.terms(contract)
    assert terms.contract is contract
    assert terms.remedies == {"bad_token": Remedy.CLIMB}
    assert terms.token_types == {"bearer", "bot"}
    assert terms.lease_fields == ("team",)


def test_every_kind_can_be_described_and_secrets_are_among_its_keys() -> None:
    schemas = Schemas()
    assert list(schemas) == list(KINDS)
    for name in schemas:
        properties = schemas[name].json_schema()["properties"]
        assert isinstance(properties, dict)
        assert schemas[name].secrets <= properties.keys()
