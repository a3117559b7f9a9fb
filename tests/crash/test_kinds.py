"""A kill -9 of other kinds of account: the same fates, but that a broker asks for another code."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.batch import Batch
from tests.crash.fates import Fate
from tests.crash.feishu import Feishu
from tests.crash.futu import FutuBroker, FutuPlatform
from tests.crash.services import Sandbox

ROUNDS: Final = {"lease": 0, "code": 1}
"""What the killed exchange of a broker was to bring, by the round in which `plan` has it."""
EXPECTED: Final = {"4": Fate.OURS, "5": Fate.RECOVERED}


def batch(kind: type[Sandbox], round_: int = 0, marks: tuple[str, ...] = tuple(EXPECTED)) -> Iterator[Batch]:
    with kind() as service:
        specs = plan.at_points(kind.name, "sealed", round_ + 1)[round_ * len((*plan.POINTS, *plan.DURABLE)) :]
        begun = Batch(service, [spec for spec in specs if spec.mark in marks])
        yield begun
        begun.close()


@pytest.fixture(scope="module", params=[Feishu, FutuPlatform])
def single_use(request: pytest.FixtureRequest) -> Iterator[Batch]:
    yield from batch(request.param)


@pytest.fixture(scope="module")
def leases() -> Iterator[Batch]:
    yield from batch(FutuBroker, ROUNDS["lease"])


@pytest.fixture(scope="module")
def codes() -> Iterator[Batch]:
    yield from batch(FutuBroker, ROUNDS["code"], ("4", "5"))


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_kill_at_a_point_comes_to_the_same_whatever_the_service(single_use: Batch, mark: str) -> None:
    result = single_use.result(mark)
    assert result.fate is EXPECTED[mark], result
    assert (result.spent_uses, result.breaches) == (0, 0)
    assert result.doubtful_replays == (result.fate is Fate.OURS)


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_broker_has_its_lease_again_or_asks_for_another_code(leases: Batch, mark: str) -> None:
    result = leases.result(mark)
    assert result.fate is (Fate.HEALED if mark == "4" else EXPECTED[mark]), result
    assert (result.spent_uses, result.doubtful_replays, result.breaches) == (0, 0, 0)


@pytest.mark.parametrize(("mark", "fate"), [("4", Fate.HEALED), ("5", Fate.RECOVERED)])
def test_a_code_that_was_answered_is_in_stock_again_or_asked_for_again(codes: Batch, mark: str, fate: Fate) -> None:
    result = codes.result(mark)
    assert result.fate is fate, result
    assert result.evidence.commits[-1].operation == "repull"
    assert (result.spent_uses, result.doubtful_replays, result.breaches) == (0, 0, 0)
