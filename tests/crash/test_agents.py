"""A kill -9 of an agent's account: lost answers are healed by the key, and no key is lost that was registered."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.crash import plan
from tests.crash.aun import LOGIN, REFRESH, Aun, AunCreate, AunLogin, AunRekey, doubtful_token, goes_on
from tests.crash.batch import Batch
from tests.crash.fates import Commit, Fate, Kept, Left
from tests.crash.spec import Spec

EXPECTED: Final = {"4": Fate.HEALED, "5": Fate.RECOVERED}


def batch(kind: type[Aun], specs: list[Spec]) -> Iterator[Batch]:
    with kind() as service:
        begun = Batch(service, specs)
        yield begun
        begun.close()


def first(kind: type[Aun]) -> list[Spec]:
    return [spec for spec in plan.at_points(kind.name, "sealed") if spec.mark in EXPECTED]


@pytest.fixture(scope="module", params=[Aun, AunLogin, AunRekey, AunCreate])
def struck(request: pytest.FixtureRequest) -> Iterator[Batch]:
    yield from batch(request.param, first(request.param))


@pytest.fixture(scope="module")
def twice() -> Iterator[Batch]:
    """The second change of a key in a row: no refresh token is in hand any more."""
    specs = [spec for spec in plan.at_points(AunRekey.name, "sealed", 2) if (spec.mark, spec.passage) == ("4", 2)]
    yield from batch(AunRekey, specs)


@pytest.mark.parametrize("mark", EXPECTED)
def test_an_agent_lives_whatever_was_lost(struck: Batch, mark: str) -> None:
    result = struck.result(mark)
    assert result.fate is EXPECTED[mark], result
    assert (result.spent_uses, result.doubtful_replays, result.breaches) == (0, 0, 0)


def test_a_key_whose_registration_was_not_answered_is_found_although_somebody_waits(twice: Batch) -> None:
    result = twice.result("4")
    assert result.fate is Fate.HEALED, result
    assert (result.spent_uses, result.doubtful_replays, result.breaches) == (0, 0, 0)


OLD, NEW = Commit("a", "b", 1, 1, 1, 1, REFRESH), Commit("b", "c", 2, 2, 2, 2, REFRESH)
SIGNED: Final = Commit("nonce", "d", 3, 3, 3, 3, LOGIN)
DOUBTFUL, CLEAN = Kept(1, intent=True, escrow=False), Kept(1, intent=False, escrow=False)


@pytest.mark.parametrize(
    ("left", "token"),
    [
        (Left((OLD,), 1, CLEAN), None),
        (Left((OLD,), 1, DOUBTFUL), "b"),
        (Left((OLD, NEW), 1, DOUBTFUL), "b"),
        (Left((OLD, NEW), 2, Kept(1, intent=True, escrow=True)), None),
    ],
)
def test_a_token_whose_answer_nobody_has_counts_as_spent(left: Left, token: str | None) -> None:
    assert doubtful_token(left) == token


@pytest.mark.parametrize(
    ("left", "since", "is_restored"),
    [
        (Left((OLD,), 1, CLEAN), [NEW], True),
        (Left((OLD,), 1, CLEAN), [SIGNED], False),
        (Left((OLD, NEW), 1, DOUBTFUL), [SIGNED], True),
        (Left((OLD, NEW), 1, DOUBTFUL), [NEW], False),
    ],
)
def test_what_was_kept_is_gone_on_with_and_what_is_in_doubt_is_not(
    left: Left, since: list[Commit], is_restored: bool
) -> None:
    assert goes_on(left, since) is is_restored
