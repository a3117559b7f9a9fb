"""Runs the operator's command for one message.

Rules
-----
* Never a shell.  Only `{subject}` in an argument is filled in; the whole message is on standard input, its parts are in
  the environment, and of our own environment only what programs need to find their way.
* A command that hangs is killed with its children at the deadline.
* A command that ends with 0 has told it; everything else is tried again.  What it prints goes to our standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from freshd.cli.alerting import words
from freshd.core.alerts import Message
from freshd.errors import ConfigError

DEADLINE_SECONDS: Final = 30.0
SUBJECT: Final = "{subject}"
PASSED_ON: Final = (
    "PATH", "HOME", "USER", "LANG", "TZ", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
)  # fmt: skip


def parsed(text: str) -> tuple[str, ...]:
    """Program and arguments of the option --run.  Raises ConfigError."""
    try:
        parts = tuple(shlex.split(text))
    except ValueError:
        parts = ()
    if not parts:
        raise ConfigError("--run names no command", "write a program and its arguments: --run '/etc/freshd/alert'")
    return parts


class Command:
    """The operator's command.  `run` says why it failed, and "" where it did not."""

    def __init__(self, parts: Sequence[str], environ: Mapping[str, str], deadline: float = DEADLINE_SECONDS) -> None:
        self._parts = parts
        self._environ = {name: environ[name] for name in PASSED_ON if name in environ}
        self._deadline = deadline

    async def run(self, message: Message) -> str:
        """Tell one message, within the deadline."""
        argv = [part.replace(SUBJECT, words.subject(message)) for part in self._parts]
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=2, env={**self._environ, **words.variables(message)},
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        try:
            async with asyncio.timeout(self._deadline):
                await process.communicate(words.text(message).encode())
        except TimeoutError:
            return f"took longer than {self._deadline:g} s"
        finally:
            if process.returncode is None:
                await _end(process)
        return "" if process.returncode == 0 else f"ended with {_ending(process.returncode or 0)}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """With its children: its session is its own.  What a command that ended by itself left running may go on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _ending(code: int) -> str:
    return f"status {code}" if code >= 0 else f"signal {-code}"
