"""A kill -9 at each point of the exchange, and at random instants: nothing that was escrowed is ever lost."""

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.batch import Batch
from tests.crash.fates import FORBIDDEN, Fate
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

SEED: Final = 7
KILLS: Final = 10
EXPECTED: Final = {
    "1": Fate.NEVER_COMMITTED,
    "2": Fate.NEVER_COMMITTED,
    "3": Fate.NEVER_COMMITTED,
    "4": Fate.OURS,  # between the answer and its escrow: the one window that no order can close
    **dict.fromkeys(("5", "6", "7", "8"), Fate.RECOVERED),
    "intent-durable": Fate.NEVER_COMMITTED,
    "escrow-durable": Fate.RECOVERED,
    "commit-durable": Fate.RECOVERED,
}
PLACEMENTS: Final = ["sealed", pytest.param("keyring", marks=pytest.mark.part("keyring"))]


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=PLACEMENTS)
def at_points(request: pytest.FixtureRequest, service: Sandbox) -> Iterator[Batch]:
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(KeyringBed()).env if request.param == "keyring" else None
        trials = Batch(service, plan.at_points("sandbox", request.param), env)
        stack.callback(trials.close)
        yield trials


@pytest.fixture(scope="module")
def at_random(service: Sandbox) -> Iterator[Batch]:
    trials = Batch(service, plan.at_random(KILLS, SEED, "sandbox", "sealed"))
    yield trials
    trials.close()


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_kill_at_a_point_comes_to_what_the_protocol_promises(at_points: Batch, mark: str) -> None:
    result = at_points.result(mark)
    assert result.fate is EXPECTED[mark], result
    assert result.spent_uses == 0
    assert result.doubtful_replays == (result.fate is Fate.OURS)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_at_any_instant_loses_nothing_that_was_escrowed(at_random: Batch, number: int) -> None:
    result = at_random.result(number)
    assert result.fate not in FORBIDDEN, result
    assert result.spent_uses == 0


def test_a_trial_is_drawn_from_its_seed_alone() -> None:
    drawn = plan.at_random(20, SEED, "sandbox", "sealed")
    assert drawn[:5] == plan.at_random(5, SEED, "sandbox", "sealed")
    assert drawn != plan.at_random(20, SEED + 1, "sandbox", "sealed")
