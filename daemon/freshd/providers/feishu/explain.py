"""What the platform's codes say of a grant, for people who ask why it does not renew.  Pure.

Rules
-----
* All codes for a refresh token that is no longer good are one word here too: whether it was used, revoked or over is
  found out elsewhere, from ages, history and the token in hand (`core.autopsy`).
* A code that says nothing of the grant (a request of ours that was wrong, a scope, a pace) explains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.finding import BROKEN, Found
from freshd.providers.feishu.refusal import (
    APP,
    BRAND,
    NEWER,
    NO_APP,
    OFF,
    OLDER,
    OTHER_APP,
    PAIR,
    POLICY,
    USER,
    Verdict,
)
from freshd.providers.oauth2.explain import explained as explained_word

WRONG_PAIR: Final = "invalid_client"
"""What the newest endpoint says in a word."""
ENROL: Final = "freshd enrol {account}"
KEPT: Final = "then: freshd refresh {account}; the grant is kept"
CONSOLE: Final = f"correct it in the account or in the app's console, {KEPT}"
SPENT: Final = ("the refresh token is no longer good", ENROL, "used-twice")
CODES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("20026", "20038", "20064", "20073"), SPENT),
        "20008": ("the user does not exist", "enrol another user: freshd enrol {account}", "user-gone"),
        "20010": ("the user may not use the app", f"have an administrator allow it, {KEPT}", "app-refused"),
        "20037": ("the refresh token is over, or the year since a person agreed", ENROL, "expired"),
        "20074": (
            "refreshing is switched off in the app's security settings",
            f"switch it on in the app's console and publish a version, {KEPT}",
            "refresh-switched-off",
        ),
    }
)
FAMILIES: Final[tuple[tuple[Verdict, str, str], ...]] = (
    (PAIR, CONSOLE, "app-refused"),
    (OFF, CONSOLE, "app-refused"),
    (OTHER_APP, CONSOLE, "wrong-app"),
    (NO_APP, CONSOLE, "wrong-app"),
    (BRAND, CONSOLE, "wrong-app"),
    (USER, f"have the user's account repaired, {KEPT}; or enrol another: {ENROL}", "user-gone"),
    (POLICY, f"pass the challenge at the service as that user, {KEPT}", ""),
)


def explained(account: str, code: str) -> Found | None:
    """What a code, or a word in its place, says of the grant of `account`; None where it says nothing of it."""
    verdict = PAIR if code == WRONG_PAIR else NEWER.get(code) or OLDER.get(code) or APP.get(code)
    if verdict is None:
        return explained_word(account, code)
    found = CODES.get(code) or next(
        ((family.hint, remedy, cause) for family, remedy, cause in FAMILIES if family == verdict), None
    )
    if found is None:
        return None
    text, remedy, cause = found
    return Found(BROKEN, f"the service said {code}: {text}", remedy.format(account=account), cause)
