"""Leases made when somebody asks, by a call that spends nothing: how much is left, what is told, who may ask again."""

from __future__ import annotations

import asyncio

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Rung
from freshd.core.outcome import Lost, NotSent, Remedy
from freshd.core.state import Phase
from freshd.errors import FreshdError, NotPossible
from freshd.tokens import Published
from tests.fakes.house import House, only, slowly
from tests.fakes.provider import PERSON, FakeProvider, Said, refusal, reply, tokens
from tests.fakes.time import VirtualTime

FREE = Rung("issue", frozenset({"refresh_token"}), spends=False, on_demand=True)
KEPT = Contract(reuse=Reuse.REUSABLE, least_left=60.0)


def home(*script: Said) -> House:
    """A lease of five minutes, of which a minute must be left where somebody asks."""
    time = VirtualTime()
    provider = FakeProvider("mail", *script, ladder=(FREE, PERSON), contract=KEPT)
    return House(provider, disk=only("mail", time, 300.0), time=time)


def sent(house: House) -> int:
    return len(house.providers["mail"].presented)


async def read(house: House, min_ttl: float = 1.0, wait: float = 10.0) -> str | None:
    found = await house.desk.demand("mail", min_ttl, wait)
    return found.lease.token.reveal() if isinstance(found, Published) else None


def test_a_lease_with_enough_left_is_served_and_nothing_asked() -> None:
    house = home(tokens(2, 300.0))

    async def work() -> None:
        await asyncio.sleep(200.0)
        assert await read(house) == "mail-at-1"

    house.live(work)
    assert sent(house) == 0


def test_a_lease_that_ends_soon_is_renewed_for_whoever_asks_and_for_nobody_else() -> None:
    house = home(tokens(2, 300.0))

    async def work() -> None:
        await asyncio.sleep(250.0)
        assert sent(house) == 0
        assert await read(house) == "at-2"

    house.live(work)
    assert sent(house) == 1


@pytest.mark.parametrize("said", [NotSent("down"), Lost("cut"), refusal("busy", Remedy.WAIT, 30.0)])
def test_I9_what_is_left_is_served_where_renewing_fails_and_at_once_the_next_time(said: Said) -> None:
    house = home(said, said, said, said)

    async def work() -> None:
        await asyncio.sleep(250.0)
        assert await read(house) == "mail-at-1"
        before = house.time.boot()
        assert await read(house) == "mail-at-1"
        assert house.time.boot() == before

    house.live(work)


def test_I9_a_service_that_hangs_costs_a_reader_two_seconds_at_most() -> None:
    house = home(slowly(tokens(2, 300.0), 40.0))

    async def work() -> None:
        await asyncio.sleep(250.0)
        before = house.time.boot()
        assert await read(house) == "mail-at-1"
        assert house.time.boot() - before == pytest.approx(2.0)

    house.live(work)


def test_a_reader_that_waits_for_nothing_gets_what_there_is_and_the_next_one_gets_better() -> None:
    house = home(slowly(tokens(2, 300.0), 1.0))

    async def work() -> None:
        await asyncio.sleep(250.0)
        assert await read(house, wait=0.0) == "mail-at-1"
        await house.landed()
        assert await read(house, wait=0.0) == "at-2"

    house.live(work)
    assert sent(house) == 1


def test_a_lost_answer_that_cost_nothing_is_told_as_lost_and_asked_for_again() -> None:
    house = home(Lost("cut"), tokens(2, 300.0))

    async def work() -> None:
        await asyncio.sleep(290.0)
        assert await read(house, 30.0) == "at-2"

    house.live(work)
    assert "refresh.lost" in house.told
    assert "refresh.not-sent" not in house.told
    assert "doubt.opened" not in house.told


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(Lost("cut"), "lost"), (NotSent("down"), "not-sent"), (refusal("31", Remedy.PERSON), "31")],
)
def test_what_a_call_that_spends_nothing_came_to_stands_in_the_history(said: Said, outcome: str) -> None:
    house = home(said, said, said)

    async def work() -> list[str]:
        with pytest.raises(FreshdError):
            await house.desk.operate("refresh", "mail", {})
        lines = (await house.desk.operate("history", "mail", {}))["lines"]
        return [line["outcome"] for line in lines]

    assert outcome in house.live(work)
    assert house.vault.disk.records["mail"].generation == 1


def test_an_operator_may_ask_again_where_asking_harms_nobody() -> None:
    house = home(refusal("31", Remedy.PERSON), tokens(2, 300.0))

    async def work() -> None:
        with pytest.raises(NotPossible):
            await house.desk.operate("refresh", "mail", {})
        assert house.state().phase is Phase.PARKED
        await house.desk.operate("refresh", "mail", {})
        assert house.state().phase is Phase.LIVE

    house.live(work)


def test_I5_an_operator_cannot_have_a_secret_that_works_once_presented_after_a_person_was_called() -> None:
    time = VirtualTime()
    provider = FakeProvider("mail", refusal("no", Remedy.PERSON), tokens(2))
    house = House(provider, disk=only("mail", time, 300.0), time=time)

    async def work() -> None:
        for _ in range(3):
            with pytest.raises(NotPossible):
                await house.desk.operate("refresh", "mail", {})
        assert house.state().phase is Phase.PARKED

    house.live(work)
    assert sent(house) == 1


def test_why_an_enrolment_could_not_be_sent_is_told_to_the_person() -> None:
    house = home(tokens(2))
    provider = house.providers["mail"]

    async def fail() -> None:
        raise NotPossible("the picture was answered already", "begin again: freshd enrol mail")

    async def work() -> None:
        begun = await house.desk.operate("enrol-begin", "mail", {})
        provider.preparing = fail
        with pytest.raises(NotPossible, match="the picture was answered already") as caught:
            await house.desk.operate("enrol-finish", "mail", {"session": begun["session"], "code": "c", "state": "s"})
        assert caught.value.remedy == "begin again: freshd enrol mail"

    house.live(work)
    assert sent(house) == 0


def test_I9_what_was_in_hand_before_an_answer_for_somebody_else_is_served_after_a_restart() -> None:
    time = VirtualTime()
    stranger = reply(access="stranger-at", expires_in=3600.0, refresh="stranger-rt", stranger="another user")
    provider = FakeProvider("mail", stranger)
    house = House(provider, disk=only("mail", time, 3600.0), time=time)

    async def renew() -> None:
        with pytest.raises(FreshdError):
            await house.desk.operate("refresh", "mail", {})

    house.live(renew)
    again = House(provider, disk=house.vault.disk, time=house.time)
    assert again.live(lambda: read(again)) == "mail-at-1"
    assert "account.parked" in again.told
    assert len(provider.presented) == 1
