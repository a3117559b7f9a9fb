"""What nobody outside knows about CloudBase, or what an environment may set: one named value each, switchable.

Rules: a constant answers one question, and both answers are tested. A label's values lie over everybody's. The lives
of a session's tokens are those at its sign-in; all else counts from the change on.
"""

import dataclasses
import enum
import types
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import ShapeError, checked

PREFIX = "CLOUDBASE_SIM_"
_STATUSES = "CLOUDBASE_SIM_STATUSES"
STATUSES: Mapping[str, int] = types.MappingProxyType(
    {
        **dict.fromkeys(("unauthenticated", "unauthorized_client", "invalid_client"), 401),
        **dict.fromkeys(("permission_denied", "user_blocked", "user_pending", "under_review"), 403),
        **dict.fromkeys(("not_found", "user_not_found"), 404),
        "aborted": 409,
        "resource_exhausted": 429,
        "internal": 500,
        "unimplemented": 501,
        "unavailable": 503,
    }
)
"""What is not named gets 400."""


class Method(enum.StrEnum):
    """Ways to sign in; the names are those under which calls are counted."""

    PASSWORD = "password"
    CODE = "verification_code"
    ANONYMOUS = "anonymous"
    CUSTOM = "custom"
    PROVIDER = "provider"
    CREDENTIALS = "client_credentials"


class Gate(enum.StrEnum):
    """Calls that may ask for a captcha."""

    SIGN_IN = "signin"
    REFRESH = "refresh"
    CODES = "verification"


class Speech(enum.StrEnum):
    """The form of a refusal: of the auth endpoints, of the gateway, of gRPC, or the first inside ``data``."""

    AUTH = "auth"
    GATEWAY = "gateway"
    RPC = "rpc"
    DATA = "data"


class Number(enum.StrEnum):
    """How a refusal writes its number."""

    NUMBER = "number"
    TEXT = "text"
    ABSENT = "absent"


class Place(enum.StrEnum):
    """Where a captcha token is looked for."""

    BOTH = "both"
    QUERY = "query"
    HEADER = "header"


class Variant(enum.StrEnum):
    """Which challenge there is."""

    BOTH = "both"
    PAGE = "page"
    IMAGE = "image"


class Words(enum.StrEnum):
    """How a wrong captcha answer is called: as anywhere, or as the page about that call has it."""

    COMMON = "common"
    OWN = "own"


class RevokeForm(enum.StrEnum):
    """How a revocation may name its token."""

    BOTH = "both"
    BEARER = "bearer"
    BODY = "body"


class CredentialsPath(enum.StrEnum):
    """Where client credentials are taken."""

    BOTH = "both"
    TOKEN = "token"
    OWN = "own"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloudbaseConstants:
    """One resolved set; ``_S`` is seconds. The folder's README says what each one decides."""

    CLOUDBASE_SIM_ACCESS_TTL_S: float = 7200
    CLOUDBASE_SIM_REFRESH_TTL_S: float = 2592000
    CLOUDBASE_SIM_REFRESH_LIFE_RENEWS: bool = False
    CLOUDBASE_SIM_ROTATES: bool = True
    CLOUDBASE_SIM_REFRESH_GRACE_S: float = 0
    CLOUDBASE_SIM_REUSE_ENDS_SESSION: bool = False
    CLOUDBASE_SIM_OLD_ACCESS_GRACE_S: float | None = None
    CLOUDBASE_SIM_SESSION_LIMIT: int = 1
    CLOUDBASE_SIM_SAME_DEVICE_REPLACES: bool = False
    CLOUDBASE_SIM_PUSHED_OUT_ACCESS_LIVES: bool = True
    CLOUDBASE_SIM_DEVICE_CHECKED_ON_REFRESH: bool = False
    CLOUDBASE_SIM_DEVICE_REQUIRED_FOR: tuple[Method, ...] = (Method.ANONYMOUS, Method.PROVIDER)
    CLOUDBASE_SIM_NO_REFRESH_TOKEN_FOR: tuple[Method, ...] = ()
    CLOUDBASE_SIM_CREDENTIALS_TTL_S: float = 432000
    CLOUDBASE_SIM_CREDENTIALS_PATH: CredentialsPath = CredentialsPath.BOTH
    CLOUDBASE_SIM_CLIENT_ID_REQUIRED: bool = False
    CLOUDBASE_SIM_JSON_REQUIRED: bool = True

    CLOUDBASE_SIM_METHODS_OFF: tuple[Method, ...] = ()
    CLOUDBASE_SIM_METHOD_OFF_ERROR: str = "failed_precondition"
    CLOUDBASE_SIM_ANONYMOUS_OFF_ERROR: str = "unimplemented"
    CLOUDBASE_SIM_NO_USER_ERROR: str = "not_found"
    CLOUDBASE_SIM_WRONG_PASSWORD_ERROR: str = "invalid_password"
    CLOUDBASE_SIM_WRONG_CODE_ERROR: str = "invalid_argument"
    CLOUDBASE_SIM_DEAD_REFRESH_ERROR: str = "invalid_grant"
    CLOUDBASE_SIM_BAD_TICKET_ERROR: str = "invalid_argument"
    CLOUDBASE_SIM_BAD_TICKET_KEY_ERROR: str = "permission_denied"

    CLOUDBASE_SIM_CAPTCHA_AFTER: int = 5
    CLOUDBASE_SIM_LOCK_AFTER: int = 10
    CLOUDBASE_SIM_LOCK_S: float = 1800
    CLOUDBASE_SIM_CAPTCHA_FOR: tuple[Gate, ...] = ()
    CLOUDBASE_SIM_CAPTCHA_VARIANT: Variant = Variant.BOTH
    CLOUDBASE_SIM_CAPTCHA_PLACE: Place = Place.BOTH
    CLOUDBASE_SIM_CAPTCHA_DIRECT: bool = False
    CLOUDBASE_SIM_CAPTCHA_INIT_BASIC: bool = False
    CLOUDBASE_SIM_CAPTCHA_PAGE_TTL_S: float = 600
    CLOUDBASE_SIM_CAPTCHA_IMAGE_TTL_S: float = 300
    CLOUDBASE_SIM_CAPTCHA_TOKEN_TTL_S: float = 600
    CLOUDBASE_SIM_CAPTCHA_TOKEN_SINGLE_USE: bool = False
    CLOUDBASE_SIM_CAPTCHA_TRIES: int = 1
    CLOUDBASE_SIM_CAPTCHA_WORDS: Words = Words.OWN
    CLOUDBASE_SIM_CAPTCHA_ANSWER: str = ""

    CLOUDBASE_SIM_KEY_OVERLAP_S: float = 7200
    CLOUDBASE_SIM_TICKET_LIFE_S: float = 600
    CLOUDBASE_SIM_TICKET_SKEW_S: float = 60
    CLOUDBASE_SIM_TICKET_SINGLE_USE: bool = False
    CLOUDBASE_SIM_TICKET_CLAIMS_COUNT: bool = False

    CLOUDBASE_SIM_CODE_TTL_S: float = 600
    CLOUDBASE_SIM_CODE_TRIES: int = 5
    CLOUDBASE_SIM_CODE_INTERVAL_S: float = 60
    CLOUDBASE_SIM_CODE_TOO_SOON_ERROR: str = "captcha_required"
    CLOUDBASE_SIM_VERIFICATION_TOKEN_TTL_S: float = 600
    CLOUDBASE_SIM_PROVIDER_TOKEN_TTL_S: float = 3600
    CLOUDBASE_SIM_PROVIDER_TOKEN_SINGLE_USE: bool = True

    CLOUDBASE_SIM_REVOKE_FORM: RevokeForm = RevokeForm.BOTH
    CLOUDBASE_SIM_REVOKE_ENDS_SESSION: bool = True

    CLOUDBASE_SIM_RATE_PER_MIN: int = 0
    CLOUDBASE_SIM_RETRY_DELAY_S: float | None = 60
    CLOUDBASE_SIM_RETRY_AFTER: bool = False
    CLOUDBASE_SIM_SPEECH: Speech = Speech.AUTH
    CLOUDBASE_SIM_ERROR_CODE: Number = Number.NUMBER
    CLOUDBASE_SIM_OTHER_NUMBER: int | None = None
    CLOUDBASE_SIM_STATUS_ALWAYS_200: bool = False
    CLOUDBASE_SIM_STATUSES: Mapping[str, int] = dataclasses.field(default_factory=lambda: STATUSES)


