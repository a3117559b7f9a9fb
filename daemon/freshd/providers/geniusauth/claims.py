"""What a token says of itself, read without proof: whose it is, of which login, and how long it lives.  Pure and total.

The tokens come from the service itself over TLS, so their claims are good enough to plan by and to compare; they prove
nothing to anybody else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from freshd.providers.form import claims_of, number, plain, text

LONGEST_LEASE_SECONDS: Final = 86_400.0
LONGEST_GRANT_SECONDS: Final = 31 * 86_400.0
LATEST_SECOND: Final = 1e11
"""Beyond the year 5000; no end of a token."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that matter; None: not told, or not believable.

    uid       number of the user
    login     id of the record that the login made; all tokens of one login share it
    app_code  the application it was issued to
    payload   "" where the token carries none
    issued, ends  wall time, seconds
    is_readable   whether the token is a JWT at all
    """

    uid: str | None = None
    login: str | None = None
    app_code: str | None = None
    payload: str = ""
    issued: float | None = None
    ends: float | None = None
    kind: str | None = None
    is_readable: bool = False

    def life(self, longest: float) -> float | None:
        """Seconds from issue to end; None where that is not told, or is beyond `longest`."""
        if self.issued is None or self.ends is None:
            return None
        life = self.ends - self.issued
        return life if 0 < life <= longest else None


def claims(token: object) -> Claims:
    """The claims of a token; of anything else none."""
    told = claims_of(token)
    return Claims(
        plain(told.get("uid")), plain(told.get("id")), text(told.get("appCode")), text(told.get("payload")) or "",
        _second(told.get("iat")), _second(told.get("exp")), text(told.get("type")), bool(told),
    )  # fmt: skip


def _second(value: object) -> float | None:
    found = number(value)
    return found if found is not None and math.isfinite(found) and 0 < found < LATEST_SECOND else None
