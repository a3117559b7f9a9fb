"""What a process asked of the kernel, in order: `strace` run beside it, and its lines as steps.

Rules
-----
* One tracer sees every thread, so the order of its lines is an order in time: what it saw end before something else
  began was over before that began.  Nothing here is taken from the process itself.
* A call is two steps, `begun` and `ended`; one that strace shows on one line had nothing between them.
* Bytes are there whole: a call whose data strace cut off is an error.
* A process that made itself undumpable is seen by root only; hence `WHY_NOT`.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from tests.crash.scene import Gone, Process, Scene

WHY_NOT: Final = None if os.geteuid() == 0 else "freshd is not dumpable, so only root can see what it writes"
"""Why no trace can be had here, None where one can."""
LONGEST: Final = 2_200_000
"""Bytes of one call that are shown: the ballast is written a mebibyte at a time."""
CALLS: Final = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,"
    "fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,"
    "mkdirat,rmdir,sendto,sendmsg,sendmmsg,sendfile,copy_file_range,splice,recvfrom,recvmsg"
)
COMMAND: Final = (
    "strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-yy", "-xx", "-s", str(LONGEST), "-e", "signal=none",
    "-e", f"trace={CALLS}",
)  # fmt: skip
"""`-D`: the traced process keeps its place and its id; strace is beside it."""
EXIT: Final = "exit"
"""The last step of each process: whatever it had open is closed."""
DONE_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.01

_LINE: Final = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_WHOLE: Final = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*)", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_FILE: Final = re.compile(r"(\d+)<((?:->|[^>])*)>")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_NUMBER: Final = re.compile(r", (-?\d+)")
_UNFINISHED: Final = " <unfinished ...>"


@dataclass(frozen=True)
class Step:
    """One call that began or ended.

    number  place in the trace
    at      seconds, wall clock, as strace took it
    words   the arguments as strace shows them; those that the kernel fills in are there once it ended
    result  what the call returned, None while it has not ended; below 0 it failed
    more    what strace says behind the result: the file that a number stands for
    """

    number: int
    at: float
    pid: int
    call: str
    moment: Literal["begun", "ended"]
    words: str
    result: int | None = None
    more: str = ""

    @cached_property
    def fd(self) -> int:
        """The file descriptor it is about, -1 where it is about none."""
        found = _FILE.match(self.words)
        return int(found[1]) if found else -1

    @cached_property
    def place(self) -> str:
        """What stands behind that descriptor: a path, or a socket with both its ends."""
        found = _FILE.match(self.words)
        return _plain(found[2]) if found else ""

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths among the arguments, as they were given."""
        return tuple(part.decode("utf-8", "surrogateescape") for part in self._texts)

    @cached_property
    def data(self) -> bytes:
        """The bytes that it carries."""
        return b"".join(self._texts)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers behind the bytes, or behind the descriptor where it carries none."""
        tail = self.words.rpartition('"')[2] if '"' in self._rest else self._rest
        return tuple(int(one) for one in _NUMBER.findall(tail))

    @property
    def _rest(self) -> str:
        found = _FILE.match(self.words)
        return self.words[found.end() :] if found else self.words

    @cached_property
    def _texts(self) -> tuple[bytes, ...]:
        found = _TEXT.findall(self._rest)
        if any(cut for _, cut in found):
            raise ValueError(f"strace cut off what {self.call} carried")
        return tuple(bytes.fromhex(text.replace("\\x", "")) for text, _ in found)

    @property
    def has_worked(self) -> bool:
        """Whether it ended, and well."""
        return self.moment == "ended" and self.result is not None and self.result >= 0


def read(path: Path) -> tuple[Step, ...]:
    """All steps of a trace file."""
    with path.open(encoding="ascii") as file:
        return tuple(steps(file))


def steps(lines: Iterable[str]) -> Iterator[Step]:
    """Steps of lines.  Raises ValueError for one that is none of strace's."""
    number, last = 0, (0, 0.0, 0)
    open_calls: dict[int, tuple[str, str]] = {}
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            raise ValueError(f"no line of strace's: {line[:80]!r}")
        pid, at, rest = int(found[1]), float(found[2]), found[3]
        if rest.startswith(("+++", "---")):
            last = number, at, pid
            continue
        for step in _steps_of(number, at, pid, rest, open_calls):
            yield step
            number += 1
        last = number, at, pid
    yield Step(*last, EXIT, "ended", "")


def _steps_of(number: int, at: float, pid: int, rest: str, begun: dict[int, tuple[str, str]]) -> Iterator[Step]:
    if rest.endswith(_UNFINISHED):
        call, _, words = rest.removesuffix(_UNFINISHED).partition("(")
        begun[pid] = call, words
        yield Step(number, at, pid, call, "begun", words)
        return
    resumed = _RESUMED.fullmatch(rest)
    if resumed:
        call, words = begun.pop(pid)
        rest = f"{call}({words}{resumed[2]}"
    whole = _WHOLE.fullmatch(rest)
    if whole is None:
        raise ValueError(f"no call of strace's: {rest[:80]!r}")
    call, words, result, more = whole.groups()
    if not resumed:
        yield Step(number, at, pid, call, "begun", words)
        number += 1
    yield Step(number, at, pid, call, "ended", words, None if result == "?" else int(result), more)


def _plain(text: str) -> str:
    """Names are written in hex, too."""
    return re.sub(r"(?:\\x[0-9a-f]{2})+", lambda hexed: _decoded(hexed[0]), text)


def _decoded(hexed: str) -> str:
    return bytes.fromhex(hexed.replace("\\x", "")).decode("utf-8", "surrogateescape")


class Watched(Scene):
    """A scene whose processes are traced, one file for each."""

    def __init__(self, placement: Literal["sealed", "keyring"], keyring_env: Mapping[str, str] | None = None) -> None:
        super().__init__(placement, keyring_env)
        self.traces: list[Path] = []

    def _start(self, command: list[str]) -> Process:
        path = self.folder / f"trace-{len(self.traces)}"
        self.traces.append(path)
        return super()._start([*COMMAND, "-o", str(path), *command])

    def run(self, command: list[str]) -> Process:
        """Any program, traced."""
        return self._start(command)

    def steps(self) -> tuple[Step, ...]:
        """The traces of all processes so far, which must have ended, one after the other.

        Raises Gone where strace does not come to its end.
        """
        found: list[Step] = []
        for path in self.traces:
            self._wait(path)
            found += [replace(step, number=step.number + len(found)) for step in read(path)]
        return tuple(found)

    def _wait(self, path: Path) -> None:
        give_up_at = time.monotonic() + DONE_SECONDS
        while _is_written(path):
            if time.monotonic() > give_up_at:
                raise Gone("the trace has no end")
            time.sleep(LOOK_SECONDS)


def _is_written(path: Path) -> bool:
    """Whether a strace still writes that file: it outlives what it traced by a moment, and is nobody's child."""
    wanted = str(path).encode()
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            if wanted in status.read_bytes():
                return True
    return False
