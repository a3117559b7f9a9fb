"""What is left of a reply whose connection ended too early: status, headers and body, as far as they came.  Pure.

The bytes are kept for the escrow (I3).  Nothing here judges them; whoever reads the reply sees `complete=False` and,
in the first header, why.
"""

from __future__ import annotations

import re
from typing import Final

from freshd.core.outcome import Reply

BODY_LIMIT_BYTES: Final = 64 * 1024
"""How much of a body is read.  The largest honest token answer seen is below 16 KiB."""
MARK: Final = "freshd-cut"
"""Name of the first header of an incomplete reply: why it was cut.  Ours, never the service's."""
TOO_LARGE: Final = "too large"
MOST_INTERIMS: Final = 16
"""Interim replies (1xx) that are passed over in search of the final one."""

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?=[ \r\n]|$)")
_INTERIM: Final = range(100, 200)


def why_cut(reply: Reply) -> str:
    """Why an incomplete reply is incomplete."""
    return (reply.header(MARK) if not reply.complete else None) or "cut short"


def cut(status: int, headers: tuple[tuple[str, str], ...], body: bytes, why: str) -> Reply:
    """An incomplete reply of known parts."""
    return Reply(status, ((MARK, why), *headers), body[:BODY_LIMIT_BYTES], complete=False)


def salvage(raw: bytes, why: str) -> Reply:
    """An incomplete reply from the bytes that came over the wire.  Status 0: not even the status line was whole."""
    final = raw
    for _ in range(MOST_INTERIMS):
        head, rest, is_whole = _split(final)
        if not is_whole or _status(head) not in _INTERIM:
            break
        final = rest
    head, body, is_whole = _split(final)
    lines = re.split(rb"\r?\n", head)
    if not is_whole:
        lines.pop()
    status = _status(lines[0]) if lines else 0
    if status == 0:
        return cut(0, (), final, why)
    headers = tuple(_header(line) for line in lines[1:] if b":" in line)
    chunked = any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in headers)
    return cut(status, headers, _joined(body) if chunked else body, why)


def _split(raw: bytes) -> tuple[bytes, bytes, bool]:
    end = _HEAD_END.search(raw)
    return (raw, b"", False) if end is None else (raw[: end.start()], raw[end.end() :], True)


def _status(line: bytes) -> int:
    found = _STATUS_LINE.match(line)
    return int(found[1]) if found else 0


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.partition(b":")
    return name.decode("latin-1").strip(), value.decode("latin-1").strip()


def _joined(framed: bytes) -> bytes:
    """The body inside chunks (RFC 9112 section 7.1), up to where the framing ends or breaks."""
    parts: list[bytes] = []
    while framed:
        line, found, rest = framed.partition(b"\r\n")
        digits = line.partition(b";")[0].strip()
        if not found or not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits) or (size := int(digits, 16)) == 0:
            break
        parts.append(rest[:size])
        framed = rest[size + 2 :]
    return b"".join(parts)
