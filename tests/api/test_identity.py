"""Who a caller is: its unit, its uid and every one of its groups, as far as they are proven."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from freshd.api import peer
from freshd.api.caller import Caller
from freshd.api.peer import Peer, identify
from freshd.core.access import Identity, Policy, Readers

MANY_GROUPS = range(5000, 5300)
JOIN_AND_CONNECT = """
import os, socket, sys
os.setgroups(range(int(sys.argv[2]), int(sys.argv[3])))
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sys.stdin.read()
"""


def test_I12_a_unit_that_is_read_while_the_process_ends_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another process's by then."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        pidfd = os.pidfd_open(process.pid)

        def read(_pid: int) -> str:
            process.kill()
            select.select([pidfd], [], [], 10)
            return "web.service"

        monkeypatch.setattr(peer, "unit_of", read)
        found = Peer(Identity(os.geteuid(), 1, pid=process.pid), pidfd, proven=True)
        found.learn_unit()
        assert found.identity.unit is None
        found.close()


def test_I12_the_uid_that_a_process_acts_as_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    status = "Name:\tweb\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\n"
    monkeypatch.setattr(Path, "read_text", lambda _self, **_how: status)
    assert peer._effective_uid(os.getpid()) == 1001


def test_I12_a_rule_for_operators_alone_may_name_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "unit_of", lambda _pid: "ops.service")
    pid = os.getpid()
    found = Peer(Identity(os.geteuid(), 1, pid=pid), os.pidfd_open(pid), proven=True)
    caller = Caller(found, Policy(operators=Readers(units=frozenset({"ops.service"}))))
    assert caller.operates
    assert not caller.may_read("mail")
    caller.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can join groups")
def test_I12_each_of_several_hundred_groups_counts(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        bounds = [str(MANY_GROUPS.start), str(MANY_GROUPS.stop)]
        command = [sys.executable, "-c", JOIN_AND_CONNECT, str(tmp_path / "s"), *bounds]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            connection, _ = listener.accept()
            found = identify(connection)
            process.communicate()
            connection.close()
    assert found is not None
    assert found.identity.groups == frozenset(MANY_GROUPS)
    found.close()
