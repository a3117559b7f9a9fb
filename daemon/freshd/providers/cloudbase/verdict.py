"""The one table of CloudBase: what each code calls for, on a renewal and on a sign-in.  Data only.

Rules
-----
* Codes are compared in one case: those of the sign-in service are written small, those of the gateway large.
* A code that cannot come of a step (`None`) is as good as unknown there.
* Only a code that judges the refresh token itself is the end of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class Act(enum.Enum):
    """What a code calls for.

    OPEN     the service's own trouble: what was asked may have been done
    WAIT     back off, at least as long as it says; LONG: much longer, and after three in a row a person
    RELOGIN  the refresh token is no longer good
    CROWDED  too many sessions: somebody else uses the account
    PASSWORD the password is wrong: never presented again; LOCKED: too many were wrong, wait and then a person
    CAPTCHA  a captcha stands before it; CAPTCHA_BAD: the token of one was not taken
    TRIES    some more tries, then a person
    SHARED   like CONFIG, and the same for every account of the environment
    """

    OPEN = "open"
    WAIT = "wait"
    LONG = "long"
    RELOGIN = "relogin"
    CROWDED = "crowded"
    PASSWORD = "password"
    LOCKED = "locked"
    CAPTCHA = "captcha"
    CAPTCHA_BAD = "captcha-bad"
    TRIES = "tries"
    PERSON = "person"
    CONFIG = "config"
    SHARED = "shared"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Verdict:
    """renewal, signin: what the code calls for there; hint: what an operator should know."""

    renewal: Act | None
    signin: Act | None
    hint: str = ""


def _all(codes: Iterable[str], renewal: Act | None, signin: Act | None, hint: str = "") -> dict[str, Verdict]:
    return dict.fromkeys((code.lower() for code in codes), Verdict(renewal, signin, hint))


GONE: Final = "the refresh token is over, spent, or was pushed out by another sign-in"
ENV: Final = "environment, region or address is wrong: env, region, base_url"
TABLE: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **_all(("invalid_grant", "unauthenticated"), Act.RELOGIN, Act.PERSON, GONE),
        **_all(("REFRESH_TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN"), Act.RELOGIN, Act.PERSON, GONE),
        **_all(("REFRESH_TOKEN_EXHAUSTED",), Act.CROWDED, Act.PERSON, "the account has more sessions than it may"),
        **_all(("ACCESS_TOKEN_EXPIRED", "CHECK_LOGIN_FAILED"), Act.TRIES, Act.TRIES, "the access token is over"),
        **_all(("unauthorized_client",), Act.CONFIG, Act.CONFIG, "client_secret is wrong, or the client may not"),
        **_all(("invalid_client",), Act.CONFIG, Act.CONFIG, "there is no such client: client_id"),
        **_all(("permission_denied", "SIGN_PARAM_INVALID", "EXCEED_AUTHORITY"), Act.CONFIG, Act.CONFIG,
               "client or key lacks the right; the session is kept"),
        **_all(("not_found", "user_not_found"), Act.CONFIG, Act.CONFIG, "there is no such user"),
        **_all(("password_not_set",), None, Act.CONFIG, "the user has no password: choose another method"),
        **_all(("failed_precondition",), Act.CONFIG, Act.CONFIG,
               "the way of signing in is not enabled, or the profile at the provider cannot be read"),
        **_all(("provider_not_enabled", "login_method_disabled", "login_type_disabled", "provider_error",
                "unimplemented", "LOGIN_MANNER_UNREGISTED"), Act.CONFIG, Act.CONFIG,
               "this way of signing in is switched off, or its provider is faulty"),
        **_all(("INVALID_ENV", "INVALID_REGION", "INVALID_HOST"), Act.CONFIG, Act.CONFIG, ENV),
        **_all(("INVALID_ENV_STATUS", "ENV_ABNORMAL", "ENV_NOT_READY"), Act.SHARED, Act.SHARED,
               "the environment does not run: look at its console"),
        **_all(("invalid_password", "wrong_password", "invalid_username_or_password", "invalid_credentials"),
               None, Act.PASSWORD, "this password is not presented again; store another one"),
        **_all(("invalid_status",), None, Act.LOCKED, "locked for a time after too many wrong passwords"),
        **_all(("user_pending",), Act.PERSON, Act.PERSON, "the user is not activated"),
        **_all(("user_blocked",), Act.PERSON, Act.PERSON, "the user is disabled"),
        **_all(("under_review",), Act.PERSON, Act.PERSON, "the user is being reviewed"),
        **_all(("two_factor_required", "invalid_two_factor", "invalid_two_factor_recovery"), Act.PERSON, Act.PERSON,
               "the user has a second factor, which only a person can bring"),
        **_all(("mfa_phone_required", "phone_required"), Act.PERSON, Act.PERSON, "the service wants a phone"),
        **_all(("invalid_verification_code",), None, Act.PERSON, "the code is wrong or over"),
        **_all(("access_denied", "login_required", "interaction_required", "account_selection_required",
                "consent_required"), Act.PERSON, Act.PERSON, "the service wants a person"),
        **_all(("captcha_required",), Act.CAPTCHA, Act.CAPTCHA, "a captcha stands before it"),
        **_all(("captcha_invalid",), Act.CAPTCHA_BAD, Act.CAPTCHA_BAD, "the captcha's token was not taken"),
        **_all(("resource_exhausted", "EXCEED_RATELIMIT", "EXCEED_REQUEST_LIMIT", "EXCEED_CONCURRENT_REQUEST_LIMIT",
                "RequestLimitExceeded"), Act.WAIT, Act.WAIT, "too many requests"),
        **_all(("aborted",), Act.LONG, Act.LONG, "attempted too many times"),
        **_all(("invalid_argument",), Act.BUG, Act.BUG, "a parameter is missing or wrong"),
        **_all(("unsupported_grant_type", "invalid_scope", "invalid_request", "already_exists", "out_of_range",
                "unsupported_response_type", "invalid_request_uri", "invalid_request_object", "request_not_supported",
                "request_uri_not_supported", "registration_not_supported", "INVALID_PARAM", "INVALID_COMMON_PARAM",
                "INVALID_ACTION", "BAD_REQUEST"), Act.BUG, Act.BUG, "the service does not take the request as it is"),
        **_all(("internal", "server_error", "unavailable", "temporarily_unavailable", "deadline_exceeded", "data_loss",
                "unknown", "unreachable", "SYS_ERR", "SERVER_TIMEOUT", "REQUEST_CANCELED"), Act.OPEN, Act.OPEN,
               "the service's own trouble"),
    }
)  # fmt: skip
CODE_CHECKED: Final = frozenset({"invalid_argument", "invalid_verification_code", "not_found", "permission_denied"})
"""What the check of a typed code answers where it is wrong, or its session is over."""
CAPTCHA_CHECKED: Final = frozenset(
    {"invalid_captcha", "captcha_expired", "captcha_invalid", "captcha_required", "invalid_argument",
     "invalid_verification_code", "not_found"}
)  # fmt: skip
"""What the check of typed characters answers where they are wrong or late; other pages give the two first the numbers
of the two next, so all mean the same there."""


def verdict_of(code: str | None) -> Verdict | None:
    """What a code calls for; None for one that no table knows."""
    return None if code is None else TABLE.get(code.lower())
