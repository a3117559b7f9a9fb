"""Enrolments that meet something else: an alarm, another operator, an answer in escrow; on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from freshd.core.happenings import Forced
from freshd.core.ladder import Rung
from freshd.core.model import EMPTY, Change, Grant, Intent, Record, Secret
from freshd.core.outcome import Answered, Judged, NotSent, Performed, Remedy, Reply
from freshd.errors import FreshdError
from freshd.ports import Asked, Facts
from tests.fakes.house import House, slowly
from tests.fakes.provider import PERSON, REFRESH, FakeProvider, Said, enrolled, refusal, reply, tokens
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

CREATE = Rung("create", frozenset({"key"}), person=True)
STEP = Rung("step", person=True)


class Registrar(FakeProvider):
    """Makes a key where the record holds none, and registers it; its first look at the service may take a while."""

    def __init__(self, *script: Said) -> None:
        super().__init__("mail", *script, ladder=(REFRESH, CREATE, PERSON))
        self.registered: str | None = None
        self.looks = [5.0]
        self.made = 0

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        held = EMPTY if record.grant is None else record.grant.secrets
        await asyncio.sleep(self.looks.pop(0) if self.looks else 0.0)
        if "key" in held:
            return Asked("", EMPTY, rung="create")
        self.made += 1
        return Asked("", EMPTY, rung="create", keeps={"key": Secret(f"key-{self.made}")})

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        if rung != "create":
            return await super().perform(rung, record, intent)
        assert record.grant is not None
        self.registered = record.grant.secrets["key"].reveal()
        return reply(ok=True)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        if rung != "create":
            return super().read(rung, record, intent, reply)
        assert record.grant is not None
        secrets = MappingProxyType({**record.grant.secrets, "certificate": Secret("c")})
        return Answered(
            (Change(self.account, replace(record.grant, lineage=intent.candidate or "?", secrets=secrets)),)
        )


class Desk(FakeProvider):
    """Offers one step; tells what it retired."""

    def __init__(self, account: str, *script: Said) -> None:
        super().__init__(account, *script, ladder=(REFRESH, STEP, PERSON))
        self.retired: list[str] = []

    @property
    def operations(self) -> Mapping[str, str]:
        return {"step": "a step"}

    async def operate(self, operation: str, given: Mapping[str, Secret], record: Record) -> Facts | Asked:
        return Asked("", EMPTY, rung="step")

    async def retire(self, old: Grant, new: Grant) -> None:
        self.retired.append(new.secrets["refresh_token"].reveal())


def house_of(provider: FakeProvider, *more: FakeProvider) -> House:
    time = VirtualTime()
    providers = (provider, *more)
    return House(
        *providers, disk=Disk(records={p.account: enrolled(p.account, time.now()) for p in providers}), time=time
    )


async def begin(house: House, account: str = "mail") -> str:
    return str((await house.desk.operate("enrol-begin", account, {}))["session"])


async def finish(house: House, session: str, code: str) -> Mapping[str, Any]:
    return await house.desk.operate("enrol-finish", "mail", {"session": session, "code": code, "state": "s"})


def test_I7_a_registered_key_is_not_overwritten_by_whoever_looked_before_it_was_there() -> None:
    provider = Registrar()
    house = House(provider, disk=Disk())

    async def work() -> None:
        slow = asyncio.create_task(begin(house))
        await asyncio.sleep(1.0)
        quick = await begin(house)
        assert (await house.desk.operate("enrol-finish", "mail", {"session": quick}))["done"]
        with pytest.raises(FreshdError, match="has changed meanwhile"):
            await slow

    house.live(work)
    kept = house.vault.disk.records["mail"].grant
    assert kept is not None
    assert kept.secrets["key"].reveal() == provider.registered


def test_I2_a_step_is_not_taken_with_its_key_nowhere_because_an_answer_waits() -> None:
    provider = Registrar()
    provider.looks = []
    time = VirtualTime()
    record = enrolled("mail", time.now())
    intent = Intent("f1", "mail", "refresh", "one", 1, time.now())
    house = House(provider, disk=Disk(records={"mail": record}), time=time)

    async def work() -> None:
        house.vault.disk.intents["mail"] = (intent, Reply(502, (), b"<html>"))
        with pytest.raises(FreshdError, match="waits to be finished"):
            await begin(house)

    house.live(work)
    assert provider.registered is None


@pytest.mark.parametrize("verb", ["enrol-begin", "operate"])
def test_I3_no_step_displaces_the_newest_answer_of_an_account_that_is_held_back(verb: str) -> None:
    time = VirtualTime()
    provider = Desk("mail", reply(error="no", remedy="person"))
    intent = Intent("f1", "mail", "refresh", "one", 1, time.now())
    disk = Disk(records={"mail": enrolled("mail", time.now())}, intents={"mail": (intent, tokens(2))})
    house = House(provider, disk=disk, time=time)
    house.vault.rolled_back = "older than its anchor"

    async def work() -> None:
        with pytest.raises(FreshdError, match="waits to be finished"):
            await house.desk.operate(verb, "mail", {"operation": "step"})

    house.live(work)
    assert disk.intents["mail"][1] == tokens(2)
    assert disk.quarantine == []


def test_an_enrolment_that_meets_an_alarm_is_never_told_as_done_without_having_been_sent() -> None:
    provider = Desk("mail", tokens(2), tokens(3))
    house = house_of(provider)

    async def work() -> Mapping[str, Any] | FreshdError:
        session = await begin(house)
        house.vault.latency = 0.1
        finishing = asyncio.create_task(finish(house, session, "the-code"))
        await asyncio.sleep(0.05)
        house.supervisor.post("mail", Forced())
        try:
            return await finishing
        except FreshdError as error:
            return error

    told = house.live(work)
    sent = "the-code" in [secret for secret, _ in provider.presented]
    assert sent == (not isinstance(told, FreshdError) and told["done"])
    assert len(provider.retired) == sent


def test_what_became_of_one_enrolment_is_not_told_to_another() -> None:
    provider = Desk("mail", slowly(refusal("denied", Remedy.PERSON), 3.0), slowly(tokens(2), 3.0))
    house = house_of(provider)

    async def work() -> tuple[Mapping[str, Any] | BaseException, ...]:
        one, two = await begin(house), await begin(house)
        first = asyncio.create_task(finish(house, one, "first"))
        await asyncio.sleep(1.0)
        second = asyncio.create_task(finish(house, two, "second"))
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = house.live(work)
    assert isinstance(first, FreshdError)
    assert "denied" in first.cause
    assert not isinstance(second, BaseException)
    assert second["done"]


def test_steps_that_came_to_nothing_leave_room_for_everybody_elses() -> None:
    house = house_of(Desk("mail", *[NotSent("no network")] * 200), FakeProvider("other", tokens(2)))

    async def work() -> None:
        for _ in range(70):
            with pytest.raises(FreshdError):
                await house.desk.operate("operate", "mail", {"operation": "step"})
            await asyncio.sleep(5.0)
        assert await begin(house, "other")

    house.live(work)


def test_an_enrolment_that_ends_after_its_session_did_is_told_as_what_it_was() -> None:
    provider = Desk("mail", slowly(tokens(2), 50.0))
    house = house_of(provider, FakeProvider("other", tokens(2)))

    async def work() -> Mapping[str, Any]:
        session = await begin(house)
        await asyncio.sleep(580.0)
        finishing = asyncio.create_task(finish(house, session, "the-code"))
        await asyncio.sleep(30.0)
        await begin(house, "other")  # which clears away what is over
        return await finishing

    assert house.live(work)["done"]
