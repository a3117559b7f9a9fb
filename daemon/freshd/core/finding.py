"""One thing that an examination of a grant found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CAUSES: Final = frozenset(
    {
        "used-twice", "expired", "revoked", "wrong-app", "refresh-switched-off", "clock", "gateway", "app-refused",
        "user-gone", "no-refresh-token", "never-enrolled", "unknown",
    }
)  # fmt: skip
"""Stable words for why a grant does not renew."""
FINE: Final = 0
LOOK: Final = 1
BROKEN: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """level: 0 fine, 1 needs a look, 2 broken.  `cause`: one of `CAUSES`, or "" for a finding that explains nothing."""

    level: int
    text: str
    remedy: str = ""
    cause: str = ""
