"""The kinds of services, one line each.  A kind's file is imported when the first account of that kind is met.

Kinds of other packages count as well: whatever is installed beside freshd and offers a `Kind` as an entry point of the
group "freshd.kinds".  A built-in name cannot be taken by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Final, cast

from freshd.core.settings import AccountSettings, KindSchema
from freshd.errors import ConfigError
from freshd.ports import Clock, Provider
from freshd.providers.deps import Deps, Resolve
from freshd.providers.discovery import Discovery
from freshd.providers.http import Http

GROUP: Final = "freshd.kinds"
MEND: Final = "mend or remove that package"
Maker = Callable[[AccountSettings, Deps, Sequence[AccountSettings]], Provider]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives: `module:name` of its schema's class, and of `make(settings, deps, relatives) -> Provider`.

    `relatives`: the other accounts of its family, as configured.
    `has_met`: whether it was ever tried on the real service; where not, `status` says so.
    `package`: what the modules are looked for in; "" where they stand for themselves.
    """

    schema_at: str
    make_at: str
    has_met: bool = False
    package: str = "freshd.providers"

    def schema(self) -> KindSchema:
        """What the kind knows of its own keys."""
        return cast("KindSchema", self._found(self.schema_at)())

    def make(self, account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings]) -> Provider:
        """The provider of one account."""
        return cast("Maker", self._found(self.make_at))(account, deps, relatives)

    def _found(self, at: str) -> Any:  # noqa: ANN401 - a class or a function
        module, _, name = at.partition(":")
        return getattr(import_module(f"{self.package}.{module}" if self.package else module), name)


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "aun": Kind("aun.options:Schema", "aun.agent:make"),
        "cloudbase": Kind("cloudbase.options:Schema", "cloudbase.make:make"),
        "feishu": Kind("feishu.options:Schema", "feishu.user:make"),
        "feishu-app": Kind("feishu.app_options:AppSchema", "feishu.app:make"),
        "futu": Kind("futu.options:Schema", "futu.platform:make"),
        "futu-broker": Kind("futu.broker_options:Schema", "futu.broker:make"),
        "geniusauth": Kind("geniusauth.options:Schema", "geniusauth.provider:make"),
        "oauth2": Kind("oauth2.options:Schema", "oauth2.provider:make", has_met=True),
    }
)


class Schemas(Mapping[str, KindSchema]):
    """The schema of every kind, imported on use."""

    def __getitem__(self, name: str) -> KindSchema:
        return kind_of(name).schema()

    def __iter__(self) -> Iterator[str]:
        return iter(names())

    def __len__(self) -> int:
        return len(names())


def names() -> Sequence[str]:
    """Every kind there is, sorted."""
    return sorted({*KINDS, *entry_points(group=GROUP).names})


def kind_of(name: str) -> Kind:
    """The kind of that name.  KeyError where there is none."""
    if name in KINDS:
        return KINDS[name]
    for found in entry_points(group=GROUP, name=name):
        return _loaded(found)
    raise KeyError(name)


def _loaded(found: EntryPoint) -> Kind:
    where = f"the kind {found.name} of the package {found.dist.name if found.dist else found.module}"
    try:
        kind = found.load()
    except Exception as error:  # noqa: BLE001 - whatever a foreign module raises
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}", MEND) from None
    if not isinstance(kind, Kind):
        raise ConfigError(f"{where} is no freshd.providers.registry.Kind", MEND)
    return kind


def make(account: AccountSettings, deps: Deps, relatives: Sequence[AccountSettings] = ()) -> Provider:
    """The provider of one configured account."""
    return kind_of(account.kind).make(account, deps, relatives)


def shared(resolve: Resolve, clock: Clock) -> Deps:
    """What all providers of a process share.  `deps.http.aclose()` ends it."""
    http = Http()
    return Deps(http, resolve, clock, Discovery(http, clock))
