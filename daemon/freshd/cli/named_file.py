"""A file that a person names to be read: a plain one, or a pipe that the shell handed over.

Rules
-----
* A named pipe, a device, a socket or a folder is refused before it is opened: nobody may ever write into the pipe, a
  device may have no end.
* A pipe without a name, as `<(pass show backup)` or `/dev/stdin` behind a `|`, is read to its end: whoever set it up
  writes into it.
* Must not: judge what is in it, or who may read it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from freshd.errors import NotPossible


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file, open.  Raises NotPossible for what is neither, OSError where it cannot be opened."""
    _must_be_readable(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _must_be_readable(path, os.fstat(descriptor))  # once more: it may be another one by now
        os.set_blocking(descriptor, True)
        yield file


def _must_be_readable(path: Path, status: os.stat_result) -> None:
    from freshd.vault.statedir import kind_of

    if not stat.S_ISREG(status.st_mode) and not _is_nameless_pipe(status):
        raise NotPossible(
            f"{path} is {kind_of(status.st_mode)}, no plain file", "name a plain file, or hand a pipe over: <(COMMAND)"
        )


def _is_nameless_pipe(status: os.stat_result) -> bool:
    """All of them lie on one file system, which is mounted nowhere."""
    if not stat.S_ISFIFO(status.st_mode):
        return False
    ends = os.pipe()
    try:
        return os.fstat(ends[0]).st_dev == status.st_dev
    finally:
        for end in ends:
            os.close(end)
