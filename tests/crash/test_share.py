"""What the windows predict, from kills and windows alone."""

from typing import Any, Final

from tests.crash import share, tables

BEFORE: Final = {"last_point": "3", "last_mark": "3"}
HIT: Final = {"unsaved": 1, "escrow": False, "arrives_us": -10, "arrived_us": 5, **BEFORE}
MISSED: Final = {"unsaved": 0, "escrow": False, "arrives_us": None, "arrived_us": None, **BEFORE}


def line(moment: float | None, fell: dict[str, Any] = MISSED, kind: str = "near", **more: Any) -> dict[str, Any]:
    """A kill 100 µs after the refresh was asked for had come to point 3; its exchange before had one window."""
    return {
        "who": "freshd", "service": "s", "placement": "p", "kind": kind, **fell,
        "struck_us": None if moment is None else [moment + 100, moment],
        "rehearsed_us": {"intent": 100, "windows": [[1100, 2100]]} if kind == "near" else None, **more,
    }  # fmt: skip


def test_a_kill_inside_every_window_is_expected_and_one_outside_is_not() -> None:
    found = share.shares([line(1500, HIT), line(999), line(2000)], "near")
    one = found["s", "p"]
    assert (one.kills, one.struck, one.written, one.expected, one.low, one.high) == (3, 1, 0, 1.0, 1, 1)
    assert found["all", ""] == one
    assert not one.is_far


def test_windows_of_one_service_say_nothing_of_another() -> None:
    assert share.shares([line(1500), line(1500, HIT, service="other", rehearsed_us=None)], "near")["all", ""].kills == 1
    assert share.shares([line(1500, rehearsed_us=None)], "near") == {}


def test_a_kill_that_says_no_moment_is_left_out() -> None:
    assert share.shares([line(None), line(5)], "near")["all", ""].kills == 1


def test_around_counts_from_the_request() -> None:
    lines = [line(5), line(1500, HIT, "around")]
    assert share.shares(lines, "around")["s", "p"].expected == 1.0
    assert share.shares([line(5), line(900, kind="around")], "around")["s", "p"].expected == 0.0


def test_what_chance_does_not_explain_is_far() -> None:
    lines = [line(1500) for _ in range(20)]
    assert share.shares(lines, "near")["s", "p"].is_far


def test_an_uneven_lot_has_an_interval_around_its_mean() -> None:
    wide = {"intent": 100, "windows": [[1100, 5100]]}
    lines = [line(3000, rehearsed_us=wide) for _ in range(20)] + [line(3000) for _ in range(20)]
    one = share.shares(lines, "near")["s", "p"]
    assert one.expected == 20.0
    assert one.low < 20 < one.high


def test_an_answer_counts_as_struck_only_where_it_may_have_been_in_our_socket() -> None:
    assert share.is_struck(line(1, HIT))
    assert share.is_struck(line(1, HIT | {"arrived_us": None, "last_point": "4"}))
    assert not share.is_struck(line(1, HIT | {"arrived_us": None}))
    assert not share.is_struck(line(1, HIT | {"arrives_us": 3}))
    assert not share.is_struck(line(1, HIT | {"escrow": True}))
    assert not share.is_struck(line(1))


def test_an_escrow_that_was_written_and_not_synced_is_in_the_window_and_not_lost() -> None:
    written = line(1500, MISSED | {"unsaved": 1, "escrow": True, "last_mark": "4"})
    synced = line(2500, MISSED | {"unsaved": 1, "escrow": True, "last_mark": "escrow-durable"})
    one = share.shares([written, synced], "near")["s", "p"]
    assert (one.struck, one.written, one.expected) == (0, 1, 1.0)
    assert not one.is_far


def test_the_table_has_a_row_for_each_service_and_one_for_all() -> None:
    rows = tables.struck([line(1500, HIT), line(5, kind="around")]).splitlines()
    assert rows[2:] == ["| s | p | 1 | 1 | 0 | 1.0 (1 to 1) | 1 | 0 | 0 | 0.0 (0 to 0) |",
                        "| **all** |  | 1 | 1 | 0 | 1.0 (1 to 1) | 1 | 0 | 0 | 0.0 (0 to 0) |"]  # fmt: skip
