"""Requests and answers as bytes; pure.  Shared by both clients."""

import json
from collections.abc import Iterator

from freshd.client.errors import ClientError, Denied, Temporary

PROBLEM_PREFIX = "urn:freshd:problem:"
MAX_HEAD_BYTES = 8192


class Change:
    """One frame of a watch: `kind` is account, removed, daemon or synced; `data` the account's health."""

    __slots__ = ("data", "id", "kind")

    def __init__(self, kind: str, data: dict[str, object], identity: str | None) -> None:
        self.kind = kind
        self.data = data
        self.id = identity

    def __repr__(self) -> str:
        return f"Change({self.kind!r}, {self.data!r}, {self.id!r})"


def request(method: str, path: str, body: object = None, headers: tuple[str, ...] = ()) -> bytes:
    """One request."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: freshd", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


class Answer:
    """An answer's head.  `length` is None where the end of the connection ends the body."""

    __slots__ = ("keep", "length", "status")

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ClientError("What answers on the socket is not freshd", "Check which socket is meant.")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.status = int(rest[:3])
        self.length = int(fields["content-length"]) if "content-length" in fields else None
        self.keep = fields.get("connection", "").lower() != "close" and self.length is not None


def members_of(status: int, body: bytes) -> dict[str, object]:
    """The JSON object of a good answer; raises what a problem document says."""
    try:
        members = json.loads(body)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise ClientError("What answers on the socket is not freshd", "Check which socket is meant.", status=status)
    if 200 <= status < 300:
        return members
    raise trouble(status, members)


def trouble(status: int, members: dict[str, object]) -> ClientError:
    """The error a problem document stands for."""
    of_kind = ClientError
    if status in (403, 404):
        of_kind = Denied
    elif status in (408, 429, 503, 504):
        of_kind = Temporary
    return of_kind(
        str(members.get("detail") or members.get("title") or f"status {status}"),
        str(members.get("remedy") or ""),
        kind=str(members.get("type") or "").removeprefix(PROBLEM_PREFIX),
        status=status,
        retry_after=_number(members.get("retry_after")),
        maximum=_number(members.get("maximum")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


class Frames:
    """Cuts a stream of server-sent events into changes.  `last_id` is what a reconnect starts from."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Change]:
        """The changes completed by these bytes."""
        *frames, self._rest = (self._rest + data).split(b"\n\n")
        for frame in frames:
            fields = dict(line.partition(": ")[::2] for line in frame.decode().split("\n"))
            self.last_id = fields.get("id", self.last_id)
            if "event" in fields:
                yield Change(fields["event"], json.loads(fields.get("data", "{}")), self.last_id)

    def restart(self) -> None:
        """Forget half a frame: the connection ended in it."""
        self._rest = b""
