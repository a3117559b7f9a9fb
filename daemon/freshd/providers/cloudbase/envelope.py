"""What a reply of CloudBase says: its members, and the one code that it refuses with.  Pure and total.

Rules
-----
* The body decides.  A truthy `error`, a number among the known ones, or a gateway's `code` is a refusal whatever the
  HTTP status is.
* The number (`error_code`, as number or as text) counts before the name; one that stands for nothing leaves the name.
* A refusal wrapped into `data` is unwrapped, one level; so is an answer.
* What is whole of a reply that broke off is used (see `form`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from freshd.core.outcome import Reply
from freshd.core.pace import RETRY_AFTER_CAP
from freshd.providers.form import Foreign, fragment_of, number, object_of, retry_after

NUMBERS: Final[Mapping[int, str]] = MappingProxyType(
    {
        3: "invalid_argument",
        5: "not_found",
        7: "permission_denied",
        8: "resource_exhausted",
        9: "failed_precondition",
        10: "aborted",
        12: "unimplemented",
        13: "internal",
        14: "unavailable",
        16: "unauthenticated",
        4001: "captcha_required",
        4002: "captcha_invalid",
        4019: "provider_error",
        4022: "unauthorized_client",
        4042: "mfa_phone_required",
        4045: "login_type_disabled",
    }
)
FINE: Final = frozenset({"", "0", "ok", "success", "normal"})
"""What stands at `code` where nothing is wrong."""
ODD: Final = "(odd)"
DIGITS: Final = re.compile(r"[0-9]{1,9}")
DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
INNER: Final = ("error", "error_code", "access_token", "refresh_token", "captcha_token", "url", "token")
"""What says that the object in `data` is the answer itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """A reply.  code: of the refusal, None where there is none; foreign: why it is not the service's own word."""

    members: Mapping[str, Any]
    code: str | None
    foreign: str | None = None
    is_broken: bool = False


def opened(reply: Reply) -> Said:
    """What a reply says."""
    found = object_of(reply)
    is_foreign = isinstance(found, Foreign)
    is_broken = is_foreign and not reply.complete
    whole: Mapping[str, Any] = fragment_of(reply) if is_broken else {} if isinstance(found, Foreign) else found
    inner = whole.get("data")
    if isinstance(inner, dict) and any(name in inner for name in INNER):
        whole = {**inner, **whole}
    return Said(whole, code_of(whole), str(found) if is_foreign else None, is_broken)


def code_of(members: Mapping[str, Any]) -> str | None:
    """The code, a known number by its name; None where the reply refuses nothing."""
    numbered = NUMBERS.get(_whole(members.get("error_code")) or 0)
    if numbered is not None:
        return numbered
    error = members.get("error")
    if error:
        return error.strip() or ODD if isinstance(error, str) else ODD
    code = members.get("code")
    if code is None or (isinstance(code, str | int | float) and str(code).strip().lower() in FINE):
        stray = _whole(members.get("error_code"))
        return str(stray) if stray else None
    digits = _whole(code)
    if digits is not None:
        return NUMBERS.get(digits, str(digits)) if digits else None
    return code.strip() if isinstance(code, str) else ODD


def pause_of(reply: Reply, members: Mapping[str, Any]) -> float | None:
    """Seconds to wait: the longer of `retry_delay` and Retry-After."""
    asked = [*(_seconds(one.get("retry_delay")) for one in details(members)), retry_after(reply)]
    waits = (min(one, RETRY_AFTER_CAP) for one in asked if one is not None and 0 <= one < math.inf)
    return max(waits, default=None)


def tries_left(members: Mapping[str, Any]) -> int | None:
    """How many more wrong passwords the service takes, as it says."""
    return next((left for one in details(members) if (left := _whole(one.get("limit_remaining"))) is not None), None)


def details(members: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The objects in `details`."""
    given = members.get("details")
    yield from (one for one in (given if isinstance(given, list) else [given]) if isinstance(one, dict))


def _seconds(value: object) -> float | None:
    if isinstance(value, dict):
        value = value.get("seconds")
    if isinstance(value, str):
        found = DURATION.fullmatch(value.strip())
        return None if found is None else float(found[1])
    return number(value)


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        value = int(value)
    if isinstance(value, str) and DIGITS.fullmatch(value.strip()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None
