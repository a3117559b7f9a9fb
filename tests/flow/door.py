"""The way to a service's public side: one call, and a door in front of it that can be shut."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self


def call(
    base: str, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """One call of the service's public side."""
    place = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(type(error).__name__) from None
    finally:
        connection.close()


class Door:
    """A way to the service that can be shut: then connections are refused."""

    def __init__(self, base: str) -> None:
        place = urllib.parse.urlsplit(base)
        self._inside = str(place.hostname), int(place.port or 0)
        self._listener: socket.socket | None = None
        self._port = 0
        self.open()
        self.url = f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        self._port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._welcome, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _welcome(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                outside, _ = listener.accept()
                inside = socket.create_connection(self._inside)
                threading.Thread(target=_relay, args=(outside, inside), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()


def _relay(outside: socket.socket, inside: socket.socket) -> None:
    with outside, inside:
        there = threading.Thread(target=_carry, args=(outside, inside), daemon=True)
        there.start()
        _carry(inside, outside)
        there.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
