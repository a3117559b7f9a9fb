"""`backup` and `verify` asked for twice at once: the newest counts, and whoever waited for the other is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freshd.errors import NotPossible
from freshd.vault import KeyFile
from freshd.vault.lookout import Lookout
from tests.contract.copy_bed import HOW, KEY
from tests.contract.vault_bed import Bed, enrolled

BACKUP: dict[str, Any] = {
    "key": KEY.hex(),
    "derivation": {"way": HOW.way, "salt": "c3" * 22, "memory_kib": 8, "iterations": 1, "lanes": 1},
}


@pytest.fixture
async def lookout(tmp_path: Path) -> AsyncIterator[Lookout]:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    lookout = Lookout(vault._opening)
    yield lookout
    lookout.stop()
    await bed.aclose()


@pytest.mark.timeout(60)
async def test_a_backup_that_is_overtaken_while_it_is_waited_for_says_so(lookout: Lookout) -> None:
    first = (await lookout.verbs["backup"](BACKUP))["session"]
    waiting = asyncio.ensure_future(lookout.verbs["backup-part"]({"session": first}))
    await asyncio.sleep(0)
    second = (await lookout.verbs["backup"](BACKUP))["session"]
    with pytest.raises(NotPossible, match="another one took its place"):
        await waiting
    with pytest.raises(NotPossible, match="another one took its place"):
        await lookout.verbs["backup-part"]({"session": first})
    told = await lookout.verbs["backup-part"]({"session": second})
    assert told["ready"]
    assert (await lookout.verbs["backup-done"]({"session": second}))["accounts"] == 1


@pytest.mark.timeout(60)
async def test_an_examination_that_is_overtaken_while_it_is_waited_for_says_so(lookout: Lookout) -> None:
    waiting = asyncio.ensure_future(lookout.verbs["verify"]({}))
    await asyncio.sleep(0)
    told = await lookout.verbs["verify"]({})
    with pytest.raises(NotPossible, match="another one took its place"):
        await waiting
    assert told["done"]


@pytest.mark.timeout(60)
async def test_whoever_waits_at_the_end_of_the_daemon_is_told(lookout: Lookout) -> None:
    session = (await lookout.verbs["backup"](BACKUP))["session"]
    waiting = asyncio.ensure_future(lookout.verbs["backup-part"]({"session": session}))
    await asyncio.sleep(0)
    lookout.stop()
    with pytest.raises(NotPossible, match="is over"):
        await waiting
