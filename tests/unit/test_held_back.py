"""Accounts of an old or restored journal: held one by one, over restarts, never presented more often for it (I5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from freshd.core.contract import Reuse
from freshd.core.state import Phase
from freshd.errors import NotPossible
from tests.fakes.house import House
from tests.fakes.provider import tokens
from tests.unit.test_desk import OLD, Person, old_journal, person


def again(house: House, *names: str) -> House:
    """The next start on the same disk."""
    return House(*(Person(name) for name in names), disk=house.vault.disk, time=house.time)


def test_I5_who_was_confirmed_goes_on_after_a_restart_and_the_others_stay_held() -> None:
    house = old_journal(mail=[], other=[])
    house.live(lambda: house.desk.operate("confirm", "mail", {}))
    second = again(house, "mail", "other")
    second.live(lambda: asyncio.sleep(1.0))
    assert second.vault.rolled_back == OLD
    assert second.state("mail").phase is Phase.DOUBTFUL
    assert second.state("other").standing.held_back == OLD


def test_I5_a_doubt_that_stood_in_the_copy_keeps_its_count_of_replays() -> None:
    house = old_journal(mail=[tokens(2)])
    intent = house.left_open(replays=1)

    async def work() -> None:
        await house.desk.operate("confirm", "mail", {})
        assert house.state().phase is Phase.DOUBTFUL
        doubt = house.state().doubt
        assert doubt is not None
        assert doubt.risky == 1

    house.live(work)
    assert house.vault.disk.intents["mail"][0] == intent
    assert person(house).presented == []


def test_I5_what_came_out_of_an_answer_as_old_as_the_copy_goes_on_in_doubt() -> None:
    house = old_journal(mail=[])
    house.left_open(tokens(2))
    house.vault.rolled_back = OLD

    async def work() -> None:
        await house.desk.operate("confirm", "mail", {})
        assert house.state().standing.generation == 2
        assert house.state().phase is Phase.DOUBTFUL

    house.live(work)
    assert house.vault.rolled_back is None


def test_what_can_be_used_many_times_is_not_held_back() -> None:
    house = old_journal(mail=[tokens(2)])
    provider = person(house)
    provider.contract = replace(provider.contract, reuse=Reuse.REUSABLE)

    async def work() -> None:
        assert house.state().standing.held_back is None
        with pytest.raises(NotPossible):
            await house.desk.operate("refresh", "other", {})

    house.live(work)
    assert house.desk.health("mail").reason != "journal-rolled-back"
