"""The cloud's request signature of version 3 (TC3-HMAC-SHA256), for where Basic is refused.  Pure.

Two things are the service's own here: the moment signed lies one second back, and it is repeated behind the signature,
as is the token of temporary keys.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

SERVICE: Final = "tcb"
ALGORITHM: Final = "TC3-HMAC-SHA256"
BACK_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Keys:
    """A cloud key; token: of a temporary one."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed: headers content-type and host, and the body byte for byte."""

    host: str
    path: str
    content_type: str
    body: bytes = field(repr=False)
    query: str = ""
    service: str = SERVICE


def authorization(request: Request, keys: Keys, now: float) -> str:
    """The header's value.  `now`: seconds since 1970."""
    seconds = int(now) - BACK_SECONDS
    signed = signature(request, keys.secret_key, seconds)
    parts = [
        f"{ALGORITHM} Credential={keys.secret_id}/{_day(seconds)}/{request.service}/tc3_request",
        "SignedHeaders=content-type;host",
        f"Signature={signed}",
        f"Timestamp={seconds}",
        *([] if keys.token is None else [f"Token={keys.token}"]),
    ]
    return ", ".join(parts)


def signature(request: Request, secret_key: str, seconds: int) -> str:
    """The signature, in hex."""
    canonical = "\n".join(
        [
            "POST",
            request.path,
            request.query,
            f"content-type:{request.content_type}",
            f"host:{request.host}",
            "",
            "content-type;host",
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    day = _day(seconds)
    scope = f"{day}/{request.service}/tc3_request"
    text = "\n".join([ALGORITHM, str(seconds), scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _hmac(_hmac(_hmac(f"TC3{secret_key}".encode(), day), request.service), "tc3_request")
    return _hmac(key, text).hex()


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
