"""Identity and rules: asked for every request; what may not be had looks like what is not there (I12)."""

import json
import os

import pytest

from freshd.core.access import Identity, Policy, Readers
from tests.api.conftest import Start
from tests.api.world import UID, Wire, World, get, hang_up_on


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tokens/{}"),
        ("POST", "/v1/tokens/{}/refused"),
        ("GET", "/v1/accounts/{}"),
        ("GET", "/v1/accounts/{}/history"),
        ("POST", "/v1/accounts/{}/refresh"),
        ("GET", "/v1/watch?accounts={}"),
        ("GET", "/v1/watch?accounts=calendar,{}"),
    ],
)
async def test_forbidden_and_unknown_look_alike(wire: Wire, method: str, path: str) -> None:
    answers = []
    for name in ("secret", "nowhere"):
        target = path.format(name)
        call = wire.post(target, b'{"fingerprint":"a"}') if method == "POST" else wire.get(target)
        reply = await call
        answers.append((reply.status, reply.headers, reply.body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_nothing_of_the_unreadable_is_listed(world: World, wire: Wire) -> None:
    names = [one["account"] for one in (await wire.get("/v1/accounts")).json()["accounts"]]
    assert names == ["calendar", "mail"]


async def test_an_operator_sees_all_and_reads_no_lease(world: World, wire: Wire) -> None:
    world.allow(operator=True)
    names = [one["account"] for one in (await wire.get("/v1/accounts")).json()["accounts"]]
    assert names == ["calendar", "mail", "secret"]
    assert (await wire.get("/v1/accounts/secret/history")).status == 200
    assert (await wire.get("/v1/tokens/secret")).status == 404


async def test_a_reader_is_no_operator(world: World, wire: Wire) -> None:
    assert (await wire.post("/v1/accounts/calendar/refresh")).status == 404
    assert world.tokens.operations == []


async def test_a_list_comes_in_pages(world: World, wire: Wire) -> None:
    page = (await wire.get("/v1/accounts?limit=1")).json()
    assert [one["account"] for one in page["accounts"]] == ["calendar"]
    page = (await wire.get(f"/v1/accounts?limit=1&after={page['next']}")).json()
    assert [one["account"] for one in page["accounts"]] == ["mail"]
    rest = (await wire.get(f"/v1/accounts?after={page['next']}")).json()
    assert rest == {"accounts": [], "next": None}


async def test_a_reload_binds_open_connections(world: World, wire: Wire) -> None:
    assert (await wire.get("/v1/tokens/calendar")).status == 200
    world.allow("secret")
    assert (await wire.get("/v1/tokens/calendar")).status == 404
    assert (await wire.get("/v1/tokens/secret")).status == 200


async def test_a_reload_binds_those_who_wait(world: World, wire: Wire) -> None:
    await wire.send(get("/v1/tokens/mail"))
    await world.tokens.demands.get()
    world.allow("calendar")
    world.tokens.answers.put_nowait(world.tokens.publish("mail", "late", 60.0))
    reply = await wire.reply()
    assert (reply.status, b"late" in reply.body) == (404, False)


async def test_once_the_process_is_gone_its_connection_gets_nothing(world: World, wire: Wire) -> None:
    assert (await wire.get("/v1/tokens/calendar")).status == 200
    world.peers[0].alive = False
    reply = await wire.get("/v1/tokens/calendar")
    assert (reply.status, reply.headers["connection"]) == (403, "close")
    assert await wire.ended() == b""


async def test_whom_the_kernel_does_not_name_is_turned_away(world: World) -> None:
    world.identity = None
    wire = await Wire.open(world.path)
    assert (await wire.reply()).status == 403
    assert await wire.ended() == b""


async def test_a_unit_is_learnt_where_a_rule_is_about_units(world: World, wire: Wire) -> None:
    assert (await wire.get("/v1/tokens/secret")).status == 404
    world.peers[0].unit = "web.service"
    world.policy = Policy({"secret": Readers(units=frozenset({"web.service"}))}, generation=9)
    assert (await wire.get("/v1/tokens/secret")).status == 200


async def test_operators_verbs_go_on_when_they_hang_up(world: World, wire: Wire) -> None:
    await hang_up_on(world, wire, "/v1/accounts/mail/pause", b'{"a":1}')
    assert world.tokens.operations == [("pause", "mail", {"a": 1})]


async def test_the_kernel_says_who_this_test_is(start: Start) -> None:
    world = await start()
    world.asks_the_kernel = True
    mine = Readers(frozenset({os.getuid()}))
    world.policy = Policy({"calendar": mine}, generation=5)
    wire = await Wire.open(world.path)
    assert (await wire.get("/v1/tokens/calendar")).status == 200


# ------------------------------------------------------------------------------------------------ audit


async def test_hand_outs_are_told_once_and_then_counted(world: World, wire: Wire) -> None:
    for _ in range(3):
        await wire.get("/v1/tokens/calendar")
    assert [(event.name, event.account) for event in world.audited] == [("access.granted", "calendar")]
    assert world.audited[0].fields == {"uid": UID, "unit": None, "pid": 77, "token_generation": 1}
    world.tokens.publish("calendar", "token-2", 60.0, generation=2)
    await wire.get("/v1/tokens/calendar")
    assert [event.name for event in world.audited[1:]] == ["access.granted-again", "access.granted"]
    assert world.audited[1].fields["count"] == 2


async def test_denials_are_told_once_and_invented_names_share_a_line(world: World, wire: Wire) -> None:
    for name in ("secret", "secret", "a", "b", "c"):
        await wire.get(f"/v1/tokens/{name}")
    assert [(event.name, event.account) for event in world.audited] == [
        ("access.denied", "secret"),
        ("access.denied", None),
    ]


async def test_no_audit_event_holds_a_token(world: World, wire: Wire) -> None:
    await wire.get("/v1/tokens/calendar")
    assert "token-1" not in json.dumps([dict(event.fields) for event in world.audited])


def test_the_audits_memory_is_bounded() -> None:
    from freshd.api.audit import Audit
    from freshd.core.events import Event

    told: list[Event] = []
    audit = Audit(told.append, max_lines=2)
    first = audit.granted(Identity(1, 1, pid=1), "a", 1)
    audit.granted(Identity(1, 1, pid=1), "a", 1)
    audit.granted(Identity(2, 1, pid=1), "a", 1)
    audit.granted(Identity(3, 1, pid=1), "a", 1)
    assert [event.name.removeprefix("access.") for event in told] == ["granted", "granted", "granted-again", "granted"]
    assert first.generation == -1
    audit.flush()
    assert len(told) == 4
