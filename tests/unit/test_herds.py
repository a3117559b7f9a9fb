"""Refusals that several accounts of one service share: one alert, every secret kept, asked rarely; on virtual time."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from freshd.core.catalogue import entry_of
from freshd.core.contract import Contract, Reuse
from freshd.core.happenings import Forced
from freshd.core.ladder import Rung
from freshd.core.model import Intent, Record
from freshd.core.outcome import Judged, Rejected, Remedy, Reply
from freshd.core.state import Phase
from tests.fakes.house import House
from tests.fakes.provider import PERSON, FakeProvider, enrolled, reply
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

NAMES = ("amber", "birch", "cedar")
REFRESH = Rung("refresh", frozenset({"refresh_token"}), spends=False)
SAME = reply(403, error="31", remedy="person")


class Kept(FakeProvider):
    """A refresh token that works many times; code 31 is believed after three more tries, and may be the service's."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        judged = super().read(rung, record, intent, reply)
        if isinstance(judged, Rejected) and judged.code == "31":
            return replace(judged, again=(5.0, 30.0, 120.0), host="front")
        return judged

    def answer(self) -> Reply:
        return reply(access=f"{self.account}-{len(self.presented)}", expires_in=300.0)


def house(*names: str) -> House:
    time = VirtualTime()
    contract = Contract(reuse=Reuse.REUSABLE)
    records = {name: enrolled(name, time.now(), f"rt-{name}", 300.0) for name in names}
    providers = [Kept(name, ladder=(REFRESH, PERSON), contract=contract) for name in names]
    for provider in providers:
        provider.script = [SAME] * 100
    return House(*providers, disk=Disk(records=records), time=time)


def sent(home: House, account: str) -> list[float]:
    return [round(intent.sent.boot) for _, intent in home.providers[account].presented]


def gaps(home: House, account: str) -> list[int]:
    moments = sent(home, account)
    return [round(after - before) for before, after in itertools.pairwise(moments)]


def test_one_account_that_is_refused_alone_is_asked_three_times_more_and_then_parked() -> None:
    home = house("amber")
    home.live(lambda: home.until(Phase.PARKED, "amber"))
    assert gaps(home, "amber") == [5, 30, 120]
    assert home.told.count("account.parked") == 1
    assert "service.refusing" not in home.told


@pytest.mark.parametrize("between", ["busy", "lost"])
def test_another_outcome_in_between_begins_the_tries_anew(between: str) -> None:
    home = house("amber")
    odd = reply(429, error="busy", remedy="wait") if between == "busy" else Reply(502, (), b"<html>")
    home.providers["amber"].script = [SAME, SAME, odd, *[SAME] * 9]
    home.live(lambda: home.until(Phase.PARKED, "amber"))
    assert len(sent(home, "amber")) == 3 + 4


def test_an_answer_in_between_is_the_end_of_it() -> None:
    home = house("amber")
    provider = home.providers["amber"]
    provider.script = [SAME, SAME, SAME, reply(access="new", expires_in=300.0), *[SAME] * 9]
    home.live(lambda: home.until(Phase.PARKED, "amber"))
    assert len(sent(home, "amber")) == 4 + 4


def test_three_accounts_refused_within_a_minute_are_one_alert_and_keep_every_secret() -> None:
    home = house(*NAMES)

    async def an_hour() -> None:
        await asyncio.sleep(3300.0)
        for name in NAMES:
            assert home.state(name).phase is not Phase.PARKED
            assert home.state(name).standing.held == {"refresh_token"}

    home.live(an_hour)
    loud = [event for event in home.events if entry_of(event).severity <= 1]
    assert [event.name for event in loud] == ["service.refusing"]
    assert len(str(loud[0].fields["accounts"]).split(", ")) == 2
    for name in NAMES:
        assert all(gap == 600 for gap in gaps(home, name)[2:])
        assert len(sent(home, name)) < 12


def test_when_the_hour_is_over_each_is_believed() -> None:
    home = house(*NAMES)

    async def two_hours() -> None:
        await asyncio.sleep(7200.0)
        assert {home.state(name).phase for name in NAMES} == {Phase.PARKED}

    home.live(two_hours)
    assert home.told.count("service.refusing") == 1


