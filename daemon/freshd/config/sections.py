"""The tables that stand once in a file: [socket], [vault], [log], operators, and the folder of the journal."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from freshd.config.places import Surroundings, file_problem, folder_problem, new_file_problem, socket_problem
from freshd.config.readers import group_of, readers_of
from freshd.config.report import Report
from freshd.config.tables import LogTable, SocketTable, VaultTable, read
from freshd.core.access import Readers
from freshd.core.problem import Problem, listed
from freshd.core.settings import LogSettings, SocketSettings, VaultSettings

UNSAFE_BACKEND: Final = re.compile(r"chainer|fail|null|plaintext|\balts?\b|cryptfile|keyrings\.alt", re.IGNORECASE)
"""Back ends that read elsewhere than they write, drop what is written, or keep it in the clear (design 6)."""
BACKENDS: Final = ("secret-service", "kwallet", "macos", "windows")
"""The names that vault.keyring knows."""
NOWHERE: Final = Path("/nonexistent")
"""Stands for a path that was reported as wrong: no Settings with it is ever returned."""


class Sections:
    """Reads them, one method each.  Whatever is wrong is reported, and a default stands in for it."""

    def __init__(self, report: Report, raw: Mapping[str, object], surroundings: Surroundings) -> None:
        self._report = report
        self._raw = raw
        self._here = surroundings

    def state_dir(self) -> Path:
        """The folder of the journal."""
        given = self._raw.get("state_dir")
        if given is not None and not isinstance(given, str):
            return NOWHERE  # The root table's shape has reported it.
        place = self._path(given, "state_dir") if given else self._here.state_dir()
        if place is None:
            place = self._nowhere("state_dir")
        elif place is not NOWHERE:
            self._note(self._taken(place) or folder_problem(place, "state_dir", can_make=given is None))
        return place

    def _taken(self, place: Path) -> Problem | None:
        if not place.exists() or place.is_dir():
            return None
        return Problem(("state_dir",), "is a file, and a folder is needed", "move the file away, or write another path")

    def socket(self) -> SocketSettings:
        """Path, permission bits and group of the socket."""
        table = read(self._report, SocketTable, self._raw.get("socket"), "socket")
        path = self._path(table.path, "socket", "path") if table.path else self._here.socket_path()
        if path is None:
            path = self._nowhere("socket", "path")
        elif path is not NOWHERE:
            self._note(socket_problem(path, self._here.environ, can_make=table.path is None))
        group = group_of(self._report, table.group, "socket", "group")
        mode = table.mode or (0o600 if table.group is None else 0o660)
        return SocketSettings(path, mode, group)

    def vault(self, state_dir: Path) -> VaultSettings:
        """Where grants rest and who keeps the sealing key."""
        table = read(self._report, VaultTable, self._raw.get("vault"), "vault")
        self._judge_vault(table)
        key_file = self._path(table.key_file, "vault", "key_file") if table.key_file else None
        if key_file is not None and key_file is not NOWHERE and table.custodian == "key-file":
            judge = file_problem if os.path.lexists(key_file) else new_file_problem
            self._note(judge(key_file, "vault", "key_file"))
        anchor = self._path(table.anchor, "vault", "anchor") if table.anchor else None
        if anchor is not None and anchor is not NOWHERE:
            self._judge_anchor(anchor, state_dir)
        return VaultSettings(table.placement, table.custodian, key_file, table.credential, table.backend, anchor)

    def log(self) -> LogSettings:
        """Format and level of log lines."""
        table = read(self._report, LogTable, self._raw.get("log"), "log")
        return LogSettings(table.format, table.level)

    def operators(self) -> Readers:
        """Who may operate: by default the user that freshd runs as, and root."""
        raw = self._raw.get("operators")
        if raw is None:
            return Readers(users=frozenset({self._here.uid, 0}))
        return readers_of(self._report, raw, "operators")

    def _judge_vault(self, table: VaultTable) -> None:
        if table.custodian == "key-file" and table.key_file is None:
            self._say(("vault", "key_file"), 'missing for custodian = "key-file"', 'add key_file = "/PATH"')
        if table.custodian != "key-file" and table.key_file is not None:
            wrong = 'means something with custodian = "key-file" only'
            self._say(("vault", "key_file"), wrong, 'write custodian = "key-file", or remove it')
        if table.backend is not None and UNSAFE_BACKEND.search(table.backend):
            wrong = "a back end that loses secrets or keeps them in the clear"
            self._say(("vault", "backend"), wrong, 'remove it, or write custodian = "systemd-credential"')
        elif table.backend is not None and table.backend not in BACKENDS:
            wrong = "not a keyring back end that freshd knows"
            self._say(("vault", "backend"), wrong, f"remove it, or write one of: {listed(BACKENDS)}")

        if table.placement == "keyring" and table.custodian in ("key-file", "systemd-credential"):
            wrong = f'rests grants in the OS keyring, and custodian = "{table.custodian}" is none'
            self._say(("vault", "placement"), wrong, 'write placement = "sealed", or custodian = "keyring"')
        if "/" in table.credential or table.credential in (".", ".."):
            wrong = "must be the name of a systemd credential"
            self._say(("vault", "credential"), wrong, "write the name alone, no path")

    def _judge_anchor(self, anchor: Path, state_dir: Path) -> None:
        if anchor.is_relative_to(state_dir):
            wrong = "lies in state_dir: an old copy of the journal would bring its anchor along"
            self._say(("vault", "anchor"), wrong, "write a path in another folder, on another disk at best")
        else:
            self._note(new_file_problem(anchor, "vault", "anchor"))

    def _path(self, text: str, *key: str) -> Path:
        made = self._here.path(text, *key)
        if isinstance(made, Problem):
            self._note(made)
            return NOWHERE
        return made

    def _nowhere(self, *key: str) -> Path:
        self._say(key, "this user has no folder for it", f'write {key[-1]} = "/PATH"')
        return NOWHERE

    def _say(self, key: tuple[str, ...], wrong: str, write: str) -> None:
        self._report.add([Problem(key, wrong, write)])

    def _note(self, problem: Problem | None) -> None:
        if problem is not None:
            self._report.add([problem])
