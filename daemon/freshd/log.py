"""Where events become lines: structlog, in journald's native fields, JSON lines or for a terminal.

Rules
-----
* One event, one line; its name, severity, account, fields and remedy are fields of their own, never baked into a text.
* A second net under `Secret`: anything that still looks like a secret is masked before it is rendered (I10).
* Logging never blocks the daemon: journald takes datagrams without waiting, a full pipe loses lines and counts them.
* No tracebacks with locals, ever.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import structlog

from freshd.core.events import Event, Severity
from freshd.core.model import Secret

Format = Literal["auto", "journald", "json", "console"]
JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
MASK: Final = "[masked]"
SECRET_KEYS: Final = re.compile(r"(?i)(^|_)(token|secret|password|passwd|ticket|authorization|cookie|code_verifier)$")
SECRET_TEXT: Final = re.compile(
    r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}|\beyJ[a-z0-9_-]{8,}\.[a-z0-9_-]+|\b(?:rt|at)-[a-z0-9_-]{12,}"
)
LEVELS: Final[Mapping[str, Severity]] = {
    "debug": Severity.DEBUG, "info": Severity.INFO, "notice": Severity.NOTICE, "warning": Severity.WARNING,
    "error": Severity.ERROR, "alert": Severity.ALERT,
}  # fmt: skip
Fields = dict[str, Any]


class Log:
    """An outlet that writes lines.  `lost` counts lines that could not be written."""

    def __init__(self, form: Format = "auto", level: str = "info", stream: TextIO | None = None) -> None:
        self.lost = 0
        self._floor = LEVELS[level]
        self._stream = stream or sys.stderr
        self._form = detect(self._stream) if form == "auto" else form
        self._write: Callable[[Severity, Fields], None] = (
            self._to_journal if self._form == "journald" else self._to_stream
        )
        self._render = _renderer(self._form, self._stream)
        self._journal: socket.socket | None = None

    def set_level(self, level: str) -> None:
        """Change how much is written, while running."""
        self._floor = LEVELS[level]

    def tell(self, event: Event) -> None:
        """Write one event; never raises."""
        entry = event.entry
        if entry.severity > self._floor:
            return
        line: Fields = {"event": event.name, "level": entry.severity.name.lower(), "message": entry.meaning}
        if event.account is not None:
            line["account"] = event.account
        line |= {key: value for key, value in event.fields.items() if value is not None}
        remedy = event.remedy or entry.remedy.replace("ACCOUNT", event.account or "ACCOUNT")
        if remedy:
            line["remedy"] = remedy
        if entry.clears:
            line["clears"] = " ".join(entry.clears)
        try:
            self._write(entry.severity, mask(line))
        except OSError:
            self.lost += 1

    def _to_stream(self, _severity: Severity, line: Fields) -> None:
        print(self._render(None, "", line), file=self._stream, flush=True)

    def _to_journal(self, severity: Severity, line: Fields) -> None:
        if self._journal is None:
            self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._journal.setblocking(False)  # noqa: FBT003 - takes no name
            self._journal.connect(JOURNAL_SOCKET)
        self._journal.send(journal_datagram(severity, line))


def detect(stream: TextIO) -> Format:
    """The form for a stream: journald where stderr is its own, console on a terminal, else JSON."""
    wanted = os.environ.get("JOURNAL_STREAM", "")
    if wanted and Path(JOURNAL_SOCKET).exists():
        try:
            stat = os.fstat(stream.fileno())
        except (OSError, ValueError):
            return "json"
        if wanted == f"{stat.st_dev}:{stat.st_ino}":
            return "journald"
    return "console" if stream.isatty() else "json"


def journal_datagram(severity: Severity, line: Mapping[str, Any]) -> bytes:
    """A line in journald's native protocol: KEY=value lines; a value with a newline goes length-first."""
    account = f" [{line['account']}]" if "account" in line else ""
    more = " ".join(f"{key}={value}" for key, value in line.items() if key not in _IN_TEXT)
    text = f"{line['event']}{account}: {line['message']}" + (f" ({more})" if more else "")
    remedy = f" -> {line['remedy']}" if "remedy" in line else ""
    fields = {"MESSAGE": text + remedy, "PRIORITY": str(int(severity)), "SYSLOG_IDENTIFIER": "freshd"}
    fields |= {key.upper().replace("-", "_").replace(".", "_"): str(value) for key, value in line.items()
               if key not in ("message", "level")}  # fmt: skip
    return b"".join(_journal_field(key, value) for key, value in fields.items())


_IN_TEXT: Final = frozenset({"event", "account", "message", "level", "remedy", "clears"})


def _journal_field(key: str, value: str) -> bytes:
    raw = value.encode(errors="replace")
    if b"\n" not in raw:
        return key.encode() + b"=" + raw + b"\n"
    return key.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"


def mask(line: Fields) -> Fields:
    """The second net: secrets by type, by the name of their key, by their look."""
    return {key: _masked(key, value) for key, value in line.items()}


def _masked(key: str, value: object) -> object:
    if isinstance(value, Secret):
        return repr(value)
    if not isinstance(value, str):
        return value
    return MASK if SECRET_KEYS.search(key) else SECRET_TEXT.sub(MASK, value)


def _renderer(form: str, stream: TextIO) -> Callable[[Any, str, Fields], Any]:
    if form == "console":
        console = structlog.dev.ConsoleRenderer(colors=stream.isatty())
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        return lambda logger, name, line: console(logger, name, stamp(logger, name, line))
    as_json = structlog.processors.JSONRenderer()
    stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return lambda logger, name, line: as_json(logger, name, stamped(logger, name, line))
