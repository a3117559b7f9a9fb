"""What nobody outside knows about Feishu, or what it may change: one named value each, switchable at run time.

Rules: a constant answers one question, and both answers are tested. An override is partial; the server's values lie
lowest, an app's over them, a label's on top. Tokens that are out keep the ends they were given.
"""

import dataclasses
import enum
import types
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import ShapeError, checked

DAY_S = 86400
_CLASSES = "FEISHU_SIM_ERROR_CLASS"
ERROR_CLASSES: Mapping[int, str] = types.MappingProxyType(
    {
        **dict.fromkeys((20003, 20004, 20024, 20026, 20037, 20049, 20064, 20065, 20071, 20073, 20138), "invalid_grant"),
        **dict.fromkeys((20002, 20048, 20069), "invalid_client"),
        **dict.fromkeys((20067, 20068), "invalid_scope"),
        **dict.fromkeys((20001, 20063, 20070), "invalid_request"),
        **dict.fromkeys((20008, 20009, 20010, 20066), "access_denied"),
        20036: "unsupported_grant_type",
        20050: "server_error",
        20072: "temporarily_unavailable",
        20074: "unauthorized_client",
    }
)


class RateKey(enum.StrEnum):
    """Whose requests are counted together."""

    APP_TENANT = "app+tenant"
    APP = "app"
    TENANT = "tenant"


class FailureText(enum.StrEnum):
    """Under which name a refusal of the token endpoint brings its sentence for people."""

    DESCRIPTION = "error_description"
    MESSAGE = "msg"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeishuConstants:
    """One resolved set; names end in their unit where there is one (``_S`` seconds).

    ``FEISHU_SIM_OLD_ACCESS_GRACE_S`` None: an access token outlives the refresh to its own end.
    ``FEISHU_SIM_REFUSAL_SPENDS``: a refusal for reasons of the app (20002, 20074) uses the refresh token up.
    ``FEISHU_SIM_REFRESH_LIFE_RENEWS`` False: a successor ends when its predecessor would have.
    ``FEISHU_SIM_TENANT_OAUTH_REISSUES`` False: the OAuth form makes a new token at every call.
    ``FEISHU_SIM_V1_CODE_ON_DEAD`` and ``FEISHU_SIM_OIDC_CODE_ON_REUSE`` are of the two oldest user endpoints.
    ``FEISHU_SIM_DEVICE_CODE`` None: a poll that is not granted yet has no ``code`` member.
    ``FEISHU_SIM_USER_INFO_SCOPE``: what a token must be allowed for the harmless call; empty: nothing.
    """

    FEISHU_SIM_ACCESS_TTL_S: float = 7200
    FEISHU_SIM_REFRESH_TTL_S: float = 7 * DAY_S
    FEISHU_SIM_REAUTH_AFTER_S: float = 365 * DAY_S
    FEISHU_SIM_CODE_TTL_S: float = 300
    FEISHU_SIM_OLD_ACCESS_GRACE_S: float | None = 60
    FEISHU_SIM_OLD_REFRESH_GRACE_S: float = 0
    FEISHU_SIM_CODE_ON_REUSE: int = 20064
    FEISHU_SIM_REUSE_REVOKES_FAMILY: bool = True
    FEISHU_SIM_REAUTH_REVOKES_OLD_PAIR: bool = False
    FEISHU_SIM_20050_AFTER_COMMIT: bool = False
    FEISHU_SIM_CODE_AS_TEXT: bool = False
    FEISHU_SIM_ERROR_CLASS: Mapping[int, str] = dataclasses.field(default_factory=lambda: ERROR_CLASSES)
    FEISHU_SIM_V3_STRAY_VERIFIER_CODE: int = 20049
    FEISHU_SIM_TENANT_TTL_S: float = 7200
    FEISHU_SIM_TENANT_REISSUE_BELOW_S: float = 1800
    FEISHU_SIM_RATE_PER_MIN: int = 1000
    FEISHU_SIM_RATE_PER_S: int = 50
    FEISHU_SIM_RATE_KEY: RateKey = RateKey.APP_TENANT
    # Questions that are open as well, though no table of constants asks them.
    FEISHU_SIM_RATE_STATUS: int = 429
    FEISHU_SIM_REFUSAL_SPENDS: bool = False
    FEISHU_SIM_REFRESH_LIFE_RENEWS: bool = True
    FEISHU_SIM_TENANT_OAUTH_REISSUES: bool = True
    FEISHU_SIM_TENANT_REFUSAL_STATUS: int = 200
    FEISHU_SIM_OTHER_BRAND_CODE: int = 20048
    FEISHU_SIM_FAILURE_TEXT: FailureText = FailureText.DESCRIPTION
    FEISHU_SIM_V1_CODE_ON_DEAD: int = 20001
    FEISHU_SIM_OIDC_CODE_ON_REUSE: int = 20038
    FEISHU_SIM_DEVICE_TTL_S: float = 240
    FEISHU_SIM_DEVICE_INTERVAL_S: float = 5
    FEISHU_SIM_DEVICE_CODE: int | None = None
    FEISHU_SIM_API_REFUSAL_STATUS: int = 400
    FEISHU_SIM_CODE_ON_EXPIRED_ACCESS: int = 99991677
    FEISHU_SIM_USER_INFO_SCOPE: str = ""
    FEISHU_SIM_TOKEN_CHARS: int = 1200


