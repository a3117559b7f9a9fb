"""Whatever Futu's platform and brokers answer: the family keeps what it holds, shows no value, and lives on.

Each answer is met once, on virtual time; then two hours pass in which two programs read.  A lease may be missing for as
long as one more round takes, or, where the code is unknown, for the five minutes that this is waited for.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from freshd.sandbox.futu.script import Spoiler
from tests.flow.futu_nights import HOUR, World

KEPT = {"tgtgt", "device_id", "rand_key", "uid"}
LOGIN = (
    "no_code_list", "empty_web_sig", "no_web_sig", "no_ticket", "no_device_sig", "short_rand_key", "no_lifetime",
    "null_result", "list_result", "zero_code", "zero_code_beside", "code_beside",
)  # fmt: skip
REPULL = (
    "empty_auth_code", "zero_invalid_time", "other_broker", "null_result", "list_result", "zero_code",
    "zero_code_beside", "code_beside",
)  # fmt: skip
EXCHANGE = (
    "empty_broker_sig", "no_customer_id", "no_keys", "no_lifetime", "null_result", "list_result", "zero_code",
    "zero_code_beside", "code_beside",
)  # fmt: skip
HOSTILE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "both null": {"result": None, "error": None},
    "error as text": {"error": "20029"},
    "error as list": {"error": [20029]},
    "code as text": {"error": {"error_code": "15"}},
    "code true": {"error": {"error_code": True}},
    "code as a fraction": {"error": {"error_code": 20029.5}},
    "code vast": {"error": {"error_code": 10**40}},
    "code negative": {"error": {"error_code": -1}},
    "unknown code": {"error": {"error_code": 990099, "error_msg": "no"}},
    "deep": {"result": {"a": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}},
    "wrong types": {
        "result": {
            "uid": "x", "auth_code": 5, "invalid_time": "soon", "broker_id": [], "tgtgt_new": {}, "web_sig_new": 1,
            "client_sig": [], "broker_client_sig": {}, "broker_client_key": 0, "customer_id": "many",
        }
    },
    "no time": {"result": {"auth_code": "AC", "broker_id": 1001, "invalid_time": -5}},
}  # fmt: skip
CASES = [
    *(("authority", {"spoil": Spoiler(name)}, name) for name in LOGIN),
    *(("repull", {"spoil": Spoiler(name)}, name) for name in REPULL),
    *(("broker_auth", {"spoil": Spoiler(name)}, name) for name in EXCHANGE),
    *((where, {"answer": answer}, what) for where in ("authority", "repull", "broker_auth")
      for what, answer in HOSTILE.items()),
]  # fmt: skip
LONGEST_GAP = 420.0
"""Five minutes after an unknown code, the login's own minute, and a look."""


def lived(operation: str, line: dict[str, Any]) -> World:
    """Two hours after that answer."""
    world = World()

    async def work() -> None:
        whose = {} if operation == "authority" else {"broker_id": 1001}
        world.order(operation, count=1, **whose, **line)
        if operation == "authority":
            await world.daemon.token("main", 60.0, 30.0)
        await world.read(2 * HOUR)

    world.live(work)
    return world


def held_secrets(world: World) -> dict[str, str]:
    """Everything on the disk that must not be shown."""
    records = world.daemon.vault.disk.records
    return {
        f"{account}/{name}": secret.reveal()
        for account, record in records.items()
        if record.grant is not None
        for name, secret in record.grant.secrets.items()
        if name != "uid"
    }


def told_of(world: World) -> str:
    """All that the daemon said."""
    return json.dumps([[event.name, dict(event.fields), event.remedy] for _, event in world.daemon.events])


@pytest.mark.parametrize(("operation", "line", "what"), CASES, ids=[f"{where} {what}" for where, _, what in CASES])
def test_I7_an_odd_answer_costs_nothing_that_was_held_and_the_readers_are_served_again(
    operation: str, line: dict[str, Any], what: str
) -> None:
    world = lived(operation, line)
    grant = world.daemon.vault.disk.records["main"].grant
    assert grant is not None
    assert grant.secrets.keys() >= KEPT
    tally = world.service.state.books.tally(world.uid)
    assert (world.service.state.books.shared.totals.spent_uses, tally.sms_sent, tally.authority_too_soon) == (0, 0, 0)
    assert max(world.gaps.values()) <= LONGEST_GAP, (what, world.gaps)
    said = told_of(world)
    assert [name for name, value in held_secrets(world).items() if value in said] == []


@pytest.mark.parametrize("operation", ["authority", "repull", "broker_auth"])
def test_I10_a_refusal_that_repeats_secrets_is_shown_by_code_and_field_names_only(operation: str) -> None:
    world = World()
    mine = dict(world.record)
    error = {"error_code": 990099, "error_msg": f"bad {mine['tgtgt']}", "hint_field": mine["web_sig"], mine["tgtgt"]: 1}

    async def work() -> None:
        whose = {} if operation == "authority" else {"broker_id": 1001}
        world.order(operation, count=1, answer={"error": error}, **whose)
        if operation == "authority":
            await world.daemon.token("main", 60.0, 30.0)
        await world.read(HOUR)

    world.live(work)
    [refused] = [event for _, event in world.daemon.events if event.name == "refresh.rejected"]
    assert refused.fields["code"] == "990099"
    detail = str(refused.fields["detail"])
    assert "status 200" in detail
    assert "hint_field" in detail
    assert "(not shown)" in detail
    assert mine["tgtgt"] not in told_of(world)
    assert mine["web_sig"] not in told_of(world)


def test_an_answer_for_another_account_is_set_aside_and_ours_keeps_its_ticket() -> None:
    world = lived("authority", {"spoil": Spoiler.OTHER_UID})
    kept = world.daemon.vault.disk.records["main"].grant
    assert kept is not None
    assert (kept.secrets["tgtgt"].reveal(), kept.secrets["uid"].reveal()) == (world.record["tgtgt"], str(world.uid))
    parked = world.daemon.state("main").parked
    assert parked is not None
    assert (parked.code, parked.advice) == ("wrong-identity", "freshd enrol main")
    assert world.service.state.books.tally(world.uid).authority_calls == 1
