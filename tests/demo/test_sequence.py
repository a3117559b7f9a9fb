"""Calls that must follow each other."""

from freshd.cli.demo.sequence import follow, granted
from tests.demo.brokers import calls

MADE = calls((3.0, "b", "ok"), (1.0, "a", "granted"), (2.0, "b", "refused"), (4.0, "a", "granted"))


def test_calls_follow_each_other_in_the_order_of_their_moments_others_in_between() -> None:
    assert follow(MADE, 0.0, [("a", True), ("b", True)])
    assert follow(MADE, 0.0, [("b", False), ("a", True)])
    assert not follow(MADE, 0.0, [("b", True), ("b", False)])


def test_what_came_before_does_not_count() -> None:
    assert not follow(MADE, 1.5, [("a", True), ("b", True)])
    assert granted(MADE, "a") == 2
    assert granted(MADE, "a", 1.5) == 1


def test_what_was_refused_is_not_granted() -> None:
    assert granted(MADE, "b") == 1
