"""A family under attack: what members and head do when answers bring less than was hoped for, on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from freshd.core.contract import Contract, Kills
from freshd.core.ladder import Rung
from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Lost, NotSent, Remedy
from freshd.core.state import Phase
from freshd.tokens import Shortfall
from tests.fakes.house import House, slowly
from tests.fakes.provider import BOUND, reply
from tests.unit.test_family import DAY, LOGIN, MINUTE, Member, calls, family, member, refusal, token

LOGIN_FOR_US: dict[str, Any] = {"sig": "client", "ticket": "t", "web": "", "codes": {"us": "login-us"}}


def long_lived(house: House) -> None:
    """The head need not log in for its own sake."""
    head = house.vault.disk.records["head"]
    assert head.grant is not None
    house.vault.disk.records["head"] = replace(head, grant=replace(head.grant, valid_for=300 * DAY))


def test_a_login_that_brings_nothing_for_a_member_is_not_made_again_and_again_for_it() -> None:
    """Neither a code nor a web signature: the member must not have the head log in every minute."""
    house = family()
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["head"].script = [reply(**LOGIN_FOR_US) for _ in range(400)]

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 30.0)
        await asyncio.sleep(6 * 3600.0)

    house.live(work)
    assert len(calls(house, "head")) <= 24, calls(house, "head")


def test_a_login_that_brings_a_new_signature_but_no_code_lets_the_member_ask_for_one() -> None:
    house = family(sig="old")
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["hk"].script = [refusal("odd", Remedy.CLIMB, known=False)]
    house.providers["head"].script = [
        reply(sig="client", ticket="t", web="web-new", codes={"us": "login-us"}) for _ in range(400)
    ]

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 30.0)
        await asyncio.sleep(3600.0)

    house.live(work)
    assert calls(house, "hk")[:2] == ["repull", "repull"]
    assert calls(house, "head") == ["login"]


def test_a_member_that_took_from_its_stock_while_the_head_logged_in_for_it_does_not_wait_for_ever() -> None:
    house = family()

    codes = {"hk": "login-hk", "us": "login-us"}
    house.providers["head"].script = [slowly(reply(sig="client", ticket="t", web="web-1", codes=codes), 20.0)]

    async def work() -> None:
        while not house.state("hk").asked:
            await house.supervisor.keeper("hk").changed("hk")
        assert house.state("hk").asked
        await token(house, "hk", 120.0)
        assert not house.state("hk").asked
        for _ in range(4):
            await asyncio.sleep(3600.0)
            await token(house, "hk", 300.0)

    house.live(work)
    assert calls(house, "head") == ["login"]


def test_a_member_that_moves_to_another_head_waits_for_that_one_and_not_for_the_old_one() -> None:
    house = family()
    now = house.time.now()
    secrets = {"ticket": Secret("ticket-x"), "device": Secret("device")}
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.vault.disk.records["other"] = Record("other", 1, Grant("other", BOUND, secrets, now, now, 30 * DAY))
    house.providers["head"].script = [slowly(reply(**LOGIN_FOR_US), 50.0)]
    other = Member("other", reply(sig="c", ticket="t", web="w", codes={"hk": "login-hk"}), ladder=(LOGIN,), pace=MINUTE)
    other.kinds = ("hk",)
    house.providers["other"] = other

    async def work() -> None:
        asked = asyncio.get_running_loop().create_task(house.desk.demand("hk", 60.0, 5.0))
        await asyncio.sleep(1.0)
        assert house.state("hk").asked
        house.families["hk"] = "other"
        member(house, "hk").kinds = ("other",)
        house.providers["hk"].ladder = tuple(
            replace(
                rung,
                needs=frozenset(name.replace("head/", "other/") for name in rung.needs),
                asks=rung.asks and "other",
            )
            for rung in house.providers["hk"].ladder
        )
        house.reload("hk")
        await asked
        await token(house, "hk", 60.0)

    house.live(work)
    assert calls(house, "other") == ["login"]


def test_readers_are_served_from_the_stock_while_filling_it_up_is_in_doubt() -> None:
    """A code has grown old, and the call for a new one is lost again and again."""
    house = family(sig="web-0")
    house.providers["hk"].script = [Lost("cut")] * 3
    long_lived(house)

    async def work() -> None:
        await house.until(Phase.DOUBTFUL, "hk")
        house.providers["hk"].script = [reply(sig="from-stock"), *[Lost("cut")] * 3]
        assert await token(house, "hk", 30.0) == "from-stock"

    house.live(work)
    assert calls(house, "hk")[:2] == ["repull", "auth"]


def test_I5_a_settled_doubt_leaves_the_one_below_it_standing_while_one_more_try_is_waited_for() -> None:
    house = family(sig="web-0")
    member(house, "hk").planned = [Lost("cut"), Lost("cut"), refusal("15", Remedy.PERSON, again=(90.0,))]

    async def work() -> None:
        for wait in (0.0, 0.0, 400.0):
            await house.desk.demand("hk", 60.0, wait)

    house.live(work)
    codes = member(house, "hk").codes
    assert len(codes) == len(set(codes)), codes


def test_I5_what_a_refusal_brings_leaves_the_doubt_that_the_attempt_was_made_over() -> None:
    """A person's step is refused and brings something for the next one: the login in doubt stays in doubt."""
    house = family()
    head = member(house, "head")
    head.planned = [Lost("cut"), refusal("21", Remedy.PERSON, keep={"tries": "1"})]
    head.contract = Contract(lease_life=DAY, kills=Kills.MORE)
    head.ladder = (LOGIN, Rung("authorize", person=True))

    async def work() -> None:
        await house.desk.demand("head", 60.0, 10.0)
        assert house.vault.disk.intents["head"][0].rung == "login"
        begun = await house.desk.operate("enrol-begin", "head", {})
        await house.desk.operate("enrol-finish", "head", {"session": begun["session"], "code": "c"})
        assert house.vault.disk.intents["head"][0].rung == "login"

    house.live(work)
    house.live(lambda: house.desk.demand("head", 60.0, 300.0))
    assert calls(house, "head") == ["login", "authorize"]


