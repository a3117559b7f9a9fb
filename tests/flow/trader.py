"""A program that holds a broker's trading connection with what freshd gives it: the whole circle of a consumer.

It logs in (command 1001), keeps the line alive (1003), reports a refused login over freshd's socket, learns of the
healed lease by `GET /v1/watch`, and logs in again.  It uses the client that other programs use, and no restart.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
import urllib.parse
from types import TracebackType
from typing import Any, Final, Self

from freshd.client import Client, Token

LOGIN, HEARTBEAT = 1001, 1003
BEAT_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 20.0


def login(trade_url: str, lease: dict[str, Any] | Token) -> tuple[int, socket.socket]:
    """Log in at the trading connection; its number (0: well), and the connection."""
    place = urllib.parse.urlsplit(trade_url)
    line = socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE_SECONDS)
    fields = lease.fields if isinstance(lease, Token) else lease
    signature = lease.value if isinstance(lease, Token) else str(lease["access_token"])
    wish = {
        "cmd": LOGIN, "broker_id": int(str(fields["broker_id"])), "customer_id": int(str(fields["customer_id"])),
        "broker_client_sig": signature,
    }  # fmt: skip
    return say(line, wish), line


def say(line: socket.socket, wish: dict[str, Any]) -> int:
    """One command; the number of its answer.  Raises OSError where the line is dead."""
    line.sendall(json.dumps(wish).encode() + b"\n")
    data = b""
    while not data.endswith(b"\n"):
        part = line.recv(4096)
        if not part:
            raise ConnectionError("the line was closed")
        data += part
    return int(json.loads(data)["ret"])


class Trader:
    """One such program, in a thread.  `diary`: what it met, in order."""

    def __init__(self, socket_path: str, account: str, trade_url: str) -> None:
        self._client = Client(socket_path)
        self._watcher = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket_path = socket_path
        self._account, self._trade_url = account, trade_url
        self._changes: queue.Queue[object] = queue.Queue()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._trade, self._watch)]
        self.diary: list[str] = []
        self.offline: list[float] = []
        """Seconds between each loss of the line and the next good login."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        with contextlib.suppress(OSError):
            self._watcher.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        self._watcher.close()
        self._client.close()

    def _watch(self) -> None:
        """Put down each fingerprint that freshd tells of, read off the socket as a program in any language would."""
        with contextlib.suppress(OSError):
            self._watcher.connect(self._socket_path)
            ask = f"GET /v1/watch?accounts={self._account} HTTP/1.1\r\nHost: freshd\r\n\r\n"
            self._watcher.sendall(ask.encode())
            with self._watcher.makefile("rb") as lines:
                for line in lines:
                    if line.startswith(b"data:") and b"fingerprint" in line:
                        self._changes.put(json.loads(line[5:]).get("fingerprint"))

    def _trade(self) -> None:
        lost_at = time.monotonic()
        while not self._ends.is_set():
            token = self._client.token(self._account, min_ttl=0.5, wait=10)
            code, line = login(self._trade_url, token)
            if code != 0:
                line.close()
                self.diary.append(f"refused {code}")
                self.diary.append(f"reported: {self._client.refused(token, code=str(code))}")
                self._await_other(token.fingerprint)
                continue
            self.diary.append("logged in")
            self.offline.append(time.monotonic() - lost_at)
            self._hold(line)
            lost_at = time.monotonic()

    def _hold(self, line: socket.socket) -> None:
        """Keep the line alive until it dies."""
        try:
            while not self._ends.wait(BEAT_SECONDS):
                say(line, {"cmd": HEARTBEAT})
        except OSError:
            self.diary.append("line lost")
        finally:
            line.close()

    def _await_other(self, fingerprint: str) -> None:
        """Wait until freshd tells of another lease."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at and not self._ends.is_set():
            try:
                told = self._changes.get(timeout=0.2)
            except queue.Empty:
                continue
            if told not in (None, fingerprint):
                self.diary.append("heard of another lease")
                return
