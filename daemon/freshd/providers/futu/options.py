"""What an account of kind `futu`, the login at the platform, may say in the configuration.

`Options` is both the schema and the result: frozen, strict, closed to unknown keys.  Rules between keys are checked
afterwards, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from freshd.core.model import Binding
from freshd.core.problem import Problem
from freshd.core.settings import Parsed
from freshd.providers.futu import unknowns
from freshd.providers.futu.case import PLATFORM_KIND
from freshd.providers.futu.hosts import PHONE, PLATFORM_URLS, Identity, identity, platform_of
from freshd.providers.http import DEADLINE_SECONDS, Route, is_loopback, origin, url_problem
from freshd.providers.keys import Keys, Strict

Text = Annotated[str, Field(min_length=1)]
Region = Literal["cn", "hk", "us", "sg", "au", "jp", "my", "ca"]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Cap = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
Daily = Annotated[int, Field(ge=1)]
Deadline = Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)]
INTERVAL_SECONDS: Final = 75.0
"""A second login within a minute is taken for abuse (code 15), and repeated abuse locks accounts.  Our pace counts from
the intent, not from the call's arrival: a slow connection, or a crash in between, must not bring two closer than that.
"""


class Options(Strict):
    """One account's own keys.

    account         as it logs in: e-mail address, number, or +COUNTRY-NUMBER for a phone
    attribution     the region it belongs to, which decides the host; none: cn and hk
    auth_url        another host for everything of the platform; never left for one that the region names
    device_alias    what the device calls itself; device_type, os_ver: likewise
    client_version  what the client says it is
    scheduled       log in before the signature ends, instead of when somebody needs one
    min_interval    seconds between two logins
    daily           logins in 24 h at most
    """

    account: Text
    attribution: Region | None = None
    auth_url: Text | None = None
    device_alias: Text = unknowns.DEVICE_ALIAS
    device_type: Text = unknowns.DEVICE_TYPE
    os_ver: Text = unknowns.OS_VERSION
    client_version: Text = unknowns.CLIENT_VERSION
    scheduled: bool = False
    min_interval: Seconds = INTERVAL_SECONDS
    backoff_cap: Cap = 600.0
    daily: Daily | None = 24
    deadline: Deadline = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def platform(self) -> str:
        """Which of the two platforms it is."""
        return platform_of(self.attribution)

    @property
    def base(self) -> str:
        """Where the platform's paths begin."""
        return (self.auth_url or PLATFORM_URLS[self.platform]).rstrip("/")

    @property
    def identity(self) -> Identity:
        """The account in its one form."""
        return identity(self.account)

    @property
    def route(self) -> Route:
        """How the platform is reached."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def binding(self) -> Binding:
        """What a ticket obtained now belongs to."""
        return Binding(PLATFORM_KIND, origin(self.base), self.identity.name)


KEYS: Final = tuple(Options.model_fields)


class Schema(Keys[Options]):
    """The kind's own keys.  No secrets among them: what a login needs was obtained by a person, and is in the vault."""

    model = Options

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        return _problems(options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, options.binding)


def _problems(options: Options) -> Iterator[Problem]:
    written = options.account.strip()
    if not written or not written.isprintable() or (written.startswith("+") and not PHONE.fullmatch(written)):
        write = 'write account = "+COUNTRY-NUMBER" for a phone, else the e-mail address or number'
        yield Problem(("account",), "is no account name", write)
    wrong = address_problem("auth_url", options.auth_url)
    if wrong is not None:
        yield wrong
    elif options.min_interval < INTERVAL_SECONDS and not leads_here(options.auth_url):
        write = f"write min_interval = {INTERVAL_SECONDS:g} or more; less is for a server on this machine"
        yield Problem(("min_interval",), "is so short that the service would take it for abuse", write)
    yield from route_problems(options.ca_file, options.proxy)


def address_problem(key: str, url: str | None) -> Problem | None:
    """What is wrong with an address under which paths are looked up."""
    wrong = None if url is None else url_problem(url)
    if url is not None and wrong is None and urlsplit(url).query:
        wrong = "holds a query"
    return None if wrong is None else Problem((key,), wrong, f'write {key} = "https://HOST"')


def route_problems(ca_file: str | None, proxy: str | None) -> Iterator[Problem]:
    """What is wrong with how a service is reached.  A proxy itself may be spoken to in plain http."""
    if ca_file is not None and not ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')
    wrong = None if proxy is None else url_problem(f"https{proxy[4:]}" if proxy.startswith("http://") else proxy)
    if wrong is not None:
        yield Problem(("proxy",), wrong, 'write proxy = "https://HOST:PORT"')


def leads_here(url: str | None) -> bool:
    """Whether an address is on this machine itself."""
    return url is not None and is_loopback(urlsplit(url).hostname or "")
