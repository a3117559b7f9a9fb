"""outlets.envfile: a .env file is replaced whole or not at all, and stays what it was in everything else."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from freshd.core.dotenv import DotEnv
from freshd.outlets import envfile
from freshd.outlets.envfile import EnvFileError, change, held, read, stamp

TEXT = b"# my bot\nAPP=1\nTOKEN=old\n"
NEW = b"# my bot\nAPP=1\nTOKEN=new\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(TEXT)
    path.chmod(0o640)
    return path


def to(value: str) -> Callable[[DotEnv], DotEnv]:
    return lambda env: env.changed({"TOKEN": value})


def test_a_value_is_changed_and_mode_and_neighbours_stay(file: Path) -> None:
    seen = change(file, to("new"))
    assert (file.read_bytes(), seen.env.get("TOKEN")) == (NEW, "new")
    assert file.stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == [".env"]


def test_the_file_is_another_one_so_that_a_reader_sees_old_or_new(file: Path) -> None:
    with file.open("rb") as reader:
        change(file, to("new"))
        assert reader.read() == TEXT


def test_what_does_not_change_is_not_written(file: Path) -> None:
    before = stamp(file)
    assert change(file, to("old")).stamp == before
    assert stamp(file) == before


def test_the_stamp_that_is_told_is_the_new_files(file: Path) -> None:
    assert change(file, to("new")).stamp == stamp(file) == read(file).stamp


def test_a_symbolic_link_is_followed_and_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    change(link, to("new"))
    assert link.is_symlink()
    assert file.read_bytes() == NEW


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_owner_and_group_stay(file: Path) -> None:
    os.chown(file, 1234, 2345)
    change(file, to("new"))
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


def test_extended_attributes_stay_where_the_system_has_them(file: Path) -> None:
    try:
        os.setxattr(file, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no user attributes")
    change(file, to("new"))
    assert os.getxattr(file, "user.note") == b"mine"


# -- refusals -------------------------------------------------------------------------------------------------------


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def huge(file: Path) -> None:
    file.write_bytes(b"#" * (2**20 + 1))


def second_name(file: Path) -> None:
    os.link(file, file.with_name("other"))


def read_only(file: Path) -> None:
    file.chmod(0o440)


def open_folder(file: Path) -> None:
    file.parent.chmod(0o777)


def binary(file: Path) -> None:
    file.write_bytes(TEXT + b"\0")


def absent(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (loop, "cannot be read"),
        (folder, "no regular file"),
        (pipe, "no regular file"),
        (huge, "larger than 1 MiB"),
        (second_name, "hard links"),
        (read_only, "read-only"),
        (open_folder, "written to by other users"),
        (binary, "no text"),
        (absent, "cannot be read"),
    ],
)
def test_what_cannot_be_replaced_safely_is_refused_with_a_remedy(
    file: Path, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(file)
    with pytest.raises(EnvFileError, match=why) as caught:
        change(file, to("new"))
    assert caught.value.remedy


def test_a_folder_with_the_sticky_bit_is_safe_enough(file: Path) -> None:
    file.parent.chmod(0o1777)
    change(file, to("new"))
    assert file.read_bytes() == NEW


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can stand in for somebody else")
def test_the_file_of_somebody_else_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(EnvFileError, match="belongs to user id 0"):
        change(file, to("new"))


def test_a_name_that_is_not_there_is_an_error_and_no_silence(file: Path) -> None:
    with pytest.raises(EnvFileError, match="has no line OTHER="):
        change(file, lambda env: env.changed({"OTHER": "x"}))
    assert file.read_bytes() == TEXT


# -- accidents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_whatever_fails_the_old_file_stays_and_nothing_else_is_left(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(EnvFileError, match="cannot be replaced"):
            change(file, to("new"))
    assert file.read_bytes() == TEXT
    assert [path.name for path in file.parent.iterdir()] == [".env"]


def test_what_a_killed_predecessor_left_is_cleared_away(file: Path) -> None:
    (file.parent / "..env.freshd").write_text("half")
    change(file, to("new"))
    assert [path.name for path in file.parent.iterdir()] == [".env"]


def test_a_program_that_writes_meanwhile_is_not_overwritten(file: Path) -> None:
    seen = list[bytes]()

    def edit(env: DotEnv) -> DotEnv:
        seen.append(bytes(env))
        if len(seen) == 1:
            file.write_bytes(b"THEIRS=1\nTOKEN=other\n")
        return env.changed({"TOKEN": "new"})

    change(file, edit)
    assert file.read_bytes() == b"THEIRS=1\nTOKEN=new\n"
    assert len(seen) == 2


def test_a_program_that_never_stops_writing_wins_at_last(file: Path) -> None:
    turns = list[int]()

    def edit(env: DotEnv) -> DotEnv:
        turns.append(1)
        file.write_bytes(b"N=%d\nTOKEN=other\n" % len(turns) * len(turns))
        return env.changed({"TOKEN": "new"})

    with pytest.raises(EnvFileError, match="all the time"):
        change(file, edit)


def test_two_of_us_wait_for_each_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envfile, "LOCK_SECONDS", 0.0)
    with held(file) as mine:
        with pytest.raises(EnvFileError, match="held by another program"):
            change(file, to("other"))
        mine.replaced(to("new"))
    assert change(file, to("newer")).env.get("TOKEN") == "newer"


def test_a_file_system_without_locks_goes_without(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    change(file, to("new"))
    assert file.read_bytes() == NEW


def test_no_error_holds_a_value(file: Path) -> None:
    file.write_bytes(b"TOKEN=canary$x\n")
    with pytest.raises(EnvFileError) as caught:
        change(file, lambda env: env.changed({"TOKEN": env.get("TOKEN") or ""}))
    assert "canary" not in str(caught.value) + caught.value.remedy


def test_whether_others_may_read_it_is_told(file: Path) -> None:
    assert not read(file).is_private
    file.chmod(0o600)
    assert read(file).is_private
