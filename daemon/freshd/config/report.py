"""Collects everything wrong with one file, so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as File
from typing import NoReturn

from freshd.config.lines import line_of
from freshd.core.problem import Path, Problem, spell
from freshd.errors import ConfigError


class Report:
    """The problems found so far in `file`.  `lines`: where keys stand."""

    def __init__(self, file: File, lines: Mapping[Path, int]) -> None:
        self._file = file
        self._lines = lines
        self._problems: list[Problem] = []

    def add(self, problems: Iterable[Problem], *prefix: str | int) -> bool:
        """Note problems seen from the table at `prefix`; True if there were any."""
        found = [problem.under(*prefix) for problem in problems]
        self._problems.extend(found)
        return bool(found)

    def line(self, *path: str | int) -> int:
        """The line on which a key stands, or the table around it."""
        return line_of(self._lines, path)

    def settle(self) -> None:
        """Raise ConfigError with every problem, in the order of the file, if there is one."""
        if not self._problems:
            return
        ordered = sorted(self._problems, key=lambda problem: self.line(*problem.key))
        lines = (f"{self._file}:{self.line(*problem.key)}: {_sentence(problem)}" for problem in ordered)
        texts = tuple(dict.fromkeys(lines))
        count = "1 problem" if len(texts) == 1 else f"{len(texts)} problems"
        refuse(f"{count} in {self._file}", texts)


def refuse(cause: str, problems: tuple[str, ...]) -> NoReturn:
    """Raise ConfigError."""
    raise ConfigError(cause, "correct the lines named, then run: freshd check", problems)


def _sentence(problem: Problem) -> str:
    return f"{spell(problem.key)}: {problem.wrong}; {problem.write}"
