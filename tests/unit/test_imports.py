"""Operators' verbs against secrets in question."""

from __future__ import annotations

import asyncio

import pytest

from freshd.core.outcome import Lost, Remedy
from freshd.core.state import Phase
from freshd.errors import NotPossible
from tests.fakes.house import House
from tests.fakes.provider import refusal, tokens
from tests.unit.test_desk import HOUR, home, moved, old_journal, person


async def brought(house: House, token: str) -> str:
    """What an import of a refresh token comes to."""
    try:
        await house.desk.operate("import", "mail", {"secrets": {"refresh_token": token}})
    except NotPossible as no:
        return no.cause
    return "taken"


def test_I5_a_secret_that_the_service_declared_dead_is_not_taken_again() -> None:
    house = home(refusal("20064", Remedy.CLIMB), *[tokens(2)] * 5)

    async def work() -> None:
        await asyncio.sleep(HOUR)
        assert [secret for secret, _ in person(house).presented] == ["rt-1"]
        told = await brought(house, "rt-1")
        await asyncio.sleep(HOUR)
        assert [secret for secret, _ in person(house).presented] == ["rt-1"], told
        assert told != "taken"

    house.live(work)


def test_I5_an_import_of_the_secret_in_doubt_leaves_the_doubt_standing() -> None:
    house = home(Lost("cut"), Lost("cut"), *[tokens(2)] * 5)

    async def work() -> None:
        await house.until(Phase.DOUBTFUL)
        before = len(person(house).presented)
        told = await brought(house, "rt-1")
        await asyncio.sleep(60.0)
        assert all(intent.replays for _, intent in person(house).presented[before:]), (told, person(house).presented)

    house.live(work)


@pytest.mark.parametrize("is_old", [False, True])
def test_I3_an_import_takes_no_answers_place_in_escrow(is_old: bool) -> None:
    house = old_journal(mail=[tokens(3)]) if is_old else moved(tokens(3))
    house.left_open(tokens(2))

    async def work() -> None:
        assert await brought(house, "rt-brought") != "taken"

    house.live(work)


def test_I5_a_secret_that_was_held_and_used_is_not_taken_again_and_the_one_in_hand_is() -> None:
    house = home(tokens(2), *[tokens(3)] * 5)

    async def work() -> None:
        await asyncio.sleep(HOUR)
        assert [secret for secret, _ in person(house).presented] == ["rt-1"]
        assert "used it" in await brought(house, "rt-1")
        assert await brought(house, "rt-2") == "taken"

    house.live(work)
