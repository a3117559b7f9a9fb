"""What an AUN gateway says in a frame, and what we say: JSON-RPC 2.0, one object per text frame.  Pure and total.

Rules
-----
* A frame is a challenge, an answer, an event, or nothing to us; unknown members are ignored.
* What is shown of a frame is short, of harmless characters, and no part of the token (I10).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CHALLENGE: Final = "challenge"
CONNECT: Final = "auth.connect"
PING: Final = "meta.ping"
DISCONNECT: Final = "event/gateway.disconnect"
LONGEST_NONCE: Final = 4096
SHOWN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,63}")
SHORTEST_PIECE: Final = 6
"""What is shorter may stand in a token by chance."""
MOST_NAMESPACES: Final = 32


@dataclass(frozen=True, slots=True)
class Challenge:
    """The gateway's first word.  `nonce` is None where there is none that can be used."""

    nonce: str | None = field(repr=False)
    server: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request of ours; `error` is None where it is a result."""

    id: object = field(repr=False)
    result: object = field(default=None, repr=False)
    error: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """Something the gateway tells without being asked."""

    name: str = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)


Frame = Challenge | Answer | Event


def read(text: str) -> Frame | None:
    """What a text frame says; None where it is nothing to us."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    method = found.get("method")
    if isinstance(method, str):
        return _told(method, _table(found.get("params")))
    error = found.get("error")
    if error is not None:
        return Answer(found.get("id"), error=_table(error))
    return Answer(found.get("id"), found["result"]) if "result" in found else None


def request(number: str, method: str, params: Mapping[str, Any]) -> str:
    """A request of ours."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, allow_nan=False)


def interval_of(value: object, usual: float, least: float, most: float) -> float:
    """Seconds between two pings, as the gateway wants it: 0 is off; `usual` where it says nothing usable."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        return usual
    return 0.0 if value == 0 else float(min(max(value, least), most))


def shown(value: object, token: str) -> str | None:
    """A text of the gateway's that may be shown; None if it had better not be."""
    if not isinstance(value, str) or SHOWN.fullmatch(value) is None:
        return None
    is_piece = token in value or (len(value) >= SHORTEST_PIECE and value in token)
    return None if is_piece else value


def namespaces_of(result: Mapping[str, Any], token: str) -> tuple[str, ...]:
    """The groups of methods that the gateway offers."""
    offered = _table(result.get("capabilities")).get("namespaces")
    names = offered if isinstance(offered, list) else []
    return tuple(name for name in (shown(one, token) for one in names[:MOST_NAMESPACES]) if name is not None)


def member(result: Mapping[str, Any], table: str, name: str) -> object:
    """A member of a table in a result; None where there is none."""
    return _table(result.get(table)).get(name)


def _told(method: str, params: Mapping[str, Any]) -> Frame:
    if method != CHALLENGE:
        return Event(method, params)
    nonce = params.get("nonce")
    fits = isinstance(nonce, str) and 0 < len(nonce) <= LONGEST_NONCE and nonce.isprintable()
    return Challenge(nonce if fits else None, params.get("server"))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
