"""The client for programs with threads, or without: blocking, one connection that is kept and renewed.

Rules
-----
* A connection that the daemon has closed meanwhile (idle, restart) is opened again once, unnoticed: every call here
  may safely be made twice.
* After a fork the child opens its own: the daemon knows a connection by the process that opened it.
* Threads may share a client; their calls follow one another.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

from freshd.client import wire
from freshd.client.address import find_socket, quoted, token_path
from freshd.client.errors import ClientError, Temporary, Unreachable
from freshd.client.token import Token

TIMEOUT_SECONDS = 10.0
DEFAULT_WAIT_SECONDS = 10.0
RECONNECT_SECONDS = (0.1, 0.5, 1.0, 5.0)


class Client:
    """One daemon.  `socket_path` None: see address.find_socket.  `timeout`: seconds beyond a call's own waiting."""

    def __init__(self, socket_path: str | None = None, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.socket_path = socket_path or find_socket()
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._owner = 0

    def token(self, account: str, *, min_ttl: float | None = None, wait: float | None = None) -> Token:
        """A lease with at least `min_ttl` seconds left, waited for at most `wait` seconds.  Raises ClientError."""
        patience = self._timeout + (DEFAULT_WAIT_SECONDS if wait is None else wait)
        return Token(self._call("GET", token_path(account, min_ttl, wait), patience=patience))

    def refused(self, token: Token, status: int | None = None, code: str | None = None) -> str:
        """Report that a service refused the token; says what comes of it.  Then ask for a token again."""
        given = {"fingerprint": token.fingerprint, "status": status, "code": code}
        body = {name: value for name, value in given.items() if value is not None}
        return str(self._call("POST", f"/v1/tokens/{quoted(token.account)}/refused", body)["outcome"])

    def call(self, method: str, path: str, body: object = None, *, wait: float = 60.0) -> dict[str, object]:
        """Any other call of openapi.json; operators' verbs may take a while."""
        return self._call(method, path, body, patience=self._timeout + wait)

    def watch(self, accounts: Sequence[str] | None = None) -> Iterator[wire.Change]:
        """The present health of the accounts (None: all one may see), and again at every change; never ends.

        Reconnects by itself where a daemon was there once, and goes on where it was.  Raises ClientError.
        """
        query = "" if accounts is None else "?accounts=" + ",".join(map(quoted, accounts))
        frames, failures = wire.Frames(), 0
        while True:
            try:
                for change in self._stream("/v1/watch" + query, frames):
                    failures = 0
                    yield change
            except (Unreachable, Temporary):
                if frames.last_id is None:
                    raise
            time.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1
            frames.restart()

    def close(self) -> None:
        """Let go of the connection; the next call opens another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -------------------------------------------------------------------------------------- one call

    def _call(
        self, method: str, path: str, body: object = None, *, patience: float = TIMEOUT_SECONDS
    ) -> dict[str, object]:
        data = wire.request(method, path, body)
        with self._lock:
            if self._owner != os.getpid():
                self._connection = None  # of the parent: left open there, not used here
            was_kept = self._connection is not None
            try:
                status, answer = self._exchange(data, patience)
            except (ConnectionError, EOFError) as error:
                if not was_kept:
                    raise _unreachable(self.socket_path, error) from None
                status, answer = self._again(data, patience)
        return wire.members_of(status, answer)

    def _again(self, data: bytes, patience: float) -> tuple[int, bytes]:
        try:
            return self._exchange(data, patience)
        except (ConnectionError, EOFError) as error:
            raise _unreachable(self.socket_path, error) from None

    def _exchange(self, data: bytes, patience: float) -> tuple[int, bytes]:
        connection = self._connection or _connect(self.socket_path, patience)
        self._connection, self._owner = None, os.getpid()
        try:
            connection.settimeout(patience)
            _send(connection, data)
            answer, body = _read_head(connection)
            while answer.length is None or len(body) < answer.length:
                body += _received(connection)
        except TimeoutError:
            connection.close()
            raise Temporary("The daemon did not answer in time", "Ask again.", kind="late") from None
        except BaseException:
            connection.close()
            raise
        if answer.keep:
            self._connection = connection
        else:
            connection.close()
        return answer.status, body

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _stream(self, path: str, frames: wire.Frames) -> Iterator[wire.Change]:
        headers = () if frames.last_id is None else (f"Last-Event-ID: {frames.last_id}",)
        with _connect(self.socket_path, self._timeout) as connection:
            try:
                _send(connection, wire.request("GET", path, headers=headers))
                answer, data = _read_head(connection)
                if answer.status != 200:
                    while len(data) < (answer.length or 0):
                        data += _received(connection)
                    wire.members_of(answer.status, data)
                connection.settimeout(None)
                while True:
                    yield from frames.feed(data)
                    data = _received(connection)
            except (OSError, EOFError):
                return


def _connect(path: str, patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(path)
    except (TimeoutError, BlockingIOError):  # the latter: its queue is full
        connection.close()
        raise Temporary("The daemon takes no connections", "Ask again.", kind="late") from None
    except OSError as error:
        connection.close()
        raise _unreachable(path, error) from None
    return connection


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except BrokenPipeError:
        return  # it may have said why before it closed: the answer, or its absence, is read next


def _read_head(connection: socket.socket) -> tuple[wire.Answer, bytes]:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > wire.MAX_HEAD_BYTES:
            raise ClientError("What answers on the socket is not freshd", "Check which socket is meant.")
        data += _received(connection)
    return wire.Answer(data[:end]), data[end + 4 :]


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError
    return data


def _unreachable(path: str, error: Exception) -> Unreachable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "it closed the connection"
    remedy = "Start it (freshd run, or systemctl start freshd), or name its socket in FRESHD_SOCKET."
    return Unreachable(f"No daemon answers on {path}: {reason}", remedy, kind="unreachable")
