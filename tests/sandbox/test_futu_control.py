"""Futu's calls of the control port."""

from typing import Any

import pytest

from tests.sandbox.conftest import Peer
from tests.sandbox.wire import assert_says_what_to_write

BROKERS = {"1001": "hk", "1007": "us"}


async def opened(peer: Peer, **wish: Any) -> dict[str, Any]:
    return await peer.control("POST", "/futu/accounts", **{"label": "futu", "brokers": BROKERS, **wish})


async def test_an_account_is_opened_with_all_that_a_client_keeps(peer: Peer) -> None:
    record = await opened(peer)
    assert set(record) == {
        "account", "uid", "user_attribution", "device_id", "tgtgt", "rand_key", "device_sig", "web_sig",
        "auth_code_list",
    }  # fmt: skip
    assert [one["broker_id"] for one in record["auth_code_list"]] == [1001, 1007]
    assert len(record["device_id"]) == 16


async def test_what_is_given_is_taken_and_the_rest_made_up(peer: Peer) -> None:
    given = {"uid": 5, "account": "a@b", "attribution": 2, "device_id": "0f1e2d3c4b5a6978"}
    record = await opened(peer, **given)
    assert (record["uid"], record["account"], record["device_id"]) == (5, "a@b", "0f1e2d3c4b5a6978")
    assert (record["user_attribution"], record["device_sig"]) == (2, "")
    assert (await opened(peer, label="second"))["uid"] == 90_000_001


async def test_an_account_is_shown_without_its_secrets(peer: Peer) -> None:
    record = await opened(peer)
    async with peer.session.get(f"{peer.running.control_url}/futu/accounts/{record['uid']}") as reply:
        text, shown = await reply.text(), await reply.json()
    for secret in (record["tgtgt"], record["web_sig"], record["auth_code_list"][0]["auth_code"]):
        assert secret not in text
    assert shown["brokers"][0]["auth_code"]["standing"] == "live"
    assert shown["brokers"][0]["broker_client_sig"] is None


@pytest.mark.parametrize(
    ("what", "broker_id"), [("tgtgt", None), ("web_sig", None), ("auth_code", 1001), ("customer_id", 1001)]
)
async def test_things_can_be_made_worthless(peer: Peer, what: str, broker_id: int | None) -> None:
    uid = (await opened(peer))["uid"]
    voided = await peer.control("POST", "/futu/void", uid=uid, what=what, broker_id=broker_id)
    assert voided == {"voided": 0 if what == "customer_id" else 1}
    shown = await peer.control("GET", f"/futu/accounts/{uid}")
    part = shown if broker_id is None else shown["brokers"][0]
    assert part[what] is None or part[what]["standing"] == "void"


@pytest.mark.parametrize(("what", "broker_id"), [("tgtgt", None), ("web_sig", None), ("auth_code", 1007)])
async def test_things_can_reach_their_end(peer: Peer, what: str, broker_id: int | None) -> None:
    uid = (await opened(peer))["uid"]
    wish = {"uid": uid, "what": what, "broker_id": broker_id}
    assert await peer.control("POST", "/futu/expire", **wish) == {"expired": 1}
    assert await peer.control("POST", "/futu/expire", **wish) == {"expired": 0}


async def test_a_void_customer_id_puts_a_line_into_the_script(peer: Peer) -> None:
    uid = (await opened(peer))["uid"]
    await peer.control("POST", "/futu/void", uid=uid, what="customer_id", broker_id=1001, count=None)
    (line,) = (await peer.control("GET", "/futu/script"))["lines"]
    assert (line["operation"], line["broker_id"], line["code"], line["left"]) == ("repull", 1001, 20029, None)


async def test_constants_are_everybodys_or_one_uids(peer: Peer) -> None:
    shown = await peer.control("PATCH", "/futu/constants", FUTU_SIM_BROKER_SIG_TTL_S=2)
    assert (shown["FUTU_SIM_BROKER_SIG_TTL_S"], shown["FUTU_SIM_DVS_TTL_S"]) == (2, 300)
    await peer.control("PATCH", "/futu/constants", uid=5, FUTU_SIM_BROKER_SIG_TTL_S=3)
    assert (await peer.control("PATCH", "/futu/constants"))["FUTU_SIM_BROKER_SIG_TTL_S"] == 2
    assert (await peer.control("PATCH", "/futu/constants", uid=5))["FUTU_SIM_BROKER_SIG_TTL_S"] == 3


