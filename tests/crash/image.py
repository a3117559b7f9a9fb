"""What is on the disk after a power cut at one instant: drawn from a seed, and put into a folder.

Rules
-----
* Everything that was synced is there.  Of what was not, each way loses as its description says; all are possible on a
  disk with a cache behind a file system that promises no more than POSIX.
* A write survives whole or, in the torn ways, in pieces of 512 bytes; a piece is never half there.
* Names are lost independently but for those that build on one another.
* Must not: read clocks, or randomness but the dice it is given.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.crash.disk import Change, Disk, File, Naming, Node, Resize, Write, apply, changed, parent

SECTOR: Final = 512
RUBBISH: Final = "state/journal.db-shm"
"""Shared memory that a cut left behind; it must not be believed."""


class Way(enum.Enum):
    """How much of what was pending survives."""

    KEPT = "only what was synced"
    WHOLE = "everything"
    PREFIX = "what came first, up to some instant"
    SUBSET = "any subset of the writes"
    TORN = "any subset of the writes, these in sectors"
    HOLLOW = "any subset of the writes, and zeros where a lost one made the file longer"


DRAWN: Final = (Way.PREFIX, Way.SUBSET, Way.TORN, Way.HOLLOW)
"""Those that leave something to chance."""

Image = Mapping[str, bytes | None]
"""Name below the top → content, None for a folder."""


def draw(disk: Disk, way: Way, dice: random.Random) -> Image:
    """One image."""
    if way is Way.PREFIX:
        return _prefix(disk, dice)
    share = {Way.KEPT: 0.0, Way.WHOLE: 1.0}.get(way, dice.random())
    names = _names(disk.kept, disk.pending, 1.0 if dice.random() < 0.5 and share else share, dice)
    return {name: _content(node, way, share, dice) for name, node in _reachable(names)}


def _prefix(disk: Disk, dice: random.Random) -> Image:
    """Ordered, as on a disk without a cache: the first changes, whatever file they were made to."""
    numbers = {one.number for one in disk.pending}
    numbers.update(change.number for node in _files(disk) for change in node.pending)
    last = dice.choice([-1, *sorted(numbers)])
    names = dict(disk.kept)
    for naming in disk.pending:
        if naming.number <= last:
            apply(names, naming)
    return {name: _begun(node, last) for name, node in _reachable(names)}


def _begun(node: Node, last: int) -> bytes | None:
    if not isinstance(node, File):
        return None
    return changed(node.kept, [one for one in node.pending if one.number <= last])


def _files(disk: Disk) -> set[File]:
    nodes = [*disk.kept.values(), *disk.names.values()]
    nodes += [node for naming in disk.pending for node in naming.names.values() if node is not None]
    return {node for node in nodes if isinstance(node, File)}


def _names(kept: Mapping[str, Node], pending: Sequence[Naming], share: float, dice: random.Random) -> dict[str, Node]:
    names, lost = dict(kept), set[str]()
    for naming in pending:
        if dice.random() < share and not lost & naming.names.keys():
            apply(names, naming)
        else:
            lost |= naming.names.keys()
    return names


def _reachable(names: Mapping[str, Node]) -> Iterable[tuple[str, Node]]:
    """What has all its folders, these before what is in them."""
    for name, node in sorted(names.items()):
        folder = parent(name)
        while folder != "." and folder in names:
            folder = parent(folder)
        if name != "." and folder == ".":
            yield name, node


def _content(file: Node, way: Way, share: float, dice: random.Random) -> bytes | None:
    if not isinstance(file, File):
        return None
    if way is Way.KEPT:
        return file.kept
    if way is Way.WHOLE:
        return changed(file.kept, file.pending)
    survived: list[Change] = []
    for change in file.pending:
        if dice.random() < share:
            survived += _torn(change, dice) if way is Way.TORN else (change,)
        elif way is Way.HOLLOW and isinstance(change, Write):
            survived += [Write(change.number, change.end, b"")]
    return changed(file.kept, survived)


def _torn(change: Change, dice: random.Random) -> Iterable[Change]:
    if isinstance(change, Resize):
        yield change
        return
    share = dice.choice((0.1, 0.5, 0.9))
    at = change.offset
    while at < change.end:
        end = min(change.end, at - at % SECTOR + SECTOR)
        if dice.random() < share:
            yield Write(change.number, at, change.data[at - change.offset : end - change.offset])
        at = end


def put(image: Image, folder: Path, rubbish: bytes = b"") -> None:
    """Write an image into an empty folder; `rubbish` is what the shared memory's file holds, if anything."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, content in image.items():
        path = folder / name
        if content is None:
            path.mkdir(mode=0o700)
        else:
            path.touch(0o600)
            path.write_bytes(content)
    if rubbish and (folder / RUBBISH).parent.is_dir():
        (folder / RUBBISH).touch(0o600)
        (folder / RUBBISH).write_bytes(rubbish)
