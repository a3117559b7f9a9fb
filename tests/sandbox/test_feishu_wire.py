"""Feishu over real sockets: the same faults, deliveries and books as OAuth 2.0, its pages, and its control port."""

import json
import urllib.parse
from typing import Any

import pytest

from freshd.sandbox.server import Running
from tests.sandbox import wire
from tests.sandbox.conftest import START, Answer, Clock, Peer
from tests.sandbox.feishu_bed import APP, AUTHORIZE, BACK, INTERNAL, SCOPE, TENANT, USER_INFO, V2, V3, VERIFIER, basic
from tests.sandbox.wire import page

BEFORE: list[wire.Fault] = [
    *wire.BEFORE,
    ("feishu_code", {"code": 20050}),
    ("feishu_code", {"code": 20072}),
]
AFTER: list[wire.Fault] = [
    *wire.AFTER,
    ("feishu_code", {"code": 20050, "after_commit": True}),
    ("empty_fields", {"fields": ["refresh_token"]}),
]


async def mint(peer: Peer, label: str = "a", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await peer.control("POST", "/feishu/mint", label=label, **more))["grants"][0]
    return answer


async def refresh(peer: Peer, token: str, path: str = V3) -> Answer:
    asked = {"grant_type": "refresh_token", "refresh_token": token, **APP}
    return await peer.call("POST", path, json=asked)


async def raw(peer: Peer, token: str) -> bytes:
    try:
        return await peer.raw(V3, grant_type="refresh_token", refresh_token=token, **APP)
    except ConnectionResetError:
        return b""


async def info(peer: Peer, token: str) -> Answer:
    return await peer.call("GET", USER_INFO, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", [V2, V3])
async def test_a_refresh_is_booked_like_any_other(peer: Peer, path: str) -> None:
    grant = await mint(peer)
    answer = await refresh(peer, grant["refresh_token"], path)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Tt-Logid"]
    assert answer.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    wire.assert_booked(await page(peer), grant)


@pytest.mark.parametrize(("fault", "settings"), BEFORE)
async def test_before_the_commit_nothing_is_spent(peer: Peer, fault: str, settings: dict[str, Any]) -> None:
    token = (await mint(peer))["refresh_token"]
    await wire.strike(peer, fault, settings)
    assert b"ur-" not in await raw(peer, token)
    wire.assert_unspent(await page(peer), fault)
    assert (await refresh(peer, token)).json["code"] == 0


@pytest.mark.parametrize(("fault", "settings"), AFTER)
async def test_after_the_commit_the_answer_is_lost_and_a_replay_is_doubtful(
    peer: Peer, fault: str, settings: dict[str, Any]
) -> None:
    token = (await mint(peer))["refresh_token"]
    await wire.strike(peer, fault, settings)
    reply = await raw(peer, token)
    assert b"ur-" not in reply or fault == "cut_short"
    wire.assert_lost(await page(peer), fault)
    assert (await refresh(peer, token)).json["code"] == 20064
    counters = (await page(peer))["counters"]
    wire.assert_doubtful(counters, fault)
    assert counters["killed_by"] == {"reuse": 1}


async def test_a_use_of_what_an_escrowed_answer_replaced_is_a_spent_use(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    await refresh(peer, token)
    await wire.escrow(peer)
    await refresh(peer, token)
    assert (await page(peer))["counters"]["spent_uses"] == 1


async def test_the_harmless_call_vouches_for_the_answer_it_uses(peer: Peer) -> None:
    answer = (await refresh(peer, (await mint(peer))["refresh_token"])).json
    assert (await info(peer, answer["access_token"])).json["data"]["open_id"] == "user"
    assert (await page(peer))["commits"][0]["doubt"] is None


async def test_a_kill_between_commit_and_answer_is_seen_in_the_books(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    _, writer = await peer.dial()
    body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token, **APP}).encode()
    head = f"POST {V3} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    await wire.assert_kill_is_booked(peer, writer, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.mark.parametrize(
    ("fault", "settings", "seen"),
    [
        ("code_as_text", {}, {"code": "0", "expires_in": "7200"}),
        ("missing_fields", {"fields": ["code", "scope"]}, {"code": None, "scope": None}),
        ("empty_fields", {}, {"access_token": ""}),
        ("narrowed_scope", {"scope": "x"}, {"scope": "x"}),
        ("absurd_lifetime", {}, {"expires_in": -3600}),
        ("token_type_case", {}, {"token_type": "bEaReR"}),
    ],
)
async def test_good_answers_can_be_spoiled(
    peer: Peer, fault: str, settings: dict[str, Any], seen: dict[str, Any]
) -> None:
    await peer.control("POST", "/faults", fault=fault, label="a", **settings)
    answer = (await refresh(peer, (await mint(peer))["refresh_token"])).json
    assert {name: answer.get(name) for name in seen} == seen


