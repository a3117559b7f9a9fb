"""Programs that need tokens: each asks the socket ten times a second and tries what it got at the service.

Rules
-----
* A reader knows nothing but the socket and the service.  It keeps the newest lease it was given and writes down what it
  met; it judges nothing.
* While the daemon is away it goes on with the lease in hand, as long as that lives.
* A 401 is reported to the daemon, and until there is another token it asks every 20 ms.
* A thread each; a diary is written by its own thread and read when that has ended.
"""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from freshd.cli.demo.evidence import Met, Reading
from freshd.client import Client, ClientError, Token, Unreachable

POLL_SECONDS: Final = 0.1
HURRY_SECONDS: Final = 0.02
SERVICE_SECONDS: Final = 5.0
EACH: Final = 2
"""Readers of one account: more than one report of the same refusal must not heal twice."""


class Reader:
    """One program."""

    def __init__(self, name: str, account: str, socket: Path, base_url: str) -> None:
        self.name = name
        self.account = account
        self.reads = 0
        self.diary: list[Reading] = []
        self.mood = Met.NONE
        self._client = Client(str(socket), timeout=SERVICE_SECONDS)
        self._service = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=SERVICE_SECONDS)
        self._token: Token | None = None
        self._print = ""
        self._reported = ""

    def run(self, stop: threading.Event, first_wait: float) -> None:
        """Read and try until told to stop."""
        pause = first_wait
        while not stop.wait(pause):
            trouble = self._ask()
            if self._token is None or self._token.expires_in <= 0:
                self._note(trouble or Met.NONE)
            else:
                self._try(self._token)
            pause = HURRY_SECONDS if self.mood is Met.REFUSED else POLL_SECONDS
        self._client.close()
        self._service.close()

    def _ask(self) -> Met | None:
        """Take the newest lease, if there is one."""
        try:
            token = self._client.token(self.account, min_ttl=0, wait=0)
        except Unreachable:
            return Met.DOWN
        except ClientError:
            return Met.NONE
        self.reads += 1
        if self._token is None or token.fingerprint != self._token.fingerprint:
            self._print = hashlib.sha256(token.value.encode()).hexdigest()[:16]
            self.diary.append(Reading(self.name, time.time(), Met.LEASE, self._print, time.time() + token.expires_in))
        self._token = token
        return None

    def _try(self, token: Token) -> None:
        try:
            self._service.request("GET", "/userinfo", headers={"Authorization": f"Bearer {token.value}"})
            response = self._service.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._service.close()
            self._note(Met.UNSURE)
            return
        self._note(Met.GOOD if response.status == 200 else Met.REFUSED)
        if response.status != 200 and self._reported != token.fingerprint:
            self._report(token, response.status)

    def _report(self, token: Token, status: int) -> None:
        try:
            self._client.refused(token, status)
        except ClientError:
            return  # it is asked and told again at the next turn
        self._reported = token.fingerprint

    def _note(self, met: Met) -> None:
        self.mood = met
        self.diary.append(Reading(self.name, time.time(), met, self._print))


class Crowd:
    """All readers, EACH of them for every account."""

    def __init__(self, accounts: Sequence[str], socket: Path, base_url: str) -> None:
        self.readers = [
            Reader(f"{account}/{number}", account, socket, base_url) for account in accounts for number in range(EACH)
        ]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, spread over one poll."""
        for number, reader in enumerate(self.readers):
            wait = POLL_SECONDS * number / len(self.readers)
            thread = threading.Thread(target=reader.run, args=(self._stop, wait), name=reader.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End; the diaries are complete afterwards."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def of(self, account: str) -> list[Reader]:
        """The readers of one account."""
        return [reader for reader in self.readers if reader.account == account]

    def are_served(self) -> bool:
        """Whether every reader's newest token was taken by the service."""
        return all(reader.mood is Met.GOOD for reader in self.readers)
