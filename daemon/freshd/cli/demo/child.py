"""One process that the demo started, known by its pid, to be ended by it.

Rules
-----
* A child has a session of its own: Ctrl-C reaches the demo alone, which ends its children in order.
* Standard output and error are one stream, read by a thread to its end, so no child ever waits for a full pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

STOP_SECONDS = 8.0


class Child:
    """`hear` is called with every line, on a thread of its own."""

    def __init__(
        self,
        argv: Sequence[str],
        hear: Callable[[str], None],
        environ: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the demo's own programs, no shell
            list(argv),
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._hear = hear
        self._ear = threading.Thread(target=self._listen, name=f"ear of {self.pid}", daemon=True)
        self._ear.start()
        if stdin is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(stdin)
                self._process.stdin.close()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> bool:
        """SIGKILL, and wait; whether that is what ended it."""
        self._process.kill()
        self._process.wait()
        self._ear.join(STOP_SECONDS)
        return self._process.returncode == -signal.SIGKILL

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; nothing where it has ended."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._ear.join(STOP_SECONDS)

    def _listen(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                self._hear(line.decode(errors="replace").rstrip("\n"))