async def test_skew_and_strange_subjects_strike_here_too(peer: Peer) -> None:
    await peer.control("POST", "/faults", fault="skew", seconds=3600)
    await peer.control("POST", "/faults", fault="wrong_subject", subject="ou_x")
    answer = await refresh(peer, (await mint(peer))["refresh_token"])
    assert answer.headers["Date"] == "Fri, 15 Jan 2027 09:00:00 GMT"
    assert (await info(peer, answer.json["access_token"])).json["data"]["open_id"] == "ou_x"


async def test_a_code_on_demand_may_come_with_any_status(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    await peer.control("POST", "/faults", fault="feishu_code", code=20064, status=200, label="a", count=1)
    answer = await refresh(peer, token)
    assert (answer.status, answer.json["code"], bool(answer.headers["X-Tt-Logid"])) == (200, 20064, True)
    await peer.control("POST", "/faults", fault="feishu_code", code=99991400, reset=2.5, count=1)
    limited = await refresh(peer, token)
    assert (limited.status, limited.headers["x-ogw-ratelimit-reset"]) == (429, "2.500")
    assert (await refresh(peer, token)).json["code"] == 0


async def test_tenants_tokens_are_booked_under_the_app(peer: Peer, clock: Clock) -> None:
    first = await peer.call("POST", TENANT, json=INTERNAL)
    clock.at += 60
    again = await peer.call("POST", TENANT, json=INTERNAL)
    assert again.json["tenant_access_token"] == first.json["tenant_access_token"]
    told = await page(peer, "cli_sandbox")
    assert [call["outcome"] for call in told["calls"]] == ["granted", "early"]
    await peer.control("POST", "/faults", fault="feishu_code", code=10014, grant_type="tenant_access_token")
    assert (await peer.call("POST", TENANT, json=INTERNAL)).json["code"] == 10014


async def test_the_apps_token_books_both_its_commits_as_written(peer: Peer) -> None:
    await peer.call("POST", "/open-apis/auth/v3/app_access_token/internal", json=INTERNAL)
    told = await page(peer, "cli_sandbox")
    assert [commit["reached"] for commit in told["commits"]] == [True, True]


async def test_revoking_answers_with_an_empty_body(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    answer = await peer.call("POST", "/oauth/v1/revoke", data={"token": token, **APP})
    assert (answer.status, answer.body) == (200, b"")
    assert (await page(peer))["counters"]["killed_by"] == {"revoked": 1}


async def visit(peer: Peer, **more: str) -> Answer:
    asked = {"client_id": "cli_sandbox", "redirect_uri": BACK, "scope": SCOPE, "state": "s", **more}
    return await peer.call("GET", AUTHORIZE, params=asked)


async def test_the_page_has_its_two_buttons_and_carries_the_request_along(peer: Peer) -> None:
    shown = await visit(peer, login_hint="ou_5", code_challenge=VERIFIER)
    text = shown.body.decode()
    assert (shown.status, 'id="approve"' in text, 'id="deny"' in text, 'value="ou_5"' in text) == (200,) + (True,) * 3
    form = {"client_id": "cli_sandbox", "redirect_uri": BACK, "scope": SCOPE, "code_challenge": VERIFIER}
    agreed = await peer.call("POST", AUTHORIZE, data={**form, "subject": "ou_5", "label": "acc", "decision": "approve"})
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(agreed.headers["Location"]).query))["code"]
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER, **APP}
    answer = await peer.call("POST", V3, json=asked)
    assert (await info(peer, answer.json["access_token"])).json["data"]["open_id"] == "ou_5"
    assert (await page(peer, "acc"))["counters"]["calls"] == {"authorization_code": 1}
    denied = await peer.call("POST", AUTHORIZE, data={**form, "decision": "deny"})
    assert denied.headers["Location"] == BACK + "?error=access_denied"


async def test_the_page_decides_at_once_where_told_to(peer: Peer) -> None:
    assert "code=" in (await visit(peer, auto="1")).headers["Location"]
    assert "error=access_denied&state=s" in (await visit(peer, auto="deny")).headers["Location"]
    await peer.control("POST", "/auto_approve", on=True)
    assert "code=" in (await visit(peer)).headers["Location"]


