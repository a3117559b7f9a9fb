"""Which gateways are tried, and when they are asked for again."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.providers.aun.frames import Greeting, greeting_of, is_answer
from freshd.providers.aun.gateways import FRESH_SECONDS, TIRED, Gateways, gateways_in
from freshd.providers.http import Call, Http, Route
from tests.unit.providers.aun_issuer import StillClock
from tests.unit.providers.aun_pki import NOW

A, B, C = (f"wss://{name}.example.test/aun" for name in "abc")


def listed(*entries: Any) -> Reply:
    return Reply(200, (), json.dumps({"gateways": list(entries)}).encode())


class Calls:
    def __init__(self, *answers: Performed) -> None:
        self.answers, self.made = list(answers), list[str]()

    async def call(self, call: Call) -> Performed:
        self.made.append(call.url)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def gateways(calls: Calls, clock: StillClock, places: Sequence[str] = ("https://one", "https://two")) -> Gateways:
    return Gateways(places, None, cast("Http", calls), Route(), clock)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


ALL = listed({"url": B, "priority": 2}, {"url": C}, {"url": A, "priority": "1"})


async def test_they_come_by_priority_and_are_asked_for_rarely(clock: StillClock) -> None:
    calls = Calls(ALL)
    found = gateways(calls, clock)
    assert await found.find() == await found.find() == (A, B, C)
    assert calls.made == ["https://one"]
    clock.passed += FRESH_SECONDS
    await found.find()
    assert len(calls.made) == 2


async def test_the_second_place_is_asked_where_the_first_does_not_tell(clock: StillClock) -> None:
    calls = Calls(Reply(404, (), b""), ALL)
    assert await gateways(calls, clock).find() == (A, B, C)
    assert calls.made == ["https://one", "https://two"]


@pytest.mark.parametrize(
    "answer",
    [NotSent("down"), Lost("x"), Reply(500, (), b"{}"), Reply(200, (), b"[]"), listed(), listed({"priority": 1}),
     listed({"url": "ws://a.example.test/aun"}), listed({"url": "https://a.example.test"}), listed("x", None, 3),
     Reply(200, (), b'{"gateways": {"url": "wss://a.example.test"}}')],
)  # fmt: skip
async def test_without_any_nothing_can_be_sent(clock: StillClock, answer: Performed) -> None:
    found = await gateways(Calls(answer), clock).find()
    assert isinstance(found, NotSent)
    assert found.reason.startswith("the gateways are not known")


async def test_the_older_list_stays_while_asking_fails(clock: StillClock) -> None:
    found = gateways(Calls(ALL, Lost("x")), clock)
    await found.find()
    clock.passed += FRESH_SECONDS
    assert await found.find() == (A, B, C)


async def visit(found: Gateways, *works: str) -> tuple[Performed, list[str]]:
    tried: list[str] = []

    async def call(url: str) -> Performed:
        tried.append(url)
        return Reply(200, (), b"") if url in works else NotSent("down")

    urls = await found.find()
    assert not isinstance(urls, NotSent)
    return (await found.reach(urls, call))[0], tried


async def test_one_that_is_down_is_passed_over_and_comes_last_for_a_while(clock: StillClock) -> None:
    found = gateways(Calls(ALL), clock)
    assert (await visit(found, B, C))[1] == [A, B]
    assert (await visit(found, B, C))[1] == [B]
    clock.passed += 61
    assert (await visit(found, B, C))[1] == [A, B]


async def test_after_failures_in_a_row_the_list_is_asked_for_again(clock: StillClock) -> None:
    calls = Calls(ALL, listed({"url": C}))
    found = gateways(calls, clock)
    performed, tried = await visit(found)
    assert isinstance(performed, NotSent)
    assert len(tried) == TIRED
    assert await found.find() == (C,)


async def test_what_was_written_is_not_written_elsewhere(clock: StillClock) -> None:
    found = gateways(Calls(ALL), clock)

    async def lose(_url: str) -> Performed:
        return Lost("x")

    assert await found.reach((A, B), lose) == (Lost("x"), A)


@given(st.binary(max_size=200), st.integers(100, 599), st.booleans())
def test_any_answer_is_a_list_or_a_reason(body: bytes, status: int, complete: bool) -> None:
    found = gateways_in(Reply(status, (), body, complete))
    assert found


ENTRY = st.dictionaries(
    st.sampled_from(["url", "priority"]), st.none() | st.text(max_size=9) | st.floats() | st.just(A)
)


@given(st.lists(ENTRY | st.none() | st.integers(), max_size=5))
def test_any_list_is_ordered_or_refused(entries: list[object]) -> None:
    found = gateways_in(Reply(200, (), json.dumps({"gateways": entries}).encode()))
    assert found in ((A,), "the answer names no gateway that may be used")


# -- frames ----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_a_frame_is_a_challenge_or_none_and_never_an_error(frame: str) -> None:
    assert greeting_of(frame) is None or "challenge" in frame
    assert not is_answer(frame, "freshd-0123456789abcdef")


@given(st.dictionaries(st.sampled_from(["id", "method", "params", "result"]), st.text(max_size=9) | st.integers()))
def test_only_the_id_makes_an_answer(members: dict[str, object]) -> None:
    assert is_answer(json.dumps({**members, "id": "mine"}), "mine")
    assert is_answer(json.dumps(members), "mine") is (members.get("id") == "mine")


@pytest.mark.parametrize(
    ("params", "told"),
    [({}, None), (None, None), ([], None), ({"server_time": 5.5}, 5.5), ({"server_time": "6"}, 6.0),
     ({"server_time": float("nan")}, None), ({"server_time": {}}, None)],
)  # fmt: skip
def test_a_challenge_may_tell_the_gateways_clock(params: object, told: float | None) -> None:
    assert greeting_of(json.dumps({"method": "challenge", "params": params})) == Greeting(told)
