"""What an account of kind `oauth2` may say in the configuration, and what it comes to.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between
keys are checked afterwards, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from freshd.core.contract import Contract
from freshd.core.model import Binding
from freshd.core.outcome import Remedy
from freshd.core.problem import MISSING, Problem
from freshd.core.settings import Parsed, SecretRef
from freshd.providers.http import DEADLINE_SECONDS, Route, is_loopback, origin, url_problem
from freshd.providers.keys import Keys, Strict
from freshd.providers.oauth2.case import Terms

KIND: Final = "oauth2"
RESERVED: Final = frozenset(
    {
        *("grant_type", "refresh_token", "client_id", "client_secret", "client_assertion", "client_assertion_type"),
        *("code", "code_verifier", "redirect_uri", "device_code", "state", "nonce", "response_type"),
        *("code_challenge", "code_challenge_method"),
    }
)
"""Parameters that freshd itself sets."""

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Words = Mapping[Text, str]
RemedyWord = Literal["wait", "climb", "person", "config"]


class Options(Strict):
    """One account's own keys.

    issuer               metadata is looked up here (RFC 8414); needless where the endpoints are written down
    *_endpoint           each overrides what the metadata says
    probe_url            a harmless call that a live access token may make; default: the userinfo endpoint
    client_auth          default: basic with a client_secret, private_key_jwt with a client_key, else none
    client_key           private key, PEM or JWK, for private_key_jwt; client_key_id and client_key_algorithm go with it
    assertion_audience   who a client assertion is for; default: the token endpoint
    grant_type           "refresh_token" keeps a person's grant alive; "client_credentials" just asks again
    flows                ways a person may enrol, the first is the usual one
    scope_on_refresh     whether a refresh repeats the scope
    token_parameters     sent with every token request; authorize_parameters: with the authorization or device request
    subject              whose grant it must be; an answer for somebody else is withheld
    token_types          what this service calls bearer tokens, besides "bearer"
    lease_fields         further text members of the answer that readers get, such as instance_url
    error_remedies       what error codes of this service call for, beyond those of the standard
    min_interval         seconds between two calls of one rung; app_interval: of one client; host_interval: to one host
    daily                calls of one rung in 24 h at most
    deadline             seconds for one call
    """

    client_id: Text
    issuer: Text | None = None
    token_endpoint: Text | None = None
    authorization_endpoint: Text | None = None
    device_authorization_endpoint: Text | None = None
    revocation_endpoint: Text | None = None
    probe_url: Text | None = None
    client_secret: SecretRef | None = None
    client_key: SecretRef | None = None
    client_key_id: Text | None = None
    client_key_algorithm: Literal["RS256", "PS256", "ES256", "ES384", "Ed25519", "EdDSA"] = "RS256"
    client_auth: Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"] | None = None
    assertion_audience: Text | None = None
    grant_type: Literal["refresh_token", "client_credentials"] = "refresh_token"
    flows: Annotated[tuple[Literal["code", "device"], ...], Field(strict=False)] = ("code", "device")
    scope: str = ""
    scope_on_refresh: bool = False
    audience: Text | None = None
    resource: Texts = ()
    token_parameters: Words = Field(default_factory=dict)
    authorize_parameters: Words = Field(default_factory=dict)
    redirect_uri: Text | None = None
    subject: Text | None = None
    token_types: Texts = ()
    lease_fields: Texts = ()
    error_remedies: Mapping[Text, RemedyWord] = Field(default_factory=dict)
    min_interval: Seconds = 1.0
    app_interval: Seconds = 0.0
    host_interval: Seconds = 0.01
    backoff_cap: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 300.0
    daily: Annotated[int, Field(ge=1)] | None = None
    deadline: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = DEADLINE_SECONDS
    ca_file: Text | None = None
    proxy: Text | None = None

    @property
    def auth(self) -> str:
        """How the client proves who it is."""
        if self.client_auth is not None:
            return self.client_auth
        if self.client_secret is not None:
            return "client_secret_basic"
        return "none" if self.client_key is None else "private_key_jwt"

    @property
    def route(self) -> Route:
        """How the service is reached."""
        return Route(self.ca_file, self.proxy, self.deadline)

    @property
    def binding(self) -> Binding:
        """What a grant obtained now belongs to."""
        place = self.issuer.rstrip("/") if self.issuer else origin(self.token_endpoint or "")
        return Binding(KIND, place, self.client_id, self.subject)

    def terms(self, contract: Contract) -> Terms:
        """What reading an answer needs to know of the account."""
        types = frozenset({"bearer", *(kind.lower() for kind in self.token_types)})
        remedies = {code.lower(): Remedy(word) for code, word in self.error_remedies.items()}
        return Terms(self.binding, contract, self.lease_fields, types, remedies)


KEYS: Final = tuple(Options.model_fields)
ADDRESSES: Final = (*(name for name in KEYS if name.endswith(("_endpoint", "_url"))), "issuer", "proxy")


class Schema(Keys[Options]):
    """The kind's own keys."""

    model = Options
    secrets = frozenset({"client_secret", "client_key"})

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        yield from _conflicts(options)
        yield from _unusable(options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, None if options.grant_type == "client_credentials" else options.binding)


def _conflicts(options: Options) -> Iterator[Problem]:
    """Keys that need or exclude each other."""
    if options.issuer is None and options.token_endpoint is None:
        yield Problem(("issuer",), MISSING, 'add issuer = "https://…", or token_endpoint = "https://…"')
    needed = {"client_secret_basic": "client_secret", "client_secret_post": "client_secret"}
    key = needed.get(options.auth, "client_key" if options.auth == "private_key_jwt" else None)
    if key is not None and getattr(options, key) is None:
        yield Problem((key,), f"missing, though client_auth is {options.auth}", f'add {key} = {{ file = "/PATH" }}')
    if options.grant_type == "client_credentials" and options.auth == "none":
        yield Problem(
            ("client_secret",), "missing: client credentials need one", 'add client_secret = { file = "/PATH" }'
        )
    if options.grant_type == "refresh_token" and not options.flows:
        yield Problem(("flows",), "has too few items", 'write flows = ["code"] or ["device"]')
    for name in ("token_parameters", "authorize_parameters"):
        for key in sorted(RESERVED & set(getattr(options, name))):
            yield Problem((name, key), "is set by freshd itself", "remove it")


def _unusable(options: Options) -> Iterator[Problem]:
    """Addresses and paths to which nothing can be sent."""
    for name in ADDRESSES:
        url = getattr(options, name)
        wrong = None if url is None else url_problem(url)
        if wrong is not None and not (name == "proxy" and is_plain_proxy(url)):
            yield Problem((name,), wrong, f'write {name} = "https://HOST/PATH"')
    if options.redirect_uri is not None and not leads_here(options.redirect_uri):
        yield Problem(
            ("redirect_uri",), "does not lead to this machine", 'write redirect_uri = "http://127.0.0.1:PORT/"'
        )
    if options.ca_file is not None and not options.ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')


def leads_here(url: str) -> bool:
    """A redirect to this machine, http as RFC 8252 section 7.3 has it."""
    return url_problem(url) is None and is_loopback(urlsplit(url).hostname or "")


def is_plain_proxy(url: str) -> bool:
    """A proxy is spoken to in plain http as a rule: what passes through it to an https service is sealed."""
    return url.startswith("http://") and url_problem("https" + url[4:]) is None