class ConstantsBook:
    """The constants of everybody, and what lies over them for single labels."""

    def __init__(self, default: CloudbaseConstants | None = None) -> None:
        """Start with one set for everybody; None takes the defaults."""
        self._default = default or CloudbaseConstants()
        self._over: dict[str, dict[str, Any]] = {}
        self._resolved: dict[str, CloudbaseConstants] = {}

    def of(self, label: str) -> CloudbaseConstants:
        """Return the set in force for a label; one without values of its own has everybody's."""
        if label not in self._over:
            return self._default
        found = self._resolved.get(label)
        if found is None:
            found = self._resolved[label] = _with(self._default, self._over[label])
        return found

    def change(self, over: Mapping[str, object], *, label: str | None = None) -> None:
        """Lay ``over`` on top of what a label, or everybody (None), has.

        ``CLOUDBASE_SIM_STATUSES`` is an object from error to status and is laid over error by error. Raises ValueError
        and changes nothing if a name is unknown or a value does not fit.
        """
        fields = _checked(over)
        if label is None:
            self._default = _with(self._default, fields)
        else:
            below = self._over.get(label, {})
            both = {**below, **fields}
            if _STATUSES in below and _STATUSES in fields:
                both[_STATUSES] = {**below[_STATUSES], **fields[_STATUSES]}
            self._over[label] = both
        self._resolved.clear()

    def show(self, label: str) -> dict[str, object]:
        """Return what holds for a label as JSON can carry it."""
        found = self.of(label)
        shown = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        return {**shown, _STATUSES: dict(found.CLOUDBASE_SIM_STATUSES)}


def _checked(over: Mapping[str, object]) -> dict[str, Any]:
    plain = {name: value for name, value in over.items() if name != _STATUSES}
    fields = checked(CloudbaseConstants, plain, partial=True)
    wrong = [f"{name}: negative" for name, value in fields.items() if isinstance(value, int | float) and value < 0]
    if fields.get("CLOUDBASE_SIM_SESSION_LIMIT", 1) < 1:
        wrong.append("CLOUDBASE_SIM_SESSION_LIMIT: at least 1")
    if wrong:
        raise ValueError("; ".join(wrong))
    if _STATUSES in over:
        fields[_STATUSES] = _statuses(over[_STATUSES])
    return fields


def _statuses(value: object) -> dict[str, int]:
    table = value if isinstance(value, Mapping) else {"": None}
    statuses = {str(error): status for error, status in table.items() if type(status) is int and 200 <= status <= 599}
    if len(statuses) != len(table):
        raise ShapeError(f"{_STATUSES}: expected an object from error to a status of 200 to 599")
    return statuses


def _with(constants: CloudbaseConstants, over: Mapping[str, Any]) -> CloudbaseConstants:
    if _STATUSES in over:
        over = {**over, _STATUSES: {**constants.CLOUDBASE_SIM_STATUSES, **over[_STATUSES]}}
    return dataclasses.replace(constants, **over)
