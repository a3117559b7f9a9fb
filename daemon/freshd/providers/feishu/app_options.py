"""What an account of kind `feishu-app` may say in the configuration: an app's own tokens, which need no person.

They can always be had again from the app's secret; so there is no grant, and nothing to be bound to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from freshd.core.problem import Problem
from freshd.providers.feishu.service import APP_PATHS, TOKEN_V3, Service, problems_of
from freshd.providers.keys import Keys

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


class AppSchema(Keys[AppOptions]):
    """The kind's own keys."""

    model = AppOptions
    secrets = frozenset({"app_secret"})

    def problems(self, account: str, options: AppOptions) -> Iterator[Problem]:
        yield from problems_of(options)
        yield from _conflicts(options)


def _conflicts(options: AppOptions) -> Iterator[Problem]:
    if options.form == "oauth" and options.token == "app":
        yield Problem(("form",), "yields tenant tokens only", 'write form = "internal", or token = "tenant"')
