"""The journal as a kill left it, read from a copy: the original is for the daemon that starts next."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from tests.crash.fates import Kept

LOOKS: Final = ("settle-key", "adopt-certificate")
UNASKED: Final = """SELECT count(*) FROM history WHERE account = ? AND (json_extract(line, '$.outcome') = 'kept' OR
    (json_extract(line, '$.outcome') = 'ok' AND json_extract(line, '$.rung') IN (?, ?)))"""
"""Generations for which the service committed nothing: a key made durable before it is registered, and a look at what
is registered."""


def look(state_dir: Path, account: str) -> Kept:
    """What is durable of the account; a generation for which the service committed nothing does not count.

    The columns asked for are in the clear; nothing is unsealed.
    """
    with tempfile.TemporaryDirectory(prefix="freshd-copy-") as folder:
        for name in ("journal.db", "journal.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(state_dir / name, Path(folder) / name)
        with contextlib.closing(sqlite3.connect(Path(folder) / "journal.db")) as copy:
            (unasked,) = copy.execute(UNASKED, (account, *LOOKS)).fetchone()
            record = copy.execute("SELECT generation FROM records WHERE account = ?", (account,)).fetchone()
            intent = copy.execute("SELECT escrow IS NOT NULL FROM intents WHERE account = ?", (account,)).fetchone()
    return Kept(record[0] - unasked if record else 0, intent is not None, bool(intent and intent[0]))
