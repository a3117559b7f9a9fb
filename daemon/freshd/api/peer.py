"""Who opened a connection, asked of the kernel once, at accept (I12).

Rules
-----
* uid, gid and supplementary groups are those the process had when it connected (SO_PEERCRED, SO_PEERGROUPS).
* A pidfd keeps hold of that very process: SO_PEERPIDFD where the kernel has it (6.5), else pidfd_open, which could
  by then name a successor; there a unit counts only if the process still runs as the uid that connected.
* The unit is the path below system.slice, without leading slices: names of units are unique within the system
  manager and a slice is no identity.  What lies below a unit (a delegated cgroup) is a longer path, so it is not
  that unit.  A user's own units lie below user.slice and prove nothing but the uid, which is known already.
* The overflow uid, and pid 0 (a process of a foreign pid namespace), name nobody.
* Handing on the connection, or exec, is the connecting process's own delegation; once it is gone nobody is asked for.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import select
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import Final

from freshd.core.access import OVERFLOW_UID, Identity, is_identified

SO_PEERGROUPS: Final = 59
SO_PEERPIDFD: Final = 77
FEW_GROUPS_BYTES: Final = 1024
"""As much as Python's own `getsockopt` takes: 256 groups."""
MAX_GROUPS_BYTES: Final = 4 * 65536
_CREDENTIALS: Final = struct.Struct("iII")
_SLICE: Final = "system.slice"


class Peer:
    """One caller: its identity, and whether the process that connected is still there."""

    __slots__ = ("_pidfd", "_poll", "_proven", "identity")

    def __init__(self, identity: Identity, pidfd: int | None, *, proven: bool) -> None:
        self.identity = identity
        self._pidfd = pidfd
        self._proven = proven
        self._poll = select.poll()
        if pidfd is not None:
            self._poll.register(pidfd, select.POLLIN)

    def is_alive(self) -> bool:
        """Whether the connecting process still runs; True where the kernel cannot tell."""
        return self._pidfd is None or not self._poll.poll(0)

    def learn_unit(self) -> None:
        """Fill in the identity's unit.  Reads /proc: done only where some rule names a unit."""
        unit = unit_of(self.identity.pid)
        if unit is not None and not self._proven and _effective_uid(self.identity.pid) != self.identity.uid:
            unit = None
        if self._pidfd is None or not self.is_alive():
            unit = None
        self.identity = replace(self.identity, unit=unit)

    def close(self) -> None:
        """Let go of the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def identify(connection: socket.socket) -> Peer | None:
    """The caller at the other end, None where the kernel names nobody or the process is gone."""
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    identity = Identity(uid, gid, _groups(connection), pid)
    if not is_identified(identity) or uid == overflow_uid():
        return None
    try:
        pidfd, proven = _hold(connection, pid)
    except OSError:
        return None
    peer = Peer(identity, pidfd, proven=proven)
    if not peer.is_alive():
        peer.close()
        return None
    return peer


def _hold(connection: socket.socket, pid: int) -> tuple[int | None, bool]:
    """A pidfd of the peer and whether the kernel vouches for it.  OSError: the process is gone."""
    with contextlib.suppress(OSError):
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD), True
    try:
        return os.pidfd_open(pid), False
    except ProcessLookupError:
        raise
    except OSError:
        return None, False


def _groups(connection: socket.socket) -> frozenset[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, FEW_GROUPS_BYTES)
    except OSError as error:
        raw = _many_groups(connection.fileno()) if error.errno == errno.ERANGE else b""
    return frozenset(struct.unpack(f"{len(raw) // 4}I", raw))


def _many_groups(descriptor: int) -> bytes:
    """The same where there are more than Python's own call has room for; empty where it cannot be had."""
    found, size = ctypes.create_string_buffer(MAX_GROUPS_BYTES), ctypes.c_uint32(MAX_GROUPS_BYTES)
    asked = ctypes.CDLL(None).getsockopt(descriptor, socket.SOL_SOCKET, SO_PEERGROUPS, found, ctypes.byref(size))
    return b"" if asked else found.raw[: size.value]


@functools.cache
def overflow_uid() -> int:
    """The number that stands for uids without a number here; a setting of the kernel, read once."""
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return OVERFLOW_UID


def unit_of(pid: int) -> str | None:
    """The system unit that a process runs in, None where there is none or it cannot be told."""
    try:
        return parse_unit(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def parse_unit(text: str) -> str | None:
    """The unit named by the text of /proc/PID/cgroup: systemd's own hierarchy, or the unified one."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and (controllers == "name=systemd" or number == "0"):
            paths[controllers] = path
    path = paths.get("name=systemd", paths.get("", ""))
    first, *below = path.removeprefix("/").split("/")
    if first != _SLICE or not path.startswith("/") or ".." in below or path.endswith(" (deleted)"):
        return None
    while below and below[0].endswith(".slice"):
        below.pop(0)
    return "/".join(below) or None


def _effective_uid(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = next((line.split() for line in status.splitlines() if line.startswith("Uid:")), [])
    return int(fields[2]) if len(fields) > 2 else None
