"""The listening socket: adopted from systemd, or bound here with the right mode.

Rules
-----
* The caller holds the lock on the state directory: two daemons of one state never meet here.  Even so a socket on
  which somebody answers is never removed; one on which nobody answers is stale and makes way.
* The last folder of the path is made where it is missing: for the owner alone, or for all to pass where the socket
  lets a group in.
* Mode and owner are set between bind and listen.  Until listen every connect is refused, so there is no moment at
  which a wrong mode lets anybody in, and the umask, which other threads of the process share, stays as it is.
* At the end the path is removed only while it still is the socket made here.  An adopted socket is left alone.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from freshd.errors import FreshdError

BACKLOG: Final = 1024
MAX_PATH_BYTES: Final = 107
FIRST_INHERITED: Final = 3
DEFAULT_MODE: Final = 0o660


class SocketUnusable(FreshdError):
    """The place for the socket cannot be used; nothing was changed."""

    exit_code: ClassVar[int] = 71
    type: ClassVar[str] = "socket"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to bind.  `mode` and `group` say who may connect; who may read what is the policy's affair."""

    path: Path
    mode: int = DEFAULT_MODE
    group: int | None = None
    owner: int | None = None


def bind(place: Place) -> socket.socket:
    """A listening socket at the place.  Raises SocketUnusable."""
    raw = os.fsencode(place.path)
    if len(raw) > MAX_PATH_BYTES:
        raise SocketUnusable(
            f"{place.path}: the path of a Unix socket has at most {MAX_PATH_BYTES} bytes", "Choose a shorter path."
        )
    _make_folder(place)
    _clear(place.path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.bind(raw)
        place.path.chmod(place.mode)
        if place.group is not None or place.owner is not None:
            os.chown(raw, -1 if place.owner is None else place.owner, -1 if place.group is None else place.group)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _unusable(place.path, error) from None
    return listener


def _make_folder(place: Place) -> None:
    folder, mode = place.path.parent, 0o755 if place.mode & 0o077 else 0o700
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(mode)  # the umask has no say
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(place.path, error) from None


def _clear(path: Path) -> None:
    """Make way for a bind: removes a socket on which nobody answers, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error) from None
    if not stat.S_ISSOCK(mode):
        raise SocketUnusable(f"{path} exists and is no socket", f"Look at it, then remove it: rm {path}")
    if _is_live(path):
        raise SocketUnusable(f"{path}: another program answers on this socket", "Stop it, or choose another path.")
    path.unlink(missing_ok=True)


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        return probe.connect_ex(os.fsencode(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def _unusable(path: Path, error: OSError) -> SocketUnusable:
    folder = path.parent
    if error.errno == errno.ENOENT:
        return SocketUnusable(f"{folder.parent}: there is no such folder", f"Create it: install -d -m 0755 {folder}")
    remedy = f"Give the daemon's user the right to write in {folder}, and to use the group named for the socket."
    return SocketUnusable(f"{path}: {os.strerror(error.errno or 0)}", remedy)


def inherited(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """The sockets systemd hands to this process (sd_listen_fds(3)); takes the variables away.

    Raises SocketUnusable for what is no listening Unix stream socket.
    """
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    for_pid, number, _ = (environ.pop(name, "") for name in names)
    if for_pid != str(pid) or not number.isdigit():
        return []
    found = []
    for descriptor in range(FIRST_INHERITED, FIRST_INHERITED + int(number)):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no name
        found.append(_checked(socket.socket(fileno=descriptor)))
    return found


def _checked(listener: socket.socket) -> socket.socket:
    is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM or not is_listening:
        raise SocketUnusable(
            "systemd handed over something else than a listening Unix stream socket",
            "In the .socket unit use ListenStream= with a path, and nothing else.",
        )
    listener.settimeout(0)
    return listener


class Mark:
    """Remembers which file a bound socket is, to remove that and no successor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the socket's path, if it is still the one that was bound."""
        if self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
