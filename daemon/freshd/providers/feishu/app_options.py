"""What an account of kind `feishu-app` may say in the configuration: an app's own tokens, which need no person.

They can always be had again from the app's secret; so there is no grant, and nothing to be bound to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import ValidationError

from freshd.core.problem import Problem, explain
from freshd.core.settings import Parsed
from freshd.providers.feishu.service import APP_PATHS, TOKEN_V3, Service, problems_of

KIND: Final = "feishu-app"


class AppOptions(Service):
    """One account's own keys, beside those of `Service`.

    token  "tenant": what the app does in its tenant; "app": what it does as itself
    form   "internal": the older calls; "oauth": client credentials, which yield tenant tokens only
    """

    token: Literal["tenant", "app"] = "tenant"
    form: Literal["internal", "oauth"] = "internal"

    @property
    def token_url(self) -> str:
        """Where the token is asked for."""
        return self.at_accounts(TOKEN_V3) if self.form == "oauth" else self.at_open(APP_PATHS[self.token])


KEYS: Final = tuple(AppOptions.model_fields)


class AppSchema:
    """The kind's own keys, for the configuration (`core.settings.KindSchema`)."""

    @property
    def secrets(self) -> frozenset[str]:
        """Keys that hold references to secrets."""
        return frozenset({"app_secret"})

    def parse(self, account: str, raw: Mapping[str, object]) -> Parsed:
        """Validate an account's own keys."""
        try:
            options = AppOptions.model_validate(dict(raw))
        except ValidationError as error:
            return Parsed(problems=explain(error.errors(include_input=False, include_url=False), KEYS))
        problems = (*problems_of(options), *_conflicts(options))
        if problems:
            return Parsed(problems=problems)
        return Parsed(MappingProxyType({name: getattr(options, name) for name in KEYS}))

    def json_schema(self) -> Mapping[str, Any]:
        """The same as JSON Schema."""
        return AppOptions.model_json_schema()


def _conflicts(options: AppOptions) -> Iterator[Problem]:
    if options.form == "oauth" and options.token == "app":
        yield Problem(("form",), "yields tenant tokens only", 'write form = "internal", or token = "tenant"')