async def test_lines_of_the_script_are_listed_and_removed(peer: Peer) -> None:
    line = await peer.control("POST", "/futu/script", operation="repull", code=20029, uid=5, broker_id=1001)
    assert (line["id"], line["left"]) == (1, None)
    await peer.control("POST", "/futu/script", operation="authority", spoil="no_web_sig", count=3)
    listed = (await peer.control("GET", "/futu/script"))["lines"]
    assert [(one["operation"], one["left"]) for one in listed] == [("repull", None), ("authority", 3)]
    assert await peer.control("DELETE", "/futu/script?uid=6") == {"removed": 0}
    assert await peer.control("DELETE", "/futu/script?id=1") == {"removed": 1}
    assert await peer.control("DELETE", "/futu/script") == {"removed": 1}


async def test_a_demand_and_the_phone(peer: Peer) -> None:
    uid = (await opened(peer))["uid"]
    for what in ("device_check", "third_factor", ""):
        await peer.control("POST", "/futu/require", uid=uid, what=what)
        assert (await peer.control("GET", f"/futu/accounts/{uid}"))["needs"] == what
    assert await peer.control("GET", f"/futu/phone/{uid}") == {"codes": []}


async def test_the_host_its_clock_and_its_grudges_can_be_changed(peer: Peer) -> None:
    shown = await peer.control("PATCH", "/futu/service", platform="futunn", offset_s=600, poisoned="0f1e")
    assert shown == {"platform": "futunn", "offset_s": 600, "poisoned": ["0f1e"]}
    assert await peer.control("PATCH", "/futu/service") == shown


@pytest.mark.parametrize(
    ("method", "path", "wish", "word"),
    [
        ("POST", "/futu/accounts", {}, "label: required"),
        ("POST", "/futu/accounts", {"label": "a", "brokers": [1]}, "brokers: expected"),
        ("POST", "/futu/accounts", {"label": "a", "brokers": {"x": "b"}}, "invalid literal"),
        ("GET", "/futu/accounts/5", {}, "uid: unknown"),
        ("PATCH", "/futu/constants", {"FUTU_SIM_X": 1}, "unknown"),
        ("POST", "/futu/script", {"operation": "x"}, "operation: expected one of"),
        ("POST", "/futu/expire", {"uid": 5, "what": "all"}, "what: expected one of"),
        ("POST", "/futu/void", {"uid": 5, "what": "web_sig"}, "uid: unknown"),
        ("POST", "/futu/require", {"uid": 5, "what": "luck"}, "what: expected one of"),
        ("DELETE", "/futu/brokers", {}, "uid: unknown"),
        ("PATCH", "/futu/service", {"platform": "x"}, "platform: expected one of"),
    ],
)
async def test_a_malformed_wish_says_what_to_write(
    peer: Peer, method: str, path: str, wish: dict[str, object], word: str
) -> None:
    await assert_says_what_to_write(peer, method, path, wish, word)


async def test_names_are_taken_once(peer: Peer) -> None:
    uid = (await opened(peer))["uid"]
    again = {"label": "b", "uid": uid, "brokers": {}}
    assert (await peer.try_control("POST", "/futu/accounts", **again))[1]["error"] == "uid, account: taken"
    new = {"uid": uid, "broker_id": 1001, "label": "c"}
    assert (await peer.try_control("POST", "/futu/brokers", **new))[1]["error"] == "broker_id: there already"
    wish = {"uid": uid, "what": "auth_code"}
    assert (await peer.try_control("POST", "/futu/void", **wish))[1]["error"].startswith("broker_id: not one")
    wish = {"uid": uid, "what": "customer_id", "broker_id": 1001}
    assert (await peer.try_control("POST", "/futu/expire", **wish))[1]["error"].startswith("what: customer_id")
