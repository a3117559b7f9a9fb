"""An operator who looks on: every account over the socket, ten times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from freshd.cli.demo.evidence import Sample
from freshd.client import Client, ClientError

LOOK_SECONDS: Final = 0.1
DEADLINE_SECONDS: Final = 5.0


class Monitor:
    """What was seen.  `now` is the newest look, by account; empty before the first."""

    def __init__(self, accounts: Sequence[str], socket: Path) -> None:
        self.samples: dict[str, list[Sample]] = {account: [] for account in accounts}
        self.now: Mapping[str, Mapping[str, Any]] = {}
        self._client = Client(str(socket), timeout=DEADLINE_SECONDS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End, after one last look: what is not seen then is not known."""
        self._stop.set()
        self._thread.join()
        self.now = {}
        self._look()
        self._client.close()

    def due(self, account: str) -> float | None:
        """When the account's next renewal is due, as far as known."""
        return _moment(self.now.get(account, {}).get("next_refresh_at"))

    def left(self, account: str) -> float:
        """Seconds of life that the account's lease has left; 0 where there is none."""
        until = _moment(self.now.get(account, {}).get("usable_until"))
        return 0.0 if until is None else max(0.0, until - time.time())

    def is_stocked(self, account: str) -> bool:
        """Whether nothing is missing in the account's stock; true for one that keeps none."""
        stock = self.now.get(account, {}).get("stock")
        return all(stock.values()) if isinstance(stock, dict) else True

    def phase(self, account: str) -> str:
        return str(self.now.get(account, {}).get("phase", ""))

    def is_at_work(self, account: str) -> bool:
        """Whether it will be renewed without a person."""
        seen = self.now.get(account, {})
        return not seen.get("paused") and seen.get("phase") not in ("parked", "vacant")

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        at = time.time()
        try:
            answer = self._client.call("GET", "/v1/accounts", wait=0)
        except ClientError:
            return
        found = answer.get("accounts")
        accounts = found if isinstance(found, list) else []
        self.now = {str(one["account"]): one for one in accounts}
        for name, seen in self.now.items():
            if name in self.samples:
                self.samples[name].append(Sample(at, str(seen["phase"]), _moment(seen["next_refresh_at"])))


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
