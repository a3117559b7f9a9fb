"""The power is cut in recorded runs of the real thing: what is left opens, and holds all that anybody was told."""

from __future__ import annotations

from typing import Final

import pytest

from tests.crash import powercut, recording, trace
from tests.crash.conftest import Sabotaged
from tests.crash.recording import Recorded

pytestmark = [
    pytest.mark.part("strace"),
    pytest.mark.skipif(trace.WHY_NOT is not None, reason=trace.WHY_NOT or ""),
    pytest.mark.timeout(180),
]
IMAGES: Final = 100
PREFIXES: Final = 40
SEED: Final = 11
LOST_LEAST: Final = 5
"""Of the images of a journal that is not synced; many are found out by the vault itself, and refused."""


def test_a_power_cut_at_any_instant_of_a_daemons_lives_loses_nothing_that_was_told(lives: Recorded) -> None:
    tally = powercut.cut(lives, IMAGES, SEED, PREFIXES)
    assert not tally.breaches
    assert tally.distinct > IMAGES / 2
    assert tally.older > 0


def test_a_power_cut_at_any_instant_of_a_vaults_work_loses_nothing_that_was_told() -> None:
    tally = powercut.cut(recording.play(2), IMAGES, SEED, PREFIXES)
    assert not tally.breaches
    assert tally.states > 20
    assert tally.went_on > 5


def test_a_state_directory_that_freshd_makes_outlives_a_power_cut() -> None:
    tally = powercut.cut(recording.play(1, keyfile="elsewhere/key"), 20, SEED, 0)
    assert not tally.breaches


@pytest.mark.parametrize("kind", ["off", "normal"])
def test_a_journal_that_is_not_synced_does_not_survive_the_model(sabotaged: Sabotaged, kind: str) -> None:
    tally = powercut.cut(sabotaged[kind].result(), 40, SEED, 0)
    assert sum(breach.startswith("a cut") for breach in tally.breaches) > LOST_LEAST
