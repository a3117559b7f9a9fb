"""``auth.connect`` and what follows: nonces, tokens, protocol, slots, quotas, ends."""

from typing import Any

import pytest

from freshd.sandbox.aun.levers import Kick, Thing
from tests.sandbox.aun_bed import AID, HOUR, Bed, claims_of, code_of, connect_params, signed


def slot(name: str, device: str = "dev-1") -> dict[str, Any]:
    return {"client": {"slot_id": name}, "device": {"id": device, "type": "sdk"}}


def short(ttl_ms: int = 30000) -> dict[str, Any]:
    return {"options": {"kind": "short", "short_ttl_ms": ttl_ms}}


def test_a_session_says_hello() -> None:
    bed = Bed()
    told = bed.connect()
    assert told.result is not None
    shown = {name: told.result[name] for name in ("status", "protocol", "authenticated", "heartbeat_interval")}
    assert shown == {"status": "ok", "protocol": "1.0", "authenticated": True, "heartbeat_interval": 30}
    identity, capabilities = told.result["identity"], told.result["capabilities"]
    assert isinstance(identity, dict)
    assert isinstance(capabilities, dict)
    assert identity["aid"] == AID
    assert capabilities["namespaces"] == ["auth", "message", "meta"]


def test_only_the_connections_own_nonce_opens_a_session_and_once() -> None:
    bed = Bed()
    first, second = bed.open(), bed.open()
    params = connect_params(first.nonce, bed.me.access)
    assert code_of(bed.call("auth.connect", peer=second, **params)) == 4010
    assert code_of(bed.call("auth.connect", peer=first, **params)) is None
    assert code_of(bed.call("auth.connect", peer=first, **params)) == 4010
    assert code_of(bed.call("auth.connect", peer=second, **params)) == 4010
    assert bed.page.counters.spent_uses == 2


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({"method": "kite_token", "token": "no.such.token"}, 4001),
        ({"method": "kite_token"}, 4001),
        ({"method": "pairing_code", "code": "1234"}, 4001),
        ({}, 4001),
    ],
)
def test_without_a_good_token_there_is_no_session(auth: dict[str, str], code: int) -> None:
    bed = Bed()
    told = bed.connect(auth=auth)
    assert code_of(told) == code
    assert told.farewell is not None
    assert told.farewell.code == 4001


def test_a_token_is_good_until_its_end_to_the_second() -> None:
    bed = Bed()
    bed.pass_(HOUR - 1)
    assert bed.connect().result is not None
    bed.pass_(1)
    assert code_of(bed.connect()) == 4001


def test_a_dead_token_shown_again_is_counted() -> None:
    bed = Bed()
    bed.levers.revoke(AID, Thing.ACCESS, None, bed.at)
    for _ in range(3):
        bed.connect()
    assert bed.aun.state.books.tally(AID).dead_tokens == 2


def test_a_login_nonce_signed_by_the_key_opens_a_session_too() -> None:
    bed = Bed()
    begun = bed.begin()
    auth = {"method": "aid", "aid": AID, "request_id": begun["request_id"], "nonce": begun["nonce"]}
    auth["signature"] = signed(bed.me.key, begun["nonce"])
    assert bed.connect(auth=auth).result is not None
    assert code_of(bed.connect(auth=auth)) == -32002


@pytest.mark.parametrize(
    ("low", "high", "agreed"), [("1.0", "1.0", "1.0"), ("0.9", "2.0", "1.1"), ("1.1", "1.5", "1.1"), ("1.2", "2", "")]
)
def test_the_newest_protocol_that_both_know_is_taken(low: str, high: str, agreed: str) -> None:
    bed = Bed(PROTOCOL_MAX="1.1")
    told = bed.connect(protocol={"min": low, "max": high})
    if agreed:
        assert told.result is not None
        assert told.result["protocol"] == agreed
        return
    assert told.error is not None
    assert told.error["code"] == -32000
    data = told.error["data"]
    assert isinstance(data, dict)
    assert data["server_range"] == {"min": "1.0", "max": "1.1"}
    assert told.farewell is not None


@pytest.mark.parametrize(
    "over",
    [
        {"device": {}},
        {"device": {"id": "a/b"}},
        {"client": {"slot_id": "/a"}},
        {"delivery_mode": {"mode": "both"}},
        {"delivery_mode": {"mode": "queue", "routing": "nearest"}},
        {"protocol": {"min": "one"}},
    ],
)
def test_a_malformed_wish_is_refused(over: dict[str, Any]) -> None:
    assert code_of(Bed().connect(**over)) == -32602


