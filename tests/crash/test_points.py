"""A kill -9 at each point of the exchange, and at random instants: nothing that was escrowed is ever lost."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.fates import FORBIDDEN, Fate
from tests.crash.services import Sandbox
from tests.crash.trial import Result, Spec, run
from tests.host.keyring_bed import KeyringBed

AT_ONCE: Final = 3
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


class Trials:
    """A trial takes two starts of a daemon: all are begun as soon as one is asked for."""

    def __init__(self, service: Sandbox, specs: list[Spec], keyring_env: Mapping[str, str] | None = None) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun: dict[str | int, Future[Result]] = {
            spec.mark or spec.number: self._pool.submit(run, spec, service, keyring_env) for spec in specs
        }

    def result(self, of: str | int) -> Result:
        return self._begun[of].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=PLACEMENTS)
def at_points(request: pytest.FixtureRequest, service: Sandbox) -> Iterator[Trials]:
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(KeyringBed()).env if request.param == "keyring" else None
        trials = Trials(service, plan.at_points("sandbox", request.param), env)
        stack.callback(trials.close)
        yield trials


@pytest.fixture(scope="module")
def at_random(service: Sandbox) -> Iterator[Trials]:
    trials = Trials(service, plan.at_random(KILLS, SEED, "sandbox", "sealed"))
    yield trials
    trials.close()


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_kill_at_a_point_comes_to_what_the_protocol_promises(at_points: Trials, mark: str) -> None:
    result = at_points.result(mark)
    assert result.fate is EXPECTED[mark], result
    assert result.spent_uses == 0
    assert result.doubtful_replays == (result.fate is Fate.OURS)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_at_any_instant_loses_nothing_that_was_escrowed(at_random: Trials, number: int) -> None:
    result = at_random.result(number)
    assert result.fate not in FORBIDDEN, result
    assert result.spent_uses == 0


def test_a_trial_is_drawn_from_its_seed_alone() -> None:
    drawn = plan.at_random(20, SEED, "sandbox", "sealed")
    assert drawn[:5] == plan.at_random(5, SEED, "sandbox", "sealed")
    assert drawn != plan.at_random(20, SEED + 1, "sandbox", "sealed")
