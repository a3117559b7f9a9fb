"""When a reader stood there without a token that works."""

import pytest

from freshd.cli.demo.evidence import Interval, Met, Reading
from freshd.cli.demo.lapses import Lapses, lapses

SPAN = (100.0, 110.0)


def read(*lines: tuple[float, Met] | tuple[float, Met, str] | tuple[float, Met, str, float]) -> list[Reading]:
    return [Reading("reader", *line) for line in lines]


def lapsed(readings: list[Reading], downs: list[Interval] | None = None, revoked: float | None = None) -> Lapses:
    return lapses(readings, SPAN, downs or [], {} if revoked is None else {"a": revoked})


def test_a_token_that_works_all_the_time_leaves_no_gap() -> None:
    assert lapsed(read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (109.9, Met.GOOD))).gap_s == 0


def test_a_gap_lasts_from_the_last_proof_to_the_next() -> None:
    lines = read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (101.4, Met.REFUSED, "a"), (102, Met.GOOD))
    assert lapsed(lines).gap_s == pytest.approx(1.0)


def test_a_gap_that_nobody_ends_lasts_to_the_end() -> None:
    lines = read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (102, Met.REFUSED, "a"))
    assert lapsed(lines).gap_s == pytest.approx(9.0)


def test_a_lease_that_ended_between_two_polls_is_a_gap_though_nobody_tried_it() -> None:
    lines = read((99, Met.LEASE, "a", 102.0), (101.99, Met.GOOD), (102.02, Met.LEASE, "b", 120), (102.03, Met.GOOD))
    assert lapsed(lines).gap_s == pytest.approx(0.02)


def test_a_lease_that_ends_unreplaced_is_a_gap_to_the_end() -> None:
    assert lapsed(read((99, Met.LEASE, "a", 104), (103, Met.GOOD))).gap_s == pytest.approx(6.0)


def test_a_reader_with_nothing_from_the_beginning_has_a_gap_from_the_beginning() -> None:
    assert lapsed(read((103, Met.NONE), (105, Met.LEASE, "a", 120), (105, Met.GOOD))).gap_s == pytest.approx(5.0)


def test_nothing_in_hand_counts_from_the_end_of_the_last_lease() -> None:
    lines = read(
        (99, Met.LEASE, "a", 103), (102.9, Met.GOOD), (103.5, Met.NONE), (104, Met.LEASE, "b", 120), (104, Met.GOOD)
    )
    assert lapsed(lines).gap_s == pytest.approx(1.0)


def test_downtime_beyond_the_life_of_the_lease_is_listed_and_no_gap() -> None:
    lines = read(
        (99, Met.LEASE, "a", 103), (102.9, Met.GOOD), (103.5, Met.DOWN), (105, Met.LEASE, "b", 120), (105, Met.GOOD)
    )
    found = lapsed(lines, downs=[(102.0, 104.5)])
    assert found.down_s == pytest.approx(1.5)
    assert found.gap_s == pytest.approx(0.5)


def test_downtime_within_the_life_of_the_lease_excuses_nothing() -> None:
    lines = read((99, Met.LEASE, "a", 120), (102, Met.GOOD), (103, Met.REFUSED, "a"), (104, Met.GOOD))
    assert lapsed(lines, downs=[(102.0, 104.0)]).gap_s == pytest.approx(2.0)


def test_a_newer_lease_that_is_refused_too_does_not_stretch_the_downtime() -> None:
    lines = read(
        (99, Met.LEASE, "a", 101), (100.9, Met.GOOD), (101.2, Met.NONE), (101.5, Met.LEASE, "b", 120),
        (101.5, Met.REFUSED, "b"), (105, Met.GOOD),
    )  # fmt: skip
    found = lapsed(lines, downs=[(102.0, 104.0)])
    assert found.down_s == 0
    assert found.gap_s == pytest.approx(4.0)


def test_a_revoked_token_is_healing_from_the_revocation_until_another_works() -> None:
    lines = read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (101.4, Met.REFUSED, "a"), (101.5, Met.GOOD))
    found = lapsed(lines, revoked=101.3)
    assert found.gap_s == 0
    assert found.healing_s == pytest.approx(0.2)


def test_healing_that_takes_too_long_is_a_gap_in_full() -> None:
    lines = read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (101.4, Met.REFUSED, "a"), (102.5, Met.GOOD))
    found = lapsed(lines, revoked=101.3)
    assert found.gap_s == pytest.approx(1.2)
    assert found.healing_s == 0


def test_a_refusal_of_another_token_during_healing_makes_it_a_gap() -> None:
    lines = read((101, Met.GOOD), (101.4, Met.REFUSED, "a"), (101.5, Met.REFUSED, "b"), (101.6, Met.GOOD))
    assert lapsed(lines, revoked=101.3).gap_s == pytest.approx(0.3)


def test_what_the_service_did_not_answer_proves_nothing() -> None:
    lines = read((99, Met.LEASE, "a", 120), (101, Met.GOOD), (105, Met.UNSURE), (109, Met.GOOD))
    found = lapsed(lines)
    assert found.gap_s == 0
    assert found.unwatched_s == pytest.approx(8.0)


def test_what_came_before_the_run_only_says_what_the_reader_holds() -> None:
    lines = read((90, Met.REFUSED, "z"), (99, Met.LEASE, "a", 120), (99.5, Met.GOOD), (101, Met.GOOD))
    assert lapsed(lines).gap_s == 0
