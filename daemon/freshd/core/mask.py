"""What no outlet may tell: values that are secrets by type, by the name of their key, or by their look.

A second net under `Secret` (I10): what is caught here is a bug elsewhere.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from freshd.core.model import Secret

MASK: Final = "[masked]"
SECRET_KEYS: Final = re.compile(r"(?i)(^|_)(token|secret|password|passwd|ticket|authorization|cookie|code_verifier)$")
SECRET_TEXT: Final = re.compile(
    r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}|\beyJ[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)+|\b(?:rt|at)-[a-z0-9_-]{12,}"
)


def mask(line: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields, with nothing in them that looks like a secret."""
    return {key: _masked(key, value) for key, value in line.items()}


def _masked(key: str, value: object) -> object:
    if isinstance(value, Secret):
        return repr(value)
    if value is None or isinstance(value, bool):
        return value
    if SECRET_KEYS.search(key):
        return MASK
    return value if isinstance(value, int | float) else SECRET_TEXT.sub(MASK, str(value))
