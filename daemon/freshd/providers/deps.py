"""What every provider of a process shares; made once, by `registry.shared`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from freshd.core.model import Secret
from freshd.core.settings import SecretRef
from freshd.ports import Clock
from freshd.providers.discovery import Discovery
from freshd.providers.http import Http

Resolve = Callable[[SecretRef], Awaitable[Secret]]
"""Fetches a secret of the configuration.  Raises FreshdError."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Calls, secrets of the configuration, time, metadata."""

    http: Http
    resolve: Resolve
    clock: Clock
    discovery: Discovery
