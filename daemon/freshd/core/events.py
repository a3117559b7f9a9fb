"""What an event is: something that happened, with fields free of secrets, and how loud it is (design 9).

Severities: debug, info, notice (worth a line), warning (look within days), alert (a person is needed); edge-triggered.
Every event has a line in `core.catalogue`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Fields = Mapping[str, str | int | float | bool | None]
"""What an event tells beside its name: plain values without secrets."""


class Severity(enum.IntEnum):
    """How loud, in syslog's numbers."""

    ALERT = 1
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue.

    clears  events whose alert ends with this one; EVENT:VALUE ends only that in which the field `apart` has the value
    lead    the field that says how many seconds are left until it hurts
    apart   the field that tells causes apart which have this name in common; where an event that clears has the same
            field, it ends only the cause it names
    """

    severity: Severity
    meaning: str
    remedy: str = ""
    clears: tuple[str, ...] = ()
    lead: str = ""
    apart: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.  Fields are plain values without secrets."""

    name: str
    account: str | None = None
    fields: Fields = field(default_factory=lambda: MappingProxyType({}))
    remedy: str = ""
