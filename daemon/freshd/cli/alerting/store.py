"""What must outlive a restart: what is open, what is still to be told, and how far the log was read; one file.

Rules
-----
* All three are written together, so they always agree: nothing is told twice for a restart, and nothing forgotten.
* Another name first, then fsync, rename, fsync of the folder.
* A file that cannot be understood is set aside, not trusted and not overwritten; one begins anew.
* Without a folder everything is kept in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from freshd.core.alerts import Alert, Book, Kind, Message
from freshd.core.events import Severity
from freshd.errors import StoreError

FILE: Final = "alerts.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept.  `cursor`: the journal's, behind the last line taken in; None: never listened."""

    book: Book = field(default_factory=Book)
    messages: tuple[Message, ...] = ()
    cursor: str | None = None


class Store:
    """The file in that folder.  None: in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE

    def load(self) -> Kept:
        """What was kept; nothing where there is no file.  Raises StoreError where it cannot be read."""
        if self._path is None:
            return Kept()
        try:
            return _kept(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise self._unusable(error) from None
        except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_suffix(".unreadable"))
            return Kept()

    def save(self, kept: Kept) -> None:
        """Keep it, durably.  Raises StoreError."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(_document(kept), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StoreError:
        folder = None if self._path is None else self._path.parent
        return StoreError(
            f"{self._path}: {error.strerror}", f"let this user write in {folder}, or name another --state"
        )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _document(kept: Kept) -> dict[str, Any]:
    return {
        "version": VERSION, "cursor": kept.cursor,
        "open": [_plain(alert) for alert in kept.book.open],
        "happened": [_plain(alert) for alert in kept.book.happened],
        "messages": [
            {"kind": message.kind.value, "alert": _plain(message.alert), "at": message.at, "because": message.because}
            for message in kept.messages
        ],
    }  # fmt: skip


def _kept(document: Mapping[str, Any]) -> Kept:
    if document["version"] != VERSION:
        raise ValueError("another version")
    cursor = document["cursor"]
    return Kept(
        Book(_alerts(document["open"]), _alerts(document["happened"])),
        tuple(_message(message) for message in document["messages"]),
        None if cursor is None else str(cursor),
    )


def _message(plain: Mapping[str, Any]) -> Message:
    return Message(Kind(plain["kind"]), _alert(plain["alert"]), float(plain["at"]), str(plain["because"]))


def _alerts(plain: Iterable[Mapping[str, Any]]) -> tuple[Alert, ...]:
    return tuple(_alert(alert) for alert in plain)


def _plain(alert: Alert) -> dict[str, Any]:
    return {**asdict(alert), "severity": int(alert.severity)}


def _alert(plain: Mapping[str, Any]) -> Alert:
    return Alert(**{**plain, "severity": Severity(plain["severity"])})
