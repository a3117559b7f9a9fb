"""Apps, the people who use them, and how an app proves who it is. Pure.

Rules: an app has one brand and one tenant. A person's state holds for all apps; who was never named is active.
Refusals carry the codes of the OAuth endpoints; the older endpoints translate.
"""

import dataclasses
import enum
import hmac
import urllib.parse
from collections.abc import Iterable, Mapping

from freshd.sandbox.clients import Unauthenticated, basic_credentials, basic_id
from freshd.sandbox.feishu.codes import Refusal

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Brand(enum.StrEnum):
    """Under which name an app or a domain runs."""

    FEISHU = "feishu"
    LARK = "lark"


class Standing(enum.StrEnum):
    """How a person stands with the service."""

    ACTIVE = "active"
    LEFT = "left"
    FROZEN = "frozen"
    UNREGISTERED = "unregistered"
    REMOVED = "removed"
    NOT_ALLOWED = "not_allowed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app. ``redirect_uris`` empty: any loopback address, else character for character.

    ``scopes``: what it has applied for; empty: everything. ``refreshing`` False: switched off in its security settings.
    """

    app_id: str
    secret: str = dataclasses.field(repr=False)
    enabled: bool = True
    installed: bool = True
    refreshing: bool = True
    brand: Brand = Brand.FEISHU
    tenant_key: str = "tenant-1"
    redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def may_return_to(self, uri: str) -> bool:
        """Whether a browser may be sent back to ``uri``."""
        if not self.redirect_uris:
            return urllib.parse.urlsplit(uri).hostname in _LOOPBACK
        return uri in self.redirect_uris

    def has_applied_for(self, scope: str) -> bool:
        """Whether users may be asked for ``scope``, one word."""
        return not self.scopes or scope in self.scopes or scope == "offline_access"

    def is_secret(self, text: str) -> bool:
        """Whether ``text`` is its secret."""
        return hmac.compare_digest(self.secret.encode(), text.encode("utf-8", "surrogatepass"))


class Apps:
    """All apps, and how people stand."""

    def __init__(self, apps: Iterable[App] = (), brand: Brand = Brand.FEISHU) -> None:
        """Register ``apps``; ``brand`` is that of the domains this service stands for."""
        self._known = {app.app_id: app for app in apps}
        self.brand = brand
        self.people: dict[str, Standing] = {}

    def register(self, app: App) -> None:
        """Add an app or replace the one of the same id."""
        self._known[app.app_id] = app

    def find(self, app_id: str) -> App | None:
        """Return the app of this id."""
        return self._known.get(app_id)

    def standing(self, open_id: str) -> Standing:
        """Return how a person stands."""
        return self.people.get(open_id, Standing.ACTIVE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which app a request says it comes from, unproven."""

    app_id: str
    secret: str = dataclasses.field(repr=False)


def claimed(authorization: str | None, params: Mapping[str, str], *, takes_basic: bool) -> Claim:
    """Return the one way in which a request names its app and secret.

    Raises Refusal: 20070 for two ways at once, 20001 where id or secret is missing.
    """
    app_id, secret = params.get("client_id", ""), params.get("client_secret", "")
    if authorization is not None and authorization[:6].lower() == "basic ":
        if "client_secret" in params:
            raise Refusal(20070)
        if takes_basic:
            named, secret = _basic(authorization)
            if app_id not in ("", named):
                raise Refusal(20070)
            app_id = named
    if not app_id or not secret:
        raise Refusal(20001)
    return Claim(app_id=app_id, secret=secret)


def _basic(authorization: str) -> tuple[str, str]:
    try:
        return basic_credentials(authorization)
    except Unauthenticated as error:
        raise Refusal(20001) from error


def claimed_id(authorization: str | None, params: Mapping[str, str]) -> str:
    """Return the app id a request names anywhere, unproven; empty where it names none."""
    return params.get("client_id") or params.get("app_id") or basic_id(authorization) or ""
