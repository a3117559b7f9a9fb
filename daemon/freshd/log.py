"""Where events become lines: structlog, in journald's native fields, JSON lines or for a terminal.

Rules
-----
* One event, one line; its name, severity, account, fields and remedy are fields of their own, never baked into a text.
* A second net under `Secret`: anything that still looks like a secret is masked before it is rendered (I10).
* Logging never blocks the daemon: journald takes datagrams without waiting; a full pipe or a stopped terminal loses
  whole lines, never halves of them, and the next line that gets through says how many.
* What a caller or a service wrote cannot forge a line, nor speak to the terminal it is shown on.
* No tracebacks with locals, ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import structlog

from freshd.core.catalogue import entry_of
from freshd.core.events import Event, Severity
from freshd.core.mask import mask

Format = Literal["auto", "journald", "json", "console"]
JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
LEVELS: Final[Mapping[str, Severity]] = {
    "debug": Severity.DEBUG, "info": Severity.INFO, "notice": Severity.NOTICE, "warning": Severity.WARNING,
    "error": Severity.ERROR, "alert": Severity.ALERT,
}  # fmt: skip
PIPE_CHUNK: Final = 4096
"""A pipe that polls as writable takes this much without waiting (PIPE_BUF)."""
TERMINAL_CHUNK: Final = 256
"""And a terminal this much (WAKEUP_CHARS of Linux's n_tty)."""
Fields = dict[str, Any]


class Log:
    """An outlet that writes lines.  `lost` counts lines that could not be written."""

    def __init__(self, form: Format = "auto", level: str = "info", stream: TextIO | None = None) -> None:
        self.lost = 0
        self._lost_untold = 0
        self._floor = LEVELS[level]
        self._stream = stream or sys.stderr
        self._form = detect(self._stream) if form == "auto" else form
        self._write: Callable[[Severity, Fields], bool] = (
            self._to_journal if self._form == "journald" else self._to_stream
        )
        self._render = _renderer(self._form, self._stream)
        self._pipe = _pipe_of(self._stream)
        self._journal: socket.socket | None = None

    def set_level(self, level: str) -> None:
        """Change how much is written, while running."""
        self._floor = LEVELS[level]

    def tell(self, event: Event) -> None:
        """Write one event; never raises."""
        entry = entry_of(event)
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
        if self._lost_untold:
            line["lines_lost"] = self._lost_untold
        try:
            is_written = self._write(entry.severity, mask(line))
        except Exception:  # noqa: BLE001 - whatever ails the log, the daemon goes on
            is_written = False
        self.lost += not is_written
        self._lost_untold = 0 if is_written else self._lost_untold + 1

    def _to_stream(self, _severity: Severity, line: Fields) -> bool:
        text = str(self._render(None, "", line)) + "\n"
        if self._pipe is not None:
            return self._pipe.write(text.encode(errors="backslashreplace"))
        self._stream.write(text)
        self._stream.flush()
        return True

    def _to_journal(self, severity: Severity, line: Fields) -> bool:
        datagram = journal_datagram(severity, line)
        try:
            self._connected().send(datagram)
        except BlockingIOError:
            return False
        except OSError:  # journald was started anew, or is not there
            self._disconnect()
            self._connected().send(datagram)
        return True

    def _connected(self) -> socket.socket:
        if self._journal is None:
            self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._journal.setblocking(False)  # noqa: FBT003 - takes no name
            try:
                self._journal.connect(JOURNAL_SOCKET)
            except OSError:
                self._disconnect()
                raise
        return self._journal

    def close(self) -> None:
        """Let go of journald; a later line takes hold of it again."""
        self._disconnect()

    def _disconnect(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = None


class Pipe:
    """A file descriptor that is never waited for.

    It is shared with other programs, so it must not be made non-blocking; it is asked before each piece instead.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._chunk = TERMINAL_CHUNK if os.isatty(descriptor) else PIPE_CHUNK
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, line: bytes) -> bool:
        """Write a line; False where nothing of it was: the rest of an earlier one has still no room.  OSError."""
        if not self._flushed() or not self._has_room():
            return False
        self._rest = line
        self._flushed()
        return True

    def _has_room(self) -> bool:
        return bool(self._poll.poll(0))

    def _flushed(self) -> bool:
        try:
            while self._rest and self._has_room():
                self._rest = self._rest[os.write(self._descriptor, self._rest[: self._chunk]) :]
        except BlockingIOError:
            return False
        except OSError:
            self._rest = b""
            raise
        return not self._rest


def _pipe_of(stream: TextIO) -> Pipe | None:
    """None for a stream in memory."""
    with contextlib.suppress(OSError, ValueError):
        return Pipe(stream.fileno())
    return None


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


def harmless(line: Fields) -> Fields:
    """For a terminal: what does not print is spelt out."""
    return {key: _spelt(value) if isinstance(value, str) else value for key, value in line.items()}


def _spelt(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _renderer(form: str, stream: TextIO) -> Callable[[Any, str, Fields], Any]:
    if form == "console":
        console = structlog.dev.ConsoleRenderer(colors=stream.isatty())
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        return lambda logger, name, line: console(logger, name, stamp(logger, name, harmless(line)))
    as_json = structlog.processors.JSONRenderer()
    stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return lambda logger, name, line: as_json(logger, name, stamped(logger, name, line))
