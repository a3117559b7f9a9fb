"""The control port, call by call."""

import pytest

from tests.sandbox.conftest import START, Peer
from tests.sandbox.wire import assert_says_what_to_write


async def test_healthz_says_where_and_when(peer: Peer) -> None:
    assert await peer.control("GET", "/healthz") == {"ok": True, "issuer": peer.running.base_url, "now": START}


async def test_mint_numbers_the_labels_of_many(peer: Peer) -> None:
    answer = await peer.control("POST", "/mint", client_id="freshd", label="b", count=3)
    assert [grant["label"] for grant in answer["grants"]] == ["b-1", "b-2", "b-3"]
    assert (await peer.refresh(answer["grants"][2]["refresh_token"])).status == 200
    assert (await peer.control("GET", "/ledger/b-3"))["counters"]["refreshes"] == 1


async def test_the_ledger_names_tokens_by_fingerprint_only(peer: Peer) -> None:
    first = await peer.mint()
    answer = await peer.refresh(first)
    async with peer.session.get(f"{peer.running.control_url}/ledger/a") as reply:
        shown = await reply.text()
    for secret in (first, answer.json["refresh_token"], answer.json["access_token"]):
        assert secret not in shown


async def test_one_call_tells_what_was_presented_and_what_came_of_it(peer: Peer) -> None:
    minted = (await peer.control("POST", "/mint", client_id="freshd", label="a"))["grants"][0]
    await peer.refresh(minted["refresh_token"])
    await peer.refresh(minted["refresh_token"])
    page = await peer.control("GET", "/ledger/a")
    granted, refused = page["calls"]
    assert (granted["presented"], granted["outcome"]) == (minted["fingerprint"], "granted")
    assert (refused["presented"], refused["outcome"], refused["commit"]) == (
        minted["fingerprint"],
        "invalid_grant",
        None,
    )
    assert granted["commit"] == page["commits"][0]["serial"]
    assert granted["received_ns"] < refused["received_ns"]
    assert page["lineages"][0]["killed_by"] == "reuse"


async def test_escrow_marks_turn_doubt_into_guilt(peer: Peer) -> None:
    first = await peer.mint()
    await peer.refresh(first)
    successor = (await peer.control("GET", "/ledger/a"))["commits"][0]["successor"]
    assert await peer.control("POST", "/escrowed", fingerprints=[successor]) == {"marked": 1}
    await peer.refresh(first)
    assert (await peer.control("GET", "/counters"))["total"]["spent_uses"] == 1


async def test_access_tokens_can_be_refused_from_now_on(peer: Peer) -> None:
    first = (await peer.refresh(await peer.mint())).json
    second = (await peer.refresh(first["refresh_token"])).json
    name = (await peer.control("GET", "/ledger/a"))["commits"][0]["access"]
    assert await peer.control("POST", "/revoke_access", label="a", fingerprint=name) == {"revoked": 1}
    assert [(await peer.userinfo(one["access_token"])).status for one in (first, second)] == [401, 200]
    assert await peer.control("POST", "/revoke_access", label="a") == {"revoked": 1}
    assert (await peer.userinfo(second["access_token"])).status == 401
    assert (await peer.refresh(second["refresh_token"])).status == 200


async def test_a_lineage_can_be_killed(peer: Peer) -> None:
    token = await peer.mint()
    assert await peer.control("POST", "/kill_lineage", label="a") == {"killed": 1}
    assert (await peer.refresh(token)).json["error"] == "invalid_grant"
    assert (await peer.control("GET", "/counters"))["by_label"]["a"]["killed_by"] == {"control": 1}


async def test_faults_are_listed_and_removed(peer: Peer) -> None:
    rule = await peer.control("POST", "/faults", fault="hang", seconds=1, label="a", probability=0.5)
    await peer.control("POST", "/faults", fault="html", label="b")
    listed = (await peer.control("GET", "/faults"))["faults"]
    assert [one["fault"] for one in listed] == ["hang", "html"]
    assert listed[0]["settings"] == {"seconds": 1, "after_commit": False}
    assert await peer.control("DELETE", f"/faults?id={rule['id']}") == {"removed": 1}
    assert await peer.control("DELETE", "/faults?label=x") == {"removed": 0}
    assert await peer.control("DELETE", "/faults") == {"removed": 1}


async def test_a_policy_change_shows_the_result(peer: Peer) -> None:
    shown = await peer.control("PATCH", "/policy", label="a", rotation="grace", grace_s=3)
    assert (shown["rotation"], shown["grace_s"], shown["access_s"]) == ("grace", 3, 3600)


@pytest.mark.parametrize(
    ("method", "path", "wish", "word"),
    [
        ("POST", "/mint", {"client_id": "nobody", "label": "a"}, "client_id"),
        ("POST", "/mint", {"client_id": "freshd"}, "label: required"),
        ("POST", "/clients", {"client_id": 3}, "client_id: expected text"),
        ("PATCH", "/policy", {"rotation": "never"}, "rotation: expected one of strict, grace, reusable"),
        ("PATCH", "/policy", {"label": 3}, "label"),
        ("POST", "/faults", {"fault": "nope"}, "fault"),
        ("POST", "/escrowed", {"fingerprints": "x"}, "fingerprints"),
        ("POST", "/kill_lineage", {}, "label: required"),
    ],
)
async def test_a_malformed_wish_says_what_to_write(
    peer: Peer, method: str, path: str, wish: dict[str, object], word: str
) -> None:
    await assert_says_what_to_write(peer, method, path, wish, word)


async def test_unknown_names_are_not_found(peer: Peer) -> None:
    assert (await peer.try_control("GET", "/ledger/none"))[0] == 404
    assert (await peer.try_control("POST", "/approve", user_code="X"))[0] == 404


async def test_a_web_page_cannot_steer_it(peer: Peer) -> None:
    async with peer.session.get(peer.running.control_url + "/counters", headers={"Host": "evil.example:1"}) as reply:
        assert reply.status == 403
