"""Accounts of one family: a head that renews for all, members that live on stock, on virtual time.

The shape is that of a trading platform and its brokers: a broker's lease is made from a code that works once, on
demand; a spent code is replaced by a call that presents the head's secret; and where that cannot help, the head renews.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Rung
from freshd.core.model import Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Rejected, Remedy, Reply, Unreadable
from freshd.core.pace import Pace
from freshd.core.state import Phase
from freshd.roster import in_order
from freshd.tokens import Published, Shortfall
from tests.fakes.house import House, slowly
from tests.fakes.provider import BOUND, FakeProvider, Said, reply
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

DAY = 86_400.0
HALF_HOUR = 1800.0
LOGIN = Rung("login", frozenset({"ticket"}), unless=frozenset({"check"}), on_demand=True)
CHECK = Rung("check", person=True)
AUTH = Rung("auth", frozenset({"code", "head/device"}), on_demand=True, is_final=True)
REPULL = Rung("repull", frozenset({"head/sig"}), stocks=frozenset({"code"}), reuse=Reuse.REUSABLE)
ASK = Rung("ask", spends=False, asks="head")
MINUTE = Pace(60.0, 600.0)


class Member(FakeProvider):
    """Reads what a script says: a lease, a code, others' codes, or a refusal."""

    kinds: tuple[str, ...] = ()
    made = 0

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.sent: list[tuple[str, float]] = []
        self.codes: list[str] = []
        self.planned: list[Said | None] = []
        """Answers in order, None the usual one; before `script`."""

    @property
    def kin(self) -> tuple[str, ...]:
        return self.kinds

    async def perform(self, rung: str, record: Record, intent: Intent) -> NotSent | Lost | Reply:
        self.log.append(rung)
        self.sent.append((rung, intent.sent.boot))
        planned = self.planned.pop(0) if self.planned else None
        said: Said = planned or (self.script.pop(0) if self.script else self.usual(rung))
        assert not isinstance(said, BaseException)
        found = said if isinstance(said, NotSent | Lost | Reply) else await said(record, intent)
        assert isinstance(found, NotSent | Lost | Reply)
        self._book(rung, record, found)
        return found

    def _book(self, rung: str, record: Record, found: NotSent | Lost | Reply) -> None:
        """Keep the codes that may have been spent; none of them may come a second time."""
        code = None if record.grant is None else record.grant.secrets.get("code")
        if rung == "auth" and code is not None and not isinstance(found, NotSent):
            self.codes += [code.reveal()] if isinstance(found, Lost) or b"error" not in found.body else []

    def usual(self, rung: str) -> Reply:
        Member.made += 1
        return reply(**{"auth": {"sig": f"sig-{Member.made}"}, "repull": {"code": f"code-{Member.made}"}}.get(rung, {
            "sig": f"client-{Member.made}", "ticket": f"ticket-{Member.made}", "web": f"web-{Member.made}",
            "codes": dict.fromkeys(("hk", "us"), f"login-{Member.made}"),
        }))  # fmt: skip

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        try:
            said = json.loads(reply.body)
        except ValueError:
            return Unreadable("not JSON", gateway=True)
        if "error" in said:
            dead = frozenset(said["dead"]) if "dead" in said else None
            keep = {name: Secret(value) for name, value in said.get("keep", {}).items()}
            return Rejected(
                said["error"], Remedy(said["remedy"]), known=said.get("known", True), dead=dead, keep=keep,
                again=said.get("again", ()),
            )  # fmt: skip
        changes = [self._change(rung, record, intent, said)]
        for name, code in said.get("codes", {}).items():
            changes.append(Change(name, self._stock(record.kin[name], intent, code)))
        return Answered(tuple(changes))

    def _change(self, rung: str, record: Record, intent: Intent, said: Mapping[str, str]) -> Change:
        account = self.account
        lease = None
        if "sig" in said:
            life = HALF_HOUR if rung == "auth" else 2 * DAY
            lease = Lease(account, intent.generation + 1, Secret(said["sig"]), intent.sent, life)
        if rung == "auth":
            return Change(account, lease=lease, drop=frozenset({"code"}))
        if rung == "repull":
            return Change(account, self._stock(record, intent, said["code"]))
        secrets = {"ticket": Secret(said["ticket"]), "device": Secret("device")}
        secrets |= {"sig": Secret(said["web"])} if said.get("web") else {}
        return Change(account, Grant("head", BOUND, secrets, intent.sent, intent.sent, 30 * DAY), lease)

    def _stock(self, record: Record, intent: Intent, code: str) -> Grant:
        lineage = record.lineage or f"{record.account}-{intent.flight}"
        return Grant(lineage, BOUND, {"code": Secret(code)}, intent.sent, intent.sent, 30 * DAY)


