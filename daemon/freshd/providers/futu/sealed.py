"""Keys and signatures as the platform writes them.  Pure and total."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

KEY_BYTES: Final = 32
BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def is_key(value: object) -> bool:
    """Whether it is the key of a ticket: 32 bytes in base64."""
    if not isinstance(value, str):
        return False
    try:
        return len(base64.b64decode(value.encode(), validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def is_sealed(value: object) -> bool:
    """Whether it is a signature, or a key under another key, that a reader can use: base64, of either alphabet."""
    return isinstance(value, str) and BASE64.fullmatch(value) is not None
