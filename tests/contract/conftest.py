"""What several suites of this folder stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.rekey_bed import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """In a folder of its own, so that copies of it may lie beside it."""
    (tmp_path / "world").mkdir()
    world = World(tmp_path / "world")
    yield world
    await world.aclose()