def family(**kept: str) -> House:
    """The head and two brokers with a code in stock each.  `kept`: what the head holds besides its ticket."""
    time = VirtualTime()
    now = time.now()
    secrets = {"ticket": Secret("ticket-0"), "device": Secret("device"), **{k: Secret(v) for k, v in kept.items()}}
    records = {"head": Record("head", 1, Grant("head", BOUND, secrets, now, now, 30 * DAY))}
    for name in ("hk", "us"):
        code = Grant(name, BOUND, {"code": Secret(f"{name}-code-0")}, now, now, 30 * DAY)
        records[name] = Record(name, 1, code)
    head = Member("head", ladder=(LOGIN, CHECK), contract=Contract(lease_life=DAY), pace=MINUTE)
    head.kinds = ("hk", "us")
    brokers = [Member(name, ladder=(AUTH, REPULL, ASK), pace=MINUTE) for name in ("hk", "us")]
    for broker in brokers:
        broker.kinds = ("head",)
    house = House(head, *brokers, disk=Disk(records=records), time=time)
    house.families = {"hk": "head", "us": "head"}
    return house


def refusal(code: str, remedy: Remedy, **more: object) -> Reply:
    return reply(400, error=code, remedy=remedy.value, **more)


def calls(house: House, account: str) -> list[str]:
    return [one for one in house.providers[account].log if one not in ("prepare", "judge")]


async def token(house: House, account: str = "hk", wait: float = 30.0) -> str:
    found = await house.desk.demand(account, 60.0, wait)
    assert isinstance(found, Published), found
    return found.lease.token.reveal()


def test_a_lease_is_made_from_the_stock_when_somebody_wants_one_and_the_stock_is_filled_again() -> None:
    house = family(sig="web-0")

    async def work() -> None:
        await asyncio.sleep(3600.0)
        assert calls(house, "hk") == []
        await token(house)
        await asyncio.sleep(120.0)
        assert calls(house, "hk") == ["auth", "repull"]
        await asyncio.sleep(2 * 3600.0)
        assert calls(house, "hk") == ["auth", "repull"]
        await token(house)
        await asyncio.sleep(120.0)

    house.live(work)
    assert calls(house, "hk") == ["auth", "repull", "auth", "repull"]
    assert calls(house, "us") == []
    assert calls(house, "head") == []


def test_a_code_that_was_taken_out_of_stock_is_gone_from_the_disk_with_the_same_commit() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [reply(sig="sig-1"), Lost("nothing")]

    async def work() -> None:
        await token(house)
        await house.landed("hk")

    house.live(work)
    kept = house.vault.disk.records["hk"]
    assert kept.lease is not None
    assert kept.lease.token == Secret("sig-1")
    assert kept.grant is not None
    assert dict(kept.grant.secrets) == {}


def test_a_code_nobody_used_is_renewed_before_it_expires_and_so_is_the_heads_ticket() -> None:
    house = family(sig="web-0")

    async def work() -> None:
        await asyncio.sleep(19 * DAY)
        assert [calls(house, name) for name in ("hk", "us", "head")] == [[], [], []]
        await asyncio.sleep(3 * DAY)

    house.live(work)
    assert calls(house, "head") == ["login"]
    assert "grant.ending" not in house.told


def test_I5_a_code_whose_answer_was_lost_is_never_presented_again() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [Lost("cut")]
    house.live(lambda: token(house, wait=300.0))
    assert calls(house, "hk")[:3] == ["auth", "repull", "auth"]


def test_I5_a_code_that_was_burnt_by_a_crash_is_never_presented_again() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [slowly(reply(sig="never"), 50.0)]

    async def crash() -> None:
        waiting = asyncio.get_running_loop().create_task(house.desk.demand("hk", 60.0, 5.0))
        await waiting

    house.live(crash)
    assert calls(house, "hk") == ["auth"]
    house.live(lambda: token(house, wait=300.0))
    assert calls(house, "hk")[:3] == ["auth", "repull", "auth"]


