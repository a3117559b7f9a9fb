"""The numbers with which GeniusAuth refuses, the HTTP status that goes with each, and the envelope of all answers.

Rules: nobody but this file forms an envelope. The text for people is the sandbox's own: a client that reads it instead
of the code is wrong. In the wiki's dialect whoever is not authorised gets another number.
"""

from collections.abc import Mapping
from types import MappingProxyType

from freshd.sandbox.geniusauth.constants import GeniusConstants

MALFORMED = 1
SITE_NOT_ALLOWED = 2
UNKNOWN_APP = 3
DATABASE_FAILED = 4
NOT_AUTHORISED = 6
NO_GROUP = 7
FAULT = 8
STAMP_OUTSIDE = 9
TOO_FREQUENT = 19
TOKEN_DEAD = 31
MOST_CODE = 255
STATUS: Mapping[int, int] = MappingProxyType(
    {
        **dict.fromkeys((1, 18), 400),
        **dict.fromkeys((2, 7, 9, 10, 11, 15, 19, 20, 21, 22, 24, 26, 27, 29, 30, 31), 403),
        **dict.fromkeys((3, 13, 14, 17, 25, 28, 32), 404),
        **dict.fromkeys((4, 5, 8, 23), 500),
        **dict.fromkeys((12, 16), 409),
        6: 401,
    }
)
"""The whole list: HTTP status by code."""
_UNLISTED = 400


class Refusal(Exception):
    """The service says no with ``code``; ``status`` 0 is the code's own."""

    def __init__(self, code: int, text: str = "", *, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.text = text or f"refused: {code}"
        self.status = status or STATUS.get(code, _UNLISTED)


def granted(data: object, constants: GeniusConstants) -> dict[str, object]:
    """Return the envelope of a yes; None has no ``data``."""
    return {"code": _said(0, constants), **({} if data is None else {"data": data})}


def refused(refusal: Refusal, constants: GeniusConstants) -> tuple[int, dict[str, object]]:
    """Return status and envelope of a no."""
    code, status = refusal.code, refusal.status
    if constants.is_wiki and code == NOT_AUTHORISED:
        code, status = constants.GENIUS_SIM_WIKI_CODE, constants.GENIUS_SIM_WIKI_STATUS
    return status, {"code": _said(code, constants), "msg": refusal.text}


def _said(code: int, constants: GeniusConstants) -> int | str:
    return str(code) if constants.GENIUS_SIM_CODE_AS_TEXT else code
