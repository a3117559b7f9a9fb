"""Runs that strace recorded, shared by what looks at their order and what cuts their power."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pytest

from tests.crash import recording, sabotage
from tests.crash.recording import Recorded
from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.crash.trace import Watched

Sabotaged = Mapping[str, "Future[Recorded]"]
AT_ONCE: Final = 2


@pytest.fixture(scope="session")
def promising() -> Iterator[Sandbox]:
    """A service whose leases outlive the tests."""
    with Sandbox(access_seconds=recording.LONG_SECONDS) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def lives(promising: Sandbox) -> Recorded:
    """An honest daemon's."""
    return recording.lives(promising)


@pytest.fixture(scope="session")
def sabotaged(promising: Sandbox) -> Iterator[Sabotaged]:
    """One life of each kind of sabotage, begun together."""

    def recorded(kind: str) -> Recorded:
        def start(scene: Watched) -> Process:
            return scene.run([sys.executable, "-m", "tests.crash.sabotage", kind, str(scene.config)])

        return recording.lives(promising, (1,), start)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {kind: pool.submit(recorded, kind) for kind in sabotage.KINDS}
