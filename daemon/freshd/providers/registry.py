"""The kinds of services, one line each.  A kind's file is imported when the first account of that kind is met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, cast

from freshd.core.settings import AccountSettings, KindSchema
from freshd.ports import Clock, Provider
from freshd.providers.deps import Deps, Resolve
from freshd.providers.discovery import Discovery
from freshd.providers.http import Http

Maker = Callable[[AccountSettings, Deps, Sequence[AccountSettings]], Provider]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives: `module:name` of its schema's class, and of `make(settings, deps, relatives) -> Provider`.

    `relatives`: the other accounts of its family, as configured.
    `has_met`: whether it was ever tried on the real service; where not, `status` says so.
    """

    schema_at: str
    make_at: str
    has_met: bool = False

    def schema(self) -> KindSchema:
        """What the kind knows of its own keys."""
        return cast("KindSchema", _found(self.schema_at)())

    def make(self, account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings]) -> Provider:
        """The provider of one account."""
        return cast("Maker", _found(self.make_at))(account, deps, relatives)


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "feishu": Kind("feishu.options:Schema", "feishu.user:make"),
        "feishu-app": Kind("feishu.app_options:AppSchema", "feishu.app:make"),
        "futu": Kind("futu.options:Schema", "futu.platform:make"),
        "futu-broker": Kind("futu.broker_options:Schema", "futu.broker:make"),
        "oauth2": Kind("oauth2.options:Schema", "oauth2.provider:make", has_met=True),
    }
)


class Schemas(Mapping[str, KindSchema]):
    """The schema of every kind, imported on use."""

    def __getitem__(self, name: str) -> KindSchema:
        return KINDS[name].schema()

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def make(account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings] = ()) -> Provider:
    """The provider of one configured account."""
    return KINDS[account.kind].make(account, deps, relatives)


def shared(resolve: Resolve, clock: Clock) -> Deps:
    """What all providers of a process share.  `deps.http.aclose()` ends it."""
    http = Http()
    return Deps(http, resolve, clock, Discovery(http, clock))


def _found(at: str) -> Any:  # noqa: ANN401 - a class or a function
    module, _, name = at.partition(":")
    return getattr(import_module(f"freshd.providers.{module}"), name)