def test_the_first_answer_ends_it_for_all_and_the_others_ask_at_once() -> None:
    home = house(*NAMES)

    async def work() -> None:
        await asyncio.sleep(900.0)
        for name in NAMES:
            provider = home.providers[name]
            assert isinstance(provider, Kept)
            provider.script = [reply(access=f"{name}-new", expires_in=7200.0)]
        await asyncio.sleep(700.0)
        assert {home.state(name).phase for name in NAMES} == {Phase.LIVE}
        assert {home.state(name).shared for name in NAMES} == {None}

    home.live(work)
    assert home.told.count("service.accepting") == 1
    first = min(sent(home, name)[-1] for name in NAMES)
    assert all(sent(home, name)[-1] - first <= 5 for name in NAMES)


def test_an_account_refused_after_the_others_were_answered_counts_by_itself() -> None:
    home = house(*NAMES)

    async def work() -> None:
        await asyncio.sleep(900.0)
        home.providers["amber"].script = [reply(access="amber-new", expires_in=90000.0)]
        home.providers["birch"].script = [reply(access="birch-new", expires_in=90000.0)]
        await home.until(Phase.PARKED, "cedar")

    home.live(work)
    assert home.told.count("service.refusing") == 1
    assert home.told.count("account.parked") == 1


def test_accounts_of_which_one_is_refused_long_after_the_other_share_nothing() -> None:
    home = house("amber", "birch")
    home.providers["birch"].script = [reply(access="b", expires_in=2400.0), *[SAME] * 9]

    async def work() -> None:
        await home.until(Phase.PARKED, "amber")
        await home.until(Phase.PARKED, "birch")

    home.live(work)
    assert "service.refusing" not in home.told
    assert home.told.count("account.parked") == 2


def test_the_remedy_of_a_refusal_without_further_tries_applies_at_once() -> None:
    home = house("amber")
    home.providers["amber"].script = [reply(403, error="7", remedy=Remedy.PERSON.value)]
    home.live(lambda: home.until(Phase.PARKED, "amber"))
    assert len(sent(home, "amber")) == 1


def test_a_service_that_has_answered_may_refuse_all_of_them_once_more() -> None:
    home = house(*NAMES)

    async def work() -> None:
        await asyncio.sleep(7200.0)
        for name in NAMES:
            home.providers[name].script = [reply(access=f"{name}-new", expires_in=300.0), *[SAME] * 50]
            await home.desk.operate("import", name, {"secrets": {"refresh_token": f"another-{name}"}})
        await asyncio.sleep(3000.0)

    home.live(work)
    assert home.told.count("service.refusing") == 2
    assert home.told.count("service.accepting") == 1


class Shut(FakeProvider):
    """A refusal that is believed at once, and may be shared."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        judged = super().read(rung, record, intent, reply)
        return replace(judged, host="front") if isinstance(judged, Rejected) else judged


def shut_house(times: int) -> House:
    time = VirtualTime()
    disk = Disk(records={name: enrolled(name, time.now(), f"rt-{name}", 300.0) for name in NAMES})
    providers = [Shut(name, ladder=(REFRESH, PERSON), contract=Contract(reuse=Reuse.REUSABLE)) for name in NAMES]
    for provider in providers:
        provider.script = [
            *[reply(403, error="shut", remedy="config")] * times, reply(access=provider.account, expires_in=7200.0)
        ]  # fmt: skip
    return House(*providers, disk=disk, time=time)


def test_a_refusal_believed_at_once_parks_nobody_before_the_others_are_heard() -> None:
    home = shut_house(times=2)

    async def work() -> None:
        await asyncio.sleep(3500.0)
        assert {home.state(name).phase for name in NAMES} == {Phase.LIVE}

    home.live(work)
    assert "account.parked" not in home.told
    assert home.told.count("service.refusing") == 1


def test_an_account_that_alone_meets_such_a_refusal_is_parked_after_a_minute() -> None:
    home = shut_house(times=9)
    for name in NAMES[1:]:
        home.providers[name].script = [reply(access=name, expires_in=90_000.0)]
    home.live(lambda: home.until(Phase.PARKED, NAMES[0]))
    assert gaps(home, NAMES[0]) == [60]


def test_a_herd_that_nobody_answered_does_not_hide_the_next_one() -> None:
    home = house(*NAMES)

    async def work() -> None:
        await asyncio.sleep(2 * 3600.0)
        assert {home.state(name).phase for name in NAMES} == {Phase.PARKED}
        await asyncio.sleep(24 * 3600.0)
        for name in NAMES:
            home.supervisor.post(name, Forced())
        await asyncio.sleep(1000.0)

    home.live(work)
    assert home.told.count("service.refusing") == 2
