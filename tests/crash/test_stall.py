"""A service that hangs, a keyring that hangs and clients that stall delay nobody else: every read gets its token.

How much they delay is a ratio of one run, and no test: `python -m tests.crash.stall`.
"""

import pytest

from tests.crash import stall


@pytest.mark.part("keyring")
def test_every_read_succeeds_whatever_hangs() -> None:
    found = stall.measure(rounds=1, seconds=1.0, readers=2)
    assert len(found) == 5
    slices = {situation: one for situation, (one,) in found.items()}
    assert {situation: one.failed for situation, one in slices.items() if one.failed} == {}
    assert all(one.micros for one in slices.values())
