"""How late renewals began."""

import pytest

from freshd.cli.demo.evidence import Arrival, Sample, Wish
from freshd.cli.demo.lateness import lateness, percentile, waits


def test_a_login_at_a_gateway_is_no_renewal() -> None:
    made = [Arrival(0.0, "granted", "auth.refresh_token"), Arrival(1.0, "ok", "auth.connect")]
    seen = [Sample(0.5, "live", 3.0), Sample(2.0, "live", 3.0)]
    assert lateness([*made, Arrival(3.5, "granted", "auth.refresh_token")], seen, []) == [0.5]


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


def call(at: float, operation: str = "broker_auth", outcome: str = "granted") -> Arrival:
    return Arrival(at, outcome, operation)


def test_a_wish_is_late_until_the_call_that_makes_a_lease_arrives() -> None:
    assert waits([call(1.0), call(5.2)], [Wish(5.0, 5.4)], [], 10.0) == [pytest.approx(0.2)]


def test_what_has_to_be_had_before_that_call_is_late_too() -> None:
    assert waits([call(5.1, "repull"), call(6.5)], [Wish(5.0, 6.6)], [], 10.0) == [pytest.approx(1.5)]


def test_a_first_call_that_failed_was_the_beginning() -> None:
    assert waits([call(5.1, outcome="990003"), call(6.5)], [Wish(5.0, 6.6)], [], 10.0) == [pytest.approx(0.1)]


def test_a_wish_that_was_met_by_what_was_on_its_way_is_not_late() -> None:
    assert waits([call(4.99), call(15.0)], [Wish(5.0, 5.1)], [], 20.0) == [0]


def test_a_wish_that_nobody_met_is_late_up_to_the_first_call_or_the_end() -> None:
    assert waits([call(1.0)], [Wish(5.0)], [], 10.0) == [pytest.approx(5.0)]
    assert waits([call(6.0, outcome="status")], [Wish(5.0)], [], 10.0) == [pytest.approx(1.0)]


def test_a_wish_does_not_wait_for_a_daemon_that_is_not_there() -> None:
    assert waits([call(9.0)], [Wish(5.0, 9.1)], [(6.0, 8.5)], 10.0) == [pytest.approx(1.5)]


def test_a_lease_that_never_reached_the_reader_meets_no_wish() -> None:
    assert waits([call(5.1), call(6.5)], [Wish(5.0, 6.6)], [], 10.0) == [pytest.approx(1.5)]
    assert waits([call(5.1)], [Wish(5.0)], [], 10.0) == [pytest.approx(5.0)]
