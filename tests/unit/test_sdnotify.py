"""systemd's notification protocol against a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshd import sdnotify
from freshd.sdnotify import Notifier


@pytest.fixture(autouse=True)
def no_network() -> None:
    """The manager's socket is one of the test's."""


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """NOTIFY_SOCKET's value, and what listens there."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@freshd-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        server.settimeout(5)
        yield name, server


def test_a_message_is_one_datagram_of_lines(
    manager: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, server = manager
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notifier = Notifier()
    assert notifier.say("READY=1", "STATUS=3 accounts")
    assert notifier.say("STOPPING=1")
    assert [server.recv(4096) for _ in range(2)] == [b"READY=1\nSTATUS=3 accounts", b"STOPPING=1"]


def test_without_a_manager_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not Notifier().say("READY=1")
    assert not Notifier(str(tmp_path / "nobody")).say("READY=1")
    assert not Notifier("vsock:2:1234").say("READY=1")


def test_I11_a_manager_that_reads_nothing_does_not_hold_the_daemon_up_for_ever(
    manager: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdnotify, "PATIENCE_SECONDS", 0.01)
    notifier = Notifier(manager[0])
    assert notifier.say("WATCHDOG=1")
    assert not all(notifier.say("WATCHDOG=1" + "x" * 4096) for _ in range(2000))


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        (None, None, None), ("", "", None), ("30000000", None, 30.0), ("30000000", "own", 30.0),
        ("30000000", "1", None), ("soon", None, None), ("-1", None, None), ("0", None, 0.0),
    ],
)  # fmt: skip
def test_the_watchdogs_wish_counts_for_this_process_only(
    usec: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        if value is None:
            monkeypatch.delenv(key, raising=False)
        else:
            monkeypatch.setenv(key, value)
    assert Notifier("").watchdog_seconds == seconds
