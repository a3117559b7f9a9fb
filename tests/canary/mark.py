"""What every secret of this run carries, so that it is found again wherever it was written.

Rules
-----
* Two marks, drawn anew for each run: `HELD` is in what nobody but freshd may have (refresh tokens, codes, tickets),
  `LENT` in what readers get (access tokens, signatures).
* Marks are letters and digits: no JSON, no address and no shell writes them otherwise.  `writings` are the other ways.
* Programs that the tests start draw the same marks: the environment hands down a number that the marks are made of,
  never a mark itself.
"""

from __future__ import annotations

import base64
import enum
import functools
import hashlib
import os
import secrets
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "FRESHD_CANARY"
LETTERS: Final = "bcdfghjkmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ23456789"
LENGTH: Final = 9
"""Some 50 bits: no chance in the random bytes of a run's journals."""


class Kind(enum.Enum):
    """Who may have it."""

    HELD = "held"
    LENT = "lent"


@functools.cache
def mark(kind: Kind) -> str:
    """The mark of this run."""
    digest = hashlib.sha256(f"{kind.value} {_number()}".encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:LENGTH])


def _number() -> str:
    return os.environ.setdefault(VARIABLE, str(secrets.randbits(64)))


def writings(text: str) -> Mapping[str, bytes]:
    """How a text may be written, by name; what is in the middle of something longer is found as well."""
    raw = text.encode()
    found = {
        "plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "utf-16": text.encode("utf-16-le"),
        "percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "PERCENT": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "numbers": ", ".join(map(str, raw)).encode(),
    }  # fmt: skip
    return found | {f"base64 after {before}": _inner_base64(raw, before) for before in range(3)}


def _inner_base64(raw: bytes, before: int) -> bytes:
    """The letters of base64 that these bytes alone decide, when so many others (modulo 3) stand before them."""
    whole = base64.b64encode(b"\0" * before + raw)
    first = -(-before * 8 // 6)
    last = (before + len(raw)) * 8 // 6
    return whole[first:last]