def test_a_newer_long_connection_of_a_slot_replaces_the_older() -> None:
    bed = Bed()
    bed.connect(**slot("app/a"), extra_info={"pid": 1})
    bed.connect(**slot("other"))
    assert bed.codes == []
    bed.connect(**slot("app:b"), extra_info={"pid": 2})
    assert bed.codes == [4009]
    detail = bed.me.farewells[0].detail
    assert (detail["self_extra_info"], detail["new_extra_info"]) == ({"pid": 1}, {"pid": 2})
    assert [one.slot for one in bed.aun.hub.sessions] == ["other", "app:b"]


def test_short_connections_are_ten_a_slot_and_evict_nobody() -> None:
    bed = Bed()
    bed.connect()
    for _ in range(10):
        assert bed.connect(**short()).result is not None
    told = bed.connect(**short())
    assert code_of(told) == 4013
    assert told.farewell is not None
    assert (told.farewell.code, bed.codes) == (4013, [])


def test_an_idle_short_connection_ends_and_each_call_gives_it_time() -> None:
    bed = Bed()
    peer = bed.open()
    bed.connect(peer, **short(1000))
    bed.pass_(0.9)
    bed.call("meta.ping", peer=peer)
    bed.pass_(0.9)
    bed.aun.hub.sweep(bed.at)
    assert bed.codes == []
    bed.pass_(0.2)
    bed.aun.hub.sweep(bed.at)
    assert bed.codes == [4014]


def test_beyond_a_quota_the_oldest_goes() -> None:
    bed = Bed()
    for number in range(11):
        bed.connect(**slot(f"slot{number}"))
    assert bed.codes == [4015]
    assert bed.me.farewells[0].detail["quota_kind"] == "aid_device_slot_quota_exceeded"
    bed = Bed()
    for number in range(11):
        bed.connect(**slot("default", f"dev-{number}"))
    assert bed.codes == [4015]
    assert bed.me.farewells[0].detail["device_id"] == "dev-0"


def test_all_connections_of_an_aid_agree_about_delivery() -> None:
    bed = Bed()
    bed.connect(delivery_mode={"mode": "queue"})
    told = bed.connect(**slot("other"), delivery_mode={"mode": "fanout"})
    assert told.error is not None
    assert (told.error["code"], told.error["message"]) == (4000, "delivery_mode_conflict")
    assert bed.connect(**slot("other"), delivery_mode={"mode": "queue", "routing": "round_robin"}).result is not None


def test_another_aid_has_slots_of_its_own() -> None:
    bed = Bed()
    bob = bed.mint("bob0001.sandbox.test")
    bed.connect()
    bed.connect(who=bob)
    assert len(bed.aun.hub.sessions) == 2


def test_a_session_answers_and_a_bare_connection_does_not() -> None:
    bed = Bed()
    peer = bed.open()
    assert code_of(bed.call("meta.ping", peer=peer)) == -32013
    bed.connect(peer)
    assert bed.call("meta.ping", peer=peer).result == {"pong": True, "timestamp": bed.at}
    assert bed.call("message.v2.put_peer_pk", peer=peer).result == {"success": True}
    assert code_of(bed.call("group.list_my", peer=peer)) == -32601
    assert code_of(bed.call("no.such_method", peer=peer)) == -32601
    assert bed.call("auth.refresh_token", peer=peer, refresh_token=bed.me.refresh).result is not None


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4001, 4003, 4008, 4009, 4010, 4011, 4012, 4013, 4014, 4015])
@pytest.mark.parametrize("event", [True, False])
def test_any_session_can_be_ended_with_any_code(code: int, event: bool) -> None:
    bed = Bed()
    bed.connect()
    assert bed.levers.kick(Kick(aid=AID, code=code, event=event)) == 1
    assert [(one.code, one.event) for one in bed.me.farewells] == [(code, event)]
    assert bed.aun.hub.sessions == []


def test_a_kick_strikes_those_it_names() -> None:
    bed = Bed()
    bed.connect(**slot("one"))
    bed.connect(**slot("two"))
    assert bed.levers.kick(Kick(slot_id="two")) == 1
    assert [one.slot for one in bed.aun.hub.sessions] == ["one"]


def test_refreshing_leaves_the_session_alone() -> None:
    bed = Bed()
    bed.connect()
    before = bed.aun.hub.sessions[0].token
    bed.refresh()
    assert [one.token for one in bed.aun.hub.sessions] == [before]


def test_a_token_names_who_it_is_for() -> None:
    bed = Bed()
    bed.connect()
    assert bed.aun.state.books.tally(AID).connected_with == {bed.aun.hub.sessions[0].token: 1}
    assert claims_of(bed.me.access)["aid"] == AID