class ConstantsBook:
    """The overrides in force; ``of`` answers from a cache that every change empties."""

    def __init__(self, default: FeishuConstants | None = None) -> None:
        """Start with one set for everybody; None takes the suggested values."""
        self._default = default or FeishuConstants()
        self._over: dict[tuple[str, str], dict[str, Any]] = {}
        self._resolved: dict[tuple[str, str], FeishuConstants] = {}

    def of(self, app_id: str, label: str) -> FeishuConstants:
        """Return what holds now for one account of one app."""
        found = self._resolved.get((app_id, label))
        if found is None:
            over: dict[str, Any] = {}
            for key in (("app_id", app_id), ("label", label)):
                over = _laid(over, self._over.get(key, {}))
            found = _with(self._default, over)
            self._resolved[app_id, label] = found
        return found

    def change(self, over: Mapping[str, object], *, app_id: str | None = None, label: str | None = None) -> None:
        """Lay ``over`` on top of what one label, one app, or (neither given) the server already has.

        ``FEISHU_SIM_ERROR_CLASS`` is an object from code to class and is laid over code by code; null takes a code's
        class away. Raises ValueError and changes nothing if a name is unknown or a value does not fit.
        """
        fields = _checked(over)
        if label is None and app_id is None:
            self._default = _with(self._default, fields)
        else:
            key = ("label", label) if label is not None else ("app_id", app_id or "")
            self._over[key] = _laid(self._over.get(key, {}), fields)
        self._resolved.clear()

    def show(self, app_id: str, label: str) -> dict[str, object]:
        """Return what holds now as JSON can carry it."""
        found = self.of(app_id, label)
        shown = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        return {**shown, _CLASSES: {str(code): text for code, text in found.FEISHU_SIM_ERROR_CLASS.items()}}


def _checked(over: Mapping[str, object]) -> dict[str, Any]:
    plain = {name: value for name, value in over.items() if name != _CLASSES}
    fields = checked(FeishuConstants, plain, partial=True)
    negative = [name for name, value in fields.items() if isinstance(value, int | float) and value < 0]
    if negative:
        message = f"negative: {', '.join(negative)}"
        raise ValueError(message)
    if _CLASSES in over:
        fields[_CLASSES] = _classes(over[_CLASSES])
    return fields


def _classes(value: object) -> dict[int, str | None]:
    fits = isinstance(value, Mapping) and all(text is None or isinstance(text, str) for text in value.values())
    if not isinstance(value, Mapping) or not fits or not all(str(code).isdecimal() for code in value):
        message = f"{_CLASSES}: expected an object from code to text or null"
        raise ShapeError(message)
    return {int(code): text for code, text in value.items()}


def _laid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {**below, **above}
    if _CLASSES in below and _CLASSES in above:
        both[_CLASSES] = {**below[_CLASSES], **above[_CLASSES]}
    return both


def _with(constants: FeishuConstants, over: Mapping[str, Any]) -> FeishuConstants:
    if _CLASSES in over:
        classes = {**constants.FEISHU_SIM_ERROR_CLASS, **over[_CLASSES]}
        over = {**over, _CLASSES: {code: text for code, text in classes.items() if text is not None}}
    return dataclasses.replace(constants, **over)
