"""A service's own calls for operators, and steps that keep a secret before they are taken; on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Rung
from freshd.core.model import EMPTY, Change, Grant, Intent, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, Rejected, Remedy, Reply
from freshd.core.state import Phase
from freshd.errors import FreshdError, LeaseRefused
from freshd.ports import Asked, Facts
from tests.fakes.house import House
from tests.fakes.provider import PERSON, REFRESH, FakeProvider, enrolled, reply, tokens
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

REKEY = Rung("rekey", frozenset({"candidate"}), person=True)


class Desk(FakeProvider):
    """Offers `whoami` and `rekey`; `refusals`: how often the lease is refused first."""

    refusals = 0
    retired: list[tuple[str, str]]
    retiring: FreshdError | None = None

    def __init__(self, account: str, *script: Any, **options: Any) -> None:
        super().__init__(account, *script, ladder=(REFRESH, REKEY, PERSON), **options)
        self.retired = []
        self.asked_with: list[str | None] = []

    @property
    def operations(self) -> Mapping[str, str]:
        return {"whoami": "who the token is", "rekey": "register a new key"}

    async def operate(self, operation: str, given: Mapping[str, Secret], record: Record) -> Facts | Asked:
        if operation == "rekey":
            return Asked("", EMPTY, rung="rekey", keeps={"candidate": Secret("new-key")})
        self.asked_with.append(None if record.lease is None else record.lease.token.reveal())
        if self.refusals:
            self.refusals -= 1
            raise LeaseRefused("the service refused the token", "freshd refresh mail")
        return {"user": 8, "given": ", ".join(sorted(given))}

    async def retire(self, old: Grant, new: Grant) -> None:
        if self.retiring is not None:
            raise self.retiring
        self.retired.append((old.lineage, new.lineage))

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        said = json.loads(reply.body) if rung == "rekey" else {}
        if rung != "rekey" or "error" in said:
            return super().read(rung, record, intent, reply)
        assert record.grant is not None
        secrets = {"refresh_token": Secret("rt-9"), "key": record.grant.secrets["candidate"]}
        grant = replace(record.grant, lineage=intent.candidate or "?", secrets=MappingProxyType(secrets))
        return Answered((Change(self.account, grant),))


def home(*script: Any, disk: Disk | None = None) -> House:
    time = VirtualTime()
    return House(Desk("mail", *script), disk=disk or Disk(records={"mail": enrolled("mail", time.now())}), time=time)


def desk(house: House) -> Desk:
    provider = house.providers["mail"]
    assert isinstance(provider, Desk)
    return provider


async def operate(house: House, operation: str, **given: str) -> Mapping[str, Any]:
    return await house.desk.operate("operate", "mail", {"operation": operation, "given": given})


def test_a_call_is_made_with_the_lease_in_hand_and_told() -> None:
    house = home()
    done = house.live(lambda: operate(house, "whoami", b="x", a="y"))
    assert done == {"account": "mail", "operation": "whoami", "facts": {"user": 8, "given": "a, b"}}
    assert desk(house).asked_with == ["mail-at-1"]
    assert desk(house).presented == []


def test_a_refused_lease_is_renewed_once_and_the_call_made_once_more() -> None:
    house = home(tokens(2))
    desk(house).refusals = 1
    house.live(lambda: operate(house, "whoami"))
    assert desk(house).asked_with == ["mail-at-1", "at-2"]


def test_a_lease_refused_again_is_told_and_nothing_goes_round_in_circles() -> None:
    house = home(tokens(2), tokens(3))
    desk(house).refusals = 2

    async def work() -> None:
        with pytest.raises(LeaseRefused):
            await operate(house, "whoami")

    house.live(work)
    assert len(desk(house).presented) == 1


def test_a_lease_that_is_over_is_renewed_first() -> None:
    house = home(tokens(2), tokens(3))

    async def work() -> None:
        await house.desk.operate("pause", "mail", {})
        await asyncio.sleep(4000.0)
        await house.desk.operate("resume", "mail", {})
        await operate(house, "whoami")

    house.live(work)
    assert desk(house).asked_with in (["at-2"], ["at-3"])  # the end of the pause renews by itself, too


@pytest.mark.parametrize("wrong", [{}, {"operation": "erase"}, {"operation": 3}, {"operation": None}])
def test_an_unknown_call_names_those_there_are(wrong: dict[str, Any]) -> None:
    house = home()

    async def work() -> None:
        with pytest.raises(FreshdError) as caught:
            await house.desk.operate("operate", "mail", wrong)
        assert "rekey: register a new key; whoami: who the token is" in caught.value.remedy

    house.live(work)


@pytest.mark.parametrize("given", [["x"], {"a": 1}, {str(number): "x" for number in range(17)}])
def test_what_is_given_in_no_readable_form_is_refused(given: object) -> None:
    house = home()

    async def work() -> None:
        with pytest.raises(FreshdError, match="not readable"):
            await house.desk.operate("operate", "mail", {"operation": "whoami", "given": given})

    house.live(work)
    assert desk(house).asked_with == []


def test_a_kind_without_calls_of_its_own_says_so() -> None:
    time = VirtualTime()
    house = House(FakeProvider("mail"), disk=Disk(records={"mail": enrolled("mail", time.now())}), time=time)

    async def work() -> None:
        with pytest.raises(FreshdError, match="no calls of their own"):
            await house.desk.operate("operate", "mail", {"operation": "whoami"})

    house.live(work)


# -- a secret that is durable before the step -------------------------------------------------------------------------


def test_a_step_finds_the_key_that_was_committed_before_it() -> None:
    house = home(reply(ok=True))
    done = house.live(lambda: operate(house, "rekey"))
    assert done["generation"] == 3
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    assert {name: one.reveal() for name, one in kept.secrets.items()} == {"refresh_token": "rt-9", "key": "new-key"}


def test_I7_a_key_that_may_be_registered_is_kept_when_the_answer_is_lost() -> None:
    house = home(Lost("cut"), tokens(2))

    async def work() -> None:
        with pytest.raises(FreshdError):
            await operate(house, "rekey")
        await asyncio.sleep(3.0)
        await house.desk.operate("refresh", "mail", {})

    house.live(work)
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    again = House(desk(house), disk=house.vault.disk, time=house.time)
    assert again.live(lambda: held(again)) >= {"refresh_token"}


async def held(house: House) -> frozenset[str]:
    await house.landed()
    return house.state().standing.held


def test_what_a_step_keeps_leaves_lease_and_doubt_as_they_were() -> None:
    house = home(Lost("cut"), reply(error="no", remedy="person"))

    async def work() -> None:
        with pytest.raises(FreshdError):
            await house.desk.operate("refresh", "mail", {})
        assert house.state().phase is Phase.DOUBTFUL
        with pytest.raises(FreshdError, match="no"):
            await operate(house, "rekey")
        assert house.state().phase is Phase.DOUBTFUL
        assert house.state().standing.held == {"refresh_token", "candidate"}
        lease = house.desk.lease("mail")
        assert lease is not None
        assert lease.lease.token == Secret("mail-at-1")

    house.live(work)
    again = House(desk(house), disk=house.vault.disk, time=house.time)

    async def after() -> Phase:
        return again.state().phase

    assert again.live(after) is Phase.DOUBTFUL


def test_what_a_step_keeps_of_an_account_without_a_grant_begins_one() -> None:
    house = home(reply(ok=True), disk=Disk())
    house.live(lambda: operate(house, "rekey"))
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    assert kept.secrets["key"] == Secret("new-key")


def test_a_full_disk_keeps_the_step_from_being_taken() -> None:
    house = home(reply(ok=True))
    house.vault.fail["commit"] = [FreshdError("full", "make room")]

    async def work() -> None:
        with pytest.raises(FreshdError, match="full"):
            await operate(house, "rekey")

    house.live(work)
    assert desk(house).presented == []


# -- what a refusal brought before there was a grant ------------------------------------------------------------------


class Guarded(FakeProvider):
    """A sign-in that asks for something first."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        judged = super().read(rung, record, intent, reply)
        if isinstance(judged, Rejected) and judged.code == "captcha":
            return replace(judged, keep=MappingProxyType({"challenge": Secret("wanted")}))
        return judged


