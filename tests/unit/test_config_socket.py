"""Where the socket may be, as far as the configuration can tell."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from freshd.config.places import socket_problem


def test_a_socket_that_is_there_needs_no_folder_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a reload systemd's variables are long gone; and who checks the file is seldom who runs freshd."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    path = tmp_path / "freshd.sock"
    assert socket_problem(path, {}, can_make=False) is not None
    os.mknod(path, stat.S_IFSOCK | 0o600)
    assert socket_problem(path, {}, can_make=False) is None
