"""What an account of kind `futu-broker`, one broker of a platform account, may say in the configuration.

Same rules as `options`.  That `platform` names an account of kind futu, and that no two accounts are the same
broker of one platform, is seen with all accounts side by side (`config.accounts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from freshd.core.model import Binding
from freshd.core.problem import Problem, listed
from freshd.core.settings import Head, Parsed
from freshd.providers.futu.case import BROKER_KIND, PLATFORM_KIND
from freshd.providers.futu.hosts import BROKER_URLS
from freshd.providers.futu.options import Cap, Daily, Deadline, Seconds, Text, address_problem, route_problems
from freshd.providers.http import DEADLINE_SECONDS, Route, origin
from freshd.providers.keys import Keys, Strict

LARGEST_ID: Final = 2**31 - 1
"""The service counts brokers in 32 bits."""
REPULL_SECONDS: Final = 15.0
"""Nobody knows how often a code may be asked for; a limit is feared, and ten seconds are supposed.  Readers of a broker
whose customer id was refused wait so long for the second and last try.
"""


class Options(Strict):
    """One broker's own keys.

    platform         the account of kind futu whose brokers these are
    broker_id        the broker's number
    broker_url       another host for this broker
    hand_out         "lease": what logs in at the broker's trading connection; "code": the code that this is made from
    scheduled        make a lease before the last one ends, instead of when somebody needs one
    min_interval     seconds between two codes spent
    repull_interval  seconds between two codes asked for
    daily            codes asked for in 24 h at most
    """

    platform: Text
    broker_id: Annotated[int, Field(ge=1, le=LARGEST_ID)]
    broker_url: Text | None = None
    hand_out: Literal["lease", "code"] = "lease"
    scheduled: bool = False
    min_interval: Seconds = 5.0
    repull_interval: Seconds = REPULL_SECONDS
    backoff_cap: Cap = 600.0
    daily: Daily | None = 200
    deadline: Deadline = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def base(self) -> str:
        """Where the broker's paths begin."""
        return (self.broker_url or BROKER_URLS[self.broker_id]).rstrip("/")

    @property
    def route(self) -> Route:
        """How the broker is reached; the platform is reached as its own account says."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def binding(self) -> Binding:
        """What a code obtained now belongs to."""
        return Binding(BROKER_KIND, origin(self.base), f"{self.platform}/{self.broker_id}")


KEYS: Final = tuple(Options.model_fields)


class Schema(Keys[Options]):
    """The kind's own keys.  No secrets among them: what a broker needs comes from the platform."""

    model = Options

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        return _problems(account, options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        head = Head(options.platform, PLATFORM_KIND, "platform")
        return Parsed(values, options.binding, family=options.platform, head=head)


def _problems(account: str, options: Options) -> Iterator[Problem]:
    if options.platform == account:
        yield Problem(("platform",), "is the account itself", 'write platform = "NAME" of an account of kind futu')
    if options.broker_url is None and options.broker_id not in BROKER_URLS:
        write = f"add broker_url = …; brokers whose host is known: {listed(map(str, BROKER_URLS))}"
        yield Problem(("broker_id",), "is a broker whose host is not known", write)
    wrong = address_problem("broker_url", options.broker_url)
    if wrong is not None:
        yield wrong
    if options.hand_out == "code" and options.scheduled:
        wrong_too = 'means something with hand_out = "lease" only: a code is always had before the last one ends'
        yield Problem(("scheduled",), wrong_too, "remove it")
    yield from route_problems(options.ca_file, options.proxy)
