"""Reading and refusing leases."""

import asyncio
import dataclasses
import json
import sys

import pytest

from freshd.core.model import Secret
from freshd.tokens import Shortfall
from tests.api.world import WALL, NotPossible, Wire, World, get

PREFIX = "urn:freshd:problem:"


async def test_a_lease_in_memory_is_answered_whole(world: World, wire: Wire) -> None:
    reply = await wire.get("/v1/tokens/calendar")
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json() == {
        "account": "calendar", "access_token": "token-1", "token_type": "Bearer", "generation": 1,
        "expires_in": 3600, "expires_at": WALL + 4600, "fingerprint": world.tokens.leases["calendar"].fingerprint,
    }  # fmt: skip


async def test_the_seconds_left_are_those_of_this_moment(world: World, wire: Wire) -> None:
    await wire.get("/v1/tokens/calendar")
    world.clock.passed += 100.5
    assert (await wire.get("/v1/tokens/calendar")).json()["expires_in"] == 3499


async def test_a_newer_lease_replaces_the_older_at_once(world: World, wire: Wire) -> None:
    await wire.get("/v1/tokens/calendar")
    world.tokens.publish("calendar", "token-9", 50.0, generation=2)
    reply = (await wire.get("/v1/tokens/calendar")).json()
    assert (reply["access_token"], reply["generation"], reply["expires_in"]) == ("token-9", 2, 50)


async def test_a_life_without_end_is_still_a_number(world: World, wire: Wire) -> None:
    world.tokens.publish("calendar", "token-9", float("inf"))
    assert (await wire.get("/v1/tokens/calendar")).json()["expires_in"] == 9_999_999_999


async def test_a_refresh_token_never_leaves(world: World, wire: Wire) -> None:
    held = world.tokens.publish("calendar", "token-1", 60.0)
    object.__setattr__(held.lease, "more_secrets", {"refresh_token": Secret("never"), "session": Secret("yes")})
    reply = await wire.get("/v1/tokens/calendar")
    assert b"never" not in reply.body
    assert reply.json()["session"] == "yes"


@pytest.mark.parametrize(("left", "target"), [(0.5, ""), (59.9, "?min_ttl=60"), (-1.0, "?min_ttl=0")])
async def test_a_lease_that_does_not_live_long_enough_is_demanded(
    world: World, wire: Wire, left: float, target: str
) -> None:
    world.tokens.publish("calendar", "old", left)
    await wire.send(get("/v1/tokens/calendar" + target))
    assert (await world.tokens.demands.get())[0] == "calendar"
    world.tokens.answers.put_nowait(world.tokens.publish("calendar", "new", 3600.0, generation=2))
    assert (await wire.reply()).json()["access_token"] == "new"


async def test_the_wish_of_the_caller_reaches_the_engine(world: World, wire: Wire) -> None:
    await wire.send(get("/v1/tokens/mail?min_ttl=90&wait=7.5"))
    assert await world.tokens.demands.get() == ("mail", 90.0, 7.5)
    world.tokens.answers.put_nowait(Shortfall("not-yet", "d", "r", 504, 2.1))
    reply = await wire.reply()
    assert reply.status == 504
    assert reply.headers["retry-after"] == "3"
    assert reply.json()["retry_after"] == 2.1


@pytest.mark.parametrize(
    ("short", "status", "member"),
    [
        (Shortfall("min-ttl", "too long", "less", 422, maximum=1800.0), 422, ("maximum", 1800.0)),
        (Shortfall("account-parked", "who knows", "freshd enrol mail", 503, 60.0), 503, ("retry_after", 60.0)),
    ],
)
async def test_a_shortfall_is_a_problem_document(
    world: World, wire: Wire, short: Shortfall, status: int, member: tuple[str, float]
) -> None:
    world.tokens.answers.put_nowait(short)
    reply = await wire.get("/v1/tokens/mail")
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert (told["type"], told["detail"], told["remedy"]) == (PREFIX + short.kind, short.detail, short.remedy)
    assert told[member[0]] == member[1]


async def test_a_locked_vault_is_said_and_leases_in_memory_go_on(world: World, wire: Wire) -> None:
    world.tokens.is_locked = True
    assert (await wire.get("/v1/tokens/calendar")).status == 200
    reply = await wire.get("/v1/tokens/mail")
    assert (reply.status, reply.json()["type"]) == (503, PREFIX + "vault-locked")


