"""What a refusal that somebody met says of the token.  Pure and total.

Rules
-----
* Dead: authentication failed, expired, or its signature is not good any more.
* A nonce, a permission, a slot that somebody else took, a quota and a pace would meet a new token just the same.
"""

from __future__ import annotations

from typing import Final

DEAD_CODES: Final = frozenset({"4001", "401", "-32001", "-32003", "-32005"})
DEAD_STATUSES: Final = frozenset({401, 4001, -32001, -32003, -32005})


def is_dead(status: int | None, code: str | None) -> bool:
    """Whether a refusal means that the token is dead.  A code counts more than a status."""
    word = (code or "").strip()
    if word in DEAD_CODES:
        return True
    is_a_code = word.removeprefix("-").isdecimal()
    return not is_a_code and status in DEAD_STATUSES
