"""Why Feishu gives nothing for a refresh token or a code: reasons, before any endpoint makes a number of them. Pure."""

import enum

from freshd.sandbox.feishu.apps import Standing


class Why(enum.StrEnum):
    """Why a refresh token gets nothing."""

    UNKNOWN = "unknown"
    OTHER_GENERATION = "other generation"
    OTHER_APP = "other app"
    REFRESHING_OFF = "refreshing switched off"
    NOT_INSTALLED = "app not installed"
    LEFT = "person left"
    FROZEN = "person frozen"
    UNREGISTERED = "person not registered"
    REMOVED = "person does not exist"
    NOT_ALLOWED = "person may not use the app"
    DUPLICATE_SCOPE = "scope named twice"
    UNGRANTED_SCOPE = "scope not granted"
    SPENT = "already used"
    REVOKED = "revoked"
    EXPIRED = "expired"
    AUTHORIZATION_OVER = "authorization too old"


STANDINGS = {
    Standing.LEFT: Why.LEFT,
    Standing.FROZEN: Why.FROZEN,
    Standing.UNREGISTERED: Why.UNREGISTERED,
    Standing.REMOVED: Why.REMOVED,
    Standing.NOT_ALLOWED: Why.NOT_ALLOWED,
}


class Denied(Exception):
    """A presentation gets nothing; nothing was spent by it."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


def check_scope(scope: str, granted: str) -> None:
    """Raise Denied unless ``scope`` names each word once and nothing that was not granted."""
    words = scope.split()
    if len(set(words)) != len(words):
        raise Denied(Why.DUPLICATE_SCOPE)
    if not set(words) <= set(granted.split()):
        raise Denied(Why.UNGRANTED_SCOPE)
