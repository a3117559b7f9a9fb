"""A Futu family against the stand-in, over HTTP alone: every rung, every scenario, and the open questions both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freshd.core.access import Readers
from freshd.core.contract import Contract
from freshd.core.model import Change, Intent, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Performed, Rejected, Remedy, Reply, Unreadable
from freshd.core.profile import Profile
from freshd.core.settings import AccountSettings
from freshd.ports import Provider
from freshd.providers import registry
from freshd.providers.http import Call
from freshd.sandbox.endings import LostAfterCommit
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.server import Running
from tests.providers.conftest import Bench, Clock

UID = 90000001
DAY = 86_400.0
CONTRACT = Contract(lease_life=DAY, idle_life=30 * DAY)


@dataclass
class World:
    """A platform, two brokers, what is kept of them, and the service's control port."""

    bench: Bench
    sandbox: Running
    clock: Clock
    account: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)

    async def pull(self, method: str, path: str, **wish: Any) -> Any:  # noqa: ANN401 - any JSON
        body = json.dumps(wish).encode()
        headers = {"Content-Type": "application/json"}
        performed = await self.bench.http.call(Call(method, f"{self.sandbox.control_url}/futu/{path}", headers, body))
        assert isinstance(performed, Reply)
        assert performed.status in range(200, 300), performed.body
        return json.loads(performed.body or b"{}")

    async def constants(self, **values: Any) -> None:
        await self.pull("PATCH", "constants", **{f"FUTU_SIM_{name}": value for name, value in values.items()})

    async def counters(self) -> Any:  # noqa: ANN401 - any JSON
        return (await self.pull("GET", "counters"))["by_uid"][str(UID)]

    async def perform(self, name: str, rung: str, **material: Secret) -> tuple[Intent, Performed]:
        return await self.bench.perform(self.providers[name], rung, self.record(name), **material)

    async def take(self, name: str, rung: str, *, passed: float = 61.0, **material: Secret) -> Judged:
        """One rung at a pace the service bears, and what is kept afterwards as the engine keeps it."""
        self.clock.passed += passed
        intent, performed = await self.perform(name, rung, **material)
        assert isinstance(performed, Reply), performed
        judged = self.providers[name].read(rung, self.record(name), intent, performed)
        if isinstance(judged, Answered):
            for change in judged.changes:
                self.keep(change)
        if isinstance(judged, Rejected):
            self.merge(name, judged)
        return judged

    def record(self, name: str) -> Record:
        kin = {one: self.records[one] for one in self.providers[name].kin}
        return replace(self.records[name], kin=kin)

    def keep(self, change: Change) -> None:
        assert change.withheld is None
        old = self.records[change.account]
        self.records[change.account] = Record(
            change.account, old.generation + 1, change.grant or old.grant, change.lease or old.lease
        )

    def merge(self, name: str, rejected: Rejected) -> None:
        old = self.records[name]
        gone = rejected.drop | (rejected.dead or frozenset())
        if old.grant is not None:
            kept = {key: one for key, one in old.grant.secrets.items() if key not in gone}
            grant = replace(old.grant, secrets={**kept, **rejected.keep})
            self.records[name] = replace(old, grant=grant)

    def held(self, name: str) -> dict[str, str]:
        grant = self.records[name].grant
        return {} if grant is None else {key: one.reveal() for key, one in grant.secrets.items()}


@pytest.fixture
async def world(bench: Bench, sandbox: Running, clock: Clock) -> World:
    made = World(bench, sandbox, clock, {})
    brokers = {"1001": "hk", "1007": "us"}
    made.account = await made.pull(
        "POST", "accounts", label="main", brokers=brokers, uid=UID, account="ann@example.org", attribution=6
    )
    settings = [
        settle("main", "futu", account="ann@example.org", auth_url=sandbox.base_url),
        settle("hk", "futu-broker", platform="main", broker_id=1001, broker_url=sandbox.base_url),
        settle("us", "futu-broker", platform="main", broker_id=1007, broker_url=sandbox.base_url),
    ]
    for one in settings:
        relatives = [other for other in settings if other is not one]
        made.providers[one.name] = registry.make(one, bench.deps, relatives)
        made.records[one.name] = Record(one.name)
    given = {name: Secret(str(value)) for name, value in made.account.items() if value not in (None, "")}
    made.keep(made.providers["main"].adopt(given, clock.now(), "line"))
    return made


