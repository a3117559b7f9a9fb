"""An account that changes its family while other things happen to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from freshd.core.model import Change, Intent, Record, Secret
from freshd.core.outcome import Answered, Judged, Remedy, Reply
from freshd.core.state import Phase
from freshd.turn import quiet
from tests.fakes.house import House, only, slowly
from tests.fakes.provider import FakeProvider, tokens
from tests.fakes.time import VirtualTime
from tests.unit.test_family import MINUTE, Member, calls, family, refusal, token


def in_the_air() -> House:
    """One account whose lease is over and whose renewal takes twenty seconds."""
    time = VirtualTime()
    provider = FakeProvider("mail", slowly(tokens(2), 20.0), *[tokens(number) for number in range(3, 99)])
    house = House(provider, disk=only("mail", time, 1.0), time=time)
    house.families = {"mail": "old"}
    return house


def removed_while_it_moves(house: House) -> None:
    """The account changes its family, is taken out of the configuration, and stands in it again, unread as yet."""
    house.families["mail"] = "new"
    house.reload("mail")
    gone = house.providers.pop("mail")
    house.reload(removed=("mail",))
    house.providers["mail"] = gone


def test_I1_an_account_in_the_air_lands_before_it_changes_its_family() -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        old = house.supervisor.keeper("mail")
        house.families["mail"] = "new"
        house.reload("mail")
        await asyncio.sleep(5.0)
        assert house.supervisor.keeper("mail") is old
        await asyncio.sleep(15.0)
        assert house.supervisor.keeper("mail") is not old
        assert "mail" not in old.accounts
        assert house.state().refreshes == 1

    house.live(work)


def test_an_account_that_is_removed_while_it_moves_stays_removed() -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        removed_while_it_moves(house)
        await asyncio.sleep(60.0)
        assert house.state().retired
        house.reload()
        await asyncio.sleep(60.0)
        assert not house.state().retired

    house.live(work)


def test_an_account_that_is_removed_and_comes_back_while_it_moves_goes_on() -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        removed_while_it_moves(house)
        house.reload()
        await asyncio.sleep(60.0)
        assert not house.state().retired

    house.live(work)


def test_a_pause_that_the_configuration_ends_while_the_account_moves_is_over() -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        house.families["mail"] = "new"
        house.paused.add("mail")
        house.reload("mail")
        house.paused.discard("mail")
        house.reload()
        await asyncio.sleep(60.0)
        assert not house.state().paused

    house.live(work)


def test_a_member_goes_on_after_its_head_was_unavailable_until_a_date() -> None:
    house = family()
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["head"].script = [refusal("down", Remedy.UNAVAILABLE)]

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 30.0)
        assert house.state("head").phase is Phase.PARKED
        await asyncio.sleep(1800.0)
        assert calls(house, "head") == ["login", "login"]

    house.live(work)


class Adding(Member):
    """A member whose new codes come with a new web signature for the head."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        judged = super().read(rung, record, intent, reply)
        head = record.kin["head"].grant
        if rung != "repull" or not isinstance(judged, Answered) or head is None:
            return judged
        secrets = {**head.secrets, "sig": Secret("web-added")}
        return Answered((*judged.changes, Change("head", replace(head, secrets=secrets), adds=True)))


def adding() -> House:
    house = family(sig="web-0")
    old = house.providers["hk"]
    house.providers["hk"] = Adding("hk", ladder=old.ladder, pace=MINUTE)
    house.providers["hk"].kinds = ("head",)  # type: ignore[attr-defined]
    return house


def test_what_a_member_adds_to_its_head_lets_no_head_go_that_waits_for_a_person() -> None:
    house = adding()
    house.providers["head"].script = [refusal("2", Remedy.PERSON)]

    async def work() -> None:
        await house.desk.demand("head", 60.0, 10.0)
        assert house.state("head").phase is Phase.PARKED
        await token(house, "hk")
        await asyncio.sleep(120.0)
        assert calls(house, "hk") == ["auth", "repull"]
        kept = house.vault.disk.records["head"].grant
        assert kept is not None
        assert kept.secrets["sig"] == Secret("web-added")
        assert house.state("head").phase is Phase.PARKED
        await house.desk.demand("head", 60.0, 10.0)
        assert calls(house, "head") == ["login"]

    house.live(work)


def test_I5_what_a_member_adds_frees_no_head_of_an_old_journal() -> None:
    house = adding()
    house.vault.rolled_back = "the journal is older than its anchor"
    house.vault.disk.records["hk"] = Record("hk", 0)

    async def work() -> None:
        await asyncio.sleep(120.0)
        assert calls(house, "hk") == ["repull"]
        assert house.state("head").standing.held_back
        await house.desk.demand("head", 60.0, 10.0)
        assert calls(house, "head") == []

    house.live(work)


def test_an_account_that_is_forgotten_while_it_moves_is_nobodys_bug() -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        removed_while_it_moves(house)
        await house.desk.operate("forget", "mail", {})
        await asyncio.sleep(60.0)
        assert "mail" not in house.supervisor.members

    house.live(work)
    assert [event.fields for event in house.events if event.name == "bug"] == []


@pytest.mark.parametrize(("verb", "generation"), [("forget", 0), ("revoke", 0), ("refresh", 3)])
def test_a_verb_that_waited_for_an_account_while_it_moved_goes_on_with_its_new_family(
    verb: str, generation: int
) -> None:
    house = in_the_air()

    async def work() -> None:
        await asyncio.sleep(5.0)
        house.families["mail"] = "new"
        house.reload("mail")
        await house.desk.operate(verb, "mail", {})
        assert house.state().standing.generation == generation

    house.live(work)


def test_I1_an_account_that_somebody_writes_about_changes_its_family_afterwards() -> None:
    house = House(FakeProvider("mail"), disk=only("mail", VirtualTime()))
    house.families = {"mail": "old"}

    async def work() -> None:
        async with quiet(house.supervisor, "mail"):
            house.families["mail"] = "new"
            house.reload("mail")
            old = house.supervisor.keeper("mail")
            await asyncio.sleep(5.0)
            assert house.supervisor.keeper("mail") is old
        await asyncio.sleep(1.0)
        assert house.supervisor.keeper("mail") is not old

    house.live(work)
