"""Readers, run inside the machine: each connects, asks for a token, closes, and does it again.

Usage: booted_readers.py SOCKET ACCOUNT; fifty of them, until standard input ends; prints what they met.
With `--log FILE` they go on until they are killed, and what they met so far is written there twice a second, a line at
a time; `--use URL` asks that page with each new token, so that the service knows who has it.
`refused` counts connections that the kernel refused; `cut` those that were accepted, or waited, and broke with the
daemon that was killed. Standard library only.
"""

import argparse
import collections
import contextlib
import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02
LOG_SECONDS = 0.5


class Reader(threading.Thread):
    """One program that needs a token all the time."""

    def __init__(self, path: str, account: str, stop: threading.Event, page: str = "") -> None:
        super().__init__(daemon=True)
        self._page, self._used = page, ""
        self.seen: collections.Counter[str] = collections.Counter()
        self.longest = 0.0
        self._path, self._stop_asked = path, stop
        self._request = f"GET /v1/tokens/{account} HTTP/1.1\r\nHost: freshd\r\nConnection: close\r\n\r\n".encode()

    def run(self) -> None:
        last = time.monotonic()
        while not self._stop_asked.is_set():
            met = self._ask()
            self.seen[met] += 1
            if met == "token":
                self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()
            time.sleep(PAUSE_SECONDS)  # a reader that asks 50 times a second

    def _ask(self) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            try:
                connection.connect(self._path)
            except OSError as error:
                return "refused" if isinstance(error, ConnectionRefusedError | FileNotFoundError) else "not connected"
            try:
                connection.sendall(self._request)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            except OSError:
                return "cut"
        status = answer[9:12].decode(errors="replace")
        if status == "200" and self._page:
            self._use(json.loads(answer.split(b"\r\n\r\n", 1)[1])["access_token"])
        return "token" if status == "200" else f"status {status}" if status else "cut"

    def _use(self, token: str) -> None:
        if token != self._used:
            request = urllib.request.Request(self._page, headers={"Authorization": f"Bearer {token}"})
            with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(request, timeout=5):
                self._used = token


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("account")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--use", default="")
    asked = parser.parse_args()
    stop = threading.Event()
    readers = [Reader(asked.socket, asked.account, stop, asked.use) for _ in range(asked.readers)]
    for reader in readers:
        reader.start()
    if asked.log:
        write_down(asked.log, readers)
    sys.stdin.read()
    stop.set()
    for reader in readers:
        reader.join()
    print(json.dumps({**met(readers), "longest_wait_s": round(max(reader.longest for reader in readers), 2)}))


def met(readers: list[Reader]) -> dict[str, int]:
    return dict(sum((reader.seen for reader in readers), collections.Counter[str]()))


def write_down(path: Path, readers: list[Reader]) -> None:
    run = f"{time.time_ns()}-{os.getpid()}"
    with path.open("a", encoding="utf-8") as log:
        while True:
            log.write(json.dumps({"run": run, **met(readers)}) + "\n")
            log.flush()
            time.sleep(LOG_SECONDS)


if __name__ == "__main__":
    main()
