"""What an account of kind `aun` may say in the configuration, and what it comes to.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between keys are checked
afterwards, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from freshd.core.contract import Contract
from freshd.core.model import Binding
from freshd.core.pace import Pace
from freshd.core.problem import Problem
from freshd.core.profile import Margins
from freshd.core.settings import Parsed
from freshd.providers.aun.case import RENEW, SETTLE, Terms
from freshd.providers.aun.gateways import PATH
from freshd.providers.aun.names import DEVICE, SLOT, aid_problem, issuer_of
from freshd.providers.aun.transport import gateway_problem
from freshd.providers.aun.unknowns import CHAIN_REFRESHES, CHAIN_SECONDS
from freshd.providers.http import Route, origin, url_problem
from freshd.providers.keys import Keys, Strict
from freshd.providers.oauth2.options import Seconds, Text

KIND: Final = "aun"
DEADLINE_SECONDS: Final = 15.0
INTERVAL_SECONDS: Final = 30.0
"""A token so short that it would be renewed more often than this is not worth a storm."""
UPKEEP_SECONDS: Final = 300.0
"""Between two looks after key and certificate: nobody waits for them but by mischance."""


class Options(Strict):
    """One account's own keys.

    aid             the agent: NAME.ISSUER
    roots           file with the root certificates that are trusted for the issuer's chain, PEM
    gateway         the one gateway to use, wss://…; nothing is looked up then
    discovery       where the gateways are looked up instead of at the agent's and the issuer's hosts
    auth_name       the name of the issuer's login service; default: auth.ISSUER
    device_id, slot  told with a refresh, where the issuer wants them
    chain_refreshes  refreshes after which a login is made; chain_seconds: age of the last login at which one is
    min_interval    seconds between two calls of one rung; host_interval: between two calls to one issuer
    daily           calls of one rung in 24 h at most
    deadline        seconds for the answer to one call
    ca_file         trust only these authorities for TLS
    """

    aid: Text
    roots: Text
    gateway: Text | None = None
    discovery: Text | None = None
    auth_name: Text | None = None
    device_id: Text | None = None
    slot: Text | None = None
    chain_refreshes: Annotated[int, Field(ge=1, le=1_000_000)] = CHAIN_REFRESHES
    chain_seconds: Annotated[float, Field(ge=60, le=31_536_000, allow_inf_nan=False)] = CHAIN_SECONDS
    min_interval: Seconds = INTERVAL_SECONDS
    host_interval: Seconds = 0.05
    backoff_cap: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 300.0
    daily: Annotated[int, Field(ge=1)] | None = None
    deadline: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = DEADLINE_SECONDS
    ca_file: Text | None = None

    @property
    def issuer(self) -> str:
        """The issuer of the agent."""
        return issuer_of(self.aid)

    @property
    def auth_service(self) -> str:
        """The name that the login service's certificate must bear."""
        return self.auth_name or f"auth.{self.issuer}"

    @property
    def route(self) -> Route:
        """How plain requests go."""
        return Route(self.ca_file, None, self.deadline)

    @property
    def places(self) -> Sequence[str]:
        """Where the gateways are looked up, in this order."""
        if self.discovery is not None:
            return (self.discovery.rstrip("/") + PATH,)
        return (f"https://{self.aid}{PATH}", f"https://gateway.{self.issuer}{PATH}")

    @property
    def binding(self) -> Binding:
        """What a grant obtained now belongs to."""
        fixed = None if self.gateway is None else origin(self.gateway)
        place = fixed or (f"https://{self.issuer}" if self.discovery is None else origin(self.discovery))
        return Binding(KIND, place, self.aid)

    def terms(self, contract: Contract, margins: Margins) -> Terms:
        """What reading an answer needs to know of the account."""
        return Terms(self.binding, contract, aid=self.aid, margins=margins, most_refreshes=self.chain_refreshes,
                     chain_seconds=self.chain_seconds)  # fmt: skip

    def pace(self, rung: str) -> Pace:
        """How fast one rung may be taken."""
        interval = UPKEEP_SECONDS if rung in (RENEW, SETTLE) else self.min_interval
        return Pace(interval, max(self.backoff_cap, interval), self.daily)

    def paces(self, account: str, rung: str) -> Sequence[tuple[str, Pace]]:
        """The ledger's keys for one call of a rung, widest first."""
        return (
            (f"host:{self.binding.origin}", Pace(self.host_interval, self.backoff_cap)),
            (f"account:{account}/{rung}", self.pace(rung)),
        )


KEYS: Final = tuple(Options.model_fields)


class Schema(Keys[Options]):
    """The kind's own keys.  No secrets among them: the identity key rests with the grant."""

    model = Options

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        yield from _name_problems(options)
        yield from _place_problems(options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, options.binding)


def _name_problems(options: Options) -> Iterator[Problem]:
    """Names that the protocol does not allow."""
    wrong = aid_problem(options.aid)
    if wrong is not None:
        yield Problem(("aid",), wrong, 'write aid = "NAME.ISSUER", in small letters')
    if options.device_id is not None and not DEVICE.fullmatch(options.device_id):
        yield Problem(("device_id",), "is not 1 to 128 of A-Z a-z 0-9 . _ -", 'write device_id = "…"')
    if options.slot is not None and not SLOT.fullmatch(options.slot):
        yield Problem(("slot",), "is not 1 to 128 characters that begin with a letter or digit", 'write slot = "…"')


def _place_problems(options: Options) -> Iterator[Problem]:
    """Addresses and paths to which nothing can be sent."""
    wrong = None if options.gateway is None else gateway_problem(options.gateway)
    if wrong is not None:
        yield Problem(("gateway",), wrong, 'write gateway = "wss://HOST/PATH"')
    wrong = None if options.discovery is None else url_problem(options.discovery)
    if wrong is not None:
        yield Problem(("discovery",), wrong, 'write discovery = "https://HOST"')
    if options.gateway is not None and options.discovery is not None:
        yield Problem(("discovery",), "says nothing beside gateway", "remove one of them")
    for name in ("roots", "ca_file"):
        path = getattr(options, name)
        if path is not None and not path.startswith("/"):
            yield Problem((name,), "is not an absolute path", f'write {name} = "/PATH/TO/{name}.pem"')
