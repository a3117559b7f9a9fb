"""outlets.message and outlets.refusals: what is said in which words; when a refusal is news."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Event
from freshd.core.model import Secret
from freshd.outlets.message import MESSAGE_MOST, TEXT_MOST, health_topic, of_event, of_gap, of_health
from freshd.outlets.refusals import QUIET_SECONDS, Refusals
from freshd.outlets.ring import Entry, Gap
from tests.unit.outlets.mqtt_bed import health_of


def told(event: Event) -> dict[str, Any]:
    message = of_event("p", Entry(7, 1_700_000_000.12345, event), "e0e0")
    assert message.topic == f"p/events/{event.name}"
    found: dict[str, Any] = json.loads(message.payload)
    return found


def test_an_event_is_one_object() -> None:
    assert told(Event("account.parked", "bot", {"code": 31, "why": "ü", "none": None}, "do this")) == {
        "name": "account.parked", "severity": "alert", "account": "bot", "at": 1_700_000_000.123, "seq": 7,
        "epoch": "e0e0", "fields": {"code": 31, "why": "ü", "none": None}, "remedy": "do this",
    }  # fmt: skip


def test_a_remedy_is_the_catalogues_for_that_account() -> None:
    assert told(Event("account.parked", "bot"))["remedy"] == "freshd explain bot"
    assert told(Event("account.parked"))["remedy"] == "freshd explain ACCOUNT"


def test_what_looks_like_a_secret_is_masked_at_every_depth() -> None:
    fields: dict[str, Any] = {
        "access_token": "canary", "text": "Bearer canary0123456789", "deep": {"password": "canary"},
        "kept": Secret("canary"), "list": ["eyJhbGciOiJIUzI1NiJ9.canary"],
    }  # fmt: skip
    message = of_event("p", Entry(1, 0.0, Event("bug", None, fields)), "e")
    health = of_health(health_of("a", reason="rt-canary0123456789", more={"facts": {"client_secret": "canary"}}))
    masked = (message.payload + health).replace(b'"list":["eyJhbGciOiJIUzI1NiJ9.canary"]', b"")
    assert b"canary" not in masked
    assert b"[masked]" in masked


def test_a_text_in_a_list_is_masked_as_well() -> None:
    message = of_event("p", Entry(1, 0.0, Event("bug", None, {"list": ["Bearer canary0123456789"]})), "e")  # type: ignore[dict-item] # no event may; one that does must not harm
    assert b"canary" not in message.payload


def test_texts_are_bounded_and_numbers_are_numbers() -> None:
    fields = told(Event("bug", None, {"long": "x" * 10_000, "nan": float("nan"), "inf": float("inf"), "yes": True}))
    assert len(fields["fields"]["long"]) == TEXT_MOST
    assert fields["fields"] | {"long": ""} == {"long": "", "nan": None, "inf": None, "yes": True}


@pytest.mark.parametrize(
    "fields",
    [
        {f"f{number}": "x " * 2000 for number in range(5)},
        {"all": ["\N{SNOWMAN}" * 100] * 500},
        {f"name{number}" * 50: number for number in range(3000)},
        {"deep": {f"a{one}": {f"b{two}": ["x" * 90] * 9 for two in range(9)} for one in range(9)}},
    ],
)
def test_a_message_is_bounded_however_much_there_is_to_say(fields: dict[str, Any]) -> None:
    message = of_event("p", Entry(7, 0.0, Event("account.parked", "bot", fields)), "e0e0")
    health = of_health(health_of("bot", reason="x " * 3000, more={"stock": fields, **fields}))
    assert max(len(message.payload), len(health)) <= MESSAGE_MOST
    document, shown = json.loads(message.payload), json.loads(health)
    assert (document["name"], document["seq"], document["account"], document["cut"]) == (
        "account.parked",
        7,
        "bot",
        True,
    )
    assert document["remedy"] == "freshd explain bot"
    assert (shown["account"], shown["phase"], shown["cut"]) == ("bot", "live", True)
    assert shown["reason"].startswith("x x x")


def test_what_is_short_enough_is_told_whole() -> None:
    assert "cut" not in told(Event("bug", None, {"text": "x" * TEXT_MOST}))
    cut = told(Event("bug", None, {"one": "x" * TEXT_MOST, "two": "y" * TEXT_MOST}))
    assert (cut["cut"], len(cut["fields"]["one"]), len(cut["fields"]["two"])) == (True, 512, 512)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_every_event_of_the_catalogue_can_be_told_with_any_fields(fields: dict[str, Any]) -> None:
    for name in CATALOGUE:
        json.loads(of_event("p", Entry(1, 0.0, Event(name, "a", fields)), "e").payload)


def test_a_gap_says_how_many_and_between_which_numbers() -> None:
    assert dict(of_gap(Gap(3, 5, 9)).fields) == {"dropped": 3, "first_seq": 5, "last_seq": 9}


def test_health_is_told_without_what_is_no_news() -> None:
    document = json.loads(of_health(health_of("bot", deadline=float("inf"))))
    assert document["account"] == "bot"
    assert document["stock"] == {"code": True}
    assert document["deadline"] is None
    assert not {"rungs", "fingerprint", "refreshes", "heals", "more"} & document.keys()
    nested = health_of("bot", more=MappingProxyType({"channels": MappingProxyType({"up": True, "set": {1}})}))
    assert json.loads(of_health(nested))["channels"] == {"up": True, "set": [1]}


def test_an_account_that_is_not_configured_any_more_is_an_empty_message() -> None:
    assert of_health(health_of("bot", retired=True)) == b""


@pytest.mark.parametrize("account", ["a/b", "a+b", "#", "a\0b", "$SYS"])
def test_no_account_steps_out_of_its_topic(account: str) -> None:
    topic = health_topic("p", account)
    assert topic.count("/") == 3
    assert not set("+#\0") & set(topic)


def test_trouble_begins_with_the_first_refusal_and_ends_with_the_last() -> None:
    refusals = Refusals()
    assert not refusals
    assert refusals.refuse("a", 0.0)
    assert not refusals.refuse("b", 0.0)
    assert not refusals.refuse("a", 1.0)
    assert "a" in refusals
    assert not refusals.accept("a")
    assert not refusals.accept("never refused")
    assert refusals.accept("b")
    assert not refusals.accept("b")


def test_a_topic_that_is_quiet_is_forgotten_unless_it_lasts() -> None:
    refusals = Refusals()
    refusals.refuse("event", 0.0)
    assert not refusals.expire(QUIET_SECONDS - 1)
    assert refusals.expire(QUIET_SECONDS)
    assert not refusals.expire(QUIET_SECONDS)
    refusals.refuse("status", 0.0, lasts=True)
    assert not refusals.expire(10 * QUIET_SECONDS)
    assert refusals.clear()
    assert not refusals.clear()


def test_what_was_not_heard_is_refused_until_it_is() -> None:
    refusals = Refusals()
    refusals.refuse("status", 0.0, unheard=True)
    assert not refusals.accept("status")
    assert refusals.accept("status", heard=True)
