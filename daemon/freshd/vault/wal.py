"""The log beside the journal, looked at before SQLite opens it: whether something durable lies behind damage.

SQLite ends the log at the first frame whose checksum does not fit, without a word: right where the power was cut in the
middle of a write, silent loss of everything behind it where a bit has rotted.  The two can be told apart.

Rules
-----
* A frame's checksum continues that of the frame before it, and with synchronous=FULL a transaction is begun behind a
  commit only when that is durable.  So a commit behind the break that another frame continues was acknowledged: damage.
* Leftovers of transactions that failed continue nothing, and count for nothing.
* What cannot be told: damage within the last transaction looks like a write that the end of the power cut short.
* Format: "The Write-Ahead Log File" in SQLite's "Database File Format".
* Must not: change anything, or be asked while somebody writes.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEADER_BYTES: Final = 32
FRAME_BYTES: Final = 24
"""Before each page: page number, size of the database where it commits, two salts, two checksums."""
MAGIC: Final = 0x377F0682
"""Its lowest bit says that checksums are taken over big-endian words."""
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MASK: Final = 0xFFFFFFFF
Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it lies there.  `sums`: its own checksum; `salts`: of the log's life that it belongs to."""

    commits: bool
    salts: tuple[int, int]
    sums: Sums
    covered: bytes


def hides(path: Path) -> int | None:
    """The number of the first frame that does not fit although something durable lies behind it; None if there is none.

    Frames count from 1; 0 is the log's header.  Blocks; raises OSError.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) < HEADER_BYTES + FRAME_BYTES:
        return None
    order = ">" if _HEADER.unpack_from(content)[0] & 1 else "<"
    frames = list(_frames(content, _page_bytes(content)))
    broken, salts, due = _first_misfit(content, frames, order)
    for number, (one, after) in enumerate(itertools.pairwise(frames), 1):
        if number < broken or not one.commits or after.salts != salts:
            continue
        seeds = (one.sums, due) if number == broken else (one.sums,)
        if any(_sums(after.covered, seed, order) == after.sums for seed in seeds):
            return broken
    return None


def _page_bytes(content: bytes) -> int:
    """The header's page size, or the one the journal is made with where that has rotted."""
    size = int(_HEADER.unpack_from(content)[2])
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 4096


def _frames(content: bytes, page: int) -> Iterator[Frame]:
    for at in range(HEADER_BYTES, len(content) - FRAME_BYTES - page + 1, FRAME_BYTES + page):
        _, commits, salt, other, first, second = _FRAME.unpack_from(content, at)
        covered = content[at : at + 8] + content[at + FRAME_BYTES : at + FRAME_BYTES + page]
        yield Frame(commits != 0, (salt, other), (first, second), covered)


def _first_misfit(content: bytes, frames: list[Frame], order: str) -> tuple[int, tuple[int, int], Sums]:
    """The number of the first frame that does not fit, the salts of the log's life, and what its checksum should be.

    One past the end where all fit.
    """
    magic, _, _, _, salt, other, first, second = _HEADER.unpack_from(content)
    sums = _sums(content[: HEADER_BYTES - 8], (0, 0), order)
    if magic & ~1 != MAGIC or sums != (first, second):
        return 0, frames[0].salts if frames else (salt, other), sums
    for number, frame in enumerate(frames, 1):
        sums = _sums(frame.covered, sums, order)
        if sums != frame.sums or frame.salts != (salt, other):
            return number, (salt, other), sums
    return len(frames) + 1, (salt, other), sums


def _sums(covered: bytes, sums: Sums, order: str) -> Sums:
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(covered) // 4}I", covered))
    for word, other in zip(words, words, strict=True):
        first = (first + word + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second
