"""Results as JSON lines: one trial, one line, written as soon as it is known.

Rules
-----
* A line holds no path, no secret and nothing of the machine but its clock; moments are microseconds.
* A last line without its end was being written when the harness died: it counts as never written.
* A line says which commit it ran on, with a + where the tree had changes.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.crash.fates import FORBIDDEN
from tests.crash.services import ROOT
from tests.crash.stamps import Passage
from tests.crash.trial import Result

Line = Mapping[str, Any]
CODE: Final = ("daemon/freshd", "tests/*.py")
WINDOWS: Final = ("from_write", "from_begin", "from_reply")


class Results:
    """A file that lines are added to, by one harness at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """Everything in it.  Raises ValueError where a line is none."""
        return [json.loads(line) for line in self._whole().splitlines()]

    def done(self) -> set[tuple[Any, ...]]:
        """The trials that need not be done again."""
        return {key_of(line) for line in self.lines()}

    def add(self, line: Line) -> None:
        """Write one line, in the place of a torn one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        with self.path.open("r+b") as file:
            file.truncate(len(self._whole()))
            file.seek(0, os.SEEK_END)
            file.write(f"{json.dumps(line)}\n".encode())

    def _whole(self) -> bytes:
        text = self.path.read_bytes() if self.path.exists() else b""
        return text[: text.rfind(b"\n") + 1]


def key_of(line: Line) -> tuple[Any, ...]:
    """What makes a trial this one."""
    return tuple(line[name] for name in ("who", "seed", "series", "service", "placement", "number"))


def line_of(result: Result, series: str, seed: int) -> dict[str, Any]:
    """A trial of freshd as a line."""
    spec, evidence = result.spec, result.evidence
    answer = evidence.commits[-1] if evidence.unsaved else None
    return {
        "who": "freshd", "seed": seed, "series": series, "service": spec.service, "placement": spec.placement,
        "number": spec.number, "at": now(), "commit": commit(), "kind": spec.kind, "mark": spec.mark,
        "passage": spec.passage, "instant_ms": round(spec.instant * 1000, 3), "before_ms": round(spec.before * 1000, 3),
        "after_ms": round(spec.after * 1000, 3), "settled_first": spec.settled, "fate": result.fate.name,
        "in_air": evidence.in_air, "last_point": evidence.last_point, "unsaved": evidence.unsaved,
        "intent": evidence.kept.intent, "escrow": evidence.kept.escrow, "lives": evidence.lives, "ended": result.ended,
        "generations": evidence.kept.generation - evidence.before_generation,
        "commits": len(evidence.commits) - evidence.before_commits,
        "arrives_us": None if answer is None else (answer.arrives_ns - evidence.killed_ns) // 1000,
        "arrived_us": _after(None if answer is None else answer.arrived_ns, evidence.killed_ns),
        "windows": [[round(getattr(one, name)) for name in WINDOWS] for one in result.windows],
        "struck_us": None if result.struck is None else _rounded(result.struck.asked, result.struck.intent),
        "last_mark": result.struck.last if result.struck else None,
        "rehearsed_us": None if result.rehearsed is None else _passage(result.rehearsed),
        "killed_on": answer.operation if answer else None, "restored": evidence.restored, "agrees": evidence.agrees,
        "spent_uses": result.spent_uses, "doubtful_replays": result.doubtful_replays, "breaches": result.breaches,
        "takes": result.takes, "seconds": round(result.seconds, 2),
    }  # fmt: skip


@functools.cache
def commit() -> str:
    """The commit that this run is of, with a + where code is not as committed; empty outside of a repository."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return git("rev-parse", "--short=10", "HEAD") + "+" * bool(git("status", "--porcelain", "--", *CODE))


def now() -> str:
    """The date and time of a line."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _rounded(*moments: float | None) -> list[int | None]:
    return [None if one is None else round(one) for one in moments]


def _passage(passage: Passage) -> dict[str, Any]:
    [intent] = _rounded(passage.intent)
    return {"intent": intent, "windows": [_rounded(*window) for window in passage.windows]}


def _after(moment: int | None, killed: int) -> int | None:
    return None if moment is None else (moment - killed) // 1000


def is_good(lines: Iterable[Line]) -> bool:
    """Whether freshd did nothing that it must never do."""
    ours = [line for line in lines if line["who"] == "freshd"]
    names = {fate.name for fate in FORBIDDEN}
    return not any(line["fate"] in names or line["spent_uses"] or line.get("breaches", 0) for line in ours)
