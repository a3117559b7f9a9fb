"""HTTP/1.1 (RFC 9112), as little of it as a local socket needs: bytes → Request, answer → bytes.  Pure.

Rules
-----
* `take` looks at what has arrived so far.  However the bytes were cut into pieces, the result is the same.
* What two parsers might read in two ways is refused: bare CR or LF, folded or nameless headers, space before a
  colon, repeated Host or Content-Length, any Transfer-Encoding (411 for chunked, 501 else), a body on GET.
* After a refusal nothing behind it can be trusted: the connection ends.
* No Date header: RFC 9110 wants one from a server that has a clock, and this one does not trust its wall clock.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from freshd.api.problem import Problem, malformed

MAX_HEAD_BYTES: Final = 8192
MAX_BODY_BYTES: Final = 16384
MAX_HEADERS: Final = 64

_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:\[\]%\-]*")
_STRAY: Final = re.compile(rb"\r(?!\n)(?!\Z)|(?<!\r)\n")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request.  `segments` and `query` are decoded; header names are in lower case, repeated ones joined."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    keep: bool
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request whose body is `length` bytes long."""

    request: Request
    length: int


class _Refused(Exception):
    """Carries the answer to a head that cannot be taken, within this file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


def take(buffer: bytearray) -> Request | Problem | None:
    """Remove the first request from the buffer; None while it is not complete; a Problem ends the connection."""
    window = bytes(buffer[: MAX_HEAD_BYTES + 4])
    end = window.find(b"\r\n\r\n")
    if _STRAY.search(window, 0, end + 2 if end >= 0 else len(window)):
        return malformed("A line ends with something else than CR LF.")
    if end < 0:
        return _too_large(431, "head") if len(window) == MAX_HEAD_BYTES + 4 else None
    head = parse_head(window[:end])
    if isinstance(head, Problem):
        return head
    total = end + 4 + head.length
    if len(buffer) < total:
        return None
    body = bytes(buffer[end + 4 : total])
    del buffer[:total]
    if not body:
        return head.request
    it = head.request
    return Request(it.method, it.segments, it.query, it.headers, it.keep, body)


def parse_head(head: bytes) -> Head | Problem:
    """Judge a head without its last empty line."""
    try:
        first, *lines = head.split(b"\r\n")
        method, target, minor = _request_line(first)
        headers = _headers(lines)
        length = _body_length(method, headers)
        _check_host(headers, minor)
        segments, query = _target(target)
    except _Refused as refusal:
        return refusal.problem
    tokens = {token.strip().lower() for token in headers.get(b"connection", b"").split(b",")}
    keep = minor == 1 and b"close" not in tokens
    shown = {name.decode(): value.decode("latin-1") for name, value in headers.items()}
    return Head(Request(method, segments, query, shown, keep), length)


def _too_large(status: int, part: str) -> Problem:
    most = f"{MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers" if part == "head" else f"{MAX_BODY_BYTES} bytes"
    detail = f"The {part} of a request may have {most}."
    return Problem(status, f"{part}-too-large", f"Request {part} too large", detail, "Send less.")


def _request_line(line: bytes) -> tuple[str, bytes, int]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _Refused(malformed("The request line is not METHOD TARGET HTTP/1.1."))
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in b"01":
        detail = "This server speaks HTTP/1.1."
        raise _Refused(Problem(505, "version", "HTTP version not supported", detail, "Use HTTP/1.1."))
    return method.decode(), target, int(minor)


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    if len(lines) > MAX_HEADERS:
        raise _Refused(_too_large(431, "head"))
    headers: dict[bytes, bytes] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise _Refused(malformed("A header is folded, nameless or holds forbidden bytes."))
        name, value = match[1].lower(), match[2]
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise _Refused(malformed(f"The header {name.decode()} is there more than once."))
        else:
            headers[name] += b", " + value
    return headers


def _body_length(method: str, headers: Mapping[bytes, bytes]) -> int:
    coding, stated = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None:
        if stated is not None:
            raise _Refused(malformed("Transfer-Encoding and Content-Length together."))
        if coding.strip().lower() == b"chunked":
            detail = "A body needs a Content-Length; chunks are not taken."
            raise _Refused(Problem(411, "length-required", "Length required", detail, "Send Content-Length."))
        detail = "Transfer codings are not taken."
        raise _Refused(Problem(501, "coding", "Not implemented", detail, "Send Content-Length."))
    if b"expect" in headers:
        detail = "Nothing is expected of this server."
        raise _Refused(Problem(417, "expectation", "Expectation failed", detail, "Leave the Expect header out."))
    if stated is None:
        return 0
    if not stated.isdigit() or not stated.isascii():
        raise _Refused(malformed("Content-Length is no number."))
    if len(stated) > len(str(MAX_BODY_BYTES)) or int(stated) > MAX_BODY_BYTES:
        raise _Refused(_too_large(413, "body"))
    if int(stated) and method != "POST":
        raise _Refused(malformed(f"A body has no place in {method}."))
    return int(stated)


def _check_host(headers: Mapping[bytes, bytes], minor: int) -> None:
    host = headers.get(b"host")
    if host is None and minor == 1:
        raise _Refused(malformed("HTTP/1.1 needs a Host header, whatever it says."))
    if host is not None and not _HOST.fullmatch(host):
        raise _Refused(malformed("The Host header is no host."))


def _target(target: bytes) -> tuple[tuple[str, ...], dict[str, str]]:
    if target[:7].lower() == b"http://":  # absolute-form, which every server must take (RFC 9112, 3.2.2)
        _, slash, rest = target[7:].partition(b"/")
        target = slash + rest or b"/"
    if not target.startswith(b"/") or b"#" in target:
        raise _Refused(malformed("The target is no path."))
    path, _, query = target[1:].partition(b"?")
    return tuple(_decoded(part) for part in path.split(b"/")), _query(query)


def _query(query: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in query.split(b"&") if query else ():
        name, equals, value = pair.partition(b"=")
        if not equals or not name or _decoded(name) in found:
            raise _Refused(malformed("The query is not NAME=VALUE, each name once."))
        found[_decoded(name)] = _decoded(value)
    return found


def _decoded(part: bytes) -> str:
    text = part.decode("ascii")
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise _Refused(malformed("The target holds a broken escape."))
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise _Refused(malformed("The target is not UTF-8.")) from None


# ------------------------------------------------------------------------------------------- answers

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_EMPTY: Final[Mapping[str, str]] = {}


def render(status: int, body: bytes, kind: str = JSON, more: Mapping[str, str] = _EMPTY) -> bytes:
    """One whole answer.  Nothing that this daemon says may be stored by anybody."""
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {kind}",
        "Cache-Control: no-store",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in more.items()),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def render_problem(problem: Problem) -> bytes:
    """The answer that carries a problem document."""
    more = {}
    if problem.retry_after is not None:
        more["Retry-After"] = str(max(0, math.ceil(problem.retry_after)))
    if problem.allow is not None:
        more["Allow"] = problem.allow
    return render(problem.status, json.dumps(problem.document(), separators=(",", ":")).encode(), PROBLEM, more)


def with_close(answer: bytes) -> bytes:
    """The same answer, saying that the connection ends with it."""
    return answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
