"""What a person is told: of every trouble once, and once when it is over (design 9).

Rules
-----
* A trouble is one account, one event and the value of the field that tells its causes apart (`Entry.apart`).
* It is told when it begins, told again when at most half of the time is left that was left the last time, and told
  once more when an event that clears it comes.  Everything else about it is silent.
* What no event clears (a clock that jumped) merely happened: it is told, and not again within the hour.
* A service chooses its codes: causes of one event beyond `MOST_CAUSES` count as one.
* Every text is bounded and without control characters, whoever wrote it.
* The line speaks for itself: the catalogue fills in what a line leaves out, so that lines of a newer freshd work too.
* Pure: `now` is the moment that a line itself bears.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Entry, Severity

QUIET_SECONDS: Final = 3600.0
"""How long something that merely happened is not told again."""
AGAIN_AT: Final = 0.5
"""At this share of the time that was left the last time it is worth a second word."""
SLACK: Final = 0.02
"""Leads are announced at halves; rounding and a late tick must not swallow one."""
MOST_CAUSES: Final = 8
MORE: Final = "further causes"
TEXT_MOST: Final = 300
DETAILS_MOST: Final = 600
LASTING: Final = frozenset(name.partition(":")[0] for entry in CATALOGUE.values() for name in entry.clears)
"""Events whose trouble ends with another event."""
UNCATALOGUED: Final = Entry(Severity.NOTICE, "")


@dataclass(frozen=True, slots=True)
class Line:
    """One event as a line of the log tells it.

    at      wall-clock second
    level   None where the line does not say
    """

    event: str
    at: float
    account: str | None = None
    level: Severity | None = None
    meaning: str = ""
    remedy: str = ""
    clears: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def entry(self) -> Entry:
        """Its line in the catalogue; an empty one where it is not known here."""
        return CATALOGUE.get(self.event, UNCATALOGUED)

    @property
    def severity(self) -> Severity:
        """How loud."""
        return self.entry.severity if self.level is None else self.level


class Kind(enum.Enum):
    """Why a person is told."""

    RAISED = "raised"
    REMINDER = "reminder"
    HAPPENED = "happened"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alert:
    """One trouble.

    since  wall-clock second at which it began
    by     wall-clock second at which it will hurt; None: no date is known
    left   seconds that were left when it was last told
    """

    event: str
    account: str | None
    cause: str
    severity: Severity
    meaning: str
    remedy: str
    since: float
    by: float | None = None
    left: float | None = None
    details: str = ""

    @property
    def key(self) -> tuple[str, str | None, str]:
        """What it is one of."""
        return self.event, self.account, self.cause


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told.  `because`: the event that cleared it."""

    kind: Kind
    alert: Alert
    at: float
    because: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """What is open, in the order it began, and what merely happened of late."""

    open: tuple[Alert, ...] = ()
    happened: tuple[Alert, ...] = ()


Noted = tuple[Book, tuple[Message, ...]]


def note(book: Book, line: Line, least: Severity = Severity.WARNING) -> Noted:
    """The book after one more line, and what a person is told of it.  `least`: what is less loud raises nothing."""
    cleared = tuple(alert for alert in book.open if _ends(line, alert))
    told = [Message(Kind.CLEARED, alert, line.at, line.event) for alert in cleared]
    book = replace(book, open=tuple(alert for alert in book.open if alert not in cleared))
    if line.severity > least:
        return book, tuple(told)
    after, message = _lasting(book, line) if line.event in LASTING else _happened(book, line)
    return after, (*told, *message)


def standing(book: Book) -> tuple[Message, ...]:
    """One message for each open trouble: for somebody who begins to listen now."""
    return tuple(Message(Kind.RAISED, alert, alert.since) for alert in book.open)


def _lasting(book: Book, line: Line) -> Noted:
    fresh = _alert(line, _cause(book, line))
    known = next((alert for alert in book.open if alert.key == fresh.key), None)
    if known is None:
        return replace(book, open=(*book.open, fresh)), (Message(Kind.RAISED, fresh, line.at),)
    if not _is_nearer(known, fresh):
        return book, ()
    newer = replace(fresh, since=known.since)
    after = replace(book, open=tuple(newer if alert is known else alert for alert in book.open))
    return after, (Message(Kind.REMINDER, newer, line.at),)


def _happened(book: Book, line: Line) -> Noted:
    fresh = _alert(line, _cause(book, line))
    recent = tuple(alert for alert in book.happened if 0 <= line.at - alert.since < QUIET_SECONDS)
    if any(alert.key == fresh.key for alert in recent):
        return replace(book, happened=recent), ()
    return replace(book, happened=(*recent, fresh)), (Message(Kind.HAPPENED, fresh, line.at),)


def _is_nearer(known: Alert, fresh: Alert) -> bool:
    if known.left is None or fresh.left is None:
        return fresh.left is not None
    return fresh.left <= known.left * (AGAIN_AT + SLACK) and fresh.left < known.left


def _ends(line: Line, alert: Alert) -> bool:
    if line.account != alert.account or not _is_its_cause(line, alert):
        return False
    return any(
        name == alert.event and (not cause or cause == alert.cause)
        for name, _, cause in (clears.partition(":") for clears in _cleared_by(line))
    )


def _is_its_cause(line: Line, alert: Alert) -> bool:
    """False where both tell causes apart by the same field, and it has different values."""
    apart = line.entry.apart
    if not apart or apart not in line.fields or CATALOGUE.get(alert.event, UNCATALOGUED).apart != apart:
        return True
    return alert.cause in (bounded(line.fields[apart]), MORE)


def _cleared_by(line: Line) -> Iterator[str]:
    yield from line.clears
    yield from line.entry.clears
    if line.event == "daemon.started" and line.fields.get("locked", "").lower() == "false":
        yield "vault.locked"


def _cause(book: Book, line: Line) -> str:
    name = line.entry.apart
    cause = bounded(line.fields.get(name, "") if name else "")
    others = {alert.cause for alert in (*book.open, *book.happened) if (alert.event, alert.account) == _subject(line)}
    return cause if cause in others or len(others) < MOST_CAUSES else MORE


def _subject(line: Line) -> tuple[str, str | None]:
    return line.event, line.account


def _alert(line: Line, cause: str) -> Alert:
    entry = line.entry
    left = _seconds(line.fields.get(entry.lead, "")) if entry.lead else None
    remedy = (line.remedy or entry.remedy).replace("ACCOUNT", line.account or "ACCOUNT")
    return Alert(
        event=line.event, account=line.account, cause=cause, severity=line.severity,
        meaning=bounded(entry.meaning or line.meaning), remedy=bounded(remedy), since=line.at,
        by=None if left is None else line.at + left, left=left, details=_details(line, entry.lead),
    )  # fmt: skip


def _details(line: Line, lead: str) -> str:
    parts = (f"{bounded(name)}={bounded(value)}" for name, value in line.fields.items() if name != lead and value)
    return bounded(", ".join(parts), DETAILS_MOST)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value) if abs(value) < 1e10 else None


def bounded(text: str, most: int = TEXT_MOST) -> str:
    """One line of at most so many characters that steers no terminal and begins no header."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1]).strip()
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
