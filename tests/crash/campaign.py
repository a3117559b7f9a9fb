"""The published campaign: N kills in all, dealt out over services, placements and series.  Pure.

Rules
-----
* The order is that of wheels, one for the services and in each service one for placement and series: whatever number
  of kills is done, each member has had its share of them, to within one turn.
* The seed draws the instants and where the wheels stand; the same seed deals the same trials in the same order.
* A trial is named by series, service, placement and number.  What is left out, a placement say, changes the order of
  the rest and no trial.
* Another series is one more row of `SERIES`, and a kind in `trial`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tests.crash import plan
from tests.crash.scene import Placement
from tests.crash.spec import Spec

Member = TypeVar("Member")
PLACEMENTS: Final[tuple[Placement, ...]] = ("sealed", "keyring")
STRIDE: Final = 7
"""Neighbouring services begin so many turns apart, so that a short campaign has all series of both placements."""
START: Final = 4
"""And so many marks apart, so that it has all marks."""


@dataclass(frozen=True, slots=True)
class Series:
    """One way to choose what is killed when.

    weight  its share
    draw    seed, service, placement and a number that differs from stream to stream → trials without end
    is_for  whether a service has it
    """

    weight: int
    draw: Callable[[int, str, Placement, int], Iterator[Spec]]
    is_for: Callable[[str], bool] = lambda _: True


SERIES: Final[Mapping[str, Series]] = {
    "points": Series(3, lambda seed, service, place, nth: plan.points(service, place, seed + START * nth)),
    "near": Series(4, lambda seed, service, place, _: plan.near(seed, service, place), plan.has_intent),
    "random": Series(3, lambda seed, service, place, _: plan.at_random(seed, service, place)),
    "again": Series(1, lambda seed, service, place, _: plan.once_more(seed, service, place), plan.has_intent),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial and the series that it is of."""

    series: str
    spec: Spec


class Wheel(Generic[Member]):
    """A smooth weighted round robin: in any stretch of turns each member has its share, to within one."""

    def __init__(self, weights: Mapping[Member, int], begun: int = 0) -> None:
        """`begun`: turns that count as done already."""
        self._weights = dict(weights)
        self._credit = dict.fromkeys(weights, 0)
        for _ in range(begun % sum(self._weights.values())):
            self.turn()

    def turn(self) -> Member:
        """The next one."""
        for member, weight in self._weights.items():
            self._credit[member] += weight
        chosen = max(self._credit, key=self._credit.__getitem__)
        self._credit[chosen] -= sum(self._weights.values())
        return chosen


class Deck:
    """One service's trials."""

    def __init__(self, service: str, order: int, seed: int, placements: Sequence[Placement]) -> None:
        names = [name for name, series in SERIES.items() if series.is_for(service)]
        streams = [(name, placement) for name in names for placement in placements]
        self._wheel = Wheel({stream: SERIES[stream[0]].weight for stream in streams}, seed + STRIDE * order)
        self._trials = {
            (name, placement): SERIES[name].draw(seed, service, placement, 2 * order + PLACEMENTS.index(placement))
            for name, placement in streams
        }

    def deal(self) -> Planned:
        """The next one."""
        stream = self._wheel.turn()
        return Planned(stream[0], next(self._trials[stream]))


def drawn(seed: int, services: Sequence[str], placements: Sequence[Placement] = PLACEMENTS) -> Iterator[Planned]:
    """The campaign of that seed, without end."""
    decks = {service: Deck(service, order, seed, placements) for order, service in enumerate(services)}
    wheel = Wheel(dict.fromkeys(services, 1))
    while True:
        yield decks[wheel.turn()].deal()
