"""The whole engine over virtual days: see `tests.flow.month`, which can also be run for its table."""

from __future__ import annotations

import pytest

from tests.flow import month
from tests.flow.month import Verdict

DAYS = 30.0


@pytest.fixture(scope="module")
def lived() -> Verdict:
    """One month, lived once for all tests here."""
    return month.live(DAYS, seed=1)


@pytest.mark.timeout(600)
def test_a_month_keeps_every_promise(lived: Verdict) -> None:
    assert lived.ok, month.table(lived)


@pytest.mark.timeout(600)
def test_a_month_is_not_kind(lived: Verdict) -> None:
    """A month in which nothing happened would prove nothing."""
    events = lived.events
    assert lived.refreshes > 1000 * DAYS
    assert lived.in_grace > 0
    assert lived.doubtful_replays > 0
    assert events["clock.resumed"] >= DAYS / 10
    assert events["clock.stepped"] >= DAYS / 10
    assert events["refresh.not-sent"] > 0
    assert events["account.parked"] > 0
    assert any("answer lost after commit" in cause for cause in lived.gaps)


@pytest.mark.timeout(600)
def test_I5_no_secret_known_to_be_spent_is_presented_in_a_month(lived: Verdict) -> None:
    assert lived.spent_uses == 0


@pytest.mark.timeout(600)
def test_I6_the_service_itself_never_counts_a_call_that_comes_too_fast(lived: Verdict) -> None:
    assert lived.too_fast == 0


@pytest.mark.timeout(600)
def test_I9_no_reader_is_left_without_a_lease_for_a_cause_of_ours(lived: Verdict) -> None:
    assert "freshd" not in lived.gaps, month.table(lived)
