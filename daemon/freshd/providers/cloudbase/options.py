"""What an account of kind `cloudbase` may say in the configuration, and what it comes to.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between keys stand in
`rules`, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from freshd.core.contract import Contract
from freshd.core.model import Binding, fingerprint
from freshd.core.pace import Pace
from freshd.core.problem import Problem
from freshd.core.settings import Parsed, SecretRef
from freshd.providers.cloudbase.case import AUTOMATIC, ISSUE, KIND, REFRESH, SIGNIN, SIGNINS_DAILY, Terms
from freshd.providers.cloudbase.rules import ISSUING, SIGNING_IN, problems_of
from freshd.providers.cloudbase.service import CLIENT_CREDENTIAL, SHANGHAI, base_of
from freshd.providers.cloudbase.unknowns import REFRESH_SECONDS
from freshd.providers.http import DEADLINE_SECONDS, Route, host, origin
from freshd.providers.keys import Keys, Strict

Method = Literal[
    "custom", "password", "anonymous", "provider", "client-credentials", "api-key", "import", "sms", "email", "wechat",
    "qr",
]  # fmt: skip
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Cap = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
SIGNIN_SECONDS: Final = 600.0
RENEWALS_DAILY: Final = 48
"""Sign-ins a day where they are the only way to renew: a token of an hour needs half as many."""
PERSON_PACE: Final = Pace(2.0, 60.0, 40)
"""For what a person does: too slow to guess, fast enough to correct a slip."""


class Options(Strict):
    """One account's own keys.

    env            the environment's id; region, host: where it is; base_url: another address for everything
    client_id      default: the environment's id; client_secret: default empty
    device_id      16 to 48 characters; default: drawn with the first sign-in and kept
    method         how it signs in
    uid            custom: the user; the ticket is made with key_file, or comes from ticket or ticket_url
    api_version    nothing but "v1"
    captcha        which challenge is asked for; captcha_token_in: how its token is handed over
    refresh_life   seconds a refresh token lives, as the console has it
    scope          what is expected to be granted; less is told
    subject        the user's id (sub); an answer for another is withheld
    lease_life     api-key: seconds after which the key is looked up again
    key_created    api-key: the day it was made, and key_days how many it lives
    signin_interval, signin_daily  the least seconds between two automatic sign-ins, and how many in 24 h
    """

    env: Text
    method: Method
    region: Text = SHANGHAI
    host: Literal["regional", "gateway"] = "regional"
    base_url: Text | None = None
    client_id: Text | None = None
    client_secret: SecretRef | None = None
    device_id: Text | None = None
    uid: Text | None = None
    key_file: SecretRef | None = None
    ticket: SecretRef | None = None
    ticket_url: Text | None = None
    ticket_url_token: SecretRef | None = None
    username: Text | None = None
    password: SecretRef | None = None
    provider_id: Text | None = None
    provider_access_token: SecretRef | None = None
    provider_id_token: SecretRef | None = None
    secret_id: SecretRef | None = None
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None
    client_credentials_path: Text = CLIENT_CREDENTIAL
    client_credentials_auth: Literal["basic", "tc3"] = "basic"
    api_key: SecretRef | None = None
    key_created: Text | None = None
    key_days: Days | None = None
    lease_life: Annotated[float, Field(ge=60, le=31_536_000, allow_inf_nan=False)] = 86_400.0
    phone_number: Text | None = None
    email: Text | None = None
    captcha: Literal["page", "image", "auto"] = "auto"
    captcha_redirect_uri: Text | None = None
    captcha_token_in: Literal["query-then-header", "query", "header"] = "query-then-header"
    refresh_life: Annotated[float, Field(ge=60, le=31_536_000, allow_inf_nan=False)] = REFRESH_SECONDS
    scope: str = ""
    subject: Text | None = None
    api_version: Literal["v1"] = "v1"
    signin_interval: Seconds = SIGNIN_SECONDS
    signin_daily: Count = SIGNINS_DAILY
    min_interval: Seconds = 1.0
    app_interval: Seconds = 0.0
    host_interval: Seconds = 0.01
    backoff_cap: Cap = 300.0
    daily: Count | None = None
    deadline: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def base(self) -> str:
        """Where the paths begin."""
        return (self.base_url or base_of(self.env, self.region, self.host)).rstrip("/")

    @property
    def client(self) -> str:
        """The client as the service knows it."""
        return self.client_id or self.env

    @property
    def login(self) -> str | None:
        """Who signs in, as the configuration names it."""
        return self.uid or self.username or self.phone_number or self.email

    @property
    def route(self) -> Route:
        """How the service is reached."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def binding(self) -> Binding:
        """What a session obtained now belongs to: another login is another grant, so it is part of the client."""
        name = self.client if self.login is None else f"{self.client}/{self.login}"
        return Binding(KIND, origin(self.base), name, self.subject)

    def terms(self, contract: Contract) -> Terms:
        """What reading an answer needs to know."""
        return Terms(
            self.binding, contract, method=self.method, refresh_life=self.refresh_life,
            has_signin=self.method in SIGNING_IN, scope=self.scope,
            tries_header=self.captcha_token_in == "query-then-header", service=f"cloudbase {host(self.base)}",
            signin_daily=self.signin_daily,
        )  # fmt: skip

    def pace(self, rung: str) -> Pace:
        """How fast one rung may be taken."""
        if rung in AUTOMATIC:
            daily = self.signin_daily if rung == SIGNIN else RENEWALS_DAILY
            return Pace(self.signin_interval, max(self.backoff_cap, 6 * self.signin_interval), daily)
        return Pace(self.min_interval, self.backoff_cap, self.daily) if rung in (REFRESH, ISSUE) else PERSON_PACE

    def paces(self, account: str, rung: str) -> Sequence[tuple[str, Pace]]:
        """The ledger's keys for one call of a rung, widest first.  However an account is called, its sign-ins count."""
        place, bound = host(self.base), self.binding
        own = f"login:{bound.origin}/{fingerprint(bound.client_id)}" if rung in AUTOMATIC else f"account:{account}"
        return (
            (f"host:{place}", Pace(self.host_interval, self.backoff_cap)),
            (f"app:{place}/{self.client}", Pace(self.app_interval, self.backoff_cap)),
            (f"{own}/{rung}", self.pace(rung)),
        )


KEYS: Final = tuple(Options.model_fields)
SECRETS: Final = frozenset(
    {"client_secret", "key_file", "ticket", "ticket_url_token", "password", "provider_access_token",
     "provider_id_token", "secret_id", "secret_key", "session_token", "api_key"}
)  # fmt: skip


class Schema(Keys[Options]):
    """The kind's own keys."""

    model = Options
    secrets = SECRETS

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        yield from problems_of(options, frozenset(options.model_fields_set))

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, None if options.method in ISSUING else options.binding)
