"""An account's health as JSON: one form for the listing, the single account and the watchers."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from freshd.tokens import Health

_NAMES = tuple(f.name for f in dataclasses.fields(Health) if f.name != "more")


def health_document(health: Health) -> dict[str, Any]:
    """The members of Health, what is in `more` beside them; a moment that never comes is null."""
    document = {name: getattr(health, name) for name in _NAMES}
    document = {**health.more, **document}
    return {name: None if _is_endless(value) else value for name, value in document.items()}


def dump(value: object) -> bytes:
    """Compact JSON on one line; a value JSON has no word for is told as text."""
    return json.dumps(value, separators=(",", ":"), default=str).encode()


def _is_endless(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
