"""Programs that hold a trading connection: logged in with a broker's lease, kept alive by heartbeats.

Rules
-----
* A signature is needed at login only.  A connection that breaks is logged in again at once, with the lease in hand; so
  a lease is kept in hand that is good for a while.
* A login that is refused is reported to the daemon, once for each lease; the program then waits for the news that there
  is another lease, which it hears by watch, and logs in with that.
* It is never started anew; what it met it writes down, and judges nothing.  Two threads each: one holds, one listens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from freshd.cli.demo.cast import BROKER, Role
from freshd.cli.demo.evidence import Held, Turn
from freshd.cli.demo.readers import POLL_SECONDS, print_of
from freshd.cli.demo.service import Service
from freshd.cli.demo.trade import OK, Trade
from freshd.client import Client, ClientError, Token

Say = Callable[[str], None]
NEWS_SECONDS: Final = 30.0
"""How long a refused program waits for news before it asks unbidden: longer than any trouble is allowed to last."""
LEASE_SECONDS: Final = 2.0
TOLD: Final = {
    Turn.IN: "its trading connection is logged in again, by the same program",
    Turn.OUT: "its trading connection is cut",
    Turn.REFUSED: "the login at its trading connection is refused",
    Turn.REPORTED: "the program that holds the connection has reported that, and waits for news",
}


class Trader:
    """One program.  say: where it tells of turns for the worse and the better; deaf: reports nothing (sabotage)."""

    def __init__(self, role: Role, socket: Path, service: Service, say: Say, *, deaf: bool = False) -> None:
        self.account = role.name
        self.diary: list[Held] = []
        self._say = say
        self._deaf = deaf
        self._client = Client(str(socket))
        self._listener = Client(str(socket))
        self._trade = Trade(service.trade_url)
        self._asks_for = role.asks_for_s
        self._token: Token | None = None
        self._refused = ""
        self._news = threading.Event()
        self._newest = ""

    @property
    def is_logged_in(self) -> bool:
        return bool(self.diary) and self.diary[-1].turn is Turn.IN

    def run(self, stop: threading.Event) -> None:
        """Hold the connection until told to stop."""
        threading.Thread(target=self._listen, name=f"news for {self.account}", daemon=True).start()
        while not stop.wait(POLL_SECONDS if self._trade.is_open else 0.0):
            try:
                self._hold(stop)
            except OSError:
                self._write(Turn.OUT)
        self._trade.close()
        self._client.close()

    def _hold(self, stop: threading.Event) -> None:
        """One turn: a heartbeat, or a login.  Raises OSError where the connection breaks."""
        if self._trade.is_open:
            self._trade.beat()
            if self._token is not None and self._token.expires_in < self._asks_for:
                self._fetch(self._asks_for, 0.0)
            return
        token = self._lease()
        if token is None:
            stop.wait(POLL_SECONDS)
            return
        answer = self._trade.log_in(token)
        if answer == OK:
            self._write(Turn.IN, token)
            return
        self._trade.close()
        self._refused = token.fingerprint
        self._write(Turn.REFUSED, token)
        self._wait_for_news(token, answer, stop)

    def _lease(self) -> Token | None:
        """The lease in hand while it is good; else what the socket gives."""
        held = self._token
        if held is not None and held.expires_in > 0 and held.fingerprint != self._refused:
            return held
        return self._fetch(0.0, LEASE_SECONDS)

    def _fetch(self, min_ttl: float, wait: float) -> Token | None:
        try:
            self._token = self._client.token(self.account, min_ttl=min_ttl, wait=wait)
        except ClientError:
            return None
        return self._token

    def _wait_for_news(self, token: Token, answer: int, stop: threading.Event) -> None:
        """Report the refusal, and return when another lease was heard of."""
        is_reported = self._deaf
        give_up_at = time.monotonic() + NEWS_SECONDS
        while time.monotonic() < give_up_at and not stop.is_set():
            is_reported = is_reported or self._report(token, answer)
            if self._newest not in ("", token.fingerprint):
                return
            self._news.wait(POLL_SECONDS)
            self._news.clear()

    def _report(self, token: Token, answer: int) -> bool:
        try:
            self._client.refused(token, code=str(answer))
        except ClientError:
            return False
        self._write(Turn.REPORTED, token)
        return True

    def _listen(self) -> None:
        """Hear of every change, over restarts of the daemon too; ends with the process."""
        try:
            for change in self._listener.watch([self.account]):
                self._newest = str(change.data.get("fingerprint") or self._newest)
                self._news.set()
        except ClientError:
            return

    def _write(self, turn: Turn, token: Token | None = None) -> None:
        before = self.diary[-1].turn if self.diary else turn
        self.diary.append(Held(time.time(), turn, "" if token is None else print_of(token)))
        if turn is not before:
            self._say(f"{self.account:<12} {TOLD[turn]}")


class Floor:
    """All traders, one for each broker."""

    def __init__(self, roles: Sequence[Role], socket: Path, service: Service, say: Say, *, deaf: bool = False) -> None:
        self.traders = [Trader(role, socket, service, say, deaf=deaf) for role in roles if role.kind == BROKER]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for trader in self.traders:
            thread = threading.Thread(target=trader.run, args=(self._stop,), name=trader.account, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End; the diaries are complete afterwards."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def are_logged_in(self) -> bool:
        """Whether every connection is up."""
        return all(trader.is_logged_in for trader in self.traders)

    def diaries(self) -> dict[str, Sequence[Held]]:
        """What each has met, by account."""
        return {trader.account: trader.diary for trader in self.traders}
