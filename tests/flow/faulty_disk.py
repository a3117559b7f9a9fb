"""A disk that goes wrong on demand, under a daemon that does not know: room that runs out, and system calls that fail.

Rules
-----
* A small file system is a tmpfs of its own, mounted at the state directory; only root can do that.
* Calls fail by strace, attached to the running daemon from outside and told which files it is about.  Attaching to a
  process that is not dumpable is root's, too.
* Whatever is mounted or attached here is undone here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.crash.scene import Process
from tests.flow.bed import until

FILLER: Final = "filler"


@contextlib.contextmanager
def small(folder: Path, size: str = "6m") -> Iterator[Path]:
    """A file system of that size in the place of the folder."""
    folder.mkdir(mode=0o700, parents=True)
    options = f"size={size},mode=700,uid={os.geteuid()}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, *, leave: int = 0) -> None:
    """Take all room but so many bytes, to the last block."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in (65536, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
        file.truncate(max(0, file.tell() - leave))


def make_room(folder: Path) -> None:
    """The remedy."""
    (folder / FILLER).unlink()


@contextlib.contextmanager
def failing(process: Process, calls: str, how: str, *files: Path, said: Path) -> Iterator[None]:
    """Let system calls of a running daemon go wrong that touch one of the files.

    calls  names with commas between; how: what strace's inject says, such as "error=EIO:when=1"
    said   where strace writes down what it saw
    """
    paths = [word for file in files for word in ("-P", str(file))]
    command = ["strace", "-f", "-p", str(process.pid), "-o", str(said), *paths]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:{how}"]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("strace on every thread", lambda: _is_traced(process.pid) or tracer.poll() is not None)
        assert tracer.poll() is None, "strace could not attach"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(tracer.pid, signal.SIGINT)
        tracer.wait()


def _is_traced(pid: int) -> bool:
    told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(told) and not any("\nTracerPid:\t0\n" in text for text in told)
