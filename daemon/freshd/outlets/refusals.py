"""Which topics a broker does not take, so that a person is told once, and once when it is over.

Rules
-----
* The trouble begins with the first topic that is refused and ends with the last: in between nothing is told.
* A topic is taken again once a message on it is.  A topic of events that nothing was refused on for an hour counts as
  taken: what is rare must not keep the alert open for ever.
* That a message came back to a subscriber is more than that it was acknowledged: what was not heard stays refused until
  it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUIET_SECONDS: Final = 3600.0


@dataclass(slots=True)
class _Refusal:
    at: float
    unheard: bool
    lasts: bool


class Refusals:
    """Pure: `now` is boot time, seconds."""

    def __init__(self) -> None:
        self._topics: dict[str, _Refusal] = {}

    def __contains__(self, topic: object) -> bool:
        """Whether the topic is refused."""
        return topic in self._topics

    def __bool__(self) -> bool:
        """Whether any is."""
        return bool(self._topics)

    def refuse(self, topic: str, now: float, *, unheard: bool = False, lasts: bool = False) -> bool:
        """Note a refusal; whether the trouble begins with it.  `lasts`: it does not end by being quiet."""
        begins = not self._topics
        self._topics[topic] = _Refusal(now, unheard, lasts)
        return begins

    def accept(self, topic: str, *, heard: bool = False) -> bool:
        """Note that a message was taken; whether the trouble ends with it."""
        known = self._topics.get(topic)
        if known is None or (known.unheard and not heard):
            return False
        del self._topics[topic]
        return not self._topics

    def expire(self, now: float) -> bool:
        """Forget what has been quiet; whether the trouble ends with it."""
        had = bool(self._topics)
        self._topics = {topic: one for topic, one in self._topics.items() if one.lasts or now - one.at < QUIET_SECONDS}
        return had and not self._topics

    def clear(self) -> bool:
        """Forget all; whether there was trouble."""
        had = bool(self._topics)
        self._topics = {}
        return had