def settle(name: str, kind: str, **keys: Any) -> AccountSettings:
    parsed = registry.Schemas()[kind].parse(name, keys)
    assert not parsed.problems
    return AccountSettings(
        name, kind, Readers(), Profile(kind, kind, CONTRACT), parsed.options, parsed.binding, family="main"
    )


def is_rejected(judged: Judged, code: str, remedy: Remedy) -> bool:
    assert isinstance(judged, Rejected), judged
    return (judged.code, judged.remedy) == (code, remedy)


# -- while all is well ----------------------------------------------------------------------------------------------


async def test_a_login_serves_the_whole_family(world: World) -> None:
    judged = await world.take("main", "refresh")
    assert isinstance(judged, Answered)
    assert set(world.held("hk")) == set(world.held("us")) == {"auth_code"}
    lease = world.records["main"].lease
    assert lease is not None
    assert lease.valid_for == 172_800.0
    assert dict(judged.notes) == {}


async def test_a_code_is_spent_once_and_replaced_by_one_repull(world: World) -> None:
    await world.take("main", "refresh")
    for _ in range(3):
        assert isinstance(await world.take("hk", "broker-auth"), Answered)
        assert world.held("hk") == {}
        lease = world.records["hk"].lease
        assert lease is not None
        assert lease.valid_for == 1800.0
        assert lease.fields.keys() == {"customer_id", "broker_id", "uid"}
        assert isinstance(await world.take("hk", "repull"), Answered)
    counters = await world.counters()
    assert not counters["spent_uses"]
    assert not counters["void_uses"]


async def test_a_repull_alone_feeds_a_broker_that_never_had_a_code(world: World) -> None:
    assert "web_sig" in world.held("main")
    assert isinstance(await world.take("us", "repull"), Answered)
    assert set(world.held("us")) == {"auth_code"}


@pytest.mark.parametrize("absolute", [True, False])
async def test_the_life_of_a_code_is_understood_both_ways(world: World, absolute: bool) -> None:
    await world.constants(INVALID_TIME_ABSOLUTE=absolute)
    await world.take("main", "refresh")
    await world.take("hk", "repull")
    for name in ("hk", "us"):
        grant = world.records[name].grant
        assert grant is not None
        assert grant.valid_for == pytest.approx(30 * DAY, abs=2)


async def test_a_clock_ten_minutes_wrong_is_told_and_shortens_no_life(world: World) -> None:
    await world.pull("PATCH", "service", offset_s=600)
    judged = await world.take("main", "refresh")
    assert isinstance(judged, Answered)
    assert judged.notes["clock"] == "this machine is 600 s behind"
    grant = world.records["hk"].grant
    assert grant is not None
    assert grant.valid_for == pytest.approx(30 * DAY, abs=2)


@pytest.mark.parametrize(("single", "spent"), [(True, False), (False, True)])
async def test_a_ticket_is_presented_anew_after_each_login(world: World, single: bool, spent: bool) -> None:
    await world.constants(TGTGT_SINGLE_USE=single)
    for _ in range(3):
        assert isinstance(await world.take("main", "refresh"), Answered)
    assert not (await world.counters())["spent_uses"]


async def test_a_signature_that_a_repull_changes_is_kept(world: World) -> None:
    await world.constants(REPULL_ROTATES_WEB_SIG=True)
    await world.take("main", "refresh")
    before = world.held("main")["web_sig"]
    for _ in range(3):
        assert isinstance(await world.take("hk", "repull"), Answered)
    assert world.held("main")["web_sig"] != before