def test_what_a_refusal_brought_is_kept_where_there_was_no_grant_yet() -> None:
    signin = Rung("signin", budgeted=True, reuse=Reuse.REUSABLE)
    provider = Guarded(
        "mail", reply(400, error="captcha", remedy="person"), ladder=(signin, PERSON), contract=Contract()
    )
    house = House(provider)
    house.live(lambda: house.until(Phase.PARKED))
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    assert kept.secrets == {"challenge": Secret("wanted")}
    assert house.state().parked is not None
    assert house.told.count("account.parked") == 1
    again = House(provider, disk=house.vault.disk, time=house.time)
    provider.script = [reply(400, error="captcha", remedy=Remedy.PERSON.value)]
    again.live(lambda: again.until(Phase.PARKED))


# -- what an enrolment replaced ---------------------------------------------------------------------------------------


async def enrol(house: House) -> None:
    begun = await house.desk.operate("enrol-begin", "mail", {})
    await house.desk.operate("enrol-finish", "mail", {"session": begun["session"], "code": "c"})


def test_the_grant_that_an_enrolment_replaced_is_ended_once_the_new_one_is_durable() -> None:
    house = home(tokens(2))
    house.live(lambda: enrol(house))
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    assert desk(house).retired == [("one", kept.lineage)]


def test_that_it_could_not_be_ended_is_told_and_changes_nothing() -> None:
    house = home(tokens(2))
    desk(house).retiring = FreshdError("the service does not answer", "later")
    house.live(lambda: enrol(house))
    told = [event for event in house.events if event.name == "grant.left-behind"]
    assert [event.fields["why"] for event in told] == ["the service does not answer"]
    assert house.vault.disk.records["mail"].generation == 2


def test_a_first_enrolment_replaces_nothing() -> None:
    house = home(tokens(2), disk=Disk())
    house.live(lambda: enrol(house))
    assert desk(house).retired == []
