"""One journal takes the place of another: what is durable when, and under which names the former ones lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freshd.vault import schema, succession

IMAGE = b"the new journal"
WALL = 1_790_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal that was closed in good order."""
    made = tmp_path / "journal.db"
    schema.make_file(made)
    schema.prepare(made)
    return made


def put(path: Path, steps: list[str] | None = None) -> Path | None:
    return succession.put(path, IMAGE, WALL, (steps if steps is not None else []).append)


def test_each_step_is_durable_before_the_next_begins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, fsync, link, replace = list[str](), os.fsync, os.link, Path.replace

    def synced(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def linked(source: Path, target: Path) -> None:
        steps.append("a second name")
        link(source, target)

    def replaced(source: Path, target: Path) -> Path:
        steps.append("the name")
        return replace(source, target)

    folder = f"sync {path.parent.name}"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "link", linked)
        patch.setattr(Path, "replace", replaced)
        put(path, steps)
    assert steps == [
        "sync journal.db.restoring", folder, "written", "a second name", folder, "aside", "the name", folder, "placed"
    ]  # fmt: skip
    assert path.read_bytes() == IMAGE


def test_two_that_are_set_aside_within_one_second_have_two_names(path: Path) -> None:
    path.write_bytes(b"rot" * 100)
    first = put(path)
    path.write_bytes(b"more rot" * 100)
    second = put(path)
    assert first is not None
    assert second is not None
    assert (first.read_bytes(), second.read_bytes()) == (b"rot" * 100, b"more rot" * 100)
