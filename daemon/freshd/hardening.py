"""What keeps secrets in this process: no core dump, nobody attaches, private files, no words that nobody masks (I10).

Rules
-----
* Called once, before the first secret is read.  What a system does not have is left out; nothing here fails.
* Memory is not locked: a page that is to stay costs the limit `RLIMIT_MEMLOCK` of every user for an interpreter of
  60 MB, and Python copies secrets wherever it likes.  The unit keeps the process off swap instead (systemd/README.md).
* A limit of 0 stops core files, and is not asked where the kernel pipes dumps to a program; there it is the second
  measure that counts: what is not dumpable is dumped nowhere, and its memory and environment belong to root.
* Libraries' log lines and warnings go nowhere: nobody masks them, and a full pipe would hold the daemon up.
* A mistake that nobody caught is told by its kind and place.  Its text may hold what a service or a caller sent.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

PR_SET_DUMPABLE: Final = 4


def harden() -> None:
    """All of it, for the whole process and what it starts from now on."""
    os.umask(0o077)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)  # noqa: FBT003 - takes no name
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def where(trace: TracebackType | None) -> str:
    """File, line and function of the innermost frame; empty where there is none."""
    frames = traceback.extract_tb(trace, limit=-1)
    return f"{Path(frames[0].filename).name}:{frames[0].lineno} in {frames[0].name}" if frames else ""


def _uncaught(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    _say(kind, trace)


def _unraisable(met: sys.UnraisableHookArgs) -> None:
    _say(met.exc_type, met.exc_traceback)


def _in_thread(met: threading.ExceptHookArgs) -> None:
    if met.exc_type is not SystemExit:
        _say(met.exc_type, met.exc_traceback)


def _say(kind: type[BaseException], trace: TracebackType | None) -> None:
    with contextlib.suppress(Exception):  # standard error may be closed by now
        sys.stderr.write(f"freshd: bug: {kind.__name__} at {where(trace) or 'an unknown place'}\n")