@pytest.mark.parametrize("how", ["forget", "pause", "remove", "lose"])
def test_a_member_that_waits_for_its_head_is_told_when_that_one_cannot_help_and_goes_on_when_it_can(how: str) -> None:
    house = family()
    house.vault.disk.records["hk"] = Record("hk", 0)
    head = member(house, "head")
    head.planned = [refusal("busy", Remedy.WAIT)] if how != "lose" else [Lost("cut")] * 3

    async def end() -> None:
        if how == "remove":
            del house.providers["head"]
            house.reload(removed=("head",))
            house.providers["head"] = head
        elif how != "lose":
            await house.desk.operate(how, "head", {})

    async def begin() -> None:
        if how == "forget":
            await house.desk.operate("import", "head", {"secrets": {"ticket": "new", "device": "device"}})
        elif how == "pause":
            await house.desk.operate("resume", "head", {})
        house.reload()

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 5.0)
        assert house.state("hk").asked
        await end()
        if how != "lose":
            found = await house.desk.demand("hk", 60.0, 5.0)
            assert isinstance(found, Shortfall)
            assert found.status == 409
        await begin()
        await token(house, "hk", 1200.0)

    house.live(work)


def test_a_member_parked_for_want_of_its_head_goes_on_once_that_one_can_help() -> None:
    house = family(sig="old")
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["hk"].script = [refusal("odd", Remedy.CLIMB)]

    async def work() -> None:
        await house.desk.operate("pause", "head", {})
        await house.desk.demand("hk", 60.0, 5.0)
        assert house.state("hk").phase is Phase.PARKED
        await house.desk.operate("resume", "head", {})
        await token(house, "hk", 120.0)

    house.live(work)
    assert "account.recovered" in house.told