async def test_other_names_for_a_brokers_signature_are_understood(world: World) -> None:
    await world.constants(BROKER_SIG_FIELD="client_sig", BROKER_KEY_FIELD="client_key")
    await world.take("main", "refresh")
    assert isinstance(await world.take("hk", "broker-auth"), Answered)


# -- healing --------------------------------------------------------------------------------------------------------


async def test_no_valid_cid_once_is_healed_by_the_same_rung(world: World) -> None:
    await world.take("main", "refresh")
    await world.pull("POST", "void", uid=UID, what="customer_id", broker_id=1001, count=1)
    assert is_rejected(await world.take("hk", "repull"), "20029", Remedy.RESET)
    assert isinstance(await world.take("hk", "repull"), Answered)


async def test_no_valid_cid_for_ever_leaves_the_other_broker_alone(world: World) -> None:
    await world.take("main", "refresh")
    await world.pull("POST", "void", uid=UID, what="customer_id", broker_id=1001, count=None)
    for _ in range(3):
        assert is_rejected(await world.take("hk", "repull"), "20029", Remedy.RESET)
        assert isinstance(await world.take("us", "broker-auth"), Answered)
        assert isinstance(await world.take("us", "repull"), Answered)


@pytest.mark.parametrize("status", [200, 400, 403])
async def test_a_refused_web_signature_leads_to_the_platform(world: World, status: int) -> None:
    await world.constants(HTTP_STATUS_ON_ERROR=status)
    await world.take("main", "refresh")
    await world.pull("POST", "expire", uid=UID, what="web_sig")
    judged = await world.take("hk", "repull")
    assert is_rejected(judged, "990001", Remedy.CLIMB)
    assert isinstance(judged, Rejected)
    assert (judged.known, judged.dead) == (False, frozenset())
    await world.take("main", "refresh")
    assert isinstance(await world.take("hk", "repull"), Answered)


@pytest.mark.parametrize("spoil", ["no_web_sig", "empty_web_sig"])
async def test_without_a_web_signature_no_repull_is_sent(world: World, spoil: str) -> None:
    await world.pull("POST", "script", operation="authority", uid=UID, count=1, spoil=spoil)
    await world.take("main", "refresh")
    assert "web_sig" not in world.held("main")
    _, performed = await world.perform("hk", "repull")
    assert isinstance(performed, NotSent)
    await world.take("main", "refresh")
    assert isinstance(await world.take("hk", "repull"), Answered)


@pytest.mark.parametrize("spoil", ["empty_auth_code", "zero_invalid_time", "other_broker", "null_result", "list_result",
                                   "zero_code", "code_beside"])  # fmt: skip
async def test_what_merely_looks_like_a_code_is_none(world: World, spoil: str) -> None:
    await world.take("main", "refresh")
    await world.pull("POST", "script", operation="repull", uid=UID, count=1, spoil=spoil)
    assert isinstance(await world.take("hk", "repull"), Unreadable)
    assert isinstance(await world.take("hk", "repull"), Answered)


async def test_a_code_for_another_account_is_set_aside(world: World) -> None:
    await world.take("main", "refresh")
    await world.pull("POST", "script", operation="repull", uid=UID, count=1, spoil="other_uid")
    intent, performed = await world.perform("hk", "repull")
    assert isinstance(performed, Reply)
    judged = world.providers["hk"].read("repull", world.record("hk"), intent, performed)
    assert isinstance(judged, Answered)
    assert judged.changes[0].withheld is not None


@pytest.mark.parametrize("what", ["expire", "spend"])
async def test_a_code_that_is_over_or_spent_is_useless_and_a_new_one_works(world: World, what: str) -> None:
    await world.take("main", "refresh")
    if what == "expire":
        await world.pull("POST", "expire", uid=UID, what="auth_code", broker_id=1001)
    else:
        await world.pull("POST", "void", uid=UID, what="auth_code", broker_id=1001)
    judged = await world.take("hk", "broker-auth")
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.dead) == (Remedy.CLIMB, frozenset({"auth_code"}))
    assert isinstance(await world.take("hk", "repull"), Answered)
    assert isinstance(await world.take("hk", "broker-auth"), Answered)


