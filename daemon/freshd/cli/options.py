"""What verbs have in common: the options --config, --socket and --json, and the examples under their help.

An option may stand before the verb or behind it; behind it wins.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from freshd.cli import places
from freshd.cli.daemon import Daemon

Function = Callable[..., Any]

CONFIG_HELP = "The configuration file.  [default: $FRESHD_CONFIG, the user's, the machine's]"
SOCKET_HELP = "The daemon's socket.  [default: $FRESHD_SOCKET, the one in the configuration, the usual place]"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a verb plays.  None: not said."""

    named_config: Path | None = None
    named_socket: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration file, there or not."""
        return self.named_config or places.config_path(os.environ, os.geteuid())

    @property
    def socket(self) -> Path:
        """The daemon's socket, there or not."""
        return self.named_socket or places.socket_path(os.environ, self.config)

    def daemon(self) -> Daemon:
        """The daemon; nothing is asked of it yet."""
        return Daemon(self.socket)


def place_options(function: Function) -> Function:
    """The options --config and --socket themselves."""
    path = click.Path(path_type=Path)
    function = click.option("--socket", type=path, metavar="PATH", help=SOCKET_HELP)(function)
    return click.option("--config", type=path, metavar="FILE", help=CONFIG_HELP)(function)


def on_scene(function: Function) -> Function:
    """Give the function a `Scene` as its first argument."""

    @place_options
    @functools.wraps(function)
    def wrapped(config: Path | None, socket: Path | None, **rest: object) -> object:
        above = click.get_current_context().find_root().params
        return function(Scene(config or above.get("config"), socket or above.get("socket")), **rest)

    return wrapped


as_json = click.option("--json", "json", is_flag=True, help="Print JSON for programs.")
account = click.argument("account", metavar="ACCOUNT")


def examples(*lines: str) -> str:
    """The epilog that shows a verb in use; the marker keeps its lines apart."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
