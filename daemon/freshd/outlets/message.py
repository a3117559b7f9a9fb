"""What is said over MQTT, as topics and bytes: events, the health of accounts, whether freshd is there.

Rules
-----
* One JSON object a message, in UTF-8; a number that JSON has no word for is null.
* What looks like a secret is masked: a second net (I10).
* A text is bounded, and so is a whole message: many a broker hangs up on what it finds too long.  Where it is, texts
  and lists in it are cut, ever shorter, and `cut` says so.
* No topic holds anything but the prefix, a name of the catalogue, or the name of an account.
"""

from __future__ import annotations

import itertools
import json
import math
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freshd.core.catalogue import entry_of
from freshd.core.events import Event
from freshd.core.mask import mask
from freshd.outlets.ring import Entry, Gap
from freshd.tokens import Health

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
GONE: Final = b""
"""What takes a retained message away."""
MESSAGE_MOST: Final = 4096
"""Bytes of one message."""
TEXT_MOST: Final = 2048
"""Letters of one text."""
CUTS: Final = ((TEXT_MOST, 1000), (512, 100), (128, 20), (32, 5))
"""Letters of a text and members of a list or an object, ever fewer until the message is short enough."""
DROPPED: Final = "outlet.dropped"
SHOWN: Final = (
    "account", "kind", "phase", "generation", "usable_until", "renewable", "reason", "remedy", "deadline",
    "next_refresh_at", "last_outcome", "paused", "settled", "doubtful_since",
)  # fmt: skip
"""What is told of an account: what `GET /v1/accounts/{account}` tells, less counters and the lease's fingerprint."""
LEFT_OUT: Final = frozenset({"rungs"})
"""What never changes, and so is no news."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    topic: str
    payload: bytes


def of_event(prefix: str, entry: Entry, epoch: str) -> Message:
    """An event.  `seq` goes up by one with each event of one run of freshd, which is its `epoch`."""
    event = entry.event
    told = {
        "name": event.name,
        "severity": entry_of(event).severity.name.lower(),
        "account": event.account,
        "at": round(entry.at, 3),
        "seq": entry.seq,
        "epoch": epoch,
        "fields": event.fields,
        "remedy": event.remedy or entry_of(event).remedy.replace("ACCOUNT", event.account or "ACCOUNT"),
    }
    return Message(f"{prefix}/events/{event.name}", _json(told, {**told, "fields": {}}))


def of_gap(gap: Gap) -> Event:
    """What tells of events that nobody will ever be told of."""
    return Event(DROPPED, None, {"dropped": gap.dropped, "first_seq": gap.first, "last_seq": gap.last})


def of_health(health: Health) -> bytes:
    """How an account stands; nothing where it is not configured any more."""
    if health.retired:
        return GONE
    more = {name: value for name, value in health.more.items() if name not in LEFT_OUT}
    shown = {name: getattr(health, name) for name in SHOWN}
    return _json({**more, **shown}, shown)


def health_topic(prefix: str, account: str) -> str:
    """Where an account's health is retained."""
    return f"{prefix}/accounts/{urllib.parse.quote(account, safe='@:')}/health"


def status_topic(prefix: str) -> str:
    """Where it is retained whether freshd is there."""
    return f"{prefix}/status"


def _json(told: Mapping[str, Any], at_least: Mapping[str, Any]) -> bytes:
    """The message.  `at_least`: what is told where all of it is too long however it is cut."""
    for letters, members in CUTS:
        payload = _encoded(told if letters == TEXT_MOST else {**told, "cut": True}, letters, members)
        if len(payload) <= MESSAGE_MOST:
            return payload
    return _encoded({**at_least, "cut": True}, *CUTS[-1])


def _encoded(told: Mapping[str, Any], letters: int, members: int) -> bytes:
    plain = {name: _plain(value, letters, members, name) for name, value in told.items()}
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _plain(value: object, letters: int, members: int, name: str = "") -> object:
    """A value as JSON has it, masked by what it is called and by its look, and cut."""
    if isinstance(value, Mapping):
        some = itertools.islice(value.items(), members)
        return {_cut(str(key), letters): _plain(one, letters, members, str(key)) for key, one in some}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, letters, members, name) for one in itertools.islice(value, members)]
    masked = mask({name: value})[name]
    if isinstance(masked, float) and not math.isfinite(masked):
        return None
    return _cut(masked, letters) if isinstance(masked, str) else masked


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
