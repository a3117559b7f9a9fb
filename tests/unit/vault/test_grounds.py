"""The file that an anchor holds in: whole or not at all, durable, and never taken for absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freshd.errors import StoreError
from freshd.vault.anchor import FileGround


def test_an_anchor_is_durable_before_it_takes_the_place_of_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps, fsync, replace = tmp_path / "anchor", list[str](), os.fsync, Path.replace
    path.write_text("the former")

    def synced(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        assert path.read_text() == ("the next" if "the name" in steps else "the former")
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> Path:
        steps.append("the name")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "replace", replaced)
        FileGround(path).put("the next")
    assert steps == ["sync anchor.new", "the name", f"sync {tmp_path.name}"]


def test_I5_an_anchor_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "anchor"
    assert FileGround(path).get() is None
    path.write_bytes(b"\xff")
    with pytest.raises(StoreError, match="cannot be read"):
        FileGround(path).get()
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        FileGround(path).get()
