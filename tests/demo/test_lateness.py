"""How late renewals began."""

import pytest

from freshd.cli.demo.evidence import Arrival, Sample
from freshd.cli.demo.lateness import lateness, percentile


def test_late_is_the_arrival_less_the_due_moment_first_shown() -> None:
    samples = [Sample(1.0, "live", 5.0), Sample(4.9, "live", 6.0)]
    assert lateness([Arrival(0.5, "granted"), Arrival(5.3, "granted")], samples, []) == [pytest.approx(0.3)]


def test_an_earlier_renewal_is_not_late() -> None:
    assert lateness([Arrival(0, "granted"), Arrival(3, "granted")], [Sample(1, "live", 5.0)], []) == [0]


def test_seconds_without_a_daemon_are_taken_off() -> None:
    arrivals = [Arrival(0, "granted"), Arrival(8, "granted")]
    assert lateness(arrivals, [Sample(1, "live", 5.0)], [(4.0, 7.0)]) == [pytest.approx(1.0)]


def test_a_repeated_call_after_a_failure_is_no_beginning() -> None:
    arrivals = [Arrival(0, "granted"), Arrival(5, "status"), Arrival(9, "granted")]
    samples = [Sample(1, "live", 5.0), Sample(6, "live", 6.0)]
    assert lateness(arrivals, samples, []) == [0]


def test_what_is_shown_while_a_call_is_in_the_air_or_in_doubt_is_no_schedule() -> None:
    arrivals = [Arrival(0, "granted"), Arrival(5, "granted")]
    assert lateness(arrivals, [Sample(1, "spending", 2.0), Sample(2, "doubtful", 3.0)], []) == []


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([0.3, 0.1, 0.2], 0.99) == 0.3
    assert percentile([0.3, 0.1, 0.2], 0.5) == 0.2
    assert percentile([], 0.99) is None
