"""Which gateway is tried, when the next one is, and that there is never more than one connection."""

import asyncio

import pytest

from freshd.channels.aun import make
from freshd.channels.aun_session import Beat
from freshd.channels.dialer import Ended, Why
from freshd.core.model import Lease
from freshd.core.settings import ChannelSettings
from tests.fakes.time import VirtualTime, run
from tests.unit.channels.aun_parts import TOKEN, URLS, Peer, World, dialer, hold, lease, options


async def forever(peer: Peer) -> None:
    await asyncio.Event().wait()


async def good(peer: Peer) -> None:
    await peer.admit()
    peer.close(4009)
    await forever(peer)


async def talks(peer: Peer) -> None:
    while True:
        peer.say({"jsonrpc": "2.0", "method": "event/news", "params": {}})
        await asyncio.sleep(0)


async def takes_and_says_nothing(peer: Peer) -> None:
    peer.challenge()
    await forever(peer)


async def restarts(peer: Peer) -> None:
    peer.challenge()
    await peer.heard()
    peer.close(1012)


def test_gateways_are_tried_in_their_order() -> None:
    world = World(dict.fromkeys(URLS, good))
    assert hold(world).why is Why.KICKED
    assert world.log == ["health gw1.example.test", "open gw1.example.test", "close gw1.example.test"]


def test_a_gateway_that_is_not_healthy_is_left_for_the_next() -> None:
    world = World({URLS[1]: good}, down={URLS[0]})
    assert hold(world).why is Why.KICKED
    assert world.log[:3] == ["health gw1.example.test", "health gw2.example.test:8443", "open gw2.example.test:8443"]
    assert world.facts[0]["gateway"] == "gw2.example.test:8443"


@pytest.mark.parametrize("script", [forever, talks, takes_and_says_nothing, restarts])
def test_a_gateway_out_of_order_is_left_for_the_next_and_closed_before(script: object) -> None:
    world = World({URLS[0]: script, URLS[1]: good})  # type: ignore[dict-item]
    assert hold(world).why is Why.KICKED
    assert [line for line in world.log if "health" not in line] == [
        "open gw1.example.test",
        "close gw1.example.test",
        "open gw2.example.test:8443",
        "close gw2.example.test:8443",
    ]


@pytest.mark.parametrize("code", [4001, 4010, 4012, -32000, -32029, -32603, 5000, 4003, 123456])
def test_what_a_gateway_says_of_the_login_is_not_asked_of_another(code: int) -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        peer.error(await peer.heard(), code)
        await forever(peer)

    world = World({URLS[0]: script, URLS[1]: good})
    assert hold(world).code == str(code)
    assert len(world.peers) == 1


def test_a_session_that_was_up_is_not_moved_by_the_dialer() -> None:
    async def script(peer: Peer) -> None:
        await peer.admit()
        peer.close(1012)

    world = World({URLS[0]: script, URLS[1]: good})
    assert hold(world).code == "1012"
    assert len(world.peers) == 1


def test_when_none_can_be_used_the_last_ones_reason_is_told() -> None:
    world = World(down=set(URLS))
    ended = hold(world)
    assert (ended.why, ended.code) == (Why.LOST, "gateway-down")
    assert ended.reason == (
        "none of the 2 gateways can be used; of the last one: "
        "the gateway gw2.example.test:8443 cannot be used: it answers 503 when asked for its health"
    )
    assert world.peers == []


def test_a_configured_gateway_is_used_instead() -> None:
    own = "wss://own.example.test/ws"
    world = World({own: good})
    hold(world, options(gateway=own))
    assert world.log[0] == "health own.example.test"
    world = World(down={own})
    assert hold(world, options(gateway=own)).code == "gateway-down"
    assert world.log == ["health own.example.test"]


@pytest.mark.parametrize("listed", [None, "", "  ", "https://gw.example.test/", "ws://gw.example.test/aun", "wss://"])
def test_without_a_gateway_to_which_a_token_may_go_nothing_is_tried(listed: str | None) -> None:
    world = World()
    ended = hold(world, at=lease(listed))
    assert (ended.why, ended.code) == (Why.LOST, "no-gateway")
    assert world.log == []


def test_without_a_lease_nothing_is_tried() -> None:
    world = World()
    ended = run(VirtualTime(), dialer(world).hold(None, world.facts.append))
    assert (ended.why, ended.code) == (Why.WRONG, "no-account")


def test_authorities_that_cannot_be_read_are_told() -> None:
    world = World()
    ended = hold(world, options(ca_file="/nonexistent/ca.pem"))
    assert (ended.why, ended.code) == (Why.LOST, "ca-file")
    assert world.log == []


def test_two_holds_of_one_channel_never_have_two_connections() -> None:
    world = World(dict.fromkeys(URLS, good))

    async def work() -> tuple[Ended, Ended]:
        ours = dialer(world, beat=Beat())
        return await asyncio.gather(ours.hold(lease(), world.facts.append), ours.hold(lease(), world.facts.append))

    assert len(run(VirtualTime(), work())) == 2
    assert world.log.index("close gw1.example.test") < 3  # the assertion itself is in `Place.open`


def test_a_token_is_nowhere_to_be_seen_in_an_ending() -> None:
    async def script(peer: Peer) -> None:
        peer.challenge()
        peer.error(await peer.heard(), 4001, f"bad {TOKEN}", retry_after=TOKEN, trace_id=TOKEN)
        peer.close(4001)

    world = World({URLS[0]: script})
    ours: Lease = lease()
    assert "canary" not in repr((hold(world, at=ours), world.facts, ours))


def test_make_names_the_device_after_machine_and_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "büro-7")
    made = make(ChannelSettings("home", "aun", "carol", {"slot_id": "a/b", "reconnect_with_new_token": True}))
    assert made._options.place == ("freshd-b-ro-7-home", "a")
    assert made.follows_lease
    own = make(ChannelSettings("home", "aun", "carol", {"device_id": "desk"}))
    assert own._options.declared["device"] == {"id": "desk", "type": "sdk"}
    assert not own.follows_lease
