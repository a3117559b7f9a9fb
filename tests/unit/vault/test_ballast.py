"""Room that is ours before it is needed: real blocks, durable, whole or none."""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path

import pytest

from freshd.vault.ballast import MEBIBYTE, Ballast


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ballast"


def test_I2_the_room_is_of_blocks_that_no_file_system_saves(path: Path) -> None:
    assert Ballast(path).holds(1)
    content = path.read_bytes()
    assert len(content) == MEBIBYTE
    assert path.stat().st_blocks * 512 >= MEBIBYTE
    assert len(zlib.compress(content)) > MEBIBYTE


def test_I2_there_is_room_only_once_it_is_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = list[str](), os.fsync

    def sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    assert Ballast(path).holds(1)
    assert synced == ["ballast", path.parent.name]


def test_I2_a_disk_that_fills_up_meanwhile_leaves_no_half_and_no_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.pwrite, iter([1])

    def fill(descriptor: int, content: bytes, at: int) -> int:
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[: MEBIBYTE // 2], at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fill)
        assert not Ballast(path).holds(1)
    assert not path.exists()
    assert Ballast(path).holds(1)


def test_a_block_that_cannot_be_written_back_is_no_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert not Ballast(path).holds(1)
    assert not path.exists()


def test_what_was_thrown_overboard_once_gives_no_more_room(path: Path) -> None:
    ballast = Ballast(path)
    assert ballast.holds(1)
    assert ballast.release()
    assert not path.exists()
    assert not ballast.release()
