"""Logging in at a gateway, staying, and what every ending comes to."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.channels import aun_codes
from freshd.channels.aun_session import MOST_BEFORE_CHALLENGE, Beat, Login, Session
from freshd.channels.aun_socket import Closed
from freshd.channels.dialer import Ended, Facts, Why
from freshd.core.model import Secret
from tests.fakes.time import VirtualTime, run
from tests.unit.channels.aun_parts import HELLO, NONCE, TOKEN, URLS, Peer, World, dialer, hold, lease, one, options


async def forever() -> None:
    await asyncio.Event().wait()


def disconnect(peer: Peer, code: object) -> None:
    params = {"code": code, "reason": "another login", "detail": {"slot_id": "desk", "new_extra_info": {"app": TOKEN}}}
    peer.say({"jsonrpc": "2.0", "method": "event/gateway.disconnect", "params": params})


# -- logging in -------------------------------------------------------------------------------------------------------


def test_the_login_is_sent_whole_and_the_facts_are_told() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.close(1000)

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "1000")
    assert [(frame["method"], frame["params"]) for frame in world.peers[0].sent] == [
        (
            "auth.connect",
            {
                "nonce": NONCE,
                "auth": {"method": "kite_token", "token": TOKEN},
                "protocol": {"min": "1.0", "max": "1.0"},
                **options().declared,
            },
        )
    ]
    assert world.facts == [
        {
            "protocol": "1.0",
            "namespaces": ("auth", "message", "meta"),
            "heartbeat": 30.0,
            "connection": "conn_4c",
            "device": "freshd-desk",
            "slot": "desk",
            "gateway": "gw1.example.test",
            "server": "bridge",
            "aid": "carol.example.test",
        }
    ]


def test_every_connection_sends_the_same_login_with_the_lease_in_hand() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.close(1012)

    world = World({URLS[0]: script})
    for _ in range(3):
        hold(world, at=lease(URLS[0]))
    first, second, third = (peer.sent[0]["params"] for peer in world.peers)
    assert first == second == third
    assert first["auth"]["token"] == TOKEN


def test_a_yes_with_nothing_else_in_it_is_a_yes() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge(server=None)
        peer.result(await peer.heard(), {"status": "ok"})
        peer.close(1000)

    _, world = one(script)
    [facts] = world.facts
    assert (facts["protocol"], facts["namespaces"], facts["heartbeat"], facts["server"]) == (None, (), 30.0, None)


@pytest.mark.parametrize(
    "before",
    ["", "[]", "nonsense", "{", '{"method": 7}', '{"jsonrpc": "2.0", "method": "event/hello", "params": {}}', None],
    ids=repr,
)
def test_what_comes_before_the_challenge_is_ignored_up_to_a_bound(before: str | None) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(MOST_BEFORE_CHALLENGE):
            peer.raw(before)
        await peer.admit()
        peer.close(1000)

    ended, world = one(script)
    assert ended.code == "1000"
    assert len(world.facts) == 1


def test_a_gateway_that_goes_on_talking_before_the_challenge_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(MOST_BEFORE_CHALLENGE + 1):
            peer.say({"jsonrpc": "2.0", "method": "event/news", "params": {}})
        await peer.admit()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "talks-first")
    assert world.peers[0].sent == []  # no token was sent
    assert world.facts == []


def test_an_announcement_before_we_said_who_we_are_is_not_about_us() -> None:
    async def script(peer: Peer) -> None:
        disconnect(peer, 4009)
        await peer.admit()
        peer.close(1000)

    assert one(script)[0].code == "1000"


@pytest.mark.parametrize("nonce", [None, "", 7, [], "x" * 5000, "a\u0000b"], ids=repr)
def test_a_challenge_without_a_nonce_is_none(nonce: object) -> None:
    async def script(peer: Peer) -> None:
        peer.challenge(nonce=nonce)
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "bad-frame")
    assert world.peers[0].sent == []


def test_a_gateway_that_never_challenges_is_given_up_at_the_deadline() -> None:
    async def script(peer: Peer) -> None:
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "no-challenge")
    assert world.open_now == 0


def test_a_challenge_just_before_the_deadline_is_in_time() -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(19.0)
        await peer.admit()
        peer.close(1000)

    assert one(script)[0].code == "1000"


def test_challenge_and_answer_have_one_deadline() -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(15.0)
        peer.challenge()
        asked = await peer.heard()
        await asyncio.sleep(6.0)
        peer.result(asked, HELLO)
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "no-answer")
    assert world.facts == []


def test_an_answer_with_another_id_is_not_the_answer() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        asked = await peer.heard()
        others: list[object] = ["other", 1, None, [asked["id"]], {}]
        for other in others:
            peer.say({"jsonrpc": "2.0", "id": other, "result": HELLO})
        peer.error({"id": "other"}, 4001)
        peer.result(asked, {**HELLO, "protocol": "1.0", "heartbeat_interval": 60})
        peer.close(1000)

    _, world = one(script)
    assert [facts["heartbeat"] for facts in world.facts] == [60.0]


def test_an_error_without_an_id_is_about_the_one_request_that_is_open() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        await peer.heard()
        peer.error({"id": None}, -32600)
        await forever()

    assert one(script)[0].why is Why.WRONG


def test_pushes_and_other_challenges_between_login_and_answer_are_ignored() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        asked = await peer.heard()
        peer.challenge(nonce="another")
        peer.say({"jsonrpc": "2.0", "method": "event/message", "params": {"id": asked["id"], "result": HELLO}})
        peer.say({"jsonrpc": "2.0", "id": asked["id"], "method": "auth.connect", "result": HELLO})
        peer.raw(None)
        peer.result(asked, HELLO)
        peer.close(1000)

    _, world = one(script)
    assert len(world.facts) == 1
    assert len(world.peers[0].sent) == 1


@pytest.mark.parametrize("result", [None, 7, "ok", [], {}, {"status": "OK"}, {"status": "wait"}, {"success": True}])
def test_an_answer_that_says_neither_yes_nor_no_is_trouble(result: object) -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        peer.result(await peer.heard(), result)
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "bad-answer")
    assert world.facts == []


def test_a_success_that_is_none_refuses_the_token() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        peer.result(await peer.heard(), {"success": False, "error": "expired", "status": "ok"})
        await forever()

    ended, _ = one(script)
    assert (ended.why, ended.code, ended.status) == (Why.REFUSED, "success-false", 401)


def test_a_login_as_another_aid_is_not_ours() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit(identity={"aid": "mallory.example.test"})
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.WRONG, "other-aid")
    assert world.facts == []


# -- how it ends ------------------------------------------------------------------------------------------------------

CLOSES = [
    (1000, Why.LOST),
    (1001, Why.LOST),
    (1006, Why.LOST),
    (1011, Why.LOST),
    (1012, Why.LOST),
    (3000, Why.LOST),
    (4001, Why.REFUSED),
    (4002, Why.LOST),
    (4003, Why.WRONG),
    (4008, Why.LOST),
    (4009, Why.KICKED),
    (4010, Why.AGAIN),
    (4011, Why.WRONG),
    (4012, Why.LOST),
    (4013, Why.LOST),
    (4014, Why.LOST),
    (4015, Why.KICKED),
]


@pytest.mark.parametrize(("code", "why"), CLOSES)
@pytest.mark.parametrize("when", ["at once", "after the challenge", "instead of an answer", "live"])
def test_every_close_code_has_its_meaning_whenever_it_comes(code: int, why: Why, when: str) -> None:
    async def script(peer: Peer) -> None:
        if when == "live":
            await peer.admit()
        elif when != "at once":
            peer.challenge()
        if when == "instead of an answer":
            await peer.heard()
        peer.close(code)
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code) == (why, str(code))
    assert ended.status == (401 if why is Why.REFUSED else None)
    assert len(world.facts) == (when == "live")
    assert world.open_now == 0


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("code", [4001, "4001", 4001.0])
def test_a_refused_token_is_one_with_or_without_a_close(code: object, closes: bool) -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        peer.error(await peer.heard(), code, f"token {TOKEN} invalid")
        if closes:
            peer.close(4008)
        await forever()

    ended, world = one(script)
    assert (ended.why, ended.code, ended.status) == (Why.REFUSED, "4001", 401)
    assert world.log[-1] == "close gw1.example.test"


@pytest.mark.parametrize("code", [4009, 4015, 4012, "4009", None, [], "x"])
def test_an_announced_end_means_that_we_do_not_come_back(code: object) -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        disconnect(peer, code)
        peer.close(1000)
        await forever()

    ended, _ = one(script)
    assert ended.why is Why.KICKED
    assert ended.code == (str(code) if isinstance(code, int | str) and code != "x" else "disconnect")


def test_an_announced_end_for_the_tokens_sake_is_healed() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        disconnect(peer, 4001)
        await forever()

    ended, _ = one(script)
    assert (ended.why, ended.code, ended.status) == (Why.REFUSED, "4001", 401)


def test_a_frame_that_breaks_the_rules_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.raw(Closed(fault="the gateway sent a frame of more than 1048576 bytes"))

    ended, _ = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "bad-frame")
    assert "1048576" in ended.reason


# -- staying ----------------------------------------------------------------------------------------------------------


def test_pushes_are_read_and_ignored() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        for number in range(200):
            peer.say({"jsonrpc": "2.0", "method": "event/message.received", "params": {"seq": number}})
            peer.say({"jsonrpc": "2.0", "id": number, "method": "client.ask", "params": {}})
            peer.raw("[" * 5000)
        peer.close(4009)

    ended, world = one(script)
    assert ended.why is Why.KICKED
    assert len(world.peers[0].sent) == 1


def test_pings_go_out_at_the_gateways_interval_and_keep_the_session() -> None:
    time = VirtualTime()

    async def script(peer: Peer) -> None:
        await peer.admit(heartbeat_interval=45)
        for _ in range(20):
            asked = await peer.heard()
            assert (asked["method"], asked["params"]) == ("meta.ping", {})
            peer.result(asked, {"pong": True, "timestamp": 1})
        peer.close(1001)

    world = World({URLS[0]: script})
    ended = hold(world, at=lease(URLS[0]), time=time)
    assert ended.code == "1001"
    assert time.true == pytest.approx(20 * 45)
    assert len(world.facts) == 1
    assert len({frame["id"] for frame in world.peers[0].sent}) == 21


@pytest.mark.parametrize(
    ("told", "interval"),
    [(1, 10.0), (10, 10.0), (31.5, 31.5), (9999, 600.0), (-4, 30.0), ("20", 30.0), (True, 30.0), (None, 30.0)],
)
def test_the_interval_is_kept_within_bounds(told: object, interval: float) -> None:
    async def script(peer: Peer) -> None:
        await peer.admit(heartbeat_interval=told)
        await peer.heard()
        peer.close(1000)

    time = VirtualTime()
    world = World({URLS[0]: script})
    hold(world, at=lease(URLS[0]), time=time)
    assert world.facts[0]["heartbeat"] == interval
    assert time.true == pytest.approx(interval)


def test_a_gateway_that_wants_no_pings_gets_none() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit(heartbeat_interval=0)
        await asyncio.sleep(100_000)
        peer.close(1000)

    ended, world = one(script)
    assert ended.code == "1000"
    assert len(world.peers[0].sent) == 1
    assert world.facts[0]["heartbeat"] == 0.0


def test_a_pong_may_change_the_interval_and_the_facts_are_told_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.result(await peer.heard(), {"pong": True, "heartbeat_interval": 120})
        peer.result(await peer.heard(), {"pong": True, "heartbeat_interval": 120})
        peer.result(await peer.heard(), {"pong": True, "heartbeat_interval": 0})
        await asyncio.sleep(10_000)
        peer.close(1000)

    time = VirtualTime()
    world = World({URLS[0]: script})
    hold(world, at=lease(URLS[0]), time=time)
    assert [facts["heartbeat"] for facts in world.facts] == [30.0, 120.0, 0.0]
    assert time.true == pytest.approx(30 + 120 + 120 + 10_000)


def test_pings_without_answers_end_the_session() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        while True:  # pushes are no pongs
            asked = await peer.heard()
            peer.say({"jsonrpc": "2.0", "method": "event/message", "params": asked})
            peer.say({"jsonrpc": "2.0", "id": "freshd-1", "result": {"pong": True}})

    ended, world = one(script)
    assert (ended.why, ended.code) == (Why.LOST, "silent")
    assert [frame["method"] for frame in world.peers[0].sent] == ["auth.connect", "meta.ping", "meta.ping"]
    assert world.open_now == 0


def test_a_pong_that_comes_late_still_counts() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        for _ in range(5):
            first = await peer.heard()
            await peer.heard()
            peer.result(first, {"pong": True})
        peer.close(1000)

    assert one(script)[0].code == "1000"


@pytest.mark.parametrize("code", [-32601, -32603, 5003, -32029, "odd", None])
def test_a_ping_that_is_not_liked_is_an_answer_all_the_same(code: object) -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        for _ in range(5):
            peer.error(await peer.heard(), code)
        peer.close(1000)

    assert one(script)[0].code == "1000"


@pytest.mark.parametrize(
    ("code", "why"),
    [(4001, Why.REFUSED), (-32001, Why.REFUSED), (-32005, Why.REFUSED), (-32011, Why.LOST), (4009, Why.KICKED)],
)
def test_a_ping_may_be_where_we_learn_that_the_session_is_over(code: int, why: Why) -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.error(await peer.heard(), code)
        await forever()

    ended, _ = one(script)
    assert (ended.why, ended.code) == (why, str(code))


class Stuck(Peer):
    """A connection that takes the login and then nothing more."""

    async def send(self, text: str) -> None:
        if self.sent:
            await forever()
        await super().send(text)


def test_a_connection_that_takes_nothing_more_counts_as_gone() -> None:
    async def work() -> Ended:
        peer = Stuck()
        task = asyncio.ensure_future(peer.admit())
        login = Login(Secret(TOKEN), options().declared)
        try:
            return await Session(peer, login, Beat(), 20.0).hold(lambda _facts: None)
        finally:
            task.cancel()

    assert run(VirtualTime(), work()).code == "silent"


def test_cancelling_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        await forever()

    world = World(dict.fromkeys(URLS, script))

    async def work() -> None:
        is_up = asyncio.Event()
        task = asyncio.ensure_future(dialer(world).hold(lease(), lambda _facts: is_up.set()))
        await is_up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(VirtualTime(), work())
    assert world.log == ["health gw1.example.test", "open gw1.example.test", "close gw1.example.test"]


# -- hostile gateways -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just(TOKEN),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["nonce", "code", "data", "retry_after", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
MEMBERS = {
    "jsonrpc": JSON,
    "id": st.sampled_from(["freshd-1", "freshd-2", "freshd-3"]) | JSON,
    "method": st.sampled_from(["challenge", "event/gateway.disconnect", "event/x"]) | JSON,
    "params": st.fixed_dictionaries({}, optional={"nonce": JSON, "code": JSON, "server": JSON}) | JSON,
    "result": st.fixed_dictionaries(
        {"status": st.just("ok")},
        optional={
            "protocol": JSON, "connection": JSON, "capabilities": st.dictionaries(st.just("namespaces"), JSON),
            "heartbeat_interval": JSON, "identity": JSON, "bridgeInfo": JSON,
        },
    ) | JSON,
    "error": st.fixed_dictionaries({}, optional={"code": JSON, "message": JSON, "data": JSON}) | JSON,
}  # fmt: skip
FRAMES = st.one_of(
    st.fixed_dictionaries({}, optional=MEMBERS), JSON, st.text(max_size=30), st.none(), st.integers(0, 70_000)
)


def seen(found: object) -> str:
    return repr(found)


@given(frames=st.lists(FRAMES, max_size=12), polite=st.booleans())
def test_whatever_a_gateway_sends_ends_as_an_ending_and_shows_no_token(frames: list[Any], polite: bool) -> None:
    facts: list[Facts] = []

    async def work() -> Ended:
        peer = Peer()
        if polite:
            peer.challenge()
        for frame in frames:
            if isinstance(frame, int) and not isinstance(frame, bool):
                peer.close(frame)
            elif isinstance(frame, str) or frame is None:
                peer.raw(frame)
            else:
                peer.say(frame)
        if not polite:
            peer.close(1006)
        login = Login(Secret(TOKEN), options().declared)
        return await Session(peer, login, Beat(), 20.0).hold(facts.append)

    ended = run(VirtualTime(), work())
    assert isinstance(ended, Ended)
    assert 0.0 <= ended.wait <= aun_codes.LONGEST_WAIT_SECONDS
    assert "canary" not in seen((ended, facts))


@pytest.mark.parametrize("echo", [TOKEN, TOKEN[5:40], f"x {TOKEN}", "a" * 65, "", 7, {"deep": TOKEN}], ids=str)
def test_what_a_gateway_echoes_is_not_shown(echo: object) -> None:
    async def script(peer: Peer) -> None:
        peer.challenge(server=echo)
        names = {"namespaces": [echo, "auth", echo]}
        hello = {**HELLO, "protocol": echo, "connection": {"id": echo}, "capabilities": names, "bridgeInfo": None}
        peer.result(await peer.heard(), hello)
        peer.close(1000)

    ended, world = one(script)
    [facts] = world.facts
    assert (facts["protocol"], facts["connection"], facts["server"]) == (None, None, None)
    assert facts["namespaces"] == ("auth",)
    assert TOKEN[5:40] not in seen((ended, facts))


def test_no_repr_of_ours_holds_the_token() -> None:
    login = Login(Secret(TOKEN), options().declared)
    session = Session(Peer(), login, Beat(), 20.0)
    assert TOKEN not in seen((login, session, lease(), vars(session)))
