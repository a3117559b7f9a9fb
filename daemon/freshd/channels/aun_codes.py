"""What the codes of an AUN gateway mean for a held login: close codes, error codes, and our own words.  Pure and total.

Rules
-----
* 4001 is about the token wherever it turns up: in an answer, in a close, in an announcement.
* A refused token is reported and healed; whoever stays refused with new tokens is stopped by the runner.
* Somebody else in our slot: stop.  What the gateway will never take as it is configured: stop.
* Every other code, known or not, is trouble that may pass.
* Only numbers of the gateway are shown, never its words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freshd.channels.dialer import Ended, Why

PROTOCOL_CODES: Final = range(1000, 2000)
"""Close codes of the WebSocket protocol itself: none says that somebody else is in our place."""
SOON_SECONDS: Final = 1.0
"""Before the next login after a close without a cause."""
LATER_SECONDS: Final = 16.0
"""Before the next login after trouble on the gateway's side."""
LONGEST_WAIT_SECONDS: Final = 86_400.0
"""The most a gateway may ask us to wait."""
UNAUTHORIZED: Final = 401
ABNORMAL: Final = 1006
"""Stands for a connection that ended without a close frame (RFC 6455 section 7.4.1)."""
DEAD_TOKEN: Final = 4001
RPC_TIMEOUT: Final = "rpc handler timeout"
"""How a permission error begins that is none: newer servers say so when they were too slow."""
NUMBER: Final = re.compile(r"-?[0-9]{1,9}")

_REFUSED: Final = (Why.REFUSED, "the gateway refused the token")
_KICKED: Final = (Why.KICKED, "somebody else logged in with this slot")
_QUOTA: Final = (Why.KICKED, "the gateway ended this login for others of the same AID: its quota is used up")
_TAKEN: Final = (Why.LOST, "the gateway has a login in this slot already")
_STALE: Final = (Why.AGAIN, "the challenge was too old for the gateway")
_BUSY: Final = (Why.LOST, "the gateway asks for a pause")
_SESSION: Final = (Why.LOST, "the gateway does not know the session")
_TROUBLE: Final = (Why.LOST, "the gateway has trouble of its own")
_MISSING: Final = (Why.WRONG, "the gateway does not know this AID")
_DENIED: Final = (Why.WRONG, "the gateway does not permit this login")
_BAD_CALL: Final = (Why.WRONG, "the gateway does not understand the login")

CLOSES: Final[Mapping[int, tuple[Why, str, float]]] = MappingProxyType(
    {
        1000: (Why.LOST, "the gateway closed the connection", SOON_SECONDS),
        ABNORMAL: (Why.LOST, "the connection broke", SOON_SECONDS),
        DEAD_TOKEN: (*_REFUSED, 0.0),
        4003: (Why.WRONG, "the gateway takes the AID for invalid", 0.0),
        4008: (Why.LOST, "the login took the gateway too long", LATER_SECONDS),
        4009: (*_KICKED, 0.0),
        4010: (*_STALE, 0.0),
        4011: (Why.WRONG, "the federation of the gateway does not admit this AID", 0.0),
        4012: (*_TAKEN, LATER_SECONDS),
        4013: (Why.LOST, "the gateway holds as many connections as it can", LATER_SECONDS),
        4014: (Why.LOST, "the gateway took the connection for an idle short one", LATER_SECONDS),
        4015: (*_QUOTA, 0.0),
    }
)
"""How a connection was closed.  What is not here was the gateway's own affair."""

ERRORS: Final[Mapping[int, tuple[Why, str]]] = MappingProxyType(
    {
        4000: _BAD_CALL,
        -32600: _BAD_CALL,
        -32601: _BAD_CALL,
        -32602: _BAD_CALL,
        DEAD_TOKEN: _REFUSED,
        4010: _STALE,
        -32000: (Why.WRONG, "the gateway speaks no version of the protocol that we speak"),
        -32001: _REFUSED,
        -32002: (Why.REFUSED, "the gateway refused the certificate behind the token"),
        -32003: (Why.REFUSED, "the gateway does not take the signature of the token"),
        -32004: _DENIED,
        4030: _DENIED,
        403: _DENIED,
        -32005: (Why.REFUSED, "the gateway wants a new login of the account"),
        -32008: _MISSING,
        4040: _MISSING,
        404: _MISSING,
        -32010: (Why.LOST, "the gateway takes the agent for offline"),
        -32011: _SESSION,
        -32013: _SESSION,
        -32029: _BUSY,
        4290: _BUSY,
        429: _BUSY,
        -32429: _BUSY,
        -32050: (Why.WRONG, "the certificate of the AID is revoked"),
        4090: (Why.WRONG, "the gateway knows this AID with another key"),
        -32603: _TROUBLE,
        4500: _TROUBLE,
    }
)
"""What an error in an answer means.  What is not here is looked up among the closes, then it is trouble.

A login signs nothing, so a signature (-32003) or certificate (-32002) that does not fit is the token's.
"""

