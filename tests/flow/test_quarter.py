"""Futu's login layer over ninety virtual days: see `tests.flow.quarter`, which can also be run for its table."""

from __future__ import annotations

import pytest

from tests.flow import quarter
from tests.flow.quarter import Quarter

DAYS = 90.0


@pytest.fixture(scope="module")
def lived() -> Quarter:
    """Ninety days, lived once for all tests here."""
    world = Quarter(DAYS)
    world.live(quarter.story())
    return world


@pytest.mark.timeout(900)
def test_ninety_days_keep_every_promise(lived: Quarter) -> None:
    assert quarter.broken(lived) == [], quarter.table(lived, quarter.story())


@pytest.mark.timeout(900)
def test_ninety_days_are_not_kind(lived: Quarter) -> None:
    """Days in which nothing happened would prove nothing."""
    told = [event.name for _, event in lived.events]
    assert told.count("lease.withdrawn") >= 2
    assert told.count("relative.asked") >= 2
    assert told.count("code.unknown") >= 2
    assert told.count("account.parked") >= 4
    assert {"refresh.lost", "clock.stepped", "renewal.overdue"} <= set(told)
    assert (lived.restarts, len(lived.visits), lived.tally.sms_sent) == (1, 3, 1)


@pytest.mark.timeout(900)
def test_I5_no_code_is_presented_twice_in_ninety_days(lived: Quarter) -> None:
    assert lived.service.state.books.shared.totals.spent_uses == 0
    assert not any(lived.tally.spent_uses.values())


@pytest.mark.timeout(900)
def test_I6_no_login_falls_into_the_window_of_the_one_before(lived: Quarter) -> None:
    assert lived.tally.authority_calls > 10
    assert lived.tally.authority_too_soon == 0


@pytest.mark.timeout(900)
def test_I11_the_healthy_broker_is_never_without_a_lease_or_a_code(lived: Quarter) -> None:
    assert lived.bare["hk"] == 0
    assert lived.unserved["hk"] == 0
    assert lived.reads["hk"] > 200 * DAYS


def test_status_says_that_this_kind_never_met_the_real_service() -> None:
    world = Quarter(0.01)
    world.live([])
    assert "never met" in str(world.daemon.desk.health("main").more["unproven"])