@pytest.mark.parametrize("spoil", ["empty_broker_sig", "no_keys"])
async def test_a_lease_without_signature_or_key_is_none(world: World, spoil: str) -> None:
    await world.take("main", "refresh")
    await world.pull("POST", "script", operation="broker_auth", uid=UID, count=1, spoil=spoil)
    assert isinstance(await world.take("hk", "broker-auth"), Unreadable)


async def test_an_answer_lost_after_the_commit_is_only_asked_for_again(world: World) -> None:
    await world.take("main", "refresh")
    world.sandbox.faults.add(LostAfterCommit(), Scope(grant_type="repull"), count=1)
    world.clock.passed += 61.0
    _, performed = await world.perform("hk", "repull")
    assert isinstance(performed, Lost)
    assert isinstance(await world.take("hk", "repull"), Answered)
    assert isinstance(await world.take("hk", "broker-auth"), Answered)
    counters = await world.counters()
    assert not counters["spent_uses"]
    assert not counters["void_uses"]


async def test_repulls_too_close_are_refused_and_nothing_is_lost(world: World) -> None:
    await world.take("main", "refresh")
    await world.take("hk", "repull")
    code = world.held("hk")
    judged = await world.take("hk", "repull", passed=1.0)
    assert isinstance(judged, Rejected)
    assert (judged.known, world.held("hk")) == (False, code)


# -- the platform's own refusals ------------------------------------------------------------------------------------


async def test_logins_too_close_are_15_and_the_next_one_works(world: World) -> None:
    await world.take("main", "refresh")
    judged = await world.take("main", "refresh", passed=5.0)
    assert is_rejected(judged, "15", Remedy.PERSON)
    assert isinstance(judged, Rejected)
    assert judged.again == (90.0,)
    assert isinstance(await world.take("main", "refresh", passed=90.0), Answered)


@pytest.mark.parametrize(
    ("code", "remedy"), [(2, Remedy.PERSON), (11, Remedy.CONFIG), (45, Remedy.CONFIG), (77, Remedy.WAIT)]
)
async def test_a_code_has_its_remedy_and_keeps_the_ticket(world: World, code: int, remedy: Remedy) -> None:
    held = world.held("main")
    await world.pull("POST", "script", operation="authority", uid=UID, count=1, code=code)
    assert is_rejected(await world.take("main", "refresh"), str(code), remedy)
    assert world.held("main") == held
    assert isinstance(await world.take("main", "refresh"), Answered)


@pytest.mark.parametrize("spoil", ["no_ticket", "no_device_sig", "short_rand_key", "no_lifetime", "no_code_list"])
async def test_a_login_that_lacks_something_loses_nothing_that_came(world: World, spoil: str) -> None:
    held = world.held("main")
    await world.pull("POST", "script", operation="authority", uid=UID, count=1, spoil=spoil)
    judged = await world.take("main", "refresh")
    assert isinstance(judged, Answered)
    assert held.keys() - {"web_sig"} <= world.held("main").keys()
    assert isinstance(await world.take("main", "refresh"), Answered)


async def test_an_overseas_account_at_the_wrong_host_is_a_matter_of_the_configuration(world: World) -> None:
    await world.pull(
        "POST", "accounts", label="us-main", brokers={}, uid=90000009, account="u@example.org", attribution=2
    )
    await world.pull("PATCH", "service", platform="futunn")
    found = await settled(world, "u@example.org", "hk").examine(Record("x"))
    assert {one.cause for one in found} >= {"wrong-app"}


def settled(world: World, account: str, region: str) -> Provider:
    one = settle("x", "futu", account=account, attribution=region, auth_url=world.sandbox.base_url)
    return registry.make(one, world.bench.deps)


