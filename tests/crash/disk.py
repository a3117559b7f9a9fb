"""A disk as a power cut may leave it: what was written, and what of that nobody promised to keep.

Rules
-----
* A write, a change of size and a change of a name are pending until an fsync of that file or folder, begun after they
  had ended, has returned.  What is pending may be lost, each piece for itself.
* The name of a new file is the folder's business: an fsync of the file does not keep it.  File systems that keep it all
  the same are kinder than this.
* `-shm` files are not modelled: they are mapped memory that SQLite makes anew from the -wal whenever nobody else has
  the journal open, which is so after every cut.  An image may hold rubbish there instead.
* Must not: know what the bytes mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from tests.crash.trace import EXIT, Step

IGNORED: Final = ("-shm",)
WRITES: Final = frozenset({"write", "pwrite64"})
SYNCS: Final = frozenset({"fsync", "fdatasync"})
UNKNOWN: Final = frozenset(
    {"writev", "pwritev", "pwritev2", "truncate", "fallocate", "sync_file_range", "sendfile", "copy_file_range",
     "splice", "dup", "dup2", "dup3", "symlink", "symlinkat", "rmdir", "open", "creat"}
)  # fmt: skip
"""Nobody does this to these files so far; whoever begins to must be modelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """Bytes at a place."""

    number: int
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The size that the file has at least afterwards."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True, eq=False)
class Resize:
    """A new size: what is beyond is gone, what is missing is zeros."""

    number: int
    size: int


Change = Write | Resize


@dataclass(eq=False)
class File:
    """`kept`: what was synced; `pending`: what was not, oldest first."""

    kept: bytes = b""
    pending: list[Change] = field(default_factory=list)
    size: int = 0

    def add(self, change: Change) -> None:
        """Something was done to it."""
        self.pending.append(change)
        self.size = change.size if isinstance(change, Resize) else max(self.size, change.end)

    def settle(self, covered: Iterable[Change]) -> None:
        """These are on the disk for good."""
        done = set(covered)
        self.kept = changed(self.kept, [one for one in self.pending if one in done])
        self.pending = [one for one in self.pending if one not in done]


@dataclass(eq=False)
class Folder:
    """Has names, which `Disk` knows."""


Node = File | Folder


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """Names that changed together: what each stands for afterwards, None where it is gone."""

    number: int
    names: Mapping[str, Node | None]

    @property
    def folders(self) -> set[str]:
        """The folders that it happened in."""
        return {parent(name) for name in self.names}


@dataclass(slots=True)
class _Opened:
    path: str
    node: Node
    offset: int = 0
    appends: bool = False


def changed(content: bytes, changes: Iterable[Change]) -> bytes:
    """What a file holds after these."""
    made = bytearray(content)
    for change in changes:
        size = change.size if isinstance(change, Resize) else max(len(made), change.end)
        if size > len(made):
            made.extend(bytes(size - len(made)))
        if isinstance(change, Resize):
            del made[size:]
        else:
            made[change.offset : change.end] = change.data
    return bytes(made)


def parent(name: str) -> str:
    """The folder of a name; `.` is the top."""
    return str(PurePosixPath(name).parent)


