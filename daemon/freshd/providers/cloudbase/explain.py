"""What CloudBase's codes say of a session, for people who ask why it does not renew; and of an access token.  Pure.

Rules
-----
* All codes for a refresh token that is no longer good are one word: whether it was used, pushed out, revoked or over is
  found out from ages, history and the token in hand (`core.autopsy`), where a lost reply is told as one.
* A code that says nothing of the session (a pace, a request of ours that was wrong) explains nothing.
* Only a code about the access token itself makes that dead; a right that is missing would be missing in a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.finding import BROKEN, LOOK, Found
from freshd.providers.cloudbase.client import DEAD
from freshd.providers.cloudbase.envelope import NUMBERS
from freshd.providers.cloudbase.refusal import PUSHED, STRANGER
from freshd.providers.cloudbase.verdict import Act, verdict_of

ENROL: Final = "freshd enrol {account}"
MEND: Final = "mend it in the account or in the console, then: freshd refresh {account}; the session is kept"
ALIVE: Final = frozenset(
    {"permission_denied", "resource_exhausted", "exceed_authority", "exceed_ratelimit", "exceed_request_limit",
     "exceed_concurrent_request_limit", "requestlimitexceeded", "invalid_param", "invalid_argument", "not_found"}
)  # fmt: skip
OWN: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        PUSHED: (f"the session was pushed out again and again: {STRANGER}", f"then: {ENROL}", "used-twice"),
        "captcha-passed": ("the captcha is passed, and the sign-in behind it was not made yet", ENROL, ""),
        "code-checked": ("the code is checked, and the sign-in behind it was not made yet", ENROL, ""),
        "invalid_captcha": ("the captcha was answered wrongly", ENROL, ""),
        "captcha_expired": ("the captcha was answered too late", ENROL, ""),
        "user_blocked": ("the user is disabled", f"have the user enabled, then: {ENROL}", "user-gone"),
        "user_pending": ("the user is not activated", f"activate the user, then: {ENROL}", "user-gone"),
        "not_found": ("there is no such user", MEND, "user-gone"),
        "user_not_found": ("there is no such user", MEND, "user-gone"),
    }
)
ACTS: Final[Mapping[Act, tuple[str, str]]] = MappingProxyType(
    {
        Act.RELOGIN: (ENROL, "used-twice"),
        Act.CROWDED: (f"end the other sessions, or raise the limit, then: {ENROL}", "used-twice"),
        Act.CONFIG: (MEND, "app-refused"),
        Act.SHARED: (MEND, "app-refused"),
        Act.PASSWORD: ("store the right password, then: freshd refresh {account}", "app-refused"),
        Act.LOCKED: ("check the password; then: freshd refresh {account}", "app-refused"),
        Act.CAPTCHA: (f"{ENROL} shows the captcha", ""),
        Act.CAPTCHA_BAD: (f"{ENROL} shows a new captcha", ""),
        Act.PERSON: (ENROL, ""),
    }
)


def explained(account: str, code: str) -> Found | None:
    """What a code says of the session of `account`; None where it says nothing of it."""
    own = OWN.get(code.lower())
    if own is not None:
        text, remedy, cause = own
        return Found(LOOK if not cause else BROKEN, text, remedy.format(account=account), cause)
    verdict = verdict_of(code)
    act = None if verdict is None else verdict.renewal or verdict.signin
    if verdict is None or act is None or act not in ACTS:
        return None
    remedy, cause = ACTS[act]
    return Found(BROKEN, f"the service said {code}: {verdict.hint}", remedy.format(account=account), cause)


def is_dead(status: int | None, code: str | None) -> bool:
    """Whether a refusal that somebody met means that the access token is dead."""
    word = (code or "").strip()
    name = (NUMBERS.get(int(word), word) if word.isascii() and word.isdecimal() and len(word) < 9 else word).lower()
    return name in DEAD or (status == 401 and name not in ALIVE)
