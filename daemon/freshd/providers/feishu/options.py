"""What an account of kind `feishu` may say in the configuration, and what it comes to.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between keys are checked
afterwards, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field

from freshd.core.model import Binding
from freshd.core.problem import Problem
from freshd.core.settings import Parsed
from freshd.providers.feishu.service import TOKEN_V2, TOKEN_V3, Service, problems_of
from freshd.providers.keys import Keys
from freshd.providers.oauth2.options import Text, leads_here

KIND: Final = "feishu"
OFFLINE: Final = "offline_access"
"""Without this scope no refresh token is issued."""
MOST_SCOPES: Final = 50
"""How many scopes one authorization may ask for."""
GENERATIONS: Final[Mapping[str, Literal["v3", "v2"]]] = MappingProxyType({"feishu": "v3", "lark": "v2"})
"""Which token endpoint is used if nothing is said.  That Lark has the newer one is not confirmed."""


class Options(Service):
    """One account's own keys, beside those of `Service`.

    generation    the token endpoint: "v3", or the older "v2"; default: v3 for feishu, v2 for lark
    scope         what a person is asked to grant; must contain offline_access
    redirect_uri  where the browser comes back to; it must stand on the app's list in its console, letter for letter
    flows         ways a person may enrol, the first is the usual one
    subject       open_id of the user whose grant it is; `freshd doctor` compares it with the token's
    """

    generation: Literal["v3", "v2"] | None = None
    scope: str = OFFLINE
    redirect_uri: Text | None = None
    flows: Annotated[tuple[Literal["code", "device"], ...], Field(strict=False)] = ("code", "device")
    subject: Text | None = None

    @property
    def token_url(self) -> str:
        """The token endpoint in use."""
        if (self.generation or GENERATIONS[self.brand]) == "v3":
            return self.at_accounts(TOKEN_V3)
        return self.at_open(TOKEN_V2)

    @property
    def binding(self) -> Binding:
        """What a grant obtained now belongs to."""
        return Binding(KIND, self.origin, self.app_id, self.subject)


KEYS: Final = tuple(Options.model_fields)


class Schema(Keys[Options]):
    """The kind's own keys."""

    model = Options
    secrets = frozenset({"app_secret"})

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        yield from problems_of(options)
        yield from _scope_problems(options.scope.split())
        yield from _way_problems(options)

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, options.binding)


def _scope_problems(scopes: list[str]) -> Iterator[Problem]:
    """What the platform would refuse, or answer without a refresh token."""
    if OFFLINE not in scopes:
        wrong = f"lacks {OFFLINE}, without which this service issues no refresh token"
        yield Problem(("scope",), wrong, f'write scope = "… {OFFLINE}"')
    if len(set(scopes)) < len(scopes):
        yield Problem(("scope",), "names a scope twice", "remove one of them")
    if len(scopes) > MOST_SCOPES:
        yield Problem(("scope",), f"asks for more than {MOST_SCOPES} scopes", "ask for fewer at once")


def _way_problems(options: Options) -> Iterator[Problem]:
    """Ways for a person that are none."""
    if not options.flows:
        yield Problem(("flows",), "has too few items", 'write flows = ["code"] or ["device"]')
    if options.redirect_uri is not None and not leads_here(options.redirect_uri):
        yield Problem(
            ("redirect_uri",), "does not lead to this machine", 'write redirect_uri = "http://127.0.0.1:PORT/PATH"'
        )
