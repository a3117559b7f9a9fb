"""What the kernel says of the other end of a socket, and what is made of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshd.api import peer
from freshd.api.peer import Peer, identify, parse_unit
from freshd.core.access import Identity


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    yield both
    for end in both:
        end.close()


def test_the_kernel_names_this_process(ends: tuple[socket.socket, socket.socket]) -> None:
    found = identify(ends[0])
    assert found is not None
    identity = found.identity
    assert (identity.uid, identity.gid, identity.pid) == (os.geteuid(), os.getegid(), os.getpid())
    assert identity.groups == frozenset(os.getgroups())
    assert identity.unit is None
    assert found.is_alive()
    found.close()


def test_without_the_newer_socket_option_a_pidfd_is_opened_by_number(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "SO_PEERPIDFD", 9999)
    found = identify(ends[0])
    assert found is not None
    assert found.is_alive()
    found.close()


def test_without_any_pidfd_a_unit_is_never_proven(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_pid: int) -> int:
        raise OSError("no such call")

    monkeypatch.setattr(peer, "SO_PEERPIDFD", 9999)
    monkeypatch.setattr(os, "pidfd_open", absent)
    monkeypatch.setattr(peer, "unit_of", lambda _pid: "web.service")
    found = identify(ends[0])
    assert found is not None
    assert found.is_alive()
    found.learn_unit()
    assert found.identity.unit is None


CONNECT_AND_HOLD = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sys.stdin.read()
"""


@pytest.mark.parametrize("option", [77, 9999])
def test_a_process_that_ended_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: int) -> None:
    monkeypatch.setattr(peer, "SO_PEERPIDFD", option)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        command = [sys.executable, "-c", CONNECT_AND_HOLD, str(tmp_path / "s")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            connection, _ = listener.accept()
            found = identify(connection)
            assert found is not None
            assert found.identity.pid == process.pid
            assert found.is_alive()
            process.communicate()
            assert not found.is_alive()
            assert identify(connection) is None
            found.close()
            connection.close()


@pytest.mark.parametrize("credentials", [(77, 65534, 100), (0, 1000, 100)])
def test_whoever_has_no_number_here_is_nobody(credentials: tuple[int, int, int]) -> None:
    class Strange:
        def getsockopt(self, _level: int, option: int, size: int = 0) -> bytes:
            if option == socket.SO_PEERCRED:
                return peer._CREDENTIALS.pack(*credentials)
            raise OSError

    assert identify(Strange()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/web.service\n", "web.service"),
        ("0::/system.slice/system-web.slice/web@1.service\n", "web@1.service"),
        ("0::/system.slice/ci.service/job-7\n", "ci.service/job-7"),
        ("0::/system.slice/ci.service/system.slice/web.service\n", "ci.service/system.slice/web.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/system.slice/web.service\n", None),
        ("0::/machine.slice/box.service/payload/system.slice/web.service\n", None),
        ("0::/../system.slice/web.service\n", None),
        ("0::/system.slice/../web.service\n", None),
        ("0::/system.slice/web.service (deleted)\n", None),
        ("0::/system.slice\n", None),
        ("0::system.slice/web.service\n", None),
        ("0::/\n", None),
        ("", None),
        ("12:pids:/system.slice/web.service\n", None),
        ("4:cpu:/system.slice/evil.service\n1:name=systemd:/system.slice/web.service\n0::/\n", "web.service"),
    ],
)
def test_a_unit_is_the_path_below_system_slice(text: str, unit: str | None) -> None:
    assert parse_unit(text) == unit


def test_I12_the_kernels_own_number_for_nobody_names_nobody(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "overflow_uid", os.geteuid)
    assert identify(ends[0]) is None


def test_a_unit_found_by_number_counts_only_for_the_uid_that_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "unit_of", lambda _pid: "web.service")
    for uid, unit in ((os.geteuid(), "web.service"), (os.geteuid() + 1, None)):
        found = Peer(Identity(uid, 1, pid=os.getpid()), os.pidfd_open(os.getpid()), proven=False)
        found.learn_unit()
        assert found.identity.unit == unit
        found.close()
