"""Lines of strace's, and the disk that comes of them."""

from __future__ import annotations

import random
from typing import Final

import pytest

from tests.crash import image, trace
from tests.crash.disk import Disk
from tests.crash.image import Way
from tests.crash.trace import Step

TOP: Final = "/t"
FOLDER: Final = "/t/d"


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def lines(*calls: str) -> list[Step]:
    """Steps of calls, in which `text` between accents stands for strace's hexadecimal."""
    made = []
    for call in calls:
        parts = call.split("'")
        parts[1::2] = [hexed(part) for part in parts[1::2]]
        made.append(f"7 1.5 {''.join(parts)}\n")
    return [step for step in trace.steps(made) if step.call != trace.EXIT]


MADE: Final = (
    "openat(AT_FDCWD<'/'>, \"'/t/d/f'\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3<'/t/d/f'>",
    "pwrite64(3<'/t/d/f'>, \"'abcd'\", 4, 0) = 4",
)
SYNCED: Final = "fdatasync(3<'/t/d/f'>) = 0"
NAMED: Final = ("openat(AT_FDCWD<'/'>, \"'/t/d'\", O_RDONLY|O_DIRECTORY) = 4<'/t/d'>", "fsync(4<'/t/d'>) = 0")


def disk(*calls: str) -> Disk:
    made = Disk(TOP, {"d": None})
    for step in lines(*calls):
        made.feed(step)
    return made


def left(way: Way, *calls: str) -> dict[str, bytes]:
    return drawn(disk(*calls), way)


def drawn(made: Disk, way: Way, seed: int = 0) -> dict[str, bytes]:
    """The files of one image."""
    found = image.draw(made, way, random.Random(seed))
    return {name: content for name, content in found.items() if content is not None}


def test_a_call_that_another_interrupts_is_two_steps() -> None:
    told = list(
        trace.steps(
            [
                f'7 1.0 pwrite64(3<{hexed("/t/f")}>, "{hexed("a")}", 1, 0 <unfinished ...>\n',
                "8 1.1 close(5) = 0\n",
                "7 1.2 <... pwrite64 resumed>) = 1\n",
                "8 1.3 recvfrom(6<TCP:[1.1.1.1:1->2.2.2.2:2]>,  <unfinished ...>\n",
                f'8 1.4 <... recvfrom resumed>"{hexed("reply")}", 9, 0, NULL, NULL) = 5\n',
                "7 1.5 +++ exited with 0 +++\n",
            ]
        )
    )
    told_of = [(step.call, step.moment) for step in told]
    assert told_of[:4] == [("pwrite64", "begun"), ("close", "begun"), ("close", "ended"), ("pwrite64", "ended")]
    assert told_of[-1] == (trace.EXIT, "ended")
    assert (told[3].place, told[3].data, told[3].numbers) == ("/t/f", b"a", (1, 0))
    assert (told[-2].place, told[-2].data) == ("TCP:[1.1.1.1:1->2.2.2.2:2]", b"reply")
    assert [step.number for step in told] == list(range(len(told)))


def test_bytes_that_were_cut_off_are_an_error() -> None:
    (step, *_) = trace.steps([f'7 1.0 write(3<{hexed("/t/f")}>, "{hexed("a")}"..., 9) = 9\n'])
    with pytest.raises(ValueError, match="cut off"):
        _ = step.data


def test_what_was_not_synced_may_be_lost() -> None:
    assert left(Way.WHOLE, *MADE) == {"d/f": b"abcd"}
    assert left(Way.KEPT, *MADE) == {}
    assert left(Way.KEPT, *MADE, *NAMED) == {"d/f": b""}


def test_an_fsync_of_a_file_does_not_keep_its_name() -> None:
    assert left(Way.KEPT, *MADE, SYNCED) == {}
    assert left(Way.KEPT, *MADE, SYNCED, *NAMED) == {"d/f": b"abcd"}


def test_an_fsync_covers_what_had_ended_when_it_began() -> None:
    later = "pwrite64(3<'/t/d/f'>, \"'xy'\", 2, 4) = 2"
    assert left(Way.KEPT, *MADE, *NAMED, SYNCED, later) == {"d/f": b"abcd"}
    between = list(lines(SYNCED))
    made = disk(*MADE, *NAMED)
    made.feed(between[0])
    for step in lines(later):
        made.feed(step)
    made.feed(between[1])
    assert drawn(made, Way.KEPT) == {"d/f": b"abcd"}


def test_an_fsync_that_failed_keeps_nothing() -> None:
    failed = "fdatasync(3<'/t/d/f'>) = -1 EIO (Input/output error)"
    assert left(Way.KEPT, *MADE, *NAMED, failed) == {"d/f": b""}


def test_a_name_that_went_unsynced_may_come_back() -> None:
    gone = "unlink(\"'/t/d/f'\") = 0"
    assert left(Way.WHOLE, *MADE, SYNCED, *NAMED, gone) == {}
    assert left(Way.KEPT, *MADE, SYNCED, *NAMED, gone) == {"d/f": b"abcd"}


def test_a_rename_happens_to_both_names_or_to_none() -> None:
    renamed = "rename(\"'/t/d/f'\", \"'/t/d/g'\") = 0"
    made = disk(*MADE, SYNCED, *NAMED, renamed)
    assert {tuple(drawn(made, Way.SUBSET, seed)) for seed in range(40)} == {("d/f",), ("d/g",)}


def test_torn_writes_survive_in_sectors_and_hollow_ones_as_zeros() -> None:
    wide = f"pwrite64(3<'/t/d/f'>, \"'{'a' * 1500}'\", 1500, 100) = 1500"
    made = disk(MADE[0], *NAMED, wide)
    torn = {drawn(made, Way.TORN, seed)["d/f"] for seed in range(200)}
    assert any(0 < content.count(b"a") < 1500 for content in torn)
    assert {content.count(b"a", 100, 512) for content in torn} == {0, 412}
    hollow = {drawn(made, Way.HOLLOW, seed)["d/f"] for seed in range(60)}
    assert hollow >= {bytes(1600), bytes(100) + b"a" * 1500}


def test_what_nobody_modelled_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="fallocate"):
        disk(*MADE, "fallocate(3<'/t/d/f'>, 0, 0, 4096) = 0")
