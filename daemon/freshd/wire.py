"""A message connection that is up: what channels hold and outlets speak over; the engine knows neither."""

from __future__ import annotations

from typing import Protocol


class Wire(Protocol):
    """A message connection that is up: what an outlet publishes over (`channels` hold it, `outlets` use it)."""

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Return once the broker has taken it (qos 1: acknowledged).

        Raises WireDown where that is not known, and PublishRefused where the broker says that we may not.
        """

    async def is_heard(self, topic: str, payload: bytes) -> bool | None:
        """Whether a message of ours on that topic comes back to a subscriber; None: cannot tell.

        For brokers that acknowledge what they throw away (MQTT 3.1.1).
        """
