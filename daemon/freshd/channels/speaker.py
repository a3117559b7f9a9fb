"""Who speaks over a connection that a channel holds: an outlet.  The channel knows no more of it than this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from freshd.core.model import Secret
from freshd.core.settings import SecretRef
from freshd.wire import Wire

Resolve = Callable[[SecretRef], Awaitable[Secret]]
"""How a secret that the configuration refers to is had.  Raises FreshdError."""


class Speaker(Protocol):
    """Who speaks over a connection while it is up."""

    @property
    def will(self) -> tuple[str, bytes] | None:
        """Topic and payload that the broker shall keep when the connection is lost."""

    async def serve(self, wire: Wire) -> None:
        """Speak until the connection ends.  Raises WireDown; cancelled where it has ended."""

    async def farewell(self, wire: Wire) -> None:
        """The last word before we disconnect."""
