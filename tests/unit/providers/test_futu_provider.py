"""Ladders, paces, what is sent on which rung, what a consumer's refusal means, and examinations that spend nothing."""

from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from freshd.core import ladder
from freshd.core.contract import Reuse
from freshd.core.ladder import Rung
from freshd.core.model import Grant, Lease, Record, Secret
from freshd.core.outcome import Lost, NotSent, Reply
from freshd.core.pace import Row, failed, spacing, wait
from freshd.errors import NotPossible
from freshd.ports import Found
from freshd.providers.futu.broker import ladder_of as broker_ladder
from freshd.providers.futu.broker_options import Options as BrokerOptions
from tests.unit.providers.futu_bench import Bench, hk
from tests.unit.providers.futu_parts import (
    CONTRACT,
    HK,
    LOGIN,
    SENT,
    broker,
    done,
    error,
    intent,
    platform,
    reply,
    sealed,
)

PLATFORM_HELD = frozenset({"main/web_sig", "main/device_id", "main/uid"})


def rungs(provider_ladder: tuple[Rung, ...]) -> dict[str, Rung]:
    return {rung.name: rung for rung in provider_ladder}


# -- the platform ---------------------------------------------------------------------------------------------------


def test_a_platform_renews_by_ticket_and_else_needs_a_person() -> None:
    found = rungs(Bench().platform().ladder)
    assert list(found) == ["refresh", "login-again", "device-check", "third-factor"]
    assert [rung.person for rung in found.values()] == [False, True, True, True]
    assert found["device-check"].budgeted


@pytest.mark.parametrize("step", ["device_verify_sig", "third_factor_verify_sig"])
def test_while_a_persons_step_is_due_no_login_is_made_unattended(step: str) -> None:
    held = set(platform().grant.secrets)  # type: ignore[union-attr]
    found = Bench().platform().ladder
    assert ladder.top(found, held) == found[0]
    assert ladder.top(found, held | {step}) is None


@pytest.mark.parametrize(("scheduled", "on_demand"), [(False, True), (True, False)])
def test_a_login_is_made_on_demand_unless_it_is_scheduled(scheduled: bool, on_demand: bool) -> None:
    assert Bench(scheduled=scheduled).platform().ladder[0].on_demand is on_demand


def test_every_login_charges_one_row_whoever_makes_it() -> None:
    provider = Bench().platform()
    assert provider.paces("refresh") == provider.paces("login-again")
    [(key, pace)] = provider.paces("refresh")
    assert (pace.interval, pace.backoff_cap, pace.daily) == (75.0, 600.0, 24)
    assert key.startswith("login:https://auth.futunn.com/")
    assert "ann" not in key, "the ledger is not sealed"
    assert provider.paces("device-check")[0][0] != key


def test_failures_space_logins_out_up_to_ten_minutes_and_never_below_a_minute() -> None:
    [(_, pace)] = Bench().platform().paces("refresh")
    row, waits = Row(last=SENT), []
    for _ in range(5):
        waits.append(spacing(row, pace))
        row = failed(row, SENT)
    assert waits == [75.0, 150.0, 300.0, 600.0, 600.0]
    assert wait(Row(last=SENT), pace, SENT) == 75.0


def test_the_brokers_are_the_platforms_relatives() -> None:
    bench = Bench()
    assert bench.platform(hk()).kin == ("hk",)
    assert bench.broker().kin == ("main",)


@pytest.mark.parametrize("rung", ["refresh", "login-again"])
async def test_a_login_is_one_call(rung: str) -> None:
    bench = Bench()
    performed = await bench.platform().perform(rung, platform(), intent(rung, platform()))
    assert isinstance(performed, Reply)
    assert bench.paths() == ["authority/"]


@pytest.mark.parametrize("rung", ["refresh", "login-again", "device-check", "third-factor", "x"])
@pytest.mark.parametrize("record", [Record("main"), platform(without=("tgtgt",)), platform(without=("device_id",))])
async def test_without_a_ticket_nothing_is_sent(rung: str, record: Record) -> None:
    bench = Bench()
    assert isinstance(await bench.platform().perform(rung, record, intent(rung, record)), NotSent)
    assert bench.calls.made == []


async def test_a_ticket_is_sent_to_no_other_host_or_account() -> None:
    for keys in ({"auth_url": "https://far.example"}, {"account": "bob@example.org"}, {"attribution": "us"}):
        bench = Bench(**keys)
        assert isinstance(await bench.platform().perform("refresh", platform(), intent("refresh", platform())), NotSent)
        assert bench.calls.made == []


