"""Problem documents (RFC 9457): every refusal in one form with a stable type, plain words and a remedy.

Forbidden and unknown are the same document (`NOT_FOUND`), byte for byte, so that nobody learns names by asking.
Texts never repeat what a caller sent, and never hold a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freshd.errors import FreshdError
from freshd.tokens import Shortfall

PREFIX: Final = "urn:freshd:problem:"


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` becomes the document's type.  `retry_after` and `maximum` in seconds."""

    status: int
    kind: str
    title: str
    detail: str
    remedy: str
    retry_after: float | None = None
    maximum: float | None = None
    allow: str | None = None

    def document(self) -> dict[str, object]:
        """The JSON object; members without a value are left out."""
        members: dict[str, object] = {
            "type": PREFIX + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
        }
        if self.retry_after is not None:
            members["retry_after"] = round(self.retry_after, 3)
        if self.maximum is not None:
            members["maximum"] = self.maximum
        return members


def malformed(detail: str) -> Problem:
    """The request is not HTTP as it should be.  The connection ends with this answer."""
    return Problem(400, "malformed", "Malformed request", detail, "Send HTTP/1.1 as RFC 9112 has it.")


def bad_request(detail: str) -> Problem:
    """Well-formed HTTP that asks for nothing sensible."""
    return Problem(400, "bad-request", "Bad request", detail, "See /openapi.json for what this call takes.")


def wrong_method(allow: str) -> Problem:
    """The path exists with other methods."""
    return Problem(
        405, "method-not-allowed", "Method not allowed", f"This path takes {allow}.", f"Use {allow}.", allow=allow
    )


NOT_FOUND: Final = Problem(
    404,
    "not-found",
    "Not found",
    "There is no such thing here, or this program may not use it.",
    "Check the name; who may read an account is said in the daemon's configuration under that account.",
)
UNIDENTIFIED: Final = Problem(
    403,
    "unidentified",
    "Caller not identified",
    "The kernel does not say who opened this connection, or the process that opened it is gone.",
    "Connect from the process itself, on this host, outside of user and pid namespaces foreign to the daemon.",
)
LOCKED: Final = Problem(
    503,
    "vault-locked",
    "The vault is locked",
    "The key that opens the daemon's store is not there yet, and no lease in memory lives long enough.",
    "Unlock the keyring or provide the credential; the daemon goes on by itself.",
    retry_after=5.0,
)
STOPPING: Final = Problem(
    503,
    "stopping",
    "The daemon is stopping",
    "The daemon is shutting down and starts nothing new.",
    "Connect again in a moment.",
    retry_after=1.0,
)
LATE: Final = Problem(
    504,
    "late",
    "Not in time",
    "No lease that lives long enough came within the time given.",
    "Ask again; `freshd status` says what the account is waiting for.",
    retry_after=5.0,
)
CROWDED: Final = Problem(
    503,
    "crowded",
    "Too many connections",
    "This user, or all users together, hold as many busy connections as the daemon allows.",
    "Keep one connection per program and use it again.",
    retry_after=1.0,
)
TOO_SLOW: Final = Problem(
    408,
    "too-slow",
    "Request too slow",
    "The request was not complete within the time allowed.",
    "Send a request in one piece.",
)
INTERNAL: Final = Problem(
    500,
    "internal",
    "Internal error",
    "The daemon met a mistake of its own; its log has the details.",
    "Report it with the log lines of this moment.",
)

_TITLES: Final = {
    "vault-locked": LOCKED.title,
    "min-ttl": "No lease lives that long",
    "parked": "A person is needed",
    "unavailable": "The service is not available",
    "late": LATE.title,
}
_STATUS_OF_ERROR: Final = {
    "vault-locked": 503,
    "keyring-unavailable": 503,
    "store": 503,
    "vault-foreign": 503,
    "unreachable": 503,
    "config": 422,
}


def _title(kind: str) -> str:
    return _TITLES.get(kind) or kind.replace("-", " ").capitalize()


def of_shortfall(short: Shortfall) -> Problem:
    """What the engine says about a lease it cannot give."""
    return Problem(
        short.status, short.kind, _title(short.kind), short.detail, short.remedy, short.retry_after, short.maximum
    )


def of_error(error: FreshdError) -> Problem:
    """An error raised on purpose; one that is not about the daemon's own state is a conflict with the account's."""
    told = error.diagnostics()
    status = _STATUS_OF_ERROR.get(error.type, 409)
    return Problem(status, error.type, _title(error.type), told.cause, told.remedy)
