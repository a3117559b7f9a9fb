"""What the service's codes say of a grant, for people who ask why it does not renew.  Pure.

A code that says nothing of the grant (a request of ours that was wrong, a failure behind the service) explains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.finding import BROKEN, Found
from freshd.providers.geniusauth.read import INCOMPATIBLE
from freshd.providers.geniusauth.refusal import CLOCK, CODES, DEAD, GROUP, PAIR

ENROL: Final = "freshd enrol {account}"
KEPT: Final = "then: freshd refresh {account}; the grant is kept"
APP: Final = f"correct it in the account or at the service, then reload, {KEPT}"
ENDED: Final = (
    "the refresh token is over or was ended: by its user, by a change of the user's or the application's groups, or "
    "the service could not look it up"
)
TOLD: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        DEAD: (ENDED, ENROL, "revoked"),
        "2": (CODES["2"].hint, APP, "app-refused"),
        "3": (CODES["3"].hint, APP, "wrong-app"),
        "13": (CODES["13"].hint, APP, "app-refused"),
        "14": (CODES["14"].hint, APP, "wrong-app"),
        CLOCK: ("it finds the time stamp wrong", f"set this clock: timedatectl set-ntp true, {KEPT}", "clock"),
        INCOMPATIBLE: (
            "the server renews without an access token, as its page has it",
            f"write patch_fallback = true and a payload, {KEPT}",
            "unknown",
        ),
    }
)


def explained(account: str, code: str) -> Found | None:
    """What a code says of the grant of `account`; None where it says nothing of it."""
    found = TOLD.get(code)
    if found is None and CODES.get(code) == PAIR:
        found = (PAIR.hint, APP, "app-refused")
    if found is None and CODES.get(code) == GROUP:
        found = (GROUP.hint, f"have it repaired at the service, {KEPT}; or {ENROL}", "user-gone")
    if found is None:
        return None
    text, remedy, cause = found
    return Found(BROKEN, f"the service said {code}: {text}", remedy.format(account=account), cause)