def test_a_login_feeds_the_brokers_as_they_are_configured() -> None:
    provider = Bench().platform(hk(hand_out="code"))
    judged = provider.read("refresh", platform(), intent("refresh", platform()), done(LOGIN))
    assert [change.account for change in judged.changes] == ["main", "hk"]  # type: ignore[union-attr]
    assert judged.changes[1].lease is not None  # type: ignore[union-attr]


# -- a broker -------------------------------------------------------------------------------------------------------


def test_a_broker_spends_its_code_then_asks_for_one_then_asks_the_platform() -> None:
    found = rungs(Bench().broker().ladder)
    assert list(found) == ["broker-auth", "repull", "platform"]
    auth, pull, ask = found.values()
    assert (auth.is_final, auth.on_demand, auth.needs) == (
        True,
        True,
        frozenset({"auth_code", "main/device_id", "main/uid"}),
    )
    assert (pull.stocks, pull.reuse, pull.needs) == (frozenset({"auth_code"}), Reuse.REUSABLE, PLATFORM_HELD)
    assert (ask.asks, ask.spends, ask.needs) == ("main", False, frozenset())


def test_without_a_web_signature_only_the_platform_can_help() -> None:
    found = Bench().broker().ladder
    assert ladder.top(found, PLATFORM_HELD) == found[1]
    assert ladder.top(found, PLATFORM_HELD - {"main/web_sig"}) == found[2]
    assert ladder.top(found, PLATFORM_HELD | {"auth_code"}) == found[0]


def test_a_broker_that_hands_out_codes_keeps_no_stock_and_spends_none() -> None:
    found = broker_ladder(BrokerOptions(platform="main", broker_id=1001, hand_out="code"))
    assert [rung.name for rung in found] == ["repull", "platform"]
    assert found[0].stocks == frozenset()
    assert not found[0].on_demand


def test_a_lease_may_be_scheduled() -> None:
    assert not Bench().broker(scheduled=True).ladder[0].on_demand


def test_codes_are_asked_for_at_a_pace_of_their_own() -> None:
    provider = Bench().broker(repull_interval=90.0, min_interval=7.0, daily=50)
    assert [(pace.interval, pace.daily) for _, pace in provider.paces("repull")] == [(90.0, 50)]
    assert [(pace.interval, pace.daily) for _, pace in provider.paces("broker-auth")] == [(7.0, 50)]


@pytest.mark.parametrize(
    ("rung", "path"), [("repull", "authority/repull_auth_code"), ("broker-auth", "broker_auth/client_auth")]
)
async def test_each_rung_is_one_call(rung: str, path: str) -> None:
    bench, record = Bench(), broker(auth_code="AC-1")
    await bench.broker().perform(rung, record, intent(rung, record))
    assert bench.paths() == [path]


def _lacking() -> list[tuple[str, Record]]:
    full = broker(auth_code="AC-1")
    assert full.grant is not None
    far = replace(full.grant, binding=replace(HK.binding, origin="https://far.example"))
    return [
        ("repull", replace(full, kin={})),
        ("repull", replace(full, kin={"main": platform(without=("web_sig",))})),
        ("repull", replace(full, kin={"main": platform(without=("uid",))})),
        ("repull", replace(full, kin={"main": platform(without=("device_id",))})),
        ("broker-auth", replace(full, kin={})),
        ("broker-auth", broker()),
        ("broker-auth", Record("hk", kin=full.kin)),
        ("broker-auth", replace(full, grant=far)),
        ("platform", full),
        ("x", full),
    ]


@pytest.mark.parametrize(("rung", "record"), _lacking())
async def test_what_a_rung_lacks_is_found_before_anything_is_sent(rung: str, record: Record) -> None:
    bench = Bench()
    assert isinstance(await bench.broker().perform(rung, record, intent(rung, record)), NotSent)
    assert bench.calls.made == []


async def test_nothing_is_sent_for_a_platform_that_is_another_one_now() -> None:
    bench, record = Bench(account="bob@example.org"), broker(auth_code="AC-1")
    for rung in ("repull", "broker-auth"):
        assert isinstance(await bench.broker().perform(rung, record, intent(rung, record)), NotSent)


