"""A refusal that is worth further tries changes nothing before the last one; one that is believed does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.model import Intent, Record, Secret
from freshd.core.outcome import Judged, Lost, Rejected, Remedy, Reply
from freshd.core.state import Phase
from freshd.errors import FreshdError
from tests.fakes.house import House, only
from tests.fakes.provider import FakeProvider, Said, refusal, tokens
from tests.fakes.time import VirtualTime

KEPT = Contract(reuse=Reuse.REUSABLE)


class Told(FakeProvider):
    """`more`: by code, what the refusal carries besides."""

    more: Mapping[str, dict[str, Any]] = MappingProxyType({})

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        judged = super().read(rung, record, intent, reply)
        return replace(judged, **self.more.get(judged.code, {})) if isinstance(judged, Rejected) else judged


def home(more: Mapping[str, dict[str, Any]], *script: Said, contract: Contract = KEPT) -> House:
    time = VirtualTime()
    provider = Told("mail", *script, contract=contract)
    provider.more = more
    return House(provider, disk=only("mail", time), time=time)


def presented(house: House) -> list[str]:
    return [secret for secret, _ in house.providers["mail"].presented]


async def failed_refresh(house: House) -> None:
    with pytest.raises(FreshdError):
        await house.desk.operate("refresh", "mail", {})


def test_I7_nothing_is_marked_dead_before_the_last_try() -> None:
    house = home({"maybe": {"again": (5.0, 30.0)}}, refusal("maybe", Remedy.CLIMB), tokens(2), contract=Contract())

    async def work() -> None:
        await asyncio.sleep(5000.0)

    house.live(work)
    assert presented(house) == ["rt-1", "rt-1"]
    assert house.vault.disk.dead.get("mail", {}) == {}


def test_I9_a_reset_that_is_not_believed_yet_takes_no_lease() -> None:
    house = home({"maybe": {"again": (5.0, 30.0)}}, refusal("maybe", Remedy.RESET), tokens(2))

    async def work() -> None:
        refreshing = asyncio.create_task(house.desk.operate("refresh", "mail", {}))
        await asyncio.sleep(2.0)
        assert house.desk.lease("mail") is not None
        assert house.vault.disk.records["mail"].lease is not None
        await refreshing

    house.live(work)


def test_I5_what_a_refusal_declares_dead_is_dead_also_where_it_brought_something() -> None:
    carried = {"keep": MappingProxyType({"hint": Secret("h")}), "dead": frozenset({"refresh_token"})}
    house = home({"over": carried}, refusal("over", Remedy.CLIMB), contract=Contract())
    house.live(lambda: failed_refresh(house))
    provider = house.providers["mail"]
    provider.script = [tokens(9)]
    again = House(provider, disk=house.vault.disk, time=house.time)

    async def a_while() -> None:
        await asyncio.sleep(4000.0)

    again.live(a_while)
    assert presented(house) == ["rt-1"]


def test_I5_the_last_try_settles_a_doubt_in_the_journal_as_in_memory() -> None:
    carried = {"again": (5.0, 30.0), "dead": frozenset({"refresh_token"})}
    house = home({"gone": carried}, Lost("cut"), *[refusal("gone", Remedy.PERSON)] * 3)

    async def work() -> None:
        await failed_refresh(house)
        await asyncio.sleep(4000.0)

    house.live(work)
    assert (house.state().phase, house.state().doubt) == (Phase.PARKED, None)
    assert "mail" not in house.vault.disk.intents
    assert house.vault.disk.dead["mail"] == {"refresh_token": "gone"}


def test_codes_that_take_turns_are_believed_in_the_end() -> None:
    more: Mapping[str, dict[str, Any]] = {code: {"again": (5.0, 30.0, 120.0)} for code in ("A", "B")}
    script = [refusal(code, Remedy.PERSON) for _ in range(200) for code in ("A", "B")]
    house = home(more, *script)

    async def a_day() -> None:
        await asyncio.sleep(86_400.0)

    house.live(a_day)
    assert house.told.count("account.parked") == 1
    assert len(presented(house)) < 20


# -- leases that one service takes and another refuses ----------------------------------------------------------------


async def rotate(house: House, times: int, *, refused_by: str, taken_by: str) -> None:
    for _ in range(times):
        lease = house.desk.lease("mail")
        assert lease is not None
        house.desk.refused("mail", lease.fingerprint, 401, None, refused_by)
        await asyncio.sleep(1.0)
        newer = house.desk.lease("mail")
        assert newer is not None
        await asyncio.sleep(4.0)
        house.desk.accepted("mail", newer.fingerprint, taken_by)


def test_a_login_that_refuses_and_then_takes_the_next_lease_may_do_so_for_ever() -> None:
    house = home({}, *[tokens(number) for number in range(2, 60)])
    house.live(lambda: rotate(house, 50, refused_by="home", taken_by="home"))
    assert "heal.stopped" not in house.told
    assert house.told.count("lease.healed") == 50


@pytest.mark.parametrize("who", ["", "another"])
def test_I6_healing_stops_where_another_service_takes_what_this_one_refuses(who: str) -> None:
    house = home({}, *[tokens(number) for number in range(2, 60)])
    house.live(lambda: rotate(house, 50, refused_by=who, taken_by="home"))
    assert house.told.count("heal.stopped") == 1
    assert len(presented(house)) < 10
