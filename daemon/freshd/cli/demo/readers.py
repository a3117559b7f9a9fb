"""Programs that need tokens: each asks the socket ten times a second and tries what it got at the service.

Rules
-----
* A reader knows nothing but the socket and the service.  It keeps the newest lease it was given and writes down what it
  met; it judges nothing.
* Where leases are made on demand it asks for one that lives long enough, and writes down since when it has been asking
  in vain; meanwhile it goes on with what is there.
* While the daemon is away it goes on with the lease in hand, as long as that lives.
* A refusal is reported to the daemon, and until there is another token it asks every 20 ms.
* A thread each; a diary is written by its own thread and read when that has ended.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from freshd.cli.demo.cast import Role
from freshd.cli.demo.evidence import Met, Reading, Wish
from freshd.cli.demo.proofs import SERVICE_SECONDS, Proof, till_of
from freshd.cli.demo.service import Service
from freshd.client import Client, ClientError, Token, Unreachable

POLL_SECONDS: Final = 0.1
HURRY_SECONDS: Final = 0.02
EACH: Final = 2
"""Readers of one account: more than one report of the same refusal must not heal twice."""


class Reader:
    """One program."""

    def __init__(self, name: str, role: Role, socket: Path, service: Service) -> None:
        self.name = name
        self.account = role.name
        self.reads = 0
        self.diary: list[Reading] = []
        self.wishes: list[Wish] = []
        self.mood = Met.NONE
        self._asks_for = role.asks_for_s
        self._client = Client(str(socket), timeout=SERVICE_SECONDS)
        self._till = till_of(role, service)
        self._token: Token | None = None
        self._print = ""
        self._reported = ""
        self._wishing_since: float | None = None

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
        if self._wishing_since is not None:
            self.wishes.append(Wish(self._wishing_since))
        self._client.close()
        self._till.close()

    def _ask(self) -> Met | None:
        """Take the newest lease, if there is one; where leases are made on demand, ask for a long one first."""
        if not self._asks_for:
            return self._take(0.0)
        since = time.time()
        trouble = self._take(self._asks_for)
        if trouble is None and self._wishing_since is not None:
            self.wishes.append(Wish(self._wishing_since, time.time()))
        if trouble is not Met.DOWN:
            self._wishing_since = None if trouble is None else self._wishing_since or since
        return self._take(0.0) if trouble is Met.NONE else trouble

    def _take(self, min_ttl: float) -> Met | None:
        """One question; None where it was answered with a lease."""
        try:
            token = self._client.token(self.account, min_ttl=min_ttl, wait=0)
        except Unreachable:
            return Met.DOWN
        except ClientError:
            return Met.NONE
        self.reads += 1
        if self._token is None or token.fingerprint != self._token.fingerprint:
            self._print = print_of(token)
            self.diary.append(Reading(self.name, time.time(), Met.LEASE, self._print, time.time() + token.expires_in))
        self._token = token
        return None

    def _try(self, token: Token) -> None:
        proof = self._till.try_out(token)
        self._note(proof.met)
        if proof.met is Met.REFUSED and self._reported != token.fingerprint:
            self._report(token, proof)

    def _report(self, token: Token, proof: Proof) -> None:
        try:
            self._client.refused(token, proof.status, proof.code)
        except ClientError:
            return  # it is asked and told again at the next turn
        self._reported = token.fingerprint

    def _note(self, met: Met) -> None:
        self.mood = met
        self.diary.append(Reading(self.name, time.time(), met, self._print))


def print_of(token: Token) -> str:
    """The fingerprint by which the service's books know a token."""
    return hashlib.sha256(token.value.encode()).hexdigest()[:16]


class Crowd:
    """All readers, EACH of them for every account."""

    def __init__(self, roles: Sequence[Role], socket: Path, service: Service) -> None:
        self.readers = [
            Reader(f"{role.name}/{number}", role, socket, service) for role in roles for number in range(EACH)
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
