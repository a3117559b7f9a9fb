"""The form in which platform and brokers answer: one JSON object with either `result` or `error`.  Pure and total.

Rules
-----
* A success is a `result` that is an object with something in it, in a whole reply with a status of 2xx, without an
  error beside it.  Nothing that merely looks fine is a success.
* A refusal is an `error` with a whole-number code other than zero and no result beside it, whatever the status: which
  one the service sends with it is not known.
* Everything else is foreign: a gateway's page, an empty object, a result beside an error, a result under a bad status.
  It is kept in escrow, and acts as a lost answer.
* The text for people that comes with an error is never looked at, let alone shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freshd.core.outcome import Reply
from freshd.providers.form import Foreign, object_of

LARGEST_CODE: Final = 2**63
NOTHING: Final[tuple[object, ...]] = (None, {}, [], "")


@dataclass(frozen=True, slots=True)
class Result:
    """What was asked for was done."""

    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The service's own no.  extra: what came with the code, by name."""

    code: int
    extra: Mapping[str, Any] = field(repr=False)


def opened(reply: Reply) -> Result | Refused | Foreign:
    """What a reply says."""
    found = object_of(reply)
    if isinstance(found, Foreign):
        return found
    result, error = found.get("result"), found.get("error")
    code = _code(error)
    if code and result in NOTHING:
        return Refused(code, error if isinstance(error, dict) else {})
    if code or (error not in NOTHING and code is None):
        return Foreign("an error without a code" if result in NOTHING else "both a result and an error")
    if not isinstance(result, dict) or not result:
        return Foreign("JSON with neither result nor error")
    if reply.status not in range(200, 300):
        return Foreign("a result under a status that says otherwise")
    return Result(result)


def _code(error: object) -> int | None:
    """The code of an error; None where it has none."""
    code = error.get("error_code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isascii() and code.removeprefix("-").isdecimal() and len(code) < 20:
        return int(code)
    if not isinstance(code, int) or isinstance(code, bool) or abs(code) >= LARGEST_CODE:
        return None
    return code
