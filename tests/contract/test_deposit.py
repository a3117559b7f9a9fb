"""A file is put in its place whole: two writers of one file, what a kill has left, and places that are no files."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freshd.errors import FreshdError, NotPossible, StoreError
from freshd.vault import deposit

LEFT = ".copy.0123abcd.new"
DYING = """
import os, pathlib, signal, sys
from freshd.vault import deposit
def trace(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
deposit.put(pathlib.Path(sys.argv[1]), [b"half"], lambda _new: None, force=False, trace=trace)
"""


def put(path: Path, content: bytes, *, force: bool = True, trace: Callable[[str], None] = lambda _step: None) -> None:
    """Each write proves that what lies there is its own."""

    def prove(new: Path) -> None:
        assert new.read_bytes() == content

    deposit.put(path, iter([content[:7], content[7:]]), prove, force=force, trace=trace)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def at_once(path: Path, *, force: bool) -> list[FreshdError | None]:
    """Two writers that wait for each other at each step, so that each is between any two steps of the other."""
    steps = threading.Barrier(2, timeout=20)

    def trace(step: str) -> None:
        if step != "named":
            steps.wait()

    def one(content: bytes) -> FreshdError | None:
        try:
            put(path, content, force=force, trace=trace)
        except FreshdError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, (b"first " * 1000, b"second " * 1000)))


def test_two_that_may_replace_each_write_their_own_and_the_last_one_wins(tmp_path: Path) -> None:
    for _ in range(20):
        assert at_once(tmp_path / "copy", force=True) == [None, None]
        assert (tmp_path / "copy").read_bytes() in (b"first " * 1000, b"second " * 1000)
        assert names(tmp_path) == ["copy"]


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_that_may_not_replace_one_wins_and_the_other_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", without_links)
    for number in range(20):
        path = tmp_path / f"copy-{number}"
        [refusal] = [error for error in at_once(path, force=False) if error is not None]
        assert isinstance(refusal, NotPossible)
        assert "--force" in refusal.remedy
        assert path.read_bytes() in (b"first " * 1000, b"second " * 1000)
    assert len(names(tmp_path)) == 20


def without_links(_source: object, _target: object) -> None:
    """A file system that has none."""
    raise OSError(errno.EPERM, "Operation not permitted")


def test_without_links_the_name_is_claimed_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that another writer, at this very instant, finds it taken."""
    replace, refused = Path.replace, list[Path]()

    def at_that_instant(new: Path, target: Path) -> None:
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(NotPossible, match="is there already"):
            put(target, b"the other", force=False)
        refused.append(target)
        replace(new, target)

    monkeypatch.setattr(os, "link", without_links)
    monkeypatch.setattr(Path, "replace", at_that_instant)
    put(tmp_path / "copy", b"content", force=False)
    assert refused
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_a_name_that_cannot_be_taken_without_links_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", without_links)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        put(tmp_path / "copy", b"content", force=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["written", "proven", "named"])
def test_what_a_killed_writer_has_left_the_next_one_takes_away(tmp_path: Path, step: str) -> None:
    path = tmp_path / "copy"
    ended = subprocess.run([sys.executable, "-c", DYING, path, step], check=False, timeout=40)
    assert ended.returncode < 0
    assert len(names(tmp_path)) == (2 if step == "named" else 1)
    put(path, b"content")
    assert names(tmp_path) == ["copy"]
    assert path.read_bytes() == b"content"


def test_only_what_nobody_writes_any_more_is_taken_away(tmp_path: Path) -> None:
    others = [".copy.new", ".copy.0123abcd.new~", ".copy.xyz.new", ".other.0123abcd.new", "copy.0123abcd.new"]
    for name in (LEFT, *others):
        (tmp_path / name).write_text("theirs")
    (tmp_path / ".copy.00000000.new").mkdir()
    with (tmp_path / LEFT).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        put(tmp_path / "copy", b"content")
        assert (tmp_path / LEFT).exists()
    put(tmp_path / "copy", b"content")
    assert names(tmp_path) == sorted([*others, ".copy.00000000.new", "copy"])


def test_a_writer_that_was_taken_for_left_over_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of its file and the lock on it another one looks."""
    lock, begun = deposit._lock, list[list[str]]()

    def late(descriptor: int) -> None:
        if not begun:
            begun.append(names(tmp_path))
            deposit._clear(tmp_path / "copy")
            assert names(tmp_path) == []
        lock(descriptor)

    monkeypatch.setattr(deposit, "_lock", late)
    put(tmp_path / "copy", b"content")
    assert begun
    assert names(tmp_path) == ["copy"]


def test_a_file_system_without_locks_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / LEFT).write_text("theirs")
    monkeypatch.setattr(fcntl, "flock", flock)
    put(tmp_path / "copy", b"content")
    assert names(tmp_path) == [LEFT, "copy"]  # nobody can tell whether it is still written


@pytest.fixture(params=["named pipe", "socket", "directory", "device", "symbolic link"])
def odd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """A place that is no plain file, and its kind."""
    path, kind = tmp_path / "odd", str(request.param)
    with socket.socket(socket.AF_UNIX) as held:
        if kind == "named pipe":
            os.mkfifo(path)
        elif kind == "socket":
            held.bind(str(path))
        elif kind == "directory":
            path.mkdir()
        elif kind == "device":
            path = Path(os.devnull)
        else:
            path.symlink_to("elsewhere")
        yield path, kind


@pytest.mark.parametrize("force", [False, True])
def test_a_place_that_is_no_plain_file_is_refused_and_left(odd: tuple[Path, str], force: bool) -> None:
    path, kind = odd
    before = os.lstat(path)
    with pytest.raises(NotPossible, match=f"is a {kind}, no plain file") as refused:
        deposit.may_be_put(path, force=force)
    assert "--force" in refused.value.remedy
    if kind != "device":
        with pytest.raises(FreshdError):
            put(path, b"content", force=force)
    assert (os.lstat(path).st_mode, os.lstat(path).st_ino) == (before.st_mode, before.st_ino)


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        deposit.may_be_put(tmp_path / ("n" * 300), force=False)