@pytest.mark.parametrize(
    "upper",
    [("15", Remedy.PERSON, {"again": (90.0,)}), ("busy", Remedy.WAIT, {}), ("odd", Remedy.CLIMB, {"known": False})],
)
def test_I5_a_lost_code_stays_lost_whatever_is_said_of_the_next_way(
    upper: tuple[str, Remedy, dict[str, object]],
) -> None:
    house = family(sig="web-0")
    code, remedy, more = upper
    member(house, "hk").planned = [Lost("cut"), Lost("cut"), refusal(code, remedy, **more)]

    async def work() -> None:
        for _ in range(5):
            await house.desk.demand("hk", 60.0, 400.0)

    house.live(work)
    assert member(house, "hk").codes.count("hk-code-0") == 1


def test_a_refused_code_is_replaced_and_a_heal_needs_no_restart() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [refusal("990004", Remedy.CLIMB, dead=["code"], known=False)]

    async def work() -> str:
        return await token(house, wait=400.0)

    house.live(work)
    assert calls(house, "hk") == ["auth", "repull", "auth"]
    assert calls(house, "head") == []


def test_without_its_secret_the_head_renews_once_for_all_that_asked() -> None:
    house = family()
    for name in ("hk", "us"):
        house.vault.disk.records[name] = Record(name, 0)

    async def work() -> list[str]:
        return [*await asyncio.gather(token(house, "hk", 300.0), token(house, "us", 300.0))]

    house.live(work)
    assert calls(house, "head") == ["login"]
    assert calls(house, "hk")[:1] == ["auth"]
    assert calls(house, "us")[:1] == ["auth"]


def test_a_refused_secret_of_the_head_lets_the_head_renew_after_a_pause() -> None:
    house = family(sig="old")
    house.providers["hk"].script = [reply(sig="sig-1"), refusal("odd", Remedy.CLIMB, known=False)]

    async def work() -> None:
        await token(house)
        await asyncio.sleep(250.0)
        assert calls(house, "head") == []
        await asyncio.sleep(200.0)
        assert calls(house, "head") == ["login"]
        assert house.state("hk").standing.held == {"code"}

    house.live(work)
    assert house.state("us").standing.held == {"code"}
    assert calls(house, "us") == []


def test_a_reset_forgets_the_lease_takes_the_same_rung_once_more_and_makes_a_new_lease() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [reply(sig="sig-1"), refusal("20029", Remedy.RESET)]

    async def work() -> str:
        first = await token(house)
        assert first == "sig-1"
        await asyncio.sleep(300.0)
        return await token(house)

    assert house.live(work) != "sig-1"
    assert calls(house, "hk") == ["auth", "repull", "repull", "auth", "repull"]
    assert house.told.count("lease.withdrawn") == 1


def test_reset_twice_is_unavailable_on_a_slow_pace_and_the_others_go_on() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [reply(sig="sig-1"), *[refusal("20029", Remedy.RESET)] * 50]

    async def work() -> None:
        await token(house)
        await asyncio.sleep(600.0)
        assert house.state("hk").phase is Phase.PARKED
        found = await house.desk.demand("hk", 60.0, 1.0)
        assert isinstance(found, Shortfall)
        assert found.status == 503
        await token(house, "us")
        await asyncio.sleep(6 * 3600.0)

    house.live(work)
    repulls = calls(house, "hk").count("repull")
    assert 2 + 20 <= repulls <= 2 + 26, "one in a quarter of an hour"
    assert house.told.count("account.parked") == 1
    assert calls(house, "head") == []


def test_what_a_refusal_brought_is_kept_and_stops_the_rung_until_a_person_came_over_restarts_too() -> None:
    house = family()
    for name in ("hk", "us"):
        house.vault.disk.records[name] = Record(name, 0)
    house.providers["head"].script = [refusal("20", Remedy.PERSON, keep={"check": "dvs-1"})]

    async def ask() -> object:
        return await house.desk.demand("hk", 60.0, 120.0)

    found = house.live(ask)
    assert isinstance(found, Shortfall)
    assert found.status == 409
    assert "head" in found.remedy
    assert house.vault.disk.records["head"].grant is not None
    house.live(ask)
    assert calls(house, "head") == ["login"]


