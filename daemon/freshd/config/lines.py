"""On which line of a TOML text each key stands.

`tomllib` keeps no positions.  This walks over a text that `tomllib` has already accepted, so it judges nothing: it only
follows tables, arrays of tables, dotted keys, inline tables, arrays, and strings of all four sorts.

The answer maps paths to lines, counted from 1: ("accounts", "work", "readers") → 12, ("list", 0) → 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from freshd.core.problem import Path

BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
SPACE: Final = re.compile(r"[ \t]*")
GAP: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
SCALAR: Final = re.compile(r"[^,\]}#\n]*")
BASIC: Final = re.compile(r'"(?:\\.|[^"\\\n])*"')
LITERAL: Final = re.compile(r"'[^'\n]*'")
# Up to two quotes may stand before the three that close a long string.
LONG_BASIC: Final = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL)
LONG_LITERAL: Final = re.compile(r"'''.*?'{3,5}", re.DOTALL)
SIMPLE: Final = re.compile(
    r"""([A-Za-z0-9_-]+)[ \t]*=[ \t]*(?:"[^"\\\n]*"(?!")|'[^'\n]*'(?!')|[A-Za-z0-9_.+-]+)[ \t]*(?:\n|\Z)"""
)
"""A bare key and a plain value with nothing else on the line: what nearly all lines of a long file are."""
STRINGS: Final = (LONG_BASIC, LONG_LITERAL, BASIC, LITERAL)
ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|.)")
PLAIN: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def lines_of(text: str) -> dict[Path, int]:
    """The line of every key and array element.  The text must be valid TOML."""
    return _Walk(text.replace("\r\n", "\n")).document()


def line_of(found: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest table around it; 1 where nothing is known."""
    for end in range(len(path), 0, -1):
        if path[:end] in found:
            return found[path[:end]]
    return 1


class _Walk:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._found: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(GAP) < len(self._text):
            before = self._at
            if self._takes("[["):
                table = self._header(is_array=True)
                self._takes("]]")
            elif self._takes("["):
                table = self._header(is_array=False)
                self._takes("]")
            elif not self._simple_pair(table):
                self._pair(table)
            self._at = max(self._at, before + 1)
        return self._found

    def _header(self, *, is_array: bool) -> Path:
        line, parts = self._line_here(), self._key()
        path: Path = ()
        for position, part in enumerate(parts):
            path = (*path, part)
            self._found.setdefault(path, line)
            if is_array and position == len(parts) - 1:
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path = (*path, self._elements[path])
                self._found.setdefault(path, line)
        # A table may be opened after its children: its own header is the better place to point at.
        self._found[path] = line
        return path

    def _simple_pair(self, table: Path) -> bool:
        match = SIMPLE.match(self._text, self._at)
        if match is not None:
            self._found.setdefault((*table, match[1]), self._line_here())
            self._at = match.end()
        return match is not None

    def _pair(self, table: Path) -> None:
        line = self._line_here()
        path = table
        for part in self._key():
            path = (*path, part)
            self._found.setdefault(path, line)
        self._skip(SPACE)
        self._takes("=")
        self._skip(SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._takes("{"):
            while self._skip(GAP) < len(self._text) and not self._takes("}"):
                self._pair(path)
                self._end_element()
        elif self._takes("["):
            index = 0
            while self._skip(GAP) < len(self._text) and not self._takes("]"):
                self._found[*path, index] = self._line_here()
                self._value((*path, index))
                self._end_element()
                index += 1
        elif not any(self._matches(pattern) for pattern in STRINGS):
            self._skip(SCALAR)

    def _end_element(self) -> None:
        self._skip(GAP)
        self._takes(",")

    def _key(self) -> list[str]:
        parts: list[str] = []
        while not parts or self._takes("."):
            self._skip(SPACE)
            parts.append(self._key_part())
            self._skip(SPACE)
        return parts

    def _key_part(self) -> str:
        start = self._at
        if self._matches(BASIC):
            return ESCAPE.sub(_unescaped, self._text[start + 1 : self._at - 1])
        if self._matches(LITERAL):
            return self._text[start + 1 : self._at - 1]
        self._skip(BARE)
        return self._text[start : self._at]

    def _skip(self, pattern: re.Pattern[str]) -> int:
        self._matches(pattern)
        return self._at

    def _matches(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match is not None

    def _takes(self, mark: str) -> bool:
        taken = self._text.startswith(mark, self._at)
        self._at += len(mark) * taken
        return taken

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _unescaped(match: re.Match[str]) -> str:
    body = match[1]
    if len(body) > 1:
        return chr(int(body[1:], 16))
    return PLAIN.get(body, body)