async def test_the_page_stops_with_a_number_that_a_person_can_tell(peer: Peer) -> None:
    await peer.control("PATCH", "/feishu/apps", app_id="cli_sandbox", scopes=["a"])
    for query in ({}, {"auto": "1"}):
        stopped = await visit(peer, scope="b", **query)
        assert (stopped.status, b'<span id="code">20027</span>' in stopped.body) == (400, True)
    assert (await peer.call("POST", AUTHORIZE, json={})).status == 400


async def test_a_device_is_connected_on_its_page(peer: Peer) -> None:
    opened = await peer.call(
        "POST", "/oauth/v1/device_authorization", data={"client_id": "cli_sandbox"}, headers=basic()
    )
    asked = opened.json
    assert asked["verification_uri_complete"].startswith(peer.running.base_url)
    path = asked["verification_uri_complete"].removeprefix(peer.running.base_url)
    assert asked["user_code"].encode() in (await peer.call("GET", path)).body
    form = {"user_code": asked["user_code"], "subject": "ou_d", "label": "dev", "decision": "approve"}
    assert (await peer.call("POST", "/oauth/v1/device", data={**form, "user_code": "X"})).status == 404
    assert (await peer.call("POST", "/oauth/v1/device", data=form)).status == 200
    assert (await peer.call("POST", "/oauth/v1/device", json={})).status == 400
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": asked["device_code"], **APP}
    answer = await peer.call("POST", V3, data=grant)
    assert (answer.json["code"], "refresh_token" in answer.json) == (0, False)


async def test_mint_gives_pairs_with_their_ends(peer: Peer) -> None:
    grant = await mint(peer, open_id="ou_1", scope="x offline_access")
    assert (grant["label"], grant["open_id"], grant["scope"]) == ("a", "ou_1", "x offline_access")
    assert (grant["authorized_at"], grant["expires_at"]) == (START, START + 7200)
    assert grant["refresh_expires_at"] == START + 604800
    assert (await info(peer, grant["access_token"])).json["code"] == 0
    many = await peer.control("POST", "/feishu/mint", label="m", count=2, generation="v1")
    assert [one["label"] for one in many["grants"]] == ["m-1", "m-2"]
    assert many["grants"][0]["refresh_expires_at"] == START + 2591999
    status, answer = await peer.try_control("POST", "/feishu/mint", label="a", app_id="cli_nobody")
    assert (status, answer) == (400, {"error": "app_id: not registered"})


async def test_apps_are_added_replaced_and_changed(peer: Peer) -> None:
    added = await peer.control("POST", "/feishu/apps", app_id="cli_2", secret="s", brand="feishu")
    assert (added["enabled"], "secret" in added) == (True, False)
    token = (await mint(peer, app_id="cli_2"))["refresh_token"]
    asked = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "cli_2", "client_secret": "s"}
    changed = await peer.control("PATCH", "/feishu/apps", app_id="cli_2", refreshing=False)
    assert changed["refreshing"] is False
    assert (await peer.call("POST", V2, json=asked)).json["code"] == 20074
    await peer.control("PATCH", "/feishu/apps", app_id="cli_2", refreshing=True, secret="t")
    assert (await peer.call("POST", V2, json=asked)).json["code"] == 20002
    assert (await peer.call("POST", V2, json={**asked, "client_secret": "t"})).json["code"] == 0
    assert (await peer.try_control("PATCH", "/feishu/apps", app_id="cli_3", enabled=False))[0] == 400
    assert (await peer.try_control("POST", "/feishu/apps", app_id="cli_3"))[0] == 400


async def test_people_come_and_go(peer: Peer) -> None:
    token = (await mint(peer, open_id="ou_1"))["refresh_token"]
    await peer.control("POST", "/feishu/people", open_id="ou_1", standing="frozen")
    assert (await refresh(peer, token)).json["code"] == 20066
    await peer.control("POST", "/feishu/people", open_id="ou_1", standing="active")
    assert (await refresh(peer, token)).json["code"] == 0
    assert (await peer.try_control("POST", "/feishu/people", open_id="ou_1", standing="asleep"))[0] == 400


async def test_a_grant_can_be_made_older(peer: Peer) -> None:
    grant = await mint(peer)
    assert await peer.control("POST", "/feishu/age", label="a", days=6.5) == {"aged": 1}
    assert (await info(peer, grant["access_token"])).json["code"] == 99991677
    second = (await refresh(peer, grant["refresh_token"])).json["refresh_token"]
    await peer.control("POST", "/feishu/age", label="a", days=7)
    assert (await refresh(peer, second)).json["code"] == 20037
    assert await peer.control("POST", "/feishu/age", label="nobody", days=1) == {"aged": 0}