WORDS: Final[Mapping[str, tuple[Why, str]]] = MappingProxyType(
    {
        "slot_requires_device_id": (Why.WRONG, "the gateway wants a device id with the slot"),
        "delivery_mode_conflict": (Why.WRONG, "other logins of this AID declare another delivery mode"),
        "device_singleton_conflict": _TAKEN,
        "slot_conflict": _TAKEN,
    }
)
"""Refusals that are told by a word; their codes are not known."""

SESSION_GONE: Final = frozenset({"-32011", "-32013"})
"""Codes after which a session that was up must be opened anew."""
GONE: Final = "gateway-down"
TALKS_FIRST: Final = "talks-first"
NO_CHALLENGE: Final = "no-challenge"
NO_ANSWER: Final = "no-answer"
BAD_ANSWER: Final = "bad-answer"
BAD_FRAME: Final = "bad-frame"
SILENT: Final = "silent"
OUT_OF_ORDER: Final = frozenset({GONE, TALKS_FIRST, NO_CHALLENGE, NO_ANSWER, BAD_ANSWER, BAD_FRAME})
"""Words of ours for a gateway that is not in order: another one may be."""


def closed(code: int) -> Ended:
    """What a close frame with this code means."""
    if code in CLOSES:
        why, reason, wait = CLOSES[code]
        return _ended(why, code, reason, wait)
    if code in PROTOCOL_CODES:
        return _ended(Why.LOST, code, "the gateway ended the connection", LATER_SECONDS)
    return _ended(Why.LOST, code, "the gateway closed the connection with a code that is not known", LATER_SECONDS)


def announced(code: object) -> Ended:
    """What a disconnect event means: the gateway ends this login on purpose.

    For the sake of the connection (RFC 6455's codes), as when it restarts: we come back.  For any other cause of its
    own we do not come back by ourselves.
    """
    number = number_of(code)
    if number is None:
        return Ended(Why.KICKED, "disconnect", "the gateway announced that it ends this login")
    known = closed(number)
    if known.why in {Why.REFUSED, Why.KICKED, Why.WRONG} or number in PROTOCOL_CODES:
        return known
    return _ended(Why.KICKED, number, "the gateway announced that it ends this login")


def answered(error: Mapping[str, Any]) -> Ended:
    """What an error in an answer means."""
    number, message = number_of(error.get("code")), error.get("message")
    words = message.strip().lower() if isinstance(message, str) else ""
    if number in {-32004, 4030, 403} and words.startswith(RPC_TIMEOUT):
        return _ended(Why.LOST, number, "the gateway was too slow for its own login", LATER_SECONDS)
    why, reason = WORDS.get(words) or _meaning(number)
    wait = LATER_SECONDS if why is Why.LOST else 0.0
    return _ended(why, number, reason, _retry_after(error) or wait)


def failed() -> Ended:
    """What an answer means that says by `success` that it is none."""
    return Ended(Why.REFUSED, "success-false", "the gateway said that the login did not succeed", UNAUTHORIZED)


def out_of_order(code: str, reason: str) -> Ended:
    """A gateway that does not do what a gateway does.  `code`: one of our words."""
    return Ended(Why.LOST, code, reason, wait=SOON_SECONDS)


def is_the_gateways(ended: Ended) -> bool:
    """Whether a login that did not come up failed for the gateway's sake, so that another one may do."""
    is_close = NUMBER.fullmatch(ended.code) is not None and 1000 <= int(ended.code) < 2000
    return ended.why is Why.LOST and (is_close or ended.code in OUT_OF_ORDER)


def number_of(value: object) -> int | None:
    """A code given as number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < 1e9 else None
    text = str(value).strip() if isinstance(value, str) or abs(value) < 10**9 else ""
    return int(text) if NUMBER.fullmatch(text) else None


def _meaning(number: int | None) -> tuple[Why, str]:
    if number is None:
        return Why.LOST, "the gateway refused without a code"
    if number in ERRORS:
        return ERRORS[number]
    if number in CLOSES and number >= 4000:
        return CLOSES[number][:2]
    return _TROUBLE if 5000 <= number < 6000 else (Why.LOST, "the gateway refused with a code that is not known")


def _ended(why: Why, code: int | None, reason: str, wait: float = 0.0) -> Ended:
    status = UNAUTHORIZED if why is Why.REFUSED else None
    return Ended(why, "(none)" if code is None else str(code), reason, status, wait)


def _retry_after(error: Mapping[str, Any]) -> float | None:
    """Seconds that an error asks us to wait."""
    data = error.get("data")
    asked = data.get("retry_after") if isinstance(data, dict) else None
    if isinstance(asked, str) and NUMBER.fullmatch(asked.strip()):
        asked = int(asked)
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked < math.inf:
        return None
    return float(min(asked, LONGEST_WAIT_SECONDS))
