"""How an application signs a call: which text, which digest. Pure.

Rules: the fields that were sent, less ``signature``, and ``appSecret``, sorted by the bytes of their names, joined as
``name=value`` with ``&``; lower-case hex of the SHA-256. Values stand as they are: nothing is escaped.
"""

import hashlib
import hmac
from collections.abc import Mapping


class Unsignable(ValueError):
    """A value has no text of its own: a fraction, a list, an object."""


def text_to_sign(fields: Mapping[str, object], secret: str) -> str:
    """Return the text that is digested; raises Unsignable."""
    signed = {name: value for name, value in fields.items() if name != "signature"} | {"appSecret": secret}
    names = sorted(signed, key=_raw)
    return "&".join(f"{name}={_rendered(signed[name])}" for name in names)


def sign(fields: Mapping[str, object], secret: str) -> str:
    """Return the signature of ``fields``; raises Unsignable."""
    return hashlib.sha256(_raw(text_to_sign(fields, secret))).hexdigest()


def is_signed(fields: Mapping[str, object], secret: str) -> bool:
    """Whether ``fields`` bear their right signature, letter for letter; raises Unsignable."""
    given = fields.get("signature")
    return isinstance(given, str) and hmac.compare_digest(_raw(sign(fields, secret)), _raw(given))


def _rendered(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "<nil>"
        case str() | int():
            return str(value)
    raise Unsignable


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
