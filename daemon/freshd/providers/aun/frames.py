"""Frames of a gateway: JSON-RPC 2.0, one object per text frame.  Pure and total.

Rules
-----
* The first frame of a connection is the challenge.  Whoever says something else first is no gateway.
* An answer is the object that bears the request's id; events, and frames for others, are none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freshd.providers.form import number

CHALLENGE: Final = "challenge"
SEND_LIMIT_BYTES: Final = 1_000_000
"""What the reference clients send at most."""
FRAME_LIMIT_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Greeting:
    """A challenge.  server_time: seconds since 1970 by the gateway's clock; None where it does not say."""

    server_time: float | None = None


def greeting_of(frame: str) -> Greeting | None:
    """The challenge in a frame; None where it is none."""
    found = _object(frame)
    if found.get("method") != CHALLENGE:
        return None
    params = found.get("params")
    told = number(params.get("server_time")) if isinstance(params, dict) else None
    return Greeting(told if told is not None and math.isfinite(told) else None)


def is_answer(frame: str, request_id: str) -> bool:
    """Whether a frame answers the request of that id."""
    return _object(frame).get("id") == request_id


def is_foreign(frame: str) -> bool:
    """Whether a frame is no object at all: something in between speaks, and nothing better will come (I3)."""
    return not _object(frame)


def request(request_id: str, method: str, params: Mapping[str, Any]) -> str:
    """A request as it is sent."""
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": dict(params)})


def _object(frame: str) -> Mapping[str, Any]:
    try:
        found = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
