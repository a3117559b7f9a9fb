"""The socket file: right mode from the first moment, nothing live removed, nothing of others touched."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from freshd.api.listen import Mark, Place, SocketUnusable, bind, inherited


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_as_asked_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o777)
    try:
        listener = bind(Place(tmp_path / "s", mode))
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "s") == mode
    listener.close()


@pytest.mark.parametrize(("mode", "folder_mode"), [(0o600, 0o700), (0o660, 0o755)])
def test_the_last_folder_is_made_where_it_is_missing(tmp_path: Path, mode: int, folder_mode: int) -> None:
    before = os.umask(0o077)
    try:
        bind(Place(tmp_path / "new" / "s", mode)).close()
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == folder_mode
    (tmp_path / "new").chmod(0o711)
    bind(Place(tmp_path / "new" / "s", mode)).close()
    assert mode_of(tmp_path / "new") == 0o711


def test_group_and_owner_are_set(tmp_path: Path) -> None:
    listener = bind(Place(tmp_path / "s", group=os.getegid(), owner=os.geteuid()))
    assert (tmp_path / "s").stat().st_gid == os.getegid()
    listener.close()


def test_a_stale_socket_makes_way(tmp_path: Path) -> None:
    bind(Place(tmp_path / "s")).close()
    listener = bind(Place(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    listener.close()


def test_a_live_socket_is_never_removed(tmp_path: Path) -> None:
    listener = bind(Place(tmp_path / "s"))
    with pytest.raises(SocketUnusable, match="answers"):
        bind(Place(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    listener.close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(SocketUnusable) as caught:
        bind(Place(tmp_path / "s"))
    assert "rm " in caught.value.remedy
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize(("name", "said"), [("no/such/s", "no such folder"), ("x" * 120, "at most 107 bytes")])
def test_an_impossible_place_is_explained(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SocketUnusable, match=said):
        bind(Place(tmp_path / name))


def test_at_the_end_only_the_own_socket_is_removed(tmp_path: Path) -> None:
    first = bind(Place(tmp_path / "s"))
    mark = Mark(tmp_path / "s")
    (tmp_path / "s").unlink()
    second = bind(Place(tmp_path / "s"))
    mark.remove()
    assert (tmp_path / "s").exists()
    Mark(tmp_path / "s").remove()
    assert not (tmp_path / "s").exists()
    first.close()
    second.close()


ADOPT = """
import os, socket
from freshd.api.listen import SocketUnusable, inherited
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    print([s.getsockname() for s in inherited(os.environ, os.getpid())], "LISTEN_FDS" in os.environ)
except SocketUnusable as error:
    print("unusable", error.remedy)
"""


def adopted(descriptor: int) -> str:
    """What a process says that is handed the descriptor as number 3."""

    def hand_over() -> None:
        os.dup2(descriptor, 3)

    run = subprocess.run(
        [sys.executable, "-c", ADOPT], env={**os.environ, "LISTEN_FDS": "1"}, preexec_fn=hand_over, close_fds=False,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout


def test_systemds_socket_is_adopted_and_its_variables_taken_away(tmp_path: Path) -> None:
    listener = bind(Place(tmp_path / "s"))
    assert adopted(listener.fileno()) == f"['{tmp_path / 's'}'] False\n"
    listener.close()


def test_another_kind_of_socket_is_refused() -> None:
    with socket.socket(socket.AF_INET) as other:
        assert adopted(other.fileno()).startswith("unusable")


def test_variables_for_another_process_are_not_for_us() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert inherited(environ, os.getpid()) == []
    assert environ == {}
