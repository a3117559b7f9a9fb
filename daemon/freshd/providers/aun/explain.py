"""What codes of an account's history say of its grant, for people who ask why it does not renew.  Pure.

Rules
-----
* A code for a refresh token that is no longer good explains little here: a login replaces it at no cost.
* A code that says nothing of the grant (a pace, trouble at the service) explains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.finding import BROKEN, Found
from freshd.providers.aun.refusal import DEAD_TEXTS, FAULTS

LOOK: Final = "freshd operate {account} certificate; then freshd enrol {account}"
TRUST: Final = "check roots, auth_name and this machine's clock; the account is tried again by itself"
CODES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("4001", "-32001"), ("the issuer does not believe who the agent is", LOOK, "app-refused")),
        "-32002": ("the issuer does not take the certificate", LOOK, "app-refused"),
        "-32003": ("key and certificate do not fit each other at the issuer", LOOK, "app-refused"),
        "-32005": ("the refresh token is over, or its chain is used up", "freshd refresh {account}", "expired"),
        "-32050": ("the certificate is revoked", LOOK, "revoked"),
        **dict.fromkeys(("-32004", "4030", "403"), ("the issuer does not allow it", "ask the issuer's operators", "")),
        **dict.fromkeys(("-32008", "4040", "404"), ("the issuer does not know the agent", LOOK, "user-gone")),
        "not-registered": ("the agent is not registered", "freshd enrol {account}", "never-enrolled"),
        **dict.fromkeys(
            ("other-key", "4090"),
            ("another key is registered for the agent", "find out who changed it, and import that key", "revoked"),
        ),
        "certificate-unusable": ("the certificate that the issuer made cannot be used", LOOK, ""),
        **dict.fromkeys(
            DEAD_TEXTS,
            ("the refresh token is no longer good", "freshd refresh {account}: a login follows", "used-twice"),
        ),
    }
)


def explained(account: str, code: str) -> Found | None:
    """What a code, or a word in its place, says of the grant of `account`; None where it says nothing of it."""
    if code in FAULTS:
        return Found(BROKEN, FAULTS[code], TRUST, "clock" if code.endswith("dates") else "gateway")
    found = CODES.get(code)
    if found is None:
        return None
    text, remedy, cause = found
    return Found(BROKEN, f"the service said {code}: {text}", remedy.format(account=account), cause)
