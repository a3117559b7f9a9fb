"""What a channel of kind `aun` may say, what it declares, and which gateways a token may go to."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd import __version__
from freshd.channels.aun import json_schema, parse
from freshd.channels.aun_address import MOST_GATEWAYS, gateways_of, url_problem
from freshd.channels.aun_options import DEVICE_ID, KEYS, Options, device_of
from freshd.core.problem import spell

PASTED = "hunter2-pasted"


def wrong(**keys: object) -> list[str]:
    return [spell(problem.key) for problem in parse("home", keys)[1]]


def test_everything_has_a_default() -> None:
    found, problems = parse("home", {})
    assert problems == ()
    assert set(found) == set(KEYS)
    assert Options.model_validate(dict(found)) == Options()


def test_the_declaration_is_whole_unless_told_otherwise() -> None:
    assert Options().declared == {
        "device": {"id": "freshd", "type": "sdk"},
        "client": {"slot_id": "freshd", "sdk_lang": "freshd", "sdk_version": __version__},
        "delivery_mode": {"mode": "fanout", "routing": "", "affinity_ttl_ms": 0},
        "capabilities": {"e2ee": False, "group_e2ee": False},
    }


def test_what_is_configured_is_declared() -> None:
    found, problems = parse(
        "home",
        {
            "device_id": "desk.1",
            "device_type": "robot",
            "slot_id": "app/main:1 x",
            "delivery_mode": "queue",
            "routing": "sender_affinity",
            "affinity_ttl_ms": 9000,
            "capabilities": {"e2ee": True, "supported_p2p_e2ee": ["e2ee_v2"]},
            "extra_info": {"app": "lamp"},
        },
    )
    assert problems == ()
    options = Options.model_validate(dict(found))
    assert options.declared == {
        "device": {"id": "desk.1", "type": "robot"},
        "client": {"slot_id": "app/main:1 x", "sdk_lang": "freshd", "sdk_version": __version__},
        "delivery_mode": {"mode": "queue", "routing": "sender_affinity", "affinity_ttl_ms": 9000},
        "capabilities": {"e2ee": True, "supported_p2p_e2ee": ["e2ee_v2"]},
        "extra_info": {"app": "lamp"},
    }
    assert options.place == ("desk.1", "app")


def test_a_queue_has_a_routing_of_its_own() -> None:
    assert Options(delivery_mode="queue").delivery["routing"] == "round_robin"


@pytest.mark.parametrize(
    "slot", ["a", "0", "app/a", "app:b", "app c", "-x", "_", "." * 128, "a" + "/" * 127, "default"]
)
def test_slots_that_gateways_take_are_taken(slot: str) -> None:
    assert wrong(slot_id=slot) == []


@pytest.mark.parametrize("slot", ["", "/a", ":a", " a", "a" * 129, "ä", "a\n", "a\t", "a;b", 7, None])
def test_slots_that_gateways_refuse_are_refused(slot: object) -> None:
    assert wrong(slot_id=slot) == ["slot_id"]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"device_id": "a b"}, ["device_id"]),
        ({"device_id": "x" * 129}, ["device_id"]),
        ({"device_type": "a/b"}, ["device_type"]),
        ({"delivery_mode": "all"}, ["delivery_mode"]),
        ({"routing": "round_robin"}, ["routing"]),
        ({"affinity_ttl_ms": 5}, ["affinity_ttl_ms"]),
        ({"delivery_mode": "queue", "affinity_ttl_ms": 5}, ["affinity_ttl_ms"]),
        ({"affinity_ttl_ms": -1}, ["affinity_ttl_ms"]),
        ({"heartbeat": 5}, ["heartbeat"]),
        ({"heartbeat": 601}, ["heartbeat"]),
        ({"connect_deadline": 31}, ["connect_deadline"]),
        ({"connect_deadline": 0}, ["connect_deadline"]),
        ({"gateway": "https://gw.example.test/"}, ["gateway"]),
        ({"gateway": "ws://gw.example.test/aun"}, ["gateway"]),
        ({"gateway": f"wss://{PASTED}@gw.example.test/aun"}, ["gateway"]),
        ({"ca_file": "ca.pem"}, ["ca_file"]),
        ({"capabilities": {"at": dt.date(2026, 1, 1)}}, ["capabilities"]),
        ({"capabilities": {"x": float("nan")}}, ["capabilities"]),
        ({"extra_info": {"x": "y" * 9000}}, ["extra_info"]),
        ({"extra_info": "text"}, ["extra_info"]),
        ({"reconnect_with_new_token": "yes"}, ["reconnect_with_new_token"]),
        ({"token": PASTED}, ["token"]),
        ({"slot_id": "/", "device_id": "/", "gateway": "x"}, ["device_id", "slot_id", "gateway"]),
    ],
)
def test_everything_wrong_is_named_at_once_without_its_value(keys: dict[str, Any], found: list[str]) -> None:
    assert wrong(**keys) == found
    options, problems = parse("home", keys)
    assert not options
    assert PASTED not in repr(problems)


def test_the_schema_has_every_key() -> None:
    assert set(json_schema()["properties"]) == set(KEYS)


@given(host=st.text(max_size=200), channel=st.text(max_size=200))
def test_the_device_of_a_channel_is_always_one_that_gateways_take(host: str, channel: str) -> None:
    assert DEVICE_ID.fullmatch(device_of(host, channel))


@pytest.mark.parametrize(
    "url",
    ["wss://gw.example.test/aun", "wss://gw.example.test:8443/ws?v=1", "ws://127.0.0.1:9/aun", "ws://[::1]:9/", "ws://localhost"],
)  # fmt: skip
def test_a_token_may_go_over_tls_or_stay_on_this_machine(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "", "gw.example.test", "http://127.0.0.1/", "https://gw.example.test/", "ws://gw.example.test/aun", "wss://",
        "wss://u:p@gw.example.test/", "wss://gw.example.test/#x", "wss://gw.example.test:99999/", "wss://[::1/",
        "wss://gw.example.test:0/", "wss://gw.exämple.test/", "wss://gw.example.test/\u0000", "wss://h/" + "x" * 3000,
    ],
)  # fmt: skip
def test_nothing_else_is_an_address_for_a_token(url: str) -> None:
    assert url_problem(url) is not None


def test_a_list_keeps_its_order_and_leaves_out_what_cannot_be_used() -> None:
    assert gateways_of("wss://b.test/ nonsense  ws://c.test/ wss://a.test/ wss://b.test/") == (
        "wss://b.test/",
        "wss://a.test/",
    )
    assert len(gateways_of(" ".join(f"wss://gw{n}.test/" for n in range(50)))) == MOST_GATEWAYS


@given(st.text(max_size=60))
def test_any_text_is_a_list_of_gateways(text: str) -> None:
    assert all(url_problem(url) is None for url in gateways_of(text))
