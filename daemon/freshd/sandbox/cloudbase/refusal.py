"""The errors with which CloudBase refuses, their numbers, and the four forms in which a refusal is written. Pure.

Rules: nobody but this file forms the body of a refusal. The sentence for people is the sandbox's own and short: a
client that reads it instead of the error is wrong.
"""

import dataclasses
import enum
import types
from collections.abc import Mapping

from freshd.sandbox.cloudbase.constants import CloudbaseConstants, Number, Speech
from freshd.sandbox.cloudbase.request import Answer

NUMBERS: Mapping[str, int] = types.MappingProxyType(
    {
        "invalid_argument": 3,
        "not_found": 5,
        "permission_denied": 7,
        "resource_exhausted": 8,
        "failed_precondition": 9,
        "aborted": 10,
        "unimplemented": 12,
        "internal": 13,
        "unavailable": 14,
        "unauthenticated": 16,
        "captcha_required": 4001,
        "captcha_invalid": 4002,
        "invalid_captcha": 4001,
        "captcha_expired": 4002,
        "provider_error": 4019,
        "unauthorized_client": 4022,
        "mfa_phone_required": 4042,
        "login_type_disabled": 4045,
    }
)
_UNKNOWN_RPC = 2


class Cause(enum.StrEnum):
    """Why a token is worth nothing; only the gateway tells these apart."""

    NONE = ""
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    PUSHED_OUT = "pushed_out"


_UPPER_BY_CAUSE = {
    Cause.UNKNOWN: "INVALID_REFRESH_TOKEN",
    Cause.EXPIRED: "REFRESH_TOKEN_EXPIRED",
    Cause.PUSHED_OUT: "REFRESH_TOKEN_EXHAUSTED",
}
_UPPER = {
    "invalid_grant": "INVALID_REFRESH_TOKEN",
    "unauthenticated": "ACCESS_TOKEN_EXPIRED",
    "unauthorized_client": "SIGN_PARAM_INVALID",
    "invalid_client": "INVALID_ENV",
    "permission_denied": "PERMISSION_DENIED",
    "invalid_argument": "INVALID_PARAM",
    "failed_precondition": "LOGIN_MANNER_UNREGISTED",
    "unimplemented": "INVALID_ACTION",
    "resource_exhausted": "EXCEED_RATELIMIT",
    "internal": "SYS_ERR",
    "unavailable": "SERVER_TIMEOUT",
}


class Refusal(Exception):
    """The service says no with ``error``; ``details`` are the members of its one detail.

    ``retry_s`` is for how long (seconds), where the service says it. ``number`` and ``speech`` None and ``status`` 0
    are those that belong to the error and the constants.
    """

    def __init__(
        self,
        error: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_s: float | None = None,
        cause: Cause = Cause.NONE,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.details = dict(details or {})
        self.retry_s = retry_s
        self.cause = cause
        self.number: int | None = None
        self.speech: Speech | None = None
        self.status = 0


def word(refusal: Refusal, constants: CloudbaseConstants, request_id: str = "") -> Answer:
    """Put ``refusal`` into words; what it says itself of form, number and status goes before the constants."""
    details = dict(refusal.details)
    headers = {}
    if refusal.retry_s is not None:
        whole = float(refusal.retry_s).is_integer()
        details["retry_delay"] = f"{int(refusal.retry_s) if whole else round(refusal.retry_s, 3)}s"
        if constants.CLOUDBASE_SIM_RETRY_AFTER:
            headers["Retry-After"] = f"{refusal.retry_s:.0f}"
    speech = refusal.speech or constants.CLOUDBASE_SIM_SPEECH
    body = _body(refusal, speech, constants, [details] if details else [], request_id)
    status = refusal.status or constants.CLOUDBASE_SIM_STATUSES.get(refusal.error, 400)
    if constants.CLOUDBASE_SIM_STATUS_ALWAYS_200 and not refusal.status:
        status = 200
    return Answer(status=status, body=body, headers=headers, outcome=refusal.error)


def _body(
    refusal: Refusal,
    speech: Speech,
    constants: CloudbaseConstants,
    details: list[dict[str, object]],
    request_id: str,
) -> dict[str, object]:
    text = f"refused: {refusal.error}"
    number = refusal.number if refusal.number is not None else NUMBERS.get(refusal.error)
    if speech is Speech.GATEWAY:
        name = _UPPER_BY_CAUSE.get(refusal.cause) or _UPPER.get(refusal.error, refusal.error.upper())
        return {"code": name, "message": text, "requestId": request_id}
    if speech is Speech.RPC:
        typed = [{"@type": "type.example/detail", **one} for one in details]
        return {"code": _UNKNOWN_RPC if number is None else number, "message": text, "details": typed}
    body: dict[str, object] = {"error": refusal.error}
    shown = constants.CLOUDBASE_SIM_OTHER_NUMBER if number is None else number
    if shown is not None and constants.CLOUDBASE_SIM_ERROR_CODE is not Number.ABSENT:
        body["error_code"] = str(shown) if constants.CLOUDBASE_SIM_ERROR_CODE is Number.TEXT else shown
    body["error_description"] = text
    if details:
        body["details"] = details
    return {"data": body} if speech is Speech.DATA else body


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A refusal on demand. ``status`` 0 takes the one of the constants, ``speech`` None the form they say."""

    error: str
    status: int = 0
    speech: Speech | None = None
    number: int | None = None
    retry_s: float | None = None
    limit_remaining: int | None = None

    def refusal(self) -> Refusal:
        """Return it as one."""
        details = {} if self.limit_remaining is None else {"limit_remaining": self.limit_remaining}
        refusal = Refusal(self.error, details=details, retry_s=self.retry_s)
        refusal.number, refusal.speech, refusal.status = self.number, self.speech, self.status
        return refusal
