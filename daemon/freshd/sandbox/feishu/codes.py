"""The numbers with which Feishu refuses, the HTTP status that goes with each, and how each family of endpoints says it.

Rules: nobody but this file forms the body of a refusal. The sentence for people is the sandbox's own and short: a
client that reads it instead of the code is wrong.
"""

import dataclasses
import enum
from collections.abc import Mapping

from freshd.sandbox.feishu.constants import FailureText, FeishuConstants

RATE_CODE = 99991400
_STATUS: Mapping[int, int] = {20050: 500, 20072: 503, 20138: 200}
_API_CODES = range(99991000, 99992000)


class Family(enum.StrEnum):
    """Endpoints that speak alike."""

    OAUTH = "oauth"
    V1 = "v1"
    OIDC = "oidc"
    TENANT = "tenant"
    API = "api"


class Refusal(Exception):
    """The service says no with ``code``; ``more`` are further members of the body.

    ``error`` is the OAuth class where there is one without a code (the answers to a device's polls).
    """

    def __init__(self, code: int | None, more: Mapping[str, object] | None = None, *, error: str = "") -> None:
        super().__init__(code, error)
        self.code = code
        self.error = error
        self.more = dict(more or {})
        self.headers: dict[str, str] = {}

    @property
    def name(self) -> str:
        """What the books call it."""
        return self.error if self.code is None else str(self.code)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A refusal on demand; ``status`` 0 takes the one that belongs to the code."""

    refusal: Refusal
    status: int = 0
    after_commit: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal in the words of its endpoint."""

    status: int
    body: dict[str, object]


def word(refusal: Refusal, family: Family, constants: FeishuConstants, status: int = 0) -> Refused:
    """Put ``refusal`` into the form of ``family``; ``status`` 0 takes the one that belongs to it."""
    text = f"refused: {refusal.name}"
    body: dict[str, object] = {}
    if refusal.code is not None:
        body["code"] = said(refusal.code, constants)
    if family is not Family.OAUTH:
        body["msg"] = text
    else:
        error = refusal.error or constants.FEISHU_SIM_ERROR_CLASS.get(refusal.code or 0, "")
        if error:
            body["error"] = error
        in_msg = constants.FEISHU_SIM_FAILURE_TEXT is FailureText.MESSAGE
        body["msg" if in_msg else "error_description"] = text
    return Refused(status=status or _status(refusal.code, family, constants), body={**body, **refusal.more})


def said(code: int, constants: FeishuConstants) -> int | str:
    """Return a code in the type in which this service writes it."""
    return str(code) if constants.FEISHU_SIM_CODE_AS_TEXT else code


def _status(code: int | None, family: Family, constants: FeishuConstants) -> int:
    if code == RATE_CODE:
        return constants.FEISHU_SIM_RATE_STATUS
    if code == 20050:
        return 500
    if family in (Family.V1, Family.OIDC):
        return 200
    if family is Family.TENANT:
        return constants.FEISHU_SIM_TENANT_REFUSAL_STATUS
    if family is Family.API or code in _API_CODES:
        return constants.FEISHU_SIM_API_REFUSAL_STATUS
    return _STATUS.get(code or 0, 400)
