"""What verbs print: text that a terminal can bear, spans of time, JSON.

Rules
-----
* Text from elsewhere loses its control characters: a service must not steer somebody's terminal.
* Moments are shown as the time from now, for nobody subtracts dates in their head.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click

UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def plain(text: object) -> str:
    """One line without control characters."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def say(text: str = "") -> None:
    """A line of the result."""
    click.echo(text)


def hint(text: str) -> None:
    """A line beside the result, for the person."""
    click.echo(text, err=True)


def dump(document: Mapping[str, Any]) -> None:
    """One JSON object on one line, at once."""
    click.echo(json.dumps(document, ensure_ascii=False))


def is_terminal() -> bool:
    """Whether a person looks at the result."""
    return sys.stdout.isatty()


def span(seconds: float) -> str:
    """A length of time in its two largest units: 1d 4h, 12m 5s, 8s."""
    left, parts = max(0, round(seconds)), list[str]()
    for length, unit in UNITS:
        count, left = divmod(left, length)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts[:2]) or "0s"


def until(at: float | None, now: float) -> str:
    """How far away a moment of wall-clock time is: 5m 2s, 3s ago; a dash where there is none."""
    if at is None:
        return "-"
    return span(at - now) if at >= now else f"{span(now - at)} ago"


def utc(at: float) -> str:
    """A moment of wall-clock time: 2026-11-21T10:00:00Z."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{at:g}"


def moments(at: float, now: float) -> str:
    """A moment in UTC, and how far away it is: 2026-11-21T10:00:00Z (in 5m 2s)."""
    return f"{utc(at)} ({'in ' if at >= now else ''}{until(at, now)})"
