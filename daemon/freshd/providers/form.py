"""What a reply says in the form services speak: one JSON object.  Pure, total, and bounded whatever was sent.

The content type is not asked: services label JSON as text and HTML as JSON.

A body that ended too early still counts if the object in it is whole, for a JSON object tells where it ends and nothing
after it can change it; otherwise a new refresh token would be thrown away for a missing newline (I3).  `fragment_of`
gives what is whole of a broken object.  A body in gzip, which we never ask for, is unpacked up to the same limit as a
plain one, for the same reason.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from freshd.core.outcome import Reply
from freshd.providers.cut import BODY_LIMIT_BYTES, why_cut

GZIP: Final = 16 + zlib.MAX_WBITS
BLANKS: Final = " \t\r\n"
DECODER: Final = json.JSONDecoder()
JWT_PARTS: Final = 3
JWT_LIMIT_CHARACTERS: Final = 32 * 1024


class Foreign(str):
    """Why a reply is not the service's own word, free of anything it contains."""

    __slots__ = ()


def object_of(reply: Reply) -> Mapping[str, Any] | Foreign:
    """The JSON object a reply carries, or why it carries none."""
    body = _unpacked(reply)
    if isinstance(body, Foreign):
        return body
    found = _json(body)
    if isinstance(found, dict):
        return found
    if not reply.complete:
        return Foreign(f"incomplete: {why_cut(reply)}")
    if reply.status in range(300, 400):
        return Foreign("a redirect, which is not followed")
    if not body.strip():
        return Foreign("an empty body")
    return Foreign("not a JSON object" if found is None else "JSON, but no object")


def fragment_of(reply: Reply) -> Mapping[str, Any]:
    """The members that arrived whole of an object that did not.

    What follows can add members but not change these; so a secret among them is one, and an absent one proves nothing.
    """
    body = _unpacked(reply)
    text_so_far = "" if isinstance(body, Foreign) else body.decode(errors="ignore")
    found: dict[str, Any] = {}
    at = _after("{", text_so_far, 0)
    while at is not None:
        try:
            name, end = DECODER.raw_decode(text_so_far, at)
            begin = _after(":", text_so_far, end)
            value, end = DECODER.raw_decode(text_so_far, len(text_so_far) if begin is None else begin)
        except (ValueError, RecursionError):
            break
        at = _after(",", text_so_far, end)
        if isinstance(name, str) and (isinstance(value, str) or at is not None):  # digits may go on, a text has ended
            found[name] = value
    return found


def claims_of(token: object) -> Mapping[str, Any]:
    """The claims of a JWT without any proof of them; empty for everything else."""
    parts = token.split(".") if isinstance(token, str) and len(token) <= JWT_LIMIT_CHARACTERS else []
    if len(parts) != JWT_PARTS:
        return {}
    try:
        found = _json(base64.urlsafe_b64decode(parts[1].encode() + b"=="))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def number(value: object) -> float | None:
    """A number given as number or as text; may be infinite or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def text(value: object) -> str | None:
    """A text that is not empty and can be stored and sent."""
    if not isinstance(value, str) or not value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def plain(value: object) -> str | None:
    """A text, also where the service took its digits for a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def bearer(value: object) -> str | None:
    """A token that fits into an Authorization header (RFC 6750 section 2.1, taken widely)."""
    token = text(value)
    fits = token is not None and token.isascii() and token.isprintable() and " " not in token
    return token if fits else None


def date(value: str | None) -> float | None:
    """An HTTP date as wall-clock seconds."""
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(reply: Reply) -> float | None:
    """Seconds that Retry-After asks for.  A date counts from the reply's own Date, so our clock does not matter."""
    asked = reply.header("Retry-After")
    if asked is None:
        return None
    asked = asked.strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked[:9])
    until, now = date(asked), date(reply.header("Date"))
    return None if until is None or now is None else max(0.0, until - now)


def _after(mark: str, content: str, at: int) -> int | None:
    """Where the next value begins behind a mark; None where another thing stands there, or nothing."""
    while at < len(content) and content[at] in BLANKS:
        at += 1
    if not content.startswith(mark, at):
        return None
    at += len(mark)
    while at < len(content) and content[at] in BLANKS:
        at += 1
    return at


def _unpacked(reply: Reply) -> bytes | Foreign:
    coding = (reply.header("Content-Encoding") or "identity").strip().lower()
    if coding in {"identity", ""}:
        return reply.body
    if coding not in {"gzip", "x-gzip"}:
        return Foreign("encoded although we ask for plain content")
    unpacker = zlib.decompressobj(GZIP)
    try:
        body = unpacker.decompress(reply.body, BODY_LIMIT_BYTES)
    except zlib.error:
        return Foreign("not the gzip it claims to be")
    return Foreign("too large once unpacked") if unpacker.unconsumed_tail else body


def _json(body: bytes) -> object:
    """What a text of JSON says; None where it is none.  NaN and infinity pass, as some services send them."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):  # bad UTF-8 and numbers of 5000 digits are ValueErrors too
        return None
    return found
