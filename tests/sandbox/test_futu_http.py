"""Futu's stand-in on the wire: the same faults, deliveries and books as the other services."""

import asyncio
import contextlib
import json
import sys
from typing import Any

import aiohttp
import pytest

from freshd.sandbox.futu.levers import FutuLevers, Opening
from freshd.sandbox.tokens import Commit, fingerprint
from tests.sandbox.conftest import Answer, Peer, until
from tests.sandbox.futu_bed import BROKERS, DEVICE, HK, US


@pytest.fixture
def kept(peer: Peer) -> dict[str, Any]:
    levers = FutuLevers(peer.running.futu.state)
    return levers.open(Opening(label="futu"), BROKERS, peer.running.service.now())


def login_body(kept: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: kept[name] for name in ("uid", "device_id", "tgtgt", "device_sig")},
        "sens_state": "true",
        **DEVICE,
    }


async def login(peer: Peer, kept: dict[str, Any]) -> Answer:
    return await peer.call("POST", "/authority/", json=login_body(kept))


async def repull(peer: Peer, kept: dict[str, Any], broker_id: int = HK) -> Answer:
    body = {**{name: kept[name] for name in ("uid", "device_id", "web_sig")}, "broker_id": broker_id}
    return await peer.call("POST", "/authority/repull_auth_code", json=body)


async def auth(peer: Peer, kept: dict[str, Any], broker_id: int = HK) -> Answer:
    code = next(one["auth_code"] for one in kept["auth_code_list"] if one["broker_id"] == broker_id)
    body = {"uid": kept["uid"], "device_id": kept["device_id"], "auth_code": code, "broker_id": broker_id}
    return await peer.call("POST", "/broker_auth/client_auth", json=body)


async def settled(peer: Peer, label: str) -> Commit:
    commits = peer.running.ledger.books.account(label).commits
    await until(lambda: commits and commits[-1].delivery)
    return commits[-1]


async def test_the_chain_runs_over_http(peer: Peer, kept: dict[str, Any]) -> None:
    for answer in (await login(peer, kept), await repull(peer, kept, US), await auth(peer, kept)):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
    assert (await login(peer, kept)).json["error"]["error_code"] == 15


async def test_the_code_is_spent_by_the_exchange_and_its_answer_is_followed(peer: Peer, kept: dict[str, Any]) -> None:
    sig = (await auth(peer, kept)).json["result"]["broker_client_sig"]
    commit = await settled(peer, "hk")
    assert (commit.successor, commit.doubt) == (fingerprint(sig), "unconfirmed")
    assert await peer.control("POST", "/escrowed", fingerprints=[commit.successor]) == {"marked": 1}
    assert (await auth(peer, kept)).json["error"]["error_code"] == 990004
    page = await peer.control("GET", "/ledger/hk")
    assert page["counters"]["spent_uses"] == 1
    assert [call["outcome"] for call in page["calls"]] == ["granted", "990004"]
    assert page["commits"][0]["reached"]
    assert page["commits"][0]["received_ns"] < page["commits"][0]["committed_ns"]


async def test_a_login_shares_its_delivery_with_the_brokers_it_touched(peer: Peer, kept: dict[str, Any]) -> None:
    await login(peer, kept)
    whole = await settled(peer, "futu")
    for label in BROKERS.values():
        part = await settled(peer, label)
        assert part.delivery is whole.delivery
        assert part.received_ns is not None
        assert part.committed_ns is not None


@pytest.mark.parametrize(
    ("fault", "settings", "reason"),
    [
        ("lost_after_commit", {}, "lost_after_commit"),
        ("cut_short", {"bytes": 5}, "cut_short"),
        ("reset", {"after_commit": True}, "reset"),
        ("hang", {"seconds": 0.001, "after_commit": True}, "hang"),
        ("html", {"after_commit": True}, "html"),
        ("bad_gateway", {"after_commit": True}, "bad_gateway"),
        ("missing_fields", {"fields": ["broker_client_sig"]}, "missing_fields"),
        ("wrong_types", {"fields": ["broker_client_sig"]}, "wrong_types"),
    ],
)
async def test_a_fault_that_eats_the_answer_makes_a_replay_doubtful(
    peer: Peer, kept: dict[str, Any], fault: str, settings: dict[str, Any], reason: str
) -> None:
    await peer.control("POST", "/faults", fault=fault, label="hk", count=1, **settings)
    with contextlib.suppress(aiohttp.ClientError):
        await auth(peer, kept)
    assert (await settled(peer, "hk")).doubt == reason
    assert (await auth(peer, kept)).json["error"]["error_code"] == 990004
    counters = (await peer.control("GET", "/ledger/hk"))["counters"]
    assert (counters["spent_uses"], counters["reasons"]) == (0, {reason: 1})


