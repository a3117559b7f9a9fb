"""What trials run against outlives what a kill does to it."""

from __future__ import annotations

import contextlib

import pytest

from tests.crash.servers import Keyrings
from tests.flow.bed import until

pytestmark = pytest.mark.part("keyring")


def test_a_keyring_daemon_that_dies_under_a_trial_is_replaced_and_unlocked(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.ExitStack() as stack:
        keyrings = Keyrings(stack)
        with keyrings.lent():
            bed = keyrings._bed
            assert bed is not None
            before = bed.daemon_pid()
            bed.kill()
            until("it is told", lambda: "another one is there" in capsys.readouterr().out)
            assert bed.daemon_pid() not in (None, before)
            assert not bed.is_locked()
        assert keyrings._attended.keys() == {bed}
    assert not keyrings._attended
