"""What opens a backup: a passphrase typed in, one from a file, or a key file.

Rules
-----
* Never from the command line or the environment, where other programs see it.
* Typed in twice for a new file, and not shown; a mistyped one would be noticed in the hour of need.
* A file that other users may read is refused.  A pipe that the shell hands over is taken for a file.
* What is given leaves this process as the key of one file, if at all.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from freshd.cli.named_file import reading
from freshd.cli.output import hint
from freshd.errors import NotPossible

MOST_BYTES: Final = 4096
SHORT_CHARS: Final = 12
"""Below this a passphrase is guessed before the hardware that guesses it is paid for."""
Function = Callable[..., Any]


def options(function: Function) -> Function:
    """The options --passphrase-file and --key-file."""
    path = click.Path(path_type=Path)
    text = "Take the passphrase from a file; else it is asked for."
    function = click.option("--key-file", type=path, metavar="KEYFILE", help="A file of 32 bytes in its place.")(
        function
    )
    return click.option("--passphrase-file", type=path, metavar="PASSFILE", help=text)(function)


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives, not looked at yet."""

    passphrase_file: Path | None
    key_file: Path | None

    @property
    def way(self) -> str:
        """How a key is made of it, as `copies` calls it.  Raises UsageError."""
        from freshd.vault.copies import ARGON2ID, KEY_FILE

        if self.passphrase_file is not None and self.key_file is not None:
            raise click.UsageError("a passphrase or a key file, not both")
        return ARGON2ID if self.key_file is None else KEY_FILE

    def read(self, *, anew: bool) -> bytes:
        """The passphrase, or the key file's 32 bytes.  `anew`: for a new file.  Raises NotPossible."""
        if self.key_file is not None:
            return _key(self.key_file)
        if self.passphrase_file is not None:
            found = _private(self.passphrase_file).removesuffix(b"\n").removesuffix(b"\r")
            if not found:
                raise NotPossible(f"{self.passphrase_file} holds no passphrase", "write one into it, on one line")
            return found
        return _typed(anew=anew)


def _key(path: Path) -> bytes:
    from freshd.vault.seal import KEY_BYTES, parse_key

    content = _private(path)
    key = content if len(content) == KEY_BYTES else parse_key(content.decode("ascii", "replace"))
    if key is None:
        raise NotPossible(
            f"{path} holds no key: 32 bytes are needed, as they are or as hex or base64",
            f"make one: (umask 077; head -c 32 /dev/urandom > {path})",
        )
    return key


def _private(path: Path) -> bytes:
    try:
        with reading(path) as file:
            content, status = file.read(MOST_BYTES + 1), os.fstat(file.fileno())
    except OSError as error:
        raise NotPossible(f"{path} cannot be read: {error.strerror}", "name a file that you may read") from None
    if stat.S_IMODE(status.st_mode) & 0o077 and stat.S_ISREG(status.st_mode):
        raise NotPossible(f"{path} is open to other users", f"chmod 600 {path}")
    if len(content) > MOST_BYTES:
        raise NotPossible(f"{path} is too long", f"at most {MOST_BYTES} bytes are a passphrase or a key")
    return content


def _typed(*, anew: bool) -> bytes:
    if not sys.stdin.isatty():
        raise NotPossible(
            "nobody is there to type a passphrase", "add --passphrase-file PASSFILE, or --key-file KEYFILE"
        )
    found = getpass.getpass("passphrase of the backup (not shown): ")
    if not found:
        raise NotPossible("no passphrase was typed", "a backup holds every secret: think of a long one")
    if anew and getpass.getpass("once more: ") != found:
        raise NotPossible("the two passphrases differ", "try again")
    if anew and len(found) < SHORT_CHARS:
        hint(f"a passphrase of {len(found)} characters is guessed with little effort; some words are better")
    return found.encode("utf-8", "surrogateescape")