def test_a_member_parked_for_a_reason_of_its_own_stays_so_whatever_its_head_does() -> None:
    house = family(sig="web-0")
    house.vault.disk.records["hk"] = Record("hk", 0)
    house.providers["hk"].script = [refusal("setting", Remedy.CONFIG)]

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 5.0)
        for verb in ("pause", "resume"):
            await house.desk.operate(verb, "head", {})
        await asyncio.sleep(600.0)
        assert house.state("hk").phase is Phase.PARKED

    house.live(work)
    assert calls(house, "hk") == ["repull"]


def test_a_code_whose_answer_was_lost_is_replaced_and_calls_nobody() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [Lost("cut")]
    house.live(lambda: token(house, wait=300.0))
    assert "refresh.lost" in house.told
    assert not {"doubt.opened", "doubt.resolved", "doubt.replayed"} & set(house.told)


def test_a_stock_that_should_have_been_renewed_by_now_is_told_of_while_there_is_time() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [NotSent("no route")] * 40_000
    long_lived(house)

    async def work() -> None:
        await asyncio.sleep(29 * DAY)

    house.live(work)
    assert "hk" in {event.account for event in house.events if event.name == "grant.ending"}


def test_a_reset_long_after_another_one_is_the_first_one_again() -> None:
    house = family(sig="web-0")
    reset = refusal("20029", Remedy.RESET)
    house.providers["hk"].script = [reply(sig="one"), reset]

    async def work() -> None:
        await token(house)
        await asyncio.sleep(3600.0)
        await token(house)
        await asyncio.sleep(600.0)
        await asyncio.sleep(3600.0)
        house.providers["hk"].script = [reply(sig="two"), reset]
        await token(house)
        await asyncio.sleep(300.0)

    house.live(work)
    assert house.told.count("lease.withdrawn") == 2
    assert "account.parked" not in house.told


def test_a_lost_call_that_uses_nothing_up_is_made_again_as_often_as_it_takes_and_asks_nobody_else() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [reply(sig="one"), *[Lost("cut")] * 4]

    async def work() -> None:
        await token(house)
        await asyncio.sleep(2 * 3600.0)

    house.live(work)
    assert calls(house, "hk") == ["auth", *["repull"] * 5]
    assert calls(house, "head") == []


def test_I6_the_wait_before_one_more_try_outlives_the_process() -> None:
    house = family()
    house.providers["head"].script = [refusal("15", Remedy.PERSON, again=(90.0,))]
    house.live(lambda: house.desk.demand("head", 60.0, 5.0))
    house.live(lambda: house.desk.demand("head", 60.0, 75.0))
    assert calls(house, "head") == ["login"]


def test_a_code_that_nobody_understands_marks_nothing_dead() -> None:
    house = family(sig="web-0")
    house.providers["hk"].script = [refusal("odd", Remedy.CLIMB, known=False)]
    house.live(lambda: house.desk.demand("hk", 60.0, 30.0))
    assert house.state("hk").standing.held == {"code"}
    assert house.vault.disk.dead.get("hk", {}) == {}


def test_a_member_with_an_old_code_in_stock_is_not_parked_for_want_of_its_head() -> None:
    house = family()
    long_lived(house)
    house.vault.disk.paused = frozenset({"head"})

    async def work() -> str:
        await asyncio.sleep(25 * DAY)
        assert house.state("hk").phase is Phase.LIVE
        return await token(house)

    house.live(work)
    assert calls(house, "hk") == ["auth"]


def test_a_member_refused_on_every_rung_again_and_again_rests() -> None:
    house = family(sig="web-0")
    hk = member(house, "hk")
    usual = hk.usual
    hk.usual = lambda rung: (  # type: ignore[method-assign]
        refusal("useless", Remedy.CLIMB, dead=["code"]) if rung == "auth" else usual(rung)
    )

    async def work() -> None:
        await house.desk.demand("hk", 60.0, 1.0)
        await asyncio.sleep(3600.0)

    house.live(work)
    assert calls(house, "hk").count("auth") <= 20
    assert "account.parked" in house.told
