"""What an account of kind `geniusauth` may say in the configuration, and what it comes to.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between keys are checked
afterwards, so that everything wrong is told at once.  No problem repeats a value.

The limits of `valid` and `payload` are the service's; what is beyond them would be refused at a login, and with that a
person's work would be lost.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from freshd.core.model import Binding
from freshd.core.pace import Pace
from freshd.core.problem import MISSING, Problem
from freshd.core.settings import Parsed, SecretRef
from freshd.providers.form import text
from freshd.providers.http import DEADLINE_SECONDS, Route, host, origin, url_problem
from freshd.providers.keys import Keys, Strict
from freshd.providers.oauth2.options import Seconds, Text, is_plain_proxy

KIND: Final = "geniusauth"
BASE_URL: Final = "https://v.ncuos.com"
SHORTEST_SECONDS: Final = 604_800
LONGEST_SECONDS: Final = 2_592_000
PAYLOAD_MOST: Final = 31
"""Characters.  The service's code takes 32 at a login and does not check later changes, its page says fewer than 32."""


class Options(Strict):
    """One account's own keys.

    base_url        where the service is
    app_code        the application as the service knows it; app_secret: what its calls are signed with
    valid           seconds that a login is to last; the service can put no end off
    payload         text of our own that its tokens carry
    client_ip       address of the person who logs in, told to the service
    callback        where the service sends the browser after a login, as registered with the application
    subject         number of the user whose grant it must be; an answer for somebody else is withheld
    keep_warm       renew before the end of the last token, not only when somebody needs one
    patch_fallback  where a renewal brings no access token, ask for one by writing the same payload again
    delete_in_body  send what ends a grant in the body, not in the address
    dialect         "code": as the service's own program speaks; "wiki": as its page says, to the letter
    min_interval    seconds between two calls of one rung; app_interval: of one app; host_interval: to one host
    daily           calls of one rung in 24 h at most
    deadline        seconds for one call
    """

    app_code: Text
    app_secret: SecretRef | None = None
    base_url: Text = BASE_URL
    valid: Annotated[int, Field(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)] = LONGEST_SECONDS
    payload: Annotated[str, Field(min_length=1, max_length=PAYLOAD_MOST)] | None = None
    client_ip: Text | None = None
    callback: Text | None = None
    subject: Text | None = None
    keep_warm: bool = False
    patch_fallback: bool = False
    delete_in_body: bool = False
    dialect: Literal["code", "wiki"] = "code"
    min_interval: Seconds = 1.0
    app_interval: Seconds = 0.0
    host_interval: Seconds = 0.01
    backoff_cap: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 60.0
    daily: Annotated[int, Field(ge=1)] | None = None
    deadline: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def is_signed(self) -> bool:
        """Whether calls bear the application's signature; the service's page knows of none."""
        return self.dialect == "code"

    @property
    def place(self) -> str:
        """The service's host, as people name it."""
        return host(self.base_url)

    @property
    def route(self) -> Route:
        """How the service is reached."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def binding(self) -> Binding:
        """What a grant obtained now belongs to."""
        return Binding(KIND, origin(self.base_url), self.app_code, self.subject)

    def at(self, path: str) -> str:
        """An address at the service."""
        return self.base_url.rstrip("/") + path

    def pace(self) -> Pace:
        """How fast one rung may be taken."""
        return Pace(self.min_interval, self.backoff_cap, self.daily)

    def paces(self, account: str, rung: str) -> Sequence[tuple[str, Pace]]:
        """The ledger's keys for one call of a rung, widest first."""
        return (
            (f"host:{self.place}", Pace(self.host_interval, self.backoff_cap)),
            (f"app:{self.place}/{self.app_code}", Pace(self.app_interval, self.backoff_cap)),
            (f"account:{account}/{rung}", self.pace()),
        )


KEYS: Final = tuple(Options.model_fields)


class Schema(Keys[Options]):
    """The kind's own keys."""

    model = Options
    secrets = frozenset({"app_secret"})

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        yield from _place_problems(options)
        yield from _value_problems(options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, options.binding)


def payload_problem(payload: str) -> str | None:
    """What is wrong with a payload, as the end of a sentence."""
    if not payload or len(payload) > PAYLOAD_MOST:
        return f"must have 1 to {PAYLOAD_MOST} characters"
    return None if text(payload) is not None else "holds what cannot be sent"


def _place_problems(options: Options) -> Iterator[Problem]:
    """Addresses and paths to which nothing can be sent, or from which nothing comes back."""
    for name in ("base_url", "callback", "proxy"):
        url = getattr(options, name)
        wrong = None if url is None else url_problem(url)
        if wrong is None and name == "base_url" and urlsplit(options.base_url).query:
            wrong = "holds a query"
        if wrong is not None and not (name == "proxy" and is_plain_proxy(url)):
            yield Problem((name,), wrong, f'write {name} = "https://HOST"')
    if options.ca_file is not None and not options.ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')


def _value_problems(options: Options) -> Iterator[Problem]:
    """Values that the service would refuse, or that are none."""
    if options.is_signed and options.app_secret is None:
        yield Problem(("app_secret",), MISSING, 'add app_secret = { credential = "…" }')
    if options.payload is not None and payload_problem(options.payload) is not None:
        yield Problem(("payload",), "holds what cannot be sent", "write plain characters")
    if options.client_ip is not None and not _is_address(options.client_ip):
        yield Problem(("client_ip",), "is no address", 'write client_ip = "192.0.2.1"')
    if options.subject is not None and not (options.subject.isascii() and options.subject.isdecimal()):
        yield Problem(("subject",), "is no number of a user", 'write subject = "NUMBER"')


def _is_address(written: str) -> bool:
    try:
        ipaddress.ip_address(written)
    except ValueError:
        return False
    return True
