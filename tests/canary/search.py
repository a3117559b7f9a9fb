"""Looks for the marks of this run in what was written.

Rules
-----
* A sight is told by its place, whose it is and how it was written; never by the text around it.
* `HELD` is allowed nowhere but in files that a test or a stand-in put there; `LENT` also where readers get tokens.
* A journal, sealed as it is, is no exception: neither may stand in it in clear.
* What is compressed is not looked into; freshd compresses nothing.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.canary.mark import Kind, mark, writings

ALL: Final = frozenset(Kind)
HELD_ONLY: Final = frozenset({Kind.HELD})
PUT_THERE: Final[Mapping[str, frozenset[Kind]]] = {
    ".env": ALL,
    "*.secret": ALL,
    ".*.freshd": frozenset({Kind.LENT}),
    "aun.db*": ALL,
    "lease": frozenset({Kind.LENT}),
}
"""Names of files in which secrets may stand, and whose: what tests give freshd to read, .env files and their successors
while they are written, and the store of AUN's reference client."""
FED: Final = (b"sandbox-secret", b"secret-of-", b"PRIVATE KEY-----")
"""Texts of secrets that tests put into files for freshd to read, and beginnings of such: in nothing that it says."""
LARGEST_BYTES: Final = 64 << 20


class Seen(AssertionError):
    """A secret was found where none may be."""


def sights(data: bytes, kinds: Iterable[Kind] = ALL, more: Mapping[str, bytes] | None = None) -> list[str]:
    """What was found, in words.  `more`: other texts to look for, by what they are called."""
    found = [f"{kind.value}, {how}" for kind in kinds for how, text in _written(kind).items() if text in data]
    return found + [name for name, text in (more or {}).items() if text in data]


def said(place: str, data: bytes | str, kinds: Iterable[Kind] = ALL, more: Mapping[str, bytes] | None = None) -> None:
    """Something that freshd said, logged or answered.  Raises Seen."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    fed = {f"fed {number}": text for number, text in enumerate(FED)}
    if found := sights(raw, kinds, {**fed, **(more or {})}):
        raise Seen(f"{place}: {'; '.join(found)}")


def in_folder(folder: Path) -> list[str]:
    """Every file below a folder that holds what it may not hold, in words."""
    found = []
    for path in _files(folder):
        kinds = ALL - _allowed(path.relative_to(folder).as_posix())
        try:
            data = path.read_bytes()
        except OSError:  # it was removed meanwhile
            continue
        found += [f"{path.relative_to(folder)}: {one}" for one in sights(data, kinds)]
    return found


def of_process(pid: int) -> list[str]:
    """What the system shows of a process to those who may look; nothing where this user may not."""
    found = []
    for name in ("cmdline", "environ", "comm"):
        try:
            data = Path(f"/proc/{pid}/{name}").read_bytes()
        except OSError:
            continue
        found += [f"/proc/PID/{name}: {one}" for one in sights(data)]
    return found


def of_start(words: Sequence[object], environ: Mapping[object, object] | None) -> list[str]:
    """The same, of a process that is about to start."""
    line = b"\0".join(map(_bytes, words))
    variables = b"\0".join(_bytes(key) + b"=" + _bytes(value) for key, value in (environ or {}).items())
    return [f"{place}: {one}" for place, data in (("argv", line), ("environ", variables)) for one in sights(data)]


def _bytes(word: object) -> bytes:
    return os.fsencode(word) if isinstance(word, str | bytes | os.PathLike) else str(word).encode()


def _written(kind: Kind) -> Mapping[str, bytes]:
    if kind not in _WRITTEN:
        _WRITTEN[kind] = writings(mark(kind))
    return _WRITTEN[kind]


_WRITTEN: Final[dict[Kind, Mapping[str, bytes]]] = {}


def _allowed(name: str) -> frozenset[Kind]:
    fitting = [kinds for pattern, kinds in PUT_THERE.items() if fnmatch.fnmatch("/" + name, f"*/{pattern}")]
    return frozenset().union(*fitting)


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                told = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(told.st_mode) and 0 < told.st_size <= LARGEST_BYTES:
                yield path
