"""CloudBase over real sockets: the same faults, deliveries and books as OAuth 2.0, and its page."""

import urllib.parse
from typing import Any

import pytest

from tests.sandbox import wire
from tests.sandbox.cloudbase_bed import DEVICE, V1
from tests.sandbox.cloudbase_wire import mint, opened, raw, refresh, request_bytes
from tests.sandbox.conftest import Clock, Peer
from tests.sandbox.wire import page

AFTER: list[wire.Fault] = [
    *wire.AFTER,
    ("status", {"status": 200, "body": "", "after_commit": True}),
]


async def test_a_refresh_is_booked_like_any_other(peer: Peer) -> None:
    grant = await mint(peer)
    assert (await refresh(peer, grant["refresh_token"])).json["token_type"] == "Bearer"
    wire.assert_booked(await page(peer), grant)


@pytest.mark.parametrize(("fault", "settings"), wire.BEFORE)
async def test_before_the_commit_nothing_is_spent(peer: Peer, fault: str, settings: dict[str, Any]) -> None:
    token = (await mint(peer))["refresh_token"]
    await wire.strike(peer, fault, settings)
    assert b"access_token" not in await raw(peer, token)
    wire.assert_unspent(await page(peer), fault)
    assert (await refresh(peer, token)).status == 200


@pytest.mark.parametrize(("fault", "settings"), AFTER)
async def test_after_the_commit_the_answer_is_lost_and_a_replay_is_doubtful(
    peer: Peer, fault: str, settings: dict[str, Any]
) -> None:
    token = (await mint(peer))["refresh_token"]
    await wire.strike(peer, fault, settings)
    await raw(peer, token)
    wire.assert_lost(await page(peer), fault)
    assert (await refresh(peer, token)).json["error"] == "invalid_grant"
    wire.assert_doubtful((await page(peer))["counters"], fault)


async def test_a_use_of_what_an_escrowed_answer_replaced_is_a_spent_use(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    await refresh(peer, token)
    await wire.escrow(peer)
    await refresh(peer, token)
    assert (await page(peer))["counters"]["spent_uses"] == 1


async def test_a_kill_between_commit_and_answer_is_seen_in_the_books(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    _, writer = await peer.dial()
    await wire.assert_kill_is_booked(peer, writer, request_bytes(token))


async def test_a_rule_strikes_one_way_in_and_not_another(peer: Peer) -> None:
    await peer.control("POST", "/faults", fault="bad_gateway", grant_type="anonymously")
    headers = {"x-device-id": DEVICE}
    assert (await peer.call("POST", f"{V1}/signin/anonymously", json={}, headers=headers)).status == 502
    assert (await refresh(peer, (await mint(peer))["refresh_token"])).status == 200


async def test_the_sandboxs_own_service_is_a_provider_upstream(peer: Peer) -> None:
    upstream = await peer.mint("up", subject="ada", scope="openid")
    given = (await peer.refresh(upstream)).json
    for kind, text in (("provider_access_token", given["access_token"]), ("provider_id_token", given["id_token"])):
        said = await peer.call("POST", f"{V1}/provider/token", json={"provider_id": "upstream", kind: text})
        assert said.json["provider_profile"]["sub"] == "ada"
        wrong = await peer.call("POST", f"{V1}/provider/token", json={"provider_id": "upstream", kind: text + "x"})
        assert wrong.json["error"] == "provider_error"


async def test_an_upstream_id_token_has_an_end(peer: Peer, clock: Clock) -> None:
    given = (await peer.refresh(await peer.mint("up", scope="openid"))).json["id_token"]
    clock.at += 3600
    said = await peer.call("POST", f"{V1}/provider/token", json={"provider_id": "upstream", "provider_id_token": given})
    assert said.json["error"] == "provider_error"


# -- the page ---------------------------------------------------------------------------------------------------------


async def test_a_person_answers_a_captcha_on_its_page(peer: Peer) -> None:
    path = await opened(peer)
    shown = (await peer.call("GET", path)).body.decode()
    assert 'id="approve"' in shown
    challenge = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["challenge"][0]
    form = {"challenge": challenge, "decision": "approve"}
    said = await peer.call("POST", "/cloudbase/captcha", data=form)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(said.headers["Location"]).query)
    assert (said.status, query["state"]) == (302, ["s t"])
    assert query["captcha_token"]
    assert (await peer.call("POST", "/cloudbase/captcha", data=form)).status == 404


@pytest.mark.parametrize(("auto", "member"), [("1", "captcha_token"), ("deny", "error")])
async def test_a_page_may_decide_at_once(peer: Peer, auto: str, member: str) -> None:
    said = await peer.call("GET", f"{await opened(peer)}&auto={auto}")
    assert member in urllib.parse.parse_qs(urllib.parse.urlsplit(said.headers["Location"]).query)


async def test_a_page_that_leads_to_no_web_address_shows_where_it_would(peer: Peer) -> None:
    said = await peer.call("GET", f"{await opened(peer, 'app://back')}&auto=1")
    assert (said.status, b'id="result"' in said.body) == (200, True)
