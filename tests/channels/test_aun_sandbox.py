"""The dialer against the stand-in of AUN's gateway, with its switches."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from freshd.channels.aun import AunDialer
from freshd.channels.aun_options import Options
from freshd.channels.aun_session import Beat
from freshd.channels.dialer import Ended, Facts, Why
from freshd.core.model import Lease, Moment, Secret
from freshd.sandbox.aun.levers import Kick, Minting, Thing
from freshd.sandbox.aun.service import Stand
from freshd.sandbox.server import Settings, start


class Stage:
    """A gateway and one identity at it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.agent = stand.levers.mint(Minting(label="carol"), time.time())
        self.aid = str(self.agent["aid"])
        self.urls = [str(one["url"]) for one in stand.endpoints.gateways()]
        self.facts: list[Facts] = []
        self._up = asyncio.Event()
        self._tasks: list[asyncio.Task[Ended]] = []

    def change(self, **constants: object) -> None:
        self.stand.aun.state.constants.change(constants)

    def script(self, **line: object) -> None:
        self.stand.aun.state.script.add_json({"operation": "auth.connect", **line})

    @property
    def lease(self) -> Lease:
        fields = {"aid": self.aid, "gateways": " ".join(self.urls)}
        token = Secret(str(self.agent["access_token"]))
        return Lease("carol", 1, token, Moment(time.time(), 1.0, "boot"), 3600.0, fields)

    @property
    def sessions(self) -> list[Any]:
        return self.stand.aun.hub.of(self.aid)

    def begin(self, beat: Beat | None = None, lease: Lease | None = None, **chosen: object) -> asyncio.Task[Ended]:
        dialer = AunDialer(Options.model_validate({"device_id": "desk", **chosen}), beat)
        task = asyncio.ensure_future(dialer.hold(lease or self.lease, self._told))
        self._tasks.append(task)
        return task

    async def up(self, **chosen: object) -> asyncio.Task[Ended]:
        """A login that is up."""
        self._up.clear()
        task = self.begin(**chosen)  # type: ignore[arg-type]
        waiting = asyncio.ensure_future(self._up.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert not task.done(), task.result()
        return task

    async def told_again(self) -> None:
        """Return once a login that is up has told other facts."""
        self._up.clear()
        await self._up.wait()

    def _told(self, facts: Facts) -> None:
        self.facts.append(facts)
        self._up.set()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    running = await start(Settings(stands=("freshd.sandbox.aun.service:mount",)))
    made = Stage(running.stands["aun"])
    yield made
    await made.aclose()
    await running.aclose()


async def test_a_login_comes_up_and_says_what_was_agreed(stage: Stage) -> None:
    await stage.up(slot_id="app/main", extra_info={"app": "lamp"}, delivery_mode="queue")
    [facts] = stage.facts
    assert (facts["protocol"], facts["namespaces"], facts["heartbeat"]) == ("1.0", ("auth", "message", "meta"), 30.0)
    assert (facts["device"], facts["slot"], facts["server"]) == ("desk", "app/main", "kite-gateway")
    assert facts["aid"] == stage.aid
    [session] = stage.sessions
    assert (facts["connection"], session.device, session.slot) == (session.id, "desk", "app/main")
    assert session.mode == {"mode": "queue", "routing": "round_robin", "affinity_ttl_ms": 0}
    assert session.extra_info == {"app": "lamp"}
    assert str(stage.agent["access_token"]) not in repr(stage.facts)


@pytest.mark.parametrize("event", [True, False])
@pytest.mark.parametrize(
    ("code", "why", "announced"),
    [
        (1000, Why.LOST, Why.LOST),
        (1006, Why.LOST, Why.LOST),
        (1012, Why.LOST, Why.LOST),
        (4001, Why.REFUSED, Why.REFUSED),
        (4003, Why.WRONG, Why.WRONG),
        (4008, Why.LOST, Why.KICKED),
        (4009, Why.KICKED, Why.KICKED),
        (4010, Why.AGAIN, Why.KICKED),
        (4011, Why.WRONG, Why.WRONG),
        (4012, Why.LOST, Why.KICKED),
        (4013, Why.LOST, Why.KICKED),
        (4014, Why.LOST, Why.KICKED),
        (4015, Why.KICKED, Why.KICKED),
    ],
)
async def test_every_close_of_a_live_session_is_understood(
    stage: Stage, code: int, why: Why, announced: Why, event: bool
) -> None:
    task = await stage.up()
    stage.stand.levers.kick(Kick(code=code, event=event))
    ended = await task
    assert (ended.why, ended.code) == (announced if event else why, str(code))
    assert stage.sessions == []


@pytest.mark.parametrize("denial", ["answer_and_close", "answer", "close"])
async def test_a_revoked_token_is_refused_however_the_gateway_says_so(stage: Stage, denial: str) -> None:
    stage.change(AUN_SIM_CONNECT_DENIAL=denial)
    stage.stand.levers.revoke(stage.aid, Thing.ACCESS, None, time.time())
    ended = await stage.begin()
    assert (ended.why, ended.code, ended.status) == (Why.REFUSED, "4001", 401)
    assert stage.facts == []
    assert stage.stand.aun.state.books.tallies[stage.aid].sessions == 0


@pytest.mark.parametrize("event", [True, False])
async def test_a_token_that_ends_with_its_session_is_refused_not_kicked(stage: Stage, event: bool) -> None:
    stage.change(AUN_SIM_SESSION_AT_EXPIRY="close", AUN_SIM_DISCONNECT_EVENT=event)
    task = await stage.up()
    stage.stand.levers.expire(stage.aid, Thing.ACCESS, time.time())
    assert (await task).why is Why.REFUSED


@pytest.mark.parametrize(
    ("challenge", "code"),
    [("silent", "no-challenge"), ("not_json", "no-challenge"), ("no_nonce", "bad-frame"), ("empty_nonce", "bad-frame")],
)
async def test_an_odd_challenge_is_trouble_of_the_gateway(stage: Stage, challenge: str, code: str) -> None:
    stage.change(AUN_SIM_CHALLENGE=challenge)
    ended = await stage.begin(connect_deadline=0.2)
    assert (ended.why, ended.code) == (Why.LOST, code)
    assert ended.reason.startswith(f"none of the {len(stage.urls)} gateways")


async def test_frames_before_the_challenge_and_unknown_members_do_no_harm(stage: Stage) -> None:
    stage.change(AUN_SIM_CHALLENGE="early_frame", AUN_SIM_STRAY_FRAMES=True, AUN_SIM_UNKNOWN_FIELDS=True)
    await stage.up()
    assert stage.facts[0]["protocol"] == "1.0"


async def test_a_stale_nonce_is_tried_again(stage: Stage) -> None:
    stage.script(code=4010, count=1)
    assert (await stage.begin()).why is Why.AGAIN
    await stage.up()


async def test_no_common_protocol_stops(stage: Stage) -> None:
    stage.change(AUN_SIM_PROTOCOL_MIN="2.0", AUN_SIM_PROTOCOL_MAX="2.1")
    ended = await stage.begin()
    assert (ended.why, ended.code) == (Why.WRONG, "-32000")


async def test_a_rate_limit_is_honoured(stage: Stage) -> None:
    stage.script(code=-32029, data={"retry_after": 77})
    ended = await stage.begin()
    assert (ended.why, ended.wait) == (Why.LOST, 77.0)


async def test_silence_instead_of_an_answer_has_an_end(stage: Stage) -> None:
    stage.script(silent=True)
    ended = await stage.begin(connect_deadline=0.2)
    assert (ended.why, ended.code) == (Why.LOST, "no-answer")


async def test_health_503_leaves_nothing_to_try(stage: Stage) -> None:
    stage.change(AUN_SIM_HEALTH_STATUS=503)
    ended = await stage.begin()
    assert (ended.why, ended.code) == (Why.LOST, "gateway-down")


async def test_a_gateway_that_is_down_is_left_for_the_next(stage: Stage) -> None:
    assert len(stage.urls) > 1
    first, *others = stage.stand.gateway.places
    stage.stand.gateway.places = [dataclasses.replace(first, is_up=False), *others]
    await stage.up()
    assert len(stage.sessions) == 1


async def test_somebody_else_in_the_slot_throws_us_out_and_we_do_not_fight(stage: Stage) -> None:
    first = await stage.up(slot_id="app/one")
    second = await stage.up(slot_id="app/two")
    ended = await first
    assert (ended.why, ended.code) == (Why.KICKED, "4009")
    assert not second.done()
    third = await stage.up(slot_id="other")
    assert not second.done()
    assert not third.done()


async def test_a_slot_that_is_not_given_up_is_waited_for(stage: Stage) -> None:
    stage.change(AUN_SIM_TAKEOVER="refuse")
    await stage.up()
    ended = await stage.begin()
    assert (ended.why, ended.code) == (Why.LOST, "4012")
    assert ended.wait > 0


async def test_a_quota_ends_the_oldest_for_good(stage: Stage) -> None:
    stage.change(AUN_SIM_SLOTS_PER_DEVICE=1)
    first = await stage.up(slot_id="one")
    await stage.up(slot_id="two")
    assert ((await first).why, (await first).code) == (Why.KICKED, "4015")


async def test_another_delivery_mode_is_a_matter_for_a_person(stage: Stage) -> None:
    await stage.up(slot_id="one")
    ended = await stage.begin(slot_id="two", delivery_mode="queue")
    assert ended.why is Why.WRONG
    assert "delivery mode" in ended.reason


async def test_pings_are_answered_and_a_pong_may_change_the_interval(stage: Stage) -> None:
    stage.change(AUN_SIM_HEARTBEAT_S=1)
    await stage.up(beat=Beat(0.01, 0.01, 600.0))
    assert stage.facts[0]["heartbeat"] == 1.0
    stage.change(AUN_SIM_HEARTBEAT_S=2, AUN_SIM_HEARTBEAT_IN_PONG=True)
    await stage.told_again()
    assert stage.facts[1]["heartbeat"] == 2.0


async def test_a_session_token_in_the_answer_is_not_shown(stage: Stage) -> None:
    stage.change(AUN_SIM_KITE_TOKEN=True)
    await stage.up()
    assert "token" not in stage.facts[0]


async def test_a_reconnect_presents_the_same_token_on_a_new_connection(stage: Stage) -> None:
    for _ in range(3):
        task = await stage.up()
        assert len(stage.sessions) == 1
        stage.stand.levers.kick(Kick(code=1012, event=False))
        await task
    tally = stage.stand.aun.state.books.tallies[stage.aid]
    assert tally.sessions == 3
