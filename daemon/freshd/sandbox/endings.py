"""The faults that decide how a request ends: another answer in place of the true one, or none that arrives whole.

``after_commit`` says whether the service has already changed its books by then. Before: nothing is spent. After: the
secret is spent and the client cannot know it.
"""

import dataclasses
import email.utils
import functools
import json
import zlib
from typing import ClassVar

from freshd.sandbox.faults import Fault
from freshd.sandbox.wire import Manner, Reply, json_reply

_HTML = b"<!doctype html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"
_MIB = 1024 * 1024


class Ending(Fault):
    """A fault that decides how the request ends; ``reply`` None keeps the true answer.

    ``is_own_word``: the service at work says it in its own form, and decides by ``after_commit`` what it changes.
    """

    manner: ClassVar[Manner] = Manner.WHOLE
    is_own_word: ClassVar[bool] = False
    after_commit: bool

    def reply(self, now: float) -> Reply | None:
        """Return what is said instead of the true answer; ``now`` is the service's clock in wall seconds."""
        return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LostBeforeCommit(Ending):
    """The connection closes without a byte and nothing was changed."""

    name: ClassVar[str] = "lost_before_commit"
    manner: ClassVar[Manner] = Manner.SILENT
    after_commit: bool = dataclasses.field(default=False, init=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LostAfterCommit(Ending):
    """The connection closes without a byte after the service has committed."""

    name: ClassVar[str] = "lost_after_commit"
    manner: ClassVar[Manner] = Manner.SILENT
    after_commit: bool = dataclasses.field(default=True, init=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CutShort(Ending):
    """Only the first ``bytes`` of the body leave (negative: all but so many), under the length of the whole."""

    name: ClassVar[str] = "cut_short"
    manner: ClassVar[Manner] = Manner.CUT
    bytes: int = -1
    after_commit: bool = dataclasses.field(default=True, init=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Ending):
    """The connection is reset (RST) without a byte."""

    name: ClassVar[str] = "reset"
    manner: ClassVar[Manner] = Manner.RESET
    after_commit: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hang(Ending):
    """Nothing is said for ``seconds``, then the connection closes without a byte."""

    name: ClassVar[str] = "hang"
    manner: ClassVar[Manner] = Manner.SILENT
    seconds: float = 30
    after_commit: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status(Ending):
    """A bare HTTP status with a plain body: somebody in between failed, not the service in its own words."""

    name: ClassVar[str] = "status"
    status: int = 503
    body: str = "upstream unavailable\n"
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the bare status."""
        return Reply(status=self.status, body=self.body.encode(), headers={"Content-Type": "text/plain"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OAuthError(Ending):
    """The service's own refusal (RFC 6749 section 5.2) with any code and status."""

    name: ClassVar[str] = "oauth_error"
    error: str = "invalid_grant"
    status: int = 400
    description: str = "on demand"
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the refusal."""
        return json_reply({"error": self.error, "error_description": self.description}, self.status)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Html(Ending):
    """A cheerful page with status 200, as captive portals and log-in walls send."""

    name: ClassVar[str] = "html"
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the page."""
        return _page(200, b"Welcome")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BadGateway(Ending):
    """A gateway's own 502 page."""

    name: ClassVar[str] = "bad_gateway"
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the page."""
        return _page(502, b"502 Bad Gateway")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GzipBomb(Ending):
    """A small compressed body that unpacks to ``mebibytes``, whatever the request said about encodings."""

    name: ClassVar[str] = "gzip_bomb"
    mebibytes: int = 200
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the bomb; the first of each size takes a moment to pack."""
        packed = _bomb(self.mebibytes)
        return Reply(body=packed, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Huge(Ending):
    """A body of ``bytes`` that goes on until the client has had enough."""

    name: ClassVar[str] = "huge"
    manner: ClassVar[Manner] = Manner.STREAM
    bytes: int = 200 * _MIB
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return one block; the wire repeats it."""
        return Reply(body=b" " * 65536, headers={"Content-Type": "application/json"}, size=self.bytes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Ending):
    """307 to another place: a client that follows posts its secret there (``/elsewhere`` counts such visits)."""

    name: ClassVar[str] = "redirect"
    location: str = "/elsewhere"
    status: int = 307
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the redirect."""
        return Reply(status=self.status, headers={"Location": self.location})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited(Ending):
    """429 with Retry-After (RFC 9110 section 10.2.3) in seconds or as a date."""

    name: ClassVar[str] = "rate_limited"
    retry_after: int = 5
    as_date: bool = False
    after_commit: bool = False

    def reply(self, now: float) -> Reply:
        """Return the refusal to serve."""
        late = email.utils.formatdate(now + self.retry_after, usegmt=True) if self.as_date else str(self.retry_after)
        body = json.dumps({"error": "slow_down", "error_description": "too many requests"}).encode()
        return Reply(status=429, body=body, headers={"Content-Type": "application/json", "Retry-After": late})


def _page(status: int, title: bytes) -> Reply:
    return Reply(status=status, body=_HTML % (title, title), headers={"Content-Type": "text/html; charset=utf-8"})


@functools.cache
def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * _MIB) for _ in range(mebibytes)) + packer.flush()
