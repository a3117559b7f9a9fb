"""Where the configuration and the socket are, unless somebody says so.

Rules
-----
* What was named explicitly is taken as it is, there or not.
* A user's own files come before the machine's; for root there are only the machine's.
* The configuration is asked for its socket without judging it: a broken one is `freshd check`'s affair, and a user
  who may not read it still finds the usual place.
* Must not: import `freshd.config`, which takes longer than most verbs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from freshd.client.address import find_socket

CONFIG_VARIABLE: Final = "FRESHD_CONFIG"
SOCKET_VARIABLE: Final = "FRESHD_SOCKET"
SYSTEM_CONFIG: Final = Path("/etc/freshd/freshd.toml")


def config_path(environ: Mapping[str, str], uid: int) -> Path:
    """The configuration in force: $FRESHD_CONFIG, the user's own, the machine's."""
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    folder = _user_folder(environ)
    if uid == 0 or folder is None:
        return SYSTEM_CONFIG
    own = folder / "freshd" / "freshd.toml"
    return SYSTEM_CONFIG if not own.exists() and SYSTEM_CONFIG.exists() else own


def socket_path(environ: Mapping[str, str], config: Path) -> Path:
    """The daemon's socket: $FRESHD_SOCKET, the one in the configuration, else where every client looks."""
    named = environ.get(SOCKET_VARIABLE)
    if named:
        return Path(named)
    return _configured_socket(environ, config) or Path(find_socket())


def _user_folder(environ: Mapping[str, str]) -> Path | None:
    for folder in (environ.get("XDG_CONFIG_HOME", ""), f"{environ.get('HOME', '')}/.config"):
        if folder.startswith("/") and folder != "/.config":
            return Path(folder)
    return None


def _configured_socket(environ: Mapping[str, str], config: Path) -> Path | None:
    try:
        table = tomllib.loads(config.read_text(encoding="utf-8")).get("socket")
    except (OSError, ValueError, RecursionError):
        return None
    text = table.get("path") if isinstance(table, dict) else None
    if not isinstance(text, str):
        return None
    home = environ.get("HOME", "")
    text = f"{home}/{text[2:]}" if text.startswith("~/") and home else text
    return Path(text) if text.startswith("/") and "\0" not in text else None
