"""What the error codes of RFC 6749 say of a grant, for people who ask why it does not renew.  Pure.

`invalid_grant` is one word for used, revoked and expired; which it was is found out elsewhere (`core.autopsy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.finding import BROKEN, Found

_SPENT: Final = ("the refresh token is no longer good", "freshd enrol {account}", "used-twice")
_CLIENT: Final = (
    "the service does not take this client's id and secret",
    "correct client_id, client_secret or client_auth, then reload; the grant is kept",
    "wrong-app",
)
_REFUSED: Final = (
    "the service does not let this client renew",
    "look at the client's settings at the service, then reload; the grant is kept",
    "app-refused",
)
_PERSON: Final = ("the service wants the person to log in or agree again", "freshd enrol {account}", "expired")
CAUSES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "invalid_grant": _SPENT,
        "invalid_client": _CLIENT,
        "unauthorized_client": _REFUSED,
        "unsupported_grant_type": _REFUSED,
        "interaction_required": _PERSON,
        "login_required": _PERSON,
        "consent_required": _PERSON,
    }
)


def explained(account: str, code: str) -> Found | None:
    """What a code says of the grant of `account`; None where it says nothing of it."""
    found = CAUSES.get(code.lower())
    if found is None:
        return None
    text, remedy, cause = found
    return Found(BROKEN, f"the service said {code.lower()}: {text}", remedy.format(account=account), cause)