def test_worth_one_more_try_means_one_more_try() -> None:
    house = family()
    again = refusal("15", Remedy.PERSON, again=(90.0,))
    house.providers["head"].script = [again, again, again]

    async def work() -> None:
        await house.desk.demand("head", 60.0, 1.0)
        await asyncio.sleep(80.0)
        assert calls(house, "head") == ["login"]
        await asyncio.sleep(3 * 3600.0)

    house.live(work)
    assert calls(house, "head") == ["login", "login"]
    assert house.state("head").phase is Phase.PARKED


def test_a_member_with_stock_is_served_while_the_head_needs_a_person() -> None:
    house = family()
    house.providers["head"].script = [refusal("20", Remedy.PERSON, keep={"check": "dvs-1"})]

    async def work() -> str:
        await house.desk.demand("head", 60.0, 30.0)
        return await token(house, "us")

    house.live(work)
    assert calls(house, "us") == ["auth"]


def test_a_member_that_waits_goes_on_once_a_person_has_helped_the_head() -> None:
    house = family()
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["head"].script = [refusal("2", Remedy.PERSON)]

    async def work() -> str:
        found = await house.desk.demand("hk", 60.0, 120.0)
        assert isinstance(found, Shortfall)
        begun = await house.desk.operate("enrol-begin", "head", {})
        house.providers["head"].ladder = (LOGIN, Rung("authorize", person=True))
        house.reload("head")
        await house.desk.operate("enrol-finish", "head", {"session": begun["session"], "code": "c"})
        return await token(house, "hk")

    house.live(work)


def test_I1_one_flight_of_a_family_at_a_time_and_an_operators_verb_waits_for_it() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [slowly(reply(sig="sig-1"), 20.0)]

    async def work() -> None:
        flying = asyncio.get_running_loop().create_task(house.desk.demand("hk", 60.0, 30.0))
        await asyncio.sleep(1.0)
        verb = asyncio.get_running_loop().create_task(
            house.desk.operate("import", "us", {"secrets": {"code": "new", "ticket": "t"}})
        )
        await asyncio.sleep(10.0)
        assert not verb.done()
        await asyncio.gather(flying, verb)

    house.live(work)


@pytest.mark.parametrize("slow", [False, True])
def test_I1_an_account_that_changes_its_family_gets_that_familys_only_writer(slow: bool) -> None:
    """Also in the middle of a flight: it lands first."""
    house = family(sig="web-0")
    house.families = {"us": "head"}
    if slow:
        house.providers["hk"].script = [slowly(reply(sig="sig-1"), 20.0)]

    async def work() -> None:
        flying = asyncio.get_running_loop().create_task(house.desk.demand("hk", 60.0, 60.0))
        await asyncio.sleep(0.1 if slow else 30.0)
        house.families["hk"] = "head"
        house.reload("hk")
        assert isinstance(await flying, Published)
        await asyncio.sleep(1.0)
        assert house.supervisor.keeper("hk") is house.supervisor.keeper("head")
        assert "head/sig" in house.state("hk").held

    house.live(work)


SAID = st.sampled_from(
    [
        None, None, None, None, Lost("cut"), NotSent("no route"), Reply(502, (), b"<html>"),
        refusal("20029", Remedy.RESET), refusal("odd", Remedy.CLIMB, known=False),
        refusal("odd", Remedy.CLIMB, known=False, dead=["code"]), refusal("15", Remedy.PERSON, again=(90.0,)),
        refusal("busy", Remedy.WAIT), refusal("2", Remedy.PERSON), refusal("off", Remedy.CONFIG),
        refusal("known", Remedy.CLIMB), refusal("20", Remedy.PERSON, keep={"check": "dvs"}),
    ]
)  # fmt: skip
ACTS = st.tuples(st.sampled_from(["want hk", "want us", "refuse hk", "sleep", "long sleep", "crash"]), st.floats(0, 1))


