"""Another program at an AUN gateway: it logs in with a token and may stay."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE_SECONDS = 10.0
REFUSED = 4001


class Visitor:
    """One login of a device.  `log_in` says how it was refused, or None; a short one is over at once."""

    def __init__(self, issuer: str, device: str, *, slot: str = "freshd", is_short: bool = False) -> None:
        self._url = issuer.replace("http", "ws", 1) + "/aun"
        self._device, self._slot, self._is_short = device, slot, is_short
        self._line: ClientConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.close()

    def log_in(self, token: str) -> int | None:
        """Raises OSError where the gateway cannot be asked."""
        self._line = connect(self._url, open_timeout=PATIENCE_SECONDS, close_timeout=0.2, compression=None)
        try:
            return self._asked(self._line, token)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else None
            if code is None:
                raise OSError("the gateway went away") from None
            return code
        except ValueError:
            raise OSError("the gateway does not say what a gateway says") from None
        finally:
            if self._is_short:
                self._line.close()

    def _asked(self, line: ClientConnection, token: str) -> int | None:
        answer: dict[str, Any] = {}
        while answer.get("method") != "challenge":
            answer = json.loads(line.recv(PATIENCE_SECONDS))
        told: dict[str, Any] = {
            "nonce": answer["params"]["nonce"], "auth": {"method": "kite_token", "token": token},
            "device": {"id": self._device, "type": "sdk"}, "client": {"slot_id": self._slot},
        }  # fmt: skip
        told |= {"options": {"kind": "short", "short_ttl_ms": 1000}} if self._is_short else {}
        line.send(json.dumps({"jsonrpc": "2.0", "id": "login", "method": "auth.connect", "params": told}))
        while answer.get("id") != "login":
            answer = json.loads(line.recv(PATIENCE_SECONDS))
        return int(answer["error"]["code"]) if "error" in answer else None
