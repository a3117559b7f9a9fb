"""Ways to renew: only those that can be taken unattended with what is held, cheapest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshd.core import ladder
from freshd.core.ladder import Rung

NAMES = st.frozensets(st.sampled_from(["token", "ticket", "key"]))
LADDERS = st.lists(
    st.builds(Rung, st.uuids().map(str), NAMES, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    max_size=5,
).map(tuple)


@given(LADDERS, NAMES)
def test_the_top_is_the_first_that_can_be_taken(rungs: ladder.Ladder, held: frozenset[str]) -> None:
    possible = [rung for rung in rungs if not rung.person and rung.needs <= held]
    assert ladder.top(rungs, held) == (possible[0] if possible else None)


@given(LADDERS, NAMES)
def test_climbing_goes_down_and_ends(rungs: ladder.Ladder, held: frozenset[str]) -> None:
    taken = []
    rung = ladder.top(rungs, held)
    while rung is not None:
        taken.append(rungs.index(rung))
        rung = ladder.below(rungs, rung.name, held)
    assert taken == sorted(set(taken))
    assert all(ladder.can_try(rungs[index], held) for index in taken)


@given(LADDERS, NAMES)
def test_below_an_unknown_rung_there_is_nothing(rungs: ladder.Ladder, held: frozenset[str]) -> None:
    assert ladder.below(rungs, "unknown", held) is None
    assert ladder.find(rungs, "unknown") is None


@given(LADDERS)
def test_only_what_costs_nobody_anything_is_free(rungs: ladder.Ladder) -> None:
    for rung in rungs:
        assert rung.is_free == (not any((rung.spends, rung.person, rung.budgeted, rung.ends_session)))


@given(LADDERS)
def test_a_person_is_asked_for_the_first_way_that_needs_one(rungs: ladder.Ladder) -> None:
    asked = ladder.for_person(rungs)
    assert asked == next((rung for rung in rungs if rung.person), None)
