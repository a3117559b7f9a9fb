"""A kill -9 at each point of the exchange; random instants are in `test_campaign`."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.batch import Batch
from tests.crash.fates import Fate
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

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
ON_KEYRING: Final = ("4", "5", "commit-durable")
"""What differs where the grant rests elsewhere; the rest is in `test_campaign`."""


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def sealed(service: Sandbox) -> Iterator[Batch]:
    trials = Batch(service, plan.at_points("sandbox", "sealed"))
    yield trials
    trials.close()


@pytest.fixture(scope="module")
def on_keyring(service: Sandbox) -> Iterator[Batch]:
    with KeyringBed() as bed:
        specs = [spec for spec in plan.at_points("sandbox", "keyring") if spec.mark in ON_KEYRING]
        trials = Batch(service, specs, bed.env)
        yield trials
        trials.close()


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_kill_at_a_point_comes_to_what_the_protocol_promises(sealed: Batch, mark: str) -> None:
    check(sealed, mark)


@pytest.mark.part("keyring")
@pytest.mark.parametrize("mark", ON_KEYRING)
def test_so_it_does_where_the_grant_rests_in_a_keyring(on_keyring: Batch, mark: str) -> None:
    check(on_keyring, mark)


def check(trials: Batch, mark: str) -> None:
    result = trials.result(mark)
    assert result.fate is EXPECTED[mark], result
    assert result.spent_uses == 0
    assert result.doubtful_replays == (result.fate is Fate.OURS)