@given(st.lists(SAID, max_size=12), st.lists(SAID, max_size=30), st.lists(ACTS, min_size=3, max_size=8))
@settings(max_examples=300, deadline=None)
def test_I5_whatever_is_answered_no_code_leaves_twice_and_no_window_is_broken(
    logins: list[Said | None], others: list[Said | None], acts: list[tuple[str, float]]
) -> None:
    house = family(sig="web-0")
    for name, script in (("head", logins), ("hk", others)):
        member(house, name).planned = list(script)
    while acts:
        acts = house.live(lambda acts=acts: _until_a_crash(house, acts))  # type: ignore[misc]
    for name in ("head", "hk", "us"):
        sent = member(house, name).sent
        for rung in {rung for rung, _ in sent}:
            moments = [at for one, at in sent if one == rung]
            assert all(b - a >= 60.0 - 1e-6 for a, b in itertools.pairwise(moments)), (name, rung, moments)
        assert len(member(house, name).codes) == len(set(member(house, name).codes))


async def _until_a_crash(house: House, acts: list[tuple[str, float]]) -> list[tuple[str, float]]:
    for index, (act, dice) in enumerate(acts):
        if act == "crash":
            return acts[index + 1 :]
        if act.startswith("want"):
            await house.desk.demand(act[-2:], 60.0, dice * 400.0)
        elif act == "refuse hk":
            held = house.desk.lease("hk")
            house.desk.refused("hk", "" if held is None else held.fingerprint, 401, None)
        else:
            await asyncio.sleep(dice * (600.0 if act == "sleep" else DAY))
    return []


def member(house: House, name: str) -> Member:
    provider = house.providers[name]
    assert isinstance(provider, Member)
    return provider


def test_what_a_members_own_attempt_left_is_kept_aside_when_the_heads_answer_is_newer() -> None:
    house = family()
    disk = house.vault.disk
    intent = Intent("f1", "hk", "auth", "hk", 1, house.time.now())
    disk.intents["hk"] = (intent, None)

    async def work() -> str:
        return await token(house, wait=600.0)

    house.live(work)
    assert calls(house, "hk")[:1] == ["auth"]
    assert calls(house, "head") == ["login"]
    assert replace(intent) == intent
    assert "hk" not in {name for name, (left, _) in disk.intents.items() if left.flight == "f1"}


def test_I8_status_of_a_member_names_what_is_in_stock_and_whom_it_waits_for() -> None:
    house = family()
    house.providers["head"].script = [refusal("2", Remedy.PERSON)]
    house.vault.disk.records["hk"] = Record("hk", 0)

    async def work() -> None:
        await asyncio.sleep(5.0)
        view = house.desk.health("hk")
        assert view.more["stock"] == {"code": False}
        assert "head" in (view.reason or "")
        assert house.desk.health("us").more["stock"] == {"code": True}

    house.live(work)


def test_I7_a_reset_takes_the_code_in_stock_with_it_for_it_belongs_to_what_is_void() -> None:
    house = family(sig="web-0")
    member(house, "hk").planned = [refusal("20029", Remedy.RESET)] * 2
    known = house.vault.disk.records["hk"]
    assert known.grant is not None
    house.vault.disk.records["hk"] = replace(known, grant=replace(known.grant, valid_for=20 * DAY))

    async def work() -> None:
        await asyncio.sleep(20 * DAY * 2 / 3 + 100.0)
        assert house.state("hk").phase is Phase.PARKED
        kept = house.vault.disk.records["hk"].grant
        assert kept is not None
        assert dict(kept.secrets) == {}
        await asyncio.sleep(1000.0)

    house.live(work)
    assert calls(house, "hk") == ["repull", "repull", "repull"], "nobody had a lease, so none is made"


def test_whoever_is_needed_is_booted_before_those_that_need_it_and_an_answer_in_escrow_before_all() -> None:
    """Else a member would ask its head to renew before it has heard what the head holds."""
    house = family(sig="web-0")
    intent = Intent("f1", "us", "auth", "us", 1, house.time.now())
    house.vault.disk.intents["us"] = (intent, reply(sig="late"))

    async def work() -> list[str]:
        members = [house.member(name) for name in ("hk", "us", "head")]
        return [one.plan.account for one in in_order(members, house.supervisor.known)]

    assert house.live(work) == ["us", "head", "hk"]


def test_a_member_without_stock_uses_what_its_head_holds_at_boot_and_does_not_ask_it() -> None:
    house = family(sig="web-0")
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.live(lambda: token(house, wait=200.0))
    assert calls(house, "head") == []
    assert calls(house, "hk")[:2] == ["repull", "auth"]
