"""The journal as a kill left it, read from a copy: the original is for the daemon that starts next."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

from tests.crash.fates import Kept


def look(state_dir: Path, account: str) -> Kept:
    """What is durable of the account.  The columns asked for are in the clear; nothing is unsealed."""
    with tempfile.TemporaryDirectory(prefix="freshd-copy-") as folder:
        for name in ("journal.db", "journal.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(state_dir / name, Path(folder) / name)
        with contextlib.closing(sqlite3.connect(Path(folder) / "journal.db")) as copy:
            record = copy.execute("SELECT generation FROM records WHERE account = ?", (account,)).fetchone()
            intent = copy.execute("SELECT escrow IS NOT NULL FROM intents WHERE account = ?", (account,)).fetchone()
    return Kept(record[0] if record else 0, intent is not None, bool(intent and intent[0]))
