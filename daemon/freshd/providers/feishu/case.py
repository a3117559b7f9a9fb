"""One reply of the platform, in the one form that reading needs, whichever of its endpoints spoke.  Pure and total.

Rules
-----
* The newer endpoints answer with a flat object, the older ones put what matters into `data`; both are laid into one,
  the flat members above.
* `code` decides, whether it came as a number or as text.  Absent, null and empty mean that none was given.
* What is whole of a reply that broke off is used, also inside `data` (see `form`).
* Of headers only two things are taken: how long to wait, and the request id that the platform's support asks for, which
  must look like one before it is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from freshd.core.model import Grant, Intent, Record
from freshd.core.outcome import Reply
from freshd.core.pace import RETRY_AFTER_CAP
from freshd.providers.form import Foreign, fragment_of, number, object_of, retry_after
from freshd.providers.oauth2 import case as oauth2
from freshd.providers.oauth2.case import AUTHORIZE, DEVICE, ISSUE, REFRESH, REFRESH_TOKEN

__all__ = ["AUTHORIZE", "DEVICE", "FINE", "ISSUE", "PRESENTS", "REFRESH", "REFRESH_TOKEN", "REFRESH_TOKEN_V1",
           "REFRESH_V1", "Case", "Terms", "case_of", "code_of", "log_id_of", "pause_of"]  # fmt: skip

REFRESH_V1: Final = "refresh-v1"
REFRESH_TOKEN_V1: Final = "refresh_token_v1"
PRESENTS: Final[Mapping[str, str]] = {REFRESH: REFRESH_TOKEN, REFRESH_V1: REFRESH_TOKEN_V1}
"""The secret of the grant that a rung presents."""
FINE: Final = "0"
ODD: Final = "(odd)"
"""A code that is neither a number nor a text."""
DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
LOG_ID: Final = re.compile(r"[0-9]{14,16}[0-9A-Za-z]{4,48}")
"""A time stamp and what follows it; a secret of the platform does not begin so."""


@dataclass(frozen=True, slots=True)
class Terms(oauth2.Terms):
    """What reading needs to know of the account.  scope: what a person is asked to grant."""

    scope: str = ""


@dataclass(frozen=True, slots=True)
class Case(oauth2.Case):
    """One reply with everything that it is read against.

    code     the service's own, digits as text; None where it gave none
    foreign  why the reply is not the service's own word; None where it is
    """

    code: str | None = None
    foreign: str | None = None

    @property
    def old(self) -> Grant | None:
        """The grant that goes on; none when a new lineage begins."""
        return self.record.grant if self.rung in PRESENTS else None


def case_of(rung: str, record: Record, intent: Intent, reply: Reply, terms: oauth2.Terms) -> Case:
    """The reply in one form."""
    found = object_of(reply)
    is_broken = isinstance(found, Foreign) and not reply.complete
    whole = _fragment(reply) if is_broken else {} if isinstance(found, Foreign) else found
    inner = whole.get("data")
    members = {**(inner if isinstance(inner, dict) else {}), **whole}
    code = code_of(whole)
    said_no = code not in (None, FINE) or (code is None and isinstance(whole.get("error"), str))
    is_success = reply.status in range(200, 300) and not is_broken and not said_no
    why = str(found) if isinstance(found, Foreign) else None
    return Case(rung, record, intent, reply, terms, members, is_success, code, why)


def code_of(answer: Mapping[str, Any]) -> str | None:
    """The code, as text without needless zeros; None where there is none."""
    code = answer.get("code")
    if code is None:
        return None
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int | str):
        return ODD
    written = str(code).strip()
    return str(int(written)) if DIGITS.fullmatch(written) else written or None


def pause_of(reply: Reply) -> float | None:
    """Seconds to wait: the longer of the platform's own header and Retry-After, either of which may be a fraction."""
    headers = (reply.header("x-ogw-ratelimit-reset"), reply.header("Retry-After"))
    asked = [*(number(header) for header in headers), retry_after(reply)]
    waits = (min(seconds, RETRY_AFTER_CAP) for seconds in asked if seconds is not None and 0 <= seconds < math.inf)
    return max(waits, default=None)


def log_id_of(reply: Reply) -> str | None:
    """The id of the request, as support asks for it; None for whatever does not look like one."""
    given = (reply.header("X-Tt-Logid") or "").strip()
    return given if LOG_ID.fullmatch(given) else None


def _fragment(reply: Reply) -> Mapping[str, Any]:
    """What arrived whole, of the object and of the one inside it."""
    outer = fragment_of(reply)
    at = reply.body.find(b'"data"')
    if at < 0 or "data" in outer:
        return outer
    begin = reply.body.find(b"{", at)
    inner = {} if begin < 0 else fragment_of(replace(reply, body=reply.body[begin:]))
    return {**inner, **outer}
