"""What an examination finds: how bad it is, where, what, and what helps."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.IntEnum):
    """How bad.  The worst is doctor's exit code."""

    FINE = 0
    WARNING = 1
    TROUBLE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.  A remedy is there wherever the level is not FINE.

    cause  a stable word for why a grant does not renew (`core.finding.CAUSES`); "" for all else
    """

    level: Level
    place: str
    text: str
    remedy: str = ""
    cause: str = ""


def fine(place: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.FINE, place, text)


def warning(place: str, text: str, remedy: str) -> Finding:
    """It works, and will not always."""
    return Finding(Level.WARNING, place, text, remedy)


def trouble(place: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.TROUBLE, place, text, remedy)
