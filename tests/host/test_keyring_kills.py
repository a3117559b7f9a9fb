"""Six kills of the keyring's daemon in a short run; the hundred are in results/keyring_kills.md."""

from __future__ import annotations

import pytest

from tests.host import keyring_kills

KILLS = 6


@pytest.mark.part("keyring")
def test_no_grant_is_lost_while_the_keyrings_daemon_is_killed_and_freshd_needs_no_restart() -> None:
    seen = keyring_kills.run(KILLS, seed=20)
    assert keyring_kills.failures(seen) == []
    assert (seen.blows.total(), seen.rotations >= KILLS, seen.reads > 0) == (KILLS, True, True)