# -- what consumers report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["-102", " -102 ", "heartbeat", "Heartbeat-Lost", "15"])
def test_some_words_say_nothing_of_the_lease(code: str) -> None:
    assert not Bench().broker().is_dead(None, code)
    assert not Bench().platform().is_dead(401, code)


@pytest.mark.parametrize(
    ("status", "code"), [(None, "990005"), (None, "20029"), (None, None), (401, None), (403, ""), (500, "7")]
)
def test_a_refused_login_is_dead_whatever_the_code(status: int | None, code: str | None) -> None:
    assert Bench().broker().is_dead(status, code)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_is_no_refusal(status: int) -> None:
    assert not Bench().broker().is_dead(status, None)


async def test_there_is_no_harmless_call_to_probe_with() -> None:
    bench = Bench()
    lease = Lease("hk", 1, Secret("s"), SENT, 1.0)
    assert await bench.platform().probe(lease) is None
    assert await bench.broker().probe(lease) is None
    assert bench.calls.made == []


async def test_nothing_can_be_revoked_at_the_service() -> None:
    for provider in (Bench().platform(), Bench().broker()):
        with pytest.raises(NotPossible, match="no known way"):
            await provider.revoke(Record("x"))


# -- examinations ---------------------------------------------------------------------------------------------------


async def examined(record: Record, answer: Any, **keys: Any) -> list[Found]:  # noqa: ANN401
    bench = Bench(**keys)
    bench.calls.answers = [answer]
    found = [*await bench.platform().examine(record)]
    assert bench.paths() == ["authority/salt"]
    assert [call.method for call in bench.calls.made] == ["GET"]
    return found


def causes(found: list[Found]) -> set[str]:
    return {one.cause for one in found if one.cause}


SALT = {"salt": "s", "user_attribution": 6}


async def test_a_healthy_platform_has_nothing_but_what_cannot_be_known() -> None:
    found = await examined(platform(), done(SALT))
    assert {one.level for one in found} == {0}
    assert "cannot be known without a login" in found[-1].text


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (error(45), "app-refused"),
        (error(2), "wrong-app"),
        (error(11), "wrong-app"),
        (error(99), "unknown"),
        (done({**SALT, "user_attribution": 2}), "wrong-app"),
        (reply(b"<html>", 407), "gateway"),
        (reply({"result": SALT}, Date=formatdate(SENT.wall + 600, usegmt=True)), "clock"),
    ],
)
async def test_a_look_tells_the_cause(answer: Reply, cause: str) -> None:
    assert causes(await examined(platform(), answer)) == {cause}


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (Record("main"), "never-enrolled"),
        (platform(without=("tgtgt",)), "never-enrolled"),
        (platform(device_verify_sig="DVS", device_verify_at="1"), "revoked"),
    ],
)
async def test_the_record_tells_the_cause(record: Record, cause: str) -> None:
    assert causes(await examined(record, done(SALT))) == {cause}


async def test_a_ticket_past_its_life_is_told() -> None:
    record = platform()
    assert record.grant is not None
    old = replace(record.grant, obtained=replace(SENT, wall=SENT.wall - 31 * 86_400))
    assert causes(await examined(replace(record, grant=old), done(SALT))) == {"expired"}
    assert CONTRACT.idle_life == 30 * 86_400


@pytest.mark.parametrize("answer", [Lost("no answer"), NotSent("no route")])
async def test_a_platform_that_does_not_answer_is_no_cause(answer: Any) -> None:  # noqa: ANN401
    found = await examined(platform(without=("web_sig", "uid")), answer)
    assert causes(found) == set()
    assert [one.level for one in found] == [1, 1, 1, 0]


async def test_a_finding_repeats_nothing_that_came() -> None:
    found = await examined(platform(), error(99, word="canary"))
    assert "canary" not in repr(found)


async def test_a_broker_is_examined_without_any_call() -> None:
    bench = Bench()
    over = Grant("l", HK.binding, sealed(auth_code="AC"), replace(SENT, wall=SENT.wall - 100), SENT, 50.0)
    table = [
        (Record("hk", kin={"main": platform()}), {"never-enrolled"}),
        (broker(), set[str]()),
        (broker(auth_code="AC"), set[str]()),
        (Record("hk", 1, over, kin={"main": platform()}), {"expired"}),
        (replace(broker(), kin={"main": platform(without=("web_sig",))}), {"no-refresh-token"}),
    ]
    for record, expected in table:
        assert causes([*await bench.broker().examine(record)]) == expected
    assert bench.calls.made == []
