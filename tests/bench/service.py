"""A token endpoint that does nothing but answer, so that what is measured is freshd.

    python -m tests.bench.service --life 3600 [--ledger FILE]

Rules
-----
* Every refresh rotates: `r-ACCOUNT-N` is answered with `r-ACCOUNT-(N+1)`.  Presenting any number but the newest counts
  as spent, as a strict service would count it; the first one seen of an account is believed.
* One answer in one write, as soon as the request is whole.
* The ledger has a line for each answer: account, and when its request was whole and its answer written
  (CLOCK_MONOTONIC, nanoseconds).  It is written when standard input ends, so that no disk is touched meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final, cast

TOKEN: Final = re.compile(rb"refresh_token=r-([a-z0-9]+)-(\d+)")
LENGTH: Final = re.compile(rb"(?i)content-length: *(\d+)")
CONTROL: Final = b"GET /count "
PADDING: Final = "x" * 600
"""Access tokens of real services have 800 to 2000 characters as JWT, 40 to 200 as handles."""


@dataclass
class Book:
    """What was given out."""

    life: float
    newest: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[str, int, int]] = field(default_factory=list)
    spent: int = 0

    def answer(self, request: bytes) -> bytes:
        """The whole response to a whole request."""
        begun = time.monotonic_ns()
        if request.startswith(CONTROL):
            return respond({"answers": len(self.lines), "spent": self.spent})
        found = TOKEN.search(request)
        if found is None:
            return respond({"error": "invalid_request"}, "400 Bad Request")
        account, number = found[1].decode(), int(found[2])
        self.spent += self.newest.get(account, number) != number
        self.newest[account] = number + 1
        names = {"access_token": f"a-{account}-{number + 1}-{PADDING}", "refresh_token": f"r-{account}-{number + 1}"}
        body = respond({**names, "token_type": "Bearer", "expires_in": self.life})
        self.lines.append((account, begun, time.monotonic_ns()))
        return body


def respond(body: object, status: str = "200 OK") -> bytes:
    """An HTTP response that ends the connection."""
    text = json.dumps(body)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close"
    return f"{head}\r\n\r\n{text}".encode()


class Speaker(asyncio.Protocol):
    """One connection, one request."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, mark, body = self._got.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if mark and len(body) >= (0 if length is None else int(length[1])):
            self._transport.write(self._answer(self._got))
            self._transport.close()


async def serve(life: float) -> Book:
    """Answer until standard input ends; the first line of output is the port."""
    book, loop = Book(life), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Speaker(book.answer), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    return book


@dataclass(frozen=True, slots=True)
class Answered:
    """One line of the ledger; nanoseconds of CLOCK_MONOTONIC."""

    account: str
    begun: int
    ended: int


@dataclass
class Service:
    """The service in a process of its own.  `answered` and `spent` are known once it was ended."""

    port: int
    pid: int
    answered: tuple[Answered, ...] = ()
    spent: int = 0

    @property
    def endpoint(self) -> str:
        """Where refreshes go."""
        return f"http://127.0.0.1:{self.port}/token"


@contextmanager
def running(life: float, folder: Path) -> Iterator[Service]:
    """Run it; its ledger is read at the end."""
    ledger = folder / "ledger"
    command = [sys.executable, "-m", "tests.bench.service", "--life", str(life), "--ledger", str(ledger)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the service did not start")
        service = Service(int(process.stdout.readline()), process.pid)
        try:
            yield service
        finally:
            process.stdin.close()
            service.spent = json.loads(process.stdout.readline())["spent"]
            lines = (line.split() for line in ledger.read_text().splitlines())
            service.answered = tuple(Answered(name, int(begun), int(ended)) for name, begun, ended in lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A token endpoint that does nothing but answer.")
    parser.add_argument("--life", type=float, required=True)
    parser.add_argument("--ledger", type=Path)
    given = parser.parse_args()
    book = asyncio.run(serve(given.life))
    if given.ledger is not None:
        given.ledger.write_text("".join(f"{account} {begun} {ended}\n" for account, begun, ended in book.lines))
    print(json.dumps({"answers": len(book.lines), "spent": book.spent}), flush=True)
