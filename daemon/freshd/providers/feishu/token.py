"""What the programming interface says of a token that is used there.  Pure and total.

Rules
-----
* Only a code that is about the token itself makes it dead.  A missing scope, a pace, a disabled app and a bare 403
  would meet a new token just the same.
* A probe that is answered by anything else than the service tells nothing.
"""

from __future__ import annotations

from typing import Final

from freshd.core.outcome import Performed, Reply
from freshd.providers.feishu.case import FINE, code_of
from freshd.providers.form import Foreign, object_of

DEAD_CODES: Final = frozenset({"99991663", "99991664", "99991668", "99991677"})
"""Not valid, or over."""
ALIVE_CODES: Final = frozenset(
    {"99991400", "99991543", "99991661", "99991662", "99991671", "99991672", "99991673", "99991676", "99991679"}
)
"""What was asked, how, how fast, or by which app.  99991679 wants a person to grant more: renewing brings nothing."""


def is_dead(status: int | None, code: str | None) -> bool:
    """Whether a refusal that somebody met means that the token is dead."""
    word = (code or "").strip()
    return word in DEAD_CODES or (status == 401 and word not in ALIVE_CODES)


def is_alive(performed: Performed) -> bool | None:
    """Whether a token works, by the answer to a harmless call made with it; None where that does not tell."""
    found = object_of(performed) if isinstance(performed, Reply) else Foreign()
    if not isinstance(performed, Reply) or isinstance(found, Foreign):
        return None
    code = code_of(found)
    if code == FINE and performed.status in range(200, 300):
        return True
    return False if code in DEAD_CODES else None
