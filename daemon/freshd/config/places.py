"""Files and folders that the configuration names: where they are by default, and whether they can be used here."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.core.problem import Problem
from freshd.core.settings import SecretRef, Way

SOCKET_PATH_BYTES: Final = 107
"""What fits into sockaddr_un.sun_path with its closing zero."""
OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the process's surroundings decides about defaults.  `uid`: the effective one."""

    environ: Mapping[str, str]
    uid: int

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        return cls(os.environ, os.geteuid())

    def state_dir(self) -> Path | None:
        """The folder that systemd made, else the system's for root, else the user's."""
        given = self.environ.get("STATE_DIRECTORY", "").split(":")[0]
        if given:
            return Path(given)
        if self.uid == 0:
            return Path("/var/lib/freshd")
        state = self.environ.get("XDG_STATE_HOME") or self._home(".local/state")
        return None if state is None else Path(state) / "freshd"

    def socket_path(self) -> Path | None:
        """The same for the socket; None where there is no folder for it."""
        given = self.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        if given:
            return Path(given) / "freshd.sock"
        if self.uid == 0:
            return Path("/run/freshd/freshd.sock")
        runtime = self.environ.get("XDG_RUNTIME_DIR")
        return Path(runtime) / "freshd" / "freshd.sock" if runtime else None

    def path(self, text: str, *key: str) -> Path | Problem:
        """An absolute path from one that may begin with ~/."""
        home = self._home("")
        if text.startswith("~/") and home is not None:
            text = home + text[2:]
        if text.startswith("/") and "\0" not in text:
            return Path(text)
        return Problem(key, "must be an absolute path", 'write "/PATH", or "~/PATH" for a place in your home')

    def _home(self, below: str) -> str | None:
        home = self.environ.get("HOME", "")
        return f"{home.rstrip('/')}/{below}" if home.startswith("/") else None


def socket_problem(path: Path, environ: Mapping[str, str], *, can_make: bool) -> Problem | None:
    """Why the socket cannot be bound there.

    One handed over by systemd needs no folder; at a reload, and for others who check the file, it is simply there.
    """
    key = ("socket", "path")
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        return Problem(key, "too long for a socket", f"write a path of at most {SOCKET_PATH_BYTES} bytes")
    if environ.get("LISTEN_FDS") or _is_socket(path):
        return None
    return folder_problem(path.parent, *key, can_make=can_make)


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except (OSError, ValueError):
        return False


def folder_problem(folder: Path, *key: str, can_make: bool) -> Problem | None:
    """Why freshd cannot write into a folder.

    It makes the last part of a folder itself, and with `can_make` (a place of the standards) every missing part.
    """
    try:
        there = folder if folder.exists() else folder.parent
        while can_make and not there.exists():
            there = there.parent
        if not there.is_dir():
            return Problem(key, "its folder is unreachable", "make the folder, or write a path whose folder exists")
    except (OSError, ValueError):
        return Problem(key, "its folder is unreachable", "write a path that this user may reach")
    if not os.access(there, os.W_OK | os.X_OK):
        return Problem(key, "its folder is not writable for this user", "change its owner, or write another path")
    return None


def new_file_problem(path: Path, *key: str) -> Problem | None:
    """Why freshd cannot make, or put another in the place of, a file: it makes no folder for it."""
    try:
        is_there = path.parent.is_dir()
    except (OSError, ValueError):
        is_there = False
    if not is_there:
        return Problem(key, "its folder is unreachable", "make the folder, or write a path whose folder exists")
    return folder_problem(path.parent, *key, can_make=False)


def secret_problem(ref: SecretRef, environ: Mapping[str, str]) -> Problem | None:
    """Why a referenced secret is certainly not there.  The keyring is left alone: asking may block or prompt."""
    if ref.way is Way.FILE:
        return file_problem(Path(ref.where[0]), "file")
    if ref.way is Way.COMMAND and not _can_run(Path(ref.where[0])):
        return Problem(("command", 0), "no program that this user may run", "write the path of an executable file")
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if ref.way is Way.CREDENTIAL and folder:
        missing = file_problem(Path(folder) / ref.where[0], "credential", private=False)
        write = "add LoadCredentialEncrypted= to the unit, or write the name of one that is there"
        return missing and Problem(("credential",), "the unit has no such credential", write)
    return None


def file_problem(path: Path, *key: str, private: bool = True) -> Problem | None:
    """Why a file with a secret cannot be used."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return Problem(key, "the file is not there or out of reach", "make it with mode 0600, or correct the path")
    if not stat.S_ISREG(mode):
        return Problem(key, "is no file", "write the path of a file with the secret in it")
    if private and mode & OTHERS:
        return Problem(key, "other users may use the file", "take their rights away: chmod 600")
    if not os.access(path, os.R_OK):
        return Problem(key, "this user may not read the file", "give it to the user that freshd runs as")
    return None


def _can_run(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False
