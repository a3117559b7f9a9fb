"""Lines of a log become events: journald's JSON (journalctl -o json) and freshd's own JSON lines.

Rules
-----
* Whatever cannot be read is no event: garbage ends nothing, and is counted by whoever reads.
* The unit's other lines count twice only: the last words of a freshd that could not run (cause and remedy, as the
  command line prints them), and the service manager's word that the unit failed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from freshd.core.alerts import Line
from freshd.core.events import Severity

UNIT_FAILED: Final = "d9b373ed55a64feb8242e02dbe79a49c"
"""The message id of "UNIT: Failed with result …" (sd-messages.h, SD_MESSAGE_UNIT_FAILURE_RESULT)."""
NATIVE: Final = frozenset({"MESSAGE", "PRIORITY", "EVENT", "ACCOUNT", "REMEDY", "CLEARS"})
OURS: Final = frozenset({"message", "level", "event", "account", "remedy", "clears", "timestamp"})
CAUSE: Final = "freshd: "
REMEDY: Final = "  remedy: "
LEVELS: Final = {severity.name.lower(): severity for severity in Severity}


class Reader:
    """Reads one line after the other; remembers the last words of a daemon that is ending."""

    def __init__(self) -> None:
        self.garbage = 0
        self._cause = self._remedy = ""

    def read(self, text: str) -> tuple[Line | None, str | None]:
        """The event of a line, None where it holds none, and the journal's cursor behind it, None where it has none."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self.garbage += bool(text.strip())
            return None, None
        if "__REALTIME_TIMESTAMP" in document:
            plain = {str(key): value for key, value in document.items() if isinstance(value, str)}
            return self._native(plain), plain.get("__CURSOR")
        return _own(document), None

    def _native(self, entry: Mapping[str, str]) -> Line | None:
        at = _number(entry["__REALTIME_TIMESTAMP"]) if "__REALTIME_TIMESTAMP" in entry else None
        if at is None:
            return None
        if entry.get("MESSAGE_ID") == UNIT_FAILED:
            return self._failed(entry, at / 1e6)
        if "EVENT" not in entry:
            self._listen(entry.get("MESSAGE", ""))
            return None
        self._cause = self._remedy = ""
        return Line(
            event=entry["EVENT"], at=at / 1e6, account=entry.get("ACCOUNT"), level=_level(entry.get("PRIORITY", "")),
            meaning=entry.get("MESSAGE", ""), remedy=entry.get("REMEDY", ""), clears=_names(entry.get("CLEARS")),
            fields=_native_fields(entry),
        )  # fmt: skip

    def _listen(self, message: str) -> None:
        if message.startswith(CAUSE):
            self._cause, self._remedy = message.removeprefix(CAUSE), ""
        elif message.startswith(REMEDY):
            self._remedy = message.removeprefix(REMEDY)

    def _failed(self, entry: Mapping[str, str], at: float) -> Line:
        result = entry.get("UNIT_RESULT", "") or "unknown"
        fields = {"result": result, "cause": self._cause}
        return Line("daemon.failed", at, remedy=self._remedy, fields=MappingProxyType(fields))


def _native_fields(entry: Mapping[str, str]) -> Mapping[str, str]:
    names = (name for name in entry if name not in NATIVE and not name.startswith(("_", "SYSLOG_")))
    return {name.lower(): entry[name] for name in names}


def _own(document: Mapping[str, Any]) -> Line | None:
    event, account, at = document.get("event"), document.get("account"), _moment(document.get("timestamp"))
    if not isinstance(event, str) or at is None:
        return None
    return Line(
        event=event, at=at, account=account if isinstance(account, str) else None,
        level=LEVELS.get(str(document.get("level"))), meaning=_text(document.get("message")),
        remedy=_text(document.get("remedy")), clears=_names(document.get("clears")),
        fields={str(key): _text(value) for key, value in document.items() if key not in OURS},
    )  # fmt: skip


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _names(value: object) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else ()


def _moment(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _level(priority: str) -> Severity | None:
    return Severity(int(priority)) if priority in {str(int(severity)) for severity in Severity} else None
