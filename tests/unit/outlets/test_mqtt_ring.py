"""outlets.ring: a bounded number of events in order; nothing is lost without being counted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from freshd.core.events import Event
from freshd.outlets.ring import Gap, Ring

EVENT = Event("refresh.succeeded", "a")


def filled(room: int, count: int) -> Ring:
    ring = Ring(room)
    for number in range(count):
        ring.put(EVENT, float(number))
    return ring


def drained(ring: Ring) -> list[int]:
    numbers = []
    while (entry := ring.take()) is not None:
        numbers.append(entry.seq)
        ring.done()
    return numbers


def test_what_waits_leaves_in_order() -> None:
    ring = filled(5, 3)
    assert len(ring) == 3
    assert drained(ring) == [1, 2, 3]
    assert (len(ring), ring.gap, ring.dropped) == (0, None, 0)


def test_the_oldest_makes_room_and_is_counted() -> None:
    ring = filled(3, 10)
    assert (ring.dropped, ring.gap, len(ring)) == (7, Gap(7, 1, 7), 3)
    assert drained(ring) == [8, 9, 10]


def test_what_is_being_sent_is_not_dropped() -> None:
    ring = filled(2, 2)
    held = ring.take()
    assert held is not None
    assert ring.take() is held
    for _ in range(3):
        ring.put(EVENT, 0.0)
    assert (len(ring), ring.dropped) == (3, 2)
    ring.done()
    assert drained(ring) == [4, 5]


def test_what_comes_back_is_the_first_again_or_the_first_to_go() -> None:
    ring = filled(2, 2)
    ring.take()
    ring.back()
    assert drained(ring) == [1, 2]
    ring = filled(2, 2)
    ring.take()
    ring.put(EVENT, 0.0)
    ring.back()
    assert ring.gap == Gap(1, 1, 1)
    assert drained(ring) == [2, 3]


def test_of_a_gap_that_grew_meanwhile_only_the_rest_is_left() -> None:
    ring = filled(1, 4)
    gap = Gap(3, 1, 3)
    assert ring.gap == gap
    ring.put(EVENT, 0.0)
    ring.told(gap)
    rest = ring.gap
    assert rest == Gap(1, 4, 4)
    ring.told(rest)
    assert len(ring) == 1
    assert ring.dropped == 4
    assert ring.gap is None


def test_a_smaller_ring_drops_at_once_and_an_empty_one_counts_on() -> None:
    ring = filled(5, 5)
    ring.resize(2)
    assert (len(ring), ring.dropped) == (2, 3)
    ring.take()
    ring.clear()
    ring.done()
    ring.back()
    assert (len(ring), ring.gap) == (0, None)
    ring.put(EVENT, 0.0)
    assert drained(ring) == [6]


@settings(max_examples=300)
@given(
    room=st.integers(1, 5), steps=st.lists(st.sampled_from(["put", "take", "done", "back", "drop", "told", "fewer"]))
)
def test_every_event_is_sent_or_counted_and_never_out_of_order(room: int, steps: list[str]) -> None:
    ring, put, sent, told = Ring(room), 0, [], 0
    for step in steps:
        held = None
        if step == "put":
            ring.put(EVENT, 0.0)
            put += 1
        elif step == "take":
            ring.take()
        elif step == "done":
            held = ring.take()
            if held is not None:
                sent.append(held.seq)
            ring.done()
        elif step in ("back", "drop"):
            getattr(ring, step)()
        elif step == "told" and ring.gap is not None:
            told += ring.gap.dropped
            ring.told(ring.gap)
        elif step == "fewer":
            room = 1
            ring.resize(room)
        assert len(ring) <= room + 1
        assert len(sent) + len(ring) + ring.dropped == put
        assert told + (ring.gap.dropped if ring.gap is not None else 0) == ring.dropped
    sent += drained(ring)
    assert sent == sorted(set(sent))
    assert len(sent) + ring.dropped == put
    if ring.gap is not None:
        assert ring.gap.first <= ring.gap.last


def test_what_is_given_up_is_counted_as_dropped() -> None:
    ring = filled(5, 3)
    ring.drop()
    assert (ring.dropped, len(ring)) == (0, 3)
    ring.take()
    ring.drop()
    ring.drop()
    assert (ring.dropped, ring.gap, len(ring)) == (1, Gap(1, 1, 1), 2)
    assert drained(ring) == [2, 3]