@pytest.mark.parametrize("fault", ["lost_before_commit", "html", "bad_gateway", "reset", "rate_limited", "status"])
async def test_before_the_commit_nothing_is_spent(peer: Peer, kept: dict[str, Any], fault: str) -> None:
    await peer.control("POST", "/faults", fault=fault, label="hk", grant_type="broker_auth", count=1)
    with contextlib.suppress(aiohttp.ClientError):
        await auth(peer, kept)
    assert "result" in (await auth(peer, kept)).json
    calls = (await peer.control("GET", "/ledger/hk"))["calls"]
    assert [call["outcome"] for call in calls] == [fault, "granted"]


async def test_a_swallowed_login_counts_as_an_arrival_and_starts_no_window(peer: Peer, kept: dict[str, Any]) -> None:
    await peer.control("POST", "/faults", fault="bad_gateway", label="futu", count=1)
    assert (await login(peer, kept)).status == 502
    assert "error" not in (await login(peer, kept)).json
    tally = (await peer.control("GET", "/futu/counters"))["by_uid"][str(kept["uid"])]
    assert (tally["authority_calls"], tally["authority_too_soon"]) == (2, 1)


async def test_edits_spoil_the_result_and_leave_refusals_alone(peer: Peer, kept: dict[str, Any]) -> None:
    await peer.control("POST", "/faults", fault="code_as_text")
    assert (await repull(peer, kept)).json["result"]["broker_id"] == "1001"
    assert (await repull(peer, kept)).json["error"]["error_code"] == 990002


async def test_the_answer_can_speak_for_another_uid(peer: Peer, kept: dict[str, Any]) -> None:
    await peer.control("POST", "/faults", fault="wrong_subject", subject="5")
    assert (await repull(peer, kept)).json["result"]["uid"] == 5


async def test_a_rule_for_the_uid_and_the_operation_strikes_only_them(peer: Peer, kept: dict[str, Any]) -> None:
    await peer.control("POST", "/faults", fault="status", client_id=str(kept["uid"]), grant_type="repull")
    assert (await login(peer, kept)).status == 200
    assert (await repull(peer, kept)).status == 503


async def test_salt_has_an_endpoint_of_its_own(peer: Peer, kept: dict[str, Any]) -> None:
    await peer.control("POST", "/faults", fault="status", endpoint="salt")
    assert (await peer.call("GET", "/authority/salt", params={"account": kept["account"]})).status == 503
    assert (await login(peer, kept)).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"x"'])
async def test_a_body_that_is_no_object_is_nobodys(peer: Peer, body: bytes) -> None:
    said = await peer.call("POST", "/authority/repull_auth_code", data=body)
    assert said.json["error"]["error_code"] == 990008
    assert len(peer.running.ledger.books.account("(unknown)").calls) == 1


async def test_other_paths_below_are_not_there(peer: Peer) -> None:
    assert (await peer.call("GET", "/authority/none")).status == 404
    assert (await peer.call("GET", "/broker_auth/client_auth")).status == 404


async def test_its_counters_stand_beside_the_others(peer: Peer, kept: dict[str, Any]) -> None:
    await repull(peer, kept)
    await peer.refresh(await peer.mint())
    by_label = (await peer.control("GET", "/counters"))["by_label"]
    assert by_label["hk"]["calls"] == {"repull": 1}
    assert by_label["a"]["calls"] == {"refresh_token": 1}


async def test_the_process_says_where_the_trading_connection_is() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "freshd.sandbox", stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    where = json.loads(await program.stdout.readline())
    host, _, port = where["trade_url"].removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'{"cmd": 1003}\n')
    assert json.loads(await reader.readline()) == {"cmd": 1003, "ret": -102}
    writer.close()
    program.terminate()
    assert await program.wait() == 0
