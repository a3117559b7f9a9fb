"""One trading connection at Futu's stand-in, as a program has it: JSON objects, a line each, question and answer.

Used by one thread.  What breaks is closed, and opened again with the next login.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from freshd.client import Token

BROKER_LOGIN: Final = 1001
BROKER_HEARTBEAT: Final = 1003
PLATFORM_LOGIN: Final = 6001
OK: Final = 0
ANSWER_SECONDS: Final = 5.0


class Trade:
    """The connection.  Every call raises OSError where it breaks."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._socket: socket.socket | None = None
        self._heard = b""

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def log_in(self, token: Token) -> int:
        """Log in with a lease, of a broker or of the platform; the number that is answered, 0 for yes."""
        return self._ask(_login(token))

    def beat(self) -> int:
        """One heartbeat of a broker's connection; the number that is answered."""
        return self._ask({"cmd": BROKER_HEARTBEAT})

    def close(self) -> None:
        """Hang up; nothing where there is no connection."""
        connection, self._socket, self._heard = self._socket, None, b""
        if connection is not None:
            connection.close()

    def _ask(self, message: Mapping[str, object]) -> int:
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, ANSWER_SECONDS)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            return int(self._answer(self._socket)["ret"])
        except (OSError, ValueError, KeyError) as error:
            self.close()
            raise ConnectionError(type(error).__name__) from None

    def _answer(self, connection: socket.socket) -> dict[str, Any]:
        while b"\n" not in self._heard:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        found = json.loads(line)
        return found if isinstance(found, dict) else {}


def _login(token: Token) -> dict[str, object]:
    fields = token.fields
    if "broker_id" not in fields:
        return {"cmd": PLATFORM_LOGIN, "uid": _number(fields.get("uid")), "client_sig": token.value}
    numbers = {name: _number(fields.get(name)) for name in ("broker_id", "customer_id")}
    return {"cmd": BROKER_LOGIN, **numbers, "broker_client_sig": token.value}


def _number(value: object) -> int | None:
    with contextlib.suppress(TypeError, ValueError):
        return int(str(value))
    return None
