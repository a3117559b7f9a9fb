"""Which faults strike whom, how often, and in which order."""

import random

import pytest

from freshd.sandbox.endings import Html, LostAfterCommit, Status
from freshd.sandbox.fault_queue import FaultQueue, Scope
from freshd.sandbox.faults import Skew, Slow
from freshd.sandbox.shape import ShapeError

CALL = Scope(endpoint="token", client_id="freshd", label="a", grant_type="refresh_token")


@pytest.fixture
def queue() -> FaultQueue:
    return FaultQueue(random.Random(7))


def test_a_count_is_used_up(queue: FaultQueue) -> None:
    queue.add(Status(), count=2)
    assert [queue.plan(CALL).ending for _ in range(3)] == [Status(), Status(), None]
    assert queue.rules == []


def test_without_a_count_it_stays_until_removed(queue: FaultQueue) -> None:
    rule = queue.add(Status())
    assert all(queue.plan(CALL).ending for _ in range(5))
    assert (rule.struck, queue.remove(rule.id), queue.plan(CALL).ending) == (5, 1, None)


def test_probability_is_a_share(queue: FaultQueue) -> None:
    queue.add(Status(), probability=0.3)
    hits = sum(queue.plan(CALL).ending is not None for _ in range(2000))
    assert 500 < hits < 700


@pytest.mark.parametrize(
    ("scope", "strikes"),
    [
        (Scope(), True),
        (Scope(label="a"), True),
        (Scope(label="b"), False),
        (Scope(client_id="freshd", grant_type="refresh_token"), True),
        (Scope(client_id="else"), False),
        (Scope(grant_type="client_credentials"), False),
        (Scope(endpoint="userinfo"), False),
        (Scope(endpoint="*"), True),
    ],
)
def test_scope(queue: FaultQueue, scope: Scope, strikes: bool) -> None:
    queue.add(Status(), scope)
    assert (queue.plan(CALL).ending is not None) is strikes


def test_of_two_endings_only_the_first_is_used_and_charged(queue: FaultQueue) -> None:
    queue.add(Html(), count=1)
    second = queue.add(LostAfterCommit(), count=1)
    assert (queue.plan(CALL).ending, second.struck) == (Html(), 0)
    assert queue.plan(CALL).ending == LostAfterCommit()


def test_pauses_and_stamps_add_up(queue: FaultQueue) -> None:
    for fault in (Slow(seconds=1), Slow(seconds=2), Skew(seconds=-5), Skew(seconds=2)):
        queue.add(fault)
    plan = queue.plan(CALL)
    assert (plan.wait_before, plan.wait_after, plan.date_offset) == (3, 0, -3)


def test_removal_by_name_and_label(queue: FaultQueue) -> None:
    queue.add(Status(), Scope(label="a"))
    queue.add(Html(), Scope(label="a"))
    queue.add(Html(), Scope(label="b"))
    assert queue.remove(name="html", label="a") == 1
    assert queue.remove() == 2


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"fault": "nope"}, "lost_after_commit"),
        ({"fault": "slow"}, "seconds: required"),
        ({"fault": "slow", "seconds": "1", "when": "never"}, "when: expected one of before, after"),
        ({"fault": "status", "status": True}, "status: expected a whole number"),
        ({"fault": "status", "count": "many"}, "count: expected null or a whole number|count: expected a whole number"),
        ({"fault": "lost_after_commit", "after_commit": False}, "after_commit: unknown"),
    ],
)
def test_a_malformed_wish_is_refused_with_what_to_write(queue: FaultQueue, wish: dict[str, object], word: str) -> None:
    with pytest.raises(ShapeError, match=word):
        queue.add_json(wish)
    assert queue.rules == []
