"""Fifty readers, run inside the machine: each connects, asks for a token, closes, and does it again.

Usage: booted_readers.py SOCKET ACCOUNT; ends when standard input ends, and prints what it met as JSON.
`refused` counts connections that the kernel refused; `cut` those that were accepted, or waited, and broke with the
daemon that was killed. Standard library only.
"""

import collections
import json
import socket
import sys
import threading
import time

READERS = 50
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02


class Reader(threading.Thread):
    """One program that needs a token all the time."""

    def __init__(self, path: str, account: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
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
        return "token" if status == "200" else f"status {status}" if status else "cut"


def main() -> None:
    stop = threading.Event()
    readers = [Reader(sys.argv[1], sys.argv[2], stop) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    sys.stdin.read()
    stop.set()
    for reader in readers:
        reader.join()
    seen = sum((reader.seen for reader in readers), collections.Counter[str]())
    print(json.dumps({**seen, "longest_wait_s": round(max(reader.longest for reader in readers), 2)}))


if __name__ == "__main__":
    main()
