"""What no outlet may tell: values that are secrets by type, by the name of their key, or by their look.

A second net under `Secret` (I10): what is caught here is a bug elsewhere.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from freshd.core.model import Secret

MASK: Final = "[masked]"
SECRET_KEYS: Final = re.compile(
    r"(?i)(^|_)(token|secret|password|passwd|passphrase|ticket|authorization|cookie|code_verifier|assertion"
    r"|(private|secret|api|vault)_key)$"
)
SECRET_TEXT: Final = re.compile(
    r"(?is)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}|\beyJ[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)+|\b(?:rt|at)-[a-z0-9_-]{12,}"
    r"|-----BEGIN [a-z ]*PRIVATE KEY-----.*?(?:-----END [a-z ]*-----|$)"
)
SECRET_QUERY: Final = re.compile(
    r"(?i)([?&#](?:code|state|password|ticket|assertion|client_assertion|code_verifier|device_code"
    r"|[a-z_]*(?:token|secret))=)[^&#\s\"'<>]+"
)
"""Parts of an address that end an enrolment or sign a call; the address itself may be told."""


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
    if isinstance(value, int | float):
        return value
    return SECRET_QUERY.sub(rf"\g<1>{MASK}", SECRET_TEXT.sub(MASK, str(value)))
