"""How an application signs its calls.  Pure.

The signature is the SHA-256, in lower-case hex, of all fields and the application's secret: "key=value", sorted by
the bytes of the keys, joined by "&", nothing escaped.  It names neither method nor path, so whoever reads a request can
send it again for five minutes: it must not be logged, and travels over TLS only.

Only texts, whole numbers and truth values are fields.  Anything else the service would render in a way of its own, so
it is refused here; what is empty is left out by whoever makes the fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

Value = str | int | bool
Fields = Mapping[str, Value]
SIGNATURE: Final = "signature"
SECRET: Final = "appSecret"


def signed(fields: Fields, app_code: str, app_secret: str, at: int) -> dict[str, Value]:
    """The fields with what proves the application.  `at`: seconds since 1970 by the service's clock."""
    told = {**fields, "appCode": app_code, "timeStamp": at}
    return {**told, SIGNATURE: signature(told, app_secret)}


def signature(fields: Fields, app_secret: str) -> str:
    """The signature over these fields.  Raises TypeError for a value of another sort."""
    told = {name: rendered(value) for name, value in fields.items() if name != SIGNATURE} | {SECRET: app_secret}
    pairs = sorted(told.items(), key=lambda pair: pair[0].encode())
    return hashlib.sha256("&".join(f"{name}={value}" for name, value in pairs).encode()).hexdigest()


def rendered(value: object) -> str:
    """A value as the signature and an address have it.  Raises TypeError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise TypeError(f"a field cannot be a {type(value).__name__}")
