"""What most tests of this folder stand on: a service, and a daemon's folder beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.services import Sandbox
from tests.flow.bed import Bed


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    """Strict; its leases outlive the tests."""
    with Sandbox(access_seconds=3600) as sandbox:
        yield sandbox


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with Bed(tmp_path) as made:
        yield made
