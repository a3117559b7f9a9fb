"""The kinds of channels, one line each.  A kind's file is imported when the first channel of that kind is met.

Such a file has `parse(name, raw) -> (options, problems)`, `make(settings) -> Dialer`, `json_schema()`, and, where keys
may hold references to secrets, `SECRETS` with their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol, cast, runtime_checkable

from freshd.channels.dialer import Dialer
from freshd.channels.speaker import Resolve, Speaker
from freshd.core.problem import Problem
from freshd.core.settings import ChannelKind, ChannelSettings


@runtime_checkable
class Speaking(Protocol):
    """A dialer over whose connection somebody else may speak, and that may have secrets of its own."""

    def equip(self, resolve: Resolve, speaker: Speaker | None) -> None:
        """Say how secrets of the configuration are had, and who speaks over the connection."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives: a module of this package.  `needs_account`: it logs in with an account's lease or not at all.

    A kind that can do without finds the account's name, if there is one, among the keys that it parses.
    """

    module: str
    needs_account: bool

    @property
    def secrets(self) -> frozenset[str]:
        """The keys whose values may be references to secrets."""
        return cast("frozenset[str]", getattr(self._file(), "SECRETS", frozenset()))

    def parse(self, name: str, raw: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Problem, ...]]:
        """The channel's own keys as options, and what is wrong with them."""
        return cast("tuple[Mapping[str, object], tuple[Problem, ...]]", self._file().parse(name, raw))

    def json_schema(self) -> Mapping[str, Any]:
        """Its keys as JSON Schema."""
        return cast("Mapping[str, Any]", self._file().json_schema())

    def make(self, settings: ChannelSettings) -> Dialer:
        """The dialer of one channel."""
        return cast("Dialer", self._file().make(settings))

    def _file(self) -> Any:  # noqa: ANN401 - a module
        return import_module(f"freshd.channels.{self.module}")


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "aun": Kind("aun", needs_account=True),
        "mqtt": Kind("mqtt", needs_account=False),
    }
)


class Kinds(Mapping[str, ChannelKind]):
    """What the configuration needs of every kind."""

    def __getitem__(self, name: str) -> ChannelKind:
        return KINDS[name]

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def make(settings: ChannelSettings) -> Dialer:
    """The dialer of one configured channel."""
    return KINDS[settings.kind].make(settings)
