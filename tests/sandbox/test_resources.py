"""Metadata, revocation, introspection and the harmless call."""

import pytest

from tests.sandbox.conftest import Peer


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_metadata_names_the_issuer_and_endpoints_that_exist(peer: Peer, name: str) -> None:
    found = (await peer.call("GET", f"/.well-known/{name}")).json
    assert found["issuer"] == peer.running.base_url
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    addresses = [value for key, value in found.items() if key.endswith(("_endpoint", "_uri"))]
    assert len(addresses) == 7
    for address in addresses:
        path = address.removeprefix(found["issuer"])
        assert {(await peer.call(method, path)).status for method in ("GET", "POST")} - {404, 405}


async def test_revoking_a_refresh_token_ends_its_lineage(peer: Peer) -> None:
    answer = (await peer.refresh(await peer.mint())).json
    form = {"token": answer["refresh_token"], "client_id": "freshd", "token_type_hint": "refresh_token"}
    assert (await peer.call("POST", "/revoke", data=form)).status == 200
    assert (await peer.userinfo(answer["access_token"])).status == 401
    assert (await peer.refresh(answer["refresh_token"])).json["error"] == "invalid_grant"


async def test_revoking_an_access_token_leaves_the_lineage(peer: Peer) -> None:
    answer = (await peer.refresh(await peer.mint())).json
    await peer.call("POST", "/revoke", data={"token": answer["access_token"], "client_id": "freshd"})
    assert (await peer.userinfo(answer["access_token"])).status == 401
    assert (await peer.refresh(answer["refresh_token"])).status == 200


async def test_revocation_wants_a_client_and_forgives_an_unknown_token(peer: Peer) -> None:
    answer = (await peer.refresh(await peer.mint())).json
    assert (await peer.call("POST", "/revoke", data={"token": "x", "client_id": "freshd"})).status == 200
    assert (await peer.call("POST", "/revoke", data={"token": answer["refresh_token"]})).status == 401
    other = {"token": answer["refresh_token"], "client_id": "freshd-web", "client_secret": "sandbox-secret"}
    assert (await peer.call("POST", "/revoke", data=other)).status == 200
    assert (await peer.refresh(answer["refresh_token"])).status == 200


async def test_introspection_tells_and_never_spends(peer: Peer) -> None:
    first = await peer.mint(subject="ann")
    answer = (await peer.refresh(first)).json

    async def active(token: str) -> bool:
        told = await peer.call("POST", "/introspect", data={"token": token, "client_id": "freshd"})
        return bool(told.json["active"])

    tokens = (answer["access_token"], answer["refresh_token"], first, "x")
    assert [await active(token) for token in tokens] == [True, True, False, False]
    counters = (await peer.control("GET", "/counters"))["total"]
    assert (counters["calls"], counters["doubtful_replays"]) == ({"refresh_token": 1}, 0)


async def test_without_a_token_the_challenge_names_no_error(peer: Peer) -> None:
    answer = await peer.call("GET", "/userinfo")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="sandbox"')
