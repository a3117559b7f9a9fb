"""The document and the server say the same: every call answers as described, and no call is undescribed."""

import functools
import json
import operator
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from freshd.api import problem, routes
from freshd.api.answers import description
from freshd.tokens import Shortfall
from tests.api.world import Wire, World, get

DOCUMENT: dict[str, Any] = json.loads(description())
CALLS = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """The object a reference stands for."""
    while "$ref" in value:
        path = value["$ref"].removeprefix("#/").split("/")
        value = functools.reduce(operator.getitem, path, DOCUMENT)
    return value


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Fails unless the document says that this call may be answered like this."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} answered {status}"
    content = resolved(responses[str(status)])["content"]
    kind = headers["content-type"].split(";")[0]
    assert kind in content
    if kind.endswith("json"):
        schema = {**content[kind]["schema"], "components": DOCUMENT["components"]}
        jsonschema.Draft202012Validator(schema).validate(json.loads(body))


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    assert {(method, "/" + "/".join(pattern)) for method, pattern, _ in routes.ROUTES} == CALLS


@pytest.mark.parametrize(
    ("path", "verbs"),
    [("/v1/accounts/{account}/{verb}", routes.VERBS), ("/v1/vault/{verb}", routes.VAULT_VERBS)],
)
def test_the_verbs_are_the_same(path: str, verbs: frozenset[str]) -> None:
    parameters = DOCUMENT["paths"][path]["post"]["parameters"]
    assert {verb for one in parameters if one.get("name") == "verb" for verb in one["schema"]["enum"]} == verbs


def test_defaults_and_limits_are_the_same() -> None:
    parameters = DOCUMENT["paths"]["/v1/tokens/{account}"]["get"]["parameters"]
    wait = next(one["schema"] for one in parameters if one.get("name") == "wait")
    ttl = next(one["schema"] for one in parameters if one.get("name") == "min_ttl")
    assert (wait["default"], wait["maximum"]) == (routes.DEFAULT_WAIT_SECONDS, routes.MAX_WAIT_SECONDS)
    assert ttl["default"] == routes.DEFAULT_MIN_TTL_SECONDS


NAMES = {"vault/{verb}": "vault/move", "{account}": "calendar", "{verb}": "pause"}


def target(path: str) -> str:
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return path


async def answer(wire: Wire, method: str, path: str, body: bytes = b'{"fingerprint":"a"}') -> tuple[Any, ...]:
    reply = await (wire.post(path, body) if method == "POST" else wire.get(path))
    return reply.status, reply.headers, reply.body


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
async def test_every_call_answers_as_described(world: World, wire: Wire, method: str, path: str) -> None:
    world.allow("calendar", operator=True)
    good = await answer(wire, method, target(path))
    assert good[0] == 200
    check(method, path, *good)


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
async def test_every_call_says_no_as_described(world: World, wire: Wire, method: str, path: str) -> None:
    bad = await answer(wire, method, target(path) + "?unknown=1")
    assert bad[0] == 400
    check(method, path, *bad)
    if "{account}" in path:
        missing = await answer(wire, method, target(path).replace("calendar", "nowhere"))
        assert missing[0] == 404
        check(method, path, *missing)
    other = "GET" if method == "POST" else "POST"
    if (other, path) not in CALLS:
        wrong = await answer(wire, other, target(path))
        assert (wrong[0], wrong[1].get("allow")) == (405, method)
    world.peers[0].alive = False
    gone = await answer(wire, method, target(path))
    assert gone[0] == 403
    check(method, path, *gone)


@pytest.mark.parametrize(
    "short",
    [
        Shortfall("min-ttl-too-long", "d", "r", 422, maximum=9.5),
        Shortfall("account-parked", "d", "r", 503, 60.0),
        Shortfall("not-yet", "d", "r", 504, 1.5),
        Shortfall("account-parked", "d", "r", 409),
    ],
)
async def test_every_shortfall_is_described(world: World, wire: Wire, short: Shortfall) -> None:
    world.tokens.answers.put_nowait(short)
    reply = await wire.get("/v1/tokens/mail")
    assert reply.status == short.status
    check("GET", "/v1/tokens/{account}", reply.status, reply.headers, reply.body)


@pytest.mark.parametrize(
    "one", [value for value in vars(problem).values() if isinstance(value, problem.Problem)], ids=lambda one: one.kind
)
def test_every_problem_is_a_document_with_a_remedy(one: problem.Problem) -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(one.document())
    assert one.remedy


async def test_a_path_that_is_no_call_is_not_found(wire: Wire) -> None:
    for path in (
        "/",
        "/v2/tokens/calendar",
        "/v1/tokens/",
        "/v1/tokens/calendar/",
        "/v1//accounts",
        "/v1/accounts/a/b",
    ):
        await wire.send(get(path))
        assert (await wire.reply()).status == 404


async def test_the_metrics_count_by_kind_and_outcome_only(world: World, wire: Wire) -> None:
    await wire.get("/v1/tokens/calendar")
    await wire.get("/v1/tokens/secret")
    page = (await wire.get("/metrics")).body.decode()
    assert 'freshd_accounts{outcome="live",provider="oauth2"} 3.0' in page
    assert 'freshd_reads_total{outcome="memory"} 1.0' in page
    assert 'freshd_reads_total{outcome="denied"} 1.0' in page
    assert "calendar" not in page