@pytest.mark.parametrize(
    "query", ["min_ttl=-1", "min_ttl=nan", "min_ttl=x", "wait=61", "wait=inf", "min_tll=60", "min_ttl"]
)
async def test_a_wish_that_makes_no_sense_is_refused(wire: Wire, query: str) -> None:
    assert (await wire.get(f"/v1/tokens/calendar?{query}")).status == 400


async def test_a_bug_of_the_engine_is_one_requests_affair(world: World, wire: Wire) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    world.tokens.answers.put_nowait(ZeroDivisionError("secret"))
    reply = await wire.get("/v1/tokens/mail")
    assert (reply.status, b"secret" in reply.body) == (500, False)
    assert isinstance(told[0], ZeroDivisionError)
    assert (await wire.get("/v1/tokens/calendar")).status == 200


async def test_an_error_raised_on_purpose_is_told_with_its_remedy(world: World, wire: Wire) -> None:
    world.tokens.answers.put_nowait(NotPossible("because", "do this"))
    reply = await wire.get("/v1/tokens/mail")
    assert (reply.status, reply.json()["remedy"]) == (409, "do this")


async def test_a_refusal_reaches_the_engine(world: World, wire: Wire) -> None:
    body = json.dumps({"fingerprint": "ab12", "status": 401, "code": "invalid_token"}).encode()
    reply = await wire.post("/v1/tokens/calendar/refused", body)
    assert reply.json()["outcome"] == "healing"
    assert reply.json()["fingerprint"] == world.tokens.leases["calendar"].fingerprint
    assert world.tokens.refusals == [("calendar", "ab12", 401, "invalid_token")]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"fingerprint":1}', b'{"fingerprint":""}', b'{"fingerprint":"a","status":true}',
        b'{"fingerprint":"a","status":401.5}', b'{"fingerprint":"a","status":99}', b'{"fingerprint":"a","code":1}',
        b'{"fingerprint":"a","fingerprint":"b"}', b'{"fingerprint":"a","more":1}', b'{"fingerprint":NaN}', b"[" * 16000,
        b'{"fingerprint":"\xff"}',
    ],
)  # fmt: skip
async def test_a_refusal_without_sense_changes_nothing(world: World, wire: Wire, body: bytes) -> None:
    assert (await wire.post("/v1/tokens/calendar/refused", body)).status == 400
    assert world.tokens.refusals == []
    assert (await wire.get("/v1/tokens/calendar")).status == 200


async def test_who_hangs_up_stops_waiting_and_nothing_else(world: World, wire: Wire) -> None:
    await wire.send(get("/v1/tokens/mail?wait=60"))
    await world.tokens.demands.get()
    wire.close()
    await world.tokens.cancelled.wait()


async def test_a_half_closed_connection_is_still_answered(world: World, wire: Wire) -> None:
    await wire.send(get("/v1/tokens/mail") + get("/v1/tokens/calendar"))
    wire.writer.write_eof()
    await world.tokens.demands.get()
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    assert (await wire.reply()).json()["access_token"] == "late"
    assert (await wire.reply()).json()["access_token"] == "token-1"
    assert await wire.ended() == b""


async def test_everything_works_on_uvloop_too() -> None:
    pytest.importorskip("uvloop")
    code = "import uvloop; from tests.api import smoke; uvloop.run(smoke.main())"
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", code)
    assert await process.wait() == 0


async def test_a_lease_below_what_must_be_left_is_demanded_and_served_where_that_brings_nothing(
    world: World, wire: Wire
) -> None:
    held = world.tokens.publish("calendar", "token-1", 50.0)
    world.tokens.leases["calendar"] = dataclasses.replace(held, least_left=60.0)
    await wire.send(get("/v1/tokens/calendar"))
    assert await world.tokens.demands.get() == ("calendar", 1.0, 10.0)
    world.tokens.answers.put_nowait(world.tokens.leases["calendar"])
    assert (await wire.reply()).json()["access_token"] == "token-1"


async def test_a_lease_that_must_have_more_left_is_served_from_memory_while_it_has(world: World, wire: Wire) -> None:
    held = world.tokens.publish("calendar", "token-1", 90.0)
    world.tokens.leases["calendar"] = dataclasses.replace(held, least_left=60.0)
    assert (await wire.get("/v1/tokens/calendar")).status == 200
    assert world.tokens.demands.empty()
