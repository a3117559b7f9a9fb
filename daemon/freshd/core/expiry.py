"""When something ends, as other programs write it down: a number or a date in somebody's file, the claims of a JWT.

Rules
-----
* Numbers are seconds since 1970, or milliseconds where they would else lie thousands of years ahead.  A small number is
  a length of life and tells no moment.
* A date counts with its zone only: without one nobody can tell which moment is meant.
* A token's claims are read without proof: good enough to say how old it says it is, and for nothing else.
* What cannot be told is None.  Pure; no error, no value in any text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

EARLIEST: Final = 1_000_000_000.0
"""The year 2001: a smaller number is a number of seconds to live."""
LATEST: Final = 100_000_000_000.0
"""The year 5138: a larger number counts milliseconds."""
MILLISECONDS: Final = 1000.0
_NUMBER: Final = re.compile(r"\d{1,17}(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself, in seconds since 1970; None where it does not."""

    issued_at: float | None = None
    expires_at: float | None = None


def moment_of(text: str | None) -> float | None:
    """Seconds since 1970, UTC."""
    given = (text or "").strip()
    if _NUMBER.fullmatch(given):
        number = float(given)
        number = number / MILLISECONDS if number >= LATEST else number
        return number if EARLIEST <= number < LATEST else None
    try:
        found = datetime.fromisoformat(given)
        return None if found.tzinfo is None else found.timestamp()
    except (ValueError, OverflowError):
        return None


def written_like(text: str | None, at: float) -> str:
    """A moment in the form in which one stands in `text`; whole seconds where none does."""
    given = (text or "").strip()
    if moment_of(given) is None:
        return f"{at:.0f}"
    if _NUMBER.fullmatch(given):
        return f"{at * MILLISECONDS:.0f}" if float(given) >= LATEST else f"{at:.0f}"
    return (
        datetime.fromtimestamp(round(at), UTC).isoformat().replace("+00:00", "Z" if given.endswith("Z") else "+00:00")
    )


def claims_of(token: str | None) -> Claims:
    """What a token says of its times, if it is a JWT at all (RFC 7519 section 4.1); unproven."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return Claims()
    try:
        body: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return Claims()
    return Claims(_claim(body, "iat"), _claim(body, "exp")) if isinstance(body, dict) else Claims()


def _claim(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if EARLIEST <= value < LATEST else None
