"""Reads per second over the local socket, beside a plain asyncio echo in the same run.  Prints ratios; asserts nothing.

    python -m tests.bench.socket_bench [--seconds 2] [--rounds 3]

Servers and the load generator are processes of their own.  Every round measures each server once, in turn, so that a
busy machine slows them alike; the best of the rounds is shown.  The echo server answers a request of the same size
with an answer of the same size and does nothing else: what the loop and the kernel cost without freshd.
"""

import argparse
import asyncio
import contextlib
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from freshd.api.listen import Place, bind
from freshd.api.server import Api
from freshd.clock import SystemClock
from freshd.core.access import Policy, Readers
from freshd.tokens import Tokens
from tests.api.world import FakeClock, FakeTokens

CONNECTIONS = (1, 8, 64)
REQUEST = b"GET /v1/tokens/calendar?min_ttl=60 HTTP/1.1\r\nHost: freshd\r\n\r\n"
TOKEN = "t" * 80
SERVERS = ("echo", "freshd", "echo uvloop", "freshd uvloop")


class Echo(asyncio.Protocol):
    """Answers whatever comes with an answer of freshd's size."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)


async def serve(kind: str, path: str) -> None:
    """One server, until its standard input ends."""
    clock = SystemClock()
    tokens = FakeTokens(cast("FakeClock", clock), "calendar")
    tokens.publish("calendar", TOKEN, 86400.0)
    loop = asyncio.get_running_loop()
    if kind == "echo":
        listener = bind(Place(Path(path)))
        await loop.create_unix_server(lambda: Echo(b"x" * 340), sock=listener)
    else:
        me = Readers(frozenset({os.getuid()}))
        policy = Policy({"calendar": me})
        api = Api(cast("Tokens", tokens), lambda: policy, clock)
        await api.start(Place(Path(path)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


def load(path: str, connections: int, seconds: float) -> tuple[float, float]:
    """Requests per second, and the median of a round trip in microseconds."""
    peers = {}
    poll = select.epoll()
    for _ in range(connections):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(path)
        peers[peer.fileno()] = peer
        poll.register(peer, select.EPOLLIN)
    for peer in peers.values():
        peer.send(REQUEST)
    began = dict.fromkeys(peers, time.perf_counter())
    trips: list[float] = []
    done, start = 0, time.perf_counter()
    now = start
    while now - start < seconds:
        for number, _ in poll.poll():
            peer = peers[number]
            answer = peer.recv(4096)
            if not answer:
                raise SystemExit("the server closed a connection")
            now = time.perf_counter()
            if done % 7 == 0:
                trips.append(now - began[number])
            done += 1
            began[number] = now
            peer.send(REQUEST)
    poll.close()
    for peer in peers.values():
        peer.close()
    return done / (now - start), statistics.median(trips) * 1e6


@contextlib.contextmanager
def running(name: str, folder: str) -> Iterator[str]:
    """A server in a process of its own; the path of its socket."""
    kind, _, loop = name.partition(" ")
    path = f"{folder}/socket"
    command = [sys.executable, "-m", "tests.bench.socket_bench", "--serve", kind, "--path", path, "--loop", loop]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None or server.stdin is None or server.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} did not start")
        try:
            yield path
        finally:
            server.stdin.close()


def measured(name: str, seconds: float) -> list[tuple[float, float]]:
    """One server, all numbers of connections."""
    with tempfile.TemporaryDirectory() as folder, running(name, folder) as path:
        return [load(path, number, seconds) for number in CONNECTIONS]


def report(results: dict[str, list[list[tuple[float, float]]]]) -> None:
    """The best of each, and the ratio to the echo on the same loop."""
    print(f"{'server':16}" + "".join(f"{number:>4} conn: req/s   p50 µs  ratio" for number in CONNECTIONS))
    for name, rounds in results.items():
        line = f"{name:16}"
        for column in range(len(CONNECTIONS)):
            rate = max(one[column][0] for one in rounds)
            trip = min(one[column][1] for one in rounds)
            echo = max(one[column][0] for one in results[name.replace("freshd", "echo")])
            line += f"{rate:>15,.0f} {trip:>8.1f} {rate / echo:>6.2f}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        run: Callable[..., None] = asyncio.run
        if given.loop == "uvloop":
            import uvloop

            run = uvloop.run
        run(serve(given.serve, given.path))
        return
    results: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in SERVERS}
    for _ in range(given.rounds):
        for name in SERVERS:
            results[name].append(measured(name, given.seconds))
    report(results)


if __name__ == "__main__":
    main()