# -- a person -------------------------------------------------------------------------------------------------------


async def code_of(world: World, index: int = -1) -> Secret:
    return Secret((await world.pull("GET", f"phone/{UID}"))["codes"][index])


async def test_a_device_check_goes_from_login_to_sms_to_ticket(world: World) -> None:
    platform = world.providers["main"]
    await world.pull("POST", "require", uid=UID, what="device_check")
    assert is_rejected(await world.take("main", "refresh"), "20", Remedy.PERSON)
    assert {"device_verify_sig", "device_verify_at", "phone_no"} <= world.held("main").keys()
    asked = await platform.ask("auto", None, world.record("main"), consent=True)
    judged = await world.take("main", asked.rung, passed=10.0, **{**asked.material, "code": await code_of(world)})
    assert isinstance(judged, Answered), judged
    assert "device_verify_sig" not in world.held("main")
    assert (await world.counters())["sms_sent"] == 1
    await world.pull("POST", "require", uid=UID, what="")
    assert isinstance(await world.take("main", "refresh"), Answered)


async def test_a_wrong_code_is_counted_and_the_right_one_still_taken(world: World) -> None:
    platform = world.providers["main"]
    await world.pull("POST", "require", uid=UID, what="device_check")
    await world.take("main", "refresh")
    asked = await platform.ask("auto", None, world.record("main"), consent=True)
    assert is_rejected(await world.take("main", asked.rung, passed=5.0, **{**asked.material, "code": Secret("000000")}),
                       "21", Remedy.PERSON)  # fmt: skip
    assert world.held("main")["wrong_codes"] == "1"
    again = await platform.ask("auto", None, world.record("main"), consent=True)
    right = {**again.material, "code": await code_of(world)}
    assert isinstance(await world.take("main", again.rung, passed=5.0, **right), Answered)
    assert (await world.counters())["sms_sent"] == 1


async def test_a_step_that_became_too_old_begins_with_another_login(world: World) -> None:
    platform = world.providers["main"]
    await world.pull("POST", "require", uid=UID, what="device_check")
    await world.take("main", "refresh")
    old = world.held("main")["device_verify_sig"]
    world.clock.passed += 400.0
    asked = await platform.ask("auto", None, world.record("main"))
    assert asked.rung == "login-again"
    assert is_rejected(await world.take("main", "login-again"), "20", Remedy.PERSON)
    assert world.held("main")["device_verify_sig"] != old
    assert (await platform.ask("auto", None, world.record("main"), consent=True)).rung == "device-check"


async def test_a_third_factor_is_ended_by_a_person(world: World) -> None:
    platform = world.providers["main"]
    await world.pull("POST", "require", uid=UID, what="third_factor")
    assert is_rejected(await world.take("main", "refresh"), "33", Remedy.PERSON)
    asked = await platform.ask("auto", None, world.record("main"))
    judged = await world.take("main", asked.rung, passed=5.0, **{**asked.material, "code": Secret("yes")})
    assert isinstance(judged, Answered), judged


async def test_an_examination_makes_no_login_and_sends_no_sms(world: World) -> None:
    for name in ("main", "hk"):
        assert await world.providers[name].examine(world.record(name))
    found: Mapping[str, Any] = (await world.pull("GET", "counters"))["by_uid"].get(str(UID), {})
    assert not found.get("authority_at")
    assert not found.get("sms_sent")


async def test_a_service_that_is_not_there_costs_nothing(world: World) -> None:
    gone = settle("main", "futu", account="ann@example.org", auth_url="http://127.0.0.1:9")
    provider = registry.make(gone, world.bench.deps)
    grant = world.records["main"].grant
    assert grant is not None
    record = replace(world.records["main"], grant=replace(grant, binding=provider.binding))
    _, performed = await world.bench.perform(provider, "refresh", record)
    assert isinstance(performed, NotSent | Lost)