class Disk:
    """Everything below one folder.  `standing`: what was there before, kept already; folders have no content."""

    def __init__(self, top: str, standing: Mapping[str, bytes | None] | None = None) -> None:
        self._top = top
        self.names: dict[str, Node] = {".": Folder()}
        for name, content in (standing or {}).items():
            self.names[name] = Folder() if content is None else File(content, size=len(content))
        self.kept: dict[str, Node] = dict(self.names)
        self.pending: list[Naming] = []
        self.syncs = 0
        self._opened: dict[int, _Opened] = {}
        self._covered: dict[int, tuple[File, list[Change]] | list[Naming]] = {}

    def feed(self, step: Step) -> bool:
        """Take one step; whether anything on the disk, or what is sure of it, is different now."""
        if step.call == "close":
            if step.moment == "begun":
                self._opened.pop(step.fd, None)
            return False
        if step.call == EXIT:
            self._opened.clear()
            self._covered.clear()
            return False
        if step.call in SYNCS:
            return self._sync(step)
        return step.has_worked and self._do(step)

    def _do(self, step: Step) -> bool:
        if step.call in WRITES or step.call in ("ftruncate", "lseek"):
            return self._touch(step)
        if step.call == "openat":
            return self._open(step)
        if step.call in ("mkdir", "mkdirat", "unlink", "unlinkat", "link", "linkat", "rename", "renameat", "renameat2"):
            return self._name(step)
        if step.call in UNKNOWN and (step.fd in self._opened or any(self._named(path) for path in step.paths)):
            raise NotImplementedError(f"{step.call} below {self._top}")
        return False

    # -- what is in files ----------------------------------------------------------------------------------

    def _touch(self, step: Step) -> bool:
        opened = self._opened.get(step.fd)
        if opened is None or not isinstance(opened.node, File):
            return False
        if step.call == "lseek":
            opened.offset = step.result or 0
            return False
        if step.call == "ftruncate":
            opened.node.add(Resize(step.number, step.numbers[0]))
            return True
        data = step.data[: step.result]
        if step.call == "pwrite64":
            offset = step.numbers[-1]
        else:
            offset = opened.node.size if opened.appends else opened.offset
            opened.offset = offset + len(data)
        opened.node.add(Write(step.number, offset, data))
        return True

    def _sync(self, step: Step) -> bool:
        """What had ended when it began is kept once it has returned."""
        if step.moment == "begun":
            opened = self._opened.get(step.fd)
            if opened is not None and isinstance(opened.node, File):
                self._covered[step.pid] = opened.node, list(opened.node.pending)
            elif opened is not None:
                self._covered[step.pid] = [one for one in self.pending if opened.path in one.folders]
            return False
        covered = self._covered.pop(step.pid, None)
        if covered is None or not step.has_worked:
            return False
        self.syncs += 1
        if isinstance(covered, tuple):
            covered[0].settle(covered[1])
        else:
            self._settle_names(covered)
        return True

    # -- names ---------------------------------------------------------------------------------------------

    def _open(self, step: Step) -> bool:
        name = self._named(step.paths[-1])
        if name is None:
            return False
        node, is_new = self.names.get(name), False
        if node is None and "O_CREAT" in step.words:
            node, is_new = File(), True
            self._rename(Naming(step.number, {name: node}))
        if node is None:
            return False
        self._opened[step.result or 0] = _Opened(name, node, appends="O_APPEND" in step.words)
        if "O_TRUNC" in step.words and isinstance(node, File) and not is_new:
            node.add(Resize(step.number, 0))
            return True
        return is_new

    def _name(self, step: Step) -> bool:
        found = [self._named(path) for path in step.paths]
        old, new = found[0], found[-1]
        if step.call.startswith("mkdir") and new is not None:
            self._rename(Naming(step.number, {new: Folder()}))
        elif step.call.startswith("unlink") and old in self.names:
            self._rename(Naming(step.number, {old: None}))
        elif step.call.startswith("link") and new is not None and old in self.names:
            self._rename(Naming(step.number, {new: self.names[old]}))
        elif step.call.startswith("rename") and new is not None and old in self.names:
            self._rename(Naming(step.number, {old: None, new: self.names[old]}))
        else:
            return False
        return True

    def _rename(self, naming: Naming) -> None:
        apply(self.names, naming)
        self.pending.append(naming)

    def _settle_names(self, covered: list[Naming]) -> None:
        for naming in covered:
            apply(self.kept, naming)
        self.pending = [one for one in self.pending if one not in covered]

    def _named(self, path: str) -> str | None:
        """The name below the top; None for what is elsewhere, or not modelled."""
        full = os.path.normpath(path)
        if full.endswith(IGNORED) or not (full == self._top or full.startswith(f"{self._top}/")):
            return None
        return os.path.relpath(full, self._top)


def apply(names: dict[str, Node], naming: Naming) -> None:
    """Change names."""
    for name, node in naming.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
