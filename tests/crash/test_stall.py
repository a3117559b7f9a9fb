"""A service that hangs, a keyring that hangs and clients that stall delay nobody else: every read gets its token.

How much they delay is a ratio of one run, and no test: `python -m tests.crash.stall`.
"""

import pytest

from tests.crash import stall


@pytest.mark.part("keyring")
def test_every_read_succeeds_whatever_hangs() -> None:
    found = stall.measure(seconds=1.0, readers=2)
    assert len(found) == 6
    assert {reads.situation: reads.failed for reads in found if reads.failed} == {}
    assert all(reads.micros for reads in found)
