"""A kill -9 of accounts of CloudBase and GeniusAuth: what is lost is told apart from what comes again by itself."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.batch import Batch
from tests.crash.cloudbase import CloudBase, CloudBaseTicket
from tests.crash.fates import Fate
from tests.crash.geniusauth import GeniusAuth, GeniusAuthLogin, GeniusAuthPayload
from tests.crash.services import Sandbox

ENDS: Final = {"4": Fate.OURS, "5": Fate.RECOVERED}
HEALS: Final = ENDS | {"4": Fate.HEALED}
FREE: Final = {"4": Fate.HEALED, "8": Fate.RECOVERED}
EXPECTED: Final = {
    CloudBase: ENDS, CloudBaseTicket: HEALS, GeniusAuth: FREE, GeniusAuthLogin: HEALS, GeniusAuthPayload: HEALS,
}  # fmt: skip


class Struck:
    """The trials of one service."""

    def __init__(self, kind: type[Sandbox], trials: Batch) -> None:
        self.expected = EXPECTED[kind]
        self.replays = 1 if kind in (CloudBase, CloudBaseTicket) else 0
        self.trials = trials


@pytest.fixture(scope="module", params=EXPECTED)
def struck(request: pytest.FixtureRequest) -> Iterator[Struck]:
    kind: type[Sandbox] = request.param
    with kind() as service:
        specs = [spec for spec in plan.at_points(kind.name, "sealed") if spec.mark in EXPECTED[kind]]
        trials = Batch(service, specs)
        yield Struck(kind, trials)
        trials.close()


@pytest.mark.parametrize("order", range(2))
def test_a_kill_comes_to_what_the_service_allows(struck: Struck, order: int) -> None:
    mark, fate = list(struck.expected.items())[order]
    result = struck.trials.result(mark)
    assert result.fate is fate, result
    assert (result.spent_uses, result.breaches) == (0, 0)
    assert result.doubtful_replays == (struck.replays if mark == "4" else 0)
