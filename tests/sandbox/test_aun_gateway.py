"""The gateway on real sockets: challenge, deadline, closes, strays, and faults on answers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from freshd.sandbox.aun.levers import Kick, Minting, Thing
from freshd.sandbox.aun.service import Stand
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.faults import NoRefreshToken
from freshd.sandbox.server import Running
from tests.sandbox.aun_bed import AID, Socket, connect_params
from tests.sandbox.conftest import Clock, Peer, until


@pytest.fixture
def stand(running: Running) -> Stand:
    found: Stand = running.stands["aun"]
    return found


@pytest.fixture
def kept(stand: Stand, clock: Clock) -> dict[str, Any]:
    return stand.levers.mint(Minting(aid=AID), clock())


def change(stand: Stand, **over: object) -> None:
    stand.aun.state.constants.change({f"AUN_SIM_{name}": value for name, value in over.items()})


async def refresh(running: Running, token: object) -> dict[str, Any]:
    async with Socket(running) as socket:
        await socket.hear()
        return await socket.ask("auth.refresh_token", refresh_token=token)


async def test_the_challenge_comes_first_and_nothing_else_unasked(running: Running) -> None:
    async with Socket(running) as socket:
        challenge = await socket.hear()
        assert (challenge["method"], "id" in challenge) == ("challenge", False)
        assert challenge["params"]["nonce"]
        assert challenge["params"]["protocol"] == {"min": "1.0", "max": "1.0"}
        answer = await socket.ask("auth.aid_login1")
        assert (answer["id"], answer["error"]["code"]) == ("pre-auth.aid_login1", -32602)


async def test_a_login_spans_connections_and_a_session_follows(running: Running, kept: dict[str, Any]) -> None:
    answer = await refresh(running, kept["refresh_token"])
    async with Socket(running, "/aun/2") as socket:
        hello = await socket.connect(answer["result"]["access_token"])
        assert hello["result"]["status"] == "ok"
        assert (await socket.ask("meta.ping"))["result"]["pong"] is True


async def test_a_connection_without_a_session_ends_at_its_deadline(running: Running, stand: Stand) -> None:
    change(stand, CONNECT_DEADLINE_S=0.05)
    async with Socket(running) as socket:
        assert await socket.end() == 4008


async def test_the_deadline_holds_no_session(running: Running, stand: Stand, kept: dict[str, Any]) -> None:
    change(stand, CONNECT_DEADLINE_S=0.3)
    async with Socket(running) as socket:
        await socket.connect(kept["access_token"])
        async with Socket(running) as other:
            assert await other.end() == 4008
        assert "result" in await socket.ask("meta.ping")


@pytest.mark.parametrize("kind", ["no_nonce", "empty_nonce"])
async def test_a_challenge_may_lack_its_nonce(running: Running, stand: Stand, kind: str) -> None:
    change(stand, CHALLENGE=kind)
    async with Socket(running) as socket:
        assert not (await socket.hear())["params"].get("nonce")


async def test_something_may_come_before_the_challenge(running: Running, stand: Stand) -> None:
    change(stand, CHALLENGE="early_frame")
    async with Socket(running) as socket:
        assert [(await socket.hear())["method"] for _ in range(2)] == ["event/gateway.notice", "challenge"]


async def test_the_challenge_may_be_noise_or_silence(running: Running, stand: Stand) -> None:
    change(stand, CHALLENGE="not_json")
    async with Socket(running) as socket:
        assert (await socket.socket.receive_str()) == "good morning"
    change(stand, CHALLENGE="silent")
    async with Socket(running) as socket:
        assert "error" in await socket.ask("auth.aid_login1")


async def test_a_stray_may_come_before_the_answer(running: Running, stand: Stand) -> None:
    change(stand, STRAY_FRAMES=True)
    async with Socket(running) as socket:
        await socket.hear()
        assert (await socket.ask("auth.aid_login1"))["method"] == "event/gateway.notice"
        assert "error" in await socket.hear()


async def test_answers_may_have_members_nobody_knows(running: Running, stand: Stand, kept: dict[str, Any]) -> None:
    change(stand, UNKNOWN_FIELDS=True)
    answer = await refresh(running, kept["refresh_token"])
    assert {"_meta", "_trace"} <= answer.keys()
    assert "novelty" in answer["result"]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"id": 1}', '{"id":1,"method":"a","params":[]}'])
async def test_what_is_no_request_is_refused_and_harms_nothing(running: Running, text: str) -> None:
    async with Socket(running) as socket:
        await socket.hear()
        await socket.socket.send_str(text)
        assert (await socket.hear())["error"]["code"] in (-32700, -32600)
        assert "error" in await socket.ask("auth.aid_login1")


async def test_a_refused_token_is_answered_and_the_connection_closed(
    running: Running, stand: Stand, clock: Clock, kept: dict[str, Any]
) -> None:
    stand.levers.revoke(AID, Thing.ACCESS, None, clock())
    async with Socket(running) as socket:
        assert (await socket.connect(kept["access_token"]))["error"]["code"] == 4001
        assert await socket.end() == 4001
    change(stand, CONNECT_DENIAL="close")
    async with Socket(running) as socket:
        nonce = (await socket.hear())["params"]["nonce"]
        await socket.send("auth.connect", **connect_params(nonce, kept["access_token"]))
        assert await socket.end() == 4001


@pytest.mark.parametrize(
    "code", [1000, 1001, 1006, 1011, 1012, 4001, 4003, 4008, 4009, 4010, 4011, 4012, 4013, 4014, 4015]
)
@pytest.mark.parametrize("event", [True, False])
async def test_a_kick_closes_with_its_code_announced_or_not(
    running: Running, stand: Stand, kept: dict[str, Any], code: int, event: bool
) -> None:
    async with Socket(running) as socket:
        await socket.connect(kept["access_token"])
        assert stand.levers.kick(Kick(aid=AID, code=code, event=event)) == 1
        if event:
            announced = await socket.hear()
            assert (announced["method"], announced["params"]["code"]) == ("event/gateway.disconnect", code)
        assert await socket.end() == code


async def test_an_end_is_announced_unless_it_is_not(running: Running, stand: Stand, kept: dict[str, Any]) -> None:
    change(stand, DISCONNECT_EVENT=False)
    async with Socket(running) as older, Socket(running) as newer:
        await older.connect(kept["access_token"])
        await newer.connect(kept["access_token"])
        assert (await older.socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert older.socket.close_code == 4009


async def test_the_watch_ends_sessions_on_the_services_clock(
    running: Running, stand: Stand, clock: Clock, kept: dict[str, Any]
) -> None:
    change(stand, SESSION_AT_EXPIRY="close")
    async with Socket(running) as socket:
        await socket.connect(kept["access_token"])
        clock.at += 3600
        assert (await socket.hear())["params"]["code"] == 4001
        assert await socket.end() == 4001


async def test_a_peer_that_goes_leaves_no_session(running: Running, stand: Stand, kept: dict[str, Any]) -> None:
    async with Socket(running) as socket:
        await socket.connect(kept["access_token"])
    await until(lambda: not stand.aun.hub.sessions)


async def test_a_gateway_that_is_down_takes_nobody(running: Running, peer: Peer) -> None:
    await peer.control("PATCH", "/aun/service", gateways=[{"path": "/aun", "is_up": False}, {"path": "/aun/2"}])
    with pytest.raises(aiohttp.WSServerHandshakeError) as told:
        await Socket(running).__aenter__()
    assert told.value.status == 503
    async with Socket(running, "/aun/2") as socket:
        await socket.hear()


@pytest.mark.parametrize("fault", ["lost_before_commit", "lost_after_commit", "hang", "reset", "cut_short"])
async def test_an_answer_can_be_lost(running: Running, peer: Peer, kept: dict[str, Any], fault: str) -> None:
    seconds = {"seconds": 0.01} if fault == "hang" else {}
    await peer.control("POST", "/faults", fault=fault, endpoint="auth.refresh_token", label=AID, count=1, **seconds)
    async with Socket(running) as socket:
        await socket.hear()
        await socket.send("auth.refresh_token", refresh_token=kept["refresh_token"])
        assert await socket.end() == 1006
    page = running.ledger.books.account(AID)
    committed = fault in ("lost_after_commit", "cut_short")
    await until(lambda: page.calls[-1].outcome != "pending" and (not committed or page.commits[-1].delivery))
    answer = await refresh(running, kept["refresh_token"])
    assert answer["result"]["success"] is not committed
    assert page.counters.reasons == ({fault: 1} if committed else {})


async def test_a_rule_for_all_endpoints_strikes_this_one_too(
    running: Running, peer: Peer, kept: dict[str, Any]
) -> None:
    await peer.control("POST", "/faults", fault="slow", seconds=0.01, when="after", endpoint="*", label=AID, count=1)
    assert (await refresh(running, kept["refresh_token"]))["result"]["success"] is True
    assert (await peer.control("GET", "/faults"))["faults"] == []


async def test_a_rate_limit_speaks_the_protocol_and_a_page_does_not(
    running: Running, peer: Peer, kept: dict[str, Any]
) -> None:
    await peer.control("POST", "/faults", fault="rate_limited", retry_after=7, endpoint="auth.refresh_token", count=1)
    error = (await refresh(running, kept["refresh_token"]))["error"]
    assert (error["code"], error["data"]["retry_after"]) == (-32029, 7)
    await peer.control("POST", "/faults", fault="html", endpoint="auth.refresh_token", count=1)
    async with Socket(running) as socket:
        await socket.hear()
        await socket.send("auth.refresh_token", refresh_token=kept["refresh_token"])
        assert (await socket.socket.receive_str()).startswith("<!doctype html>")
    assert (await refresh(running, kept["refresh_token"]))["result"]["success"] is True


async def test_a_spoiled_answer_counts_as_one_that_did_not_carry_its_secret(
    running: Running, kept: dict[str, Any]
) -> None:
    running.faults.add(NoRefreshToken(), Scope(endpoint="auth.refresh_token", label=AID), count=1)
    assert "refresh_token" not in (await refresh(running, kept["refresh_token"]))["result"]
    await refresh(running, kept["refresh_token"])
    assert running.ledger.books.account(AID).counters.reasons == {"no_refresh_token": 1}


async def test_a_read_answer_was_delivered_whole_and_timed_in_order(running: Running, kept: dict[str, Any]) -> None:
    await refresh(running, kept["refresh_token"])
    commit = running.ledger.books.account(AID).commits[-1]
    await until(lambda: commit.delivery)
    told = commit.delivery
    assert told is not None
    assert (told.is_whole, told.peer_open_before, commit.doubt) == (True, True, "unconfirmed")
    moments = [commit.received_ns, commit.committed_ns, told.write_started_ns, told.write_done_ns]
    assert moments == sorted(moments, key=lambda at: at or 0)


async def test_marking_answers_as_kept_works_for_tokens_and_certificates(
    running: Running, peer: Peer, kept: dict[str, Any]
) -> None:
    answer = await refresh(running, kept["refresh_token"])
    commits = running.ledger.books.account(AID).commits
    assert (await peer.control("POST", "/escrowed", fingerprints=[commits[-1].successor]))["marked"] == 1
    assert commits[-1].doubt is None
    await refresh(running, kept["refresh_token"])
    assert running.ledger.books.account(AID).counters.spent_uses == 1
    assert json.dumps(answer)


async def test_two_uses_of_one_token_at_once_bring_one_pair(running: Running, kept: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(refresh(running, kept["refresh_token"]) for _ in range(4)))
    assert [answer["result"]["success"] for answer in answers].count(True) == 1


async def test_closing_ends_every_connection(running: Running, kept: dict[str, Any]) -> None:
    async with Socket(running) as socket, Socket(running) as bare:
        await socket.connect(kept["access_token"])
        closing = asyncio.create_task(running.aclose())
        assert await socket.end() == 1001
        assert await bare.end() == 1001
        await closing


@pytest.mark.parametrize(
    ("line", "look"),
    [
        ({"code": -32005}, lambda told: told["error"]["code"] == -32005),
        ({"code": 429, "data": {"retry_after": 3}}, lambda told: told["error"]["data"]["retry_after"] == 3),
        ({"result": {"success": False, "error": "refresh not supported"}}, lambda told: not told["result"]["success"]),
        ({"over": {"expires_in": "soon", "refresh_token": None}}, lambda told: "refresh_token" not in told["result"]),
    ],
)
async def test_answers_can_be_ordered(
    running: Running, peer: Peer, kept: dict[str, Any], line: dict[str, Any], look: Callable[[dict[str, Any]], bool]
) -> None:
    await peer.control("POST", "/aun/script", operation="auth.refresh_token", aid=AID, count=1, **line)
    assert look(await refresh(running, kept["refresh_token"]))
    done = "over" in line
    assert (await refresh(running, kept["refresh_token"]))["result"]["success"] is not done


async def test_an_ordered_lie_after_the_change_and_silence(running: Running, peer: Peer, kept: dict[str, Any]) -> None:
    wish: dict[str, Any] = {"operation": "auth.refresh_token", "count": 1}
    await peer.control("POST", "/aun/script", **wish, code=5000, after_commit=True)
    assert (await refresh(running, kept["refresh_token"]))["error"]["code"] == 5000
    assert running.ledger.books.account(AID).counters.refreshes == 1
    await peer.control("POST", "/aun/script", **wish, silent=True, close=1011)
    async with Socket(running) as socket:
        await socket.hear()
        await socket.send("auth.refresh_token", refresh_token=kept["refresh_token"])
        assert await socket.end() == 1011
