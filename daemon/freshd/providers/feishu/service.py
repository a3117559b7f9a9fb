"""The open platform of Feishu, and of Lark, its twin abroad: where it is, and how fast it may be asked.

Rules
-----
* An app belongs to one brand; the other brand's domain refuses it.  So the brand is said once, and everything follows
  from it.  `open_url` and `accounts_url` replace a domain for proxies and tests only.
* Two domains: `open` holds the programming interface and the older token endpoints, `accounts` the pages for people and
  the newest one.  A grant is bound to `open`: it outlives a change of the token endpoint's generation.
* The platform allows 1000 calls a minute and 50 a second to one app; `app_interval` cannot be set faster than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from freshd.core.pace import Pace
from freshd.core.problem import Problem
from freshd.core.settings import SecretRef
from freshd.providers.http import DEADLINE_SECONDS, Route, host, origin, url_problem
from freshd.providers.keys import Strict
from freshd.providers.oauth2.options import Seconds, Text, is_plain_proxy

Brand = Literal["feishu", "lark"]
OPEN: Final[Mapping[str, str]] = MappingProxyType(
    {"feishu": "https://open.feishu.cn", "lark": "https://open.larksuite.com"}
)
ACCOUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {"feishu": "https://accounts.feishu.cn", "lark": "https://accounts.larksuite.com"}
)
APP_INTERVAL_SECONDS: Final = 0.06
"""1000 calls a minute, the stricter of the platform's two limits."""

TOKEN_V3: Final = "/oauth/v3/token"
TOKEN_V2: Final = "/open-apis/authen/v2/oauth/token"
REFRESH_V1: Final = "/open-apis/authen/v1/oidc/refresh_access_token"
AUTHORIZE_PATH: Final = "/open-apis/authen/v1/authorize"
DEVICE_PATH: Final = "/oauth/v1/device_authorization"
REVOKE_PATH: Final = "/oauth/v1/revoke"
USER_PATH: Final = "/open-apis/authen/v1/user_info"
APP_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tenant": "/open-apis/auth/v3/tenant_access_token/internal",
        "app": "/open-apis/auth/v3/app_access_token/internal",
    }
)


class Service(Strict):
    """What both kinds say of the platform and of their app.

    app_id        the app as its console names it
    brand         "feishu" or "lark": which of the two platforms the app was made on
    open_url      another address of the programming interface; accounts_url: of the pages for people
    min_interval  seconds between two calls of one rung; app_interval: of one app; host_interval: to one host
    daily         calls of one rung in 24 h at most
    deadline      seconds for one call
    """

    app_id: Text
    app_secret: SecretRef
    brand: Brand = "feishu"
    open_url: Text | None = None
    accounts_url: Text | None = None
    min_interval: Seconds = 1.0
    app_interval: Annotated[float, Field(ge=APP_INTERVAL_SECONDS, le=86_400, allow_inf_nan=False)] = (
        APP_INTERVAL_SECONDS
    )
    host_interval: Seconds = 0.01
    backoff_cap: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 300.0
    daily: Annotated[int, Field(ge=1)] | None = None
    deadline: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def route(self) -> Route:
        """How the platform is reached."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def origin(self) -> str:
        """What grants are bound to."""
        return origin(self.at_open(""))

    def at_open(self, path: str) -> str:
        """An address of the programming interface."""
        return (self.open_url or OPEN[self.brand]).rstrip("/") + path

    def at_accounts(self, path: str) -> str:
        """An address of the pages for people."""
        return (self.accounts_url or ACCOUNTS[self.brand]).rstrip("/") + path

    def pace(self, cap: float | None = None) -> Pace:
        """How fast one rung may be taken; `cap`: the longest pause after failures where it is less than elsewhere."""
        return Pace(self.min_interval, min(self.backoff_cap, cap or self.backoff_cap), self.daily)

    def paces(self, account: str, rung: str, url: str, cap: float | None = None) -> Sequence[tuple[str, Pace]]:
        """The ledger's keys for one call of a rung to `url`, widest first."""
        place = host(url)
        return (
            (f"host:{place}", Pace(self.host_interval, self.backoff_cap)),
            (f"app:{place}/{self.app_id}", Pace(self.app_interval, self.backoff_cap)),
            (f"account:{account}/{rung}", self.pace(cap)),
        )


def problems_of(service: Service) -> Iterator[Problem]:
    """Addresses and paths to which nothing can be sent."""
    for name in ("open_url", "accounts_url", "proxy"):
        url = getattr(service, name)
        wrong = None if url is None else url_problem(url)
        if wrong is None and url is not None and urlsplit(url).query:
            wrong = "holds a query"
        if wrong is not None and not (name == "proxy" and is_plain_proxy(url)):
            yield Problem((name,), wrong, f'write {name} = "https://HOST"')
    if service.ca_file is not None and not service.ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')