async def test_a_year_can_be_over_while_the_refresh_token_is_young(peer: Peer) -> None:
    await peer.control("PATCH", "/feishu/constants", label="a", FEISHU_SIM_REFRESH_TTL_S=400 * 86400)
    young = (await mint(peer, "a"))["refresh_token"]
    await peer.control("POST", "/feishu/age", label="a", days=364)
    young = (await refresh(peer, young)).json["refresh_token"]
    await peer.control("POST", "/feishu/age", label="a", days=1)
    assert (await refresh(peer, young)).json["code"] == 20037


async def test_grants_show_what_their_refreshes_did(peer: Peer) -> None:
    token = (await mint(peer))["refresh_token"]
    for _ in range(3):
        token = (await refresh(peer, token)).json["refresh_token"]
    (grant,) = (await peer.control("GET", "/feishu/grants/a"))["grants"]
    assert (grant["refreshes"], grant["live_refresh_tokens"], grant["killed_by"]) == (3, 1, None)
    assert (grant["authorized_at"], grant["refresh_expires_at"]) == (START, START + 604800)
    await peer.control("POST", "/kill_lineage", label="a")
    (grant,) = (await peer.control("GET", "/feishu/grants/a"))["grants"]
    assert (grant["live_refresh_tokens"], grant["killed_by"]) == (0, "control")
    assert (await refresh(peer, token)).json["code"] == 20064
    assert (await peer.try_control("GET", "/feishu/grants/nobody"))[0] == 404


async def test_an_access_token_is_refused_from_now_on(peer: Peer) -> None:
    grant = await mint(peer)
    assert await peer.control("POST", "/revoke_access", label="a") == {"revoked": 1}
    assert (await info(peer, grant["access_token"])).json["code"] == 99991668
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 0


async def test_the_authorization_can_be_visited_from_the_control_port(peer: Peer) -> None:
    url = "http://x" + AUTHORIZE + "?" + urllib.parse.urlencode({"client_id": "cli_sandbox", "redirect_uri": BACK})
    told = await peer.control("POST", "/feishu/authorize", url=url, open_id="ou_1", label="acc")
    assert told["location"].startswith(BACK + "?code=")
    told = await peer.control("POST", "/feishu/authorize", url=url, allowed=False)
    assert told["location"] == BACK + "?error=access_denied"
    assert await peer.try_control("POST", "/feishu/authorize", url="http://x/") == (409, {"code": 20048})


async def test_constants_change_while_it_runs(peer: Peer) -> None:
    whole = await peer.control("PATCH", "/feishu/constants", FEISHU_SIM_CODE_ON_REUSE=20073)
    assert (whole["FEISHU_SIM_CODE_ON_REUSE"], whole["FEISHU_SIM_ERROR_CLASS"]["20050"]) == (20073, "server_error")
    await peer.control("PATCH", "/feishu/constants", app_id="cli_sandbox", FEISHU_SIM_ACCESS_TTL_S=30)
    await peer.control("PATCH", "/feishu/constants", label="a", FEISHU_SIM_REFRESH_TTL_S=60)
    answer = (await refresh(peer, (await mint(peer))["refresh_token"])).json
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (30, 60)
    shown = await peer.control("GET", "/feishu/constants?app_id=cli_sandbox&label=a")
    assert (shown["FEISHU_SIM_ACCESS_TTL_S"], shown["FEISHU_SIM_REFRESH_TTL_S"]) == (30, 60)
    assert (await peer.control("GET", "/feishu/constants"))["FEISHU_SIM_ACCESS_TTL_S"] == 7200
    assert (await peer.try_control("PATCH", "/feishu/constants", FEISHU_SIM_ACCESS_TTL_S="x"))[0] == 400


async def test_no_body_of_any_kind_breaks_it(peer: Peer, running: Running) -> None:
    kinds = ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
    for method, path in running.feishu.endpoints:
        for kind in kinds:
            for body in (b"", b"null", b'{"a": {}}', b"\xff", b"a=%ff"):
                answer = await peer.call(method, path, data=body, headers={"Content-Type": kind})
                assert answer.status < 500, (path, kind, body)
                assert json.loads(answer.body)["code"] != 0


async def test_a_secret_is_in_no_repr(peer: Peer, running: Running) -> None:
    grant = await mint(peer)
    token, _ = running.feishu.ledger.find(grant["refresh_token"]) or (None, None)
    assert grant["refresh_token"] not in repr(token)
    assert "sandbox-secret" not in repr(running.feishu.apps.find("cli_sandbox"))
