"""What a broker must have again after a kill, and which code it must not present, by what the journal held."""

import pytest

from tests.crash.fates import Commit, Kept, Left
from tests.crash.futu import SPENDS, doubtful_code, has_all

PULLED, SPENT, PULLED_AGAIN = (
    Commit("signature", "code-1", 1, 1, 1, 1, "repull"),
    Commit("code-1", "lease-1", 2, 2, 2, 2, SPENDS),
    Commit("signature", "code-2", 3, 3, 3, 3, "repull"),
)
SPENT_AGAIN = Commit("code-2", "lease-2", 4, 4, 4, 4, SPENDS)
ALL = (PULLED, SPENT, PULLED_AGAIN, SPENT_AGAIN)


def left(commits: int, saved: int, *, intent: bool = False, escrow: bool = False) -> Left:
    return Left(ALL[:commits], saved, Kept(9, intent, escrow))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (left(3, 3), None),
        (left(4, 3, intent=True), "code-2"),  # spent, and the answer lost
        (left(3, 3, intent=True), "code-2"),  # promised, and never sent
        (left(4, 4, intent=True, escrow=True), None),
        (left(2, 2, intent=True), None),  # a new code was asked for: nothing that is spent by asking
        (left(3, 2, intent=True), None),
    ],
)
def test_a_code_counts_as_spent_once_it_was_promised_and_nobody_has_the_answer(what: Left, code: str | None) -> None:
    assert doubtful_code(what) == code


def test_readers_get_the_newest_lease_that_the_journal_held() -> None:
    assert has_all(left(2, 2), "lease-1-and-more", ())
    assert not has_all(left(2, 2), None, ())
    assert not has_all(left(4, 4, intent=True, escrow=True), "lease-1", ())
    assert has_all(left(4, 3, intent=True), "lease-1", ())


def test_the_code_in_stock_is_the_next_one_spent() -> None:
    other = Commit("code-3", "lease-3", 5, 5, 5, 5, SPENDS)
    assert has_all(left(3, 3), "lease-1", (SPENT_AGAIN,))
    assert has_all(left(3, 3, intent=True, escrow=True), "lease-1", (SPENT_AGAIN,))
    assert not has_all(left(3, 3), "lease-1", (other,))
    assert not has_all(left(3, 3), "lease-1", ())
    assert has_all(left(3, 3, intent=True), "lease-1", (other,))  # given up
