"""The provider of a configured account, by its method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from freshd.core.settings import AccountSettings
from freshd.ports import Provider
from freshd.providers.cloudbase.options import Options
from freshd.providers.cloudbase.rules import ISSUING
from freshd.providers.cloudbase.server import Server
from freshd.providers.cloudbase.user import User
from freshd.providers.deps import Deps


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> Provider:
    """One account."""
    options = Options(**cast("dict[str, Any]", account.options))
    kind = Server if options.method in ISSUING else User
    return kind(account.name, options, account.profile.contract, deps)
